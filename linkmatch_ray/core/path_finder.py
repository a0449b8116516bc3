"""What one path takes in many values at once, as far as the kernel is sure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from linkmatch_ray.core.scan import BETWEEN, RECORDS_MAX
from linkmatch_ray.core.structure import OPEN_BRACKET, Bools, Int64s, UInt8s
from linkmatch_ray.native.kernel import Flag, Kernel, Kind, Reading, Status
from linkmatch_ray.native.steps import STAR, Step

FIND_BYTES_MAX: Final = 1 << 18
"""Bytes that are searched at a time. In a longer value nothing is found."""


@dataclass(slots=True)
class Taken:
    """Values that a path takes.

    Attributes:
        starts, ends: Where each lies in the buffer.
        numbers: The line of each, or the value that it is in, from the first.
    """

    starts: Int64s
    ends: Int64s
    numbers: Int64s

    def only(self, wanted: Bools | Int64s) -> Taken:
        """Returns some of them."""
        return Taken(self.starts[wanted], self.ends[wanted], self.numbers[wanted])

    @classmethod
    def joined(cls, all_: Sequence[Taken]) -> Taken:
        """Returns those of several as one."""
        columns = ([getattr(each, name) for each in all_] for name in ("starts", "ends", "numbers"))
        return cls(*(np.concatenate([_NONE, *column]) for column in columns))


@dataclass(slots=True)
class Inside:
    """The records at a path in many values, as far as it is sure which they are.

    Attributes:
        records: Those of the values that are sure.
        is_sure: Whether each value is sure, by its number. The others are to be read again.
        has_missed: Whether each has no array at the path.
    """

    records: Taken
    is_sure: Bools
    has_missed: Bools

    def only(self, wanted: Bools) -> Inside:
        """Returns the same for some of the values; the others are not sure."""
        is_sure = self.is_sure & wanted
        return Inside(self.records.only(is_sure[self.records.numbers]), is_sure, self.has_missed & is_sure)


class _Reader:
    """A reading for what one path takes."""

    def __init__(self, steps: Sequence[Step], mode: int) -> None:
        self._has_star = STAR in steps
        # An element has a byte and what ends it, so there is room for those of each value that is read here.
        room = FIND_BYTES_MAX // 2 if self._has_star else RECORDS_MAX
        kernel = Kernel([steps], mode=mode, flags=BETWEEN | Flag.ARRAYS_ARE_RECORDS)
        self._reading = Reading(kernel, RECORDS_MAX, room)

    def lines(self, buffer: bytearray, low: int, high: int, newlines: int) -> tuple[Taken, UInt8s]:
        """Reads whole lines, which have this many newlines. Returns also the `Kind` of each."""
        kinds, all_, line = np.full(newlines + 1, Kind.DAMAGED, np.uint8), list[Taken](), 0
        while low < high:
            end = min(high, low + FIND_BYTES_MAX)
            stop = end if end == high else buffer.rfind(b"\n", low, end) + 1
            if stop:
                all_ += self._lines(buffer, low, stop, line, kinds)
                line += self._reading.state.line
            else:
                stop = buffer.find(b"\n", end, high) + 1 or high
                line += 1
            low = stop
        return Taken.joined(all_), kinds

    def _lines(self, buffer: bytearray, low: int, high: int, line: int, kinds: UInt8s) -> Iterator[Taken]:
        self._reading.begin()
        status = Status.FULL
        while status == Status.FULL:
            before = line + self._reading.state.line
            status = self._scan(buffer, low, high, is_last=True)
            numbers = before + self._reading["lines"].astype(np.int64)
            kinds[numbers] = self._reading["kinds"]
            yield self._taken(low, numbers)

    def values(self, buffer: bytearray, low: int, high: int, *, is_last: bool) -> tuple[Taken, UInt8s, Taken, bool]:
        """Reads values, as many as there is room for. Returns also the `Kind` of each, the values themselves, and
        whether they are all that there is."""
        self._reading.begin()
        is_done = self._scan(buffer, low, high, is_last=is_last) == Status.DONE
        numbers = np.arange(self._reading.output.count)
        starts, ends = (self._reading[name].astype(np.int64) + low for name in ("starts", "ends"))
        return self._taken(low, numbers), self._reading["kinds"].copy(), Taken(starts, ends, numbers), is_done

    def _scan(self, buffer: bytearray, low: int, high: int, *, is_last: bool) -> Status:
        address = np.frombuffer(buffer, np.uint8).ctypes.data + low
        status = self._reading.scan(address, 0, high - low, is_last=is_last)
        assert status != Status.MISUSE
        return status

    def _taken(self, low: int, numbers: Int64s) -> Taken:
        """Returns what was taken in the values of a scan that began at a place of the buffer."""
        reading = self._reading
        starts, ends = (reading[name][:, 0].astype(np.int64) + low for name in ("key_starts", "key_ends"))
        if self._has_star:
            return Taken(starts, ends, numbers[reading["key_records"]])
        return Taken(starts, ends, numbers).only(reading["kinds"] == Kind.KEYED)


class PathFinder:
    """A finder of the records at one path in values that are held as a whole. It must not be shared between threads.

    Args:
        steps: Of a `RecordsPath`.
        mode: `LINES` or `VALUES` of the kernel.
    """

    def __init__(self, steps: Sequence[Step], mode: int) -> None:
        self._elements = _Reader(steps, mode)
        # With one `[*]`, a value in which it takes nothing has an empty array there, or none.
        self._arrays = _Reader(steps[:-1], mode) if steps.count(STAR) == 1 else None

    def in_lines(self, buffer: bytearray, low: int, high: int, newlines: int) -> Inside:
        """Finds the records in `buffer[low:high]`, whole lines with this many newlines."""
        elements, kinds = self._elements.lines(buffer, low, high, newlines)
        has_missed = kinds == Kind.MISSING
        if self._arrays is not None and has_missed.any():
            self._forget_empty(has_missed, buffer, self._arrays.lines(buffer, low, high, newlines)[0])
        return self._inside(elements, kinds, has_missed)

    def in_values(self, buffer: bytearray, low: int, high: int, *, is_last: bool) -> tuple[Inside, Taken, int]:
        """Finds the records in the first values of `buffer[low:high]` that are sure. Returns also these values, and
        where the first one begins that is to be read again, or the end."""
        high, is_last = min(high, low + FIND_BYTES_MAX), is_last and high - low <= FIND_BYTES_MAX
        elements, kinds, values, is_done = self._elements.values(buffer, low, high, is_last=is_last)
        (others,) = np.nonzero(~self._is_sure(kinds))
        count, stop = len(kinds), low
        if len(others):
            count = int(others[0])
            stop = int(values.starts[count])
        elif is_last and is_done:
            stop = high
        elif count:  # what follows the last value, as a comma, was perhaps not read
            count -= 1
            stop = int(values.starts[count])
        kinds, values = kinds[:count], values.only(values.numbers < count)
        elements = elements.only(elements.numbers < count)
        has_missed = kinds == Kind.MISSING
        if self._arrays is not None and has_missed.any():
            self._forget_empty(has_missed, buffer, self._arrays.values(buffer, low, stop, is_last=True)[0])
        return self._inside(elements, kinds, has_missed), values, stop

    def _is_sure(self, kinds: UInt8s) -> Bools:
        is_sure: Bools = kinds == Kind.KEYED
        return is_sure if self._arrays is None else is_sure | (kinds == Kind.MISSING)

    def _inside(self, elements: Taken, kinds: UInt8s, has_missed: Bools) -> Inside:
        return Inside(elements, np.ones(len(kinds), np.bool_), has_missed).only(self._is_sure(kinds))

    @staticmethod
    def _forget_empty(has_missed: Bools, buffer: bytearray, found: Taken) -> None:
        has_missed[found.numbers[np.frombuffer(buffer, np.uint8)[found.starts] == OPEN_BRACKET]] = False


_NONE: Final = np.empty(0, np.int64)
