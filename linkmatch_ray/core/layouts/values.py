"""A sequence of values, streamed: records come out as they are read.

Damage costs its record, if that is closed before the next margin. Other damage costs all that stands before a *restart*
(`restart.py`). No byte is parsed more than twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.exact import invalid_utf8, too_long, truncated
from linkmatch_ray.core.index import NOT_FOUND
from linkmatch_ray.core.layouts.closing import RS, STRETCH_BYTES, Closing, find_margin
from linkmatch_ray.core.layouts.long import Passing
from linkmatch_ray.core.layouts.restart import Restart
from linkmatch_ray.core.scan import Scan, Stream
from linkmatch_ray.core.structure import OPEN_BRACE, OPEN_BRACKET
from linkmatch_ray.core.verdicts import DAMAGED
from linkmatch_ray.core.window import LOW, Window
from linkmatch_ray.core.writer import Reading, Torn
from linkmatch_ray.native.kernel import Kind, Place, Status

DAMAGED_BYTES: Final = 1 << 16
"""Bytes behind damage, or of a document, that are held and scanned at first. Each moves what is held."""

HELD_BYTES: Final = 8 << 20
"""Bytes behind damage that are held while its end is looked for, because reading may begin again before it. As many as
a record may have are held if that is more. They are not a window's, because nothing may depend on a window."""

MISSING_ELEMENT: Final = Damage("invalid_json", "an element of the array is missing here")
NOT_ARRAY: Final = Damage("not_array", "not an array, and --format array takes no other values")
TRAILING: Final = Damage("trailing_data", "something follows the value")

_COMMA: Final = re.compile(rb"([ \t\r]*+,)[ \t\r]*+(?:\n|\Z)")
_NO_COMMA: Final = re.compile(rb"[ \t\r]*+(?:[^ \t\r,]|,[ \t\r]*+[^ \t\r\n])")


@dataclass(slots=True)
class _Long:
    """A record that is too long to be held, as far as it was read.

    Attributes:
        opened: Brackets that are open where the window begins.
        has_margin: There was a margin behind its first byte.
        has_bad: It has a string with bytes that are not UTF-8 and that was too long to be held.
        has_ended: It has ended where the window begins, if the data is not cut short there.
        first: Its first byte.
    """

    torn: Torn
    first: int
    opened: int = 0
    has_margin: bool = False
    has_ended: bool = False
    has_bad: bool = False


class Values:
    """The values of an input, from the window's start on."""

    def __init__(self, of: Reading) -> None:
        self._of, self._window, self._writer, self._judge = of, of.window, of.writer, of.judge
        self._limit, self._format = of.judge.max_bytes, of.judge.format
        self._held_max = max(self._limit, HELD_BYTES)
        self._arrays_are_records = self._format == "object"
        self._is_done = self._gave = False
        self._reach = of.window.size  # how far is scanned at a time; not far behind damage, which may be dense
        self._streams_all = False
        self._rest: Torn | None = None  # of a document: what is before its first record, or behind its last one
        self._long: _Long | None = None
        # Of the value that touches the end of data cut short: where it begins, and whether it has bytes not in UTF-8.
        self._touching: tuple[int, bool] | None = None

    def walk(self) -> Iterator[None]:
        """Judges all values; yields after each window, where a part may end."""
        place: Place | None = Place.TOP
        while place is not None:
            status = yield from self._read(self._judge.scanner.sequence, place)
            if status != Status.DAMAGE:
                self._end()
                return
            place = self._after_damage()

    def _read(self, stream: Stream, place: Place, start: int | None = None) -> Generator[None, None, Status]:
        """Reads on from an offset or the window's start, up to damage or the end; returns why it stopped."""
        window, self._stream = self._window, stream
        state = stream.state
        stream.begin(window.offset if start is None else start, place)
        reach = self._reach
        while True:
            at = state.at
            high = min(window.end, self._place(at) + reach)
            is_last, scanned = window.ended and high == window.end, window.offset + high - LOW
            scan, status = stream.scan(window.buffer, LOW, high, window.offset, is_last=is_last)
            self._take(scan, is_last=is_last)
            if status != Status.MORE or self._is_done:
                return status
            if not self._take_long(self._place(scanned)):  # a long record that ended was passed over
                self._pass_over(state.keep)
                yield
            if state.at > at:
                reach = self._reach = min(2 * self._reach, window.size)
            else:
                reach *= 2
            if (wanted := self._place(state.at) + reach - window.end) > 0 and not window.ended:
                window.fill(wanted)

    def _pass_over(self, offset: int) -> None:
        """Passes over what is before an offset, except what may have to be read again."""
        if self._rest is None:
            self._writer.pass_over(self._place(offset))
        elif offset - self._rest.start > self._limit:
            self._rest.take(self._place(offset))

    def _place(self, offset: int) -> int:
        """Returns the position in the window of an offset in the input."""
        return LOW + offset - self._window.offset

    def _take(self, scan: Scan, *, is_last: bool) -> None:
        """Writes the records of a scan, except one that touches the end of data which was cut short."""
        window, long = self._window, self._long
        if long is not None and long.has_ended and window.held:
            self._write_long(LOW)
            long = None
        if len(scan.starts) and scan.ends[-1] == window.end and (window.corrupt is not None or not window.ended):
            if len(scan.starts) == 1 and long is not None:
                long.torn.take(window.end)
                long.has_ended = True
                long.has_bad |= bool(scan.kinds[0] == Kind.DAMAGED)
                return
            touching = window.offset + int(scan.starts[-1]) - LOW, bool(scan.kinds[-1] == Kind.DAMAGED)
            scan = scan.only(0, len(scan.starts) - 1)
            if window.ended:
                self._touching = touching
            else:  # what follows shows whether it is cut short
                self._stream.begin(touching[0], Place.TOP)
                window.fill(self._reach)
        if len(scan.starts) and long is not None:
            end = int(scan.ends[0])
            self._write_long(end)
            scan = scan.only(1, len(scan.starts))
            scan.starts, scan.ends = scan.starts - (end - LOW), scan.ends - (end - LOW)
        if len(scan.starts):
            judged = self._judge.verdicts(window.buffer, scan)
            if self._format == "array" and scan.are_elements is not None:
                for place in np.flatnonzero(scan.are_elements == 0).tolist():
                    judged.damages.setdefault(place, NOT_ARRAY)
                    judged.kinds[place], judged.found[place] = DAMAGED, NOT_FOUND
            self._writer.elements(judged)
            self._came_out()

    def _write_long(self, end: int) -> None:
        """Writes the entry of a record that is too long to be held, and ends at a position in the window."""
        assert self._long is not None
        self._long.torn.take(end)
        self._writer.torn(self._long.torn, too_long(self._limit))
        self._came_out()

    def _came_out(self) -> None:
        """Notes that a record or entry came out."""
        self._long = self._rest = None
        self._gave = True

    def _take_long(self, high: int) -> bool:
        """Passes over what was read of a record that is too long to be held; returns whether the window begins in
        one."""
        window, writer = self._window, self._writer
        passing = Passing(self._stream, window, high, self._limit)
        if self._long is not None and self._long.has_ended:
            return True
        if self._long is None:
            if not passing.is_too_long:
                return False
            (writer.pass_over if self._rest is None else self._rest.take)(self._place(passing.start))
            self._long = _Long(Torn(window, writer), window.buffer[LOW])
        long, (upto, _) = self._long, passing.places()
        if not long.has_margin:
            is_first = window.offset == long.torn.start
            long.has_margin = find_margin(window, LOW + is_first, self._place(upto)) >= LOW
        passing.noted_by(long.torn)
        long.torn.take(self._place(upto))
        long.opened = self._stream.state.depth
        long.has_bad |= passing.token is not None and passing.token.has_bad
        passing.passed()
        return True

    def _end(self) -> None:
        """Passes over what follows the last value, or adds the entry for the end of data that was cut short."""
        window, writer = self._window, self._writer
        if window.corrupt is None:
            if self._long is not None:
                self._write_long(LOW)
            writer.pass_over(window.end)
        elif self._long is not None:
            self._long.torn.take(window.end)
            writer.cut(self._long.torn, has_bad=self._long.has_bad)
        else:
            start, has_bad = self._touching or (window.offset + window.held, False)
            writer.pass_over(self._place(start))
            writer.cut(has_bad=has_bad)

    def _after_damage(self) -> Place | None:
        """Adds the entry for damage, or for the end in an array. Returns the place of what the window then begins with,
        or None at the end."""
        window, writer, stream, long = self._window, self._writer, self._stream, self._long
        state, is_end = stream.state, stream.is_truncated
        self._reach = min(self._reach, DAMAGED_BYTES)
        if window.held > self._place(state.damage_at) + 2 * DAMAGED_BYTES:
            window.give_back(self._place(state.damage_at) - LOW + DAMAGED_BYTES)
        failed, in_array = state.damage_at, bool(state.in_array)
        if in_array and is_end and stream.is_complete and self._place(state.value_end) < window.end:
            self._last_element()
            return None
        if long is None:
            begins = state.record if state.is_open else failed
            if in_array and not state.is_open and not is_end and window.buffer[self._place(failed)] in b",]":
                writer.pass_over(self._place(failed))
                self._came_out()
                writer.empty(MISSING_ELEMENT)
                return Place.ELEMENT_NEXT
            if self._rest is not None and self._is_margin_near(self._rest, failed):
                place, is_held = self._after_first_record(self._rest, begins, failed)
                if is_held:
                    return place
            (writer.pass_over if self._rest is None else self._rest.take)(self._place(begins))
        first = window.buffer[LOW] if long is None else long.first
        damage = self._damage()
        torn = Torn(window, writer) if long is None else long.torn
        may_close = in_array or first == OPEN_BRACE or (first == OPEN_BRACKET and self._arrays_are_records)
        if may_close and self._find_close(torn, is_element=in_array):
            return self._closed(torn, damage, is_element=in_array)
        if self._rest is not None:
            self._rest.join(torn)
            torn = self._rest
        self._long = self._rest = None
        return self._restart(torn, failed, damage)

    def _closed(self, torn: Torn, damage: Damage, *, is_element: bool) -> Place:
        """Adds the entry for a damaged record that is closed; returns the place behind it."""
        self._came_out()
        self._writer.torn(torn, too_long(self._limit) if torn.end - torn.start > self._limit else damage)
        return Place.ELEMENT_NEXT if is_element else Place.BEHIND

    def _restart(self, torn: Torn, failed: int, damage: Damage) -> Place | None:
        """Adds the entry for damage up to where reading begins again; returns the place of that, or None at the end."""
        failure = self._window.cause_of(self._stream.failure())
        return Restart(self._of, torn, failed, damage, failure, streams_all=self._streams_all).find()

    def _last_element(self) -> None:
        """Writes the last element of an array that ends behind it."""
        window, writer, state, long = self._window, self._writer, self._stream.state, self._long
        end = self._place(state.value_end)
        if long is not None:
            long.torn.take(max(LOW, end))  # white space behind it may have been passed over
            writer.torn(long.torn, too_long(self._limit))
        else:
            writer.elements(self._judge.one(window.buffer, self._place(state.record), end))
        self._came_out()
        writer.pass_over(window.end)
        writer.empty(window.corrupt or truncated(0))

    def _damage(self) -> Damage:
        """Returns the first damage of the record that the window begins with, or began with if it is a long one."""
        window, state = self._window, self._stream.state
        if self._long is not None and (state.has_bad or self._long.has_bad):
            return invalid_utf8(0)
        return window.cause_of(self._stream.damage(window.buffer, LOW, window.offset))

    def _is_margin_near(self, rest: Torn, failed: int) -> bool:
        """Returns whether reading may begin again before the failure, in what is held of a document without records."""
        window = self._window
        if window.offset != rest.start or failed - rest.start > self._limit:
            return False
        return find_margin(window, LOW + (window.buffer[LOW] != RS), self._place(failed)) >= LOW

    def _after_first_record(self, rest: Torn, begins: int, failed: int) -> tuple[Place | None, bool]:
        """Does what `_after_damage` does for the first record of a document, all of which is held; returns also whether
        that was possible."""
        window, start = self._window, self._place(begins)
        damage = window.cause_of(self._stream.damage(window.buffer, start, begins))
        closing, low = Closing(is_element=True), start
        while window.held <= self._held_max:
            margin = find_margin(window, max(low, start + 1))
            end = closing.find(window.buffer, low, margin if margin >= 0 else window.end)
            if end >= 0:
                self._writer.pass_over(start)
                torn = Torn(window, self._writer)
                torn.take(LOW + end - start)
                return self._closed(torn, damage, is_element=True), True
            if margin >= 0 or closing.is_lost or window.ended:
                self._rest = None
                return self._restart(rest, failed, damage), True
            low = window.end
            window.fill()
        return None, False

    def _find_close(self, torn: Torn, *, is_element: bool) -> bool:
        """Finds the end of a damaged record that begins with `torn`, and takes all before it; returns whether it is
        closed. If it is not, the window has what may be read again."""
        window, long = self._window, self._long
        if long is not None and long.has_margin:
            return False
        closing = Closing(is_element=is_element, opened=long.opened if long is not None else 0)
        low, is_first, stretch = LOW, long is None, STRETCH_BYTES
        while True:
            high = min(window.end, low + stretch)
            margin = find_margin(window, low + is_first, high)
            end = closing.find(window.buffer, low, margin if margin >= 0 else high)
            if end == window.end and not is_element:
                if not window.ended:  # what follows shows whether the data is cut short
                    window.fill(self._reach)
                if window.corrupt is not None and end == window.end:
                    return False
            if end >= 0:
                torn.take(end)
                return True
            if margin >= 0 or closing.is_lost or (window.ended and high == window.end):
                return False
            low, is_first, stretch = high, False, 2 * stretch
            if high == window.end:
                if long is not None or window.buffer[LOW] != RS or window.held > self._held_max:
                    torn.take(high)  # no margin is in it, so that nothing in it will be read again
                    low = LOW
                window.fill(max(DAMAGED_BYTES, stretch))


def walk_object(of: Reading) -> Iterator[None]:
    """Reads a file that is one record of any kind; what follows it is one entry."""
    return _Object(of).walk()


class _Object(Values):
    """The one value of a file. What follows it, or all from damage that is not closed, is one entry."""

    def walk(self) -> Iterator[None]:
        window, writer = self._window, self._writer
        status = yield from self._read(self._judge.scanner.sequence, Place.TOP)
        if not self._is_done:
            if status != Status.DAMAGE:
                self._end()
                return
            if self._after_damage() is None:
                return
        comma = comma_behind(window, lambda: LOW)
        if comma is not None:
            writer.pass_over(comma)
        if writer.skip_space():
            writer.rest(TRAILING)
        elif window.corrupt is not None:
            writer.cut()

    def _take(self, scan: Scan, *, is_last: bool) -> None:
        is_long = self._long is not None
        has_ended = self._long is not None and self._long.has_ended
        first = scan.only(0, 0 if has_ended else 1)
        super()._take(first, is_last=is_last)
        if self._gave:
            self._is_done = True
            if not is_long:
                self._writer.pass_over(int(first.ends[0]))

    def _restart(self, torn: Torn, failed: int, damage: Damage) -> Place | None:
        torn.take_all()
        self._writer.torn(torn, damage)
        return None


def comma_behind(window: Window, place: Callable[[], int]) -> int | None:
    """Returns the position behind a comma that is the last thing on its line; None if there is no such comma.

    Args:
        place: Returns the position of what stands behind a value. It may change if more is read.
    """
    while True:
        comma = _COMMA.match(window.buffer, place(), window.end)
        if window.ended or (comma is not None and comma.end() < window.end):
            break
        if comma is None and _NO_COMMA.match(window.buffer, place(), window.end):
            break
        window.fill(max(DAMAGED_BYTES, window.held))
    return None if comma is None else comma.end(1)
