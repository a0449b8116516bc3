"""A job stops within a moment, whatever it waits for before its first task."""

import threading
import time

import pytest

from linkmatch_ray import submit
from linkmatch_ray.errors import DirectoryInUse, Interrupted
from linkmatch_ray.io.results import bucket
from linkmatch_ray.io.results.directory import Directory
from linkmatch_ray.io.results.directory_lock import Lock
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.runtime.jobs.progress import Progress
from linkmatch_ray.runtime.session.session import Session
from tests.support.jobs import LIST
from tests.support.silent import LARGE, silent
from tests.support.waiting import comes

SECONDS_MAX = 2.0


def assert_stops(job, stop):
    """In time, and says why."""
    began = time.monotonic()
    stop()
    with pytest.raises(Interrupted):
        job.result(10)
    assert time.monotonic() - began < SECONDS_MAX


@pytest.mark.slow
def test_while_ray_starts(tmp_path):
    """Which may take long, on a cluster above all."""

    class Starting(Session):
        """Never ready."""

        def __init__(self):
            self.joins, self.cpus = False, None

        def begin(self, after_seconds=0.0):
            pass

        def ready(self):
            threading.Event().wait()

    (tmp_path / "a.json").write_text('"a"')
    job = submit([tmp_path / "a.json"], LIST, output=tmp_path / "out", session=Starting(), job_id="j")
    assert job.progress() == Progress(files=1, bytes_total=3, doing="starting Ray")  # known from the first
    assert repr(job) == f"<Job j: starting Ray, 0 of 1 file done, results in {tmp_path}/out>"
    assert_stops(job, job.cancel)
    assert repr(job) == f"<Job j: stopped, 0 of 1 file done, results in {tmp_path}/out>"


@pytest.mark.usefixtures("ray_session")
def test_while_the_plan_is_made(tmp_path):
    """A server does not give the beginning of a large object."""
    with silent(LARGE) as (port, asked):
        job = submit([f"http://127.0.0.1:{port}/a.jsonl"], LIST, output=tmp_path / "out")
        assert asked.wait(10)
        assert_stops(job, job.cancel)


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_by_its_place_while_the_plan_is_made(scheme, tmp_path, monkeypatch):
    """As `linkmatch-ray cancel` does: the job is found there, and has let go of it when that returns."""
    monkeypatch.setattr(bucket, "BEAT_SECONDS", 0.1)
    output = f"{scheme}{tmp_path}/out"
    with silent(LARGE) as (port, asked):
        job = submit([f"http://127.0.0.1:{port}/a.jsonl"], LIST, output=output)
        assert asked.wait(10)
        assert comes(lambda: results_at(output).holder())
        assert_stops(job, results_at(output).cancel)
    assert results_at(output).holder() is None
    assert not results_at(output).is_asked_to_stop()


@pytest.mark.usefixtures("ray_session")
def test_while_the_collector_opens(tmp_path):
    """It waits for one that holds the place."""
    (tmp_path / "a.json").write_text('"a"')
    (tmp_path / "out").mkdir()
    release = Directory(tmp_path / "out").lock()
    try:
        job = submit([tmp_path / "a.json"], LIST, output=tmp_path / "out")
        assert comes(lambda: job._collector)
        assert_stops(job, job.cancel)
    finally:
        release()


@pytest.mark.usefixtures("ray_session")
def test_a_place_that_is_held_by_another(tmp_path, monkeypatch):
    """It is told before the plan is made, if that takes long."""
    monkeypatch.setattr(Lock.__init__, "__defaults__", (0.1,))  # instead of 5 s
    (tmp_path / "out").mkdir()
    release = Directory(tmp_path / "out").lock()
    try:
        with silent(LARGE) as (port, _):
            job = submit([f"http://127.0.0.1:{port}/a.jsonl"], LIST, output=tmp_path / "out")
            with pytest.raises(DirectoryInUse, match="another job writes here"):
                job.result(10)
    finally:
        release()
