"""How the records of an input are laid out: found from its content, as the contract says."""

from __future__ import annotations

from typing import Final

from linkmatch_ray.core.careful import WHITE_SPACE, Damage, parse
from linkmatch_ray.core.frames import back_over_white, skip_white
from linkmatch_ray.core.outcome import Format, MatchOptions
from linkmatch_ray.core.window import LOW, Window

BLANK_BYTES_MAX: Final = 64 << 20
"""An input that begins with more white space than this is taken for lines, as it would have to be held."""

_BOM: Final = b"\xef\xbb\xbf"


def find_layout(window: Window, options: MatchOptions) -> Format:
    """The layout of the input at whose start the window is; a byte order mark is dropped.

    Raises:
        Damage: it is text in another encoding than UTF-8.
    """
    window.fill()
    if window.buffer[LOW : window.end].startswith(_BOM):
        window.drop(LOW + len(_BOM))
    head = window.text(LOW, 4)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or (len(head) > 1 and 0 in head):
        raise Damage("not_utf8", "text in another encoding than UTF-8")
    if options.format != "auto":
        return options.format
    while True:
        buffer, end = window.buffer, window.end
        first = skip_white(buffer, LOW, end)
        if buffer[first : first + 1] == b"[":
            return "array"
        newline = buffer.find(b"\n", first, end)
        if newline >= 0 and _is_value(bytes(buffer[first:newline])):
            return "lines"
        size = back_over_white(buffer, first, end) - first
        if size > options.max_record_bytes or (not size and window.held > BLANK_BYTES_MAX):
            return "lines"
        if window.ended:
            return "object" if _is_object(bytes(buffer[first:end])) else "lines"
        window.fill()


def _is_value(text: bytes) -> bool:
    """Whether a line is one whole JSON value; a blank one is as good."""
    try:
        if text.strip(WHITE_SPACE):
            parse(text)
    except Damage:
        return False
    return True


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(parse(text), dict)
    except Damage:
        return False
