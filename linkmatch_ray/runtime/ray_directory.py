"""Where an embedded Ray keeps its files: a directory of the owner's alone, which goes when the session ends.

Ray lets everyone write into its own directories (0777), so they lie in one that nobody else can enter. One that was
left behind by a process that was killed is removed by the next start: its owner holds a lock on it, so one without a
lock has none any more.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from typing import Final

from linkmatch_ray.errors import ClusterError
from linkmatch_ray.runtime.private import DIRECTORY_MODE, keep_to_owner, log
from linkmatch_ray.words import is_text, shown

PREFIX: Final = "lmr-"
KEPT_PREFIX: Final = "lmk-"
"""Short, and both as long, because the paths of Ray's sockets may not be longer than SOCKET_BYTES_MAX."""

RANDOM_LETTERS: Final = 8
"""Of the names that `mkdtemp` makes."""

RAYS: Final = "r"
"""The part that Ray is given, as it changes the mode."""

SOCKET_BYTES_MAX: Final = 107
LONGEST_SOCKET: Final = "session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store"
LONGEST_SOCKET_OF_DASHBOARD: Final = "session_2000-01-01_00-00-00_000000_4194304/sockets/dash_TaskEventsHead"


def place(*, dashboard: bool = False) -> str:
    """The directory in which a new one is made: RAY_TMPDIR, or else TMPDIR, or else /tmp.

    Raises:
        ClusterError: the name of RAY_TMPDIR does not do.
    """
    longest = LONGEST_SOCKET_OF_DASHBOARD if dashboard else LONGEST_SOCKET
    below = len(os.path.join("", PREFIX + "x" * RANDOM_LETTERS, RAYS, longest)) + 1
    for name in ("RAY_TMPDIR", "TMPDIR"):
        path = os.environ.get(name)
        if not path:
            continue
        path = os.path.abspath(path)
        if len(os.fsencode(path)) + below <= SOCKET_BYTES_MAX and is_text(path):
            return path
        if name == "RAY_TMPDIR":
            raise ClusterError(
                f"RAY_TMPDIR: {shown(path)} is no place for Ray's sockets, expected a path in UTF-8 of at most"
                f" {SOCKET_BYTES_MAX - below} bytes. Name a shorter one, such as /tmp."
            )
    return "/tmp"


class RayDirectory:
    """A directory for one embedded Ray.

    Args:
        dashboard: Whether Ray has its dashboard, whose sockets have longer names.
        kept: Leave it there at the end, and say where it is.

    Attributes:
        path: What Ray is given as its directory for temporary files.

    Raises:
        ClusterError: it cannot be made.
    """

    def __init__(self, *, dashboard: bool = False, kept: bool = False) -> None:
        above = place(dashboard=dashboard)
        _sweep(above)
        self._kept = kept
        try:
            os.makedirs(above, mode=DIRECTORY_MODE, exist_ok=True)
            _refuse_shared(above)
            self._directory, self._fd = _make(above, KEPT_PREFIX if kept else PREFIX)
            self.path = os.path.join(self._directory, RAYS)
            os.mkdir(self.path)
        except OSError as error:
            raise ClusterError(
                f"{above}: {error.strerror}. Ray's files are to be kept there. Mend that, or set RAY_TMPDIR."
            ) from None
        keep_to_owner(self._fd, self._directory, DIRECTORY_MODE, "Name another place with RAY_TMPDIR.")
        if kept:
            log.warning("%s: Ray's logs are kept there. Remove it when you have read them.", self._directory)

    def remove(self) -> None:
        """Remove it with all that is in it, when Ray has ended or is about to."""
        if not self._kept:
            shutil.rmtree(self._directory, ignore_errors=True)
        with suppress(OSError):
            os.close(self._fd)


def _refuse_shared(above: str) -> None:
    """Where others may rename what is not theirs, they may put a directory of their own in the place of ours.

    Raises:
        ClusterError: they may.
    """
    found = os.stat(above)
    others_write = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
    if others_write or found.st_uid not in (os.geteuid(), 0):
        raise ClusterError(
            f"{shown(above)}: other users may rename files there, so Ray's are not safe from them. Set its sticky bit"
            " (chmod +t), or name a directory of your own with RAY_TMPDIR."
        )


def _make(above: str, prefix: str) -> tuple[str, int]:
    """A new directory, which has a lock on it if its file system has locks."""
    while True:
        path = tempfile.mkdtemp(prefix=prefix, dir=above)
        with suppress(FileNotFoundError, BlockingIOError):  # another start took it for one that was left behind
            return path, _open_locked(path, strict=False)


def _sweep(above: str) -> None:
    """Remove directories that were left behind: ours, of which nobody holds the lock."""
    with suppress(OSError), os.scandir(above) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and len(entry.name) == len(PREFIX) + RANDOM_LETTERS:
                with suppress(OSError):
                    _remove_if_left(entry.path)


def _remove_if_left(path: str) -> None:
    fd = _open_locked(path, strict=True)
    try:
        found, holds = os.fstat(fd), os.listdir(fd)
        # A process of Ray's that starts while all is removed makes its directories again, with a mode of its own.
        as_made = stat.S_IMODE(found.st_mode) == DIRECTORY_MODE
        if found.st_uid == os.geteuid() and (holds == [RAYS] or (as_made and not holds)):
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(fd)


def _open_locked(path: str, *, strict: bool) -> int:
    """A directory, open and locked.

    Raises:
        OSError: it is none, or is gone (FileNotFoundError), or is locked (BlockingIOError), or if `strict` cannot be.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            if strict:
                raise
        if not os.path.samestat(os.fstat(fd), os.lstat(path)):
            raise FileNotFoundError(path)
    except OSError:
        os.close(fd)
        raise
    return fd
