"""Archives among the files of a job, and their members as files in their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from linkmatch_ray.core.codecs import INFLATED_BYTES_MIN, decompressed
from linkmatch_ray.core.compressions import compression_of
from linkmatch_ray.core.damage import Corrupt, Damage
from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.core.window import fill
from linkmatch_ray.io.inputs.archives import tar_headers, zip_directory
from linkmatch_ray.io.inputs.archives.content import Content, open_stored
from linkmatch_ray.io.inputs.archives.member import PACKED_TAR, TAR, ZIP, Found, file_of
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.inputs.names import ARCHIVE_SUFFIXES, is_input_name
from linkmatch_ray.io.storage.errors import Changed
from linkmatch_ray.io.storage.urls import is_url
from linkmatch_ray.words import shown

RESOURCES: Final = b"__MACOSX"
"""The folder in which macOS keeps the attributes of files."""


class Expansion(NamedTuple):
    """An archive's files, and the number of members that were left out by name."""

    files: list[InputFile]
    left_out: int = 0


def may_be_archive(file: InputFile, *, is_named: bool) -> bool:
    """Returns whether to look into a file: one that has not the name of any other input, or a path that was named
    itself. For an object, which is asked of a server once more, its name is enough."""
    is_looked_into = not is_input_name(file.name) or (is_named and not is_url(file.path))
    return file.fault is None and file.size > 0 and is_looked_into


def expand(file: InputFile, options: MatchOptions) -> Expansion:
    """Returns the members of an archive as files, in its order; or the file itself if it is none.

    All members together may be as large as the options allow for the archive's size. What is beyond it is an entry.
    """
    try:
        kind = _kind_of(file)
        if kind is None:
            return Expansion([file])
        content = Content(file, kind, options.max_inflation, salvage=options.salvage)
        try:
            members = list(_members_in(content, kind, file.size, options.max_inflation))
            content.check()
        finally:
            content.close()
    except Changed:
        return Expansion([file])  # whose task finds out the same
    except Corrupt as corrupt:  # a packed tar, of which nothing is certain then
        return Expansion([file._replace(fault=corrupt.damage.message, reason=corrupt.damage.reason)])
    except OSError as error:
        return Expansion([file._replace(fault=error.strerror or shown(error))])
    return _chosen(file, members)


def _kind_of(file: InputFile) -> str | None:
    raw = open_stored(file)
    try:
        head = raw.head(tar_headers.HEADER_BYTES)
        if compression_of(head) is not None:
            raw.seek(0)
            start = memoryview(bytearray(tar_headers.HEADER_BYTES))
            try:
                count, _ = fill(decompressed(raw), start)
            except (Damage, Corrupt):
                return None
            is_tar = _begins_like_tar(bytes(start[:count]), file)
            return PACKED_TAR if is_tar else None
    finally:
        raw.close()
    if _begins_like_tar(head, file):
        return TAR
    if head.startswith(zip_directory.MAGICS):
        return ZIP
    if head[:1] in _TEXT and not file.name.lower().endswith(b".zip"):
        return None
    content = Content(file, ZIP)
    try:
        return ZIP if zip_directory.ends_like_zip(content, file.size) else None
    finally:
        content.close()


_TEXT: Final = frozenset(bytes([byte]) for byte in b'{["-0123456789tfn \t\r\n\x1e\xef\xff\xfe\0')
"""How JSON in any encoding may begin. What begins otherwise may be a program that has a zip behind it."""


def _begins_like_tar(head: bytes, file: InputFile) -> bool:
    is_empty = len(head) == tar_headers.HEADER_BYTES and not any(head)
    return tar_headers.begins_like_tar(head) or (is_empty and file.name.lower().endswith(ARCHIVE_SUFFIXES))


def _members_in(content: Content, kind: str, size: int, max_inflation: int) -> Iterator[Found]:
    if kind == ZIP:
        return _bounded(zip_directory.members_in(content, size), size, max_inflation)
    return tar_headers.members_in(content, kind, size)


def _bounded(members: Iterable[Found], size: int, max_inflation: int) -> Iterator[Found]:
    """Yields the members; those that are too large as faults. All sizes are known before anything is decompressed."""
    left = max(INFLATED_BYTES_MIN, size * max_inflation)
    for found in members:
        member = found.member
        if found.fault is not None:
            yield found
            continue
        allowed = min(max(INFLATED_BYTES_MIN, member.stored * max_inflation), left)
        if member.size <= allowed:
            left -= member.size
            yield found
            continue
        fault = f"a member of {member.size} bytes, where {allowed} are left to the archive; --max-inflation allows more"
        yield found._replace(reason="inflates_too_far", fault=fault)


def _chosen(archive: InputFile, members: list[Found]) -> Expansion:
    """Chooses the members that have an input's name."""
    files: list[InputFile] = []
    left_out = 0
    for found in members:
        name = found.name
        if name is None:
            files.append(file_of(archive, found))
        elif name.endswith(b"/"):
            continue
        elif _is_wanted(name):
            files.append(file_of(archive, found))
        else:
            left_out += 1
            if found.member.missing:
                cut = found._replace(name=None, reason="truncated_tar", fault="a tar that ends within a member")
                files.append(file_of(archive, cut))
    return Expansion(files, left_out)


def _is_wanted(name: bytes) -> bool:
    """Returns whether a member is read, by the rules for the files of a directory."""
    parts = name.split(b"/")
    is_hidden = any(part.startswith(b".") and part not in (b".", b"..") for part in parts)
    return not is_hidden and parts[0] != RESOURCES and is_input_name(parts[-1])
