"""The scheduler: all decisions of a job's driver. It knows no Ray, no files and no clock.

The driver reports what has happened, and when (`now`, in seconds). The scheduler returns what to do, as actions in
their order. `unit_states.py` has the states of a unit.

The scheduler is the reorder buffer. It holds every part until the collector reports that the part is durable. After any
error it offers again from there, and the collector skips what it has. So nothing is lost with the actor, and this is
the only place where anything is retried.

The unit at the frontier is always admitted and always listened to, regardless of the limits. So no size of the window
makes the job wait for itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Set
from itertools import chain, islice
from typing import Any, Final

from linkmatch_ray.core.damage import NeedsMemory
from linkmatch_ray.core.outcome import FAULT_PART, Counts, Piece
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.inputs.reader import fault_entry
from linkmatch_ray.io.ledger.ledger import Key
from linkmatch_ray.io.names import QUARANTINE
from linkmatch_ray.runtime.jobs.actions import Action, Cancel, Cause, Fail, Flush, Offer, Open, Start
from linkmatch_ray.runtime.jobs.plan import Plan, Unit
from linkmatch_ray.runtime.jobs.progress import Progress
from linkmatch_ray.runtime.jobs.receipt import Receipt
from linkmatch_ray.runtime.jobs.splitting import left_of
from linkmatch_ray.runtime.jobs.unit_states import AdmittedUnit, Move, ReceivedPart, State
from linkmatch_ray.runtime.jobs.worker import PartBody, PartHeader, Started
from linkmatch_ray.words import plural, shown

UNITS_BEHIND_MAX: Final = 8
"""Maximum number of units per worker that run or have ended ahead of the frontier."""

QUEUED_UNITS: Final = 2
"""Number of units submitted beyond the number of workers, so that no worker waits for the driver."""

RESULT_BYTES_MAX: Final = 256 << 20
"""Bytes of held results from which on only the unit at the frontier is listened to."""

OFFER_BYTES: Final = 64 << 20
"""Approximate bytes of parts offered in one call."""

STRIKES_MAX: Final = 3
"""Number of strikes after which a file is given up, as `worker_died` or `timed_out`."""

SETBACKS_MAX: Final = 5
"""Maximum number of setbacks while the frontier does not move. A setback is a collector that died, or a part that was
lost or found no room. After one more the job fails."""

STALLED_SECONDS: Final = 2.0
"""Time without an object from the unit at the frontier after which the pieces before it are made durable. If all
workers are blocked by then, one unit makes way."""

NO_ROOM_FOUND: Final = "Ray had no room: its object store is full, and so is the disk that it spills to"
NO_ROOM_ADVICE: Final = "Make room where Ray keeps its files (RAY_TMPDIR, or else /tmp), or set RAY_TMPDIR."


class Scheduler:
    """The scheduler of one job.

    Args:
        workers: Concurrent tasks. The driver may change the attribute, because nodes come and go.
        resumes: Whether the place holds the beginning of this job. Then nothing starts before the collector has
            reported the frontier.
        task_seconds: Time limit of a task that produces nothing.
        max_quarantined: With more entries the job fails; None for no limit.

    Attributes:
        is_open, has_opened: Whether a collector has the place now, and whether one has ever had it.
    """

    def __init__(
        self,
        plan: Plan,
        files: list[InputFile],
        *,
        workers: int,
        resumes: bool,
        task_seconds: float,
        max_quarantined: int | None,
    ) -> None:
        self._plan, self._files = plan, files
        self.workers, self._resumes = workers, resumes
        self._task_seconds, self._max_quarantined = task_seconds, max_quarantined
        self._units: Iterator[Unit] = iter(()) if resumes else plan.units()
        self._window: deque[AdmittedUnit] = deque()
        self._tasks: dict[int, AdmittedUnit] = {}  # those that run
        self._count = 0
        # Tasks that were cancelled, each with the time from which on it counts as one that cannot be killed.
        self._abandoned: dict[int, float] = {}
        self._held_bytes = 0
        self.has_opened = self.is_open = self._awaits_answer = False
        self._answered = 0.0
        self._setbacks = 0
        self._durable = self._taken = Key(0, 0, 0)
        self._furthest = Key(0, 0, 0)  # the highest durable frontier so far: it moves back if a file is rolled back
        self._more = False
        self._end = Key(len(files), 0, 0)
        total = sum(max(file.size, 0) for file in files)
        self.progress = Progress(files=len(files), bytes_total=total)

    @property
    def is_done(self) -> bool:
        """Whether a collector has reported that everything is durable."""
        return self.is_open and self._durable >= self._end

    # What comes next

    def turn(self, now: float) -> list[Action]:
        """Returns what to do now. The driver calls it before each wait."""
        return [*self._retire(now), *self._admit(now), *self._to_collector(now)]

    def _admit(self, now: float) -> list[Action]:
        """Starts units: first those to be retried, from the frontier on, then new ones."""
        running, actions = len(self._tasks), list[Action]()
        for unit in self._window:
            if unit.state is State.WAITING and self._may_start_again(unit, running):
                actions.append(self._start(unit, now))
                running += 1
        while not self._window or self._has_room(running):
            following = next(self._units, None)
            if following is None:
                break
            if following.last >= self._durable[:2]:
                admitted = AdmittedUnit(following._replace(first=max(following.first, self._durable.file)))
                self._window.append(admitted)
                actions.append(self._start(admitted, now))
                running += 1
        return actions

    def _may_start_again(self, unit: AdmittedUnit, running: int) -> bool:
        return self._is_frontier(unit) or (running <= self.workers and self._held_bytes < RESULT_BYTES_MAX)

    def _has_room(self, running: int) -> bool:
        """Returns whether another unit may be admitted while `running` units run."""
        return (
            running < self.workers + QUEUED_UNITS
            and self._held_bytes < RESULT_BYTES_MAX
            and len(self._window) < UNITS_BEHIND_MAX * self.workers
        )

    def _is_frontier(self, unit: AdmittedUnit) -> bool:
        return unit is self._window[0]

    def _start(self, unit: AdmittedUnit, now: float) -> Start:
        cpus = 0 if self._is_cpu_lost(now) else 1
        avoid = unit.started.node if unit.strikes and unit.started is not None else None
        self._count += 1
        unit.move(Move.START)
        unit.task, unit.started, unit.heard = self._count, None, now
        self._tasks[unit.task] = unit
        return Start(unit.task, unit.unit, cpus, avoid)

    def _to_collector(self, now: float) -> list[Action]:
        """Returns what the collector is to do. It gets one request at a time."""
        if self._awaits_answer:
            return []
        bodies = self._next_bodies() if self.is_open and not self._more else []
        action: Action
        if not self.is_open:
            action = Open(self.has_opened)
        elif bodies or self._more:
            action = Offer(bodies)
        elif self._taken > self._durable and self._nothing_comes(now):
            action = Flush()
        else:
            return []
        self._awaits_answer = True
        return [action]

    def _next_bodies(self) -> list[Any]:
        """Returns the next parts that were not yet offered, about `OFFER_BYTES` of them."""
        bodies: list[Any] = []
        nbytes = 0
        for unit in self._window:
            while unit.offered < len(unit.parts) and nbytes < OFFER_BYTES:
                part = unit.parts[unit.offered]
                bodies.append(part.body)
                nbytes += part.header.nbytes
                unit.offered += 1
            if unit.state is not State.ENDED or unit.offered < len(unit.parts):
                break
        return bodies

    def _nothing_comes(self, now: float) -> bool:
        """Returns whether the collector must flush: nothing more can come before that, or nothing has come for long."""
        return now - self._answered > STALLED_SECONDS or not self.listened()

    def _retire(self, now: float) -> list[Action]:
        """Releases what is durable."""
        for unit in self._window:
            while unit.parts and unit.parts[0].header.last < self._durable:
                self._held_bytes -= unit.parts.popleft().header.nbytes
                unit.offered = max(0, unit.offered - 1)
        actions: list[Action] = []
        while self._window and self._is_over(self._window[0]):
            actions += self._let_go(self._window.popleft(), now)
        return actions

    def _is_over(self, unit: AdmittedUnit) -> bool:
        passed = unit.unit.last < self._durable[:2]  # it may still run if its whole file was given up
        return passed or (unit.state is State.ENDED and not unit.parts)

    def _let_go(self, unit: AdmittedUnit, now: float) -> list[Action]:
        actions = self._cancel(unit, now) if unit.state is State.RUNNING else []
        for part in unit.parts:
            self._held_bytes -= part.header.nbytes
        unit.move(Move.RETIRE)
        return actions

    def _cancel(self, unit: AdmittedUnit, now: float, *, is_stalled: bool = False) -> list[Action]:
        """Cancels the task of a unit. The unit then waits until it is started again."""
        del self._tasks[unit.task]
        unit.move(Move.LOSE)
        self._abandoned[unit.task] = now if is_stalled else now + STALLED_SECONDS
        return [Cancel(unit.task)]

    def _is_cpu_lost(self, now: float) -> bool:
        """Returns whether a process keeps its CPU because it cannot be killed, as in a read that cannot be
        interrupted."""
        return any(since <= now for since in self._abandoned.values())

    # What tasks give

    def listened(self) -> list[int]:
        """Returns the tasks to which the driver must listen, in the order of the plan."""
        return [unit.task for unit in self._window if self._is_listened_to(unit)]

    def _is_listened_to(self, unit: AdmittedUnit) -> bool:
        if unit.state is not State.RUNNING:
            return False
        return self._is_frontier(unit) or self._held_bytes < RESULT_BYTES_MAX

    def has_begun(self, task: int) -> bool:
        """Returns whether a task has reported where it runs. That is its first object."""
        return task in self._tasks and self._tasks[task].started is not None

    def began(self, task: int, started: Started, now: float) -> None:
        """Records that a task has reported where it runs."""
        if (unit := self._tasks.get(task)) is not None:
            unit.started, unit.heard = started, now

    def received(self, task: int, header: PartHeader | None, body: Any, now: float) -> None:
        """Records that a part has come, or without a header that a task has sent a heartbeat."""
        if (unit := self._tasks.get(task)) is None:
            return
        unit.heard = now
        if header is None or self._has_come(unit, header):
            return
        unit.received, unit.whole = header.last, header.whole
        unit.parts.append(ReceivedPart(header, body))
        self._held_bytes += header.nbytes

    def _has_come(self, unit: AdmittedUnit, header: PartHeader) -> bool:
        """Returns whether the part came before the unit was retried."""
        return (unit.received is not None and header.last <= unit.received) or header.last < self._durable

    def ended(self, task: int, now: float) -> None:
        """Records that a task has yielded everything."""
        if (unit := self._tasks.pop(task, None)) is not None:
            unit.heard = now
            unit.move(Move.END)

    def failed(self, task: int, cause: Cause, said: str, now: float) -> list[Action]:
        """Records that a task has ended too early. Its unit is retried, and may get a strike.

        Args:
            said: Ray's message.
        """
        unit = self._tasks.pop(task, None)
        if unit is None:
            return []
        unit.heard = now
        unit.move(Move.LOSE)
        if cause is Cause.NO_ROOM and self._is_frontier(unit):  # behind the frontier, commits may still make room
            return self._set_back(NO_ROOM_FOUND, NO_ROOM_ADVICE)
        if cause.is_strike:
            why = "the worker that read it was killed or crashed" if cause is Cause.DIED else f"it failed ({said})"
            self._strike(unit, "worker_died", why)
        return []

    def asked_for_memory(self, task: int, needs: NeedsMemory, most: int, now: float) -> None:
        """Records that a task ended because a file needs memory at once. That file is then read alone, by a task that
        asks Ray for it. If no node has it, one entry stands for the file.

        Args:
            most: Bytes of memory of the largest node.
        """
        unit = self._tasks.pop(task, None)
        if unit is None:
            return
        unit.heard = now
        unit.move(Move.LOSE)
        if unit.unit.stop - unit.unit.first > 1:
            place = self._window.index(unit)
            self._split(unit, {needs.file})
            unit = next(each for each in islice(self._window, place + 1, None) if each.unit.first == needs.file)
        if needs.nbytes > most:
            found = f"zstd data with a window of {needs.nbytes:,} bytes; the largest node has {most:,} bytes of memory"
            self._replace(unit, "zstd_window", found)
            return
        unit.unit = unit.unit._replace(memory=needs.nbytes)
        self.progress = self.progress.needing(needs.nbytes)

    # Trying again

    def asks_for_cpus(self, now: float) -> bool:
        """Returns whether `give_up_stalled` must know if a CPU is free. Asking Ray takes time."""
        return not self._is_cpu_lost(now) and any(
            unit.started is None and self._is_listened_to(unit) and self._is_overdue(unit, now) for unit in self._window
        )

    def give_up_stalled(self, now: float, *, cpu_is_free: bool) -> list[Action]:
        """Cancels tasks that have produced nothing for too long. Their units are retried elsewhere."""
        actions: list[Action] = []
        for unit in list(self._window):
            if not self._is_listened_to(unit):
                unit.heard = now
            elif not self._is_overdue(unit, now):
                continue
            elif unit.started is None:
                unit.heard = now
                # It waits for a CPU that may never be free again, or its process stopped before its first report.
                if self._is_cpu_lost(now) or cpu_is_free:
                    unit.unbegun += 1
                    actions += self._cancel(unit, now, is_stalled=True)
            else:
                actions += self._cancel(unit, now, is_stalled=True)
                where = f"process {unit.started.pid} on {shown(unit.started.host)}"
                self._strike(
                    unit, "timed_out", f"{where} produced no output for {self._task_seconds:g} s and was killed"
                )
        return actions

    def _is_overdue(self, unit: AdmittedUnit, now: float) -> bool:
        """Returns whether a task has exceeded its time. A process may start slowly on a busy machine, so each retry of
        a start has twice the time."""
        times = 1 << unit.unbegun if unit.started is None else 1
        return now - unit.heard > self._task_seconds * times

    def released(self, task: int) -> None:
        """Records that a cancelled task is gone and its CPU free."""
        del self._abandoned[task]

    def make_way(self, now: float) -> list[Action]:
        """Cancels the youngest task if blocked tasks hold all workers and the unit at the frontier has none.

        The cancelled unit is not started again before there is room for its results. So the frontier gets a worker.
        """
        first = self._window[0] if self._window else None
        if first is None or first.state is not State.RUNNING or first.started is not None:
            return []
        if self._held_bytes < RESULT_BYTES_MAX or now - first.heard <= STALLED_SECONDS:
            return []
        youngest = next(unit for unit in reversed(self._window) if unit.state is State.RUNNING)
        if youngest is first:
            return []
        first.heard = now
        return self._cancel(youngest, now)

    def _strike(self, unit: AdmittedUnit, reason: str, why: str) -> None:
        """Splits a unit of several files, so that each is read alone in the end. One file has `STRIKES_MAX` tries."""
        unit.strikes += 1
        if unit.unit.stop - unit.unit.first > 1:
            self._split(unit)
        elif unit.strikes >= STRIKES_MAX:
            self._give_up(unit, reason, why)

    def _split(self, unit: AdmittedUnit, alone: Set[int] = frozenset()) -> None:
        """Splits a unit, so that only the bad file gets further strikes. Each file of `alone` gets one for itself."""
        place = self._window.index(unit)
        unit.move(Move.SPLIT)
        for offset, each in enumerate(left_of(unit, self._files, alone)):
            self._window.insert(place + 1 + offset, each)

    def _give_up(self, unit: AdmittedUnit, reason: str, why: str) -> None:
        """Replaces the results of a file by one quarantine entry. The job continues without the file."""
        self._replace(unit, reason, f"given up after {STRIKES_MAX} tries: {why}")

    def _replace(self, unit: AdmittedUnit, reason: str, message: str) -> None:
        """Replaces the results of a file by one entry."""
        file, range_ = unit.unit.last
        entry = fault_entry(self._files[file], reason, message)
        for part in unit.parts:
            self._held_bytes -= part.header.nbytes
        key = Key(file, range_, FAULT_PART)
        piece = Piece(*key, fault=entry, counts=Counts(entries=1))
        unit.parts = deque([ReceivedPart(PartHeader(key, key, True, 0), PartBody([piece], [], []))])
        unit.offered = 0
        unit.move(Move.GIVE_UP)

    def _set_back(self, what: str, advice: str = "See Ray's messages with --verbose.") -> list[Action]:
        self._setbacks += 1
        if self._setbacks <= SETBACKS_MAX:
            return []
        found = f"the job was set back {self._setbacks} times without committing anything. The last time {what}."
        return [Fail(f"{found} {advice}", is_setback=True)]

    def _start_over(self, now: float) -> list[Action]:
        """Retries everything that is not durable.

        A file that the collector has in part is read alone, as it must have been. Packed with others it may be one
        piece, and then its other parts would never come.
        """
        actions = [action for unit in self._window for action in self._let_go(unit, now)]
        self._window.clear()
        self._furthest = self._durable
        alone = {key.file for key in (self._durable, self._taken) if key.part}
        self._units = chain.from_iterable(unit.apart(alone) for unit in self._plan.units(self._durable[:2]))
        return actions

    # Answers of the collector

    def answered(self, receipt: Receipt, now: float) -> list[Action]:
        """Records the collector's answer: it has done what it was asked for, or has opened the place."""
        is_first, is_new = not self.has_opened, not self.is_open
        self.has_opened = self.is_open = True
        self._awaits_answer, self._answered = False, now
        if receipt.durable > self._durable:
            self._setbacks = 0
        has_moved = (
            is_new or self._more or receipt.more or (receipt.durable, receipt.taken) != (self._durable, self._taken)
        )
        is_behind = receipt.durable < self._furthest  # it died between the roll-back of a file and its entry
        self._durable, self._taken, self._more = receipt.durable, receipt.taken, receipt.more
        self._furthest = max(self._furthest, receipt.durable)
        self.progress = self.progress.at(receipt)
        if self._max_quarantined is not None and receipt.counts.entries > self._max_quarantined:
            return [Fail(_too_many(self._max_quarantined))]
        if is_new and (self._resumes if is_first else is_behind):
            return self._start_over(now)
        if self._offer_again() and not has_moved:
            return self._set_back("the collector took nothing of what it was offered")
        return []

    def _offer_again(self) -> bool:
        """Marks parts that were offered but not taken, so that they are offered again. Returns if there are any."""
        offered = sum(unit.offered for unit in self._window)
        for unit in self._window:
            unit.offered = min(unit.offered, sum(part.header.last < self._taken for part in unit.parts))
        return sum(unit.offered for unit in self._window) < offered

    def collector_died(self) -> list[Action]:
        """Records that the collector died. Another one is started and recovers, and gets what it does not have."""
        self.is_open = self._awaits_answer = False
        return self._set_back("the collector died")

    def part_lost(self, said: str, now: float) -> list[Action]:
        """Records that a part was lost before the collector had it, usually together with its node.

        Args:
            said: Ray's message.
        """
        self._awaits_answer = False
        return self._set_back(f"a part was lost ({said})") or self._start_over(now)


def _too_many(entries: int) -> str:
    return (
        f"{QUARANTINE}: has more than {plural(entries, 'entry')}, so --fail-fast stopped the job. Correct the inputs,"
        " or run the same command without --fail-fast."
    )
