"""Whole jobs on a real Ray: the oracle's bytes, whatever the workers and the sizes of units and parts."""

import json
import os
import shutil
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkmatch_ray import MatchOptions, Restrictions, submit
from tests.support import oracle, strategies
from tests.support.tiers import examples

COUNTS = ("records", "matched", "unmatched", "missing_key", "not_object", "entries")
STREAMS = ("matched.jsonl", "unmatched.jsonl", "quarantine.jsonl", "restrictions.jsonl")
ENDINGS = {"plain": "", "gzip": ".gz", "zstd": ".zst"}
FEW = settings(max_examples=examples(6), deadline=None, suppress_health_check=list(HealthCheck))

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture(scope="session")
def rooms(tmp_path_factory):
    """Makes a new, empty directory at every call."""
    return lambda: tmp_path_factory.mktemp("job")


def write(directory, case):
    """The files of a case on disk, named so that their order is not that of their names."""
    paths = []
    for number, file in enumerate(case.files):
        ending = ("jsonl" if file.layout == "lines" else "json") + ENDINGS[file.compression]
        paths.append(directory / f"{9 - number}-é {number}.{ending}")
        paths[-1].write_bytes(file.data)
    return paths


def load(case):
    return Restrictions.load(case.restrictions, case.arguments)


def run(paths, restrictions, output, *, workers=2, unit_bytes=1 << 20, part_bytes=1 << 20, **options):
    """One job from start to end: its summary and the bytes of its streams (None: no such file)."""
    job = submit(
        paths,
        restrictions,
        output=output,
        options=MatchOptions(**options),
        workers=workers,
        unit_bytes=unit_bytes,
        part_bytes=part_bytes,
    )
    summary = job.result()
    streams = {name: (output / name).read_bytes() if (output / name).exists() else None for name in STREAMS}
    return summary, streams


def ledger(output):
    """Rows of the ledger by path, as the view `file_ledger` gives them."""
    connection = sqlite3.connect(f"file:{output / 'ledger.sqlite'}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        return {os.fsdecode(row["path"]): dict(row) for row in connection.execute("SELECT * FROM file_ledger")}
    finally:
        connection.close()


def assert_sums_hold(summary, output, paths, results, total):
    """Per file and in total, records = matched + unmatched, and every number is the oracle's."""
    rows = ledger(output)
    assert rows.keys() == {os.path.realpath(path) for path in paths}
    for path, one in zip(paths, results, strict=True):
        row = rows[os.path.realpath(path)]
        assert row["records"] == row["matched"] + row["unmatched"]
        assert row["size"] == path.stat().st_size
        assert {name: row[name] for name in COUNTS} == {name: one.counts[name] for name in COUNTS}
    totals = summary["totals"]
    assert totals["files"] == len(paths)
    assert {name: totals[name] for name in COUNTS} == {name: total.counts[name] for name in COUNTS}
    assert {name: totals[name] for name in COUNTS} == {name: sum(row[name] for row in rows.values()) for name in COUNTS}
    assert dict(summary) == json.loads((output / "summary.json").read_bytes())


def assert_hits(stream, total, how_many):
    """The reverse report has every restriction in order with its hits."""
    lines = [json.loads(line) for line in stream.splitlines()]
    assert [line["index"] for line in lines] == list(range(how_many))
    assert all("key" in line for line in lines)
    assert {line["index"]: line["hits"] for line in lines if line["hits"]} == dict(total.hits)


def restrictions_in(case):
    return sum(map(len, oracle.build(case.restrictions, case.keys).values()))


unit_sizes = st.sampled_from((150, 700, 5_000, 1 << 20))  # a task costs milliseconds: none of single bytes
part_sizes = st.sampled_from((1, 7, 40, 300, 1 << 20))


@given(
    case=strategies.cases(files=4, repeat=15),
    emit=st.sampled_from(("matched", "unmatched", "both", "both")),
    unit_bytes=unit_sizes,
    part_bytes=part_sizes,
)
@FEW
def test_same_as_the_oracle_at_any_number_of_workers(rooms, case, emit, unit_bytes, part_bytes):
    """Files, in the order given, come out as the oracle has them at 1, 2 and 4 workers."""
    directory = rooms()
    paths = write(directory, case)
    files = [(str(path), file.data) for path, file in zip(paths, case.files, strict=True)]
    results, total = oracle.match_all(files, case.restrictions, case.keys, emit=emit)
    for workers in (1, 2, 4):
        output = directory / f"out-{workers}"
        summary, streams = run(
            paths,
            load(case),
            output,
            workers=workers,
            emit=emit,
            unit_bytes=unit_bytes,
            part_bytes=part_bytes,
        )
        assert (streams["matched.jsonl"] or b"") == total.matched
        assert (streams["unmatched.jsonl"] or b"") == total.unmatched
        assert (streams["quarantine.jsonl"] or b"") == b""
        assert_hits(streams["restrictions.jsonl"], total, restrictions_in(case))
        assert_sums_hold(summary, output, paths, results, total)
    shutil.rmtree(directory)


@given(case=strategies.cases(files=3, repeat=15), unit_bytes=unit_sizes, part_bytes=part_sizes)
@FEW
def test_positions_are_rebased_across_units_and_parts(rooms, case, unit_bytes, part_bytes):
    """Provenance gives index, line and offset within the file, wherever units and parts were cut."""
    directory = rooms()
    paths = write(directory, case)
    sizes_given = {"unit_bytes": unit_bytes, "part_bytes": part_bytes}
    _, streams = run(paths, load(case), directory / "out", emit="both", provenance=True, **sizes_given)
    named = [json.loads(line)["file"] for line in (streams["matched.jsonl"] + streams["unmatched.jsonl"]).splitlines()]
    assert set(named) <= {str(path) for path in paths} | {os.path.realpath(path) for path in paths}
    names = [str(path) if str(path) in named else os.path.realpath(path) for path in paths]
    files = [(name, file.data) for name, file in zip(names, case.files, strict=True)]
    _, total = oracle.match_all(files, case.restrictions, case.keys, emit="both", provenance=True)
    for stream, expected in (
        (streams["matched.jsonl"], total.matched),
        (streams["unmatched.jsonl"], total.unmatched),
    ):
        assert [line_and_record(line) for line in stream.splitlines()] == [
            line_and_record(line) for line in expected.splitlines()
        ]
    shutil.rmtree(directory)


def line_and_record(line):
    """A provenance line as its head, parsed, and its record, verbatim."""
    head, record = line.split(b',"record":', 1)
    return json.loads(head + b"}"), record


@given(case=strategies.nested_cases(files=3), unit_bytes=unit_sizes, part_bytes=part_sizes)
@FEW
def test_records_inside_documents(rooms, case, unit_bytes, part_bytes):
    """With `records_at`, the same bytes as the oracle's at any size of units and parts."""
    directory = rooms()
    paths = write(directory, case)
    files = [(str(path), file.data) for path, file in zip(paths, case.files, strict=True)]
    nested = {"emit": "both", "records_at": case.records_at}
    results, total = oracle.match_all(files, case.restrictions, case.keys, **nested)
    sizes_given = {"unit_bytes": unit_bytes, "part_bytes": part_bytes}
    summary, streams = run(paths, load(case), directory / "out", **nested, **sizes_given)
    assert (streams["matched.jsonl"], streams["unmatched.jsonl"]) == (total.matched, total.unmatched)
    assert_sums_hold(summary, directory / "out", paths, results, total)
    shutil.rmtree(directory)


@given(damaged=st.lists(strategies.damaged_lines(), min_size=1, max_size=3), repeat=st.integers(1, 5))
@FEW
def test_the_same_bytes_with_bad_lines_at_any_workers_and_sizes(rooms, damaged, repeat):
    """All four streams are the same bytes whatever the workers and sizes, and hold one entry a bad line."""
    directory = rooms()
    paths = [directory / f"{number}.jsonl" for number, _ in enumerate(damaged)]
    for path, (data, _) in zip(paths, damaged, strict=True):
        path.write_bytes(data * repeat)
    restrictions = damaged[0][1]
    files = [(str(path), path.read_bytes()) for path in paths]
    results, total = oracle.match_all(files, restrictions, [("data", "data")], emit="both")
    seen = []
    for workers, unit_bytes, part_bytes in ((1, 1 << 20, 1 << 20), (2, 50, 30), (4, 16, 1)):
        output = directory / f"out-{workers}"
        sizes_given = {"workers": workers, "unit_bytes": unit_bytes, "part_bytes": part_bytes}
        summary, streams = run(paths, Restrictions.load(restrictions), output, emit="both", **sizes_given)
        assert (streams["matched.jsonl"], streams["unmatched.jsonl"]) == (total.matched, total.unmatched)
        assert_sums_hold(summary, output, paths, results, total)
        seen.append(streams)
    assert seen[0] == seen[1] == seen[2]
    entries = [json.loads(line) for line in seen[0]["quarantine.jsonl"].splitlines()]
    assert [(entry["index"], entry["line"]) for entry in entries] == [known[:2] for known in total.entries]
    by_file = iter(entries)
    for path, one in zip(paths, results, strict=True):
        for known, entry in zip(one.entries, by_file, strict=False):
            assert os.path.realpath(entry["file"]) == os.path.realpath(path)
            text = path.read_bytes()[entry["byte_offset"] : entry["byte_offset"] + entry["bytes"]]
            assert text.strip(oracle.SPACE) == known.text
    shutil.rmtree(directory)


def test_a_large_file_of_lines_is_cut_into_many_units(rooms):
    """Ranges of one file, far more of them than workers, come out in the file's order with its positions."""
    directory = rooms()
    lines = [b'{"data":%d,"pad":"%s"}' % (number % 7, b"x" * (number % 50)) for number in range(5_000)]
    path = directory / "large.jsonl"
    path.write_bytes(b"\r\n".join(lines))
    restrictions = b'[{"data":3},{"data":5.0},{"data":3e0},{"data":9}]'
    sizes_given = {"workers": 4, "unit_bytes": 10_000, "part_bytes": 3_000}
    summary, streams = run(
        [path],
        Restrictions.load(restrictions),
        directory / "out",
        emit="both",
        provenance=True,
        **sizes_given,
    )
    results, total = oracle.match_all(
        [(str(path), path.read_bytes())], restrictions, [("data", "data")], emit="both", provenance=True
    )
    assert [line_and_record(line)[0]["index"] for line in streams["matched.jsonl"].splitlines()] == [
        position.index for position in results[0].positions if position.hits
    ]
    assert [line_and_record(line) for line in streams["matched.jsonl"].splitlines()] == [
        line_and_record(line) for line in total.matched.splitlines()
    ]
    assert_hits(streams["restrictions.jsonl"], total, 4)
    assert_sums_hold(summary, directory / "out", [path], results, total)


def test_a_file_named_twice_is_read_once(rooms):
    """Identity is the resolved path: repeats and symbolic links add nothing, a hard link does."""
    directory = rooms()
    first, soft, hard = directory / "b.jsonl", directory / "a.jsonl", directory / "c.jsonl"
    first.write_bytes(b'{"data":1}\n')
    soft.symlink_to(first)
    hard.hardlink_to(first)
    summary, streams = run([first, soft, hard, first], Restrictions.load(b'[{"data":1}]'), directory / "out")
    assert summary["totals"]["files"] == 2
    assert streams["matched.jsonl"] == b'{"data":1}\n' * 2
