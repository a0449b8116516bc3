"""Records and entries that are found in one buffer in several ways, and put in their order."""

from __future__ import annotations

import numpy as np

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.index import NOT_FOUND
from linkmatch_ray.core.path_finder import Inside, Taken
from linkmatch_ray.core.verdicts import DAMAGED, Judge, Judged


class Gathered:
    """Records and entries of some values."""

    def __init__(self) -> None:
        self._all: list[Judged] = []

    def add(self, judged: Judged) -> None:
        """Adds records, with the numbers of their values."""
        self._all.append(judged)

    def inside(self, inside: Inside, values: Taken, judge: Judge, buffer: bytearray) -> None:
        """Adds the records inside of the values that are sure, and entries for those that have none."""
        self.add(judge.elements(buffer, inside.records))
        assert judge.records_at is not None
        self.damaged(values.only(inside.has_missed[values.numbers]), judge.records_at.missed())

    def damaged(self, values: Taken, damage: Damage) -> None:
        """Adds values as entries."""
        count = len(values.starts)
        kinds, found = np.full(count, DAMAGED, np.int8), np.full(count, NOT_FOUND)
        damages = dict.fromkeys(range(count), damage)
        self.add(Judged(values.starts, values.ends, values.numbers, kinds, found, damages))

    def joined(self, newlines: int = 0) -> Judged:
        """Returns all of them, in their order."""
        columns = (
            [getattr(each, name) for each in self._all] for name in ("starts", "ends", "numbers", "kinds", "found")
        )
        starts, ends, numbers, kinds, found = map(np.concatenate, columns)
        order = np.argsort(starts, kind="stable")
        places, damages, count = np.argsort(order), {}, 0
        for each in self._all:
            damages.update({int(places[count + place]): damage for place, damage in each.damages.items()})
            count += len(each.starts)
        return Judged(starts[order], ends[order], numbers[order], kinds[order], found[order], damages, newlines)
