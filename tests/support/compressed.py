"""Compressed data, and what the formats' own libraries give of it: the oracle of `core.codecs`."""

import bz2
import gzip
import lzma
import zlib

import lz4.frame
import zstandard

KINDS = ("gzip", "zstd", "bz2", "xz", "lz4")

MAGICS = {
    "gzip": [b"\x1f\x8b"],
    "zstd": [b"\x28\xb5\x2f\xfd", *(bytes([n]) + b"\x2a\x4d\x18" for n in range(0x50, 0x60))],
    "bz2": [b"BZh%d" % level for level in range(1, 10)],
    "xz": [b"\xfd7zXZ\0"],
    "lz4": [b"\x04\x22\x4d\x18", *(bytes([n]) + b"\x2a\x4d\x18" for n in range(0x50, 0x60))],
}

_ERRORS = (zlib.error, zstandard.ZstdError, OSError, ValueError, lzma.LZMAError, RuntimeError)


def compressed(kind, *texts):
    """Members, streams or frames, one a text, each with a checksum."""
    compress = {
        "gzip": lambda text: gzip.compress(text, mtime=0),
        "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
        "bz2": lambda text: bz2.compress(text, 1),
        "xz": lzma.compress,
        "lz4": lambda text: lz4.frame.compress(text, block_size=4, content_checksum=True),
    }
    return b"".join(map(compress[kind], texts))


def decoder(kind):
    """A decoder of one member."""
    return {
        "gzip": lambda: zlib.decompressobj(31),
        "zstd": lambda: zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj(),
        "bz2": bz2.BZ2Decompressor,
        "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
        "lz4": lz4.frame.LZ4FrameDecompressor,
    }[kind]()


def reading(kind, data):
    """What the libraries give of data: its content, and `whole`, `cut`, `corrupt` or `behind`."""
    content, end = b"", 0
    while True:
        gap = data[end:]
        if kind == "gzip":
            gap = gap.lstrip(b"\0 \t\r\n")
        elif kind == "xz":
            gap = gap.lstrip(b"\0")
            if (len(data) - end - len(gap)) % 4:
                return content, "behind"
        elif kind in ("zstd", "lz4"):
            while len(gap) >= 8 and gap[1:4] == b"\x2a\x4d\x18" and 0x50 <= gap[0] < 0x60:
                size = 8 + int.from_bytes(gap[4:8], "little")
                if size > len(gap):
                    return content, "cut"
                gap = gap[size:]
        if not gap:
            return content, "whole"
        if not gap.startswith(tuple(MAGICS[kind])):
            return content, "cut" if any(magic.startswith(gap) for magic in MAGICS[kind]) else "behind"
        if len(gap) < 8:
            return content, "cut"
        member = decoder(kind)
        try:
            content += member.decompress(gap)
        except _ERRORS:
            return content, "corrupt"
        if not member.eof:
            return content, "cut"
        end = len(data) - len(member.unused_data or b"")


def salvageable(kind, data):
    """What the libraries give of data that is damaged, byte by byte."""
    content = b""
    while data:
        member = decoder(kind)
        for place in range(len(data)):
            try:
                content += member.decompress(data[place : place + 1])
            except _ERRORS:
                return content
            if member.eof:
                break
        data = data[place + 1 :]
    return content
