"""The kinds of compressed data: a row for each, with what tells its members apart and how one is decoded.

A file is members of one kind, one after another: gzip calls them members, bz2 and xz streams, zstd and lz4 frames.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final, NamedTuple

import lz4.frame
import zstandard
from isal import isal_zlib

from linkmatch_ray.core.damage import DamageReason

WINDOW_BYTES_MAX: Final = 1 << 31
"""Maximum window of zstd data, in bytes (`zstd --long=31`). No zstd on a machine with 64 bits takes more."""

MEMORY_BYTES_FREE: Final = 1 << 27
"""Bytes that any decoder may hold at once. For a wider window of zstd data (`zstd --long=28`) memory is asked for."""

HEADER_BYTES_MAX: Final = 1 << 20
"""A longer gzip header is given to the decoder piece by piece."""

OUTPUT_BYTES_MAX: Final = 1 << 20
"""Bytes that a bounded decoder gives at once."""

_SKIPPABLE: Final = Struct("<II")
_SKIPPABLE_MAGICS: Final = tuple(bytes([n]) + b"\x2a\x4d\x18" for n in range(0x50, 0x60))


class Gap(NamedTuple):
    """What lies between two members, as far as it was read.

    Attributes:
        end: Where it ends in the data.
        more: Bytes of it that follow the data.
    """

    end: int
    more: int = 0


@dataclass(frozen=True, slots=True)
class Compression:
    """A row of the table.

    Attributes:
        name: Its name in messages.
        member: What it calls a member.
        corrupt, truncated: Reasons for damaged data, and for data that ends too early.
        magics: First bytes of a member; all of one length.
        decoders: Makes a factory of decoders for one input. A decoder reads one member, and has `decompress`, `eof` and
            `unused_data`. A bounded one also has `needs_input`.
        errors: The exceptions that a decoder raises for damaged data.
        input_bytes: Bytes that a decoder gets at once. Few if it is not bounded, because its whole output is held. At
            worst that is some 30 MB for gzip, 16 MB for lz4 and 128 MB for zstd.
        is_bounded: `decompress` takes a maximum length.
        reference: Makes decoders that give all that can be had of data that is cut short or damaged; None if those of
            `decoders` do.
        header_bytes: Returns the length of the header that a member begins with at a place in some data, or 0 if more
            data is needed. The decoder gets the header in one piece.
        is_sound: Returns whether a whole header is allowed, where the decoder does not look.
        lacks: Returns what a member with this header needs and is not there, for a message; nothing as a rule.
        memory: Returns how many bytes a member with this header holds at once, if they are more than any decoder may.
        skip: Returns what of some data, from a place between two members, has no content.
        padding: Members are padded with zeros to a multiple of this many bytes.
    """

    name: str
    member: str
    corrupt: DamageReason
    truncated: DamageReason
    magics: tuple[bytes, ...]
    decoders: Callable[[], Callable[[], Any]]
    errors: tuple[type[Exception], ...]
    input_bytes: int = 1 << 16
    is_bounded: bool = False
    reference: Callable[[], Any] | None = None
    header_bytes: Callable[[bytes, int], int] = lambda data, start: 1  # where the decoder resumes within it
    is_sound: Callable[[bytes], bool] = lambda header: True
    lacks: Callable[[bytes], str] = lambda header: ""
    memory: Callable[[bytes], int] = lambda header: 0
    skip: Callable[[bytes, int], Gap] = lambda data, start: Gap(start)
    padding: int = 1

    def feed(self, decoder: Any, data: bytes | memoryview) -> bytes:
        """Decompresses some data."""
        out: bytes = decoder.decompress(data, OUTPUT_BYTES_MAX) if self.is_bounded else decoder.decompress(data)
        return out

    def is_full(self, decoder: Any) -> bool:
        """Returns whether a decoder that has not ended gives more without further data."""
        return self.is_bounded and not decoder.needs_input

    @property
    def magic_bytes(self) -> int:
        """Length of its magic numbers."""
        return len(self.magics[0])

    def begins(self, data: bytes, start: int = 0) -> bool:
        """Returns whether a member begins there."""
        return data.startswith(self.magics, start)

    def begins_partly(self, data: bytes) -> bool:
        """Returns whether some data is a part of a magic number that was cut short."""
        return 0 < len(data) < self.magic_bytes and any(magic.startswith(data) for magic in self.magics)


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


def _is_sound_gzip(header: bytes) -> bool:
    """Returns whether zlib would take a gzip header; isal looks at neither its reserved flags nor its checksum."""
    flags = header[3]
    if header[2] != 8 or flags & 0xE0:
        return False
    return not flags & 2 or zlib.crc32(header[:-2]) & 0xFFFF == int.from_bytes(header[-2:], "little")


def _end_of(found: re.Match[bytes] | None, start: int) -> int:
    return start if found is None else found.end()


def _skip_blank(data: bytes, start: int) -> Gap:
    """Passes over zeros and white space: gzip files on tapes were padded with zeros."""
    return Gap(_end_of(_BLANKS.match(data, start), start))


def _skip_zeros(data: bytes, start: int) -> Gap:
    """Passes over xz's padding between streams."""
    return Gap(_end_of(_ZEROS.match(data, start), start))


def _skip_frames(data: bytes, start: int) -> Gap:
    """Passes over skippable frames (RFC 8878, 3.1.2). There may be millions, and each would need a decoder."""
    while start + _SKIPPABLE.size <= len(data) and data.startswith(_SKIPPABLE_MAGICS, start):
        end = start + _SKIPPABLE.size + _SKIPPABLE.unpack_from(data, start)[1]
        if end > len(data):
            return Gap(len(data), end - len(data))
        start = end
    return Gap(start)


def _zstd_header_bytes(data: bytes, start: int) -> int:
    """Returns the header's length by RFC 8878, 3.1.1.1."""
    if len(data) < start + 5 or data.startswith(_SKIPPABLE_MAGICS, start):
        return 0
    size = zstandard.frame_header_size(data[start : start + 18])
    return size if start + size <= len(data) else 0


def _zstd_lacks(header: bytes) -> str:
    """Returns the dictionary of a frame that was compressed with one."""
    number = zstandard.get_frame_parameters(header).dict_id
    return f"the dictionary {number:,}" if number else ""


def _zstd_memory(header: bytes) -> int:
    """Returns the size of a frame's window, or of its content if that is smaller."""
    found = zstandard.get_frame_parameters(header)
    window: int = found.window_size
    if window > WINDOW_BYTES_MAX:
        return window
    needed = min(window, found.content_size)
    return needed if needed > MEMORY_BYTES_FREE else 0


_BLANKS: Final = re.compile(rb"[\0 \t\r\n]+")
_ZEROS: Final = re.compile(rb"\0+")
_ISAL_ERROR: Final[type[Exception]] = isal_zlib.IsalError  # type: ignore[assignment]  # an instance, to its stub

GZIP: Final = Compression(
    name="gzip",
    member="member",
    corrupt="corrupt_gzip",
    truncated="truncated_gzip",
    magics=(b"\x1f\x8b",),
    decoders=lambda: lambda: isal_zlib.decompressobj(31),
    errors=(_ISAL_ERROR, zlib.error),
    input_bytes=1 << 15,
    reference=lambda: zlib.decompressobj(31),  # isal holds the last bytes back until it sees more
    header_bytes=_gzip_header_bytes,  # isal does not resume within it
    is_sound=_is_sound_gzip,
    skip=_skip_blank,
)
ZSTD: Final = Compression(
    name="zstd",
    member="frame",
    corrupt="corrupt_zstd",
    truncated="truncated_zstd",
    magics=(b"\x28\xb5\x2f\xfd", *_SKIPPABLE_MAGICS),
    decoders=lambda: zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES_MAX).decompressobj,
    errors=(zstandard.ZstdError,),
    input_bytes=1 << 12,
    header_bytes=_zstd_header_bytes,
    lacks=_zstd_lacks,
    memory=_zstd_memory,
    skip=_skip_frames,
)
BZ2: Final = Compression(
    name="bz2",
    member="stream",
    corrupt="corrupt_bz2",
    truncated="truncated_bz2",
    magics=tuple(b"BZh%d" % level for level in range(1, 10)),
    decoders=lambda: bz2.BZ2Decompressor,
    errors=(OSError, ValueError),
    is_bounded=True,
)
XZ: Final = Compression(
    name="xz",
    member="stream",
    corrupt="corrupt_xz",
    truncated="truncated_xz",
    magics=(b"\xfd7zXZ\0",),
    decoders=lambda: lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
    errors=(lzma.LZMAError,),
    is_bounded=True,
    skip=_skip_zeros,
    padding=4,
)
LZ4: Final = Compression(
    name="lz4",
    member="frame",
    corrupt="corrupt_lz4",
    truncated="truncated_lz4",
    magics=(b"\x04\x22\x4d\x18", *_SKIPPABLE_MAGICS),
    decoders=lambda: lz4.frame.LZ4FrameDecompressor,
    errors=(RuntimeError,),
    skip=_skip_frames,
)

COMPRESSIONS: Final = (GZIP, ZSTD, BZ2, XZ, LZ4)
"""One row for each kind."""

MAGIC_BYTES: Final = max(row.magic_bytes for row in COMPRESSIONS)


def compression_of(head: bytes) -> Compression | None:
    """Returns how content is compressed that begins with `head`, or that is `head` if it has fewer than `MAGIC_BYTES`.

    A part of a magic number counts unless it may be text.
    """
    for row in COMPRESSIONS:
        if row.begins(head) or (row.begins_partly(head) and not (head.isascii() and head.decode().isprintable())):
            return row
    return None
