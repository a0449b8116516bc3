"""Records inside the values of lines (`--records-at`). Damage anywhere on a line costs the line."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from linkmatch_ray.core.codecs import Plain
from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.index import NOT_FOUND
from linkmatch_ray.core.layouts.documents import Documents
from linkmatch_ray.core.layouts.lines import Lines
from linkmatch_ray.core.outcome import Entry
from linkmatch_ray.core.records_path import RecordsPath
from linkmatch_ray.core.verdicts import DAMAGED, LINE_CUT, Judge, Judged
from linkmatch_ray.core.window import LOW, Buffers, Window
from linkmatch_ray.core.writer import Reading, Torn, Writer


def lines_of(of: Reading) -> Lines:
    """Returns the lines of an input, whose values are records or have them inside."""
    path = of.judge.records_at
    return Lines(of) if path is None else Lines(of, _LineJudge(of.judge, path))


class _LineJudge:
    """A judge of the records in the values of lines. A line with damage on it is an entry, wherever that is."""

    def __init__(self, judge: Judge, path: RecordsPath) -> None:
        self._judge, self._path, self.max_bytes = judge, path, judge.max_bytes
        self._buffers = Buffers(1 << 16)

    def lines(self, buffer: bytearray, low: int, high: int) -> Judged:
        """Returns verdicts for whole lines."""
        values, view = self._judge.lines(buffer, low, high), memoryview(buffer)
        assert values.numbers is not None
        found = _Elements()
        for place, (start, end) in enumerate(zip(values.starts.tolist(), values.ends.tolist(), strict=True)):
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
        self._columns: list[tuple[Any, ...]] = []
        self._damages: dict[int, Damage] = {}
        self._start = self._number = self._count = 0

    def begin(self, start: int, number: int) -> None:
        """Begins a value, which is at a position of the buffer and on a line."""
        self._start, self._number = start, number

    def add(self, judged: Judged, offset: int) -> None:
        """Adds elements, whose positions become those in the value by adding `offset`."""
        move, count = self._start + offset, len(judged.starts)
        self._damages.update({self._count + place: damage for place, damage in judged.damages.items()})
        numbers = np.full(count, self._number)
        self._columns.append((judged.starts + move, judged.ends + move, numbers, judged.kinds, judged.found))
        self._count += count

    def damaged(self, start: int, end: int, damage: Damage) -> None:
        """Adds a part of the value, or all of it, as an entry."""
        row = np.array([start]), np.array([end]), None, np.array([DAMAGED], np.int8), np.array([NOT_FOUND])
        self.add(Judged(*row, damages={0: damage}), 0)

    def judged(self, newlines: int) -> Judged:
        """Returns all of them."""
        none = np.empty(0, np.int64)
        columns = zip(*self._columns, strict=True) if self._columns else ((none,) for _ in range(5))
        starts, ends, numbers, kinds, found = (np.concatenate(column) for column in columns)
        return Judged(starts, ends, numbers, kinds, found, self._damages, newlines)


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
