"""Records longer than `max_record_bytes`: an entry each, without being held."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.exact import far_white, too_long
from linkmatch_ray.core.index import NOT_FOUND
from linkmatch_ray.core.outcome import ENTRY_TEXT_BYTES_MAX, Entry
from linkmatch_ray.core.structure import CLOSE_BRACE, back_over_white, skip_white
from linkmatch_ray.core.verdicts import DAMAGED, Judged
from linkmatch_ray.core.window import LOW, Window, held_max
from linkmatch_ray.core.writer import Writer

FindEnd: TypeAlias = Callable[[Window], int]
"""Returns the position in a window of what ends the record, or -1. It is called for one window after another."""


def is_oversize(window: Window, writer: Writer, max_bytes: int, find_end: FindEnd) -> bool:
    """Returns whether the record that the window begins with is too long to be held, with the white space behind it.

    White space before it is dropped, so that it is not held either.
    """
    if window.held <= max_bytes:
        return False
    writer.pass_over(skip_white(window.buffer, LOW, window.end))
    at = find_end(window)
    end = at if at >= 0 else window.end
    return end - LOW > held_max(max_bytes) or (at < 0 and back_over_white(window.buffer, LOW, end) - LOW > max_bytes)


def mark_far_white(judged: Judged, window: Window, max_bytes: int) -> None:
    """Makes an entry of each record with too much white space behind it, as if it had come alone in the window."""
    most = held_max(max_bytes)
    if window.held <= most:
        return
    apart = np.append(judged.starts[1:], window.end) - judged.starts
    for place in np.flatnonzero(apart > most).tolist():
        start, end = int(judged.starts[place]), int(judged.ends[place])
        if judged.numbers is None:
            end = skip_white(window.buffer, end, window.end)
        elif (newline := window.buffer.find(b"\n", end, window.end)) >= 0:
            end = newline
        else:
            end = window.end
        is_damaged = place in judged.damages and (judged.numbers is None or judged.ends[place] - start > max_bytes)
        if end - start > most and not is_damaged:
            judged.damages[place] = far_white()
            judged.kinds[place], judged.found[place] = DAMAGED, NOT_FOUND


def skip_oversize(
    window: Window,
    writer: Writer,
    max_bytes: int,
    find_end: FindEnd,
    unended: Damage | None = None,
    wrongly_ended: Damage | None = None,
) -> bool:
    """Passes over the record that the window begins with, and writes its entry; returns whether it ends, and something
    may follow it.

    Args:
        unended: The damage if the input ends within it.
        wrongly_ended: The damage of it and the rest of the input if `}` ends it.
    """
    text, offset, line, size = b"", window.offset, writer.line, 0
    while True:
        at = find_end(window)
        upto = at if at >= 0 else window.end
        text += window.text(LOW, min(upto - LOW, ENTRY_TEXT_BYTES_MAX - len(text)))
        last = back_over_white(window.buffer, LOW, upto)
        if last > LOW:
            size = window.offset + last - LOW - offset
        writer.pass_over(upto)
        if at >= 0 or window.ended:
            break
        window.fill()
    damage, ends = too_long(max_bytes) if size > max_bytes else far_white(), at >= 0
    if ends and wrongly_ended is not None and window.buffer[LOW] == CLOSE_BRACE:
        damage, ends = wrongly_ended, False
        while window.held or not window.ended:
            text += window.text(LOW, ENTRY_TEXT_BYTES_MAX - len(text))
            window.drop(window.end)
            window.fill()
        size = window.offset - offset
    elif not ends and (unended or window.corrupt) is not None:
        damage, size = window.corrupt or unended or damage, window.offset - offset
    writer.add(Entry(writer.index, line, offset, size, damage.reason, damage.message, text[:size]))
    writer.index += 1
    return ends
