"""Decompression by content: gzip of any number of members, zstd of any number of frames, or neither.

Damaged data is decompressed up to the last byte before the damage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final, Protocol

import zstandard
from isal import isal_zlib

from linkmatch_ray.core.damage import Damage, DamageReason

GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGICS: Final = (b"\x28\xb5\x2f\xfd", *(bytes([n]) + b"\x2a\x4d\x18" for n in range(0x50, 0x60)))

INFLATED_BYTES_MIN: Final = 1 << 30
"""Any input may decompress to this size, however small it is."""

HEADER_BYTES_MAX: Final = 1 << 20
"""A longer gzip header is given to the decoder piece by piece."""

BEGINNING_BYTES: Final = 512
"""The first bytes of a member that the decoder gets. A decoder copies what it does not use, and one read of the input
may hold many short members."""

OUTPUT_BYTES: Final = 1 << 16
"""Members are decompressed one after another until they have given this many bytes."""


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


@dataclass(frozen=True, slots=True)
class _Codec:
    """The way to read one kind of compressed data.

    Attributes:
        name: Its name in messages.
        corrupt, truncated: Reasons for damaged data, and for data that ends too early.
        magics: First bytes of a member; all of one length.
        header_bytes: Returns the length of the header that a member begins with at a place in some data, or 0 if more
            data is needed. The decoder gets the header in one piece, because isal does not resume within one.
        skip: Returns where the next member, or something else, begins at or after a place in some data. What it passes
            over has no content.
        decoders: Makes a factory of decoders for one input. A decoder reads one member, and has `decompress`, `eof` and
            `unused_data`.
        errors: The exception that a decoder raises for damaged data.
        input_bytes: Bytes that a decoder gets at once. Few, because its whole output is held in memory: at worst some
            30 MB for gzip, and 128 MB for zstd.
    """

    name: str
    corrupt: DamageReason
    truncated: DamageReason
    magics: tuple[bytes, ...]
    header_bytes: Callable[[bytes, int], int]
    skip: Callable[[bytes, int], int]
    decoders: Callable[[], Callable[[], Any]]
    errors: type[Exception]
    input_bytes: int


def _gzip_header_bytes(data: bytes, start: int) -> int:
    """Returns the header's length by RFC 1952, 2.3: ten bytes, and four optional fields."""
    if len(data) < start + 10:
        return 0
    flags, at = data[start + 3], start + 10
    if flags & 4:  # FEXTRA
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    for flag in (8, 16):  # FNAME, FCOMMENT
        if flags & flag:
            at = data.find(b"\0", at) + 1
            if not at:
                return 0
    at += 2 if flags & 2 else 0  # FHCRC
    return at - start if at <= len(data) else 0


def _skip_zeros(data: bytes, start: int) -> int:
    """Passes over zeros: gzip files on tapes were padded with them."""
    if start == len(data) or data[start]:
        return start
    return len(data) - len(data[start:].lstrip(b"\0"))


def _skip_frames(data: bytes, start: int) -> int:
    """Passes over whole skippable frames (RFC 8878, 3.1.2). There may be millions, and each would need a decoder."""
    while (start := _skip_zeros(data, start)) + _SKIPPABLE.size <= len(data):
        magic, size = _SKIPPABLE.unpack_from(data, start)
        behind = start + _SKIPPABLE.size + size
        if magic & ~0xF != _SKIPPABLE_MAGIC or behind > len(data):
            break
        start = behind
    return start


_SKIPPABLE: Final = Struct("<II")
_SKIPPABLE_MAGIC: Final = 0x184D2A50

_ISAL_ERROR: Final[type[Exception]] = isal_zlib.IsalError  # type: ignore[assignment]  # an instance, to its stub
_GZIP: Final = _Codec(
    name="gzip",
    corrupt="corrupt_gzip",
    truncated="truncated_gzip",
    magics=(GZIP_MAGIC,),
    header_bytes=_gzip_header_bytes,
    skip=_skip_zeros,
    decoders=lambda: lambda: isal_zlib.decompressobj(31),
    errors=_ISAL_ERROR,
    input_bytes=1 << 15,
)
_ZSTD: Final = _Codec(
    name="zstd",
    corrupt="corrupt_zstd",
    truncated="truncated_zstd",
    magics=ZSTD_MAGICS,
    header_bytes=lambda data, start: 4,
    skip=_skip_frames,
    decoders=lambda: zstandard.ZstdDecompressor().decompressobj,
    errors=zstandard.ZstdError,
    input_bytes=1 << 12,
)


CODECS: Final = (_GZIP, _ZSTD)
"""One row for each kind of compressed data."""

MAGIC_BYTES: Final = max(len(magic) for codec in CODECS for magic in codec.magics)


def compression_of(head: bytes) -> str | None:
    """Returns the compression of content that begins with `head`: `gzip`, `zstd` or None."""
    codec = _codec_of(head)
    return None if codec is None else codec.name


def _codec_of(head: bytes) -> _Codec | None:
    return next((codec for codec in CODECS if head.startswith(codec.magics)), None)


def open_source(raw: Raw, size: int = 0, max_inflation: int | None = None) -> Plain | Inflating:
    """Reads the head of `raw`, which is at its start; returns a source of its content, decompressed if need be.

    Args:
        size: Bytes in `raw`.
        max_inflation: Maximum length of the content, as a multiple of `size`; None for no limit. `INFLATED_BYTES_MIN`
            is always allowed. `Damage` is raised beyond it.
    """
    head = read_wholly(raw, MAGIC_BYTES)
    codec = _codec_of(head)
    if codec is None:
        return Plain(raw, head)
    limit = None if max_inflation is None else max(INFLATED_BYTES_MIN, size * max_inflation)
    return Inflating(raw, head, codec, limit)


def read_wholly(raw: Raw, size: int) -> bytes:
    """Reads `size` bytes, or all that are left, with as many reads as it takes."""
    data = raw.read(size) or b""
    while data and len(data) < size and (more := raw.read(size - len(data))):
        data += more
    return data


class Plain:
    """Content that is not compressed.

    Args:
        head: Bytes that were read from it already.

    Attributes:
        compression: None.
    """

    compression: Final = None

    def __init__(self, raw: Readable, head: bytes = b"") -> None:
        self._raw, self._head = raw, head

    def readinto(self, view: memoryview) -> int:
        filled = min(len(view), len(self._head))
        if filled:
            view[:filled], self._head = self._head[:filled], self._head[filled:]
        while filled < len(view):
            try:
                count = self._raw.readinto(view[filled:])
            except Damage:  # which comes again
                if not filled:
                    raise
                break
            if not count:
                break
            filled += count
        return filled


class Inflating:
    """A source of decompressed content. It raises what is wrong with the data after all content that came before.

    Attributes:
        compression: How the data is compressed.
    """

    def __init__(self, raw: Raw, head: bytes, codec: _Codec, limit: int | None) -> None:
        self.compression = codec.name
        self._raw, self._head, self._codec, self._limit = raw, head, codec, limit
        self._new_decoder = codec.decoders()
        self._input, self._at = b"", 0  # what was read last, and how much of it was used
        self._read = 0  # bytes read in all
        self._decoder: Any = None
        self._member, self._header = 0, 0  # where in the file the member begins; the length of its header, if known
        self._given = 0  # bytes that the member has given
        self._size = 0
        self._pending = memoryview(b"")
        self._damage: Damage | None = None

    def readinto(self, view: memoryview) -> int:
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
        """Returns the next bytes; none at the end, or if `_damage` says why there are no more."""
        contents, size = [], 0
        while size < OUTPUT_BYTES and self._damage is None and self._fill():
            contents.append(self._decompress())
            size += len(contents[-1])
        return b"".join(contents)

    def _decompress(self) -> bytes:
        """Decompresses the input; at the beginning of a member only its first bytes, because it may be short."""
        size = len(self._input) - self._at
        if self._decoder is None:
            self._decoder, self._member, self._given = self._new_decoder(), self._read - size, 0
            size = min(size, max(BEGINNING_BYTES, self._header))
        data = memoryview(self._input)[self._at : self._at + size]
        try:
            out: bytes = self._decoder.decompress(data)
        except self._codec.errors as error:
            self._damage = Damage(self._codec.corrupt, f"damaged {self._codec.name} data")
            if "memory" in str(error):  # zstandard says no more
                self._damage = Damage("zstd_window", "zstd data with a window of more than 128 MB")
                return b""
            return self._salvage()
        self._at += size
        self._given += len(out)
        if self._decoder.eof:
            self._at -= len(self._decoder.unused_data)
            self._decoder = None
        return out

    def _fill(self) -> bool:
        """Reads on until there is input, which begins a member if there is no decoder; returns False at the end or at
        other data."""
        codec = self._codec
        while not (self._at < len(self._input) if self._decoder is not None else self._begins_member()):
            more = self._read_wholly(codec.input_bytes)
            if not more:
                break
            self._read += len(more)
            self._input, self._at = self._input[self._at :] + more, 0
        if self._at < len(self._input):
            if self._decoder is None and not self._input.startswith(codec.magics, self._at):
                self._damage = Damage(codec.corrupt, f"something that is no {codec.name} follows it")
                return False
            return True
        if self._decoder is not None:
            self._damage = Damage(codec.truncated, "the compressed data ends too early")
        return False

    def _begins_member(self) -> bool:
        """Passes over what may be between members; returns whether the input is enough to begin one, or is not one."""
        codec = self._codec
        self._at = codec.skip(self._input, self._at)
        left = len(self._input) - self._at
        if left < len(codec.magics[0]):
            return False
        known = self._input.startswith(codec.magics, self._at)
        self._header = codec.header_bytes(self._input, self._at) if known else 0
        return not known or self._header > 0 or left >= HEADER_BYTES_MAX

    def _salvage(self) -> bytes:
        """Returns the content of the member before its damage that was not returned yet.

        The member is read twice more. The first time finds the piece in which the decoder fails, which may be a little
        earlier or later than before. The second time gives this piece and the one before it to the decoder byte by
        byte, because isal looks ahead.
        """
        decoder, sound = self._new_decoder(), 0
        with suppress(self._codec.errors):
            for piece in self._pieces():
                decoder.decompress(piece)
                sound += len(piece)
        sound -= self._codec.input_bytes
        decoder, saved, skipped, header = self._new_decoder(), bytearray(), self._given, self._header
        with suppress(self._codec.errors):
            for piece in self._pieces():
                whole = len(piece) if sound > 0 else header
                sound, header = sound - len(piece), 0
                for data in (piece[:whole], *(piece[place : place + 1] for place in range(whole, len(piece)))):
                    out = decoder.decompress(data)
                    saved += out[skipped:]
                    skipped -= min(skipped, len(out))
        return bytes(saved)

    def _pieces(self) -> Iterator[bytes]:
        """Yields the member, and what follows it, in pieces of one length. The first piece has its header."""
        self._raw.seek(self._member)
        self._head = b""
        wanted = max(self._codec.input_bytes, self._header)
        while piece := self._read_wholly(wanted):
            yield piece
            wanted = self._codec.input_bytes

    def _read_wholly(self, size: int) -> bytes:
        """Returns the next bytes. Pieces have one length, because what is salvaged must not depend on how reads come
        in."""
        head, self._head = self._head, b""
        return head + read_wholly(self._raw, size - len(head))
