"""Results that are deleted, moved or replaced in mid-job: that is said, and no summary stands over nothing."""

import gzip
import os
import shutil
import subprocess
import sys
from dataclasses import asdict

import pytest

from linkmatch_ray import JobOptions, MatchOptions
from linkmatch_ray.errors import ResultsGone
from linkmatch_ray.io.inputs.file import pack_files
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.sniff import cuttable
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.runtime.jobs.collector import Collector
from linkmatch_ray.runtime.jobs.plan import PlanOptions, make_plan
from linkmatch_ray.runtime.jobs.request import Request
from linkmatch_ray.runtime.jobs.worker import TaskSettings, match_unit
from tests.support.jobs import DETAILS, LIST, OUTPUTS
from tests.support.tiers import kinds
from tests.support.waiting import START_SECONDS_MAX, comes

BOTH = MatchOptions(emit="both")
SMALL = PlanOptions(unit_bytes=300, part_bytes=100)


def how(incremental):
    """Options of a job in small units."""
    return JobOptions.of(BOTH, incremental=incremental, **asdict(SMALL))


@pytest.fixture
def top(tmp_path):
    """Some files."""
    (tmp_path / "in").mkdir()
    for number in range(6):
        (tmp_path / f"in/{number}.jsonl").write_bytes(b'{"data":"a"}\n{"data":"c"}\n{"data":\n' * 10)
    return tmp_path


def drive(top, output, at=None, do=None, *, incremental=False):
    """A job on the plain collector, on whose way something is done: before the step `at`, from 0 (it is open) on, or
    from -1 (all is committed) back. Each step is a part that is committed, durably."""
    results = results_at(output)
    request = Request(list_inputs(top / "in"), LIST, results, how(incremental))
    plan = make_plan(
        request.files, cuttable(request.files, BOTH, request.plan.whole_bytes), request.plan, request.reuse
    )
    collector = Collector(str(results), pack_files(request.files), plan.ranges, request.settings, request.reuse)
    try:
        receipt = collector.open()
        task, bodies = TaskSettings(LIST.paths, BOTH, request.plan, results.staging()), []
        for unit in plan.units(receipt.durable[:2]):
            files = pack_files(request.files[unit.first : unit.stop])
            bodies += list(match_unit(unit, files, LIST.index, task))[::2]
        for step in range(len(bodies) + 1):
            if at is not None and step == at % (len(bodies) + 1):
                do()
            if step < len(bodies):
                collector.commit(bodies[step])
                while collector.flush().more:
                    collector.commit()
        return collector.finish(LIST.index, DETAILS)
    finally:
        collector._held.close()


def content(output):
    return [(output / name).read_bytes() for name in OUTPUTS]


def delete(place):
    shutil.rmtree(place)


def move(place):
    place.rename(place.with_name("moved"))


def delete_and_make(place):
    shutil.rmtree(place)
    place.mkdir()


def move_and_make(place):
    move(place)
    place.mkdir()
    (place / "mine.txt").touch()


def replace_by_a_copy(place):
    shutil.copytree(place, place.with_name("copy"))
    shutil.rmtree(place)
    place.with_name("copy").rename(place)


def replace_by_a_file(place):
    shutil.rmtree(place)
    place.touch()


def without(name):
    def remove(place):
        (place / name).unlink()

    remove.__name__ = f"without {name}"
    return remove


def another_ledger(place):
    shutil.copy(place / "ledger.sqlite", place / "copy")
    (place / "copy").rename(place / "ledger.sqlite")


DEEDS = [
    delete, move, delete_and_make, move_and_make, replace_by_a_copy, replace_by_a_file, another_ledger,
    *map(without, ["linkmatch.lock", "ledger.sqlite", "matched.jsonl", "quarantine.jsonl"]),
]  # fmt: skip


def assert_gone(error, place):
    """In one sentence, and without a word of what could be resumed."""
    assert not error.is_resumable
    assert str(error).startswith(str(place))
    assert "while the job ran" in str(error)
    assert f"Nothing in {place} can be resumed" in str(error)


@pytest.mark.parametrize("at", kinds([5, 0, 1, -2, -1]))
@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_a_directory(top, deed, at):
    """At the beginning, in between and at the end; the same job then begins anew."""
    out = top / "out"
    with pytest.raises(ResultsGone) as found:
        drive(top, out, at, lambda: deed(out))
    assert_gone(found.value, out)
    assert not (out / "summary.json").exists()
    if out.is_dir():
        shutil.rmtree(out)
    out.unlink(missing_ok=True)
    drive(top, out)
    drive(top, top / "undisturbed")
    assert content(out) == content(top / "undisturbed")


@pytest.mark.parametrize("at", kinds([5, 0, -1]))
def test_a_directory_that_is_moved_back(top, at):
    """The job goes on where it stopped, as the message says."""
    out = top / "out"
    with pytest.raises(ResultsGone, match="move it back, and run the same command again"):
        drive(top, out, at, lambda: move(out))
    (top / "moved").rename(out)
    assert (results_at(out).ledger().frontier().next > (0, 0, 0)) == (at != 0)
    drive(top, out)
    drive(top, top / "undisturbed")
    assert content(out) == content(top / "undisturbed")


@pytest.mark.parametrize("at", [0, -1])
@pytest.mark.parametrize("below", [True, False])
def test_an_incremental_job(top, at, below):
    """`next` is deleted, and what was there before stays as it was; or all is."""
    out = top / "out"
    drive(top, out)
    before = content(out)
    (top / "in/7.jsonl").write_bytes(b'{"data":"b"}\n')
    place = out / "next" if below else out
    with pytest.raises(ResultsGone) as found:
        drive(top, out, at, lambda: delete(place), incremental=True)
    assert_gone(found.value, place)
    if below:
        assert content(out) == before
        assert results_at(out).summary() is not None
    drive(top, out, incremental=below)
    drive(top, top / "undisturbed")
    assert content(out) == content(top / "undisturbed")


def test_an_incremental_job_before_it_begins(top):
    """What it would take over is gone when the collector looks."""
    out = top / "out"
    drive(top, out)
    (top / "in/7.jsonl").write_bytes(b'{"data":"b"}\n')
    request = Request(list_inputs(top / "in"), LIST, results_at(out), how(True))
    shutil.rmtree(out)
    plan = make_plan(
        request.files, cuttable(request.files, BOTH, request.plan.whole_bytes), request.plan, request.reuse
    )
    with pytest.raises(ResultsGone):
        Collector(str(out), pack_files(request.files), plan.ranges, request.settings, request.reuse).open()


@pytest.mark.parametrize(
    ("at", "below"),
    [
        *((at, below) for at in (0, 5, -1) for below in ("", "ledger")),
        *((at, below) for at in (5, -1) for below in ("matched", "quarantine")),
    ],
)
def test_at_a_url(top, at, below):
    """All objects are deleted, or those of the ledger, or of an output that has some."""
    url = f"file://{top}/out"
    with pytest.raises(ResultsGone) as found:
        drive(top, url, at, lambda: shutil.rmtree(top / "out" / below))
    assert_gone(found.value, url)
    assert not (top / "out/summary.json").exists()


@pytest.mark.slow
def test_the_command(tmp_path, command_environment):
    """On a real Ray: exit code 1, what happened, and no line that says how to resume."""
    lines = b"".join(b'{"data":"%d","text":"%s"}\n' % (n, b"x" * 200) for n in range(100))
    for number in range(12):  # compressed, so that it takes a while
        (tmp_path / f"{number}.jsonl.gz").write_bytes(gzip.compress(lines * 2_000, 1))
    (tmp_path / "list.txt").write_text("5\n")
    arguments = ["submit", *(f"{n}.jsonl.gz" for n in range(12)), "-r", "list.txt", "-o", "out", "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "linkmatch_ray", *arguments], cwd=tmp_path, env=command_environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    started = tmp_path / "out/matched.jsonl"
    assert comes(lambda: started.exists() and started.stat().st_size, START_SECONDS_MAX)
    delete_and_make(tmp_path / "out")
    stdout, stderr = process.communicate(timeout=START_SECONDS_MAX)
    assert (process.returncode, stdout) == (1, ""), stderr
    assert f"Nothing in {tmp_path}/out can be resumed" in stderr
    assert "resume:" not in stderr
    assert "is safe" not in stderr
    assert os.listdir(tmp_path / "out") == []
