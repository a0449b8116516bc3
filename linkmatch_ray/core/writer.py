"""The writer that follows the reading of an input: it counts records and lines, and takes records and entries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.exact import invalid_utf8
from linkmatch_ray.core.outcome import ENTRY_TEXT_BYTES_MAX, Entry
from linkmatch_ray.core.structure import NEWLINE, back_over_space, count, skip_space
from linkmatch_ray.core.verdicts import Judge, Judged
from linkmatch_ray.core.window import LOW, Window


class Writer(ABC):
    """A writer that follows the windows of one input. Subclasses decide what becomes of its records.

    Attributes:
        index: Number of elements or non-blank lines before the window.
        line: Physical line of the window's start, from 1.
        needs_lines: The line of elements must be known.
    """

    needs_lines = False

    def __init__(self, window: Window) -> None:
        self._window = window
        self.index, self.line = 0, 1
        self._known = LOW, 1  # a place in the window, and its line

    @abstractmethod
    def records(self, judged: Judged, line: int) -> None:
        """Takes records of the window. `line` is the physical line that `judged.numbers` count from, or the first's."""

    @abstractmethod
    def add(self, entry: Entry) -> None:
        """Takes an entry."""

    def lines(self, judged: Judged) -> None:
        """Takes whole lines of the window. Those before them were taken already."""
        assert judged.numbers is not None
        self.records(judged, self.line)
        for place, damage in sorted(judged.damages.items()):
            start, end = int(judged.starts[place]), int(judged.ends[place])
            self.entry(damage, start, end, index=self.index + place, line=self.line + int(judged.numbers[place]))
        self.index += len(judged.starts)
        self.line += judged.newlines

    def elements(self, judged: Judged) -> None:
        """Takes whole elements of the window, behind those before. Their damage, if any, is local."""
        if not len(judged.starts):
            return
        line = self._line_at(int(judged.starts[0])) if self.needs_lines else self.line
        self.records(judged, line)
        for place, damage in sorted(judged.damages.items()):
            start, end = int(judged.starts[place]), int(judged.ends[place])
            self.entry(damage, start, end, index=self.index + place, line=self._line_at(start))
        self.index += len(judged.starts)

    def count_lines(self, upto: int) -> None:
        """Counts the newlines in the window before the position `upto`."""
        if self._window.buffer.find(b"\n", LOW, upto) >= 0:
            self.line += count(self._window.data, LOW, upto, NEWLINE)

    def pass_over(self, upto: int) -> None:
        """Forgets the window before the position `upto`, and counts its lines."""
        self.count_lines(upto)
        self._window.drop(upto)
        self._known = LOW, self.line

    def skip_space(self, stop: int | None = None) -> bool:
        """Passes over any length of what may stand between values, up to a line that begins at or after `stop`. Returns
        whether anything follows in the lines before."""
        window = self._window
        while True:
            first = skip_space(window.buffer, LOW, window.end)
            if stop is not None:
                newline = window.buffer.find(b"\n", max(LOW, LOW + stop - 1 - window.offset), first)
                if newline >= 0:
                    self.pass_over(newline + 1)
                    return False
            self.pass_over(first)
            if window.held or window.ended:
                return bool(window.held)
            window.fill()

    def entry(self, damage: Damage, start: int, end: int, *, index: int, line: int) -> None:
        """Adds an entry for `start..end` of the window."""
        text = self._window.text(start, min(end - start, ENTRY_TEXT_BYTES_MAX))
        self.add(Entry(index, line, self._offset_of(start), end - start, damage.reason, damage.message, text))

    def torn(self, torn: Torn, damage: Damage) -> None:
        """Adds an entry for what was taken."""
        size = torn.end - torn.start
        text = torn.text[:size]
        self.add(Entry(self.index, torn.line, torn.start, size, damage.reason, damage.message, text))
        self.index += 1

    def empty(self, damage: Damage) -> None:
        """Adds an entry of no bytes at the window's start."""
        self.torn(Torn(self._window, self), damage)

    def rest(self, damage: Damage) -> None:
        """Reads the file to its end, and adds one entry for all of it from the window on."""
        torn = Torn(self._window, self)
        torn.take_all()
        self.torn(torn, damage)

    def cut(self, torn: Torn | None = None, *, has_bad: bool = False) -> None:
        """Adds the entry for the end of data that was cut short: for what is left in the window, or was taken.

        Args:
            has_bad: It has bytes that are not UTF-8, which is the first error in it.
        """
        assert self._window.corrupt is not None
        if torn is None:
            self.skip_space()
            torn = Torn(self._window, self)
            torn.take(self._window.end)
        self.torn(torn, invalid_utf8(0) if has_bad else self._window.corrupt)

    def _line_at(self, place: int) -> int:
        """Returns the physical line of a place in the window, at or after that of the last call, so that no byte is
        read twice."""
        known, line = self._known
        self._known = place, line + self._window.buffer.count(b"\n", known, place)
        return self._known[1]

    def _offset_of(self, place: int) -> int:
        return self._window.offset + place - LOW


class Torn:
    """Input from the window's start on that becomes one entry, taken piece by piece.

    Attributes:
        start, end: Where in the input it lies, without white space behind it.
        line: Physical line of its start.
        text: Its first `ENTRY_TEXT_BYTES_MAX` bytes, or what was taken of them.
    """

    def __init__(self, window: Window, writer: Writer) -> None:
        self._window, self._writer = window, writer
        self.start = self.end = self._noted = window.offset
        self.line, self.text = writer.line, b""

    def take(self, upto: int) -> None:
        """Takes the window before the position `upto`, and passes over it."""
        self.note(upto)
        self._writer.pass_over(upto)

    def note(self, upto: int) -> None:
        """Takes the window before the position `upto`, except what was taken before."""
        window = self._window
        low = LOW + max(self._noted - window.offset, 0)
        if upto <= low:
            return
        self.text += window.text(low, min(upto - low, ENTRY_TEXT_BYTES_MAX - len(self.text)))
        last = back_over_space(window.buffer, low, upto)
        if last > low:
            self.end = window.offset + last - LOW
        self._noted = window.offset + upto - LOW

    def join(self, behind: Torn) -> None:
        """Takes what was taken behind it."""
        self.end = behind.end if behind.end > behind.start else self.end
        self.text = (self.text + behind.text)[:ENTRY_TEXT_BYTES_MAX]
        self._noted = behind._noted

    def take_all(self) -> None:
        """Takes the rest of the input."""
        while True:
            self.take(self._window.end)
            if self._window.ended:
                return
            self._window.fill()


@dataclass(frozen=True, slots=True)
class Reading:
    """One input that is being read.

    Attributes:
        window: What is held of it.
        writer: Takes its records.
        judge: Finds them in the window.
        stop: Records that begin at or after this byte belong to another range; None for all.
    """

    window: Window
    writer: Writer
    judge: Judge
    stop: int | None = None
