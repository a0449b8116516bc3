"""Decompression by content: gzip of any number of members, zstd of any number of frames, or neither.

What could be decompressed comes out to the last byte before the damage, wherever that is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import zstandard
from isal import isal_zlib

from linkmatch_ray.core.careful import Damage
from linkmatch_ray.core.window import Source

GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGICS: Final = (b"\x28\xb5\x2f\xfd", *(bytes([n]) + b"\x2a\x4d\x18" for n in range(0x50, 0x60)))

INFLATED_BYTES_MIN: Final = 1 << 30
"""What any input may decompress to, however small it is."""


HEADER_BYTES_MAX: Final = 1 << 20
"""A gzip header longer than this is left to the decoder as it comes."""


class Readable(Protocol):
    """Something to read from."""

    def readinto(self, view: memoryview, /) -> int | None:
        """Read up to the length of `view`; 0 at the end."""


class Raw(Readable, Protocol):
    """A binary stream, such as an open file."""

    def read(self, size: int, /) -> bytes | None:
        """Read up to `size` bytes; none at the end."""

    def seek(self, offset: int, /) -> Any:
        """Go to a byte; asked for only where the data is damaged."""


@dataclass(frozen=True, slots=True)
class _Codec:
    """How one kind of compressed data is read.

    Attributes:
        name: For reasons.
        header_bytes: How long the header is that a member begins with, or 0 where more is needed to know. It is
            given to the decoder in one piece, as isal does not resume within one.
        magics: What a member begins with; all of one length.
        decoder: Makes an object with `decompress`, `eof` and `unused_data` that reads one member.
        errors: What it raises for damaged data.
        input_bytes: How much is given to it at once. Little, as all that comes out of it is held in memory: some
            30 MB at the worst for gzip, 128 MB for zstd.
    """

    name: str
    header_bytes: Callable[[bytes], int]
    magics: tuple[bytes, ...]
    decoder: Callable[[], Any]
    errors: type[Exception]
    input_bytes: int


def _gzip_header_bytes(data: bytes) -> int:
    """RFC 1952, 2.3: ten bytes, and four optional fields."""
    if len(data) < 10:
        return 0
    flags, at = data[3], 10
    if flags & 4:  # FEXTRA
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    for flag in (8, 16):  # FNAME, FCOMMENT
        if flags & flag:
            at = data.find(b"\0", at) + 1
            if not at:
                return 0
    at += 2 if flags & 2 else 0  # FHCRC
    return at if at <= len(data) else 0


_ISAL_ERROR: Final[type[Exception]] = isal_zlib.IsalError  # type: ignore[assignment]  # an instance, to its stub
_GZIP: Final = _Codec(
    "gzip", _gzip_header_bytes, (GZIP_MAGIC,), lambda: isal_zlib.decompressobj(31), _ISAL_ERROR, 1 << 15
)
_ZSTD: Final = _Codec(
    "zstd",
    lambda data: 4,
    ZSTD_MAGICS,
    lambda: zstandard.ZstdDecompressor().decompressobj(),
    zstandard.ZstdError,
    1 << 12,
)


def is_compressed(head: bytes) -> bool:
    """Whether content that begins so is gzip or zstd."""
    return head.startswith((GZIP_MAGIC, *ZSTD_MAGICS))


def open_source(raw: Raw, head: bytes, size: int = 0, max_inflation: int | None = None) -> Source:
    """A source of the decompressed content of `raw`, which begins with `head` and is at its start.

    Args:
        size: Bytes in `raw`.
        max_inflation: How many times as long the content may be, if it is longer than `INFLATED_BYTES_MIN`;
            `Damage` is raised where it is longer still. None for no limit.
    """
    limit = None if max_inflation is None else max(INFLATED_BYTES_MIN, size * max_inflation)
    for codec in (_GZIP, _ZSTD):
        if head.startswith(codec.magics):
            return _Inflating(raw, codec, limit)
    return Plain(raw)


class Plain:
    """Content as it is."""

    def __init__(self, raw: Readable) -> None:
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
    """Fills views with decompressed content, and raises what is wrong with it after all that came before."""

    def __init__(self, raw: Raw, codec: _Codec, limit: int | None) -> None:
        self._raw, self._codec, self._limit = raw, codec, limit
        self._input, self._read = b"", 0  # what was read last and is to be decompressed; all that was read
        self._decoder: Any = None
        self._member = 0  # where in the input the member began
        self._size = 0
        self._pending = memoryview(b"")
        self._damage: Damage | None = None

    def readinto(self, view: memoryview) -> int:
        """As `Source.readinto`."""
        filled = 0
        while filled < len(view):
            if not len(self._pending) and self._damage is None:
                self._pending = memoryview(self._limited(self._more()))
            if not len(self._pending):
                if self._damage is not None and not filled:
                    raise self._damage
                break
            count = min(len(view) - filled, len(self._pending))
            view[filled : filled + count] = self._pending[:count]
            self._pending = self._pending[count:]
            filled += count
        return filled

    def _limited(self, more: bytes) -> bytes:
        self._size += len(more)
        if self._limit is None or self._size <= self._limit:
            return more
        self._damage = Damage(
            "inflates_too_far",
            f"compressed data that is longer than {self._limit} bytes; --max-inflation allows more",
        )
        return more[: len(more) - (self._size - self._limit)]

    def _more(self) -> bytes:
        """The next bytes; none at the end, and where `_damage` says why there are no more."""
        while self._fill():
            if self._decoder is None:
                self._decoder, self._member = self._codec.decoder(), self._read - len(self._input)
            try:
                out: bytes = self._decoder.decompress(self._input)
            except self._codec.errors as error:
                name = self._codec.name
                self._damage = Damage(f"corrupt_{name}", f"damaged {name} data")
                if "memory" in str(error):  # all that zstandard says of it
                    self._damage = Damage("zstd_window", "zstd data with a window of more than 128 MB")
                    return b""
                return self._salvage()
            if self._decoder.eof:
                self._input, self._decoder = self._decoder.unused_data, None
            else:
                self._input = b""
            if out:
                return out
        return b""

    def _fill(self) -> bool:
        """Have input, which begins a member if there is no decoder; False at the end or at what is none."""
        codec = self._codec
        while True:
            if self._decoder is None and self._read:
                self._input = self._input.lstrip(b"\0")  # gzip is padded with them to whole blocks, on tapes once
            if self._decoder is not None and self._input:
                break
            if self._decoder is None and len(self._input) >= len(codec.magics[0]):
                known = self._input.startswith(codec.magics) and len(self._input) < HEADER_BYTES_MAX
                if not known or codec.header_bytes(self._input):
                    break
            more = self._raw.read(codec.input_bytes)
            if not more:
                break
            self._read += len(more)
            self._input += more
        if self._decoder is not None and not self._input:
            self._damage = Damage(f"truncated_{codec.name}", "the compressed data ends too early")
            return False
        if self._decoder is None and self._input and not self._input.startswith(codec.magics):
            self._damage = Damage(f"corrupt_{codec.name}", f"something that is no {codec.name} follows it")
            return False
        return bool(self._input)

    def _salvage(self) -> bytes:
        """What the input gave before the damage in it: the member is read once more, the last input byte by byte."""
        decoder, left = self._codec.decoder(), self._read - len(self._input) - self._member
        self._raw.seek(self._member)
        while left:
            data = self._raw.read(min(left, self._codec.input_bytes)) or b""
            left -= len(data)
            decoder.decompress(data)
        saved = []
        header = self._codec.header_bytes(self._input) if self._read - len(self._input) == self._member else 0
        try:
            saved.append(decoder.decompress(self._input[:header]))
            for place in range(header, len(self._input)):
                saved.append(decoder.decompress(self._input[place : place + 1]))
        except self._codec.errors:
            pass
        return b"".join(saved)
