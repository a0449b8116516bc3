"""Results in a directory: its lock, its files, and outputs that are written at recorded offsets."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from linkmatch_ray.errors import UsageError
from linkmatch_ray.io.durable import make_directory, sync_directory
from linkmatch_ray.io.inputs import MARKER, InputFile
from linkmatch_ray.io.ledger import Ledger
from linkmatch_ray.io.results import (
    LEDGER,
    OUTPUTS,
    RESTRICTIONS,
    SUMMARY,
    Output,
    Results,
    in_use,
)
from linkmatch_ray.words import shown

_LOCK: Final = MARKER.decode()
_CANCEL: Final = "linkmatch.cancel"
_OURS: Final = (*OUTPUTS, RESTRICTIONS, LEDGER, LEDGER + "-journal", SUMMARY, _CANCEL)

NEXT: Final = "next"
"""Where an incremental job writes, within the directory, until it is complete and takes the place of the earlier."""

LOCK_WAIT_SECONDS: Final = 5.0
"""An actor whose driver was killed may live on, and write, for 2 to 3 seconds; a newcomer waits longer."""

_LOCK_POLL_SECONDS: Final = 0.1


class Directory(Results):
    """A directory of this machine, or one that several share."""

    commit_seconds = 0.5

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()

    def __str__(self) -> str:
        return str(self.path)

    @property
    def next(self) -> Directory:
        """Where an incremental job writes until it is complete."""
        return Directory(self.path / NEXT)

    def ledger(self) -> Ledger | None:
        """As `Results`."""
        return Ledger(self.path / LEDGER) if (self.path / LEDGER).exists() else None

    def open(self, name: str) -> BinaryIO:
        """As `Results`."""
        path = self.path / name
        return open(path if path.exists() else os.devnull, "rb")

    def summary(self) -> dict[str, Any] | None:
        """As `Results`."""
        with suppress(FileNotFoundError):
            found: dict[str, Any] = orjson.loads((self.path / SUMMARY).read_bytes())
            return found
        return None

    def holder(self) -> str | None:
        """As `Results`."""
        return holder(self.path)

    def ask_to_stop(self) -> None:
        """As `Results`."""
        (self.path / _CANCEL).touch()

    def is_asked_to_stop(self) -> bool:
        """As `Results`."""
        return (self.path / _CANCEL).exists()

    def prepare(self) -> None:
        """As `Results`."""
        prepare(self.path)

    def lock(self) -> Callable[[], None]:
        """As `Results`."""
        return Lock(self.path).release

    def clear(self) -> None:
        """As `Results`."""
        clear(self.path)

    def begin(self, settings: dict[str, str], files: Iterable[InputFile], ranges: Iterable[int]) -> Ledger:
        """As `Results`."""
        ledger = Ledger(self.path / LEDGER, create=True)
        try:
            ledger.begin_job(settings, files, ranges)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def resume(self) -> Ledger:
        """As `Results`."""
        return Ledger(self.path / LEDGER)

    def output(self, name: str, *, wanted: bool = True) -> Output:
        """As `Results`; there is no file where it is not wanted, as an empty one would look like a list."""
        return FileOutput(self.path / name if wanted else Path(os.devnull))

    def sync(self) -> None:
        """As `Results`."""
        sync_directory(self.path)

    def write(self, name: str, write: Callable[[Any], Any]) -> None:
        """As `Results`."""
        write_atomically(self.path / name, write)

    def staging(self) -> str | None:
        """As `Results`: all goes through the collector, as there is one file."""
        return None

    def finish(self, ledger: Ledger) -> None:
        """Nothing to do."""

    def begin_next(self) -> Directory:
        """Make `next`, for an incremental job; call with the lock held."""
        self.next.path.mkdir(exist_ok=True)
        return self.next

    def adopt_next(self) -> None:
        """Where an incremental job is complete, put it in the place of the earlier one; call with the lock held."""
        adopt_next(self.path)

    def clear_next(self) -> None:
        """Remove what an incremental job left that is not complete; call with the lock held."""
        clear_next(self.path)


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
        self._cancel = directory / _CANCEL
        self._cancel.unlink(missing_ok=True)  # meant for another

    def release(self) -> None:
        """Let another job have the directory."""
        self._cancel.unlink(missing_ok=True)
        os.close(self._fd)


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
        return shown(f"process {known['pid']} on {known['host']}, since {known['since']}")
    except (ValueError, KeyError, TypeError):
        return "holder unknown"


def prepare(directory: Path) -> None:
    """Make the directory; refuse one that holds other people's files.

    Raises:
        UsageError: it exists and is not empty, and is no result directory; or it is no directory.
        OSError: it cannot be made.
    """
    try:
        make_directory(directory)
        names = os.listdir(directory)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{shown(directory)}: {error.strerror}. Name a directory with -o.") from None
    if names and _LOCK not in names:
        raise UsageError(f"{shown(directory)}: has files in it and is no result directory. Name another with -o.")


def clear(directory: Path) -> None:
    """Remove what an earlier job left; call with the lock held.

    The summary goes first, and durably: where it is, the job is complete. The lock file becomes durable with that,
    before any other is made: by it the directory is known.
    """
    (directory / SUMMARY).unlink(missing_ok=True)
    sync_directory(directory)
    for name in _OURS:
        (directory / name).unlink(missing_ok=True)
        _unfinished(directory / name).unlink(missing_ok=True)
    clear_next(directory)


def clear_next(directory: Path) -> None:
    """Remove what an incremental job left that is not complete; call with the lock held."""
    if (directory / NEXT).exists():
        clear(directory / NEXT)
        (directory / NEXT).rmdir()


def adopt_next(directory: Path) -> None:
    """Put a complete incremental job in the place of the earlier one; call with the lock held.

    Its summary is the record that this is to be done: it moves last, and until it has, all is done again from the
    start. The earlier summary goes first, so that no summary ever stands over results that are not its own. Each step
    is on the disk before the next begins.
    """
    following = directory / NEXT
    if (following / SUMMARY).exists():
        (directory / SUMMARY).unlink(missing_ok=True)
        sync_directory(directory)
        for name in (*OUTPUTS, RESTRICTIONS, LEDGER):
            if (following / name).exists():
                os.replace(following / name, directory / name)
        sync_directory(directory)
        sync_directory(following)
        os.replace(following / SUMMARY, directory / SUMMARY)
        sync_directory(directory)
        sync_directory(following)
    with suppress(OSError):  # there is none; or it is not empty, as its job is under way
        following.rmdir()


def _unfinished(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def write_atomically(path: Path, write: Callable[[Any], Any]) -> None:
    """Write a file that is there wholly or not at all, also after a power cut."""
    temporary = _unfinished(path)
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


class FileOutput:
    """One data file, written at offsets that the ledger records; what lies beyond them does not count."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._dirty = False
        self.unsynced = 0

    def write(self, chunks: Sequence[memoryview], offset: int) -> int:
        """Write all of the chunks, one after another, at `offset`; returns the offset after them."""
        for chunk in chunks:
            rest = chunk
            while len(rest):
                written = os.pwrite(self._fd, rest, offset)
                offset += written
                rest = rest[written:]
                self._dirty = True
                self.unsynced += written
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
            self.unsynced = 0

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
