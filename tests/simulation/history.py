"""One history: a job that is disturbed, resumed and disturbed again, until it is done without."""

import random
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

from ray.exceptions import WorkerCrashedError

from linkmatch_ray.errors import DirectoryInUse, Interrupted, JobError
from linkmatch_ray.runtime.jobs import collector, driver, scheduler
from tests.simulation.clock import Clock
from tests.simulation.fake_actor import FakeCollector, burning
from tests.simulation.fake_ray import FakeRay
from tests.simulation.faults import DriverKilled, Fuse, NotAsItShould, Rates
from tests.simulation.jobs import LIST, TASK_SECONDS, drawn, told

MEMORY = Path("/dev/shm")
"""Where a file system in memory is: histories sync much."""

JOBS = 64
"""Different jobs; each is made once, and disturbed in many ways."""

STARTS_MAX = 4
"""Times that a job is started in a history; the last one is not disturbed."""

LIMITS = {
    (scheduler, "RESULT_BYTES_MAX"): (1, 50, 200, 2_000, scheduler.RESULT_BYTES_MAX),
    (scheduler, "OFFER_BYTES"): (1, 300, scheduler.OFFER_BYTES),
    (scheduler, "UNITS_BEHIND_MAX"): (1, 2, scheduler.UNITS_BEHIND_MAX),
    (collector, "COMMIT_BYTES"): (1, 500, collector.COMMIT_BYTES),
}
"""Histories have limits that so small jobs reach."""


STOP_SECONDS_MAX = 2 * driver.LISTEN_SECONDS

FULL = ("No space left", "an earlier write failed")


class Simulation:
    """Many histories; makes each job once."""

    def __init__(self, top):
        self.top, self._jobs = Path(top), {}

    def job(self, number):
        if number not in self._jobs:
            self._jobs[number] = drawn(number, self.top / f"job-{number}")
        return self._jobs[number]

    def run(self, seed):
        """One history.

        Raises:
            NotAsItShould: it does not end as the undisturbed run; the message says how to have it again.
        """
        try:
            return History(self, seed).run()
        except Exception as error:
            raise NotAsItShould(f"seed {seed}: {error!r}. Again: scripts/simulate --seeds 1 --first {seed}") from error


def folder():
    """A new folder, which is removed at the end; in memory if there is one."""
    return tempfile.TemporaryDirectory(prefix="linkmatch-", dir=MEMORY if MEMORY.exists() else None)


@contextmanager
def simulation():
    """A simulation with a folder of its own."""
    with folder() as top:
        yield Simulation(top)


class PoisonedRay(FakeRay):
    """One file is the end of all who read it."""

    def __init__(self, job, *args):
        super().__init__(*args)
        self._job = job

    def fate(self, unit, count):
        poison = self._job.poison
        if poison is None or not unit.first <= poison < unit.stop:
            return super().fate(unit, count)
        before = 0  # objects of the files in front of it, which may come
        for place, give in enumerate(self._job.objects[unit][1::2]):
            if give.value.last.file < poison:
                before = 2 * (place + 1)
        return before + 1, WorkerCrashedError() if self._job.reason == "worker_died" else "stalled"


class History:
    """All that is random in it comes from its seed."""

    def __init__(self, simulation, seed):
        self._rng = random.Random(f"history {seed}")
        self._job = simulation.job(self._rng.randrange(JOBS))
        self._rates = Rates.drawn(self._rng)
        self._output = simulation.top / "out"
        self._limits = {where: self._rng.choice(values) for where, values in LIMITS.items()}
        self._workers = self._rng.choice((None, None, 1, 2, 5))
        self.starts = 0

    def run(self):
        """Returns how many times the job was started."""
        wanted = self._job.wanted
        self._job.prepare(self._output)
        with ExitStack() as held:
            for (owner, name), value in self._limits.items():
                held.enter_context(mock.patch.object(owner, name, value))
            summary = None
            while summary is None:
                self.starts += 1
                rates = self._rates if self.starts < STARTS_MAX else Rates()
                summary = self._start(rates)
        found = told(self._output, summary)
        for name in wanted.keys() | found.keys():
            if found.get(name) != wanted.get(name):
                raise NotAsItShould(f"{name}: {found.get(name)!r}, not {wanted.get(name)!r}")
        return self.starts

    def _start(self, rates):
        """Start the job as `submit` does, and see it end; returns the summary, or None if it can be resumed."""
        request = self._job.requested(self._output)
        if request.finished is not None:
            return request.finished
        rng, clock, fuse = self._rng, Clock(), Fuse()
        cpus = rng.choice(((1,), (1,), (2,), (4,), (1, 1), (1, 1, 2)))
        ray = PoisonedRay(self._job, clock, rng, rates, cpus, self._job.objects_of)
        plan = self._job.planned(request)
        cancelled = rng.uniform(0, 6) if rng.random() < rates.cancelled else None
        ray.deadline = rng.uniform(0, 6) if rng.random() < rates.driver_killed else None
        ray.shut_down = rng.uniform(0, 6) if rng.random() < rates.shut_down else None
        actors = []

        def open_collector(_):
            for actor in actors:
                actor.die()
            packed = driver.pack_files(request.files)
            job = (str(self._output), packed, plan.ranges, request.settings, request.reuse)
            actors.append(FakeCollector(ray, rates, fuse, *job))
            return actors[-1], actors[-1].open(overwrite=False)

        with (
            mock.patch.object(driver, "ray", ray),
            mock.patch.object(driver, "time", clock),
            mock.patch.object(collector, "time", clock),
            burning(fuse),
        ):
            running = driver.Driver(
                plan, request.files, LIST.index, self._job.task, self._workers, open_collector,
                lambda: cancelled is not None and clock.now > cancelled,
                resumes=request.resumes, task_seconds=TASK_SECONDS, max_quarantined=None,
            )  # fmt: skip
            try:
                running.run()
                summary = running.finish(LIST.index, lambda _: self._job.details)
                if cancelled is not None and clock.now > cancelled + STOP_SECONDS_MAX:
                    raise NotAsItShould("it was to stop, and did not")
                actors[-1].close()
            except DriverKilled:
                for actor in actors[-1:]:
                    actor.abandon()
                return None
            except JobError as error:
                self._judge(error, ray, rates, cancelled)
                for actor in () if running.is_cut_off else actors[-1:]:
                    actor.close()
                summary = None
            finally:
                for actor in actors:
                    actor.die()
        self._look_at_settled(running.progress.settled)
        return summary

    def _judge(self, error, ray, rates, cancelled):
        """Raise it again, unless it is one that this history was to have."""
        if isinstance(error, Interrupted):
            expected = cancelled is not None
        elif "Ray was shut down" in str(error):
            expected = not ray.is_initialized()
        elif "without committing anything" in str(error):
            expected = ray.setbacks > scheduler.SETBACKS_MAX
        elif isinstance(error, DirectoryInUse):  # its own collector made the exchange, and died before it said so
            expected = self._job.earlier is not None and ray.setbacks
        else:
            expected = rates.store_fails and any(
                said in str(error) for said in ("No space left", "an earlier write failed")
            )
        if not expected:
            raise error

    def _look_at_settled(self, settled):
        """What is said to be settled is there, and is never taken back."""
        for name, size in settled.items():
            wanted = self._job.wanted.get(f"{name}.jsonl")
            path = self._output / f"{name}.jsonl"
            if wanted is not None and self._job.earlier is None and path.read_bytes()[:size] != wanted[:size]:
                raise NotAsItShould(f"{name}: what was settled is not what comes of complete files")
