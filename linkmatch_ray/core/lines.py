"""JSON Lines: whole lines, window by window. A bad line is an entry, and its neighbours come out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from linkmatch_ray.core.judge import Judge
from linkmatch_ray.core.overlong import is_overlong, skip_overlong
from linkmatch_ray.core.parts import PartWriter
from linkmatch_ray.core.window import LOW, Window

TAIL_BYTES: Final = 1 << 16
"""How far past the end of a range is read at once to find the end of its last line."""


class Lines:
    """The lines that begin before `stop`; all, where it is None."""

    def __init__(self, window: Window, writer: PartWriter, judge: Judge, max_bytes: int, stop: int | None) -> None:
        self._window, self._writer, self._judge = window, writer, judge
        self._max_bytes, self._stop = max_bytes, stop
        self._begun = False  # whether the line in the window begins before it, with white space that was dropped

    def skip_begun(self) -> None:
        """Pass over the line that began before the range; the window starts one byte before it."""
        window, newline = self._window, -1
        while newline < 0 and not self._done:
            self._fill()
            newline = window.buffer.find(b"\n", LOW, window.end)
            window.drop(newline + 1 if newline >= 0 else window.end)
        self._writer.begin()

    def walk(self) -> Iterator[None]:
        """Judge all lines; stops after each window, where a part may end."""
        window, writer = self._window, self._writer
        if not window.held and not window.ended:
            self._fill()
        while not self._done:
            cut, final = self._cut()
            if cut > LOW:
                for judged in self._judge.lines(window.buffer, LOW, cut):
                    writer.lines(judged)
                window.drop(cut)
                self._begun = False
            elif not final and self._is_overlong():
                if not skip_overlong(window, writer, self._max_bytes, _newline):
                    return
                window.drop(LOW + 1)
                writer.line += 1
                self._begun = False
            if final:
                break
            yield
            if not window.ended:
                self._fill()
        if window.corrupt is not None and not self._passed:
            writer.rest(window.corrupt, LOW)

    @property
    def _passed(self) -> bool:
        """Whether the window starts at or behind the end of the range."""
        return self._stop is not None and self._window.offset >= self._stop and not self._begun

    def _is_overlong(self) -> bool:
        offset = self._window.offset
        overlong = is_overlong(self._window, self._writer, self._max_bytes)
        self._begun |= self._window.offset > offset
        return overlong

    @property
    def _done(self) -> bool:
        return self._passed or (self._window.ended and not self._window.held)

    def _fill(self) -> None:
        """Read up to a window, and little beyond the end of the range."""
        window, wanted = self._window, self._window.size
        if self._stop is not None:
            wanted = max(TAIL_BYTES, min(wanted, self._stop - window.offset - window.held))
        window.fill(wanted)

    def _cut(self) -> tuple[int, bool]:
        """Where the whole lines in the buffer end, and whether they are the last of the range."""
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
