"""Values that are too long to be held: passed over as they are read."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from linkmatch_ray.core.exact import is_utf8
from linkmatch_ray.core.outcome import ENTRY_TEXT_BYTES_MAX
from linkmatch_ray.core.scan import Stream
from linkmatch_ray.core.window import LOW, Window
from linkmatch_ray.core.writer import Torn

SOUND_STRING: Final = re.compile(rb'"(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+')
"""The sound beginning of a string, up to what closes it or is wrong."""

_HALF_CHARACTER: Final = re.compile(rb"(?:[\xc2-\xf4]|[\xe0-\xf4][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{2})?\Z", re.DOTALL)
"""The beginning of a character that is not all there, or nothing."""

_NUMBER: Final = re.compile(rb"[-+.0-9eE]*?([0-9]{3,}+)\Z")


class Token(NamedTuple):
    """The beginning of a string or number that does not end in the window.

    Attributes:
        end: Where in the input it ends, as far as it is sound.
        beginning: A short beginning that can stand for it.
        has_bad: It has bytes that are not UTF-8.
    """

    end: int
    beginning: bytes
    has_bad: bool = False


class Passing:
    """What was read of a value that begins at an offset, and may be too long to be held.

    Args:
        high: Where in the window the last scan ended.

    Attributes:
        start: Where in the input the value begins that is open.
        read: Where in the input the part ends that is sound.
        token: What must be passed over behind the stream's place, if anything.
    """

    def __init__(self, stream: Stream, window: Window, high: int, limit: int) -> None:
        state = stream.state
        self._stream, self._window = stream, window
        self._most = max(limit, ENTRY_TEXT_BYTES_MAX)
        self.start: int = state.record if state.is_open else state.at
        self.read: int = state.value_end if stream.is_complete else state.at
        at = LOW + state.at - window.offset
        self.token = _token_in(window, at, high) if high - at > self._most else None
        if self.token is not None:
            self.read = max(self.read, self.token.end)

    @property
    def is_too_long(self) -> bool:
        """Whether it is longer than what is held of a value."""
        return self.read - self.start > self._most

    def places(self) -> tuple[int, bytes]:
        """Returns up to which offset the window may be passed over, and what must then stand at its start."""
        if self.token is None:
            return self._stream.state.at, b""
        return self.token.end - len(self.token.beginning), self.token.beginning

    def noted_by(self, *torn: Torn) -> None:
        """Adds what was read to entries, before a part of it gives way to what must stand at the window's start."""
        end = self._stream.state.at if self.token is None else self.token.end
        for each in torn:
            each.note(LOW + end - self._window.offset)

    def passed(self) -> None:
        """Tells the stream that the window was passed over."""
        window, state = self._window, self._stream.state
        if self.token is not None:  # the kernel must be shown a token whole, and of this one a short form
            window.buffer[LOW : LOW + len(self.token.beginning)] = self.token.beginning
        state.at = state.keep = window.offset


def _token_in(window: Window, at: int, high: int) -> Token | None:
    if found := SOUND_STRING.match(window.buffer, at, high):
        end = found.end()
        end -= len(_HALF_CHARACTER.search(window.buffer, max(at, end - 3), end)[0])  # type: ignore[index]
        has_bad = not is_utf8(memoryview(window.buffer)[at:end])
        return Token(window.offset + end - LOW, b'"', has_bad) if end > at + 1 else None
    if found := _NUMBER.match(window.buffer, at, high):
        return Token(window.offset + high - LOW, bytes(window.buffer[at : found.start(1) + 2]))
    return None
