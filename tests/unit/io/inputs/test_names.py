"""Which files of a directory are read, by their names."""

import os
import sys

import pytest

from linkmatch_ray import Restrictions
from linkmatch_ray.errors import InputError
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.names import is_read, read_names, refuse_missing


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


def test_a_member_is_no_input(tmp_path):
    """The archive is to be named; a file may have such a name itself."""
    archive, member = b"%b/a.zip" % bytes(tmp_path), b"%b/a.zip!x!/1.json" % bytes(tmp_path)
    with pytest.raises(InputError, match=r"no such file or directory\. Check the path\.$"):
        refuse_missing(member)
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(InputError) as refused:
        refuse_missing(member)
    assert str(refused.value) == (
        f"{member.decode()}: a member of an archive is read with all others. Name the archive {archive.decode()}."
    )
    (tmp_path / "a.zip!x!").mkdir()
    (tmp_path / "a.zip!x!" / "1.json").write_bytes(b"1")
    refuse_missing(member)


def test_standard_input_is_no_input():
    """The message says what is read from there."""
    with pytest.raises(InputError, match=r"^-: records are not read from standard input\. Name a file;"):
        refuse_missing(b"-")


def test_standard_input_that_is_closed(monkeypatch):
    """A list or names from there are refused."""
    monkeypatch.setattr(sys, "stdin", None)
    for read in (lambda: read_names("-", null=False), lambda: Restrictions.load("-")):
        with pytest.raises(InputError, match=r"^-: standard input is closed\. Name a file\.$"):
            read()


def test_an_open_pipe_is_no_file():
    """It is there, although its link in /dev/fd leads to a name that is no path."""
    ends = os.pipe()
    try:
        [file] = list_inputs(f"/dev/fd/{ends[0]}").files
    finally:
        for end in ends:
            os.close(end)
    assert file.fault == "not a regular file"
