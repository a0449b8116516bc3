"""Files and directories that are their owner's alone. Whoever can read an embedded Ray's token can run commands as its
owner, and whoever can write among Ray's files can do so as well."""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from linkmatch_ray.errors import ClusterError

FILE_MODE: Final = 0o600
DIRECTORY_MODE: Final = 0o700
OTHERS: Final = 0o077

log = logging.getLogger("linkmatch_ray")


def keep_to_owner(fd: int, path: str | Path, mode: int, remedy: str) -> None:
    """Take from an open file or directory what goes beyond `mode`; warn if its file system cannot do that.

    Raises:
        ClusterError: it belongs to somebody else than this user or root.
    """
    owner = os.fstat(fd).st_uid
    if owner not in (os.geteuid(), 0):
        raise ClusterError(f"{path}: belongs to another user ({owner}), who could run commands as you. {remedy}")
    before = _mode(fd)
    if before & ~mode:
        with suppress(OSError):
            os.fchmod(fd, before & mode)
        if mode == FILE_MODE and before & OTHERS and not _mode(fd) & OTHERS:
            log.warning("%s: others could read it until now. Remove it, and the next start makes another.", path)
    if _mode(fd) & OTHERS:
        log.warning(
            "%s: other users may enter or read it, and its mode cannot be changed here. Who reads Ray's token can run"
            " commands as you. %s",
            path,
            remedy,
        )


def _mode(fd: int) -> int:
    return stat.S_IMODE(os.fstat(fd).st_mode)
