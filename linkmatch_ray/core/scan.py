"""The seam: bytes in; record bounds, verdicts and doubts out.

The kernel validates everything, finds records and their keys, and looks them up in the index; `native/api.h` has what
it doubts. It gives no verdict on a record that it doubts or finds damaged. The exact path reads these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.exact import bad_utf8, invalid, invalid_utf8, too_deep, truncated
from linkmatch_ray.core.index import NOT_FOUND, Int64s, RestrictionIndex
from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.native import kernel
from linkmatch_ray.native.kernel import LINES, VALUES, Flag, Kernel, Kind, Place, Reading, Status
from linkmatch_ray.native.library import SLOTS_MAX

Int8s = npt.NDArray[np.int8]

RECORDS_MAX: Final = 1 << 15
"""Maximum number of records that the kernel gives at a time. Its columns for them fit a core's second-level cache."""

SCAN_BYTES_MAX: Final = (1 << 32) - 256
"""Maximum position in a buffer, because the kernel's have 32 bits."""

_SCALAR: Final = re.compile(
    rb"-?(?:(?:0|[1-9][0-9]*+)(?:\.(?:[0-9]++(?:[eE](?:[+-]?[0-9]*+)?+)?+)?+|[eE](?:[+-]?[0-9]*+)?+)?+)?+"
    rb"(?<=[-+.0-9eE])|t(?:r(?:ue?)?)?|f(?:a(?:l(?:se?)?)?)?|n(?:u(?:ll?)?)?|"
)
"""The sound beginning of a number or word."""

BETWEEN: Final = Flag.COMMA_MAY_FOLLOW | Flag.RS_IS_WHITE
"""What may stand between the values of a sequence besides white space."""


@dataclass(slots=True)
class Scan:
    """The findings in one window.

    Attributes:
        starts, ends: Where the records lie in the buffer, without white space around them.
        numbers: Physical line of each record from the window's first, for lines; None for values.
        kinds: The `Kind` of each record.
        found: The distinct key of each in the index, or `NOT_FOUND`.
        newlines: Newlines in the window, for lines.
        are_elements: 1 for each record that is an element of a top-level array, for values.
    """

    starts: Int64s
    ends: Int64s
    numbers: Int64s | None
    kinds: Int8s
    found: Int64s
    newlines: int = 0
    are_elements: Int64s | None = None

    def only(self, start: int, stop: int) -> Scan:
        """Returns some of the records that follow one another."""
        some = slice(start, stop)
        numbers = None if self.numbers is None else self.numbers[some]
        are_elements = None if self.are_elements is None else self.are_elements[some]
        columns = self.starts[some], self.ends[some], numbers, self.kinds[some], self.found[some]
        return Scan(*columns, are_elements=are_elements)


def joined(scans: list[Scan], newlines: int) -> Scan:
    """Returns scans of lines that follow one another as one."""
    columns: list[Any] = [
        np.concatenate([getattr(scan, name) for scan in scans])
        for name in ("starts", "ends", "numbers", "kinds", "found")
    ]
    starts, ends, numbers, kinds, found = columns
    return Scan(starts, ends, numbers, kinds, found, newlines)


class Stream:
    """A reading of values through the windows of one input, from any place on.

    Attributes:
        state: Where it stands; its places are offsets in the input.
        count: Records that the last scan gave.
        is_torn: The damage is that the input ends in a number or word.
    """

    def __init__(self, kernel: Kernel, records_max: int, *, finds_keys: bool = True) -> None:
        self._reading, self._finds_keys = Reading(kernel, records_max), finds_keys
        self._is_lines = kernel.config.mode == LINES
        self.state = self._reading.state

    def begin(self, offset: int, place: Place) -> None:
        """Begins at an offset of the input."""
        self._reading.begin(offset, place)

    def step(self, buffer: bytearray, low: int, high: int, offset: int, *, is_last: bool) -> Status:
        """Reads on in `buffer[low:high]`, which is at `offset` in the input, as far as the columns have room."""
        address = np.frombuffer(buffer, np.uint8).ctypes.data + low
        status = self._reading.scan(address, offset, high - low, is_last=is_last)
        assert status != Status.MISUSE
        self.count = self._reading.output.count
        if status == Status.DAMAGE:
            self._look_at_damage(buffer, low, high, offset)
        return status

    def scan(self, buffer: bytearray, low: int, high: int, offset: int, *, is_last: bool) -> tuple[Scan, Status]:
        """Reads on in all of `buffer[low:high]`, or up to damage."""
        reading = self._reading
        columns: list[list[npt.NDArray[Any]]] = [[], [], [], [], []]
        status = Status.FULL
        while status == Status.FULL:
            line = self.state.line
            status = self.step(buffer, low, high, offset, is_last=is_last)
            found = np.full(reading.output.count, NOT_FOUND, np.int64)
            found[reading["hit_rows"]] = reading["hit_places"]
            given: list[npt.NDArray[Any]] = [reading[name].astype(np.int64) for name in ("starts", "ends", "lines")]
            given[2] += line
            given += [reading["kinds"].astype(np.int8), found]
            for column, more in zip(columns, given, strict=True):
                column.append(more)
        starts, ends, numbers, kinds, hits = map(np.concatenate, columns) if len(columns[0]) > 1 else map(_one, columns)
        if not self._finds_keys:
            kinds[kinds == Kind.KEYED] = Kind.DOUBTED
        starts, ends = starts + low, ends + low
        if self._is_lines:
            return Scan(starts, ends, numbers, kinds, hits), status
        return Scan(starts, ends, None, kinds, hits, are_elements=numbers), status

    @property
    def is_complete(self) -> bool:
        """Whether the record that is open has ended, and only what must follow it was not met."""
        return bool(self.state.is_open) and self.state.value_end > self.state.record

    @property
    def first_end(self) -> int:
        """Where the first record of the last step ends, from the window's start."""
        return int(self._reading["ends"][0])

    @property
    def first_is_bad(self) -> bool:
        """Whether the first record of the last step has bytes that are not UTF-8."""
        return bool(self._reading["kinds"][0] == Kind.DAMAGED)

    @property
    def is_truncated(self) -> bool:
        """Whether the damage is that the input ends."""
        return bool(self.state.damage == kernel.Damage.TRUNCATED)

    def _look_at_damage(self, buffer: bytearray, low: int, high: int, offset: int) -> None:
        """Finds the byte that is wrong in a number or word, of which the kernel says only where it begins."""
        state = self.state
        self.is_torn = False
        if state.damage != kernel.Damage.SCALAR:
            return
        at = low + state.damage_at - offset
        end = _SCALAR.match(buffer, at, high).end()  # type: ignore[union-attr]  # it also matches nothing
        state.damage_at = offset + end - low
        self.is_torn = end == high
        state.damage = kernel.Damage.TRUNCATED if self.is_torn else kernel.Damage.GRAMMAR

    def damage(self, buffer: bytearray, low: int, start: int) -> Damage:
        """Returns the first damage behind a sound beginning at `buffer[low]`, which is at `start` in the input."""
        at = self.state.damage_at - start
        bad = bad_utf8(bytes(memoryview(buffer)[low : low + at]))
        if bad is not None:
            return invalid_utf8(bad)
        return self.failure(at)

    def failure(self, at: int = 0) -> Damage:
        """Returns the damage at which the reading failed. Bytes before it may not be UTF-8."""
        if self.state.damage == kernel.Damage.TOO_DEEP:
            return too_deep(at)
        return truncated(at) if self.is_truncated else invalid(at)


def _one(column: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return column[0]


class Scanner:
    """A scanner of windows for one set of key paths and one index. It must not be shared between threads.

    Args:
        index: None to find the records only.
        arrays_are_records: A top-level array is a record, and does not stand for its elements.
    """

    def __init__(
        self, paths: tuple[KeyPath, ...], index: RestrictionIndex | None, *, arrays_are_records: bool = False
    ) -> None:
        steps = [path.tokens for path in paths]
        # The kernel takes neither a path twice nor more than it has bits for. It then finds the records only.
        self._finds_keys = len(set(steps)) == len(steps) <= SLOTS_MAX
        self._steps, self._index = steps if self._finds_keys else [], index
        self._doubts = 0
        if index is not None:
            self._doubts = Flag.DOUBT_NUMBERS * index.has_numbers | Flag.DOUBT_CONTAINERS * index.has_containers
        self._arrays = Flag.ARRAYS_ARE_RECORDS * arrays_are_records

    def _stream(self, mode: int, flags: int) -> Stream:
        found = Kernel(self._steps, self._index, mode=mode, flags=flags | self._doubts)
        return Stream(found, RECORDS_MAX, finds_keys=self._finds_keys)

    @cached_property
    def _lines(self) -> Stream:
        return self._stream(LINES, BETWEEN)

    @cached_property
    def sequence(self) -> Stream:
        """Reads a sequence of values."""
        return self._stream(VALUES, BETWEEN | self._arrays)

    @cached_property
    def array(self) -> Stream:
        """Reads the elements of one array, and is done behind its bracket."""
        return self._stream(VALUES, Flag.ONE_ARRAY)

    @cached_property
    def element(self) -> Stream:
        """Reads one value inside of a container."""
        return Stream(Kernel([], mode=VALUES, flags=Flag.ARRAYS_ARE_RECORDS), 1)

    @cached_property
    def any_values(self) -> Stream:
        """Reads a sequence, and takes any value for a record."""
        return any_values()

    def lines(self, buffer: bytearray, low: int, high: int) -> Scan:
        """Scans whole lines of one value each; a line that is anything else is of the kind `DAMAGED`. The last line
        needs no newline."""
        self._lines.begin(0, Place.TOP)
        scan, _ = self._lines.scan(buffer, low, high, 0, is_last=True)
        scan.newlines = self._lines.state.line
        return scan


def one_value() -> Stream:
    """Returns a stream that reads one value: it is full behind the first, or before the place where that must end."""
    return Stream(Kernel([], mode=VALUES, flags=Flag.ARRAYS_ARE_RECORDS | Flag.RS_IS_WHITE), 1)


def any_values() -> Stream:
    """Returns a stream that reads a sequence, and takes any value for a record."""
    return Stream(Kernel([], mode=VALUES, flags=BETWEEN | Flag.ARRAYS_ARE_RECORDS), 1024)
