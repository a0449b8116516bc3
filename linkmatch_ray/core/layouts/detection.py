"""The beginning of an input: where its text begins, and whether it is lines or values."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.scan import Stream
from linkmatch_ray.core.structure import OPEN_BRACKET, back_over_space, skip_space
from linkmatch_ray.native.kernel import Place, Status

BOM: Final = b"\xef\xbb\xbf"
HEAD_BYTES: Final = len(BOM) + 4
"""Bytes of an input that show whether it is UTF-8."""

AHEAD_BYTES: Final = 1 << 18
"""Bytes that are searched for a line's end at a time, without being held. They stay in a core's second-level cache."""

_STRINGS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)

WHOLE, INCOMPLETE, WRONG = range(3)
"""What a line is: some whole values, something that a further line could complete, or anything else."""


def text_start(head: bytes) -> int:
    """Finds where the text begins in an input that begins with `head`: behind a byte order mark.

    Args:
        head: `HEAD_BYTES` of the input, or all of a shorter one.

    Raises:
        Damage: It is text in another encoding than UTF-8, which no byte order mark shows.
    """
    start = len(BOM) if head.startswith(BOM) else 0
    if 0 in head[start : start + 4]:
        raise Damage("not_utf8", "text in another encoding than UTF-8", start)
    return start


class Beginning:
    """The beginning of a text whose first byte does not stand between values. Each call of `is_lines` shows more.

    Attributes:
        is_in_first_line: No line has ended in what was seen.
    """

    def __init__(self, max_record_bytes: int, any_values: Stream) -> None:
        self._max_record_bytes, self._any_values = max_record_bytes, any_values
        self.is_in_first_line = True
        self._line = self._searched = 0  # where the next line begins; bytes known to have no newline behind it
        self._is_first = True
        self._is_whole = False  # the line before it is whole, and decides if it is not the only one

    def is_lines(self, buffer: bytearray, low: int, high: int, *, is_all: bool) -> bool | None:
        """Returns whether a text that begins with `buffer[low:high]` is lines; None if more of it must be seen.

        Args:
            is_all: Nothing follows it.
        """
        while not self._is_whole:
            start = low + self._line
            newline = buffer.find(b"\n", max(start, low + self._searched), high)
            end = back_over_space(buffer, start, newline if newline >= 0 else high)
            if end - low > self._max_record_bytes:
                return False
            self.is_in_first_line &= newline < 0
            if newline < 0 and not is_all:
                self._searched = high - low
                return None
            if self._is_first and is_all and (newline < 0 or skip_space(buffer, newline, high) == high):
                return False  # the only line does not decide
            first = skip_space(buffer, start, end)
            if first < end:
                kind = self._kind_of(buffer, first, end)
                if kind == INCOMPLETE or (kind == WRONG and buffer[low] == OPEN_BRACKET):
                    return False
                if kind == WHOLE and not self._is_first:
                    return True
                self._is_whole, self._is_first = kind == WHOLE, False
            if newline < 0:
                return False
            self._line = self._searched = skip_space(buffer, newline + 1, high) - low  # there may be many blank lines
        if skip_space(buffer, low + self._line, high) < high:
            return True
        return False if is_all else None

    def _kind_of(self, buffer: bytearray, start: int, end: int) -> int:
        """Returns what a line is."""
        stream, status = self._any_values, Status.FULL
        stream.begin(start, Place.TOP)
        while status == Status.FULL:
            status = stream.step(buffer, start, end, start, is_last=True)
        if status == Status.DONE:
            return WHOLE
        if not stream.is_truncated or stream.is_torn:
            return WRONG
        return WRONG if b'"' in _STRINGS.sub(b"", memoryview(buffer)[start:end]) else INCOMPLETE


def is_only_line(read_at: Callable[[memoryview, int], int], offset: int, limit: int) -> bool:
    """Returns whether the line that continues at an offset is the only one that is not blank, or is too long.

    Args:
        limit: The offset at which a line is too long.
        read_at: Fills a view from an offset; returns how much, 0 at the end.
    """
    buffer, newline = bytearray(AHEAD_BYTES), -1
    while count := read_at(memoryview(buffer), offset):
        first = 0
        if newline < 0:
            newline = buffer.find(b"\n", 0, count)
            line_end = newline if newline >= 0 else count
            if skip_space(buffer, min(max(0, limit - offset), line_end), line_end) < line_end:
                return True
            first = line_end
        if skip_space(buffer, first, count) < count:
            return False
        offset += count
    return True
