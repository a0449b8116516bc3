"""Which files a job reads, in which order, and what each was when the plan was made.

Paths are bytes throughout: a file name need not be text.
"""

from __future__ import annotations

import glob
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

import msgspec
import xxhash

from linkmatch_ray.arguments import wrong_type
from linkmatch_ray.errors import InputError, UsageError
from linkmatch_ray.io.urls import SCHEMES, is_url, parse, refuse_secrets, scheme_of, without_query
from linkmatch_ray.words import plural, shown

Name: TypeAlias = str | bytes | os.PathLike[str]
"""What an input is called by: a path or a URL."""

SUFFIXES: Final = tuple(
    layout + compression for layout in (b".json", b".jsonl", b".ndjson") for compression in (b"", b".gz", b".zst")
)
"""Which files of a directory are read; by name, any case. A file named itself is read whatever its name."""

NAMES_SHOWN: Final = 5
"""How many inputs a message names."""

TELL_SECONDS: Final = 0.2
"""How often a listing tells how far it is."""

SIZE_MAX: Final = 1 << 50
"""A longer file is an entry. No disk or store holds one; but a sparse file, or a header, may say so."""

MARKER: Final = b"linkmatch.lock"
"""The file by which a result directory is known, and left out when it lies among the inputs."""


class InputFile(NamedTuple):
    """One file of the plan.

    Attributes:
        name: The path or URL as the user named it; what outputs call the file.
        path: The resolved path, or the URL; its identity, and what is opened.
        size, mtime_ns, inode, etag, ctime_ns: Its fingerprint; size in bytes. Inode and ctime are those of a file (0
            otherwise), the ETag that of an object. All of them fit 64 bits. Size, mtime and inode are -1 where it
            cannot be read.
        fault: None, or why it cannot be read: an error's text, or what it is instead of a file.
    """

    name: bytes
    path: bytes
    size: int
    mtime_ns: int
    inode: int
    fault: str | None = None
    etag: str | None = None
    ctime_ns: int = 0

    def is_same(self, other: InputFile) -> bool:
        """Whether it has the name, path and fingerprint of the other."""
        return self._replace(fault=None) == other._replace(fault=None)

    @property
    def has_validator(self) -> bool:
        """Whether another content would give it another fingerprint: a file has its ctime, an object a strong ETag."""
        if self.path.startswith(b"/"):  # resolved, while an object's path is its URL
            return True
        return self.etag is not None and not self.etag.startswith("W/") and self.etag.strip('"') != ""


_decoder = msgspec.msgpack.Decoder(list[InputFile])


def pack_files(files: list[InputFile]) -> bytes:
    """Files as they travel: a tenth of the time that pickling them takes, and there may be millions."""
    return msgspec.msgpack.encode(files)


def unpack_files(packed: bytes) -> list[InputFile]:
    """What `pack_files` has packed."""
    return _decoder.decode(packed)


def inputs_digest(files: Iterable[InputFile]) -> str:
    """Changes when any input is another file, or another version of it, or in another place."""
    digest = xxhash.xxh3_128()
    for file in files:
        etag = (file.etag or "").encode()
        fingerprint = (len(file.name), len(etag), file.size, file.mtime_ns, file.ctime_ns, file.inode)
        digest.update(b"%d %d %d %d %d %d %s%s" % (*fingerprint, file.name, etag))
    return digest.hexdigest()


@dataclass(slots=True)
class Listing:
    """All inputs of a job, in order, each once; and how many files were left out by their name.

    Attributes:
        found: Files found so far, some of them perhaps twice.
        tell, tell_next: Called with that, now and then; and when next.
        moved: For each URL that redirects to another host, that host.
    """

    files: list[InputFile] = field(default_factory=list)
    left_out: int = 0
    found: int = 0
    tell: Callable[[int], None] | None = None
    tell_next: float = 0.0
    moved: dict[bytes, str] = field(default_factory=dict)

    def count(self, more: int = 1) -> None:
        """Further files were found."""
        self.found += more
        if self.tell is not None and (now := time.monotonic()) >= self.tell_next:
            self.tell_next = now + TELL_SECONDS
            self.tell(self.found)


def list_inputs(inputs: Name | Iterable[Name], tell: Callable[[int], None] | None = None) -> Listing:
    """Find the files that `inputs` name: paths, directories, globs, URLs; in that order.

    Args:
        tell: Called now and then with how many were found.

    Raises:
        InputError: an input names nothing, or there is no file in all of them, or a store does not let us in.
        UsageError: a URL of a kind that is not supported.
        TypeError: it is no path, and no list of paths.
    """
    listing = Listing(tell=tell)
    seen: set[bytes] = set()
    named = names_in(inputs)
    for name in named:
        for path in _expand(name):
            before = listing.found
            if is_url(path):
                from linkmatch_ray.io.object_listing import list_url

                files = list_url(path, listing)
            elif os.path.isdir(path):
                files = [file for _, file in sorted(_walk(path, listing))]
            else:
                files = [_examine(path, os.path.realpath(path))]
            if listing.found == before:  # they were examined, and not listed
                listing.count(len(files))
            for file in files:
                if file.path not in seen:
                    seen.add(file.path)
                    listing.files.append(file)
    if not listing.files:
        found = ", ".join(map(shown, named[:NAMES_SHOWN])) or "nothing"
        more = f" and {len(named) - NAMES_SHOWN:,} more" if len(named) > NAMES_SHOWN else ""
        left = f" ({plural(listing.left_out, 'file')} left out by name)" if listing.left_out else ""
        raise InputError(
            f"{found}{more}: no input file{left}. Expected .json, .jsonl or .ndjson files, each also .gz or .zst;"
            " name a file itself to have it read whatever its name."
        )
    return listing


def names_in(inputs: Name | Iterable[Name]) -> list[bytes]:
    """The names of the inputs; a single one need not be in a list."""
    if isinstance(inputs, (str, bytes, os.PathLike)):
        return [path_of(inputs)]
    # These can be gone through as well, but give no paths (an open file its lines), or in no order (a set).
    others = isinstance(inputs, (Mapping, set, frozenset, bytearray, memoryview)) or hasattr(inputs, "read")
    if others or not isinstance(inputs, Iterable):
        raise wrong_type("inputs", inputs, "Give a path, or several in a list, in their order.")
    return [path_of(name, f"inputs, number {number}") for number, name in enumerate(inputs, 1)]


def path_of(name: Name, argument: str = "a path") -> bytes:
    """A name as the system takes it.

    Args:
        argument: What to call it if it is none.

    Raises:
        InputError: no file can have it.
        TypeError: it is no name.
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
    """The path that a `file://` URL stands for.

    Raises:
        UsageError: it is one of another host.
        InputError: no file can have it.
    """
    from urllib.parse import unquote_to_bytes

    host, _, path = url[len(b"file://") :].partition(b"/")
    if host not in (b"", b"localhost"):
        raise UsageError(f"{shown(url)}: not on this machine. Expected file:///path.")
    return path_of(unquote_to_bytes(b"/" + path))


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
    """Relative path and file for everything below a directory that is to be read."""
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
            elif name.lower().endswith(SUFFIXES):
                path = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                listing.count()
                yield below + name, _examine(above + name, path)
            else:
                listing.left_out += 1


def _is_directory(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _examine(name: bytes, path: bytes) -> InputFile:
    try:
        status = os.stat(path)
    except OSError as error:
        return InputFile(name, path, -1, -1, -1, error.strerror or shown(error))
    return local_file(name, path, status)


def local_file(name: bytes, path: bytes, status: os.stat_result) -> InputFile:
    """A file as the system describes it."""
    if not stat.S_ISREG(status.st_mode):
        return InputFile(name, path, -1, -1, -1, "not a regular file")
    mtime_ns, inode, ctime_ns = map(in_64_bits, (status.st_mtime_ns, status.st_ino, status.st_ctime_ns))
    return _of_a_size(InputFile(name, path, status.st_size, mtime_ns, inode, ctime_ns=ctime_ns))


def object_file(name: bytes, path: bytes, size: int, mtime_ns: int, etag: str | None) -> InputFile:
    """An object as its store describes it; `mtime_ns` is 0 if the store gives no date."""
    return _of_a_size(InputFile(name, path, size, in_64_bits(mtime_ns), 0, etag=etag))


def _of_a_size(file: InputFile) -> InputFile:
    """The file, or a faulty one if no file can have its size."""
    if 0 <= file.size <= SIZE_MAX:
        return file
    found = "larger than any file can be" if file.size > 0 else "smaller than any file can be"
    fault = f"{file.size:,} bytes: {found} (0 to {SIZE_MAX:,})"
    return InputFile(file.name, file.path, -1, -1, -1, fault)


def in_64_bits(number: int) -> int:
    """A time or inode that ledger and msgpack can hold: beyond 64 bits with a sign the highest are left out, so that
    equal ones stay equal and neighbours differ (a file of the year 2300, an inode of a network file system)."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)
