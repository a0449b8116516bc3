"""Real data, a command each, against expected results and the independent slicer: the bundled sample, and the
three shared scenarios where they lie beside the repository."""

import hashlib
import json
import os
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import REPO
from tests.support import oracle
from tests.support.program import program

pytestmark = pytest.mark.slow

SHARED = REPO.parent / "shared" / "data"
LISTING = SHARED / "scenarios.json"
SAMPLE = REPO / "tests" / "sample"


def scenarios():
    """Name, folder, key and restrictions of each; the shared ones are skipped where they are not."""
    listed = json.loads(LISTING.read_bytes()) if LISTING.exists() else []
    listed = [one | {"root": SHARED / one["name"]} for one in listed]
    sample = [
        {"name": f"sample-{name}", "root": SAMPLE / name, "key": key, "restrictions": "restrictions.json"}
        for name, key in (("cve", "cveID"), ("trending", "query"))
    ]
    return sample + listed


SCENARIOS = scenarios()
each_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])


def links_of(scenario):
    return scenario["root"] / "links"


def expected_of(scenario):
    return json.loads((scenario["root"] / "expected.json").read_bytes())


@pytest.mark.skipif(not LISTING.exists(), reason="no shared data beside the repository")
def test_the_shared_scenarios_are_all_here():
    """Three of them; says so where they are missing."""
    assert [one["name"] for one in SCENARIOS if one["root"].parent == SHARED] == ["trending", "phishing", "cve"]


@cache
def sliced(name):
    """What the oracle cuts out of the scenario's files, sorted by the bytes of their relative paths."""
    scenario = next(one for one in SCENARIOS if one["name"] == name)
    links = links_of(scenario)
    found = [str(path.relative_to(links)) for path in links.rglob("*") if path.is_file()]
    paths = sorted(found, key=os.fsencode)
    restrictions = (scenario["root"] / scenario["restrictions"]).read_bytes()
    files = [(path, (links / path).read_bytes()) for path in paths]
    results, total = oracle.match_all(files, restrictions, [(scenario["key"],) * 2], emit="both")
    return dict(zip(paths, results, strict=True)), total


def submitted(scenario, output, *options):
    """The summary that one `submit` command prints with `--json`, on the Ray of all tests."""
    restrictions = scenario["root"] / scenario["restrictions"]
    arguments = [links_of(scenario), "-r", restrictions, "-k", scenario["key"], "-o", output, "--json", *options]
    code, printed, told = program("submit", *map(str, arguments))
    assert code == 0, told
    return json.loads(printed)


def digest(lines):
    return hashlib.sha256("".join(sorted(lines)).encode("ascii")).hexdigest()


def canonical(stream):
    """The records of a stream as the shared README digests them."""
    plain = {"sort_keys": True, "separators": (",", ":"), "ensure_ascii": True}
    return [json.dumps(json.loads(line), **plain) + "\n" for line in stream.split(b"\n") if line]


def assert_counts(summary, expected):
    totals = summary["totals"]
    assert totals["files"] == expected["input_files"]
    assert totals["records"] == expected["records"]
    assert totals["matched"] == expected["matched_records"]
    assert totals["unmatched"] == expected["unmatched_records"]
    assert totals["missing_key"] == expected["records_missing_key"]
    assert totals["not_object"] == expected["records_not_objects"]
    assert totals["entries"] == 0


@each_scenario
@pytest.mark.usefixtures("ray_session")
def test_plain(scenario, tmp_path):
    """Counts and digest are the expected ones; matched.jsonl is, byte for byte, what the slicer cuts out."""
    expected = expected_of(scenario)
    summary = submitted(scenario, tmp_path / "out")
    assert_counts(summary, expected)
    matched = (tmp_path / "out" / "matched.jsonl").read_bytes()
    assert digest(canonical(matched)) == expected["matched_records_sha256"]
    assert matched == sliced(scenario["name"])[1].matched
    hits = [json.loads(line) for line in (tmp_path / "out" / "restrictions.jsonl").read_bytes().splitlines()]
    assert len(hits) == expected["restrictions"]
    assert sum(line["hits"] > 0 for line in hits) == expected["restrictions_hit"]
    assert sum(line["hits"] for line in hits) == expected["matched_pairs"]
    assert json.loads((tmp_path / "out" / "summary.json").read_bytes()) == summary


@each_scenario
@pytest.mark.usefixtures("ray_session")
def test_emit_both(scenario, tmp_path):
    """Both lists have the expected digests and are, byte for byte and in order, what the slicer cuts out."""
    expected = expected_of(scenario)
    assert_counts(submitted(scenario, tmp_path / "out", "--emit", "both"), expected)
    matched = (tmp_path / "out" / "matched.jsonl").read_bytes()
    unmatched = (tmp_path / "out" / "unmatched.jsonl").read_bytes()
    assert digest(canonical(matched)) == expected["matched_records_sha256"]
    assert digest(canonical(unmatched)) == expected["unmatched_records_sha256"]
    total = sliced(scenario["name"])[1]
    assert matched == total.matched
    assert unmatched == total.unmatched


@each_scenario
@pytest.mark.usefixtures("ray_session")
def test_positions(scenario, tmp_path):
    """Provenance names file, index, line and offset of every match, and the expected digest comes of them."""
    expected, links = expected_of(scenario), links_of(scenario)
    submitted(scenario, tmp_path / "out", "--provenance")
    stream = (tmp_path / "out" / "matched.jsonl").read_bytes()
    lines = [json.loads(line) for line in stream.split(b"\n") if line]
    found = [(relative(line["file"], links), line) for line in lines]
    assert expected["matched_positions_sha256"] == digest(f"{path}\t{line['index']}\n" for path, line in found)
    assert sum(line["restrictions_total"] for line in lines) == expected["matched_pairs"]
    assert [(path, line["index"], line["line"], line["byte_offset"]) for path, line in found] == [
        (path, *position[:3])
        for path, one in sliced(scenario["name"])[0].items()
        for position in one.positions
        if position.hits
    ]


def relative(file, links):
    """A file's name as it is within the links directory, whether reported absolute or relative to it."""
    if not Path(file).is_absolute():
        return file
    return os.path.relpath(os.path.realpath(file), os.path.realpath(links))
