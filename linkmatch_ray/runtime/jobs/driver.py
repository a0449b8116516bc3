"""The driver: it does on Ray what the scheduler decides, and reports the outcome to the scheduler.

All decisions are in `scheduler.py`. This module has the loop over `ray.wait`, and the meaning of Ray's exceptions.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import ray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    ObjectStoreFullError,
    OutOfDiskError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
    TaskCancelledError,
    WorkerCrashedError,
)

from linkmatch_ray.core.damage import NeedsMemory
from linkmatch_ray.core.outcome import Counts
from linkmatch_ray.errors import Interrupted, JobError, LinkmatchError
from linkmatch_ray.io.inputs.file import InputFile, pack_files
from linkmatch_ray.runtime.jobs.actions import Action, Cancel, Cause, Fail, Flush, Offer, Open, Start
from linkmatch_ray.runtime.jobs.collector_actor import CollectorHandle
from linkmatch_ray.runtime.jobs.plan import Plan
from linkmatch_ray.runtime.jobs.progress import Progress
from linkmatch_ray.runtime.jobs.scheduler import Scheduler
from linkmatch_ray.runtime.jobs.worker import Started, TaskSettings, match_unit
from linkmatch_ray.runtime.session.parent_death import die_with_parent
from linkmatch_ray.runtime.session.preflight import check_disk
from linkmatch_ray.words import shown

STREAM_BACKPRESSURE_OBJECTS: Final = 4
"""A task pauses when this many of its objects (two per part) wait for the driver."""

TASK_OPTIONS: Final = {
    "name": "match",
    "num_cpus": 1,
    "max_retries": 0,
    "num_returns": "streaming",
    "_generator_backpressure_num_objects": STREAM_BACKPRESSURE_OBJECTS,
}

COUNT_SECONDS: Final = 2.0
"""Interval in which the CPUs of the cluster are counted, because nodes come and go."""

LISTEN_SECONDS: Final = 0.25
"""Maximum wait for Ray before the driver checks whether to stop."""

SHUT_DOWN: Final = "Ray was shut down before the job had ended. Keep it until the job's end, and submit the job again."

CAUSES: Final[tuple[tuple[type[Exception], Cause], ...]] = (
    (WorkerCrashedError, Cause.DIED),
    (OutOfMemoryError, Cause.DIED),
    (TaskCancelledError, Cause.LOST),
    (NodeDiedError, Cause.LOST),
    (ObjectLostError, Cause.LOST),
    (ObjectStoreFullError, Cause.NO_ROOM),
    (OutOfDiskError, Cause.NO_ROOM),
)
"""The cause of a task's end, by Ray's exception. Anything else is `Cause.FAILED`."""


class Driver:
    """The driver of one job. `run` returns when everything is durable.

    Args:
        workers: Concurrent tasks; None for one per CPU, also of nodes that join later.
        open_collector: Starts a collector and begins to open it, and returns both. It is called again each time the
            collector has died, and its argument says whether one was open before.
        resumes: Whether the place holds the beginning of this job.
        is_stopped: Called often. Once it returns True, `run` and `finish` raise `Interrupted`.
        task_seconds: Time limit of a task that produces nothing.
        max_quarantined: With more entries `run` raises `JobError`; None for no limit.
    """

    def __init__(
        self,
        plan: Plan,
        files: list[InputFile],
        index: Any,
        settings: TaskSettings,
        workers: int | None,
        open_collector: Callable[[bool], tuple[CollectorHandle, Any]],
        is_stopped: Callable[[], bool],
        *,
        resumes: bool,
        task_seconds: float,
        max_quarantined: int | None,
    ) -> None:
        self._files, self._index, self._settings = files, index, ray.put(settings)
        self._connection, self._was_shut_down = _connection(), False
        self._counts_cpus, self._counted = workers is None, 0.0
        self._open_collector, self._is_stopped = open_collector, is_stopped
        self._function = ray.remote(_match_unit)
        self._task = self._function.options(**TASK_OPTIONS)
        self._streams: dict[int, Any] = {}
        self._abandoned: dict[Any, int] = {}
        self._answer: Any = None  # reference to the collector's next answer
        self._scheduler = Scheduler(
            plan,
            files,
            workers=workers or 1,
            resumes=resumes,
            task_seconds=task_seconds,
            max_quarantined=max_quarantined,
        )

    @property
    def progress(self) -> Progress:
        """How far the job is."""
        return self._scheduler.progress

    @property
    def workers(self) -> int:
        """Current number of concurrent tasks."""
        return self._scheduler.workers

    @property
    def has_opened(self) -> bool:
        """Whether a collector has opened the place."""
        return self._scheduler.has_opened

    @property
    def is_cut_off(self) -> bool:
        """Whether this program has shut down the job's Ray. Any call to Ray would then start another one."""
        return self._was_shut_down or _connection() != self._connection

    def run(self) -> None:
        """Matches everything that is not yet durable.

        Raises:
            Interrupted: `is_stopped` returned True.
            JobError: The collector cannot write, or is lost repeatedly. Or there are too many entries, or Ray was shut
                down.
        """
        with self._connected():
            self._match()

    def finish(self, index: Any, details: Callable[[Counts], dict[str, Any]]) -> dict[str, Any]:
        """Has the collector write the report and the summary, after `run`; returns the summary.

        Args:
            details: Takes the collector's totals, and returns the other members of the summary.

        Raises:
            Interrupted, JobError: As `run`.
        """
        with self._connected():
            return self._finish(index, details)

    def _finish(self, index: Any, details: Callable[[Counts], dict[str, Any]]) -> dict[str, Any]:
        while True:
            finishing = self._collector.finish(index, details(self.progress.counts))
            try:
                while not self._wait([finishing]):
                    pass
                summary: dict[str, Any] = fetch(finishing)
                return summary
            except RayActorError:
                self._do(self._scheduler.collector_died())
            self._match()  # The next collector may update once more what this one had put in place.

    def _match(self) -> None:
        try:
            while not self._scheduler.is_done:
                self._turn()
        finally:
            for stream in () if self.is_cut_off else self._streams.values():
                ray.cancel(stream, force=True)

    def _turn(self) -> None:
        self._end_if_stopped()
        if self._counts_cpus and time.monotonic() - self._counted > COUNT_SECONDS:
            self._scheduler.workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
            self._counted = time.monotonic()
        self._do(self._scheduler.turn(time.monotonic()))
        self._listen()
        self._look_at_stalled()
        self._do(self._scheduler.make_way(time.monotonic()))

    def _end_if_stopped(self) -> None:
        if self._is_stopped():
            raise Interrupted("stopped on request.")
        if self.is_cut_off:
            raise JobError(SHUT_DOWN)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """Turns the `SystemExit` of a call to Ray into our error. Ray raises it if another thread shuts Ray down."""
        try:
            yield
        except SystemExit:
            self._was_shut_down = True
            raise JobError(SHUT_DOWN) from None

    # Doing

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Start():
                    self._start(action)
                case Cancel(task):
                    stream = self._streams.pop(task)
                    ray.cancel(stream, force=True)
                    self._abandoned[stream] = task
                case Open(again):
                    self._collector, self._answer = self._open_collector(again)
                case Offer(bodies):
                    self._answer = self._collector.commit(*bodies)
                case Flush():
                    self._answer = self._collector.flush()
                case Fail(message, is_setback):
                    if is_setback:
                        check_disk()
                    raise JobError(message)

    def _start(self, start: Start) -> None:
        unit, otherwise = start.unit, dict[str, Any]()
        if start.cpus != TASK_OPTIONS["num_cpus"]:
            otherwise["num_cpus"] = start.cpus
        if unit.memory:
            otherwise["memory"] = unit.memory
        if start.avoid is not None:
            otherwise["label_selector"] = {"ray.io/node-id": f"!{start.avoid}"}
            otherwise["fallback_strategy"] = [{"label_selector": {}}]
        task = self._function.options(**TASK_OPTIONS | otherwise) if otherwise else self._task
        files = pack_files(self._files[unit.first : unit.stop])
        self._streams[start.task] = task.remote(unit, files, self._index, self._settings)

    # Listening

    def _listen(self) -> None:
        """Waits until something has come, then takes everything that has come."""
        waiting = {self._streams[task]: task for task in self._scheduler.listened()}
        refs = [*waiting, *([self._answer] if self._answer is not None else [])]
        if not refs:
            time.sleep(LISTEN_SECONDS)
            return
        ready = self._wait(refs)
        if ready and len(refs) > 1:
            ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0, fetch_local=False)
        for ref in ready:
            if ref is self._answer:
                self._take_answer()
            elif waiting.get(ref) in self._streams:
                self._receive(waiting[ref])

    def _wait(self, refs: list[Any]) -> list[Any]:
        """Waits a moment for one of the references, and returns it if it has come. Raises if the job is to stop."""
        ready, _ = ray.wait(refs, num_returns=1, timeout=LISTEN_SECONDS, fetch_local=False)
        self._end_if_stopped()
        return ready

    def _receive(self, task: int) -> None:
        """Takes the next part of a task, or its end."""
        stream = self._streams[task]
        try:
            body = next(stream)
            if not self._scheduler.has_begun(task):
                self._scheduler.began(task, ray.get(body), time.monotonic())
                return
            header = ray.get(next(stream, body))  # if the task died, its last object is the error
        except StopIteration:
            del self._streams[task]
            self._scheduler.ended(task, time.monotonic())
        except (RayError, OSError) as error:
            del self._streams[task]
            reason = error.cause if isinstance(error, RayTaskError) else None
            if isinstance(reason, LinkmatchError):
                raise reason from None
            if isinstance(reason, NeedsMemory):
                self._scheduler.asked_for_memory(task, reason, _memory_of_a_node(), time.monotonic())
                return
            self._do(self._scheduler.failed(task, cause_of(error), brief(error), time.monotonic()))
        else:
            self._scheduler.received(task, header, body, time.monotonic())

    def _take_answer(self) -> None:
        """Takes the collector's answer, or its error."""
        answer, self._answer = self._answer, None
        try:
            receipt = ray.get(answer)
        except RayActorError:
            self._do(self._scheduler.collector_died())
        except ObjectLostError as error:
            self._do(self._scheduler.part_lost(brief(error), time.monotonic()))
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, LinkmatchError):
                raise cause from None
            if not isinstance(cause, RayError):
                raise JobError(
                    f"the collector failed: {brief(cause)}. See the traceback with --verbose, and report it."
                ) from error
            self._do(self._scheduler.part_lost(brief(cause), time.monotonic()))
        else:
            self._do(self._scheduler.answered(receipt, time.monotonic()))

    def _look_at_stalled(self) -> None:
        if self._abandoned:
            # A stream is also ready if it has objects that were not taken, and its process may still run.
            ends = {stream.completed(): stream for stream in self._abandoned}
            ended, _ = ray.wait([*ends], num_returns=len(ends), timeout=0, fetch_local=False)
            for end in ended:
                self._scheduler.released(self._abandoned.pop(ends[end]))
        now = time.monotonic()
        is_free = self._scheduler.asks_for_cpus(now) and ray.available_resources().get("CPU", 0) >= 1
        self._do(self._scheduler.give_up_stalled(now, cpu_is_free=is_free))


def _match_unit(*args: Any) -> Iterator[Any]:
    die_with_parent()
    yield Started(os.getpid(), socket.gethostname(), ray.get_runtime_context().get_node_id())
    yield from match_unit(*args)


def _memory_of_a_node() -> int:
    """Returns the bytes of memory of the node that has most."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return max((int(resources.get("memory", 0)) for resources in nodes), default=0)


def _connection() -> str | None:
    """Returns the id of this program's connection to Ray; None without one."""
    return ray.get_runtime_context().get_worker_id() if ray.is_initialized() else None


def cause_of(error: Exception) -> Cause:
    """Returns why a task ended, from the exception that Ray raises for it."""
    return next((cause for kind, cause in CAUSES if isinstance(error, kind)), Cause.FAILED)


def fetch(ref: Any) -> Any:
    """Returns the object, as `ray.get` does, but raises our own errors as they were raised there."""
    try:
        return ray.get(ref)
    except RayTaskError as error:
        if isinstance(error.cause, LinkmatchError):
            raise error.cause from None
        raise


def brief(error: BaseException) -> str:
    """Returns the error of another program as one line. The last line of its text has the cause."""
    text = str(error).strip().splitlines()
    return shown(f"{type(error).__name__}: {text[-1]}") if text else type(error).__name__
