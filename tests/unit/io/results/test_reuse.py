"""What `--incremental` may keep: what would look different if its content were another."""

import pytest

from linkmatch_ray import JobOptions
from linkmatch_ray.core.outcome import Piece
from linkmatch_ray.errors import JobChanged
from linkmatch_ray.io.inputs.file import InputFile, Listing, object_file, pack_files
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.runtime.jobs.collector import Collector
from linkmatch_ray.runtime.jobs.request import Request
from linkmatch_ray.runtime.jobs.worker import PartBody
from tests.support.jobs import DETAILS, LIST


def named(name, size=9, mtime_ns=5, etag='"a"'):
    path = b"s3://lake/%s.json" % name
    return object_file(path, path, size, mtime_ns, etag)


def requested(out, files, incremental):
    return Request(Listing(files), LIST, results_at(out), JobOptions(incremental=incremental))


def kept(tmp_path, before, today):
    """How many of today's files `--incremental` keeps from a complete job with those of before."""
    out = tmp_path / "out"
    settings = requested(out, before, False).settings
    results_at(out).prepare()
    collector = Collector(str(out), pack_files(before), [1] * len(before), settings)
    collector.open()
    collector.commit(PartBody([Piece(file=number) for number in range(len(before))], [], []))
    collector.finish(LIST.index, DETAILS)
    collector.close()
    again = requested(out, today, True)
    if again.finished is not None:
        assert again.reuse is None
        return len(today)
    return again.reuse.files


FILE = InputFile(b"a.json", b"/a.json", 9, 5, 7, ctime_ns=6)


@pytest.mark.parametrize(
    "file",
    [FILE, named(b"a"), named(b"a", etag="a"), named(b"a", size=0), named(b"a", mtime_ns=0)],
)
def test_the_same_file_or_object(file, tmp_path):
    """A file of this machine, and an object with a strong ETag."""
    assert kept(tmp_path, [file], [file]) == 1


@pytest.mark.parametrize("etag", [None, "", '""', 'W/"a"', 'W/""'])
def test_an_object_that_any_content_may_have(etag, tmp_path):
    """Without an ETag, or with a weak one, it is matched again, though the inputs look the same; its neighbour is kept.

    Without --incremental a complete job stays complete.
    """
    files = [named(b"a", etag=etag), named(b"b", etag='"b"')]
    assert kept(tmp_path, files, files) == 1
    assert requested(tmp_path / "out", files, False).finished is not None


def test_an_etag_that_is_always_the_same(tmp_path):
    """Objects of different size have it: it says nothing of any of them."""
    files = [named(b"a"), named(b"b", size=8), named(b"c", etag='"c"')]
    assert kept(tmp_path, files, files) == 1


def test_an_etag_that_stays_when_the_size_changes(tmp_path):
    """It said nothing of the other object that has it either."""
    before = [named(b"a"), named(b"b"), named(b"c", etag='"c"')]
    assert kept(tmp_path, before, [before[0], named(b"b", size=8), before[2]]) == 1


def test_copies_of_an_object(tmp_path):
    """Have one ETag, as it comes of the content; they are kept."""
    files = [named(b"a"), named(b"b")]
    assert kept(tmp_path, files, files) == 2


@pytest.mark.parametrize("other", [{"size": 8}, {"mtime_ns": 6}, {"etag": '"b"'}, {"etag": None}])
def test_an_object_that_looks_different(other, tmp_path):
    """In size, date or ETag, whatever the two others say."""
    assert kept(tmp_path, [named(b"a")], [named(b"a", **other)]) == 0


@pytest.mark.parametrize("other", [{"size": 8}, {"mtime_ns": 6}, {"inode": 8}, {"ctime_ns": 7}])
def test_a_file_that_looks_different(other, tmp_path):
    """In one number, whatever the others say; the same command without --incremental is refused."""
    today = [FILE._replace(**other)]
    assert kept(tmp_path, [FILE], today) == 0
    with pytest.raises(JobChanged, match="1 changed"):
        requested(tmp_path / "out", today, False)
