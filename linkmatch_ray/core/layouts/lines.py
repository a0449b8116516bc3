"""Lines: window by window, cut at newlines. A line is the unit of damage; its neighbours are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from linkmatch_ray.core.exact import too_long
from linkmatch_ray.core.structure import back_over_space, skip_space
from linkmatch_ray.core.verdicts import Judged
from linkmatch_ray.core.window import LOW
from linkmatch_ray.core.writer import Reading, Torn

TAIL_BYTES: Final = 1 << 16
"""Bytes past the end of a range that are read at once to find the end of its last line."""


class LineJudge(Protocol):
    """What finds the records in whole lines, such as a `Judge`.

    Attributes:
        max_bytes: A longer line is damaged.
    """

    max_bytes: int

    def lines(self, buffer: bytearray, low: int, high: int) -> Judged:
        """Returns verdicts for whole lines."""


class Lines:
    """The lines of an input that begin before `stop`."""

    def __init__(self, of: Reading, judge: LineJudge | None = None) -> None:
        self._window, self._writer, self._judge = of.window, of.writer, judge or of.judge
        self._stop = of.stop

    def skip_begun(self) -> bool:
        """Passes over the line that began before the range; the window starts one byte before it. Returns whether
        another line begins in the range."""
        window, newline = self._window, -1
        while newline < 0 and not window.ended and (self._stop is None or window.offset < self._stop):
            self._fill()
            newline = window.buffer.find(b"\n", LOW, window.end)
            window.drop(newline + 1 if newline >= 0 else window.end)
        return newline >= 0

    def walk(self) -> Iterator[None]:
        """Judges all lines; yields after each window, where a part may end."""
        window, writer = self._window, self._writer
        if not window.held and not window.ended:
            self._fill()
        is_cut = False
        while not self._done:
            cut, final = self._cut()
            if cut > LOW:
                writer.lines(self._judge.lines(window.buffer, LOW, cut))
                window.drop(cut)
            elif not final and self._is_too_long:
                is_cut = not self._pass_over_line()
            if final or is_cut:
                break
            yield
            if not window.ended:
                self._fill()
        if window.corrupt is not None and not is_cut:
            writer.cut()

    @property
    def _is_too_long(self) -> bool:
        """Whether the line that the window begins with is too long to be held. White space before it is dropped."""
        window = self._window
        if window.held <= self._judge.max_bytes:
            return False
        self._writer.pass_over(skip_space(window.buffer, LOW, window.end))
        return back_over_space(window.buffer, LOW, window.end) - LOW > self._judge.max_bytes

    def _pass_over_line(self) -> bool:
        """Passes over a line that is too long to be held, and writes its entry; returns whether its end was found."""
        window, torn = self._window, Torn(self._window, self._writer)
        while (newline := window.buffer.find(b"\n", LOW, window.end)) < 0 and not window.ended:
            torn.take(window.end)
            window.fill()
        torn.take(newline if newline >= 0 else window.end)
        if newline < 0 and window.corrupt is not None:
            self._writer.cut(torn)
            return False
        self._writer.torn(torn, too_long(self._judge.max_bytes))
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
