"""Records inside the values of lines (`--records-at`). Damage anywhere on a line costs the line.

The kernel finds the elements of most lines. The others are read like the documents of any input: lines of several
values, with damage, without records, or where the kernel has a doubt.
"""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np

from linkmatch_ray.core.codecs import Plain
from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.layouts.documents import Documents
from linkmatch_ray.core.layouts.gathered import Gathered
from linkmatch_ray.core.layouts.lines import Lines
from linkmatch_ray.core.outcome import Entry
from linkmatch_ray.core.path_finder import PathFinder, Taken
from linkmatch_ray.core.records_path import RecordsPath
from linkmatch_ray.core.verdicts import LINE_CUT, Judge, Judged
from linkmatch_ray.core.window import LOW, Buffers, Window
from linkmatch_ray.core.writer import Reading, Torn, Writer
from linkmatch_ray.native.kernel import LINES


def lines_of(of: Reading) -> Lines:
    """Returns the lines of an input, whose values are records or have them inside."""
    path = of.judge.records_at
    return Lines(of) if path is None else Lines(of, _LineJudge(of.judge, path))


class _LineJudge:
    """A judge of the records in the values of lines. A line with damage on it is an entry, wherever that is."""

    def __init__(self, judge: Judge, path: RecordsPath) -> None:
        self._judge, self._path, self.max_bytes = judge, path, judge.max_bytes
        self._values, self._finder = judge.without_keys(), PathFinder(path.steps, LINES)
        self._buffers = Buffers(1 << 16)

    def lines(self, buffer: bytearray, low: int, high: int) -> Judged:
        """Returns verdicts for whole lines."""
        judged, found = self._values.lines(buffer, low, high), Gathered()
        assert judged.numbers is not None
        values = Taken(judged.starts, judged.ends, judged.numbers)
        is_sound = np.ones(judged.newlines + 1, np.bool_)
        is_sound[values.numbers[list(judged.damages)]] = False
        inside = self._finder.in_lines(buffer, low, high, judged.newlines).only(is_sound)
        found.inside(inside, values, self._judge, buffer)
        for place in np.flatnonzero(~inside.is_sure[values.numbers]).tolist():
            value, damage = values.only(np.array([place])), judged.damages.get(place)
            if damage is not None and damage.reason == "too_deep":  # counted from the value, and not from its records
                damage = self._read(buffer, value, Gathered())
            if damage is not None:
                found.damaged(value, damage)
            else:
                self._read(buffer, value, found)
        return found.joined(judged.newlines)

    def _read(self, buffer: bytearray, value: Taken, found: Gathered) -> Damage | None:
        """Reads the records in a value, or in the values of a line; returns the first damage."""
        start, end, number = int(value.starts[0]), int(value.ends[0]), int(value.numbers[0])
        window = Window(Plain(io.BytesIO(memoryview(buffer)[start:end])), self._buffers)
        window.fill()
        collector = _Collector(window, found, start, number)
        for _ in Documents(Reading(window, collector, self._judge), self._path).walk():
            pass
        damage = collector.damage
        return LINE_CUT if damage is not None and damage.reason == "truncated" else damage


class _Collector(Writer):
    """A writer that gathers the records of the values of a line.

    Args:
        start, number: Where the text begins in the buffer, and its line.

    Attributes:
        damage: The first damage, if there is any.
    """

    def __init__(self, window: Window, found: Gathered, start: int, number: int) -> None:
        super().__init__(window)
        self._found, self._start, self._number = found, start, number
        self.damage: Damage | None = None

    def elements(self, judged: Judged) -> None:
        move, numbers = self._start + self._window.offset - LOW, np.full(len(judged.starts), self._number)
        self._found.add(replace(judged, starts=judged.starts + move, ends=judged.ends + move, numbers=numbers))
        others = (damage for _, damage in sorted(judged.damages.items()) if damage.reason != "no_records")
        self.damage = self.damage or next(others, None)

    def torn(self, torn: Torn, damage: Damage) -> None:
        if damage.reason == "no_records":
            bounds = np.array([self._start + torn.start]), np.array([self._start + torn.end])
            self._found.damaged(Taken(*bounds, np.array([self._number])), damage)
        else:
            self.damage = self.damage or damage

    def records(self, judged: Judged, line: int) -> None:
        raise AssertionError("elements come here")

    def add(self, entry: Entry) -> None:
        raise AssertionError("entries come as what was torn")
