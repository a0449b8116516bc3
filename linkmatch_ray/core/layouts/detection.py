"""The beginning of an input: where its text begins, and what the table of layouts asks of it."""

from __future__ import annotations

from typing import Final

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.exact import parse
from linkmatch_ray.core.structure import back_over_white
from linkmatch_ray.core.window import held_max

BOM: Final = b"\xef\xbb\xbf"
HEAD_BYTES: Final = len(BOM) + 4
"""Bytes of an input that show whether it is UTF-8."""


def text_start(head: bytes) -> int:
    """Finds where the text begins in an input that begins with `head`: behind a byte order mark.

    Args:
        head: `HEAD_BYTES` of the input, or all of a shorter one.

    Raises:
        Damage: It is text in another encoding than UTF-8, which no byte order mark shows.
    """
    start = len(BOM) if head.startswith(BOM) else 0
    if 0 in head[start : start + 4]:
        raise Damage("not_utf8", "text in another encoding than UTF-8")
    return start


class Beginning:
    """The beginning of a text whose first byte is not white space. Each call of `show` shows more of it.

    Attributes:
        is_all: Nothing follows it.
        is_long: It is longer than a record may be, without the white space at its end.
        is_far: It is longer than what is held of an input, with the white space at its end.
    """

    def __init__(self, max_record_bytes: int) -> None:
        self._max_record_bytes = max_record_bytes
        self._buffer, self._low, self._end = bytearray(), 0, 0
        self._searched = 0  # bytes known to have no newline
        self._first_line_ended = False

    def show(self, buffer: bytearray, low: int, high: int, *, is_all: bool) -> None:
        """Shows the text as far as `buffer[low:high]`, which begins as before."""
        most = held_max(self._max_record_bytes)
        self.is_far, high = high - low > most, min(high, low + most + 1)
        self._buffer, self._low, self._high = buffer, low, high
        self._end = back_over_white(buffer, low, high)
        self.is_all, self.is_long = is_all, self._end - low > self._max_record_bytes

    @property
    def first_byte(self) -> int:
        """Its first byte."""
        return self._buffer[self._low]

    def new_first_line(self) -> bytes | None:
        """Returns its first line if that is shown for the first time. Looks at each byte once."""
        if self._first_line_ended:
            return None
        newline = self._buffer.find(b"\n", self._low + self._searched, self._high)
        self._searched, self._first_line_ended = self._high - self._low, newline >= 0
        return bytes(self._buffer[self._low : newline]) if newline >= 0 else None

    def text(self) -> bytes:
        """Returns what is shown, without the white space at its end."""
        return bytes(self._buffer[self._low : self._end])


def is_value(text: bytes) -> bool:
    """Returns whether a text is one JSON value."""
    try:
        parse(text)
    except Damage:
        return False
    return True


def is_object(text: bytes) -> bool:
    """Returns whether a text is one JSON object."""
    try:
        return isinstance(parse(text), dict)
    except Damage:
        return False
