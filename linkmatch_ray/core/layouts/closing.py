"""The ends of damaged records, and the places where reading may begin again. Only brackets and margins count.

A margin is an RS, or a bracket that opens a value and is the first byte of a line.
"""

from __future__ import annotations

import re
from typing import Final

from linkmatch_ray.core.structure import CLOSE_BRACE, COMMA, OPEN_BRACE, OPEN_BRACKET, QUOTE, SPACE_BETWEEN
from linkmatch_ray.core.window import LOW, Window

RS: Final = SPACE_BETWEEN[-1]

STRETCH_BYTES: Final = 4096
"""Bytes in which a damaged record's end is looked for at first; then in twice as many, and so on."""

_MARGIN: Final = re.compile(rb"\x1e|(?<=\n)[{\[]")
_TOKEN: Final = re.compile(rb'[\[\]{},]|"')
_IN_STRING: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def find_margin(window: Window, start: int, stop: int | None = None) -> int:
    """Returns the position in a window of the first margin in `start..stop`, or -1."""
    buffer, end = window.buffer, window.end if stop is None else stop
    if start == LOW and start < end and window.line_offset == window.offset and buffer[LOW] in b"{[":
        return start
    # The byte before a window is none of its own: a bracket at `LOW` was looked at above.
    found = _MARGIN.search(buffer, start, end)
    if found is not None and found.start() == LOW and buffer[LOW] != RS:
        found = _MARGIN.search(buffer, LOW + 1, end)
    return found.start() if found is not None else -1


def is_margin(window: Window, place: int) -> bool:
    """Returns whether a margin is at a position of a window."""
    return find_margin(window, place, place + 1) == place


class Closing:
    """The search for the end of a damaged record, which is fed from its first byte on, or from a place outside of
    strings.

    An element is closed by the first comma or `]` at which as many brackets are closed as opened, if never more were.
    A top-level value is closed by the bracket that makes as many closed as opened. Both only before the next margin.

    Args:
        is_element: It is an element of an array.
        opened: Brackets that are open before what is fed.
    """

    def __init__(self, *, is_element: bool, opened: int = 0) -> None:
        self._is_element, self._opened = is_element, opened
        self._in_string = self._escaped = False
        self.is_lost = False

    def find(self, buffer: bytearray, low: int, high: int) -> int:
        """Returns the position of what ends an element, or behind a value, or -1. If `is_lost`, none follows.

        No margin is in `buffer[low:high]`.
        """
        at = low
        while at < high:
            if self._in_string:
                at += self._escaped
                found = _IN_STRING.match(buffer, at, high) if at <= high else None
                if found is None:
                    tail = bytes(buffer[max(at, high - 64) : high])
                    slashes = len(tail) - len(tail.rstrip(b"\\"))
                    if slashes == len(tail) == 64:
                        whole = bytes(buffer[at:high])
                        slashes = len(whole) - len(whole.rstrip(b"\\"))
                    self._escaped = slashes % 2 == 1
                    return -1
                self._in_string, self._escaped, at = False, False, found.end()
                continue
            token = _TOKEN.search(buffer, at, high)
            if token is None:
                return -1
            at, byte = token.end(), buffer[token.start()]
            if byte == QUOTE:
                self._in_string = True
            elif byte in (OPEN_BRACE, OPEN_BRACKET):
                self._opened += 1
            elif self._is_element and self._opened == 0:
                if byte != CLOSE_BRACE:
                    return token.start()
                self.is_lost = True
                return -1
            elif byte != COMMA:
                self._opened -= 1
                if not self._is_element and self._opened == 0:
                    return at
        return -1
