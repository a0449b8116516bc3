"""Jobs: `submit` starts one and returns at once; a `Job` tells how far it is and what it found."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import fields
from itertools import islice
from typing import Any, Final

from linkmatch_ray.arguments import refuse_other_than, refuse_unless_within, wrong_type
from linkmatch_ray.core.outcome import LIMIT_MAX, Counts, MatchOptions
from linkmatch_ray.core.parts import PART_BYTES_MAX
from linkmatch_ray.errors import ClusterError, InputError, Interrupted, JobError, LinkmatchError, UsageError
from linkmatch_ray.io.input_file import InputFile
from linkmatch_ray.io.inputs import list_inputs
from linkmatch_ray.io.matches import matches, refuse_no_lines
from linkmatch_ray.io.paths import Name
from linkmatch_ray.io.restrictions import Restrictions
from linkmatch_ray.io.results import CANCEL_SECONDS, results_at
from linkmatch_ray.io.trouble import told
from linkmatch_ray.runtime.address import NAMESPACE, WORKERS_MAX, job_name
from linkmatch_ray.runtime.collector_actor import CollectorHandle, actor_name, start_collector
from linkmatch_ray.runtime.driver import (
    NO_ROOM,
    NO_ROOM_ADVICE,
    NO_ROOM_FOUND,
    TASK_SECONDS_MAX,
    Driver,
    Progress,
    brief,
)
from linkmatch_ray.runtime.heartbeat import beat_seconds
from linkmatch_ray.runtime.nodes import faults, sample, survey
from linkmatch_ray.runtime.patience import holding, unless_stopped
from linkmatch_ray.runtime.plan import UNIT_BYTES, Plan, PlanOptions, make_plan
from linkmatch_ray.runtime.request import Request
from linkmatch_ray.runtime.session import Session
from linkmatch_ray.runtime.tasks import TaskSettings
from linkmatch_ray.words import plural, shown

DEFAULT_OUTPUT: Final = "linkmatch-results"

POLL_SECONDS: Final = 0.1

CLOSE_SECONDS_MAX: Final = 10.0
"""How long the collector may take to make what it took durable; beyond, it is done again at the next start."""


class Job:
    """A job that was submitted. It runs in the background, in this process and on Ray.

    Attributes:
        id: Its name; the collector is the actor `linkmatch:<id>` in namespace `linkmatch`.
        directory: Where its results are: a `Path`, or a URL as text.
    """

    def __init__(
        self,
        request: Request,
        workers: int | None,
        task_seconds: float,
        max_quarantined: int | None,
        session: Session | Callable[[], Session] | None,
    ) -> None:
        self._max_quarantined = max_quarantined
        self._request, self._workers, self._given = request, workers, session
        self._task_seconds = task_seconds
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
        """How far it is."""
        if self._driver is not None:
            return self._driver.progress
        if self._summary is not None:  # it was complete before
            return _progress_at_the_end(self._summary, self._total)
        return Progress(files=len(self._request.files), bytes_total=self._total, doing=self._doing)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end, at most `timeout` seconds; returns whether it has ended, well or not."""
        return self._done.wait(timeout)

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        """Wait for the end; returns the summary, as in `summary.json`.

        Raises:
            TimeoutError: it still runs after `timeout` seconds.
            LinkmatchError: it failed, or was stopped; what was committed is safe.
        """
        if not self._done.wait(timeout):
            raise TimeoutError(f"job {shown(self.id)} still runs after {timeout} s")
        if self._error is not None:
            raise self._error
        assert self._summary is not None
        return self._summary

    def matches(self, start: int = 0, limit: int = 100) -> list[bytes]:
        """Lines `start` to `start + limit` of the matched output, as far as files are complete and durable.

        Raises:
            TypeError: one of them is no integer.
        """
        refuse_no_lines(start, limit)
        if self._collector is not None and not self._done.is_set():
            import ray

            found: list[bytes] = ray.get(self._collector.actor.matches.remote(start, limit))
            return found
        with told(self._results):
            ledger = self._results.ledger()
            if ledger is None:
                return []
            with closing(ledger):
                return list(islice(matches(self._results, ledger, start), min(max(0, limit), sys.maxsize)))

    def cancel(self) -> None:
        """Stop it; what was committed is safe and the job can be resumed. `result` then raises `Interrupted`."""
        self._stop.set()

    def _run(self) -> None:
        request = self._request
        given, session = self._given, None
        started, began = time.localtime(), time.monotonic()
        is_ready = False
        try:
            session = self._session()
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
                    ray.kill(self._collector.actor)  # it died by itself, but keeps its name until it is told to
                self._collector = start_collector(
                    ray, self.id, self._results, request.files, plan.ranges, request.settings, request.origins
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
            try:
                self._driver.run()
                tasks = (self._driver.workers, len(plan))
                self._summary = self._driver.finish(
                    index, lambda counts: request.details(counts, started, began, matching, *tasks)
                )
            finally:
                if self._collector is not None:
                    self._collector.close(ray, CLOSE_SECONDS_MAX if self._driver.has_opened else 0)
        except LinkmatchError as error:
            self._error = error
        except Exception as error:
            found = f"the job failed: {brief(error)}. See --verbose for all of it."
            if isinstance(error, NO_ROOM):
                found = f"{NO_ROOM_FOUND}. {NO_ROOM_ADVICE}"
            self._error = JobError(f"{shown(self._results)}: {found}")
            self._error.__cause__ = error
        finally:
            if not is_ready:  # it ends once it has started, which may take long
                self._done.set()
            if session is not None and session is not given:
                session.close()
            self._done.set()

    def _session(self) -> Session:
        """The Ray that was given, or is started now."""
        if isinstance(self._given, Session):
            return self._given
        session = Session(name=job_name(str(self._results))) if self._given is None else self._given()
        refuse_other_than("session", session, Session, "Give what returns a Session.")
        return session

    def _plan(self) -> Plan:
        request = self._request
        if not request.overwrite:
            with told(self._results):
                self._results.prepare()
        return make_plan(request.files, request.options, request.plan, request.origins)

    def _is_to_stop(self) -> bool:
        """Whether someone wants it to; what was asked before the collector had the place was meant for another job."""
        if self._stop.is_set():
            return True
        return self._driver is not None and self._driver.has_opened and self._results.is_asked_to_stop()


def _progress_at_the_end(summary: dict[str, Any], nbytes: int) -> Progress:
    """How far a job was when it was complete; without what the outputs had then."""
    totals = summary["totals"]
    counts = Counts(**{each.name: totals[each.name] for each in fields(Counts)})
    return Progress(totals["files"], totals["files"], nbytes, totals["input_bytes"], counts)


def submit(
    inputs: Name | Iterable[Name],
    restrictions: Restrictions | str | os.PathLike[str] | bytes,
    *,
    output: Name = DEFAULT_OUTPUT,
    key: str | Sequence[str] | None = None,
    options: MatchOptions | None = None,
    workers: int | None = None,
    job_id: str | None = None,
    overwrite: bool = False,
    incremental: bool = False,
    drop_missing: bool = False,
    one_file_per_task: bool = False,
    unit_bytes: int = UNIT_BYTES,
    part_bytes: int = PART_BYTES_MAX,
    task_seconds: float = TASK_SECONDS_MAX,
    max_quarantined: int | None = None,
    session: Session | Callable[[], Session] | None = None,
    tell: Callable[[int], None] | None = None,
) -> Job:
    """Match many files on Ray; returns at once.

    The same call again resumes a job that was interrupted, and of a complete one gives the summary.

    Args:
        inputs: A path, directory, glob or URL, or several of them.
        restrictions: The list, loaded; or what `Restrictions.load` takes: a path or URL, or the list itself as bytes.
        output: The result directory, or a URL (`s3:// gs:// az:// file://`).
        key: `KEY` or `RECORD_KEY=RESTRICTION_KEY`, several make a composite key; `data` if not given. Restrictions that
            are loaded have theirs.
        workers: Tasks at a time; None for as many as Ray has CPUs.
        overwrite: Throw away what an earlier job left in `output`.
        incremental: Where `output` holds a job with other inputs, bring it to what a job on these would give: only
            files that are new or changed, or could not be read, are matched. Until that is complete, what the
            earlier job wrote stays as it is.
        drop_missing: Remove the results of files that are gone.
        unit_bytes, part_bytes: Input of one task, and of one part of its result, in bytes, about.
        task_seconds: A task that gives nothing, and gets no byte of a server, for so long is tried elsewhere, and its
            file given up after three times.
        max_quarantined: With more entries than that the job stops, before it is complete; None for any number.
        session: A Ray that is being started, or what starts one when it is needed; None to use the one of this
            program, or else an own one.
        tell: Called now and then, while the inputs are listed, with how many were found.

    Raises:
        InputError: there is no input file, or some are gone whose results are to be brought up to date.
        JobChanged: `output` holds a job with other inputs, restrictions or options.
        UsageError: `output` cannot be used, or a number is out of range.
        RestrictionsError: the list cannot be loaded.
        TypeError: an argument is of a type that it cannot be.
    """
    if options is not None:
        refuse_other_than("options", options, MatchOptions, "Give MatchOptions(…), or leave it out.")
    if workers is not None:
        refuse_unless_within("workers", workers, 1, WORKERS_MAX)
    if max_quarantined is not None:
        refuse_unless_within("max_quarantined", max_quarantined, 0, LIMIT_MAX)
    if job_id is not None:
        refuse_other_than("job_id", job_id, str, "Give a name as a str, or leave it out.")
    if not isinstance(task_seconds, (int, float)):
        raise wrong_type("task_seconds", task_seconds, "Give a number of seconds.")
    if not task_seconds > 0:
        raise UsageError(f"task_seconds={task_seconds}: out of range. Give a number above 0.")
    for name, flag in (
        ("overwrite", overwrite),
        ("incremental", incremental),
        ("drop_missing", drop_missing),
        ("one_file_per_task", one_file_per_task),
    ):
        refuse_other_than(name, flag, bool, "Give True or False.")
    if not (session is None or isinstance(session, Session) or callable(session)):
        raise wrong_type("session", session, "Give a Session, or what starts one, or leave it out.")
    if not (tell is None or callable(tell)):
        raise wrong_type("tell", tell, "Give a function of a number, or leave it out.")
    results, restrictions = results_at(output), _loaded(restrictions, key)
    listing = list_inputs(inputs, tell)
    plan = PlanOptions(unit_bytes, part_bytes, one_file_per_task)
    request = Request(
        listing,
        restrictions,
        results,
        options or MatchOptions(),
        plan,
        job_id,
        overwrite,
        incremental,
        drop_missing,
    )
    return Job(request, workers, task_seconds, max_quarantined, session)


def _loaded(
    restrictions: Restrictions | str | os.PathLike[str] | bytes, key: str | Sequence[str] | None
) -> Restrictions:
    """The list, which may be loaded already.

    Raises:
        TypeError: it is, and so has its key; or it is no list.
    """
    if not isinstance(restrictions, Restrictions):
        return Restrictions.load(restrictions, "data" if key is None else key)
    if key is not None:
        raise TypeError(
            f"key: {restrictions!r} has its key. Give key to Restrictions.load, or the list's path instead of"
            " what was loaded."
        )
    return restrictions


def refuse_unfit(ray: Any, files: list[InputFile]) -> None:
    """Look whether the nodes of a cluster have what a job needs.

    Raises:
        ClusterError: one lacks packages, or does not see inputs that this machine sees; the message names it.
    """
    there = [file.path for file in files if file.fault is None and b"://" not in file.path]
    if said := faults(survey(ray, [path for path in sample(there) if os.path.exists(path)])):
        raise ClusterError("\n".join(said))


def cancel(job_id: str, session: Session) -> None:
    """Stop a job that runs on a cluster; returns once it has ended. It can be resumed.

    Raises:
        InputError: no job of that name runs there.
        JobError: it still runs after half a minute.
    """
    ray, collector = session.ready(), _collector_of(job_id, session)
    with suppress(ray.exceptions.RayActorError):
        ray.get(collector.cancel.remote())
        deadline = time.monotonic() + CANCEL_SECONDS
        while time.monotonic() < deadline:
            ray.get(collector.progress.remote())  # until it is gone
            time.sleep(POLL_SECONDS)
        raise JobError(f"{shown(job_id)}: was told to stop, and still runs after {CANCEL_SECONDS:g} s.")


def progress(job_id: str, session: Session) -> dict[str, Any]:
    """What the collector of a job that runs on a cluster says of its progress.

    Raises:
        InputError: no job of that name runs there.
    """
    said: dict[str, Any] = session.ready().get(_collector_of(job_id, session).progress.remote())
    return said


def _collector_of(job_id: str, session: Session) -> Any:
    try:
        return session.ready().get_actor(actor_name(job_id), namespace=NAMESPACE)
    except ValueError:
        raise InputError(
            f"{shown(job_id)}: no such job runs on this cluster, and no directory has this name."
        ) from None
