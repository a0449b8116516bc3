"""The token of an embedded Ray. A person who knows it can run commands as its owner.

Ray looks for it in RAY_AUTH_TOKEN, then in the file RAY_AUTH_TOKEN_PATH, then in ~/.ray/auth_token. If none exists, Ray
makes the last one, readable by everyone. So this module makes it first, and checks it before each start.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from linkmatch_ray.errors import ClusterError
from linkmatch_ray.runtime.session.private import DIRECTORY_MODE, FILE_MODE, keep_to_owner, log
from linkmatch_ray.runtime.session.ray_internals import AUTH_MODE
from linkmatch_ray.words import shown

TOKEN_BYTES: Final = 32
"""Length of the token, as of Ray's own."""

IN_VARIABLE: Final = "RAY_AUTH_TOKEN"
IN_FILE: Final = "RAY_AUTH_TOKEN_PATH"

REMEDY: Final = "Name a file of your own that holds a token with RAY_AUTH_TOKEN_PATH."


def place_of_token() -> str:
    """Returns where the token is, for messages."""
    if os.environ.get(IN_VARIABLE):
        return f"the variable {IN_VARIABLE}"
    return shown(os.environ.get(IN_FILE) or _default())


def keep_token() -> None:
    """Makes sure of a token that nobody else can read, before an embedded Ray starts.

    Raises:
        ClusterError: Its file is a link, or another user's, or cannot be read or made.
    """
    mode = os.environ.get(AUTH_MODE, "token")
    if mode.lower() != "token":
        log.warning(
            "%s=%s: Ray asks for no token, so every user of this machine can run commands as you. Unset it.",
            AUTH_MODE,
            mode,
        )
    elif not os.environ.get(IN_VARIABLE):
        if named := os.environ.get(IN_FILE):
            _keep_named(named)
        else:
            _keep_default(_default())


def _default() -> Path:
    return Path.home() / ".ray" / "auth_token"


def _keep_named(path: str) -> None:
    """Checks a file that the user has named. It may be a link, as the secrets of Kubernetes are."""
    with _opened(path, os.O_RDONLY | os.O_NONBLOCK) as file:
        keep_to_owner(file, path, FILE_MODE, REMEDY)


def _keep_default(path: Path) -> None:
    directory = path.parent
    with suppress(FileExistsError), _as_cluster_errors(directory):
        directory.mkdir(DIRECTORY_MODE)
    with _opened(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW) as parent:
        keep_to_owner(parent, directory, DIRECTORY_MODE, REMEDY)
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(parent, fcntl.LOCK_EX)  # two starts at the same time make one token
        with _opened(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, parent) as file:
            keep_to_owner(file, path, FILE_MODE, REMEDY)
            if os.fstat(file).st_size:
                return
        with _opened(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK, parent) as file, _as_cluster_errors(path):
            os.write(file, secrets.token_hex(TOKEN_BYTES).encode())


@contextmanager
def _opened(path: str | Path, flags: int, parent: int | None = None) -> Iterator[int]:
    with _as_cluster_errors(path):
        fd = os.open(path if parent is None else os.path.basename(path), flags, FILE_MODE, dir_fd=parent)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _as_cluster_errors(path: str | Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        found = "is a link" if os.path.islink(path) else error.strerror
        raise ClusterError(f"{shown(path)}: {found}. It is the place of Ray's token. {REMEDY}") from None
