"""A list some of whose entries were left out: reports and provenance have the places in the whole list."""

import json

import pytest

from linkmatch_ray import MatchOptions, Restrictions
from linkmatch_ray.cli.output import summary_lines
from linkmatch_ray.errors import JobChanged
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.verification import Checked, verify
from linkmatch_ray.runtime.jobs.plan import PlanOptions
from tests.support import jobs, whole

LIST = b'[{"x":0}, "a", "b", {}, {"data":1}, {}, "a", {}]'
REPORT = [
    {"index": 1, "key": "a", "hits": 2},
    {"index": 2, "key": "b", "hits": 0},
    {"index": 4, "key": 1, "hits": 1},
    {"index": 6, "key": "a", "hits": 2},
]


@pytest.fixture
def done(tmp_path, monkeypatch):
    """The summary of a job with such a list, and where its results are."""

    def run(document):
        loaded = Restrictions.load(document, skip_keyless=True)
        monkeypatch.setattr(whole, "LIST", loaded)
        monkeypatch.setattr(jobs, "LIST", loaded)
        return whole.submit(tmp_path / "in", tmp_path / "out", MatchOptions(provenance=True), PlanOptions())

    (tmp_path / "in").mkdir()
    (tmp_path / "in/x.jsonl").write_bytes(b'{"data":"a"}\n{"data":1}\n{"data":"c"}\n{"data":"a"}\n')
    return tmp_path / "out", run


def test_the_places_are_those_in_the_list(done):
    """And `verify` finds them right, and notices another place."""
    out, run = done
    summary = run(LIST)
    assert (summary["totals"]["restrictions"], summary["totals"]["restrictions_hit"]) == (4, 3)
    assert summary["restrictions_left_out"] == 4
    assert "4 entries of the list without the key left out" in list(summary_lines(summary))
    report = out / "restrictions.jsonl"
    assert [json.loads(line) for line in report.read_bytes().splitlines()] == REPORT
    found = [json.loads(line)["restrictions"] for line in (out / "matched.jsonl").read_bytes().splitlines()]
    assert found == [[1, 6], [4], [1, 6]]
    assert list(verify(results_at(out), Checked())) == []
    right = report.read_bytes()
    for wrong in (b'"index":3', b'"index":9999999', b'"index":00004', b'"index":1', b'"index":-4', b'"index":1e3'):
        report.write_bytes(right.replace(b'"index":4', wrong))
        assert list(verify(results_at(out), Checked())) != []


def test_another_place_is_another_job(done):
    """The report of a resumed job would otherwise be wrong; what is behind the last key is in no report."""
    _, run = done
    summary = run(LIST)
    assert run(LIST[:-1] + b",{}]") == summary
    with pytest.raises(JobChanged, match="other restrictions"):
        run(b"[{}," + LIST[1:])
