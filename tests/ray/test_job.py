"""What a `Job` gives: its records while it runs and afterwards, its end to who waits or awaits, and its summary."""

import asyncio
from dataclasses import asdict

import pytest

from linkmatch_ray import MatchOptions, submit
from linkmatch_ray.errors import Interrupted
from linkmatch_ray.io.results import matches
from linkmatch_ray.runtime.jobs.plan import PlanOptions
from tests.support import whole
from tests.support.jobs import LIST

SECONDS_MAX = 90
LINES = [b'{"data":"a","n":%d}\n' % number for number in range(5)]


@pytest.fixture
def first(tmp_path):
    """A file of matches, between records that are none."""
    path = tmp_path / "first.jsonl"
    path.write_bytes(b'{"data":"c"}\n'.join([b"", *LINES, b""]))
    return path


def begin(first, last, output):
    return submit([first, last.url], LIST, output=output, workers=2, one_file_per_task=True)


@pytest.mark.usefixtures("ray_session")
def test_records_come_while_it_runs(first, last, tmp_path):
    """Those of a file that is complete, each once; then no more until the end, which the iterator waits for."""
    job = begin(first, last, tmp_path / "out")
    records = job.follow()
    assert [next(records) for _ in LINES] == LINES
    assert job.summary() is None
    assert not job.wait(0)
    assert job.matches(1, 2) == LINES[1:3]
    last.release()
    assert list(records) == []
    assert job.summary() == job.result(0)
    assert list(job.follow()) == job.matches() == LINES
    assert (tmp_path / "out/matched.jsonl").read_bytes() == b"".join(LINES)


@pytest.mark.usefixtures("ray_session")
def test_records_and_end_in_an_event_loop(first, last, tmp_path):
    """`async for` and `await`, which block nobody else."""

    async def watch(job):
        given, waiting = [], asyncio.ensure_future(job._ended())
        async for record in job:
            given.append(record)
            if len(given) == len(LINES):
                assert not waiting.done()
                last.release()
        return given, await waiting, await job

    given, awaited, summary = asyncio.run(watch(begin(first, last, tmp_path / "out")))
    assert given == LINES
    assert awaited == summary
    assert summary["totals"]["matched"] == len(LINES)


@pytest.mark.usefixtures("ray_session")
def test_a_job_that_is_stopped(first, last, tmp_path):
    """Who follows it has had what was complete, and is told; who resumes it has all from the first record on."""
    job = begin(first, last, tmp_path / "out")
    records = job.follow()
    assert next(records) == LINES[0]
    job.cancel()
    with pytest.raises(Interrupted):
        list(records)
    with pytest.raises(Interrupted):
        asyncio.run(job._ended())
    assert job.summary() is None
    assert job.matches() == LINES
    last.release()
    assert list(begin(first, last, tmp_path / "out").follow()) == LINES


@pytest.fixture
def complete(first, tmp_path):
    """A job that was complete before; it needs no Ray."""
    output = tmp_path / "out"
    whole.submit(first, output, MatchOptions(), PlanOptions())
    return submit(first, whole.LIST, output=output)


def test_pages(complete, monkeypatch):
    """At most so many lines and bytes, whatever was asked for, but a line at least; one after the other is all."""
    assert complete.matches(limit=10**30) == LINES
    assert complete.matches(4, 2) == LINES[4:]
    assert complete.matches(0, 0) == complete.matches(0, -1) == complete.matches(5) == complete.matches(10**30) == []
    for name, value, expected in (("LINES_MAX", 2, 2), ("LINES_BYTES", len(LINES[0]) + 1, 2), ("LINES_BYTES", 1, 1)):
        with monkeypatch.context() as patched:
            patched.setattr(matches, name, value)
            assert complete.matches() == LINES[:expected]
            assert list(complete.follow()) == LINES


def test_a_complete_job(complete):
    """Its end has come, whoever asks for it and how."""
    assert complete.wait(0)
    assert complete.summary() == complete.result(0) == asyncio.run(complete._ended())


def test_options_by_name_and_as_values(first, tmp_path):
    """The same job, however its options are given; by name they go before."""
    output = tmp_path / "out"
    whole.submit(first, output, MatchOptions(emit="both", format="lines"), PlanOptions())
    for options, more in (
        (MatchOptions(emit="both", format="lines"), {}),
        (MatchOptions(emit="both"), {"format": "lines"}),
        (None, asdict(MatchOptions(emit="both", format="lines"))),
    ):
        assert submit(first, whole.LIST, output=output, options=options, **more).wait(0)


def test_names_from_a_file(first, tmp_path):
    """As with --files-from and --null: beside inputs or alone."""
    output = tmp_path / "out"
    whole.submit(first, output, MatchOptions(), PlanOptions())
    for separator, null in (("\n", False), ("\0", True)):
        (tmp_path / "names").write_text(f"{first}{separator}")
        for inputs in ([], [first]):
            job = submit(inputs, whole.LIST, output=output, files_from=str(tmp_path / "names"), null=null)
            assert job.wait(0)
