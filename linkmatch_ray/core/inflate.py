"""Decompression by content: gzip of any number of members, zstd of any number of frames, or neither."""

from __future__ import annotations

import zlib
from typing import Final, Protocol

import zstandard
from isal import igzip

from linkmatch_ray.core.careful import Damage
from linkmatch_ray.core.window import Source

GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGICS: Final = (b"\x28\xb5\x2f\xfd", *(bytes([n]) + b"\x2a\x4d\x18" for n in range(0x50, 0x60)))

INPUT_BYTES: Final = 1 << 14
"""How much is given to zstd at once. Little, as what comes out of it is held in memory."""

OUTPUT_BYTES: Final = 1 << 20
"""How much is asked of gzip at once."""


class Raw(Protocol):
    """A binary stream, such as an open file."""

    def readinto(self, view: memoryview, /) -> int | None:
        """Read up to the length of `view`; 0 at the end."""

    def read(self, size: int, /) -> bytes | None:
        """Read up to `size` bytes; none at the end."""


def is_compressed(head: bytes) -> bool:
    """Whether content that begins so is gzip or zstd."""
    return head.startswith((GZIP_MAGIC, *ZSTD_MAGICS))


def open_source(raw: Raw, head: bytes) -> Source:
    """A source of the decompressed content of `raw`, which begins with `head` and is at its start."""
    if head.startswith(GZIP_MAGIC):
        return _Gzip(raw)
    if head.startswith(ZSTD_MAGICS):
        return _Zstd(raw)
    return Plain(raw)


class Plain:
    """Content as it is."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    def readinto(self, view: memoryview) -> int:
        """As `Source.readinto`."""
        filled = 0
        while filled < len(view):
            count = self._raw.readinto(view[filled:])
            if not count:
                break
            filled += count
        return filled


class _Inflating:
    """Fills views from a producer of bytes of any length; keeps back an error until all before it is out."""

    def __init__(self) -> None:
        self._pending = memoryview(b"")
        self._damage: Damage | None = None

    def _more(self) -> bytes:
        """The next bytes, none at the end."""
        raise NotImplementedError  # both subclasses have it

    def readinto(self, view: memoryview) -> int:
        """As `Source.readinto`."""
        filled = 0
        while filled < len(view):
            if not len(self._pending):
                if self._damage is None:
                    try:
                        self._pending = memoryview(self._more())
                    except Damage as damage:
                        self._damage = damage
                if self._damage is not None:
                    if filled:
                        break
                    raise self._damage
                if not len(self._pending):
                    break
            count = min(len(view) - filled, len(self._pending))
            view[filled : filled + count] = self._pending[:count]
            self._pending = self._pending[count:]
            filled += count
        return filled


class _Gzip(_Inflating):
    def __init__(self, raw: Raw) -> None:
        super().__init__()
        self._file = igzip.IGzipFile(fileobj=raw)

    def _more(self) -> bytes:
        try:
            return self._file.read1(OUTPUT_BYTES)
        except EOFError:
            raise Damage("truncated_gzip", "the compressed data ends too early") from None
        except (OSError, zlib.error) as error:  # isal raises zlib.error too
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise Damage("corrupt_gzip", "the compressed data is damaged, or something follows it") from None


class _Zstd(_Inflating):
    def __init__(self, raw: Raw) -> None:
        super().__init__()
        self._raw = raw
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._input = b""

    def _more(self) -> bytes:
        while True:
            if not self._input:
                self._input = self._raw.read(INPUT_BYTES) or b""
                if not self._input:
                    if self._frame is not None:
                        raise Damage("truncated_zstd", "the compressed data ends too early")
                    return b""
            if self._frame is None:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            try:
                out = self._frame.decompress(self._input)
            except zstandard.ZstdError:
                raise Damage("corrupt_zstd", "the compressed data is damaged, or something follows it") from None
            self._input = b""
            if self._frame.eof:
                self._input = self._frame.unused_data
                self._frame = None
            if out:
                return out
