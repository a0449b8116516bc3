"""What passes between driver and scheduler: what is to be done, and why a task has ended."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from linkmatch_ray.runtime.jobs.plan import Unit


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
