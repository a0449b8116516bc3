"""Numbers that come from a file system or a store: whatever they are, the job runs, and a file equals itself."""

import json
import os
from contextlib import closing
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler

import pytest

import linkmatch_ray
from linkmatch_ray import MatchOptions
from linkmatch_ray.errors import UsageError
from linkmatch_ray.io.inputs.file import SIZE_MAX, local_file, object_file, pack_files, unpack_files
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.opening import open_input
from linkmatch_ray.io.ledger.ledger import Ledger
from linkmatch_ray.io.names import OUTPUTS
from linkmatch_ray.io.results.matches import matches
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.summary import read_summary
from linkmatch_ray.io.results.verification import Checked, verify
from linkmatch_ray.runtime.jobs.plan import PlanOptions
from tests.support.jobs import DETAILS, LIST
from tests.support.objects import serving
from tests.support.whole import submit

SECOND = 1_000_000_000
YEARS = {year: int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * SECOND for year in (1902, 1969, 2300, 2400)}
REGULAR = 0o100644


def at_time(path, ns):
    """A file of that time, if the file system has such."""
    path.write_bytes(b'{"data":"a"}\n')
    os.utime(path, ns=(ns, ns))
    if os.stat(path).st_mtime_ns != ns:
        pytest.skip("the file system of temporary files has no such times")
    return path


@pytest.mark.parametrize("year", YEARS)
@pytest.mark.parametrize("place", ["{}/out", "file://{}/out"])
def test_a_file_of_any_year(year, place, tmp_path):
    """Is matched, is the same at the next start, and is not taken for changed."""
    (tmp_path / "in").mkdir()
    at_time(tmp_path / "in" / "a.jsonl", YEARS[year])
    out, how = place.format(tmp_path), (MatchOptions(), PlanOptions())
    summary = submit(tmp_path / "in", out, *how)
    assert (summary["totals"]["matched"], summary["faults"]) == (1, {})
    assert submit(tmp_path / "in", out, *how)["started"] == summary["started"]
    assert list(verify(results_at(out), Checked())) == []


@pytest.mark.parametrize("inode", [0, 1 << 62, 1 << 63, (1 << 64) - 1])
@pytest.mark.parametrize("time", [-(1 << 40), 0, *YEARS.values(), 253_402_300_799 * SECOND, -(1 << 70), 1 << 70])
def test_numbers_of_a_file_system(inode, time):
    """Fit 64 bits and stay apart, as the ledger and what travels must hold them."""

    def found(inode, time):
        times = {"st_mtime_ns": time, "st_ctime_ns": time}
        return local_file(b"a", b"/a", os.stat_result((REGULAR, inode, 0, 1, 0, 0, 9, 0, 0, 0), times))

    file = found(inode, time)
    assert file.fault is None
    assert all(-(1 << 63) <= number < 1 << 63 for number in (file.mtime_ns, file.ctime_ns, file.inode))
    assert unpack_files(pack_files([file])) == [file]
    assert file.is_same(found(inode, time))
    assert not file.is_same(found(inode ^ 1, time))
    assert not file.is_same(found(inode, time + 1))


@pytest.mark.parametrize("size", [SIZE_MAX + 1, 1 << 62])
def test_a_file_too_large(size, tmp_path, sparse_file):
    """Is an entry that names its size; its neighbour is matched."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_bytes(b'{"data":"a"}\n')
    (tmp_path / "in" / "b.jsonl").symlink_to(sparse_file(size))
    summary = submit(tmp_path / "in", tmp_path / "out", MatchOptions(), PlanOptions())
    assert (summary["totals"]["matched"], summary["faults"]) == (1, {"unreadable": 1})
    assert f"{size:,} bytes: larger than" in (tmp_path / "out" / "quarantine.jsonl").read_text()


def test_the_largest_file_is_not_too_large(sparse_file):
    (file,) = list_inputs([sparse_file(SIZE_MAX)]).files
    assert (file.size, file.fault) == (SIZE_MAX, None)
    with open_input(file) as reader:
        reader.check()


@pytest.mark.parametrize("size", [-(1 << 63), -5, -1, SIZE_MAX + 1, 1 << 60, 1 << 64, 1 << 200])
def test_an_object_of_a_size_that_none_has(size):
    """Is faulty whatever a store says, and no number of it goes on."""
    file = object_file(b"s3://b/k", b"s3://b/k", size, 0, '"e"')
    assert file.fault.startswith(f"{size:,} bytes: ")
    assert (file.size, file.mtime_ns, file.ctime_ns) == (-1, -1, 0)
    assert unpack_files(pack_files([file])) == [file]


class OfAnotherTime(BaseHTTPRequestHandler):
    """Gives a file without an ETag, and a date as its name says."""

    def do_GET(self):
        year, content = int(self.path[1:5]), b'{"data":"a"}\n'
        self.send_response(200)
        self.send_header("Last-Modified", format_datetime(datetime(year, 1, 1, tzinfo=UTC), usegmt=True))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *args):
        pass


def test_objects_of_any_year_are_read():
    """And not taken for changed."""
    with serving(OfAnotherTime) as port:
        for year in (1000, *YEARS, 9999):
            (file,) = list_inputs([f"http://127.0.0.1:{port}/{year}.jsonl"]).files
            assert unpack_files(pack_files([file])) == [file]
            with open_input(file) as reader:
                assert reader.read(100) == b'{"data":"a"}\n'


class OfAnotherSize(OfAnotherTime):
    """Claims the length that its name says."""

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", self.path[1:].partition(".")[0])
        self.end_headers()


def test_an_object_that_claims_to_be_huge():
    """Is faulty, and its size is named."""
    with serving(OfAnotherSize) as port:
        for size in (SIZE_MAX + 1, 1 << 60, (1 << 63) - 1):
            (file,) = list_inputs([f"http://127.0.0.1:{port}/{size}.jsonl"]).files
            assert file.fault.startswith(f"{size:,} bytes: larger than")


def test_an_object_of_any_date():
    for date in (*YEARS.values(), 253_402_300_799 * SECOND):
        file = object_file(b"s3://b/k", b"s3://b/k", 7, date, '"e"')
        assert file.fault is None
        assert unpack_files(pack_files([file])) == [file]
        assert not file.is_same(object_file(b"s3://b/k", b"s3://b/k", 7, date + SECOND, '"e"'))


def test_a_sum_of_sizes_beyond_64_bits(tmp_path):
    """Of 8,193 files of a petabyte, which may be sparse and take no room: more than SQLite sums up."""
    files = [object_file(b"%d" % number, b"/%d" % number, SIZE_MAX, 0, None) for number in range(8193)]
    with closing(Ledger(tmp_path / "ledger.sqlite", create=True)) as ledger:
        ledger.begin_job({}, OUTPUTS, files, [1] * len(files))
        assert ledger.file_bytes(0) == 8193 * SIZE_MAX
        assert ledger.file_bytes(8193) == 0


def test_numbers_of_who_asks(tmp_path):
    """For records, or for units: a list without any, or an error of ours."""
    (tmp_path / "a.jsonl").write_bytes(b'{"data":"a"}\n')
    submit(tmp_path / "a.jsonl", tmp_path / "out", MatchOptions(), PlanOptions())
    results = results_at(tmp_path / "out")
    with closing(results.ledger()) as ledger:
        for start in (-1, 1 << 53, 1 << 63, 10**30):
            assert list(matches(results, ledger, start, 10)) == []
    for name in ("unit_bytes", "part_bytes"):
        for number in (-(1 << 70), 0, 1 << 63, 10**30):
            with pytest.raises(UsageError, match=f"{name}={number}: out of range"):
                PlanOptions(**{name: number})
    for seconds in (-1.0, 0.0, float("nan")):
        with pytest.raises(UsageError, match=r"task_timeout=.*: out of range"):
            linkmatch_ray.submit([tmp_path / "a.jsonl"], LIST, task_timeout=seconds)


def test_totals_of_many_petabytes():
    """A summary that a job may write can be read again."""
    totals = dict.fromkeys(("files", "records", "matched", "unmatched", "missing_key", "not_object", "entries"), 0) | {
        "input_bytes": 1000 * SIZE_MAX,
        "restrictions": 1,
        "restrictions_hit": 0,
    }
    summary = {**DETAILS, "totals": totals, "faults": {}, "reasons": {}}
    assert read_summary("here", json.dumps(summary).encode()) == summary
