"""Files and directories that only their owner can use.

A person who can read the token of an embedded Ray, or write among its files, can run commands as its owner.
"""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from linkmatch_ray.errors import ClusterError
from linkmatch_ray.words import shown

FILE_MODE: Final = 0o600
DIRECTORY_MODE: Final = 0o700
OTHERS: Final = 0o077

log = logging.getLogger("linkmatch_ray")


def keep_to_owner(fd: int, path: str | Path, mode: int, remedy: str) -> None:
    """Restricts the mode of an open file or directory to `mode`, and warns if its file system cannot do that.

    Raises:
        ClusterError: It belongs to a user other than this one and root.
    """
    owner = os.fstat(fd).st_uid
    if owner not in (os.geteuid(), 0):
        raise ClusterError(f"{shown(path)}: belongs to another user ({owner}), who could run commands as you. {remedy}")
    before = _mode(fd)
    if before & ~mode:
        with suppress(OSError):
            os.fchmod(fd, before & mode)
        if mode == FILE_MODE and before & OTHERS and not _mode(fd) & OTHERS:
            log.warning("%s: other users could read it until now. Remove it; the next start makes a new one.", path)
    if _mode(fd) & OTHERS:
        log.warning(
            "%s: other users may enter or read it, and its mode cannot be changed here. A person who reads Ray's token"
            " can run commands as you. %s",
            path,
            remedy,
        )


def _mode(fd: int) -> int:
    return stat.S_IMODE(os.fstat(fd).st_mode)
