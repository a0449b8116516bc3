"""The names of inputs: from arguments, from a file of names; looked at before anything is read."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Final

from linkmatch_ray.arguments import wrong_type
from linkmatch_ray.errors import InputError, UsageError
from linkmatch_ray.io.storage.paths import Name, path_in, path_of
from linkmatch_ray.io.storage.urls import SCHEMES, is_url, parse, refuse_secrets, scheme_of, without_query
from linkmatch_ray.words import shown

SUFFIXES: Final = tuple(
    layout + compression for layout in (b".json", b".jsonl", b".ndjson") for compression in (b"", b".gz", b".zst")
)
"""Which files of a directory are read; by name, any case. A file named itself is read whatever its name."""


def names_in(inputs: Name | Iterable[Name]) -> list[bytes]:
    """The names of the inputs; a single one need not be in a list.

    Raises:
        TypeError: it is no path, and no list of paths.
        InputError: no file can have one of the names.
    """
    if isinstance(inputs, (str, bytes, os.PathLike)):
        return [path_of(inputs)]
    # These can be gone through as well, but give no paths (an open file its lines), or in no order (a set).
    others = isinstance(inputs, (Mapping, set, frozenset, bytearray, memoryview)) or hasattr(inputs, "read")
    if others or not isinstance(inputs, Iterable):
        raise wrong_type("inputs", inputs, "Give a path, or several in a list, in their order.")
    return [path_of(name, f"inputs, number {number}") for number, name in enumerate(inputs, 1)]


def read_names(source: str, *, null: bool) -> list[bytes]:
    """The paths in a file, or on standard input for `-`: one a line, or ended by NUL.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        if source == "-":
            content = sys.stdin.buffer.read()
        else:
            with open(path_of(source), "rb") as file:
                content = file.read()
    except OSError as error:
        raise InputError(f"{shown(source)}: {error.strerror}. Name a readable file with --files-from.") from None
    return [name for name in content.split(b"\0" if null else b"\n") if name]


def refuse_no_input(name: bytes) -> None:
    """Look at a name, without looking for what it names.

    Raises:
        UsageError: it is a URL that is not sound, has a secret in it, or is of a kind that is not supported.
        InputError: no file can have this name.
    """
    scheme = scheme_of(name)
    if scheme in SCHEMES:
        parse(name)
    elif scheme == "file":
        path_in(name)
    elif scheme is not None:
        refuse_secrets(name)
        schemes = "://, ".join(SCHEMES)
        raise UsageError(f"{without_query(name)}: not supported. Expected a path, or file://, {schemes}://.")


def refuse_missing(name: bytes) -> None:
    """Refuses what `refuse_no_input` does, and a path to nothing. Opens no file, and asks no server.

    Raises:
        UsageError, InputError: it is one.
    """
    refuse_no_input(name)
    if is_url(name):
        return
    name = path_in(name) if scheme_of(name) == "file" else name
    if not os.path.lexists(name) and not glob.has_magic(os.fsdecode(name)):
        raise InputError(f"{shown(name)}: no such file or directory. Check the path.")
