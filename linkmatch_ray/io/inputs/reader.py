"""Reads one version of a file: an open descriptor whose fingerprint is compared before and after."""

from __future__ import annotations

import os
from typing import Final, Self

from linkmatch_ray.core.outcome import Entry
from linkmatch_ray.io.inputs.file import InputFile, local_file
from linkmatch_ray.io.storage.errors import Changed

_OPEN_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""Without O_NONBLOCK, opening a FIFO that took the file's place would never return."""


class FileReader:
    """A raw binary stream over a planned file.

    Raises (on opening, and from `check`):
        Changed: Size, mtime, ctime or inode differ from the plan's.
        OSError: It cannot be opened or read.
    """

    has_ranges: Final = True

    def __init__(self, file: InputFile) -> None:
        self._file = file
        self._fd = os.open(file.path, _OPEN_FLAGS)
        try:
            self.check()
        except BaseException:
            os.close(self._fd)
            raise

    def check(self) -> None:
        """Compares the open file with the plan."""
        _check(self._fd, self._file)

    def seek(self, offset: int) -> None:
        """Moves to a byte."""
        os.lseek(self._fd, offset, os.SEEK_SET)

    def head(self, size: int = 4) -> bytes:
        """Returns the first bytes, without moving."""
        return os.pread(self._fd, size, 0)

    def read_at(self, view: memoryview, offset: int) -> int:
        """Fills a view from an offset, without moving; returns how much, 0 at the end."""
        return os.preadv(self._fd, [view], offset)

    def readinto(self, view: memoryview) -> int:
        """Reads up to the length of `view`; returns 0 at the end."""
        return os.readv(self._fd, [view])

    def read(self, size: int = -1) -> bytes:
        """Reads up to `size` bytes."""
        return os.read(self._fd, size if size >= 0 else self._file.size + 1)

    def close(self) -> None:
        """Closes the descriptor."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def read_small(file: InputFile, view: memoryview) -> None:
    """Reads a whole file into `view`, which is as long as the file.

    One comparison after the last byte is enough here: if the fingerprint is the plan's then, it was so all along.

    Raises:
        Changed: Size, mtime, ctime or inode differ from the plan's.
        OSError: It cannot be opened or read.
    """
    fd = os.open(file.path, _OPEN_FLAGS)
    try:
        filled = 0
        while filled < file.size:
            count = os.readv(fd, [view[filled:]])
            if not count:
                raise Changed
            filled += count
        _check(fd, file)
    finally:
        os.close(fd)


def _check(fd: int, file: InputFile) -> None:
    status = os.fstat(fd)
    found = local_file(file.name, file.path, status)
    if not status.st_nlink:  # removal and replacement change its ctime; the open file is still the planned one
        found = found._replace(ctime_ns=file.ctime_ns)
    if found != file:
        raise Changed


def fault_entry(file: InputFile, reason: str, message: str) -> Entry:
    """Returns the one entry that stands for a whole file."""
    return Entry(None, None, 0, max(file.size, 0), reason, message)


def changed_entry(file: InputFile) -> Entry:
    """Returns the entry for a file that is not the planned one, or changed while it was read."""
    return fault_entry(file, "changed", "the file was changed, replaced or cut short while the job ran")


def unreadable_entry(file: InputFile, why: str) -> Entry:
    """Returns the entry for a file that cannot be read: the system refuses it, or its archive has no such file."""
    return fault_entry(file, file.reason or "unreadable", why)
