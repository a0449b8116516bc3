"""How the records of an input are laid out: found from its content, as the contract says.

The plan, which sees the beginning of a large file, and the reader, which sees all of it, ask the same function.
"""

from __future__ import annotations

from typing import Final

from linkmatch_ray.core.careful import Damage, parse
from linkmatch_ray.core.frames import back_over_white, skip_white
from linkmatch_ray.core.options import Format, MatchOptions
from linkmatch_ray.core.window import held_max

BOM: Final = b"\xef\xbb\xbf"
HEAD_BYTES: Final = len(BOM) + 4
"""How much of an input says whether it is UTF-8."""

_OTHER_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


def text_start(head: bytes) -> int:
    """Where the text begins in an input that begins with `head`: behind a byte order mark.

    Args:
        head: `HEAD_BYTES` of the input, or all of a shorter one.

    Raises:
        Damage: it is text in another encoding than UTF-8.
    """
    start = len(BOM) if head.startswith(BOM) else 0
    first = head[start : start + 4]
    if first.startswith(_OTHER_MARKS) or (len(first) > 1 and 0 in first):
        raise Damage("not_utf8", "text in another encoding than UTF-8")
    return start


class LayoutFinder:
    """Finds the layout of one input, of which more and more is shown. Looks at each byte once.

    What it says of a beginning, it says of every longer one.
    """

    def __init__(self, options: MatchOptions) -> None:
        self._format, self._max_record_bytes = options.format, options.max_record_bytes
        self._searched = 0  # bytes in which there is no end of the first line
        self._first_line_ended = False

    def find(self, buffer: bytearray, low: int, high: int, *, ended: bool) -> Format | None:
        """The layout of the text `buffer[low:high]`, whose first byte is not white space; None if more must be seen.

        Args:
            ended: Nothing follows it.
        """
        if self._format != "auto":
            return self._format
        most = held_max(self._max_record_bytes)
        is_far, high = high - low > most, min(high, low + most + 1)  # more is never held
        if buffer[low : low + 1] == b"[":
            return "array"
        if not self._first_line_ended:
            newline = buffer.find(b"\n", low + self._searched, high)
            self._searched, self._first_line_ended = high - low, newline >= 0
            if newline >= 0 and _is_value(bytes(buffer[low:newline])):
                return "lines"
        end = back_over_white(buffer, low, high)
        if end - low > self._max_record_bytes:
            return "lines"
        if is_far:  # white space behind what may be a line, or else a document
            is_line = buffer.find(b"\n", low, end) < 0 and _is_value(bytes(buffer[low:end]))
            return "lines" if is_line else "object"
        if ended:
            return "object" if _is_object(bytes(buffer[low:high])) else "lines"
        return None


def layout_of(head: bytes, options: MatchOptions, *, ended: bool = False) -> Format | None:
    """The layout of an input that begins with `head`; None if more must be seen, or it is not UTF-8.

    Args:
        ended: That is all of it.
    """
    try:
        start = text_start(head)
    except Damage:
        return None
    buffer = bytearray(head)
    first = skip_white(buffer, start, len(buffer))
    return LayoutFinder(options).find(buffer, first, len(buffer), ended=ended) if first < len(buffer) else None


def _is_value(text: bytes) -> bool:
    try:
        parse(text)
    except Damage:
        return False
    return True


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(parse(text), dict)
    except Damage:
        return False
