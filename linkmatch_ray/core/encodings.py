"""Text in UTF-16 and UTF-32, which a byte order mark shows, as UTF-8.

What cannot be decoded becomes one byte FF, which no UTF-8 has. That is an unpaired surrogate, a number above U+10FFFF,
or half a unit at the end. The mark becomes that of UTF-8.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.structure import UInt32s
from linkmatch_ray.core.window import Source, fill

MARK_BYTES: Final = 4
"""Bytes at the beginning of a text that show its encoding."""

READ_BYTES: Final = 1 << 20
"""Bytes that are decoded at a time."""

_MARKS: Final = (  # the first is also that of UTF-16 with a NUL behind
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)

_UNDECODABLE: Final = 0xDCFF
"""What Python's `surrogateescape` writes as the byte FF."""


def encoding_of(head: bytes) -> str | None:
    """Returns the encoding of a text that begins with `head`; None if that is UTF-8."""
    return next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)


class Stored(Source, Protocol):
    """A source that knows how its content is stored."""

    @property
    def compression(self) -> str | None:
        """How it is compressed."""


class Decoded:
    """A source of text in UTF-8, over one of text in any encoding.

    Attributes:
        encoding: The encoding, once something was read; None for UTF-8.
    """

    def __init__(self, source: Stored) -> None:
        self._source = source
        self.encoding: str | None = None
        self._decoder: _Decoder | None = None
        self._buffer = memoryview(b"")
        self._pending = memoryview(b"")
        self._damage: Damage | None = None
        self._is_begun = False

    @property
    def compression(self) -> str | None:
        """How the content is compressed."""
        return self._source.compression

    def readinto(self, view: memoryview) -> int:
        if not self._is_begun:
            self._begin()
        filled = 0
        while filled < len(view):
            if not len(self._pending):
                if self._damage is not None:
                    break
                if self._decoder is None:
                    filled += self._read(view[filled:])
                    break
                self._pending = memoryview(self._more(self._decoder))
                if not len(self._pending):
                    break
            count = min(len(view) - filled, len(self._pending))
            view[filled : filled + count] = self._pending[:count]
            self._pending = self._pending[count:]
            filled += count
        if self._damage is not None and not filled:
            raise self._damage
        return filled

    def _begin(self) -> None:
        """Reads the mark."""
        self._is_begun = True
        mark = memoryview(bytearray(MARK_BYTES))
        head = bytes(mark[: self._read(mark)])
        self.encoding = encoding_of(head)
        if self.encoding is not None:
            self._decoder, self._buffer = _Decoder(self.encoding), memoryview(bytearray(READ_BYTES))
            head = self._decoder.decode(head, is_end=self._damage is not None)
        self._pending = memoryview(head)

    def _read(self, view: memoryview) -> int:
        """Reads from the source, and notes why there is no more. That is raised when all before it was returned."""
        count, self._damage = fill(self._source, view)
        return count

    def _more(self, decoder: _Decoder) -> bytes:
        """Returns the next text; none at the end."""
        while True:
            count = self._read(self._buffer)
            is_end = count < len(self._buffer)
            text = decoder.decode(bytes(self._buffer[:count]), is_end=is_end)
            if text or is_end:
                return text


class _Decoder:
    """The decoder of one text, which is given in pieces."""

    def __init__(self, encoding: str) -> None:
        self._encoding, self._unit = encoding, 4 if "32" in encoding else 2
        self._rest = b""

    def decode(self, data: bytes, *, is_end: bool = False) -> bytes:
        """Returns the next text in UTF-8. What may go on in the next piece is kept until then."""
        data = self._rest + data
        end = len(data) - len(data) % self._unit
        if not is_end and self._unit == 2 and end and _is_high(data[end - 2 : end], self._encoding):
            end -= 2
        self._rest = data[end:]
        try:
            text = data[:end].decode(self._encoding).encode()
        except UnicodeDecodeError:
            text = self._mended(data[:end])
        if is_end and self._rest:
            text, self._rest = text + b"\xff", b""
        return text

    def _mended(self, data: bytes) -> bytes:
        """Decodes whole units, with FF for each that cannot be decoded."""
        order = "<" if self._encoding.endswith("le") else ">"
        numbers = np.frombuffer(data, f"{order}u{self._unit}").astype(np.uint32)
        points = _joined(numbers) if self._unit == 2 else numbers
        points[(points > 0x10FFFF) | (points & 0xFFFFF800 == 0xD800)] = _UNDECODABLE
        # A string of NumPy may hold surrogates; it ends before the NULs at its end.
        text = str(np.append(points, np.uint32(ord("."))).view(f"U{len(points) + 1}")[0])
        return text[:-1].encode("utf-8", "surrogateescape")


def _is_high(unit: bytes, encoding: str) -> bool:
    return int.from_bytes(unit, "little" if encoding.endswith("le") else "big") & 0xFC00 == 0xD800


def _joined(units: UInt32s) -> UInt32s:
    """Joins each pair of surrogates."""
    kinds = units & 0xFC00
    pairs = np.flatnonzero((kinds[:-1] == 0xD800) & (kinds[1:] == 0xDC00))
    units[pairs] = 0x10000 + ((units[pairs] & 0x3FF) << 10) + (units[pairs + 1] & 0x3FF)
    return np.delete(units, pairs + 1)
