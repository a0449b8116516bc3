"""An output as one file of this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from linkmatch_ray.io.storage.ours import open_ours


class FileOutput:
    """One data file, written at offsets that the ledger records. Bytes beyond them do not count."""

    def __init__(self, path: Path) -> None:
        self._fd = open_ours(path, os.O_RDWR | os.O_CREAT)
        self._dirty = False
        self.unsynced = 0

    def write(self, contents: Sequence[memoryview], offset: int) -> int:
        """Writes all contents, one after another, at `offset`; returns the offset after them."""
        for content in contents:
            rest = content
            while len(rest):
                written = os.pwrite(self._fd, rest, offset)
                offset += written
                rest = rest[written:]
                self._dirty = True
                self.unsynced += written
        return offset

    def read(self, offset: int, size: int) -> bytes:
        """Returns up to `size` bytes at `offset`."""
        return os.pread(self._fd, size, offset)

    def size(self) -> int:
        """Returns the size of the file, in bytes."""
        return os.fstat(self._fd).st_size

    def truncate(self, size: int) -> None:
        """Cuts off what lies beyond `size`."""
        if self.size() > size:
            os.ftruncate(self._fd, size)
            self._dirty = True

    def sync(self) -> None:
        """Waits until everything written is on the disk."""
        if self._dirty:
            os.fdatasync(self._fd)
            self._dirty = False
            self.unsynced = 0

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)
