"""Records inside the values of lines (`--records-at`). Damage anywhere on a line costs the line.

The kernel finds the elements of most lines. The others are read like the documents of any input: lines of several
values, with damage, without records, or where the kernel has a doubt.
"""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np

from linkmatch_ray.core.codecs import Plain
from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.index import NOT_FOUND
from linkmatch_ray.core.layouts.documents import Documents
from linkmatch_ray.core.layouts.lines import Lines
from linkmatch_ray.core.outcome import Entry
from linkmatch_ray.core.records_path import RecordsPath
from linkmatch_ray.core.scan import Bools, Found, PathFinder
from linkmatch_ray.core.structure import OPEN_BRACKET, Int64s
from linkmatch_ray.core.verdicts import DAMAGED, LINE_CUT, Judge, Judged
from linkmatch_ray.core.window import LOW, Buffers, Window
from linkmatch_ray.core.writer import Reading, Torn, Writer
from linkmatch_ray.native.steps import STAR

COMMA_BYTES_MAX: Final = 2
"""Between two elements that are not this far from each other there is a comma and white space, and no `],[`."""


def lines_of(of: Reading) -> Lines:
    """Returns the lines of an input, whose values are records or have them inside."""
    path = of.judge.records_at
    return Lines(of) if path is None else Lines(of, _LineJudge(of.judge, path))


class _LineJudge:
    """A judge of the records in the values of lines. A line with damage on it is an entry, wherever that is."""

    def __init__(self, judge: Judge, path: RecordsPath) -> None:
        self._judge, self._path, self.max_bytes = judge, path, judge.max_bytes
        self._values, self._elements = judge.without_keys(), PathFinder(path.steps)
        self._arrays = PathFinder(path.steps[:-1]) if path.steps.count(STAR) == 1 else None
        self._buffers = Buffers(1 << 16)

    def lines(self, buffer: bytearray, low: int, high: int) -> Judged:
        """Returns verdicts for whole lines."""
        values, view, found = self._values.lines(buffer, low, high), memoryview(buffer), _Elements()
        assert values.numbers is not None
        elements = self._elements.find(buffer, low, high, values.newlines)
        is_sound = np.ones(values.newlines + 1, np.bool_)
        is_sound[values.numbers[list(values.damages)]] = False
        found.sure(elements, elements.has & is_sound, self._judge, view)
        left = ~elements.has | ~is_sound
        if self._arrays is not None and (left & is_sound).any():
            arrays = self._arrays.find(buffer, low, high, values.newlines)
            is_empty = np.zeros(values.newlines + 1, np.bool_)
            is_empty[arrays.numbers[np.frombuffer(buffer, np.uint8)[arrays.starts] == OPEN_BRACKET]] = True
            lacks = elements.lacks & is_sound
            left &= ~lacks
            found.missed(values, np.flatnonzero((lacks & ~is_empty)[values.numbers]), self._path.missed())
        for place in np.flatnonzero(left[values.numbers]).tolist():
            start, end = int(values.starts[place]), int(values.ends[place])
            found.begin(start, int(values.numbers[place]))
            damage = values.damages.get(place)
            if damage is not None and damage.reason == "too_deep":  # counted from the value, and not from its records
                damage = self._read(view[start:end], _Elements())
            if damage is not None:
                found.damaged(0, end - start, damage)
            else:
                self._read(view[start:end], found)
        return found.judged(values.newlines)

    def _read(self, text: memoryview, found: _Elements) -> Damage | None:
        """Reads the records in a value, or in the values of a line; returns the first damage."""
        window = Window(Plain(io.BytesIO(text)), self._buffers)
        window.fill()
        collector = _Collector(window, found)
        for _ in Documents(Reading(window, collector, self._judge), self._path).walk():
            pass
        damage = collector.damage
        return LINE_CUT if damage is not None and damage.reason == "truncated" else damage


class _Elements:
    """The records and entries of some lines."""

    def __init__(self) -> None:
        self._columns: list[tuple[Any, ...]] = []  # of `Judged`
        self._damages: dict[int, Damage] = {}
        self._start = self._number = self._count = 0

    def sure(self, elements: Found, lines: Bools, judge: Judge, view: memoryview) -> None:
        """Adds the elements of some lines."""
        (places,) = np.nonzero(lines[elements.numbers])
        if not len(places):
            return
        starts, ends, numbers = elements.starts[places], elements.ends[places], elements.numbers[places]
        begins = np.append(True, starts[1:] - ends[:-1] > COMMA_BYTES_MAX)
        runs = zip(starts[begins].tolist(), ends[np.roll(begins, -1)].tolist(), strict=True)
        judged = judge.elements([view[start:end] for start, end in runs])
        self._add(starts, ends, numbers, judged)

    def missed(self, values: Judged, places: Int64s, damage: Damage) -> None:
        """Adds some values that have no records."""
        assert values.numbers is not None
        kinds, found = np.full(len(places), DAMAGED, np.int8), np.full(len(places), NOT_FOUND)
        starts, ends, numbers = values.starts[places], values.ends[places], values.numbers[places]
        damages = dict.fromkeys(range(len(places)), damage)
        self._add(starts, ends, numbers, Judged(starts, ends, None, kinds, found, damages))

    def begin(self, start: int, number: int) -> None:
        """Begins a value, which is at a position of the buffer and on a line."""
        self._start, self._number = start, number

    def add(self, judged: Judged, offset: int) -> None:
        """Adds elements, whose positions become those in the value by adding `offset`."""
        move = self._start + offset
        self._add(judged.starts + move, judged.ends + move, np.full(len(judged.starts), self._number), judged)

    def _add(self, starts: Int64s, ends: Int64s, numbers: Int64s, judged: Judged) -> None:
        self._damages.update({self._count + place: damage for place, damage in judged.damages.items()})
        self._columns.append((starts, ends, numbers, judged.kinds, judged.found))
        self._count += len(starts)

    def damaged(self, start: int, end: int, damage: Damage) -> None:
        """Adds a part of the value, or all of it, as an entry."""
        row = np.array([start]), np.array([end]), None, np.array([DAMAGED], np.int8), np.array([NOT_FOUND])
        self.add(Judged(*row, damages={0: damage}), 0)

    def judged(self, newlines: int) -> Judged:
        """Returns all of them, in their order."""
        columns = zip(_NOTHING, *self._columns, strict=True)
        starts, ends, numbers, kinds, found = (np.concatenate(column) for column in columns)
        order = np.argsort(starts, kind="stable")
        places = np.argsort(order)
        damages = {int(places[place]): damage for place, damage in self._damages.items()}
        return Judged(starts[order], ends[order], numbers[order], kinds[order], found[order], damages, newlines)


_NOTHING: Final = (*(np.empty(0, np.int64) for _ in range(3)), np.empty(0, np.int8), np.empty(0, np.int64))


class _Collector(Writer):
    """A writer that collects the records of sound values.

    Attributes:
        damage: The first damage, if there is any.
    """

    def __init__(self, window: Window, found: _Elements) -> None:
        super().__init__(window)
        self._found = found
        self.damage: Damage | None = None

    def elements(self, judged: Judged) -> None:
        self._found.add(judged, self._window.offset - LOW)
        if judged.damages:
            self.damage = self.damage or judged.damages[min(judged.damages)]

    def torn(self, torn: Torn, damage: Damage) -> None:
        if damage.reason == "no_records":
            self._found.damaged(torn.start, torn.end, damage)
        else:
            self.damage = self.damage or damage

    def records(self, judged: Judged, line: int) -> None:
        raise AssertionError("elements come here")

    def add(self, entry: Entry) -> None:
        raise AssertionError("entries come as what was torn")
