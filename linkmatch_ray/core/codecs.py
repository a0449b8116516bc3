"""The content of an input, decompressed and in UTF-8. How it is stored is found from its first bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from linkmatch_ray.core.compressions import MAGIC_BYTES, compression_of
from linkmatch_ray.core.damage import Corrupt, Damage
from linkmatch_ray.core.encodings import Decoded, encoding_of
from linkmatch_ray.core.inflating import Inflating
from linkmatch_ray.core.raw import Raw, Readable, read_wholly

INFLATED_BYTES_MIN: Final = 1 << 30
"""Any input may decompress to this size, however small it is."""


def open_source(
    raw: Raw, size: int = 0, max_inflation: int | None = None, *, salvage: bool = False, memory: int | None = None
) -> Plain | Decoded:
    """Opens the same as `decompressed` as text: what has the mark of another encoding is decoded to UTF-8."""
    source = decompressed(raw, size, max_inflation, salvage=salvage, memory=memory)
    is_text = isinstance(source, Plain) and encoding_of(source.head) is None
    return source if isinstance(source, Plain) and is_text else Decoded(source)


def decompressed(
    raw: Raw, size: int = 0, max_inflation: int | None = None, *, salvage: bool = False, memory: int | None = None
) -> Plain | Inflating:
    """Reads the head of `raw`, which is at its start; returns a source of its content.

    Args:
        size: Bytes in `raw`.
        max_inflation: Maximum length of the content, as a multiple of `size`; None for no limit. `INFLATED_BYTES_MIN`
            is always allowed. `Damage` is raised beyond it.
        salvage: Whether corrupt data is read up to its damage.
        memory: Bytes that may be held at once for a wide window of zstd data; None for no limit.
    """
    try:
        head = read_wholly(raw, MAGIC_BYTES)
    except (Damage, Corrupt):  # which come again when it is read
        raw.seek(0)
        return Plain(raw)
    compression = compression_of(head)
    if compression is None:
        return Plain(raw, head)
    limit = None if max_inflation is None else max(INFLATED_BYTES_MIN, size * max_inflation)
    return Inflating(raw, head, compression, size=size, limit=limit, salvage=salvage, memory=memory)


class Plain:
    """Content that is stored as it is.

    Attributes:
        head: Bytes that were read from it already, and come first.
        read_at: Fills a view from an offset without moving, and returns how much, if the raw stream can.
        compression, encoding: None.
    """

    compression: Final = None
    encoding: Final = None

    def __init__(self, raw: Readable, head: bytes = b"") -> None:
        self._raw, self.head = raw, head
        self.read_at: Callable[[memoryview, int], int] | None = getattr(raw, "read_at", None)

    def readinto(self, view: memoryview) -> int:
        filled = min(len(view), len(self.head))
        if filled:
            view[:filled], self.head = self.head[:filled], self.head[filled:]
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
