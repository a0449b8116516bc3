"""Which large files are read in ranges: those of a layout that can be cut, plain and readable, by their beginnings."""

import gzip

import pytest

from linkmatch_ray import MatchOptions
from linkmatch_ray.core.layouts.table import NAMED
from linkmatch_ray.io.inputs import sniff
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.sniff import cuttable

LINES = b'{"data":1}\n' * 20
CONTENTS = {
    "lines": (LINES, True),
    "lines behind white space": (b"\xef\xbb\xbf \n" + LINES, True),
    "array": (b"[" + b",".join([b'{"data":1}'] * 20) + b"]", False),
    "object": (b'{"data":\n1}' + b" " * 200, False),
    "gzip": (gzip.compress(bytes(range(256)), 0), False),
    "another encoding": (LINES.decode().encode("utf-16"), False),
    "a first line that does not end": (b'{"data":"' + b"x" * 200, False),
}


@pytest.mark.parametrize(("content", "can_be_cut"), CONTENTS.values(), ids=CONTENTS)
def test_what_can_be_cut(content, can_be_cut, tmp_path, monkeypatch):
    """Only of files that are larger, by the beginning alone."""
    monkeypatch.setattr(sniff, "HEAD_BYTES", 100)
    (tmp_path / "a.json").write_bytes(content)
    files = list_inputs(tmp_path).files
    assert cuttable(files, MatchOptions(), 100) == ({0} if can_be_cut else set())
    assert cuttable(files, MatchOptions(), len(content)) == set()
    assert cuttable(files, MatchOptions(records_at="/data"), 100) == ({0} if can_be_cut else set())
    assert cuttable(files, MatchOptions(format="lines"), 100) == (set() if content[:1] in b"\x1f\xff" else {0})


def test_one_that_is_gone_cannot_be_cut(tmp_path):
    """The task that reads it says so."""
    (tmp_path / "a.json").write_bytes(LINES)
    files = list_inputs(tmp_path).files
    (tmp_path / "a.json").unlink()
    assert cuttable(files, MatchOptions(), 100) == set()


def test_each_format_has_its_row():
    """Under the name by which `--format` calls it."""
    for name in NAMED:
        assert MatchOptions(format=name).format == name
    assert [name for name, layout in NAMED.items() if layout.can_be_cut] == ["lines"]
