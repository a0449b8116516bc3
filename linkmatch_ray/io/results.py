"""The result directory: its names, its lock, and outputs that are written at recorded offsets."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from linkmatch_ray.errors import DirectoryInUse, UsageError
from linkmatch_ray.io.inputs import MARKER

MATCHED: Final = "matched.jsonl"
UNMATCHED: Final = "unmatched.jsonl"
QUARANTINE: Final = "quarantine.jsonl"
RESTRICTIONS: Final = "restrictions.jsonl"
LEDGER: Final = "ledger.sqlite"
SUMMARY: Final = "summary.json"
_LOCK: Final = MARKER.decode()
_OURS: Final = (MATCHED, UNMATCHED, QUARANTINE, RESTRICTIONS, LEDGER, LEDGER + "-journal", SUMMARY)

LOCK_WAIT_SECONDS: Final = 5.0
"""An actor whose driver was killed may live on, and write, for 2 to 3 seconds; a newcomer waits longer."""

_LOCK_POLL_SECONDS: Final = 0.1


class Lock:
    """`flock` on a directory's lock file; held for the life of the object, and gone with the process."""

    def __init__(self, directory: Path, wait_seconds: float = LOCK_WAIT_SECONDS) -> None:
        self._fd = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    other = _describe((directory / _LOCK).read_text("utf-8"))
                    os.close(self._fd)
                    raise in_use(directory, other) from None
                time.sleep(_LOCK_POLL_SECONDS)
        since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        about = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": since})
        with suppress(OSError):  # where the disk is full, what was not committed is cut off next, and makes room
            os.ftruncate(self._fd, 0)
            os.write(self._fd, about.encode())

    def release(self) -> None:
        """Let another job have the directory."""
        os.close(self._fd)


def in_use(directory: Path, by: str) -> DirectoryInUse:
    """The error that says who has a directory."""
    return DirectoryInUse(
        f"{directory}: another job writes here ({by}). Wait for it to end, or name another directory with -o."
    )


def holder(directory: Path) -> str | None:
    """Who writes in a directory; None where nobody does."""
    try:
        with open(directory / _LOCK, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _describe((directory / _LOCK).read_text("utf-8"))
    except OSError:
        return None
    return None


def _describe(text: str) -> str:
    try:
        known = json.loads(text)
        return f"process {known['pid']} on {known['host']}, since {known['since']}"
    except (ValueError, KeyError, TypeError):
        return "holder unknown"


def prepare(directory: Path) -> None:
    """Make the directory; refuse one that holds other people's files.

    Raises:
        UsageError: it exists and is not empty, and is no result directory; or it is no directory.
        OSError: it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        names = os.listdir(directory)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{directory}: {error.strerror}. Name a directory with -o.") from None
    if names and _LOCK not in names:
        raise UsageError(f"{directory}: has files in it and is no result directory. Name another with -o.")


def clear(directory: Path) -> None:
    """Remove what an earlier job left; call with the lock held."""
    for name in _OURS:
        (directory / name).unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomically(path: Path, write: Callable[[Any], None]) -> None:
    """Write a file that is there wholly or not at all, also after a power cut."""
    temporary = path.with_name(path.name + ".new")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


class Output:
    """One data file, written at offsets that the ledger records; what lies beyond them does not count."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._dirty = False

    def write(self, chunks: list[memoryview], offset: int) -> int:
        """Write all of the chunks, one after another, at `offset`; returns the offset after them."""
        for chunk in chunks:
            rest = chunk
            while len(rest):
                written = os.pwrite(self._fd, rest, offset)
                offset += written
                rest = rest[written:]
                self._dirty = True
        return offset

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes at `offset`."""
        return os.pread(self._fd, size, offset)

    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._fd).st_size

    def truncate(self, size: int) -> None:
        """Cut off what lies beyond `size`."""
        if self.size() > size:
            os.ftruncate(self._fd, size)
            self._dirty = True

    def sync(self) -> None:
        """Wait until everything written is on the disk."""
        if self._dirty:
            os.fdatasync(self._fd)
            self._dirty = False

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
