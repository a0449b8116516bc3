"""Verdicts: whether each record of a window is on the list, and which key it has there.

The scan judges the records that it has no doubt of, and the exact path the others. Elements that are refused as a whole
are cut in two until the refusal concerns few of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]  # public by use, missing in typeshed
from typing import Final

import numpy as np
import numpy.typing as npt

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.exact import judge, too_long
from linkmatch_ray.core.index import NOT_FOUND, RestrictionIndex
from linkmatch_ray.core.keys import KeyPath, array_index
from linkmatch_ray.core.scan import Scan, Scanner
from linkmatch_ray.core.structure import CLOSE_BRACKET, Elements, Int64s, find_elements, find_lines
from linkmatch_ray.native.kernel import Kind
from linkmatch_ray.words import shown

UNMATCHED, MATCHED, MISSING, NOT_OBJECT, DAMAGED = range(5)
"""As `Kind` has them, except that a key which the kernel found is unmatched until it has a hit."""

EXACT_BYTES: Final = 4096
"""Refused elements no longer than this in all are not cut further: the exact path reads each of them."""


@dataclass(slots=True)
class Judged:
    """Records with their verdicts.

    Attributes:
        starts, ends: Bounds in the buffer.
        numbers: Physical line of each from the first of the window, for lines; None for elements.
        kinds: `UNMATCHED`, `MATCHED`, `MISSING`, `NOT_OBJECT` or `DAMAGED` of each.
        found: The distinct key of each in the index, or `NOT_FOUND`.
        damages: The damage that the exact path found in each damaged one, by place.
        newlines: Newlines in the window, for lines.
    """

    starts: Int64s
    ends: Int64s
    numbers: Int64s | None
    kinds: npt.NDArray[np.int8]
    found: Int64s
    damages: dict[int, Damage] = field(default_factory=dict)
    newlines: int = 0

    @property
    def is_damaged(self) -> bool:
        """Whether the damage of some record makes unsound what follows it."""
        return not all(damage.is_local for damage in self.damages.values())


@dataclass(slots=True)
class Run:
    """Elements of an array that follow one another, from the beginning of a window.

    Attributes:
        judged: The elements.
        rest: Where the first element begins that is not among them.
        close: Position of the bracket that closes the array, or -1 if it was not reached.
        is_sound: What follows was read as far as it is whole. If not, it must be found by its structure.
    """

    judged: Judged
    rest: int
    close: int = -1
    is_sound: bool = False


class Finder:
    """A finder of records that gives no verdicts, for a writer that reads each record itself."""

    def lines(self, buffer: bytearray, low: int, high: int) -> Judged:
        """Returns verdicts for whole lines."""
        lines = find_lines(np.frombuffer(buffer, np.uint8), low, high)
        return unjudged(lines.starts, lines.ends, lines.numbers, lines.newlines)

    def elements(self, buffer: bytearray, low: int, high: int, *, first: bool, is_last: bool) -> Run:
        """Returns verdicts for the elements at the beginning of a window.

        Args:
            first: None was read yet, so that the array may be empty.
            is_last: Nothing follows the window.
        """
        none = np.empty(0, np.int64)
        return Run(unjudged(none, none), low)

    def framed(self, buffer: bytearray, starts: Int64s, ends: Int64s) -> list[Judged]:
        """Returns verdicts for elements that `find_elements` found; stops after the first damaged one."""
        return [unjudged(starts, ends)]


def unjudged(starts: Int64s, ends: Int64s, numbers: Int64s | None = None, newlines: int = 0) -> Judged:
    """Returns records without a verdict; the arguments are as in `Judged`."""
    kinds, found = np.zeros(len(starts), np.int8), np.full(len(starts), NOT_FOUND, np.int64)
    return Judged(starts, ends, numbers, kinds, found, newlines=newlines)


class Judge(Finder):
    """A judge of records for one set of keys, one index and one limit. It must not be shared between threads."""

    def __init__(self, paths: tuple[KeyPath, ...], index: RestrictionIndex, max_record_bytes: int) -> None:
        self._paths = paths
        self._index = index
        self._max_record_bytes = max_record_bytes
        self._scanner = Scanner(paths, index)

    def lines(self, buffer: bytearray, low: int, high: int) -> Judged:
        scan = self._scanner.lines(buffer, low, high)
        if scan is None:
            lines = find_lines(np.frombuffer(buffer, np.uint8), low, high)
            scan = _all_doubts(lines.starts, lines.ends, lines.numbers, lines.newlines)
        return self._verdicts(buffer, scan)

    def elements(self, buffer: bytearray, low: int, high: int, *, first: bool, is_last: bool) -> Run:
        scan = self._scanner.elements(buffer, low, high, first=first, is_last=is_last)
        if scan is None:
            return super().elements(buffer, low, high, first=first, is_last=is_last)
        return Run(self._verdicts(buffer, scan), scan.rest, scan.close, scan.is_sound)

    def plain(self, buffer: bytearray, low: int, high: int, *, elements: bool) -> Judged | None:
        """Returns verdicts for a window without damage, or None."""
        scan = self._closed(buffer, low, high) if elements else self._scanner.lines(buffer, low, high)
        return None if scan is None or (scan.kinds == DAMAGED).any() else self._verdicts(buffer, scan)

    def _closed(self, buffer: bytearray, low: int, high: int) -> Scan | None:
        """Scans whole elements; for the time of the call a bracket behind them closes the array."""
        behind, buffer[high] = buffer[high], CLOSE_BRACKET
        try:
            scan = self._scanner.elements(buffer, low, high + 1, first=False, is_last=True)
        finally:
            buffer[high] = behind
        return scan if scan is not None and scan.close == high else None

    def framed(self, buffer: bytearray, starts: Int64s, ends: Int64s) -> list[Judged]:
        low, high = int(starts[0]), int(ends[-1])
        scan = self._closed(buffer, low, high)
        if scan is not None and len(scan.starts) == len(starts):
            return [self._verdicts(buffer, scan)]
        if len(starts) > 1 and high - low > EXACT_BYTES:
            middle = len(starts) // 2
            first = self.framed(buffer, starts[:middle], ends[:middle])
            if first[-1].is_damaged:
                return first
            return first + self.framed(buffer, starts[middle:], ends[middle:])
        return [self._verdicts(buffer, _all_doubts(starts, ends, None, 0), stop_at_damage=True)]

    def _verdicts(self, buffer: bytearray, scan: Scan, *, stop_at_damage: bool = False) -> Judged:
        judged = Judged(scan.starts, scan.ends, scan.numbers, scan.kinds, scan.found, newlines=scan.newlines)
        is_oversize = scan.ends - scan.starts > self._max_record_bytes
        for place in np.flatnonzero((scan.kinds >= DAMAGED) | is_oversize).tolist():
            self._judge_exactly(buffer, judged, place)
            if stop_at_damage and judged.is_damaged:
                break
        judged.kinds[judged.found >= 0] = MATCHED
        return judged

    def _judge_exactly(self, buffer: bytearray, judged: Judged, place: int) -> None:
        start, end = int(judged.starts[place]), int(judged.ends[place])
        judged.found[place] = NOT_FOUND
        try:
            if end - start > self._max_record_bytes:
                raise too_long(self._max_record_bytes)
            verdict = judge(bytes(memoryview(buffer)[start:end]), self._paths)
        except Damage as damage:
            judged.damages[place] = damage
            judged.kinds[place] = DAMAGED
            return
        if verdict.key is not None:
            judged.kinds[place] = UNMATCHED
            judged.found[place] = self._index.find(verdict.key)
        else:
            judged.kinds[place] = MISSING if verdict.is_object else NOT_OBJECT


def _all_doubts(starts: Int64s, ends: Int64s, numbers: Int64s | None, newlines: int) -> Scan:
    kinds, found = np.full(len(starts), Kind.DOUBTED, np.int8), np.full(len(starts), NOT_FOUND, np.int64)
    return Scan(starts, ends, numbers, kinds, found, newlines)


def whole_elements(framed: Elements, *, first: bool) -> tuple[Int64s, Int64s]:
    """Returns the bounds of elements; none if `first` says that this is the start of the container and it is empty."""
    starts, ends = framed.starts, framed.ends
    if first and framed.close >= 0 and len(starts) == 1 and starts[0] == ends[0]:
        return starts[:0], ends[:0]
    return starts, ends


def locate(buffer: bytearray, low: int, high: int, path: KeyPath) -> int:
    """Returns the position just after the `[` of the array that `path` leads to in the valid document at `low`.

    Raises:
        Damage: It leads to nothing, or not to an array.
    """
    data = np.frombuffer(buffer, np.uint8)
    for token in path.tokens:
        container = buffer[low : low + 1]
        framed = find_elements(data, low + 1, high)
        starts, ends = whole_elements(framed, first=True)
        place = None
        if container == b"[":
            place = array_index(token)
            if place is not None and place < len(starts):
                low, high = int(starts[place]), int(ends[place])
                continue
        if container == b"{":
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                text = bytes(buffer[start:end]).decode("utf-8")
                name, after = scanstring(text, 1)
                if name == token:
                    rest = text[after:].lstrip(" \t\n\r")[1:].lstrip(" \t\n\r")
                    place = end - len(rest.encode("utf-8"))
                    high_of_place = end
            if place is not None:
                low, high = place, high_of_place
                continue
        raise Damage("no_records", f"the document has nothing at {shown(path.text)}")
    if buffer[low : low + 1] != b"[":
        raise Damage("no_records", f"the document has no array at {shown(path.text)}")
    return low + 1
