"""Whole jobs on compressed and encoded files: what is corrupt is rolled back, and the ledger names encodings."""

import json
import sqlite3

import pytest
import zstandard

from linkmatch_ray import JobOptions, Restrictions, submit, verify
from linkmatch_ray.errors import JobChanged
from tests.support.compressed import KINDS, compressed

pytestmark = pytest.mark.usefixtures("ray_session")

LIST = Restrictions.load(b'["a"]')
LINES = b"".join(b'{"data":"%s","n":%d}\n' % (b"ab"[n % 2 : n % 2 + 1], n * n) for n in range(40_000))


def lines(path):
    return path.read_bytes().splitlines()


def ledger(path, column):
    """A column of the view of files."""
    with sqlite3.connect(path / "ledger.sqlite") as database:
        return [value for (value,) in database.execute(f"SELECT {column} FROM file_ledger")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_corrupt_file_leaves_nothing(tmp_path, kind):
    """Not even what was committed of it before, in many parts; with --salvage what comes before the damage stays."""
    data = bytearray(compressed(kind, LINES, LINES))
    data[-5] ^= 1
    for name, content in (("0.json", LINES), ("1.json", bytes(data)), ("2.json", LINES)):
        (tmp_path / name).write_bytes(content)
    files, out, options = [tmp_path / f"{n}.json" for n in range(3)], tmp_path / "out", JobOptions(part_bytes=100_000)
    summary = submit(files, LIST, output=out, options=options).result(120)
    assert summary["totals"]["matched"] == 40_000
    assert (summary["faults"], summary["reasons"]) == ({}, {f"corrupt_{kind}": 1})
    assert lines(out / "matched.jsonl") == LINES.splitlines()[::2] * 2
    (entry,) = map(json.loads, lines(out / "quarantine.jsonl"))
    assert (entry["index"], entry["line"], entry["byte_offset"]) == (0, None, 0)
    assert ledger(out, "records") == [40_000, 0, 40_000]
    assert not verify(out).differences
    with pytest.raises(JobChanged):
        submit(files, LIST, output=out, options=JobOptions(part_bytes=100_000, salvage=True))
    again = JobOptions(part_bytes=100_000, salvage=True, overwrite=True)
    salvaged = submit(files, LIST, output=out, options=again).result(120)
    assert salvaged["totals"]["matched"] >= 60_000
    assert (salvaged["faults"], salvaged["reasons"]) == ({}, {f"corrupt_{kind}": 1})
    assert not verify(out).differences


def test_the_ledger_names_encodings(tmp_path):
    """Also of files that were packed together, and in compressed ones."""
    text = '{"data":"a","t":"é"}\n{"data":"b"}\n'
    stored = {"a": text.encode(), "b": text.encode("utf-16"), "c": compressed("bz2", text.encode("utf-32")), "d": b""}
    for name, content in stored.items():
        (tmp_path / f"{name}.json").write_bytes(content)
    summary = submit(tmp_path, LIST, output=tmp_path / "out", emit="both").result(60)
    assert (summary["totals"]["matched"], summary["totals"]["entries"]) == (3, 0)
    assert lines(tmp_path / "out" / "matched.jsonl") == [text.splitlines()[0].encode()] * 3
    assert ledger(tmp_path / "out", "encoding") == ["utf-8", "utf-16-le", "utf-32-le", "utf-8"]
    assert not verify(tmp_path / "out").differences


@pytest.mark.slow
def test_a_wide_window(tmp_path):
    """A file that holds more of it than any may is read by a task of its own, which asks Ray for the memory."""
    how = zstandard.ZstdCompressionParameters.from_level(1, window_log=31)
    compressor = zstandard.ZstdCompressor(compression_params=how).compressobj()
    with (tmp_path / "1.zst").open("wb") as file:
        for number in range(20_000):
            file.write(compressor.compress(b'{"data":"a","n":%d,"x":"%s"}\n' % (number, b"y" * 10_000)))
        file.write(compressor.flush())
    for name in ("0.json", "2.json"):
        (tmp_path / name).write_bytes(b'{"data":"a"}')
    job = submit(tmp_path, LIST, output=tmp_path / "out")
    totals = job.result(300)["totals"]
    assert (totals["matched"], totals["entries"]) == (20_002, 0)
    assert job.progress().needs_memory == 1 << 31
