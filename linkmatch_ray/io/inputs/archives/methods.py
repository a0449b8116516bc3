"""The ways in which a member of a zip is compressed."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

import zstandard
from isal import isal_zlib

from linkmatch_ray.io.inputs.archives.member import CorruptMember

PIECE_BYTES: Final = 1 << 16
"""Bytes that a decoder gets at once."""

ZSTD_WINDOW_MAX: Final = 1 << 31


class Stored(Protocol):
    """The bytes of a member as they are stored."""

    def read(self, size: int, /) -> bytes:
        """Returns up to `size` bytes; none at the end."""


class _Zlib:
    """zlib's kind of decoder with the interface of the others: it keeps what it did not use."""

    eof = False

    def __init__(self) -> None:
        self._decoder, self._left = isal_zlib.decompressobj(-15), b""

    @property
    def needs_input(self) -> bool:
        return not self._left

    def decompress(self, data: bytes, size: int) -> bytes:
        out = self._decoder.decompress(self._left or data, size)
        self._left, self.eof = self._decoder.unconsumed_tail, self._decoder.eof
        return out


class _Decoded:
    """What some stored bytes decompress to.

    Raises (from `read`):
        CorruptMember: They are damaged.
    """

    def __init__(self, stored: Stored, decoder: Any, errors: tuple[type[Exception], ...]) -> None:
        self._stored, self._decoder, self._errors, self._is_broken = stored, decoder, errors, False

    def read(self, size: int) -> bytes:
        """Returns up to `size` bytes; none at the end, also if that comes too early."""
        decoder = self._decoder
        if self._is_broken:
            raise CorruptMember("its compressed data is damaged")
        while not decoder.eof:
            data = self._stored.read(PIECE_BYTES) if decoder.needs_input else b""
            is_over = decoder.needs_input and not data
            try:
                out: bytes = decoder.decompress(data, size)
            except self._errors:
                self._is_broken = True
                raise CorruptMember("its compressed data is damaged") from None
            if out or is_over:
                return out
        return b""


class _Zstd:
    """What zstd data decompresses to."""

    def __init__(self, stored: Stored) -> None:
        decoder = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_MAX)
        self._reader = decoder.stream_reader(cast(Any, stored), read_size=PIECE_BYTES, read_across_frames=True)

    def read(self, size: int) -> bytes:
        try:
            return self._reader.read(size)
        except zstandard.ZstdError:
            raise CorruptMember("its compressed data is damaged") from None


def _deflated(stored: Stored, size: int) -> Stored:
    return _Decoded(stored, _Zlib(), (cast(type[Exception], isal_zlib.IsalError), zlib.error))


def _bzipped(stored: Stored, size: int) -> Stored:
    return _Decoded(stored, bz2.BZ2Decompressor(), (OSError, EOFError))


def _by_lzma(stored: Stored, size: int) -> Stored:
    """Reads the properties in front of the data (APPNOTE, 5.8.8). No more memory is taken than `size` needs."""
    head = stored.read(4)
    properties = stored.read(int.from_bytes(head[2:4], "little"))
    if len(properties) != 5 or properties[0] >= 9 * 5 * 5:
        raise CorruptMember("its compressed data is damaged")
    rest, lc = divmod(properties[0], 9)
    pb, lp = divmod(rest, 5)
    dictionary = max(4096, min(int.from_bytes(properties[1:], "little"), size))
    how = {"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb, "dict_size": dictionary}
    try:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[how])
    except lzma.LZMAError:
        raise CorruptMember("its compressed data is damaged") from None
    return _Decoded(stored, decoder, (lzma.LZMAError, EOFError))


def _xzipped(stored: Stored, size: int) -> Stored:
    return _Decoded(stored, lzma.LZMADecompressor(lzma.FORMAT_XZ), (lzma.LZMAError, EOFError))


METHODS: Final[dict[int, Callable[[Stored, int], Stored]]] = {
    0: lambda stored, size: stored,
    8: _deflated,
    12: _bzipped,
    14: _by_lzma,
    93: lambda stored, size: _Zstd(stored),
    95: _xzipped,
}
"""The methods that are read, by their numbers (APPNOTE, 4.4.5): each takes the stored bytes and the content's size."""

NAMES: Final = {
    1: "Shrink",
    2: "Reduce",
    3: "Reduce",
    4: "Reduce",
    5: "Reduce",
    6: "Implode",
    9: "Deflate64",
    10: "PKWARE Implode",
    16: "z/OS CMPSC",
    18: "IBM TERSE",
    19: "IBM LZ77",
    96: "JPEG",
    97: "WavPack",
    98: "PPMd",
    99: "AES encryption",
}
"""Names of the others."""
