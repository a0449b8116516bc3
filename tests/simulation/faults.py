"""What goes wrong in a history, and how often; all of it drawn from its seed."""

from dataclasses import dataclass
from itertools import count


class Killed(BaseException):
    """The process of the collector is killed at this point."""


class DriverKilled(BaseException):
    """So is that of the driver."""


class NotAsItShould(AssertionError):  # noqa: N818 - says what happened
    """A history did not end as the undisturbed run."""


@dataclass
class Rates:
    """How likely each fault is, each time that it could happen.

    Attributes:
        worker_dies, worker_fails, no_room: To a task: its process is killed, it raises what nobody expects, or Ray has
            no room for what it gives, for some seconds.
        stalls, stubborn: It gives nothing more; and then it cannot even be killed.
        nodes_lost: How many times a node goes, with its tasks and objects.
        collector_dies, store_fails: To a call of the collector's; at any of its writes, before or after.
        twice, late: A call comes twice, or once again after others.
        cancelled, driver_killed, shut_down: To the driver, each time that it is started; and Ray is shut down under it.
    """

    worker_dies: float = 0.0
    worker_fails: float = 0.0
    no_room: float = 0.0
    stalls: float = 0.0
    stubborn: float = 0.0
    nodes_lost: int = 0
    collector_dies: float = 0.0
    store_fails: float = 0.0
    twice: float = 0.0
    late: float = 0.0
    cancelled: float = 0.0
    driver_killed: float = 0.0
    shut_down: float = 0.0

    @classmethod
    def drawn(cls, rng):
        """Each fault never, seldom or often: what is rare together is common alone."""

        def rate(*of):
            return rng.choice((0.0, 0.0, *of))

        return cls(
            worker_dies=rate(0.05, 0.3),
            worker_fails=rate(0.02, 0.1),
            no_room=rate(0.01, 0.05),
            stalls=rate(0.02, 0.1),
            stubborn=rate(0.3, 1.0),
            nodes_lost=rng.choice((0, 0, 0, 1, 4)),
            collector_dies=rate(0.03, 0.2),
            store_fails=rate(0.02, 0.1),
            twice=rate(0.3),
            late=rate(0.3),
            cancelled=rate(0.3),
            driver_killed=rate(0.3),
            shut_down=rate(0.1),
        )


class Fuse:
    """Burns down by one at each write of the collector's, and then raises what it was lit with."""

    def __init__(self):
        self._left, self._error = count(), None

    def light(self, writes, error):
        """Raise `error` at the write after so many others; None for never."""
        self._left, self._error = writes, error

    def burn(self):
        """To be called at each write, before and after."""
        if self._error is None:
            return
        self._left -= 1
        if self._left < 0:
            error, self._error = self._error, None
            raise error
