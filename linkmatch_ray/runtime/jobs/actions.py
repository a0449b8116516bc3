"""The actions that the scheduler asks of the driver, and the causes of a task's end."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from linkmatch_ray.runtime.jobs.plan import Unit


class Start(NamedTuple):
    """An order to submit a task for a unit.

    Attributes:
        cpus: CPUs that Ray reserves for it.
        avoid: Id of a node on which it must not run if there is another.
    """

    task: int
    unit: Unit
    cpus: int = 1
    avoid: str | None = None


class Cancel(NamedTuple):
    """An order to kill a task and to ignore its objects. The driver calls `released` once it is gone."""

    task: int


class Open(NamedTuple):
    """An order to start a collector that opens the place. `again` says whether one was open before."""

    again: bool


class Offer(NamedTuple):
    """An order to offer bodies of parts to the collector."""

    bodies: list[Any]


class Flush(NamedTuple):
    """An order to have the collector make durable what it has taken."""


class Fail(NamedTuple):
    """An order to end the job with a `JobError`. `is_setback` says whether a full disk may be the cause."""

    message: str
    is_setback: bool = False


Action: TypeAlias = Start | Cancel | Open | Offer | Flush | Fail


class Cause(Enum):
    """Why a task has ended too early. The value says whether that is a strike against its unit."""

    DIED = ("its worker died, or was killed because memory ran out", True)
    FAILED = ("it raised an unexpected error", True)
    LOST = ("it was cancelled, or was lost with its node or with an object", False)
    NO_ROOM = ("Ray had no room for its results", False)

    @property
    def is_strike(self) -> bool:
        """Whether the unit may be to blame."""
        return self.value[1]
