"""Files of a result directory: opened without following links, and refused if they are not ours.

Another user who may make names in the directory could otherwise redirect our writes. A symbolic link, a second name of
another file, or a file of that user would do. The directory itself may be a link, because the user has named it.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from linkmatch_ray.errors import JobError
from linkmatch_ray.words import shown

_KINDS: Final = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_ours(path: Path, flags: int = os.O_RDONLY) -> int:
    """Opens a file of a result directory; returns its descriptor.

    What is only read must be a regular file. What is written must also have no other name, and belong to us. `O_TRUNC`
    would act before this is known: call `os.ftruncate` instead.

    Raises:
        JobError: It is something else; nothing was changed.
        OSError: As `os.open`.
    """
    writing = flags & os.O_ACCMODE != os.O_RDONLY
    is_there(path, writing=writing)  # a device or a FIFO is not even opened
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    try:
        _refuse(path, os.fstat(fd), writing=writing, directory=False)  # it may have been replaced
    except BaseException:
        os.close(fd)
        raise
    return fd


def open_new(path: Path) -> BinaryIO:
    """Opens a file of a result directory to be written from its beginning; its old content is lost.

    Raises:
        JobError: Something else has the name.
    """
    file = os.fdopen(open_ours(path, os.O_WRONLY | os.O_CREAT), "wb")
    file.truncate()
    return file


def is_there(path: Path, *, writing: bool = False, directory: bool = False) -> bool:
    """Returns whether there is such a file, or directory.

    Raises:
        JobError: Something else has the name; with `writing`, also something that is not ours.
    """
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    _refuse(path, status, writing=writing, directory=directory)
    return True


def may_write(path: Path) -> bool:
    """Returns whether an existing file is certainly ours. Writes nothing to find out."""
    status = os.lstat(path)
    return status.st_uid == os.geteuid() and status.st_nlink == 1


def _refuse(path: Path, status: os.stat_result, *, writing: bool, directory: bool) -> None:
    kind, found = stat.S_IFMT(status.st_mode), None
    if kind == stat.S_IFLNK:
        with suppress(OSError):
            found = f"a symbolic link to {shown(os.readlink(path))}"
        found = found or "a symbolic link"
    elif kind != (stat.S_IFDIR if directory else stat.S_IFREG):
        found = _KINDS.get(kind, "no file")
    elif writing and not directory and status.st_nlink > 1:
        found = f"a file with {status.st_nlink} names (hard links)"
    elif writing and status.st_uid != os.geteuid() and status.st_uid != _owner_of_new_files(path.parent):
        found = f"owned by uid {status.st_uid}, not by {os.geteuid()}"
    if found is not None:
        raise JobError(
            f"{shown(path)}: is {found}, and not what a job of yours wrote."
            " Remove it, or name another directory with -o."
        )


def _owner_of_new_files(directory: Path) -> int | None:
    """Returns the owner of what this process makes there: some network file systems give all files to one user."""
    try:
        fd, name = tempfile.mkstemp(prefix=".linkmatch-", dir=directory)
    except OSError:
        return None
    try:
        os.unlink(name)
        return os.fstat(fd).st_uid
    finally:
        os.close(fd)
