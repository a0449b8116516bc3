"""The driver: submits units, puts their parts in order, and offers them to the collector.

It is the reorder buffer. It holds every part until the collector has said that it is durable, and after any
error offers again from there; the collector passes over what it has. So nothing is lost with the actor, and
there is one place where anything is ever tried again.

    waiting -> running -> ended -> retired      a unit; retired when all its parts are durable
               running -> waiting               its worker died or gave nothing for long (a strike), or it was
                                                cancelled (none)

The unit at the frontier is always admitted and always listened to, whatever the limits say: so there is no
window size at which the job could wait for itself.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import ray
from ray.exceptions import (
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

from linkmatch_ray.core.outcome import FAULT_PART, Counts, Piece
from linkmatch_ray.errors import Interrupted, JobError, LinkmatchError
from linkmatch_ray.io.input_file import InputFile, pack_files
from linkmatch_ray.io.ledger import Key
from linkmatch_ray.io.reader import fault_entry
from linkmatch_ray.io.results import QUARANTINE
from linkmatch_ray.runtime.collector import Receipt
from linkmatch_ray.runtime.collector_actor import CollectorHandle
from linkmatch_ray.runtime.orphans import die_with_parent
from linkmatch_ray.runtime.plan import Plan, Unit
from linkmatch_ray.runtime.room import check_disk
from linkmatch_ray.runtime.tasks import PartBody, PartHeader, Started, TaskSettings, match_unit
from linkmatch_ray.words import plural, shown

UNITS_BEHIND_MAX: Final = 8
"""Units a worker that may be finished or running ahead of the frontier."""

QUEUED_UNITS: Final = 2
"""Units submitted beyond the number of workers, so that none waits for the driver."""

RESULT_BYTES_MAX: Final = 256 << 20
"""Bytes of results that may be held; beyond, only the unit at the frontier is listened to."""

OFFER_BYTES: Final = 64 << 20
"""Bytes of parts offered in one call, about."""

STREAM_BACKPRESSURE_OBJECTS: Final = 4
"""A task pauses when this many of its objects (two a part) have not been asked for."""

TASK_OPTIONS: Final = {
    "name": "match",
    "num_cpus": 1,
    "max_retries": 0,
    "num_returns": "streaming",
    "_generator_backpressure_num_objects": STREAM_BACKPRESSURE_OBJECTS,
}

STRIKES_MAX: Final = 3
"""A file is given up as `worker_died` or `timed_out` when that has happened this often."""

SETBACKS_MAX: Final = 5
"""The job fails when more collectors die, parts are lost or find no room, than this, without the frontier having
moved."""

NO_ROOM: Final = (ObjectStoreFullError, OutOfDiskError)
NO_ROOM_FOUND: Final = "Ray has no room: its object store is full, and so is the disk that it spills to"
NO_ROOM_ADVICE: Final = "Make room where Ray keeps its files (RAY_TMPDIR, or else /tmp), or set RAY_TMPDIR."

COUNT_SECONDS: Final = 2.0
"""How often the CPUs of the cluster are counted: nodes come and go."""

LISTEN_SECONDS: Final = 0.25
"""How long to wait for something to come before looking whether to stop."""

STALLED_SECONDS: Final = 2.0
"""If the unit at the frontier gave nothing for so long, what came before is made durable; and while others are blocked,
one of them makes way."""


@dataclass(slots=True)
class Held:
    """A part that has come and is not durable yet; `body` is a reference, or the part itself."""

    header: PartHeader
    body: Any


@dataclass(slots=True, eq=False)
class Running:
    """A unit, or what is left of one, that was admitted; `received` is the last piece that came of it, and
    `whole` whether that was its range's last."""

    unit: Unit
    strikes: int = 0
    stream: Any = None
    started: Started | None = None
    ended: bool = False
    parts: deque[Held] = field(default_factory=deque)
    offered: int = 0
    received: Key | None = None
    whole: bool = True
    heard: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is; sums over what is written.

    Attributes:
        files, files_done: Files in the plan, and how many of them are wholly durable.
        bytes_total, bytes_done: Input as stored, and as read (decompressed).
        ends: Durable bytes of each output, by name.
        settled: As `ends`, but of complete files only: these bytes are never taken back.
        doing: What it does before it begins to match; empty from then on.
    """

    files: int = 0
    files_done: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    counts: Counts = field(default_factory=Counts)
    ends: dict[str, int] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)
    doing: str = ""


class Driver:
    """Runs the tasks of one job; `run` returns when everything is durable.

    Args:
        workers: Tasks at a time; None for as many as there are CPUs, also of nodes that join later.
        open_collector: Starts a collector and begins to open it, and returns both; called again whenever it has
            died, with True once one was opened.
        resumes: Whether the directory holds the beginning of this job.
        is_stopped: Asked often; once it says yes, `run` ends with `Interrupted`.
        task_seconds: A task that gives nothing for so long is given up.
        max_quarantined: With more entries `run` ends with `JobError`; None for any number.

    Attributes:
        has_opened: A collector has the place.
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
        self._plan, self._files = plan, files
        self._limit, self.workers, self._counted = workers, workers or 1, 0.0
        self._index, self._settings = index, ray.put(settings)
        self._open_collector, self._is_stopped, self._resumes = open_collector, is_stopped, resumes
        self._task_seconds, self._max_quarantined = task_seconds, max_quarantined
        self._function = ray.remote(_match_unit)
        self._task = self._function.options(**TASK_OPTIONS)
        self._window: deque[Running] = deque()
        self._abandoned: list[Any] = []
        self._units = plan.units()
        self._held_bytes = 0
        self._commit: Any = None
        self._answered = 0.0  # when the collector last answered
        self.has_opened, self._setbacks = False, 0
        self._durable = self._taken = Key(0, 0, 0)
        self._more = False
        self._end = Key(len(files), 0, 0)
        total = sum(max(file.size, 0) for file in files)
        self.progress = Progress(files=len(files), bytes_total=total)

    def run(self) -> None:
        """Match everything that is not durable yet.

        Raises:
            Interrupted: `is_stopped` said so.
            JobError: the collector cannot write, or dies again and again; or there are too many entries.
        """
        try:
            self._open()
            if self._resumes:  # if not, the first units were admitted meanwhile
                self._begin()
            while self._durable < self._end:
                self._end_if_stopped()
                self._admit()
                self._offer()
                self._listen()
                self._give_up_stalled()
                self._make_way()
        finally:
            for running in self._window:
                self._cancel(running)

    def _open(self) -> Receipt:
        """Have a collector, whatever happens to it meanwhile; returns where it stands."""
        while True:
            if not self._resumes:
                self._admit()  # the first tasks need not wait until all files are written down
            self._collector, opening = self._open_collector(self.has_opened)
            try:
                receipt = self._opened(opening)
            except RayActorError:
                self._set_back("the collector died")
                continue
            self.has_opened = True
            self._read(receipt)
            return receipt

    def _opened(self, opening: Any) -> Receipt:
        """What a collector says once it is open; a store may keep it waiting."""
        while not ray.wait([opening], timeout=LISTEN_SECONDS)[0]:
            self._end_if_stopped()
        receipt: Receipt = fetch(opening)
        return receipt

    def _end_if_stopped(self) -> None:
        if self._is_stopped():
            raise Interrupted("stopped on request.")

    def _read(self, receipt: Receipt) -> None:
        """Learn how far the collector is."""
        if receipt.durable > self._durable:
            self._setbacks = 0
        self._durable, self._taken, self._more = receipt.durable, receipt.taken, receipt.more
        self.progress = replace(
            self.progress,
            files_done=receipt.durable.file,
            bytes_done=receipt.input_bytes,
            counts=receipt.counts,
            ends=receipt.ends._asdict(),
            settled=receipt.settled._asdict(),
        )
        if self._max_quarantined is not None and receipt.counts.entries > self._max_quarantined:
            raise JobError(
                f"{QUARANTINE}: has more than {plural(self._max_quarantined, 'entry')}, so --fail-fast stopped"
                " the job."
                " Mend the inputs, or give the same command without it to have the rest."
            )

    def finish(self, index: Any, details: Callable[[Counts], dict[str, Any]]) -> dict[str, Any]:
        """After `run`: have the report and the summary written; returns the summary.

        Args:
            details: What the summary says beside the collector's totals, given these.
        """
        while True:
            try:
                summary: dict[str, Any] = fetch(self._collector.finish(index, details(self.progress.counts)))
                return summary
            except RayActorError:
                self._set_back("the collector died")
                if self._open().durable < self._end:
                    raise JobError("the results were replaced by another job's meanwhile.") from None

    def _begin(self) -> None:
        """Go on from the durable frontier."""
        self._units = self._plan.units(self._durable[:2])

    def _set_back(self, what: str, advice: str = "See --verbose for what Ray says.") -> None:
        self._setbacks += 1
        if self._setbacks > SETBACKS_MAX:
            check_disk()
            raise JobError(f"{what}, for the {self._setbacks}th time without any progress in between. {advice}")

    # Admission

    def _admit(self) -> None:
        if self._limit is None and time.monotonic() - self._counted > COUNT_SECONDS:
            self.workers, self._counted = max(1, int(ray.cluster_resources().get("CPU", 1))), time.monotonic()
        running = sum(not each.ended and each.stream is not None for each in self._window)
        for waiting in self._window:  # to be tried again: these come first, and the frontier before all
            at_frontier = waiting is self._window[0]
            if waiting.stream is None and not waiting.ended and (at_frontier or running <= self.workers):
                self._start(waiting)
                running += 1
        while True:
            room = (
                running < self.workers + QUEUED_UNITS
                and self._held_bytes < RESULT_BYTES_MAX
                and len(self._window) < UNITS_BEHIND_MAX * self.workers
            )
            if self._window and not room:
                return
            unit = next(self._units, None)
            if unit is None:
                return
            if unit.last >= self._durable[:2]:
                admitted = Running(unit._replace(first=max(unit.first, self._durable.file)))
                self._window.append(admitted)
                self._start(admitted)
                running += 1

    def _start(self, running: Running) -> None:
        files = pack_files(self._files[running.unit.first : running.unit.stop])
        otherwise: dict[str, Any] = {}
        if self._abandoned:  # a process that cannot be killed, as its read cannot be interrupted, keeps its CPU
            otherwise["num_cpus"] = 0
        if running.strikes and running.started is not None:  # on another node, if there is one
            otherwise["label_selector"] = {"ray.io/node-id": f"!{running.started.node}"}
            otherwise["fallback_strategy"] = [{"label_selector": {}}]
        task = self._function.options(**TASK_OPTIONS | otherwise) if otherwise else self._task
        running.stream, running.started = task.remote(running.unit, files, self._index, self._settings), None
        running.heard = time.monotonic()

    def _cancel(self, unit: Running) -> None:
        if unit.stream is not None and not unit.ended:
            ray.cancel(unit.stream, force=True)
        unit.stream = None

    # Listening

    def _listen(self) -> None:
        """Wait until something has come, then take all that has."""
        waiting = {each.stream: each for each in self._window if self._is_listened_to(each)}
        refs = [*waiting, *([self._commit] if self._commit is not None else [])]
        if not refs:
            time.sleep(LISTEN_SECONDS)
            return
        ready, _ = ray.wait(refs, num_returns=1, timeout=LISTEN_SECONDS, fetch_local=False)
        if ready and len(refs) > 1:
            ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0, fetch_local=False)
        for ref in ready:
            if ref is self._commit:
                self._take_receipt()
            elif ref in waiting and waiting[ref].stream is ref:
                self._receive(waiting[ref])

    def _is_listened_to(self, unit: Running) -> bool:
        if unit.stream is None or unit.ended:
            return False
        return unit is self._window[0] or self._held_bytes < RESULT_BYTES_MAX

    def _receive(self, unit: Running) -> None:
        """Take the next part of a unit, or learn that there is none, or why."""
        unit.heard = time.monotonic()
        try:
            body = next(unit.stream)
            if unit.started is None:
                unit.started = ray.get(body)
                return
            header = ray.get(next(unit.stream, body))  # the last object of a task that died is its error
        except StopIteration:
            unit.ended = True
            return
        except (RayError, OSError) as error:
            self._failed(unit, error)
            return
        if header is None:  # a heartbeat
            return
        if (unit.received is not None and header.last <= unit.received) or header.last < self._durable:
            return  # it came before the unit was tried again
        unit.received, unit.whole = header.last, header.whole
        unit.parts.append(Held(header, body))
        self._held_bytes += header.nbytes

    # Trying again

    def _failed(self, unit: Running, error: Exception) -> None:
        """A unit's task ended with an error: have it done again, and count whose fault it was."""
        unit.stream = None
        if isinstance(error, RayTaskError) and isinstance(error.cause, LinkmatchError):
            raise error.cause from None
        if isinstance(error, NO_ROOM) and unit is self._window[0]:  # behind it, room may come as results are committed
            self._set_back(NO_ROOM_FOUND, NO_ROOM_ADVICE)
        blameless = isinstance(error, (TaskCancelledError, ObjectLostError, *NO_ROOM))
        if not blameless:
            died = isinstance(error, (WorkerCrashedError, OutOfMemoryError))
            self._strike(unit, "worker_died", "the worker that read it died" if died else f"it failed ({brief(error)})")

    def _give_up_stalled(self) -> None:
        """Tasks that give nothing for too long are left to themselves, and done again elsewhere."""
        now = time.monotonic()
        if self._abandoned:
            _, self._abandoned = ray.wait(self._abandoned, num_returns=len(self._abandoned), timeout=0)
        for unit in list(self._window):
            if not self._is_listened_to(unit):
                unit.heard = now
            elif now - unit.heard <= self._task_seconds:
                continue
            elif unit.started is None:
                unit.heard = now
                # It waits for a CPU that may never be free again, or its process stopped before its first word came.
                if self._abandoned or ray.available_resources().get("CPU", 0) >= 1:
                    self._abandoned.append(unit.stream)
                    self._cancel(unit)
            else:
                self._abandoned.append(unit.stream)
                self._cancel(unit)
                where = f"process {unit.started.pid} on {shown(unit.started.host)}"
                self._strike(
                    unit, "timed_out", f"{where} gave nothing for {self._task_seconds:g} s and was told to end"
                )

    def _strike(self, unit: Running, reason: str, why: str) -> None:
        """Have the files of a unit done alone; one that is alone already has only so many tries."""
        unit.strikes += 1
        if unit.unit.stop - unit.unit.first > 1:
            self._split(unit)
        elif unit.strikes >= STRIKES_MAX:
            self._give_up(unit, reason, why)

    def _split(self, unit: Running) -> None:
        """Run the files of a struck unit one a unit, so that one bad file is alone with the blame."""
        place = self._window.index(unit)
        first = unit.unit.first
        if unit.received is not None:
            first = unit.received.file + unit.whole
        left = [Running(Unit(file, file + 1, max(self._files[file].size, 0))) for file in range(first, unit.unit.stop)]
        if left and unit.received is not None and left[0].unit.first == unit.received.file:
            left[0].received, left[0].whole = unit.received, unit.whole
        unit.ended = True
        for offset, each in enumerate(left):
            self._window.insert(place + 1 + offset, each)

    def _give_up(self, unit: Running, reason: str, why: str) -> None:
        """The file becomes one quarantine entry, and the job goes on without it."""
        file, range_ = unit.unit.last
        entry = fault_entry(self._files[file], reason, f"given up after {STRIKES_MAX} tries: {why}")
        for held in unit.parts:
            self._held_bytes -= held.header.nbytes
        key = Key(file, range_, FAULT_PART)
        piece = Piece(*key, fault=entry, counts=Counts(entries=1))
        header = PartHeader(key, key, True, 0)
        unit.parts = deque([Held(header, PartBody([piece], [], []))])
        unit.offered, unit.ended = 0, True

    def _make_way(self) -> None:
        """Where blocked tasks hold all workers and the frontier has none, the youngest of them is put back."""
        first = self._window[0] if self._window else None
        if first is None or first.ended or self._held_bytes < RESULT_BYTES_MAX:
            return
        youngest = self._window[-1]
        stalled = time.monotonic() - first.heard > STALLED_SECONDS
        if stalled and youngest is not first and youngest.stream is not None and not youngest.ended:
            self._cancel(youngest)
            first.heard = time.monotonic()

    # Committing

    def _offer(self) -> None:
        """Offer the parts that come next and were not offered yet."""
        if self._commit is not None:
            return
        bodies: list[Any] = []
        nbytes = 0
        for unit in [] if self._more else self._window:
            while unit.offered < len(unit.parts) and nbytes < OFFER_BYTES:
                held = unit.parts[unit.offered]
                bodies.append(held.body)
                nbytes += held.header.nbytes
                unit.offered += 1
            if not unit.ended or unit.offered < len(unit.parts):
                break
        if bodies or self._more:
            self._commit = self._collector.commit(*bodies)
        elif self._taken > self._durable and self._nothing_comes():
            self._commit = self._collector.flush()
        else:
            self._retire()

    def _nothing_comes(self) -> bool:
        """Whether what was offered must be made durable before anything more can come, or nothing has come for long."""
        if time.monotonic() - self._answered > STALLED_SECONDS:
            return True
        return not any(self._is_listened_to(unit) for unit in self._window)

    def _take_receipt(self) -> None:
        commit, self._commit, self._answered = self._commit, None, time.monotonic()
        try:
            receipt: Receipt = ray.get(commit)
        except RayActorError:
            self._reopen()
            return
        except ObjectLostError as error:
            self._start_over(error)
            return
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, RayError):
                self._start_over(cause)
                return
            if isinstance(cause, LinkmatchError):
                raise cause from None
            raise JobError(f"the collector failed: {brief(cause)}.") from error
        self._read(receipt)
        self._retire(receipt)

    def _retire(self, receipt: Receipt | None = None) -> None:
        """Let go of what is durable; offer again what was offered and not taken."""
        for unit in self._window:
            while unit.parts and unit.parts[0].header.last < self._durable:
                self._held_bytes -= unit.parts.popleft().header.nbytes
                unit.offered = max(0, unit.offered - 1)
            if receipt is not None:
                taken = sum(held.header.last < receipt.taken for held in unit.parts)
                unit.offered = min(unit.offered, taken)
        while self._window:
            first = self._window[0]
            passed = first.unit.last < self._durable[:2]  # given up as a whole, it may still run
            if not passed and (not first.ended or first.parts):
                break
            self._cancel(first)
            for held in first.parts:
                self._held_bytes -= held.header.nbytes
            self._window.popleft()

    def _reopen(self) -> None:
        """The collector died: start another, which recovers, and offer again from where it stands."""
        self._set_back("the collector died")
        self._retire(self._open())

    def _start_over(self, error: Exception) -> None:
        """A part was lost, with its node most likely: have all done again that is not durable."""
        self._set_back(f"a part was lost ({brief(error)})")
        for unit in self._window:
            self._cancel(unit)
        self._window.clear()
        self._held_bytes = 0
        self._begin()


def _match_unit(*args: Any) -> Iterator[Any]:
    die_with_parent()
    yield Started(os.getpid(), socket.gethostname(), ray.get_runtime_context().get_node_id())
    yield from match_unit(*args)


def fetch(ref: Any) -> Any:
    """`ray.get`, with our own errors as they were raised."""
    try:
        return ray.get(ref)
    except RayTaskError as error:
        if isinstance(error.cause, LinkmatchError):
            raise error.cause from None
        raise


def brief(error: BaseException) -> str:
    """An error of another program's as a line: the last one of its text, where the cause is."""
    text = str(error).strip().splitlines()
    return shown(f"{type(error).__name__}: {text[-1]}") if text else type(error).__name__
