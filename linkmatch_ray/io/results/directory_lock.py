"""The lock of a result directory, and the file with which another program asks its holder to stop."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from linkmatch_ray.io.names import MARKER
from linkmatch_ray.io.storage.errors import in_use
from linkmatch_ray.io.storage.ours import open_ours
from linkmatch_ray.words import shown

LOCK: Final = MARKER.decode()
CANCEL: Final = "linkmatch.cancel"

LOCK_WAIT_SECONDS: Final = 5.0
"""Seconds to wait for the lock. An actor whose driver was killed may run, and write, for 2 to 3 seconds more."""

_POLL_SECONDS: Final = 0.1
_BYTES_MAX: Final = 4096


class Lock:
    """A lock (`flock`) on a directory's lock file, held until it is released or the process ends."""

    def __init__(self, directory: Path, wait_seconds: float = LOCK_WAIT_SECONDS) -> None:
        self._fd = open_ours(directory / LOCK, os.O_RDWR | os.O_CREAT)
        self._cancel = directory / CANCEL
        try:
            self._forget_requests(self._take(directory, time.monotonic() + wait_seconds))
        except BaseException:
            os.close(self._fd)
            raise

    def _take(self, directory: Path, deadline: float) -> int:
        """Waits for the lock. Returns the file system's time just before it was taken, in nanoseconds."""
        while True:
            os.utime(self._fd)
            began = os.fstat(self._fd).st_mtime_ns
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise in_use(directory, _describe(self._fd)) from None
                time.sleep(_POLL_SECONDS)
        since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        about = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": since})
        with suppress(OSError):  # if the disk is full, the next step frees what was not committed
            os.ftruncate(self._fd, 0)
            os.write(self._fd, about.encode())
        return began

    def _forget_requests(self, before: int) -> None:
        """Removes a request for an earlier job. One for this job may come as soon as the lock is taken."""
        with suppress(FileNotFoundError):
            if os.lstat(self._cancel).st_mtime_ns < before:
                self._cancel.unlink()

    def release(self) -> None:
        """Releases the directory for another job."""
        try:
            with suppress(NotADirectoryError):  # a file has replaced the directory
                self._cancel.unlink(missing_ok=True)
        finally:
            os.close(self._fd)


def holder(directory: Path) -> str | None:
    """Returns who writes in a directory, or None."""
    try:
        fd = open_ours(directory / LOCK)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _describe(fd)
    except OSError:
        return None
    finally:
        os.close(fd)
    return None


class _Holder(msgspec.Struct):
    """The content of a lock file."""

    host: str
    pid: int
    since: str


def _describe(lock: int) -> str:
    try:
        known = msgspec.json.decode(os.pread(lock, _BYTES_MAX, 0), type=_Holder)
    except (msgspec.MsgspecError, RecursionError):
        return "holder unknown"
    return shown(f"process {known.pid} on {known.host}, since {known.since}")
