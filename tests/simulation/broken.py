"""The scheduler with one of its rules broken, so that it can be seen that the simulation notices."""

from contextlib import contextmanager
from unittest import mock

from linkmatch_ray.runtime.jobs import scheduler
from linkmatch_ray.runtime.jobs.actions import Cause
from linkmatch_ray.runtime.jobs.scheduler import Scheduler
from linkmatch_ray.runtime.jobs.unit_states import State


def _hears_no_frontier(self, unit):
    return unit.state is State.RUNNING and self._held_bytes < scheduler.RESULT_BYTES_MAX


def _lets_go_of_what_is_taken(self, now):
    durable, self._durable = self._durable, self._taken
    try:
        return RETIRE(self, now)
    finally:
        self._durable = durable


def _goes_on_where_it_was(self, now):
    units = self._units
    actions = START_OVER(self, now)
    self._units = units
    return actions


def _skips_the_file_it_was_in(unit, files, alone=frozenset()):
    left = LEFT_OF(unit, files, alone)
    return left if unit.received is None else [each for each in left if each.unit.first > unit.received.file]


RETIRE, START_OVER, LEFT_OF = Scheduler._retire, Scheduler._start_over, scheduler.left_of

RULES = {
    "the frontier is listened to, whatever is held": (Scheduler, "_is_listened_to", _hears_no_frontier),
    "a part is held until it is durable": (Scheduler, "_retire", _lets_go_of_what_is_taken),
    "what was not taken is offered again": (Scheduler, "_offer_again", lambda self: None),
    "what was lost is done again from what is durable": (Scheduler, "_start_over", _goes_on_where_it_was),
    "what nothing comes after is made durable": (Scheduler, "_nothing_comes", lambda self, now: False),
    "a file is given up after its last strike": (scheduler, "STRIKES_MAX", 1 << 30),
    "only what may be its own fault is a strike": (Cause, "is_strike", True),
    "who gives nothing is done again": (Scheduler, "give_up_stalled", lambda self, now, cpu_is_free: []),
    "who is blocked makes way": (Scheduler, "make_way", lambda self, now: []),
    "what is split goes on behind what came": (scheduler, "left_of", _skips_the_file_it_was_in),
    "a process that cannot be killed has a CPU": (Scheduler, "_is_cpu_lost", lambda self, now: False),
}
"""What is replaced by what, to break each rule."""


@contextmanager
def broken(rule):
    """The scheduler does not keep this rule meanwhile."""
    with mock.patch.object(*RULES[rule]):
        yield
