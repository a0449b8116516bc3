"""The directory for an embedded Ray's files: only its owner can enter it, and it is removed when the session ends.

Ray lets everyone write into its own directories (0777), so they lie in one that nobody else can enter. The process that
uses it holds a lock on it. If the process is killed, the next start finds no lock, and removes the directory.
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
from linkmatch_ray.runtime.session.private import DIRECTORY_MODE, keep_to_owner, log
from linkmatch_ray.words import is_text, shown

PREFIX: Final = "lmr-"
KEPT_PREFIX: Final = "lmk-"
"""Short, and of one length, because the paths of Ray's sockets may not be longer than SOCKET_BYTES_MAX."""

RANDOM_LETTERS: Final = 8
"""Number of random letters in the names that `mkdtemp` makes."""

RAYS: Final = "r"
"""The folder within it that Ray gets. Ray changes the folder's mode."""

SOCKET_BYTES_MAX: Final = 107
LONGEST_SOCKET: Final = "session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store"
LONGEST_SOCKET_OF_DASHBOARD: Final = "session_2000-01-01_00-00-00_000000_4194304/sockets/dash_TaskEventsHead"


def place(*, dashboard: bool = False) -> str:
    """Returns the place for a new directory: RAY_TMPDIR, or else TMPDIR, or else /tmp.

    Raises:
        ClusterError: The name of RAY_TMPDIR is too long, or not UTF-8.
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
        kept: Keep it at the end, and print its path.

    Attributes:
        path: Ray's directory for temporary files.
        to_remove: The directory to remove at the end; None if it is kept.

    Raises:
        ClusterError: It cannot be made.
    """

    def __init__(self, *, dashboard: bool = False, kept: bool = False) -> None:
        above = place(dashboard=dashboard)
        _sweep(above)
        try:
            os.makedirs(above, mode=DIRECTORY_MODE, exist_ok=True)
            _refuse_shared(above)
            self._directory, self._fd = _make(above, KEPT_PREFIX if kept else PREFIX)
            self.to_remove = None if kept else self._directory
            self.path = os.path.join(self._directory, RAYS)
            os.mkdir(self.path)
        except OSError as error:
            raise ClusterError(
                f"{shown(above)}: {error.strerror}. Ray keeps its files there. Correct that, or set RAY_TMPDIR."
            ) from None
        keep_to_owner(self._fd, self._directory, DIRECTORY_MODE, "Name another place with RAY_TMPDIR.")
        if kept:
            log.warning("%s: Ray's logs are kept there. Remove the directory when you have read them.", self._directory)

    def remove(self) -> None:
        """Removes it with its content, when Ray has ended or is about to."""
        if self.to_remove is not None:
            shutil.rmtree(self.to_remove, ignore_errors=True)
        with suppress(OSError):
            os.close(self._fd)


def _refuse_shared(above: str) -> None:
    """Checks that other users cannot replace our directory by one of their own.

    Raises:
        ClusterError: They can rename files in `above`.
    """
    found = os.stat(above)
    others_write = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
    if others_write or found.st_uid not in (os.geteuid(), 0):
        raise ClusterError(
            f"{shown(above)}: other users may rename files there, so Ray's are not safe from them. Set its sticky bit"
            " (chmod +t), or name a directory of your own with RAY_TMPDIR."
        )


def _make(above: str, prefix: str) -> tuple[str, int]:
    """Makes a new directory, and locks it if its file system has locks."""
    while True:
        path = tempfile.mkdtemp(prefix=prefix, dir=above)
        with suppress(FileNotFoundError, BlockingIOError):  # another start took it for an abandoned one
            return path, _open_locked(path, strict=False)


def _sweep(above: str) -> None:
    """Removes abandoned directories: ours, of which nobody holds the lock."""
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
    """Opens and locks a directory.

    Raises:
        OSError: It is no directory, is gone (FileNotFoundError), is locked (BlockingIOError), or if `strict` cannot be
            locked.
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
