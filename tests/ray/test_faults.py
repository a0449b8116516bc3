"""Real kills on a real Ray: the bytes are the same whatever was killed. A first proof of the protocol."""

import contextlib
import json

import psutil
import pytest

from linkmatch_ray import MatchOptions, Restrictions, submit
from linkmatch_ray.errors import Interrupted
from tests.support.processes import titled
from tests.support.waiting import comes

pytestmark = pytest.mark.usefixtures("ray_session")

RECORDS = 40_000
UNIT_BYTES = 100_000
DEADLINE_SECONDS = 60


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """One file of lines, its restrictions, and the bytes that a job over it must give."""
    directory = tmp_path_factory.mktemp("faults")
    keys = [n * 7919 % 1000 for n in range(RECORDS)]
    lines = [b'{"id":%d,"data":%d,"text":"%s"}\n' % (n, key, b"x" * 60) for n, key in enumerate(keys)]
    path = directory / "records.jsonl"
    path.write_bytes(b"".join(lines))
    restrictions = Restrictions.load(json.dumps([{"data": n} for n in range(0, 1000, 3)]).encode())
    expected = b"".join(line for line, key in zip(lines, keys, strict=True) if key % 3 == 0)
    return path, restrictions, expected


def begin(corpus, output, last, *before):
    path, restrictions, _ = corpus
    inputs = [*before, path, last.url]
    return submit(inputs, restrictions, output=output, options=MatchOptions(), workers=2, unit_bytes=UNIT_BYTES)


def when_under_way(job):
    """Wait until something is durable."""
    assert comes(lambda: job.progress().ends.get("matched"), DEADLINE_SECONDS), "nothing was ever committed"


def kill(title):
    """SIGKILL one of the processes of that title, now or as soon as there is one."""

    def killed():
        for process in titled(title):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
                return True
        return False

    assert comes(killed, DEADLINE_SECONDS), f"no process {title}"


def assert_expected(job, corpus, output, last):
    last.release()
    summary = job.result(DEADLINE_SECONDS)
    assert (output / "matched.jsonl").read_bytes() == corpus[2]
    assert summary["totals"]["records"] == RECORDS
    assert summary["totals"]["entries"] == 0


def test_a_worker_killed_twice(corpus, last, tmp_path):
    """Units whose worker died are done again, each record once."""
    job = begin(corpus, tmp_path / "out", last)
    when_under_way(job)
    kill("ray::match")
    kill("ray::match")
    assert_expected(job, corpus, tmp_path / "out", last)


def test_the_collector_killed(corpus, last, tmp_path):
    """A new collector recovers, and is offered again what the old one had not made durable."""
    job = begin(corpus, tmp_path / "out", last)
    when_under_way(job)
    kill("ray::Collector")
    assert_expected(job, corpus, tmp_path / "out", last)


def test_cancelled_and_resumed(corpus, last, tmp_path):
    """The same call again goes on where the job was stopped."""
    job = begin(corpus, tmp_path / "out", last)
    when_under_way(job)
    job.cancel()
    with pytest.raises(Interrupted):
        job.result(DEADLINE_SECONDS)
    again = begin(corpus, tmp_path / "out", last)
    assert again.id == job.id
    assert_expected(again, corpus, tmp_path / "out", last)


def test_other_programs_ask_the_collector(corpus, last, tmp_path):
    """The named actor answers while the job runs, with what comes of the files that are complete."""
    import ray

    first = tmp_path / "first.json"
    first.write_bytes(b'{"data": 0, "n": "first"}\n{"data": 3, "n": "second"}\n')
    job = begin(corpus, tmp_path / "out", last, first)
    when_under_way(job)
    collector = ray.get_actor(f"linkmatch:{job.id}", namespace="linkmatch")
    progress = ray.get(collector.progress.remote())
    assert progress["state"] == "running"
    assert ray.get(collector.matches.remote(0, 2)) == first.read_bytes().splitlines(keepends=True)
    assert job.matches(1, 2) == first.read_bytes().splitlines(keepends=True)[1:]
    assert ray.get(collector.summary.remote()) is None
    last.release()
    job.result(DEADLINE_SECONDS)
    assert job.matches(1, 3) == [
        first.read_bytes().splitlines(keepends=True)[1],
        *corpus[2].splitlines(keepends=True)[:2],
    ]
