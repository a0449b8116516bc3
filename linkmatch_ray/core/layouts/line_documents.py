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
from linkmatch_ray.core.verdicts import DAMAGED, Judge, Judged
from linkmatch_ray.core.window import LOW, Buffers, Window
from linkmatch_ray.core.writer import Reading, Writer


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
            if (damage := values.damages.get(place)) is not None:
                found.damaged(end, damage)
                continue
            window = Window(Plain(io.BytesIO(view[start:end])), self._buffers)
            window.fill()
            reading = Reading(window, _Collector(window, found), self._judge)
            for _ in Documents(reading, self._path).walk():
                pass
        return found.judged(values.newlines)


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

    def damaged(self, end: int, damage: Damage) -> None:
        """Adds the whole value as an entry."""
        row = np.array([self._start]), np.array([end]), None, np.array([DAMAGED], np.int8), np.array([NOT_FOUND])
        self.add(Judged(*row, damages={0: damage}), -self._start)

    def missed(self, entry: Entry) -> None:
        """Adds the whole value as an entry that says that it has no records."""
        self.damaged(self._start + entry.bytes, Damage("no_records", entry.message))

    def judged(self, newlines: int) -> Judged:
        """Returns all of them."""
        none = np.empty(0, np.int64)
        columns = zip(*self._columns, strict=True) if self._columns else ((none,) for _ in range(5))
        starts, ends, numbers, kinds, found = (np.concatenate(column) for column in columns)
        return Judged(starts, ends, numbers, kinds, found, self._damages, newlines)


class _Collector(Writer):
    """A writer that collects the records of one sound value."""

    def __init__(self, window: Window, found: _Elements) -> None:
        super().__init__(window)
        self._found = found

    def elements(self, judged: Judged) -> None:
        self._found.add(judged, self._window.offset - LOW)

    def records(self, judged: Judged, line: int) -> None:
        raise AssertionError("elements come here")

    def add(self, entry: Entry) -> None:
        assert entry.reason == "no_records", entry
        self._found.missed(entry)
