"""Where a unit of the plan is on its way, from admission until all of it is durable."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple

from linkmatch_ray.io.ledger.ledger import Key
from linkmatch_ray.runtime.jobs.plan import Unit
from linkmatch_ray.runtime.jobs.worker import PartHeader, Started


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
        unbegun: How many of its tasks were given up before their first word.
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
        """Change the state as `MOVES` says."""
        self.state = MOVES[self.state, move]
