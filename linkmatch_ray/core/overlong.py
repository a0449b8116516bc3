"""Records longer than `max_record_bytes`: an entry each, without being held."""

from __future__ import annotations

from collections.abc import Callable

from linkmatch_ray.core.careful import Damage, too_long
from linkmatch_ray.core.frames import CLOSE_BRACE, back_over_white, skip_white
from linkmatch_ray.core.outcome import ENTRY_TEXT_BYTES_MAX, RECORD_BYTES_MAX, Entry
from linkmatch_ray.core.parts import PartWriter
from linkmatch_ray.core.window import LOW, Window


def is_overlong(window: Window, writer: PartWriter, max_bytes: int) -> bool:
    """Whether the record that the window begins with is too long, white space around it left aside.

    White space before it is dropped, so that it is not held either.
    """
    if window.held <= max_bytes:
        return False
    start = skip_white(window.buffer, LOW, window.end)
    writer.count_lines(start)
    window.drop(start)
    # White space behind a record that is not too long is held with it, but not for ever.
    most = max(max_bytes, RECORD_BYTES_MAX) + window.size
    return back_over_white(window.buffer, LOW, window.end) - LOW > max_bytes or window.held > most


def skip_overlong(
    window: Window,
    writer: PartWriter,
    max_bytes: int,
    find_end: Callable[[Window], int],
    unended: Damage | None = None,
    wrongly_ended: Damage | None = None,
) -> bool:
    """Pass over the record that the window begins with, and write the entry for it; returns whether it ends, and
    something may follow it.

    Args:
        find_end: Gives the position in a window of what ends the record, or -1; asked for one window after
            another.
        unended: What is said if the input ends within it.
        wrongly_ended: What is said of it and the rest of the input if `}` ends it.
    """
    text, offset, line, size = window.text(LOW, ENTRY_TEXT_BYTES_MAX), window.offset, writer.line, 0
    while True:
        at = find_end(window)
        upto = at if at >= 0 else window.end
        last = back_over_white(window.buffer, LOW, upto)
        if last > LOW:
            size = window.offset + last - LOW - offset
        writer.count_lines(upto)
        window.drop(upto)
        if at >= 0 or window.ended:
            break
        window.fill()
    damage, ends = too_long(max_bytes), at >= 0
    if ends and wrongly_ended is not None and window.buffer[LOW] == CLOSE_BRACE:
        damage, ends = wrongly_ended, False
        while window.held or not window.ended:
            window.drop(window.end)
            window.fill()
        size = window.offset - offset
    elif not ends and (unended or window.corrupt) is not None:
        damage, size = window.corrupt or unended or damage, window.offset - offset
    writer.add(Entry(writer.index, line, offset, size, damage.reason, damage.message, text))
    writer.index += 1
    return ends
