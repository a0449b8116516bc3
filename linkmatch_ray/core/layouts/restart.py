"""The search for a restart behind damage.

A restart is a margin from which a whole value can be read. Behind that, a margin or the end must follow.
"""

from __future__ import annotations

from typing import Final

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.exact import is_utf8, too_long
from linkmatch_ray.core.layouts.closing import RS, find_margin, is_margin
from linkmatch_ray.core.layouts.long import Passing
from linkmatch_ray.core.scan import one_value
from linkmatch_ray.core.structure import OPEN_BRACKET, skip_space, skip_white
from linkmatch_ray.core.window import LOW
from linkmatch_ray.core.writer import Reading, Torn
from linkmatch_ray.native.kernel import Place, Status

HELD_BYTES: Final = 1 << 16
"""Bytes behind a margin that are held and read at first."""


class Restart:
    """The search for a restart behind damage.

    Args:
        torn: Its entry, as far as it was taken.
        failed: The furthest byte at which reading has failed.
        damage: Its first damage.
        failure: The damage at which reading has failed, if `damage` may be another one before it. The entry has this
            one if the other lies behind the restart.
        streams_all: Any value may be longer than what is held, and not only an array.
    """

    def __init__(
        self,
        of: Reading,
        torn: Torn,
        failed: int,
        damage: Damage,
        failure: Damage | None = None,
        *,
        streams_all: bool,
    ) -> None:
        self._window, self._writer, self._limit = of.window, of.writer, of.judge.max_bytes
        self._torn, self._failed, self._damage, self._streams_all = torn, failed, damage, streams_all
        self._failure = failure
        self._stream = one_value()
        self._is_end = False  # nothing is left to read
        self._has_bad = (
            False  # the value that is tried has a string with bytes that are not UTF-8 and that was too long to be held
        )

    def find(self) -> Place | None:
        """Adds the entry for all before the restart; returns the place of what the window begins with, or None at the
        end."""
        window, torn = self._window, self._torn
        if window.offset == torn.start and self._failed - torn.start <= self._limit:
            margin = find_margin(window, self._behind_start(LOW), self._place(self._failed))
            if margin >= LOW:
                first = self._damage
                if self._failure is not None and is_utf8(memoryview(window.buffer)[LOW:margin]):
                    self._damage = self._failure
                torn.take(margin)
                if (place := self._try(is_behind=False)) is not None or self._is_end:
                    return place
                self._damage = first
        while (margin := self._next_margin()) >= LOW:
            torn.take(margin)
            if (place := self._try(is_behind=True)) is not None or self._is_end:
                return place
        self._writer.torn(torn, self._damage)
        return None

    def _place(self, offset: int) -> int:
        return LOW + offset - self._window.offset

    def _fill(self) -> None:
        """Reads on, but not far: what is held is moved at each margin."""
        self._window.fill(max(HELD_BYTES, self._window.held))

    def _behind_start(self, place: int) -> int:
        """Returns a place, or the one behind it if the damage begins there with anything but an RS."""
        window = self._window
        is_start = place == self._place(self._torn.start)
        return place + (is_start and place < window.end and window.buffer[place] != RS)

    def _next_margin(self) -> int:
        """Finds the next margin at or behind the failure; takes all before the window that it is in, or to the end."""
        window = self._window
        while True:
            start = self._behind_start(max(LOW, self._place(self._failed)))
            if start < window.end and (margin := find_margin(window, start)) >= LOW:
                return margin
            self._torn.take(window.end)
            if window.ended:
                return -1
            self._fill()

    def _try(self, *, is_behind: bool) -> Place | None:
        """Reads a value from the margin that the window begins with; writes the entry if it is a restart."""
        window, stream, torn = self._window, self._stream, self._torn
        margin, start = window.offset, LOW
        if window.held > 4 * HELD_BYTES:
            window.give_back(HELD_BYTES)
        if window.buffer[LOW] == RS:
            while (start := skip_space(window.buffer, LOW, window.end)) == window.end and not window.ended:
                self._fill()
            if start == window.end:
                self._failed = window.offset + window.held
                return None
        may_stream = self._streams_all or window.buffer[start] == OPEN_BRACKET
        stream.begin(window.offset + start - LOW, Place.TOP)
        long, before, self._has_bad = None, (torn.end, torn.text), False
        while True:
            status = stream.step(window.buffer, LOW, window.end, window.offset, is_last=window.ended)
            if stream.count:
                return self._followed(margin, long, before, may_stream=may_stream)
            if status == Status.DAMAGE:
                failed, is_end = stream.state.damage_at, stream.is_truncated
                if may_stream and ((is_end and is_behind) or failed - margin >= self._limit):
                    return self._found()
                self._failed = max(self._failed, failed)
                return None
            if may_stream and stream.state.at - margin >= self._limit:
                return self._found()
            passing = Passing(stream, window, window.end, self._limit)
            if not may_stream and (long is not None or passing.is_too_long):
                if long is None:
                    torn.take(self._place(passing.start))
                    long = Torn(window, self._writer)
                self._has_bad |= passing.token is not None and passing.token.has_bad
                upto, _ = passing.places()
                passing.noted_by(long, torn)
                torn.take(self._place(upto))
                passing.passed()
            self._fill()

    def _followed(self, margin: int, long: Torn | None, before: tuple[int, bytes], *, may_stream: bool) -> Place | None:
        """Looks at what follows a whole value."""
        window, torn = self._window, self._torn
        end = self._place(self._stream.state.value_end)
        while (following := skip_white(window.buffer, end, window.end)) == window.end and not window.ended:
            self._fill()
        if following < window.end and not is_margin(window, following):
            failed = window.offset + following - LOW
            if may_stream and failed - margin >= self._limit:
                return self._found()
            self._failed = max(self._failed, failed)
            return None
        if long is None:
            return self._found()
        is_cut = end == window.end and window.corrupt is not None
        long.take(end)
        torn.end, torn.text = before
        self._found()
        if is_cut:
            self._writer.cut(long, has_bad=self._has_bad or self._stream.first_is_bad)
            self._is_end = True
            return None
        self._writer.torn(long, too_long(self._limit))
        return Place.BEHIND

    def _found(self) -> Place:
        self._writer.torn(self._torn, self._damage)
        return Place.TOP
