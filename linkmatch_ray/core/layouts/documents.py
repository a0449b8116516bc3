"""Records inside each value of a sequence (`--records-at`): the way to their arrays, whose elements are streamed."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Final

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.exact import DEPTH_MAX, bad_utf8, deeper_than, invalid, invalid_utf8, too_deep, truncated
from linkmatch_ray.core.layouts.gathered import Gathered
from linkmatch_ray.core.layouts.long import SOUND_STRING, Passing
from linkmatch_ray.core.layouts.restart import Restart
from linkmatch_ray.core.layouts.values import DAMAGED_BYTES, Values, comma_behind
from linkmatch_ray.core.path_finder import FIND_BYTES_MAX
from linkmatch_ray.core.records_path import RecordsPath, takes_index, takes_name
from linkmatch_ray.core.structure import (
    BACKSLASH,
    CLOSE_BRACE,
    CLOSE_BRACKET,
    COMMA,
    OPEN_BRACE,
    OPEN_BRACKET,
    QUOTE,
    skip_white,
)
from linkmatch_ray.core.window import LOW
from linkmatch_ray.core.writer import Reading, Torn
from linkmatch_ray.native.kernel import Place, Status
from linkmatch_ray.native.steps import STAR

_ESCAPE: Final = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?")
_COLON: Final = 0x3A


class _Broken(Exception):  # noqa: N818 - a finding
    """A document is damaged outside of its records."""

    def __init__(self, failed: int, damage: Damage) -> None:
        super().__init__(failed, damage)
        self.failed, self.damage = failed, damage


@dataclass(slots=True)
class _Open:
    """An open container on the path.

    Attributes:
        step: The number of the step that it takes.
        count: Its elements so far.
        has_found: It has the member or element of the step.
    """

    is_array: bool
    step: int
    count: int = 0
    has_found: bool = False


class Documents(Values):
    """The values of an input, and the records at a path in each."""

    def __init__(self, of: Reading, path: RecordsPath) -> None:
        super().__init__(of)
        self._path, self._steps = path, path.steps
        self._at = self._window.offset  # the next byte that is read, outside of records
        self._element, self._streams_all = of.judge.scanner.element, True

    def walk(self) -> Iterator[None]:
        window, writer = self._window, self._writer
        while True:
            writer.pass_over(self._position)
            if not writer.skip_space():
                break
            if self._take_whole():
                yield
                continue
            self._at = window.offset
            self._reach = min(self._reach, DAMAGED_BYTES)
            if window.held > 4 * FIND_BYTES_MAX:  # what is held is moved at each value
                window.give_back(2 * FIND_BYTES_MAX)
            self._rest, self._gave = Torn(window, writer), False
            try:
                place = yield from self._document()
            except _Broken as broken:
                place = self._again(broken)
            if place is None:
                return
            yield
        self._rest = None
        self._end()

    @property
    def _position(self) -> int:
        return self._place(self._at)

    def _take_whole(self) -> bool:
        """Takes the documents at the front that the window holds, if the kernel is sure of them; returns whether there
        were any. The others are read bracket by bracket."""
        window = self._window
        if window.held < min(FIND_BYTES_MAX, window.size) and not window.ended:
            window.fill(2 * FIND_BYTES_MAX)
        is_last, found = window.ended and window.corrupt is None, Gathered()
        inside, values, stop = self._judge.finder.in_values(window.buffer, LOW, window.end, is_last=is_last)
        if stop > LOW:
            found.inside(inside, values, self._judge, window.buffer)
            self._writer.elements(replace(found.joined(), numbers=None))
            self._writer.pass_over(stop)
            self._at = window.offset
        return stop > LOW

    def _document(self) -> Generator[None, None, Place | None]:
        """Reads a value of the sequence; returns TOP if another may follow."""
        window, writer = self._window, self._writer
        has_missed = has_reached = False
        first, step = self._peek(), 0
        stack: list[_Open] = []
        while True:
            byte = self._peek()
            if byte in (OPEN_BRACKET, OPEN_BRACE) and len(stack) == DEPTH_MAX:
                raise _Broken(self._at, too_deep(0))
            if byte == OPEN_BRACKET and step == len(self._steps) - 1:
                has_reached = True
                self._at += 1
                place = yield from self._records()
                if place is not None:
                    return place if place == Place.TOP else None
            elif (byte == OPEN_BRACKET and takes_index(self._steps[step])) or (
                byte == OPEN_BRACE and takes_name(self._steps[step])
            ):
                stack.append(_Open(byte == OPEN_BRACKET, step, has_found=self._steps[step] is STAR))
                self._at += 1
            else:
                has_missed = True
                self._skip(len(stack))
            while stack:
                wanted = self._next_in(stack[-1], len(stack))
                if wanted:
                    step = stack[-1].step + 1
                    break
                has_missed |= not stack.pop().has_found
            else:
                break
        if self._place(self._value_end) == window.end and not window.ended:
            window.fill(max(DAMAGED_BYTES, window.held))
        self._behind(is_scalar=first not in b'{["')
        if not self._gave:
            assert self._rest is not None
            if self._place(self._value_end) == window.end and window.corrupt is not None:
                self._rest.take(window.end)
                writer.cut(self._rest)
                return None
            if has_missed and not has_reached:
                end, self._rest.end = self._value_end, self._rest.end
                self._rest.take(self._place(end))
                writer.torn(self._rest, self._path.missed())
        self._rest = None
        return Place.TOP

    def _next_in(self, container: _Open, depth: int) -> bool:
        """Reads on in a container up to the value that the path takes; returns False behind its end."""
        while True:
            byte = self._peek()
            if byte == (CLOSE_BRACKET if container.is_array else CLOSE_BRACE):
                self._at += 1
                self._value_end = self._at
                return False
            if container.count:
                if byte != COMMA:
                    raise _Broken(self._at, invalid(0))
                self._at += 1
                byte = self._peek()
            container.count += 1
            if container.is_array:
                is_wanted = self._takes(container.step, container.count - 1)
            else:
                if byte != QUOTE:
                    raise _Broken(self._at, invalid(0))
                is_wanted = self._name() == self._steps[container.step]
                if self._peek() != _COLON:
                    raise _Broken(self._at, invalid(0))
                self._at += 1
                self._peek()
            if is_wanted:
                container.has_found = True
                return True
            self._skip(depth)

    def _takes(self, step: int, index: int) -> bool:
        wanted = self._steps[step]
        return wanted is STAR or wanted == index or wanted == str(index)

    def _records(self) -> Generator[None, None, Place | None]:
        """Reads the elements of an array; returns None behind its bracket, else where reading goes on: TOP, or BEHIND
        for the end."""
        stream, place = self._judge.scanner.array, Place.ELEMENT_FIRST
        while True:
            status = yield from self._read(stream, place, self._at)
            if status == Status.DONE:
                break
            again = self._after_damage()
            self._at = self._window.offset
            if again != Place.ELEMENT_NEXT:
                return Place.BEHIND if again is None else Place.TOP
            place = again
        self._at = self._value_end = stream.state.at
        if self._rest is None:  # something came out of it
            self._writer.pass_over(self._position - 1)
            self._rest = Torn(self._window, self._writer)
        return None

    def _again(self, broken: _Broken) -> Place | None:
        """Adds the entry for what is left of a broken document; returns TOP where another value begins."""
        window, damage = self._window, self._window.cause_of(broken.damage)
        assert self._rest is not None
        torn = self._rest
        if self._gave and torn.start == window.offset:  # it begins behind white space and commas
            start = LOW
            while start < window.end and window.buffer[start] in b" \t\r\n,":
                start += 1
            self._writer.pass_over(start)
            torn = Torn(window, self._writer)
        self._rest = None
        place = Restart(self._of, torn, broken.failed, damage, streams_all=True).find()
        self._at = window.offset
        return place

    # Outside of records

    def _forget(self) -> None:
        """Passes over what will not be read again."""
        assert self._rest is not None
        if self._at - self._rest.start > self._limit:
            self._rest.take(self._position)

    def _peek(self) -> int:
        """Returns the next byte that is not white space."""
        window = self._window
        while (at := skip_white(window.buffer, self._position, window.end)) == window.end:
            self._at = window.offset + window.held
            if window.ended:
                raise _Broken(self._at, truncated(0))
            self._forget()
            window.fill(max(DAMAGED_BYTES, window.held))
        self._at = window.offset + at - LOW
        return window.buffer[at]

    def _name(self) -> str | None:
        """Reads a name; returns None if it is too long to be one of the path."""
        window = self._window
        while True:
            found = SOUND_STRING.match(window.buffer, self._position, window.end)
            assert found is not None
            at = found.end()
            if at < window.end and window.buffer[at] == QUOTE:
                break
            if at < window.end and window.buffer[at] == BACKSLASH:
                at = _ESCAPE.match(window.buffer, at, window.end).end()  # type: ignore[union-attr]
            if at < window.end or window.ended:
                failed = window.offset + at - LOW
                self._check(self._at, failed)
                raise _Broken(failed, invalid(0) if at < window.end else truncated(0))
            if window.end - self._position > self._limit:
                self._skip(0)
                return None
            self._forget()
            window.fill(max(DAMAGED_BYTES, window.held))
        text = bytes(window.buffer[self._position : at + 1])
        self._check(self._at, self._at + len(text))
        self._at += len(text)
        name: str = json.loads(text)
        return name

    def _skip(self, depth: int) -> None:
        """Passes over a value that is in `depth` brackets."""
        window, stream = self._window, self._element
        start, opened = self._at, 0  # of what is not checked, and the brackets of the value that are open there
        self._value_end, is_long = 0, False
        stream.begin(start, Place.ELEMENT)
        while True:
            status = stream.step(window.buffer, LOW, window.end, window.offset, is_last=window.ended)
            if stream.count:
                end = window.offset + stream.first_end
                break
            if stream.is_complete:
                end = stream.state.value_end
                break
            if status == Status.DAMAGE:
                failed = stream.state.damage_at
                self._check(start, failed, depth + opened)
                raise _Broken(failed, stream.damage(window.buffer, self._place(start), start))
            assert self._rest is not None
            passing = Passing(stream, window, window.end, self._limit)
            upto, _ = passing.places()
            # What was passed over cannot be held again, also if a token's short form makes it shorter than the limit.
            is_long = is_long or (passing.is_too_long and upto - self._rest.start > self._limit)
            if is_long:
                self._check(start, passing.read, depth + opened)
                passing.noted_by(self._rest)
                self._rest.take(self._place(upto))
                passing.passed()
                start, opened = window.offset, stream.state.depth
            window.fill(max(DAMAGED_BYTES, window.held))
        self._check(start, end, depth + opened)
        self._at = self._value_end = end

    def _check(self, start: int, end: int, depth: int = 0) -> None:
        """Refuses bytes that are not UTF-8, and brackets too deep, in a sound part of a document.

        The part is checked as far as it is passed over, so that what is found does not depend on the window.
        """
        text = bytes(memoryview(self._window.buffer)[self._place(start) : self._place(end)])
        bad, deep = bad_utf8(text), deeper_than(DEPTH_MAX - depth, text)
        if bad is not None and (deep is None or bad < deep):
            raise _Broken(start + bad, invalid_utf8(0))
        if deep is not None:
            raise _Broken(start + deep, too_deep(0))

    def _behind(self, *, is_scalar: bool) -> None:
        """Passes over a comma behind a value, if it is the last thing on its line."""
        window = self._window
        comma = comma_behind(window, lambda: self._position)
        if comma is not None:
            self._at = window.offset + comma - LOW
        elif is_scalar and self._position < window.end and window.buffer[self._position] not in b" \t\r\n\x1e":
            raise _Broken(self._at, invalid(0))
