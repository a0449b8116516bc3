"""Which files of a directory are read, by their names."""

import pytest

from linkmatch_ray.io.inputs.names import is_read


@pytest.mark.parametrize(
    "name",
    [
        b"a.json", b"a.JSONL", b"a.ndjson.gz", b"a.geojson", b"a.geojsonl.xz", b"a.geojsonseq.lz4", b"a.b.json.bz2",
        b"RC_2019-04.zst", b"dump.BZ2", b"dump.xz", b"dump.lz4", b"folder.x/dump.zst", b"\xff.json.zst",
        b"a.zip", b"a.TAR", b"a.tgz", b"a.tar.gz", b"a.tar.bz2", b"a.tar.xz", b"a.tar.zst",
    ],
)  # fmt: skip
def test_read(name):
    """Layouts, each compressed or not, in any case; dumps, and archives."""
    assert is_read(name)


@pytest.mark.parametrize(
    "name",
    [b"a.txt", b"json", b"a.gz", b"a.csv.bz2", b"v1.2.zst", b"a.json.bak", b"a.jsonx", b"a.tar.lz4", b"zst", b"a"],
)
def test_left_out(name):
    """Names with another extension, or with none."""
    assert not is_read(name)
