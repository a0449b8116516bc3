"""Lists the files that a job reads, in their order, with their fingerprints.

Paths are bytes throughout, because a file name need not be text.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.errors import InputError
from linkmatch_ray.io.inputs.archives.expansion import Expansion, expand, may_be_archive
from linkmatch_ray.io.inputs.file import InputFile, Listing, local_file
from linkmatch_ray.io.inputs.names import is_read, names_in, refuse_missing
from linkmatch_ray.io.names import MARKER
from linkmatch_ray.io.storage.paths import Name, path_in
from linkmatch_ray.io.storage.side_by_side import side_by_side
from linkmatch_ray.io.storage.urls import is_url, scheme_of
from linkmatch_ray.words import plural, shown

NAMES_SHOWN: Final = 5
"""Maximum number of inputs that a message names."""


ARCHIVES_AT_ONCE: Final = 8
"""Number of archives whose members are listed at a time. Each may be far away, or has to be decompressed."""


def list_inputs(
    inputs: Name | Iterable[Name],
    on_progress: Callable[[int], None] | None = None,
    options: MatchOptions | None = None,
) -> Listing:
    """Finds the files that `inputs` name (paths, directories, globs, URLs), in that order. Archives are replaced by
    their members.

    Args:
        on_progress: Called now and then with the number of files found.
        options: How archives are read.

    Raises:
        InputError: An input names nothing, there is no file in all of them, or a store refuses access.
        UsageError: A URL is of a kind that is not supported.
        TypeError: It is not a path, nor a list of paths.
    """
    listing = Listing(on_progress=on_progress)
    seen: set[bytes] = set()
    named = names_in(inputs)
    for name in named:
        paths = _expand(name)
        for path in paths:
            before = listing.found
            if is_url(path):
                from linkmatch_ray.io.inputs.object_listing import list_url  # loads an HTTP client

                files = list_url(path, listing)
            elif os.path.isdir(path):
                files = [file for _, file in sorted(_walk(path, listing))]
            else:
                files = [_examine(path, os.path.realpath(path))]
            if listing.found == before:  # they were examined, not listed
                listing.count(len(files))
            new = {file.path: file for file in files if file.path not in seen}
            seen |= new.keys()
            is_glob = not is_url(name) and path not in (name, path_in(name) if scheme_of(name) == "file" else name)
            _add(list(new.values()), listing, options or MatchOptions(), None if is_glob else path)
    if not listing.files:
        found = ", ".join(map(shown, named[:NAMES_SHOWN])) or "nothing"
        more = f" and {len(named) - NAMES_SHOWN:,} more" if len(named) > NAMES_SHOWN else ""
        left = f" ({plural(listing.left_out, 'file')} left out by name)" if listing.left_out else ""
        raise InputError(
            f"{found}{more}: no input file{left}. Expected .json, .jsonl, .ndjson or .geojson files, each also"
            " .gz, .zst, .bz2, .xz or .lz4, or .zip or .tar archives of them. A file that is named itself may have any"
            " name."
        )
    return listing


def _add(files: list[InputFile], listing: Listing, options: MatchOptions, named: bytes | None) -> None:
    """Adds files to the listing, in their order, and the members of archives in the place of those.

    Args:
        named: The file that was named itself, if one was.
    """
    looked = [file for file in files if may_be_archive(file, is_named=file.name == named)]
    if not looked:
        listing.files += files
        return
    expansions = side_by_side(lambda file: expand(file, options), looked, ARCHIVES_AT_ONCE)
    expanded = {file.path: expansion for file, expansion in zip(looked, expansions, strict=True)}
    for file in files:
        found, left_out = expanded.get(file.path) or Expansion([file])
        listing.files += found
        listing.left_out += left_out
        if len(found) != 1:
            listing.count(len(found) - 1)


def _expand(name: bytes) -> list[bytes]:
    refuse_missing(name)
    if is_url(name):
        return [name]
    name = path_in(name) if scheme_of(name) == "file" else name
    if os.path.lexists(name):
        return [name]
    if found := sorted(glob.glob(name, recursive=True, include_hidden=False)):
        return found
    raise InputError(f"{shown(name)}: no file fits this pattern. Quote it, and check the folder.")


def _walk(top: bytes, listing: Listing) -> Iterator[tuple[bytes, InputFile]]:
    """Yields the relative path and the file of everything below a directory that is to be read."""
    pending = [(b"", os.path.realpath(top))]
    visited = set()
    while pending:
        below, real = pending.pop()
        if real in visited:  # a loop of symbolic links
            continue
        visited.add(real)
        try:
            with os.scandir(real) as entries:
                found = list(entries)
        except OSError as error:
            relative = below or b"."
            yield (
                relative,
                InputFile(os.path.join(top, relative), real, -1, -1, -1, error.strerror or shown(error)),
            )
            continue
        if any(entry.name == MARKER for entry in found):
            continue
        below, above = os.path.join(below, b""), os.path.join(top, below, b"")
        for entry in found:
            name = entry.name
            if name.startswith(b"."):
                listing.left_out += not _is_directory(entry)
            elif _is_directory(entry):
                path = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                pending.append((below + name, path))
            elif is_read(name):
                path = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                listing.count()
                yield below + name, _examine(above + name, path)
            else:
                listing.left_out += 1


def _is_directory(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _examine(name: bytes, path: bytes) -> InputFile:
    try:
        status = os.stat(path)
    except OSError as error:
        # The link of an open pipe (/dev/stdin) leads to a name that is no path.
        why = "not a regular file" if os.path.exists(name) else error.strerror or shown(error)
        return InputFile(name, path, -1, -1, -1, why)
    return local_file(name, path, status)
