"""Where the bytes of an input come from, as they are stored."""

from __future__ import annotations

from typing import Any, Protocol


class Readable(Protocol):
    """A source of bytes."""

    def readinto(self, view: memoryview, /) -> int | None:
        """Reads up to the length of `view`; returns 0 at the end."""


class Raw(Readable, Protocol):
    """A binary stream, such as an open file."""

    def read(self, size: int, /) -> bytes | None:
        """Reads up to `size` bytes; returns none at the end."""

    def seek(self, offset: int, /) -> Any:
        """Moves to a byte. Called only if the data is damaged."""


def read_wholly(raw: Raw, size: int) -> bytes:
    """Reads `size` bytes, or all that are left, with as many reads as it takes."""
    data = raw.read(size) or b""
    while data and len(data) < size and (more := raw.read(size - len(data))):
        data += more
    return data
