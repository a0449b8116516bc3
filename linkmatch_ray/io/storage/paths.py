"""Paths as the system takes them: bytes, because a file name need not be text."""

from __future__ import annotations

import os
from typing import TypeAlias

from linkmatch_ray.arguments import wrong_type
from linkmatch_ray.errors import InputError, UsageError
from linkmatch_ray.words import shown

Name: TypeAlias = str | bytes | os.PathLike[str]
"""The name of an input: a path or a URL."""


def path_of(name: Name, argument: str = "a path") -> bytes:
    """Returns a name as the system takes it.

    Args:
        argument: What a message calls it.

    Raises:
        InputError: No file can have it.
        TypeError: It is not a name.
    """
    if not isinstance(name, (str, bytes, os.PathLike)):
        raise wrong_type(argument, name, "Give a path as str, bytes or Path.")
    try:
        path = os.fsencode(name)
    except UnicodeEncodeError:  # a lone surrogate
        path = b"\0"
    if b"\0" in path:
        raise InputError(
            f"{shown(name)}: no file can have this name. Correct it; --null reads names that end with NUL."
        )
    return path


def path_in(url: bytes) -> bytes:
    """Returns the path that a `file://` URL stands for.

    Raises:
        UsageError: It is on another host.
        InputError: No file can have it.
    """
    from urllib.parse import unquote_to_bytes

    host, _, path = url[len(b"file://") :].partition(b"/")
    if host not in (b"", b"localhost"):
        raise UsageError(f"{shown(url)}: not on this machine. Expected file:///path.")
    return path_of(unquote_to_bytes(b"/" + path))
