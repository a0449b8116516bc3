"""JSON Lines: whole lines, window by window. A bad line is an entry; its neighbours are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from linkmatch_ray.core.layouts.detection import Beginning, is_object, is_value
from linkmatch_ray.core.layouts.oversize import is_oversize, mark_far_white, skip_oversize
from linkmatch_ray.core.window import LOW, Window, held_max
from linkmatch_ray.core.writer import Reading

TAIL_BYTES: Final = 1 << 16
"""Bytes past the end of a range that are read at once to find the end of its last line."""


def looks_like_lines(beginning: Beginning) -> bool | None:
    """Returns whether a text is lines: its first line is whole, or no document fits.

    Returns:
        None if more of it must be seen.
    """
    line = beginning.new_first_line()
    if line is not None and is_value(line):
        return True
    if beginning.is_long:
        return True
    if beginning.is_far:  # white space behind what may be a line or a document
        text = beginning.text()
        return b"\n" not in text and is_value(text)
    return not is_object(beginning.text()) if beginning.is_all else None


def walk_lines(of: Reading) -> Iterator[None]:
    """Reads all lines; yields after each window, where a part may end."""
    return Lines(of).walk()


class Lines:
    """The lines of an input that begin before `stop`."""

    def __init__(self, of: Reading) -> None:
        self._window, self._writer, self._judge = of.window, of.writer, of.judge
        self._max_bytes, self._stop = of.max_bytes, of.stop

    def skip_begun(self) -> bool:
        """Passes over the line that began before the range; the window starts one byte before it. Returns whether
        another line begins in the range."""
        window, newline = self._window, -1
        while newline < 0 and not window.ended and (self._stop is None or window.offset < self._stop):
            self._fill()
            newline = _newline(window)
            window.drop(newline + 1 if newline >= 0 else window.end)
        return newline >= 0

    def walk(self) -> Iterator[None]:
        """Judges all lines; yields after each window, where a part may end."""
        window, writer = self._window, self._writer
        if not window.held and not window.ended:
            self._fill()
        while not self._done:
            is_far_too_long = window.held > held_max(self._max_bytes) and self._is_oversize()
            cut, final = (LOW, False) if is_far_too_long else self._cut()
            if cut > LOW:
                judged = self._judge.lines(window.buffer, LOW, cut)
                mark_far_white(judged, window, self._max_bytes)
                writer.lines(judged)
                window.drop(cut)
            elif not final and self._is_oversize() and not self._skip():
                return
            if final:
                break
            yield
            if not window.ended:
                self._fill()
        if window.corrupt is not None:
            writer.skip_white()
            writer.rest(window.corrupt, LOW)

    def _is_oversize(self) -> bool:
        return is_oversize(self._window, self._writer, self._max_bytes, _newline)

    def _skip(self) -> bool:
        """Passes over a line that is too long to be held; returns whether it ends."""
        if not skip_oversize(self._window, self._writer, self._max_bytes, _newline):
            return False
        self._writer.pass_over(LOW + 1)
        return True

    @property
    def _done(self) -> bool:
        """Whether no line is left that begins in the range."""
        passed = self._stop is not None and self._window.line_offset >= self._stop
        return passed or (self._window.ended and not self._window.held)

    def _fill(self) -> None:
        """Reads up to a window, or as much as is held of a longer line, and little beyond the end of the range."""
        window, wanted = self._window, max(self._window.size, self._window.held)
        if self._stop is not None:
            wanted = max(TAIL_BYTES, min(wanted, self._stop - window.offset - window.held))
        window.fill(wanted)

    def _cut(self) -> tuple[int, bool]:
        """Returns where the whole lines in the buffer end, and whether they are the last of the range."""
        window, buffer, end = self._window, self._window.buffer, self._window.end
        if self._stop is not None and window.offset + window.held >= self._stop:
            at = max(LOW, LOW + self._stop - 1 - window.offset)
            newline = buffer.find(b"\n", at, end)
            if newline >= 0:
                return newline + 1, True
        if window.ended and window.corrupt is None:
            return end, True
        return buffer.rfind(b"\n", LOW, end) + 1 or LOW, window.ended


def _newline(window: Window) -> int:
    return window.buffer.find(b"\n", LOW, window.end)
