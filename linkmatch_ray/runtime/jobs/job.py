"""Jobs: a `Job` runs a request in the background, and gives its progress, matches and result."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import fields
from typing import Any, Final

from linkmatch_ray.core.options import JobOptions
from linkmatch_ray.core.outcome import Counts
from linkmatch_ray.errors import ClusterError, InputError, Interrupted, JobError, LinkmatchError
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.inputs.sniff import cuttable
from linkmatch_ray.io.results.interface import CANCEL_SECONDS
from linkmatch_ray.io.results.matches import matches
from linkmatch_ray.io.storage.system_errors import reported_as_job_errors
from linkmatch_ray.runtime.cluster.nodes import faults, sample, survey
from linkmatch_ray.runtime.jobs.actions import Cause
from linkmatch_ray.runtime.jobs.collector_actor import CollectorHandle, actor_name, start_collector
from linkmatch_ray.runtime.jobs.driver import SHUT_DOWN, Driver, brief, cause_of
from linkmatch_ray.runtime.jobs.following import Pages
from linkmatch_ray.runtime.jobs.heartbeat import beat_seconds
from linkmatch_ray.runtime.jobs.patience import holding, unless_cut_off, unless_stopped
from linkmatch_ray.runtime.jobs.plan import Plan, make_plan
from linkmatch_ray.runtime.jobs.progress import Progress
from linkmatch_ray.runtime.jobs.request import Request
from linkmatch_ray.runtime.jobs.scheduler import NO_ROOM_ADVICE, NO_ROOM_FOUND
from linkmatch_ray.runtime.jobs.worker import TaskSettings
from linkmatch_ray.runtime.session.address import NAMESPACE
from linkmatch_ray.runtime.session.session import Session
from linkmatch_ray.words import plural, shown

POLL_SECONDS: Final = 0.1

CLOSE_SECONDS_MAX: Final = 10.0
"""Time limit for the collector to make durable what it has taken. The next start repeats the rest."""


class Job:
    """A job that was submitted. It runs in the background, in this process and on Ray.

    Args:
        owns_session: Whether to close the session at the job's end.

    Attributes:
        id: Its name. Its collector is the actor `linkmatch:<id>` in the namespace `linkmatch`.
        directory: The place of its results: a `Path`, or a URL as text.
    """

    def __init__(self, request: Request, options: JobOptions, session: Session, *, owns_session: bool) -> None:
        self._max_quarantined = options.max_quarantined if options.fail_fast else None
        self._request, self._workers = request, options.workers
        self._session, self._owns_session = session, owns_session
        self._task_seconds = options.task_timeout
        self.id, self._results = request.job_id, request.results
        self.directory = self._results.place
        self._stop = threading.Event()
        self._done = threading.Event()
        self._total = sum(max(file.size, 0) for file in request.files)
        self._doing = "starting Ray"
        self._driver: Driver | None = None
        self._collector: CollectorHandle | None = None
        self._summary = request.finished
        self._error: BaseException | None = None
        if self._summary is not None:
            self._done.set()
            return
        threading.Thread(target=self._run, name=f"linkmatch-{self.id}", daemon=True).start()

    def __repr__(self) -> str:
        return f"<Job {shown(self.id)}: {self._state()}, results in {shown(self._results)}>"

    def _state(self) -> str:
        so_far = self.progress()
        how_far = f"{so_far.files_done:,} of {plural(so_far.files, 'file')} done"
        if not self._done.is_set():
            return f"{so_far.doing or 'running'}, {how_far}"
        if self._error is None:
            return f"complete, {so_far.counts.matched:,} of {plural(so_far.counts.records, 'record')} matched"
        return f"{'stopped' if isinstance(self._error, Interrupted) else 'failed'}, {how_far}"

    def progress(self) -> Progress:
        """Returns how far the job is."""
        if self._driver is not None:
            return self._driver.progress
        if self._summary is not None:  # it was complete before
            return _progress_at_the_end(self._summary, self._total)
        return Progress(files=len(self._request.files), bytes_total=self._total, doing=self._doing)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for the end, at most `timeout` seconds; returns whether the job has ended, well or not."""
        return self._done.wait(timeout)

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        """Waits for the end, and returns the summary, as in `summary.json`.

        Raises:
            TimeoutError: The job is still running after `timeout` seconds.
            LinkmatchError: The job failed or was stopped. What was committed is safe.
        """
        if not self._done.wait(timeout):
            raise TimeoutError(f"job {shown(self.id)} is still running after {timeout} s")
        if self._error is not None:
            raise self._error
        assert self._summary is not None
        return self._summary

    def summary(self) -> dict[str, Any] | None:
        """Returns the summary, as in `summary.json`; None before the job is complete. Does not wait."""
        return self._summary if self._done.is_set() else None

    def matches(self, start: int = 0, limit: int = 100) -> list[bytes]:
        """Returns a page of the matched output, from line number `start` on. It has only lines of complete files.

        A page has at most `limit` lines, and at most 10,000. It ends with the line that fills 64 MiB, so it is empty
        only if there is no further line yet. The next page begins at `start` plus the number of lines in this one.

        Guarantees: A line that was returned is never taken back: the same call returns it again, and `matched.jsonl`
        has it.
        """
        if not self._done.is_set():
            return [] if self._collector is None else self._collector.matches(start, limit)
        with reported_as_job_errors(self._results):
            ledger = self._results.ledger()
            if ledger is None:
                return []
            with closing(ledger):
                return list(matches(self._results, ledger, start, limit))

    def follow(self) -> Iterator[bytes]:
        """Yields each matched record, as its line, when its file is complete and durable. Ends with the job.

        Guarantees: Records come in the order of `matched.jsonl`, each once, and none is taken back. Memory does not
        grow with their number.

        Raises:
            LinkmatchError: The job failed or was stopped, as in `result`.
        """
        pages = Pages(self)
        while (page := pages.next()) is not None:
            yield from page
            if not page:
                self._done.wait(POLL_SECONDS)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yields the same as `follow`, for `async for`."""
        pages = Pages(self)
        while (page := await asyncio.to_thread(pages.next)) is not None:
            for line in page:
                yield line
            if not page:
                await asyncio.sleep(POLL_SECONDS)

    def __await__(self) -> Generator[Any, None, dict[str, Any]]:
        """Waits as `result` does, for `await`."""
        return self._ended().__await__()

    async def _ended(self) -> dict[str, Any]:
        while not self._done.is_set():
            await asyncio.sleep(POLL_SECONDS)
        return self.result()

    def cancel(self) -> None:
        """Asks the job to stop. What was committed is safe, and the job can be resumed. `result` then raises
        `Interrupted`."""
        self._stop.set()

    def _run(self) -> None:
        request, session = self._request, self._session
        started, began = time.localtime(), time.monotonic()
        is_ready = False
        try:
            ray = unless_stopped(session.ready, self._stop)
            is_ready = True
            if session.joins:
                self._doing = "looking at the nodes"
                unless_stopped(lambda: refuse_unfit(ray, request.files), self._stop)
            matching = time.monotonic()
            index = ray.put(request.restrictions.index)
            self._doing = "looking at the inputs"
            plan = holding(self._results, self._plan, self._stop)
            staging = self._results.staging()
            beats = beat_seconds(self._task_seconds)
            settings = TaskSettings(request.restrictions.paths, request.options, request.plan, staging, beats)

            def open_collector(again: bool) -> tuple[CollectorHandle, Any]:
                if self._collector is not None:
                    ray.kill(self._collector.actor)  # because a dead actor keeps its name until it is killed
                self._collector = start_collector(
                    ray, self.id, self._results, request.files, plan.ranges, request.settings, request.reuse
                )
                return self._collector, self._collector.open(overwrite=request.overwrite and not again)

            self._driver = Driver(
                plan,
                request.files,
                index,
                settings,
                self._workers,
                open_collector,
                self._is_to_stop,
                resumes=request.resumes,
                task_seconds=self._task_seconds,
                max_quarantined=self._max_quarantined,
            )
            driver = self._driver

            def drive() -> dict[str, Any]:
                driver.run()
                tasks = (driver.workers, len(plan))
                return driver.finish(index, lambda counts: request.details(counts, started, began, matching, *tasks))

            try:
                self._summary = unless_cut_off(drive, lambda: driver.is_cut_off, JobError(SHUT_DOWN))
            finally:
                if self._collector is not None and not self._driver.is_cut_off:
                    self._collector.close(ray, CLOSE_SECONDS_MAX if self._driver.has_opened else 0)
        except LinkmatchError as error:
            self._error = error
        except Exception as error:
            found = f"the job failed: {brief(error)}. See the traceback with --verbose, and report it."
            if cause_of(error) is Cause.NO_ROOM:
                found = f"{NO_ROOM_FOUND}. {NO_ROOM_ADVICE}"
            self._error = JobError(f"{shown(self._results)}: {found}")
            self._error.__cause__ = error
        finally:
            if not is_ready:  # before the session is closed, because its start may still take long
                self._done.set()
            if self._owns_session:
                session.close()
            self._done.set()

    def _plan(self) -> Plan:
        request = self._request
        if not request.overwrite:
            with reported_as_job_errors(self._results):
                self._results.prepare()
        cut = cuttable(request.files, request.options, request.plan.whole_bytes)
        return make_plan(request.files, cut, request.plan, request.reuse)

    def _is_to_stop(self) -> bool:
        """Returns whether the job is to stop. Requests from before the collector had the place were for another job."""
        if self._stop.is_set():
            return True
        return self._driver is not None and self._driver.has_opened and self._results.is_asked_to_stop()


def _progress_at_the_end(summary: dict[str, Any], nbytes: int) -> Progress:
    """Returns the progress of a complete job, without the ends of its outputs."""
    totals = summary["totals"]
    counts = Counts(**{each.name: totals[each.name] for each in fields(Counts)})
    return Progress(totals["files"], totals["files"], nbytes, totals["input_bytes"], counts)


def refuse_unfit(ray: Any, files: list[InputFile]) -> None:
    """Checks that the nodes of a cluster have what a job needs.

    Raises:
        ClusterError: A node lacks packages or the kernel, or does not see inputs that this machine sees. The message
            names it.
    """
    there = list(dict.fromkeys(file.stored_at for file in files if file.fault is None and b"://" not in file.stored_at))
    if said := faults(survey(ray, [path for path in sample(there) if os.path.exists(path)])):
        raise ClusterError("\n".join(said))


def cancel(job_id: str, session: Session) -> None:
    """Stops a job that runs on a cluster, and returns once it has ended. It can be resumed.

    Raises:
        InputError: No job of that name is running there.
        JobError: It is still running after half a minute.
    """
    ray, collector = session.ready(), _collector_of(job_id, session)
    with suppress(ray.exceptions.RayActorError):
        ray.get(collector.cancel.remote())
        deadline = time.monotonic() + CANCEL_SECONDS
        while time.monotonic() < deadline:
            ray.get(collector.progress.remote())  # until it is gone
            time.sleep(POLL_SECONDS)
        raise JobError(f"{shown(job_id)}: is still running {CANCEL_SECONDS:g} s after it was asked to stop. Try again.")


def progress(job_id: str, session: Session) -> dict[str, Any]:
    """Returns the progress of a job that runs on a cluster, from its collector.

    Raises:
        InputError: No job of that name is running there.
    """
    said: dict[str, Any] = session.ready().get(_collector_of(job_id, session).progress.remote())
    return said


def _collector_of(job_id: str, session: Session) -> Any:
    try:
        return session.ready().get_actor(actor_name(job_id), namespace=NAMESPACE)
    except ValueError:
        raise InputError(
            f"{shown(job_id)}: no such job is running on this cluster, and no directory has this name. See"
            " `linkmatch-ray jobs`."
        ) from None
