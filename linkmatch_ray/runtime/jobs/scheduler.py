"""The scheduler: all decisions of a job's driver. It knows no Ray, no files and no clock.

The driver tells it what has happened, and when (`now`, in seconds); it returns what is to be done, as actions in their
order. `MOVES` has the states of a unit.

It is the reorder buffer. It holds every part until the collector has said that it is durable, and after any error
offers again from there; the collector passes over what it has. So nothing is lost with the actor, and there is one
place where anything is ever tried again.

The unit at the frontier is always admitted and always listened to, whatever the limits say: so there is no window size
at which the job could wait for itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple, TypeAlias

from linkmatch_ray.core.outcome import FAULT_PART, Counts, Piece
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.inputs.reader import fault_entry
from linkmatch_ray.io.ledger.ledger import Key
from linkmatch_ray.io.names import QUARANTINE
from linkmatch_ray.runtime.jobs.collector import Receipt
from linkmatch_ray.runtime.jobs.plan import Plan, Unit
from linkmatch_ray.runtime.jobs.progress import Progress
from linkmatch_ray.runtime.jobs.worker import PartBody, PartHeader, Started
from linkmatch_ray.words import plural, shown

UNITS_BEHIND_MAX: Final = 8
"""Units a worker that may be finished or running ahead of the frontier."""

QUEUED_UNITS: Final = 2
"""Units submitted beyond the number of workers, so that none waits for the driver."""

RESULT_BYTES_MAX: Final = 256 << 20
"""Bytes of results that may be held; beyond, only the unit at the frontier is listened to."""

OFFER_BYTES: Final = 64 << 20
"""Bytes of parts offered in one call, about."""

STRIKES_MAX: Final = 3
"""A file is given up as `worker_died` or `timed_out` when that has happened this often."""

SETBACKS_MAX: Final = 5
"""The job fails when more collectors die, parts are lost or find no room, than this, without the frontier having
moved."""

STALLED_SECONDS: Final = 2.0
"""If the unit at the frontier gave nothing for so long, what came before is made durable; and while others are blocked,
one of them makes way."""

NO_ROOM_FOUND: Final = "Ray has no room: its object store is full, and so is the disk that it spills to"
NO_ROOM_ADVICE: Final = "Make room where Ray keeps its files (RAY_TMPDIR, or else /tmp), or set RAY_TMPDIR."


class State(Enum):
    """Where a unit is."""

    WAITING = "no task works at it"
    RUNNING = "a task works at it"
    ENDED = "all its parts have come"
    RETIRED = "all its parts are durable"


class Move(Enum):
    """What can happen to a unit."""

    START = "a task was submitted"
    END = "its task has given all"
    LOSE = "its worker died or gave nothing for long (a strike), or it was cancelled (none)"
    SPLIT = "after a strike its files are units of their own"
    GIVE_UP = "after its last strike one entry stands for its file"
    RETIRE = "nothing of it is needed any more"


MOVES: Final = {
    (State.WAITING, Move.START): State.RUNNING,
    (State.RUNNING, Move.END): State.ENDED,
    (State.RUNNING, Move.LOSE): State.WAITING,
    (State.WAITING, Move.SPLIT): State.ENDED,
    (State.WAITING, Move.GIVE_UP): State.ENDED,
    (State.ENDED, Move.RETIRE): State.RETIRED,
    # It was cancelled: its file was given up as a whole meanwhile, or all is done again.
    (State.WAITING, Move.RETIRE): State.RETIRED,
}
"""Where each move leads. All others are impossible."""


class Cause(Enum):
    """Why a task has ended without giving all; the value says whether that is a strike against its unit."""

    DIED = ("its worker died, or was killed for want of memory", True)
    FAILED = ("an error that nobody expects", True)
    LOST = ("it was cancelled, or went with its node or with an object", False)
    NO_ROOM = ("Ray found no room for its results", False)

    @property
    def is_strike(self) -> bool:
        """Whether the unit may be to blame."""
        return self.value[1]


# Actions


class Start(NamedTuple):
    """Submit a task for a unit.

    Attributes:
        cpus: That Ray counts for it.
        avoid: A node on which it should not run, if there is another.
    """

    task: int
    unit: Unit
    cpus: int = 1
    avoid: str | None = None


class Cancel(NamedTuple):
    """End a task by force, listen to it no more, and tell (`released`) once it is gone."""

    task: int


class Open(NamedTuple):
    """Start a collector and have it opened; `again` once one was."""

    again: bool


class Offer(NamedTuple):
    """Have the collector commit these bodies."""

    bodies: list[Any]


class Flush(NamedTuple):
    """Have the collector make durable what it took."""


class Fail(NamedTuple):
    """End the job with a `JobError`; `is_setback` if want of disk may be behind it."""

    message: str
    is_setback: bool = False


Action: TypeAlias = Start | Cancel | Open | Offer | Flush | Fail


class ReceivedPart(NamedTuple):
    """A part that has come and is not durable yet; `body` is a reference, or the part itself."""

    header: PartHeader
    body: Any


@dataclass(slots=True, eq=False)
class AdmittedUnit:
    """A unit, or what is left of one, that was admitted.

    Attributes:
        task: The number of its task while it is running.
        started: Where that runs, or where the last one ran; None before its first word.
        parts, offered: What has come, and how many of these were offered to the collector.
        received, whole: The last piece that came of it, and whether that was its range's last.
        heard: When its task last gave something.
    """

    unit: Unit
    state: State = State.WAITING
    strikes: int = 0
    task: int = -1
    started: Started | None = None
    parts: deque[ReceivedPart] = field(default_factory=deque)
    offered: int = 0
    received: Key | None = None
    whole: bool = True
    heard: float = 0.0

    def move(self, move: Move) -> None:
        """Change the state as `MOVES` says."""
        self.state = MOVES[self.state, move]


class Scheduler:
    """Decides for one job.

    Args:
        workers: Tasks at a time. The attribute may be changed, as nodes come and go.
        resumes: Whether the place holds the beginning of this job; then nothing begins before the collector has said
            where it stands.
        task_seconds: A task that gives nothing for so long is given up.
        max_quarantined: With more entries the job fails; None for any number.

    Attributes:
        is_open, has_opened: A collector has the place; one has had it.
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
        self._abandoned: dict[int, float] = {}  # those that were cancelled; and when each is one that cannot be killed
        self._held_bytes = 0
        self.has_opened = self.is_open = self._awaits_answer = False
        self._answered = 0.0
        self._setbacks = 0
        self._durable = self._taken = Key(0, 0, 0)
        self._furthest = Key(0, 0, 0)  # what was durable once: less of it is if a file is rolled back
        self._more = False
        self._end = Key(len(files), 0, 0)
        total = sum(max(file.size, 0) for file in files)
        self.progress = Progress(files=len(files), bytes_total=total)

    @property
    def is_done(self) -> bool:
        """Whether a collector has all, durably."""
        return self.is_open and self._durable >= self._end

    # What comes next

    def turn(self, now: float) -> list[Action]:
        """What is to be done now: to be called before each wait."""
        return [*self._retire(now), *self._admit(now), *self._to_collector(now)]

    def _admit(self, now: float) -> list[Action]:
        """Units that are to be tried again come first, and the frontier before all; then new ones."""
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
        """Whether another unit may be admitted while so many are running."""
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
        """What the collector is to do. It is asked for one thing at a time."""
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
        """The parts that come next and were not offered yet, about `OFFER_BYTES` of them."""
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
        """Whether what was offered must be made durable before anything more can come, or nothing has come for long."""
        return now - self._answered > STALLED_SECONDS or not self.listened()

    def _retire(self, now: float) -> list[Action]:
        """Let go of what is durable."""
        for unit in self._window:
            while unit.parts and unit.parts[0].header.last < self._durable:
                self._held_bytes -= unit.parts.popleft().header.nbytes
                unit.offered = max(0, unit.offered - 1)
        actions: list[Action] = []
        while self._window and self._is_over(self._window[0]):
            actions += self._let_go(self._window.popleft(), now)
        return actions

    def _is_over(self, unit: AdmittedUnit) -> bool:
        passed = unit.unit.last < self._durable[:2]  # its file was given up as a whole; it may still run
        return passed or (unit.state is State.ENDED and not unit.parts)

    def _let_go(self, unit: AdmittedUnit, now: float) -> list[Action]:
        actions = self._cancel(unit, now) if unit.state is State.RUNNING else []
        for part in unit.parts:
            self._held_bytes -= part.header.nbytes
        unit.move(Move.RETIRE)
        return actions

    def _cancel(self, unit: AdmittedUnit, now: float, *, is_stalled: bool = False) -> list[Action]:
        """Have a unit's task ended; the unit waits until it is started again."""
        del self._tasks[unit.task]
        unit.move(Move.LOSE)
        self._abandoned[unit.task] = now if is_stalled else now + STALLED_SECONDS
        return [Cancel(unit.task)]

    def _is_cpu_lost(self, now: float) -> bool:
        """Whether a process keeps its CPU as it cannot be killed: its read cannot be interrupted."""
        return any(since <= now for since in self._abandoned.values())

    # What tasks give

    def listened(self) -> list[int]:
        """The tasks to which the driver is to listen, in the order of the plan."""
        return [unit.task for unit in self._window if self._is_listened_to(unit)]

    def _is_listened_to(self, unit: AdmittedUnit) -> bool:
        if unit.state is not State.RUNNING:
            return False
        return self._is_frontier(unit) or self._held_bytes < RESULT_BYTES_MAX

    def has_begun(self, task: int) -> bool:
        """Whether a task's first word has come, which is where it runs."""
        return task in self._tasks and self._tasks[task].started is not None

    def began(self, task: int, started: Started, now: float) -> None:
        """A task's first word has come."""
        if (unit := self._tasks.get(task)) is not None:
            unit.started, unit.heard = started, now

    def received(self, task: int, header: PartHeader | None, body: Any, now: float) -> None:
        """A part has come; or without a header a sign that its task still has bytes to read."""
        if (unit := self._tasks.get(task)) is None:
            return
        unit.heard = now
        if header is None or self._has_come(unit, header):
            return
        unit.received, unit.whole = header.last, header.whole
        unit.parts.append(ReceivedPart(header, body))
        self._held_bytes += header.nbytes

    def _has_come(self, unit: AdmittedUnit, header: PartHeader) -> bool:
        """Whether the part came before the unit was tried again."""
        return (unit.received is not None and header.last <= unit.received) or header.last < self._durable

    def ended(self, task: int, now: float) -> None:
        """A task has given all."""
        if (unit := self._tasks.pop(task, None)) is not None:
            unit.heard = now
            unit.move(Move.END)

    def failed(self, task: int, cause: Cause, said: str, now: float) -> list[Action]:
        """A task has ended without giving all: its unit is done again, and it is counted whose fault that was.

        Args:
            said: What Ray says of it.
        """
        unit = self._tasks.pop(task, None)
        if unit is None:
            return []
        unit.heard = now
        unit.move(Move.LOSE)
        if cause is Cause.NO_ROOM and self._is_frontier(unit):  # behind it, room may come as results are committed
            return self._set_back(NO_ROOM_FOUND, NO_ROOM_ADVICE)
        if cause.is_strike:
            why = "the worker that read it died" if cause is Cause.DIED else f"it failed ({said})"
            self._strike(unit, "worker_died", why)
        return []

    # Trying again

    def asks_for_cpus(self, now: float) -> bool:
        """Whether `give_up_stalled` has to know if a CPU is free; finding out costs something."""
        return not self._is_cpu_lost(now) and any(
            unit.started is None and self._is_listened_to(unit) and self._is_overdue(unit, now) for unit in self._window
        )

    def give_up_stalled(self, now: float, *, cpu_is_free: bool) -> list[Action]:
        """Tasks that give nothing for too long are left to themselves, and done again elsewhere."""
        actions: list[Action] = []
        for unit in list(self._window):
            if not self._is_listened_to(unit):
                unit.heard = now
            elif not self._is_overdue(unit, now):
                continue
            elif unit.started is None:
                unit.heard = now
                # It waits for a CPU that may never be free again, or its process stopped before its first word came.
                if self._is_cpu_lost(now) or cpu_is_free:
                    actions += self._cancel(unit, now, is_stalled=True)
            else:
                actions += self._cancel(unit, now, is_stalled=True)
                where = f"process {unit.started.pid} on {shown(unit.started.host)}"
                self._strike(
                    unit, "timed_out", f"{where} gave nothing for {self._task_seconds:g} s and was told to end"
                )
        return actions

    def _is_overdue(self, unit: AdmittedUnit, now: float) -> bool:
        return now - unit.heard > self._task_seconds

    def released(self, task: int) -> None:
        """A task that was cancelled is gone, and its CPU free."""
        del self._abandoned[task]

    def make_way(self, now: float) -> list[Action]:
        """Where blocked tasks hold all workers and the frontier has none, the youngest of them is put back.

        It is not started again before there is room for what it gives; so in the end the frontier has a worker.
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
        """Have the files of a unit done alone; one that is alone already has only so many tries."""
        unit.strikes += 1
        if unit.unit.stop - unit.unit.first > 1:
            self._split(unit)
        elif unit.strikes >= STRIKES_MAX:
            self._give_up(unit, reason, why)

    def _split(self, unit: AdmittedUnit) -> None:
        """Run the files of a struck unit one a unit, so that one bad file is alone with the blame."""
        place = self._window.index(unit)
        unit.move(Move.SPLIT)
        for offset, each in enumerate(self._left_of(unit)):
            self._window.insert(place + 1 + offset, each)

    def _left_of(self, unit: AdmittedUnit) -> list[AdmittedUnit]:
        """The files of which not all has come, each by itself."""
        first = unit.unit.first
        if unit.received is not None:
            first = unit.received.file + unit.whole
        files = range(first, unit.unit.stop)
        left = [AdmittedUnit(Unit(file, file + 1, max(self._files[file].size, 0))) for file in files]
        if left and unit.received is not None and left[0].unit.first == unit.received.file:
            left[0].received, left[0].whole = unit.received, unit.whole
        return left

    def _give_up(self, unit: AdmittedUnit, reason: str, why: str) -> None:
        """The file becomes one quarantine entry, and the job goes on without it."""
        file, range_ = unit.unit.last
        entry = fault_entry(self._files[file], reason, f"given up after {STRIKES_MAX} tries: {why}")
        for part in unit.parts:
            self._held_bytes -= part.header.nbytes
        key = Key(file, range_, FAULT_PART)
        piece = Piece(*key, fault=entry, counts=Counts(entries=1))
        unit.parts = deque([ReceivedPart(PartHeader(key, key, True, 0), PartBody([piece], [], []))])
        unit.offered = 0
        unit.move(Move.GIVE_UP)

    def _set_back(self, what: str, advice: str = "See --verbose for what Ray says.") -> list[Action]:
        self._setbacks += 1
        if self._setbacks <= SETBACKS_MAX:
            return []
        found = f"{what}, for the {self._setbacks}th time without any progress in between."
        return [Fail(f"{found} {advice}", is_setback=True)]

    def _start_over(self, now: float) -> list[Action]:
        """Have all done again that is not durable."""
        actions = [action for unit in self._window for action in self._let_go(unit, now)]
        self._window.clear()
        self._furthest = self._durable
        self._units = self._plan.units(self._durable[:2])
        return actions

    # What the collector says

    def answered(self, receipt: Receipt, now: float) -> list[Action]:
        """The collector has done what it was asked for; or it is open."""
        is_first, is_new = not self.has_opened, not self.is_open
        self.has_opened = self.is_open = True
        self._awaits_answer, self._answered = False, now
        if receipt.durable > self._durable:
            self._setbacks = 0
        is_behind = receipt.durable < self._furthest  # it died after a file was rolled back, before its entry
        self._durable, self._taken, self._more = receipt.durable, receipt.taken, receipt.more
        self._furthest = max(self._furthest, receipt.durable)
        self.progress = self.progress.at(receipt)
        if self._max_quarantined is not None and receipt.counts.entries > self._max_quarantined:
            return [Fail(_too_many(self._max_quarantined))]
        if is_new and (self._resumes if is_first else is_behind):
            return self._start_over(now)
        self._offer_again()
        return []

    def _offer_again(self) -> None:
        """What was offered and not taken is to be offered again."""
        for unit in self._window:
            unit.offered = min(unit.offered, sum(part.header.last < self._taken for part in unit.parts))

    def collector_died(self) -> list[Action]:
        """Another one is started, which recovers; what it does not have is offered again."""
        self.is_open = self._awaits_answer = False
        return self._set_back("the collector died")

    def part_lost(self, said: str, now: float) -> list[Action]:
        """A part was lost, with its node most likely, before the collector had it.

        Args:
            said: What Ray says of it.
        """
        self._awaits_answer = False
        return self._set_back(f"a part was lost ({said})") or self._start_over(now)


def _too_many(entries: int) -> str:
    return (
        f"{QUARANTINE}: has more than {plural(entries, 'entry')}, so --fail-fast stopped the job."
        " Mend the inputs, or give the same command without it to have the rest."
    )
