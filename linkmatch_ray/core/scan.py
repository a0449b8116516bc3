"""The seam: bytes in; record bounds, verdicts and doubts out. `Scanner` has one caller.

The kernel validates everything, finds records and their keys, and looks them up in the index; `native/api.h` has what
it doubts. It gives no verdict on a record that it doubts or finds damaged. The exact path reads these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from linkmatch_ray.core.index import NOT_FOUND, Int64s, RestrictionIndex
from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.native.kernel import LINES, VALUES, Flag, Kernel, Kind, Place, Reading, Status
from linkmatch_ray.native.library import SLOTS_MAX

Int8s = npt.NDArray[np.int8]

RECORDS_MAX: Final = 1 << 15
"""Maximum number of records that the kernel gives at a time. Its columns for them fit a core's second-level cache."""

SCAN_BYTES_MAX: Final = (1 << 32) - 256
"""Maximum position in a buffer, because the kernel's have 32 bits. A buffer is larger only for a record of
gigabytes."""


@dataclass(slots=True)
class Scan:
    """The findings in one window.

    Attributes:
        starts, ends: Where the records lie in the buffer, without white space around them.
        numbers: Physical line of each record from the window's first, for lines; None for elements.
        kinds: The `Kind` of each record.
        found: The distinct key of each in the index, or `NOT_FOUND`.
        newlines: Newlines in the window, for lines; 0 for elements.
        rest: Where the first element begins that is not among them, for elements: damaged, or not whole.
        close: Position of the bracket that closes the array, for elements; -1 if it was not reached.
        is_sound: No damage was met.
    """

    starts: Int64s
    ends: Int64s
    numbers: Int64s | None
    kinds: Int8s
    found: Int64s
    newlines: int = 0
    rest: int = 0
    close: int = -1
    is_sound: bool = True


class Scanner:
    """A scanner of windows for one set of key paths and one index. It must not be shared between threads."""

    def __init__(self, paths: tuple[KeyPath, ...], index: RestrictionIndex) -> None:
        steps = [path.tokens for path in paths]
        # The kernel takes neither a path twice nor more than it has bits for. It then finds the records only.
        self._finds_keys = len(set(steps)) == len(steps) <= SLOTS_MAX
        flags = Flag.ONE_ARRAY | Flag.DOUBT_NUMBERS * index.has_numbers | Flag.DOUBT_CONTAINERS * index.has_containers
        self._lines, self._values = (
            Reading(Kernel(steps if self._finds_keys else [], index, mode=mode, flags=flags), RECORDS_MAX)
            for mode in (LINES, VALUES)
        )

    def lines(self, buffer: bytearray, low: int, high: int) -> Scan | None:
        """Scans whole lines; the last one needs no newline. Returns None if the window is too large."""
        if high > SCAN_BYTES_MAX:
            return None
        scan, _ = self._scan(self._lines, buffer, low, high, Place.TOP, is_last=True)
        scan.newlines = self._lines.state.line
        return scan

    def elements(self, buffer: bytearray, low: int, high: int, *, first: bool, is_last: bool) -> Scan | None:
        """Scans elements of an array, up to damage or the bracket that closes it. An element is whole only where a
        comma or bracket follows it.

        Args:
            first: None was read yet, so that the array may be empty.
            is_last: Nothing follows the window.

        Returns:
            None if the window is too large.
        """
        if high > SCAN_BYTES_MAX:
            return None
        place = Place.ELEMENT_FIRST if first else Place.ELEMENT
        scan, status = self._scan(self._values, buffer, low, high, place, is_last=is_last)
        state = self._values.state
        scan.numbers, scan.rest, scan.is_sound = None, state.keep, status != Status.DAMAGE
        if status == Status.DONE:
            scan.close = state.at - 1
        return scan

    def _scan(
        self, reading: Reading, buffer: bytearray, low: int, high: int, place: Place, *, is_last: bool
    ) -> tuple[Scan, Status]:
        data = np.frombuffer(buffer, np.uint8)
        columns: list[list[npt.NDArray[Any]]] = [[], [], [], [], []]
        reading.begin(low, place)
        status = Status.FULL
        while status == Status.FULL:
            line = reading.state.line
            status = reading.scan(data.ctypes.data, 0, high, is_last=is_last)
            assert status != Status.MISUSE
            found = np.full(reading.output.count, NOT_FOUND, np.int64)
            found[reading["hit_rows"]] = reading["hit_places"]
            given: list[npt.NDArray[Any]] = [reading[name].astype(np.int64) for name in ("starts", "ends", "lines")]
            given[2] += line
            given += [reading["kinds"].astype(np.int8), found]
            for column, more in zip(columns, given, strict=True):
                column.append(more)
        starts, ends, numbers, kinds, hits = map(np.concatenate, columns)
        if not self._finds_keys:
            kinds[kinds == Kind.KEYED] = Kind.DOUBTED
        return Scan(starts, ends, numbers, kinds, hits), status
