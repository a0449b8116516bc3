"""The bytes of one input that are held at a time: a window that moves from its first byte to its last.

Windows depend on the bytes alone, not on how reads come in, so that a retried task yields the same parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from linkmatch_ray.core.damage import Behind, Damage
from linkmatch_ray.core.structure import UInt8s

WINDOW_BYTES: Final = 8 << 20
"""Bytes that are read and scanned at a time. With less, the parser's set-up dominates; with more, caches overflow."""

WINDOW_BYTES_MIN: Final = 16
"""Minimum size of a window. The layout is found from the first one, which must hold a byte order mark and more."""

LOW: Final = 16
"""Where a window begins in the buffer. As many bytes behind it belong to whoever reads it."""


class Source(Protocol):
    """The source of the decompressed bytes of one input."""

    def readinto(self, view: memoryview) -> int:
        """Fills `view`, or as much of it as there is; returns how much, 0 at the end.

        Raises:
            Damage: The rest cannot be decompressed, or is something else (`Behind`). What could be was returned before.
            Corrupt: Nothing that was returned is certain.
        """


def fill(source: Source, view: memoryview) -> tuple[int, Damage | None]:
    """Fills a view from a source; returns how much came, and what is wrong if that is why no more did."""
    count = 0
    try:
        while count < len(view):
            more = source.readinto(view[count:])
            if not more:
                break
            count += more
    except Damage as damage:
        return count, damage
    return count, None


class Buffers:
    """The one large buffer of a process. Every window reuses it."""

    def __init__(self, window_bytes: int = WINDOW_BYTES) -> None:
        self.window_bytes = window_bytes = max(window_bytes, WINDOW_BYTES_MIN)
        self.buffer = bytearray(LOW + window_bytes + LOW)

    def grow(self, held: int) -> None:
        """Makes room behind `held` bytes if a record is longer than the buffer.

        The room doubles, because what is held is scanned again with what comes. In all, each byte is scanned about
        twice.
        """
        grown = bytearray(LOW + held + max(held, self.window_bytes) + LOW)
        grown[: LOW + held] = memoryview(self.buffer)[: LOW + held]
        self.buffer = grown

    def shrink(self) -> None:
        """Shrinks the buffer to one window, after an input with long records."""
        if len(self.buffer) > LOW + self.window_bytes + LOW:
            self.buffer = bytearray(LOW + self.window_bytes + LOW)


class Window:
    """The part of one input that is held: `buffer[LOW:end]`.

    Attributes:
        offset: Where in the input `buffer[LOW]` is, in decompressed bytes.
        held: Number of bytes held.
        ended: Nothing follows what is held.
        line_offset: Where in the input the line begins that `buffer[LOW]` is in.
        corrupt: Why the input ended early, if it cannot be decompressed further.
        behind: What else there is behind the end of an input that is whole.
        read_at: Fills a view with what is at an offset, ahead of the window; None if the source cannot.
    """

    def __init__(self, source: Source, buffers: Buffers, offset: int = 0) -> None:
        self._source, self._buffers = source, buffers
        self.offset = self.line_offset = offset
        self.held = 0
        self.ended = False
        self.corrupt: Damage | None = None
        self.behind: Behind | None = None
        self.read_at: Callable[[memoryview, int], int] | None = getattr(source, "read_at", None)
        self._given_back: list[memoryview] = []  # the last is read first

    @property
    def buffer(self) -> bytearray:
        """The buffer. After `fill` it may be another one, because it had to grow."""
        return self._buffers.buffer

    @property
    def encoding(self) -> str | None:
        """How the input is encoded, once something was read; None for UTF-8."""
        encoding: str | None = getattr(self._source, "encoding", None)
        return encoding

    @property
    def data(self) -> UInt8s:
        """The buffer as an array."""
        return np.frombuffer(self._buffers.buffer, np.uint8)

    @property
    def end(self) -> int:
        """The position after the last byte that is held."""
        return LOW + self.held

    @property
    def size(self) -> int:
        """Bytes that are read and held at a time, unless a record is longer."""
        return self._buffers.window_bytes

    def fill(self, want: int | None = None) -> None:
        """Reads on behind what is held, up to a window in all, or `want` bytes more."""
        buffers = self._buffers
        room = len(buffers.buffer) - LOW - self.end
        if room <= 0:
            buffers.grow(self.held)
            room = len(buffers.buffer) - LOW - self.end
        size = room if want is None else min(room, want)
        view, count = memoryview(buffers.buffer)[self.end : self.end + size], 0
        while self._given_back and count < size:
            again = self._given_back.pop()
            more = min(len(again), size - count)
            view[count : count + more], count = again[:more], count + more
            if more < len(again):
                self._given_back.append(again[more:])
        more, damage = fill(self._source, view[count:]) if count < size else (0, None)
        count += more
        self.held += count
        self.ended = count < size or damage is not None
        if isinstance(damage, Behind):
            self.behind = damage
        else:
            self.corrupt = damage

    def cause_of(self, damage: Damage) -> Damage:
        """Returns the damage of a text, or what is wrong with the data if the text ends too early because of that."""
        return self.corrupt if damage.reason == "truncated" and self.corrupt is not None else damage

    def give_back(self, behind: int) -> None:
        """Holds no more than `behind` bytes; the others are read again. What is dropped then costs little to move."""
        if self.held > behind:
            self._given_back.append(memoryview(bytes(memoryview(self._buffers.buffer)[LOW + behind : self.end])))
            self.held, self.ended, self.corrupt, self.behind = behind, False, None, None

    def drop(self, upto: int) -> None:
        """Forgets the buffer before the position `upto`."""
        if upto == LOW:
            return
        buffer, end = self._buffers.buffer, self.end
        assert LOW < upto <= end, (upto, end)
        newline = buffer.rfind(b"\n", LOW, upto)
        if newline >= 0:
            self.line_offset = self.offset + newline + 1 - LOW
        with memoryview(buffer) as view:
            view[LOW : LOW + end - upto] = view[upto:end]
        self.offset += upto - LOW
        self.held = end - upto

    def text(self, start: int, size: int) -> bytes:
        """Returns up to `size` bytes from the position `start`."""
        return bytes(self._buffers.buffer[start : min(self.end, start + size)])
