"""The bytes of an archive from any place in it, or those that a compressed tar decompresses to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from linkmatch_ray.core.codecs import Plain, decompressed
from linkmatch_ray.io.inputs.archives.member import PACKED_TAR
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.inputs.reader import FileReader
from linkmatch_ray.io.storage.traffic import traffic
from linkmatch_ray.io.storage.urls import is_url

if TYPE_CHECKING:
    from linkmatch_ray.io.inputs.object_reader import ObjectReader

SKIP_BYTES: Final = 8 << 20
"""An object is read on over a gap of this size, in bytes, because what was requested ahead is there already."""

DISCARD_BYTES: Final = 1 << 18
"""Bytes that are read at a time to pass over them."""


def open_stored(file: InputFile, stop: int | None = None) -> FileReader | ObjectReader:
    """Opens a file or an object as it is stored. Little will be read beyond `stop`.

    Raises:
        Changed, OSError: As the stream does.
    """
    if not is_url(file.path):
        return FileReader(file)
    from linkmatch_ray.io.inputs.object_reader import ObjectReader

    return ObjectReader(file, stop)


class Content:
    """The content of an archive. It is fastest from its beginning to its end.

    Args:
        kind: Of the archive. What a packed tar decompresses to can be read from its beginning only, so that each step
            back begins there.
        max_inflation, salvage: As in `decompressed`.

    Attributes:
        at: The byte behind the last one that was read or passed over.

    Raises (from opening, `fill` and `check`):
        Changed: The archive is no longer the planned one.
        OSError: It cannot be read.
        Damage, Corrupt: From `fill`: it cannot be decompressed further, or nothing of it is certain.
    """

    def __init__(
        self, archive: InputFile, kind: str, max_inflation: int | None = None, *, salvage: bool = False
    ) -> None:
        self._archive, self._max_inflation, self._salvages = archive, max_inflation, salvage
        self._raw, self.at = open_stored(archive), 0
        self._is_packed = kind == PACKED_TAR
        self._skips = SKIP_BYTES if is_url(archive.path) else 0
        self._source = self._opened()

    def _opened(self) -> Plain | FileReader | ObjectReader:
        if not self._is_packed:
            return self._raw
        return decompressed(self._raw, self._archive.size, self._max_inflation, salvage=self._salvages)  # type: ignore[return-value]

    def fill(self, offset: int, view: memoryview) -> int:
        """Fills `view` with the bytes from `offset` on; returns how many, fewer only at the end."""
        if not self._move(offset):
            return 0
        filled = 0
        while filled < len(view) and (count := self._source.readinto(view[filled:])):
            filled += count
            self.at += count
        return filled

    def bytes_at(self, offset: int, size: int) -> bytes:
        """Returns `size` bytes from `offset` on; fewer only at the end."""
        data = bytearray(size)
        return bytes(data[: self.fill(offset, memoryview(data))])

    def _move(self, offset: int) -> bool:
        """Moves to a byte; returns whether there is one, as far as is known."""
        gap = offset - self.at
        if not self._is_packed and not 0 <= gap <= self._skips:
            self._raw.seek(offset)
            self.at = offset
            return True
        if gap < 0:
            self._raw.seek(0)
            self.at = 0
            self._source = self._opened()
        discarded = memoryview(bytearray(min(DISCARD_BYTES, offset - self.at)))
        while self.at < offset:
            count = self._source.readinto(discarded[: offset - self.at])
            if not count:
                return False
            self.at += count
            traffic.add(count)
        return True

    def check(self) -> None:
        """Compares the archive with the plan."""
        self._raw.check()

    def close(self) -> None:
        """Closes the archive."""
        self._raw.close()
