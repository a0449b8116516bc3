"""Time that passes only when somebody waits."""

import heapq
from itertools import count

from tests.simulation.faults import NotAsItShould

SECONDS_MAX = 3_000.0
"""A history that takes longer has come to a halt."""


class Clock:
    """Stands for the module `time`, and does what is due on the way."""

    def __init__(self):
        self.now = 0.0
        self._due = []
        self._order = count()

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        """Let time pass."""
        end = self.now + seconds
        while self.step(end):
            pass
        self.pass_to(end)

    def pass_to(self, end):
        """Let nothing happen until then."""
        self.now = max(self.now, end)
        if self.now > SECONDS_MAX:
            raise NotAsItShould("it has come to a halt: what the driver waits for never comes")

    def after(self, seconds, do):
        """Have something done later."""
        heapq.heappush(self._due, (self.now + seconds, next(self._order), do))

    def step(self, end):
        """Do what is due next, if that is not after `end`; returns whether there was anything."""
        if not self._due or self._due[0][0] > end:
            return False
        when, _, do = heapq.heappop(self._due)
        self.now = max(self.now, when)
        do()
        return True
