"""The states of a unit of the plan, from admission until all of it is durable."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple

from linkmatch_ray.io.ledger.ledger import Key
from linkmatch_ray.runtime.jobs.plan import Unit
from linkmatch_ray.runtime.jobs.worker import PartHeader, Started


class State(Enum):
    """The state of a unit."""

    WAITING = "no task works on it"
    RUNNING = "a task works on it"
    ENDED = "all its parts have come"
    RETIRED = "all its parts are durable"


class Move(Enum):
    """An event in the life of a unit."""

    START = "a task was submitted"
    END = "its task has yielded everything"
    LOSE = "its worker died or produced nothing for long (a strike), or it was cancelled (no strike)"
    SPLIT = "after a strike each of its files is a unit"
    GIVE_UP = "after its last strike one entry stands for its file"
    RETIRE = "nothing of it is needed any more"


MOVES: Final = {
    (State.WAITING, Move.START): State.RUNNING,
    (State.RUNNING, Move.END): State.ENDED,
    (State.RUNNING, Move.LOSE): State.WAITING,
    (State.WAITING, Move.SPLIT): State.ENDED,
    (State.WAITING, Move.GIVE_UP): State.ENDED,
    (State.ENDED, Move.RETIRE): State.RETIRED,
    # It was cancelled, because its whole file was given up, or because everything is retried from the frontier.
    (State.WAITING, Move.RETIRE): State.RETIRED,
}
"""The state after each move. All other moves are impossible."""


class ReceivedPart(NamedTuple):
    """A part that has come and is not yet durable. `body` is a reference, or the part itself."""

    header: PartHeader
    body: Any


@dataclass(slots=True, eq=False)
class AdmittedUnit:
    """A unit, or the rest of one, that was admitted.

    Attributes:
        task: Number of its task while it is running.
        started: Where its task runs, or where the last one ran; None until the task reports it.
        parts, offered: The parts that have come, and how many of them were offered to the collector.
        received, whole: The last piece that has come, and whether it was the last of its range.
        heard: Time at which its task last yielded something.
        unbegun: Number of its tasks that were given up before their first report.
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
    unbegun: int = 0

    def move(self, move: Move) -> None:
        """Changes the state according to `MOVES`."""
        self.state = MOVES[self.state, move]
