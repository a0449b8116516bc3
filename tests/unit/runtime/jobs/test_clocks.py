"""A clock that is set, back or forward, while a job runs."""

import time
from itertools import count

import pytest

from linkmatch_ray import MatchOptions
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.verification import Checked, verify
from linkmatch_ray.runtime.jobs.plan import PlanOptions
from tests.support.jobs import NAMES, write
from tests.support.whole import submit

HOW = (MatchOptions(), PlanOptions())
A_DAY = 86_400


@pytest.mark.parametrize("step", [-A_DAY, A_DAY])
def test_seconds_of_the_summary(step, tmp_path, monkeypatch):
    """Are those that went by, and the summary can be read again."""
    write(tmp_path / "in", dict.fromkeys(NAMES, 1))
    real, calls = time.time, count(1)
    monkeypatch.setattr(time, "time", lambda: real() + step * next(calls))
    began = time.monotonic()
    summary = submit(tmp_path / "in", tmp_path / "out", *HOW)
    for name in ("seconds", "matching_seconds"):
        assert 0 <= summary[name] <= time.monotonic() - began
    assert submit(tmp_path / "in", tmp_path / "out", *HOW) == summary
    assert list(verify(results_at(tmp_path / "out"), Checked())) == []
