"""Verdicts: whether each record of a window is on the list, and which key it has there.

The scan judges the records that it has no doubt of, and the exact path the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.exact import invalid_utf8, judge, too_long
from linkmatch_ray.core.index import NOT_FOUND, RestrictionIndex
from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.core.path_finder import PathFinder, Taken
from linkmatch_ray.core.records_path import RecordsPath
from linkmatch_ray.core.scan import SCAN_BYTES_MAX, Scan, Scanner, joined
from linkmatch_ray.core.structure import (
    CLOSE_BRACKET,
    NEWLINE,
    OPEN_BRACKET,
    Int64s,
    back_over_space,
    positions,
    skip_space,
    trim,
)
from linkmatch_ray.native.kernel import VALUES, Kind, Place, Status

UNMATCHED, MATCHED, MISSING, NOT_OBJECT, DAMAGED = range(5)
"""As `Kind` has them, except that a key which the kernel found is unmatched until it has a hit."""

COMMA_BYTES_MAX: Final = 2
"""Two elements that are no further from each other have a comma and white space between them, and no `],[`."""

RECORD_BYTES_MAX: Final = SCAN_BYTES_MAX // 4
"""Maximum length of a record, even if more is allowed."""


@dataclass(slots=True)
class Judged:
    """Records with their verdicts.

    Attributes:
        starts, ends: Bounds in the buffer.
        numbers: Physical line of each from the first of the window, for lines; None for values.
        kinds: `UNMATCHED`, `MATCHED`, `MISSING`, `NOT_OBJECT` or `DAMAGED` of each.
        found: The distinct key of each in the index, or `NOT_FOUND`.
        damages: The damage of each damaged one, by place.
        newlines: Newlines in the window, for lines.
    """

    starts: Int64s
    ends: Int64s
    numbers: Int64s | None
    kinds: npt.NDArray[np.int8]
    found: Int64s
    damages: dict[int, Damage] = field(default_factory=dict)
    newlines: int = 0


class Judge:
    """A judge of records for one set of keys, one index and one limit. It must not be shared between threads.

    Args:
        index: None to find the records only.

    Attributes:
        format: The layout if it is named, or `auto`.
        records_at: Where the records are in each value; None if the values, or the elements of arrays, are records.
        max_bytes: A longer record or line is damaged.
        scanner: Finds the records.
    """

    def __init__(self, paths: tuple[KeyPath, ...], index: RestrictionIndex | None, options: MatchOptions) -> None:
        self._paths, self._index, self._options = paths, index, options
        self.format = options.format
        self.records_at = None if options.records_at is None else RecordsPath.parse(options.records_at)
        self.max_bytes = min(options.max_record_bytes, RECORD_BYTES_MAX)
        self._arrays_are_records = options.format in ("lines", "object") or options.records_at is not None
        self.scanner = Scanner(paths, index, arrays_are_records=self._arrays_are_records)

    @cached_property
    def finder(self) -> PathFinder:
        """Finds the records in the values of a sequence."""
        assert self.records_at is not None
        return PathFinder(self.records_at.steps, VALUES)

    def without_keys(self) -> Judge:
        """Returns a judge that looks for no keys, and is like this one otherwise."""
        return Judge((), None, self._options)

    def lines(self, buffer: bytearray, low: int, high: int) -> Judged:
        """Returns verdicts for whole lines: of the records on them, or of the line if there is damage on it."""
        scan = self.scanner.lines(buffer, low, high)
        again = self._lines_to_read_again(buffer, low, high, scan)
        if not len(again):
            return self.verdicts(buffer, scan)
        assert scan.numbers is not None
        newlines = positions(np.frombuffer(buffer, np.uint8), low, high, NEWLINE)
        parts, damages, place, before = [], {}, 0, 0
        for number in again.tolist():
            first, behind = np.searchsorted(scan.numbers, (number, number + 1)).tolist()
            parts.append(scan.only(place, first))
            start = int(newlines[number - 1]) + 1 if number else low
            end = int(newlines[number]) if number < len(newlines) else high
            line, damage = self._line(buffer, start, end, number)
            before += first - place
            if damage is not None:
                damages[before] = damage
            parts.append(line)
            place, before = behind, before + len(line.starts)
        parts.append(scan.only(place, len(scan.starts)))
        return self.verdicts(buffer, joined(parts, scan.newlines), damages)

    def _lines_to_read_again(self, buffer: bytearray, low: int, high: int, scan: Scan) -> Int64s:
        """Returns the numbers of the lines that are too long, or not one value that is a record."""
        assert scan.numbers is not None
        data = np.frombuffer(buffer, np.uint8)
        others = scan.kinds == Kind.DAMAGED
        if not self._arrays_are_records:
            no_objects = np.flatnonzero(scan.kinds == Kind.NOT_OBJECT)
            others[no_objects] = data[scan.starts[no_objects]] == OPEN_BRACKET
        numbers: Int64s = scan.numbers[others]
        if high - low > self.max_bytes:
            newlines = positions(data, low, high, NEWLINE)
            starts, ends = trim(data, np.append(low, newlines + 1), np.append(newlines, high))
            long = np.flatnonzero(ends - starts > self.max_bytes)  # leading RS counts here, and not below
            numbers = np.concatenate((numbers, long))
        return np.unique(numbers)

    def _line(self, buffer: bytearray, start: int, end: int, number: int) -> tuple[Scan, Damage | None]:
        """Reads a line again, as a sequence of values; returns its records, or the line itself and its damage."""
        start = skip_space(buffer, start, end)
        end = back_over_space(buffer, start, end)
        stream = self.scanner.sequence
        stream.begin(start, Place.TOP)
        scan, status = stream.scan(buffer, start, end, start, is_last=True)
        bad = np.flatnonzero(scan.kinds == Kind.DAMAGED)
        if end - start > self.max_bytes:
            damage: Damage | None = too_long(self.max_bytes)
        elif status == Status.DAMAGE:
            damage = stream.damage(buffer, start, start)
            if damage.reason == "truncated":
                damage = LINE_CUT
        else:
            damage = invalid_utf8(int(scan.starts[bad[0]])) if len(bad) else None
        if damage is not None:
            line = np.array([start]), np.array([end])
            scan = Scan(*line, None, np.array([Kind.DAMAGED], np.int8), np.array([NOT_FOUND]))
        return replace(scan, numbers=np.full(len(scan.starts), number)), damage

    def plain(self, buffer: bytearray, low: int, high: int, *, elements: bool) -> Judged | None:
        """Returns verdicts for a window of whole elements, or of lines of one value each; None if there is anything
        else in it."""
        scan = self._closed(buffer, low, high) if elements else self.scanner.lines(buffer, low, high)
        if scan is None or (scan.kinds == Kind.DAMAGED).any():
            return None
        if not elements and len(self._lines_to_read_again(buffer, low, high, scan)):
            return None
        return self.verdicts(buffer, scan)

    def _closed(self, buffer: bytearray, low: int, high: int) -> Scan | None:
        """Scans whole elements; for the time of the call a bracket behind them closes the array."""
        stream = self.scanner.array
        stream.begin(low, Place.ELEMENT)
        behind, buffer[high] = buffer[high], CLOSE_BRACKET
        try:
            scan, status = stream.scan(buffer, low, high + 1, low, is_last=True)
        finally:
            buffer[high] = behind
        return scan if status == Status.DONE and stream.state.at == high + 1 else None

    def elements(self, buffer: bytearray, taken: Taken) -> Judged:
        """Returns verdicts for sound elements of arrays. `numbers` are those of `taken`."""
        starts, ends = taken.starts, taken.ends
        if not len(starts):
            return Judged(starts, ends, taken.numbers, np.empty(0, np.int8), starts)
        begins = np.append(True, starts[1:] - ends[:-1] > COMMA_BYTES_MAX)
        runs, view = zip(starts[begins].tolist(), ends[np.roll(begins, -1)].tolist(), strict=True), memoryview(buffer)
        text = bytearray(b",".join([view[start:end] for start, end in runs]))
        text += b"]"
        scan = self._closed(text, 0, len(text) - 1)
        assert scan is not None  # because they are sound
        return replace(self.verdicts(text, scan), starts=starts, ends=ends, numbers=taken.numbers)

    def one(self, buffer: bytearray, start: int, end: int) -> Judged:
        """Returns the verdict of one whole value."""
        kinds = np.array([Kind.DOUBTED], np.int8)
        return self.verdicts(buffer, Scan(np.array([start]), np.array([end]), None, kinds, np.array([NOT_FOUND])))

    def verdicts(self, buffer: bytearray, scan: Scan, damages: dict[int, Damage] | None = None) -> Judged:
        """Returns verdicts for what was scanned.

        Args:
            damages: Those that are known, by place.
        """
        known = damages or {}
        judged = Judged(scan.starts, scan.ends, scan.numbers, scan.kinds, scan.found, known, scan.newlines)
        is_oversize = scan.ends - scan.starts > self.max_bytes
        for place in np.flatnonzero((scan.kinds >= DAMAGED) | is_oversize).tolist():
            if place not in known:
                self._judge_exactly(buffer, judged, place)
        judged.kinds[judged.found >= 0] = MATCHED
        return judged

    def _judge_exactly(self, buffer: bytearray, judged: Judged, place: int) -> None:
        start, end = int(judged.starts[place]), int(judged.ends[place])
        judged.found[place] = NOT_FOUND
        try:
            if end - start > self.max_bytes:
                raise too_long(self.max_bytes)
            verdict = judge(bytes(memoryview(buffer)[start:end]), self._paths)
        except Damage as damage:
            judged.damages[place] = damage
            judged.kinds[place] = DAMAGED
            return
        if verdict.key is not None and self._index is not None:
            judged.kinds[place] = UNMATCHED
            judged.found[place] = self._index.find(verdict.key)
        else:
            judged.kinds[place] = MISSING if verdict.is_object else NOT_OBJECT


LINE_CUT: Final = Damage("truncated", "the line ends inside a JSON value; --format values reads values over lines")
