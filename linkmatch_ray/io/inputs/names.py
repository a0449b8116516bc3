"""The names of inputs, from arguments and from files of names. They are checked before anything is read."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Mapping
from typing import Final

from linkmatch_ray.arguments import standard_input, wrong_type
from linkmatch_ray.errors import InputError, UsageError
from linkmatch_ray.io.storage.paths import Name, path_in, path_of
from linkmatch_ray.io.storage.urls import SCHEMES, is_url, parse, refuse_secrets, scheme_of, without_query
from linkmatch_ray.words import shown

COMPRESSIONS: Final = (b".gz", b".zst", b".bz2", b".xz", b".lz4")
"""Suffixes of compressed files."""

_DUMPS: Final = COMPRESSIONS[1:]
_SUFFIXES: Final = tuple(
    layout + compression
    for layout in (b".json", b".jsonl", b".ndjson", b".geojson", b".geojsonl", b".geojsonseq")
    for compression in (b"", *COMPRESSIONS)
)

ARCHIVE_SUFFIXES: Final = (
    b".zip",
    b".tar",
    b".tgz",
    *(b".tar" + compression for compression in (b".gz", b".bz2", b".xz", b".zst")),
)
"""Suffixes of the archives of a directory that are looked into, in any case."""


def is_input_name(name: bytes) -> bool:
    """Returns whether a file of a directory, or a member of an archive, is read by its name.

    A file that is named itself is read under any name.
    """
    lower = name.lower()
    if lower.endswith(_SUFFIXES):
        return True
    bare, suffix = os.path.splitext(os.path.basename(lower))
    return suffix in _DUMPS and b"." not in bare  # dumps are called RC_2019-04.zst


def is_read(name: bytes) -> bool:
    """Returns whether a file of a directory is read, or looked into as an archive, by its name."""
    return is_input_name(name) or name.lower().endswith(ARCHIVE_SUFFIXES)


def is_compressed(name: bytes) -> bool:
    """Returns whether a file is compressed, by its name."""
    return name.lower().endswith(COMPRESSIONS)


def archive_in(path: bytes) -> bytes | None:
    """Returns the file in front of a `!` in a path to nothing, as in `all.zip!a.json`; None if no file is there."""
    borders = (found.start() for found in re.finditer(b"!", path))
    return next((path[:border] for border in borders if os.path.isfile(path[:border])), None)


def names_in(inputs: Name | Iterable[Name]) -> list[bytes]:
    """Returns the names of the inputs; a single one need not be in a list.

    Raises:
        TypeError: It is not a path, nor a list of paths.
        InputError: No file can have one of the names.
    """
    if isinstance(inputs, (str, bytes, os.PathLike)):
        return [path_of(inputs)]
    # These are iterable too, but give no paths (an open file its lines), or no order (a set).
    others = isinstance(inputs, (Mapping, set, frozenset, bytearray, memoryview)) or hasattr(inputs, "read")
    if others or not isinstance(inputs, Iterable):
        raise wrong_type("inputs", inputs, "Give a path, or several in a list, in their order.")
    return [path_of(name, f"inputs, number {number}") for number, name in enumerate(inputs, 1)]


def read_names(source: str, *, null: bool) -> list[bytes]:
    """Reads the paths in a file, or on standard input for `-`: one a line, or ended by NUL.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        if source == "-":
            content = standard_input().read()
        else:
            with open(path_of(source), "rb") as file:
                content = file.read()
    except OSError as error:
        raise InputError(f"{shown(source)}: {error.strerror}. Name a readable file with --files-from.") from None
    return [name for name in content.split(b"\0" if null else b"\n") if name]


def refuse_no_input(name: bytes) -> None:
    """Refuses what cannot name an input, without looking for the input.

    Raises:
        UsageError: It is a URL that is not sound, has a secret in it, or is of a kind that is not supported.
        InputError: No file can have this name.
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
        UsageError, InputError: It is one.
    """
    refuse_no_input(name)
    if is_url(name):
        return
    name = path_in(name) if scheme_of(name) == "file" else name
    if os.path.lexists(name):
        return
    if (archive := archive_in(name)) is not None:
        raise InputError(
            f"{shown(name)}: a member of an archive is read with all others. Name the archive {shown(archive)}."
        )
    if name == b"-":
        raise InputError(
            "-: records are not read from standard input. Name a file; --files-from - reads paths from there."
        )
    if not glob.has_magic(os.fsdecode(name)):
        raise InputError(f"{shown(name)}: no such file or directory. Check the path.")
