"""Decompression by content: gzip of any number of members, zstd of any number of frames, or neither.

What could be decompressed comes out to the last byte before the damage, wherever that is.
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
"""What any input may decompress to, however small it is."""

HEADER_BYTES_MAX: Final = 1 << 20
"""A gzip header longer than this is left to the decoder as it comes."""

BEGINNING_BYTES: Final = 512
"""How much of a member is given to the decoder at first: there may be many that are shorter, in one read of the input,
and what a decoder does not use it copies."""

OUTPUT_BYTES: Final = 1 << 16
"""Members are decompressed one after another until this much has come of them."""


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
        name: What messages call it.
        corrupt, truncated: The reasons of what is damaged, and of what ends too early.
        magics: What a member begins with; all of one length.
        header_bytes: How long the header is that a member begins with at a place in some data, or 0 where more is
            needed to know. It is given to the decoder in one piece, as isal does not resume within one.
        skip: Where a member begins, or something else, at a place in some data or behind it; what is passed over
            gives nothing.
        decoders: Makes, for one input, what makes an object with `decompress`, `eof` and `unused_data` that reads one
            member.
        errors: What it raises for damaged data.
        input_bytes: How much is given to it at once. Little, as all that comes out of it is held in memory: some
            30 MB at the worst for gzip, 128 MB for zstd.
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
    """RFC 1952, 2.3: ten bytes, and four optional fields."""
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
    """gzip is padded with them to whole blocks, on tapes once."""
    if start == len(data) or data[start]:
        return start
    return len(data) - len(data[start:].lstrip(b"\0"))


def _skip_frames(data: bytes, start: int) -> int:
    """RFC 8878, 3.1.2: skippable frames, those that are whole. There may be millions, and each would be a decoder."""
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
"""A row for each kind of compressed data."""

MAGIC_BYTES: Final = max(len(magic) for codec in CODECS for magic in codec.magics)


def compression_of(head: bytes) -> str | None:
    """How content that begins so is compressed: `gzip`, `zstd` or not at all."""
    codec = _codec_of(head)
    return None if codec is None else codec.name


def _codec_of(head: bytes) -> _Codec | None:
    return next((codec for codec in CODECS if head.startswith(codec.magics)), None)


def open_source(raw: Raw, size: int = 0, max_inflation: int | None = None) -> Plain | Inflating:
    """Reads the head of `raw`, which is at its start, and returns a source of its content, decompressed if need be.

    Args:
        size: Bytes in `raw`.
        max_inflation: How many times as long the content may be, if it is longer than `INFLATED_BYTES_MIN`;
            `Damage` is raised where it is longer still. None for no limit.
    """
    head = read_wholly(raw, MAGIC_BYTES)
    codec = _codec_of(head)
    if codec is None:
        return Plain(raw, head)
    limit = None if max_inflation is None else max(INFLATED_BYTES_MIN, size * max_inflation)
    return Inflating(raw, head, codec, limit)


def read_wholly(raw: Raw, size: int) -> bytes:
    """Reads as many bytes as that, or all that are left, however reads come in."""
    data = raw.read(size) or b""
    while data and len(data) < size and (more := raw.read(size - len(data))):
        data += more
    return data


class Plain:
    """Content as it is.

    Args:
        head: What was read of it already.

    Attributes:
        compression: None.
    """

    compression: Final = None

    def __init__(self, raw: Readable, head: bytes = b"") -> None:
        self._raw, self._head = raw, head

    def readinto(self, view: memoryview) -> int:
        """As `Source.readinto`."""
        filled = min(len(view), len(self._head))
        if filled:
            view[:filled], self._head = self._head[:filled], self._head[filled:]
        while filled < len(view):
            count = self._raw.readinto(view[filled:])
            if not count:
                break
            filled += count
        return filled


class Inflating:
    """Fills views with decompressed content, and raises what is wrong with it after all that came before.

    Attributes:
        compression: How it is compressed.
    """

    def __init__(self, raw: Raw, head: bytes, codec: _Codec, limit: int | None) -> None:
        self.compression = codec.name
        self._raw, self._head, self._codec, self._limit = raw, head, codec, limit
        self._new_decoder = codec.decoders()
        self._input, self._at = b"", 0  # what was read last, and how much of it is done with
        self._read = 0  # all that was read
        self._decoder: Any = None
        self._member, self._header = 0, 0  # where in the file the member began; how long its header is, if known
        self._given = 0  # what came of it
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
        contents, size = [], 0
        while size < OUTPUT_BYTES and self._damage is None and self._fill():
            contents.append(self._decompress())
            size += len(contents[-1])
        return b"".join(contents)

    def _decompress(self) -> bytes:
        """What comes of the input, or of the beginning of it where a member begins, which may be short."""
        size = len(self._input) - self._at
        if self._decoder is None:
            self._decoder, self._member, self._given = self._new_decoder(), self._read - size, 0
            size = min(size, max(BEGINNING_BYTES, self._header))
        data = memoryview(self._input)[self._at : self._at + size]
        try:
            out: bytes = self._decoder.decompress(data)
        except self._codec.errors as error:
            self._damage = Damage(self._codec.corrupt, f"damaged {self._codec.name} data")
            if "memory" in str(error):  # all that zstandard says of it
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
        """Have input, which begins a member if there is no decoder; False at the end or at what is none."""
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
        """Pass over what may be between members; returns whether the input is enough to begin one, or is none."""
        codec = self._codec
        self._at = codec.skip(self._input, self._at)
        left = len(self._input) - self._at
        if left < len(codec.magics[0]):
            return False
        known = self._input.startswith(codec.magics, self._at)
        self._header = codec.header_bytes(self._input, self._at) if known else 0
        return not known or self._header > 0 or left >= HEADER_BYTES_MAX

    def _salvage(self) -> bytes:
        """What the member gives before the damage in it and was not given yet.

        It is read once more, in pieces that begin elsewhere, so the decoder may fail a little earlier or later; then
        again, and the piece in which it fails, and the one before, go to it byte by byte: isal looks ahead.
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
        """The member, and what follows it, in pieces of one length; the first one has its header."""
        self._raw.seek(self._member)
        self._head = b""
        wanted = max(self._codec.input_bytes, self._header)
        while piece := self._read_wholly(wanted):
            yield piece
            wanted = self._codec.input_bytes

    def _read_wholly(self, size: int) -> bytes:
        """The next bytes, in pieces of one length: what is salvaged must not depend on how reads come in."""
        head, self._head = self._head, b""
        return head + read_wholly(self._raw, size - len(head))
