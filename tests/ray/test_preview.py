"""A look before a job: what it says is true of what it has read, cut anywhere; it ends in time, and starts no Ray."""

import gzip
import json
import random
import subprocess
import sys
import time
from itertools import product

import pytest
import zstandard

from linkmatch_ray import MatchOptions, Restrictions, dry_run, match_bytes
from linkmatch_ray.cli.formatting import duration
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.runtime.jobs import dry_run as dry_runs
from linkmatch_ray.runtime.jobs import preview as module
from linkmatch_ray.runtime.jobs.preview import FILES_MAX, Preview, preview
from tests.conftest import REPO
from tests.support.archives import raw_zip, zip_of
from tests.support.silent import LARGE, silent
from tests.support.tiers import kinds

LIST = Restrictions.load(b'["a", {"data": 1}, "b"]')
RECORDS = [{"data": value, "text": "x" * (n % 50)} for n, value in enumerate(["a", 1, "c", None, "b", {}] * 30)]
COMPRESS = {"plain": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}


def lines(records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


LAYOUTS = {
    "lines": lines(RECORDS),
    "array": json.dumps(RECORDS).encode(),
    "array over lines": json.dumps(RECORDS, indent=2).encode(),
    "object": json.dumps({"data": "a", "text": "x" * 9000}, indent=2).encode(),
}


def look(top, options=None, restrictions=LIST):
    return preview(list_inputs(top).files, restrictions, options or MatchOptions())


@pytest.fixture
def small_limits(monkeypatch):
    """All files are large, and windows small; sets how much is read of each."""
    monkeypatch.setattr(module, "SMALL_FILE_BYTES", 0)
    monkeypatch.setattr(module, "WINDOW_BYTES", 64)
    monkeypatch.setattr(module, "HEAD_BYTES", 100)
    return lambda size: monkeypatch.setattr(module, "FILE_BYTES_MAX", size)


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_of_some_files(layout, compression, tmp_path):
    """What is read wholly is counted as `match_bytes` counts it."""
    content = COMPRESS[compression](LAYOUTS[layout])
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_bytes(content)
    found, one = look(tmp_path), match_bytes(content, LIST).counts
    assert found.counts.as_dict() == {name: 2 * count for name, count in one.as_dict().items()}
    assert (found.files, found.bytes_read) == (2, 2 * len(content))
    shape = ("lines" if layout == "lines" else "values") + ("" if compression == "plain" else f", {compression}")
    assert found.shapes == {shape: 2}


@pytest.mark.parametrize(("layout", "compression"), kinds(product(LAYOUTS, COMPRESS)))
def test_cut_anywhere(layout, compression, small_limits, tmp_path):
    """No entry for what is cut, never more records for less, and all of them in the end."""
    whole = LAYOUTS[layout]
    (tmp_path / "a.json").write_bytes(COMPRESS[compression](whole))
    before, rng = 0, random.Random(0)
    for size in sorted({*rng.sample(range(1, len(whole)), 25), 1, len(whole) // 2, len(whole) - 1, len(whole) + 1}):
        small_limits(size)
        counts = look(tmp_path).counts
        assert counts.entries == 0, size
        assert counts.records == counts.matched + counts.unmatched
        assert before <= counts.records, size
        if layout == "lines":  # those that are whole, and one that ends the input needs no line end
            assert counts.records - whole[:size].count(b"\n") in (0, -1), size
        before = counts.records
    assert counts.as_dict() == match_bytes(whole, LIST).counts.as_dict()


@pytest.mark.parametrize("size", [500, 3000, 1 << 20])
def test_what_is_damaged_is_an_entry_also_if_the_file_is_cut(size, small_limits, tmp_path):
    """The rest of an array that is damaged is read through as far as files are."""
    small_limits(size)
    array = LAYOUTS["array"]
    (tmp_path / "a.json").write_bytes(array.replace(b'}, {"data": null', b'}}, {"data": null', 1) * 3)
    (tmp_path / "b.jsonl").write_bytes(b"0\n{bad\n" + LAYOUTS["lines"])
    found = look(tmp_path)
    assert found.counts.entries == sum(found.reasons.values()) == 2
    assert found.counts.records > 1


def test_documents(small_limits, tmp_path):
    """With --records-at its records count as far as they are read; nothing false is said of it."""
    content = json.dumps({"rows": RECORDS}).encode()
    (tmp_path / "a.json").write_bytes(content)
    options = MatchOptions(records_at="/rows")
    small_limits(len(content) - 1)
    found = look(tmp_path, options)
    assert (found.counts.entries, found.shapes) == (0, {"values": 1})
    assert 0 < found.counts.records <= len(RECORDS)
    assert found.bytes_read > 0
    small_limits(len(content) + 1)
    assert look(tmp_path, options).counts.records == len(RECORDS)


def test_what_cannot_be_read(tmp_path):
    """A file that has changed, one that is gone; and what is none was seen before."""
    for name in ("a.json", "b.json", "c.json"):
        (tmp_path / name).write_bytes(b'{"data":"a"}')
    (tmp_path / "d.json").write_bytes('{"data":"ä"}'.encode("utf-16-le"))
    (tmp_path / "e.json").write_bytes(b" \n")
    files = list_inputs(tmp_path).files
    (tmp_path / "a.json").write_bytes(b'{"data":"b"}  ')
    (tmp_path / "b.json").unlink()
    found = preview(files, LIST, MatchOptions())
    assert found.reasons == {"changed": 1, "unreadable": 1, "not_utf8": 1}
    assert (found.counts.records, found.counts.matched, found.counts.entries) == (1, 1, 3)
    assert found.shapes == {"values": 1, "not UTF-8": 1, "blank": 1}
    found = preview([InputFile(b"x", b"/x", -1, -1, -1, "no file")], LIST, MatchOptions())
    assert (found.files, found.counts.entries, found.reasons) == (0, 1, {"unreadable": 1})


def test_what_the_listing_has_found(tmp_path):
    """Members that cannot be read are entries, though none was looked at."""
    (tmp_path / "a.zip").write_bytes(raw_zip([{"name": b"%d.json" % n, "flags": 1} for n in range(300)]))
    (tmp_path / "b.zip").write_bytes(zip_of([("a.json", b'{"data":"a"}')])[:-9])
    found = look(tmp_path)
    assert (found.files, found.counts.entries) == (0, 301)
    assert found.reasons == {"encrypted": 300, "truncated_zip": 1}


def test_hints(tmp_path):
    """As in a summary, from what was read."""
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines([{"url": "a"}, {"url": "b"}])))
    (hint,) = look(tmp_path).hints
    assert hint.startswith('Hint: most records have no key "data". Of the first 2, members are: url (2).')
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines([{"data": True}])))
    (hint,) = look(tmp_path).hints
    assert "the records' keys are booleans" in hint


def test_the_sample():
    """From everywhere, also by bytes: one large file among many small ones is in it, and so are first and last."""
    files = [InputFile(b"%d" % n, b"/%d" % n, 10**9 if n == 777 else n % 3, 0, 0) for n in range(10_000)]
    sample = {int(file.name) for file in module._sample(files)}
    assert len(sample) <= FILES_MAX
    assert {777, 1, 9_998} <= sample
    assert all(files[number].size for number in sample)
    assert max(b - a for a, b in zip([0, *sorted(sample)], [*sorted(sample), 10_000], strict=True)) < 400
    assert module._sample(files[:3]) == module._sample(files[:3])
    assert len(module._sample(files[:3])) == 2


def test_it_ends_in_time_whatever_a_server_does(tmp_path, monkeypatch):
    """One that never answers keeps nobody waiting; what others gave is told."""
    monkeypatch.setattr(module, "READ_SECONDS", 0.5)
    monkeypatch.setattr(module, "LAST_SECONDS", 0.2)
    (tmp_path / "a.json").write_bytes(LAYOUTS["lines"])
    with silent(LARGE) as (port, asked):
        names = [f"http://127.0.0.1:{port}/{n}.jsonl" for n in range(12)]
        files = [*list_inputs(names).files, *list_inputs(tmp_path).files]
        began = time.monotonic()
        found = preview(files, LIST, MatchOptions())
        assert time.monotonic() - began < 5  # 0.7 s where nothing else runs; a server is given up after 30 s
        assert asked.is_set()
    assert found.seconds <= 0.7
    assert found.seconds_about is None
    assert found.counts.records in (0, len(RECORDS))  # eight that wait may be before it


def test_a_dry_run_ends_in_time_too(monkeypatch):
    """The plan is made though nobody knows whether a large file can be cut, and says so."""
    monkeypatch.setattr(dry_runs, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(module, "READ_SECONDS", 0.2)
    with silent(LARGE) as (port, asked):
        began = time.monotonic()
        found = dry_run(f"http://127.0.0.1:{port}/a.jsonl", LIST)
        assert (len(found), found.files_not_looked_at, found.nbytes) == (1, 1, 100_000_000)
        assert found.preview().bytes_read == 0
        assert time.monotonic() - began < 10  # a server is given up after 30 s
        assert asked.is_set()


def test_time_is_shared(tmp_path, monkeypatch):
    """All of many large files are begun, though the time is too short to read them."""
    monkeypatch.setattr(module, "READ_SECONDS", 0.0)
    monkeypatch.setattr(module, "SMALL_FILE_BYTES", 0)
    for number in range(20):
        (tmp_path / f"{number}.jsonl").write_bytes(LAYOUTS["lines"] * 400)
    found = look(tmp_path)
    assert 0 < found.files <= 20
    assert found.bytes_read < 20 * len(LAYOUTS["lines"]) * 400
    assert found.counts.entries == 0


@pytest.mark.parametrize(
    ("cpu", "seconds", "nbytes", "longest", "workers", "expected"),
    [
        (1.0, 1.0, 1000, 10, 1, 10.0),  # work
        (1.0, 1.0, 1000, 10, 4, 2.5),  # shared
        (1.0, 1.0, 1000, 900, 4, 9.0),  # one task is most of it
        (0.1, 2.0, 1000, 10, 4, 19.0),  # waiting
        (2.0, 1.0, 1000, 10, 2, 10.0),  # several at a time
    ],
)
def test_how_long_it_takes(cpu, seconds, nbytes, longest, workers, expected):
    """By work, or by the longest task, or by waiting; unknown if nothing was read."""
    found = Preview(bytes_read=100, cpu_seconds=cpu, seconds=seconds)
    found.expect(nbytes, longest, workers)
    assert found.seconds_about == pytest.approx(expected)
    nothing = Preview(seconds=2.0)
    nothing.expect(nbytes, longest, workers)
    assert nothing.seconds_about is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.1, "1 second"),
        (1.6, "2 seconds"),
        (99.4, "99 seconds"),
        (150, "2 minutes"),
        (7200, "2 hours"),
        (1e6, "12 days"),
    ],
)
def test_times(seconds, said):
    """In one unit."""
    assert duration(seconds) == said


def test_the_command_starts_no_ray(tmp_path, command_environment):
    """The sample: what it has, and a wrong key is told; Ray is not even imported."""
    sample = REPO / "tests/sample/cve"
    command = ["submit", sample / "links", "-r", sample / "restrictions.json", "--dry-run", "-k"]
    run = [sys.executable, "-X", "importtime", "-m", "linkmatch_ray", *map(str, command)]
    done = subprocess.run([*run, "cveID"], cwd=tmp_path, env=command_environment, capture_output=True, text=True)
    assert done.returncode == 0
    assert "ray" not in {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    looked, shapes, records, time_ = done.stdout.splitlines()[-4:]
    assert looked.startswith("Looked at 4 of 4 files, 619.5 kB of 619.5 kB, for ")
    assert sorted(shapes.removeprefix("Shapes: ").split("; ")) == ["lines, gzip (2)", "lines, zstd (1)", "values (1)"]
    assert records == "778 records, 778 with the key cveID, 62 matched (7.97%)"
    assert time_.startswith("At this rate the job takes about ")
    done = subprocess.run(
        [*run, "cveId=cveID", "--json"], cwd=tmp_path, env=command_environment, capture_output=True, text=True
    )
    unit, row = map(json.loads, done.stdout.splitlines())
    assert unit.keys() == {"unit", "bytes", "files", "first", "last"}
    found = row["preview"]
    assert (found["records"], found["with_key"], found["missing_key"], found["matched"]) == (778, 0, 778, 0)
    assert (found["files"], found["of_files"], found["bytes_read"], found["of_bytes"]) == (
        4,
        4,
        unit["bytes"],
        unit["bytes"],
    )
    assert "cveID (189)" in found["hints"][0]
