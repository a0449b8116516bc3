"""Why one record matches or does not: its key, and the restrictions that have it or nearly have it."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from linkmatch_ray.core.codecs import open_source
from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.exact import parse
from linkmatch_ray.core.keys import MISSING, canonical, record_key
from linkmatch_ray.core.matcher import Matcher
from linkmatch_ray.core.near_misses import near_misses
from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.core.outcome import Entry
from linkmatch_ray.core.window import Source
from linkmatch_ray.core.wrong_keys import respelt
from linkmatch_ray.errors import InputError, UsageError
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.names import ARCHIVE_SUFFIXES, archive_in
from linkmatch_ray.io.inputs.opening import open_input
from linkmatch_ray.io.restrictions.restrictions import Restrictions
from linkmatch_ray.io.storage.paths import path_in, path_of
from linkmatch_ray.io.storage.urls import is_url, scheme_of
from linkmatch_ray.words import plural, shown

RESTRICTIONS_MAX: Final = 10
MEMBERS_MAX: Final = 12
NAME_MAX: Final = 200
"""Maximum number of members in a sentence, and of characters of each."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of one record.

    Attributes:
        verdict: `matched`, `unmatched` or `quarantined`.
        key: The canonical text of its key; None if it has none.
        why: The reason, in a sentence.
        restrictions: The first restrictions that it equals, by index.
        restrictions_total: How many it equals.
        near: Restrictions that it nearly equals, each as `{"index", "key", "differs_in"}`.
        record: Its text, if it was looked up by index.
    """

    verdict: str
    key: str | None
    why: str
    restrictions: tuple[int, ...] = ()
    restrictions_total: int = 0
    near: tuple[dict[str, Any], ...] = ()
    record: bytes = b""

    def as_dict(self) -> dict[str, Any]:
        """Returns the members for JSON, without the record."""
        return {name: value for name, value in asdict(self).items() if name != "record"}


def explain(record: bytes, restrictions: Restrictions) -> Explanation:
    """Explains whether one record, given as its JSON text, matches and why."""
    index = restrictions.index
    try:
        value = parse(record)
    except Damage as damage:
        why = f"it cannot be read: {damage.message} ({damage.reason}, byte {damage.offset})"
        return Explanation("quarantined", None, why)
    if not isinstance(value, dict):
        return Explanation("unmatched", None, "it is not an object, so it has no key (counted as not_object)")
    key = record_key(value, restrictions.paths)
    if key is None:
        absent = [path for path in restrictions.paths if path.find(value) is MISSING]
        lacking = " and no ".join(f'"{shown(path.text)}"' for path in absent)
        names = ", ".join(shown(canonical(name), NAME_MAX) for name in list(value)[:MEMBERS_MAX]) or "none"
        why = f"it has no key {lacking} (counted as missing_key); its members are: {names}"
        for pointer in filter(None, (respelt(path, [value]) for path in absent)):
            why += f"; it has {shown(pointer, NAME_MAX)}"
        return Explanation("unmatched", None, why)
    text = key.decode()
    distinct = index.find(key)
    if distinct >= 0:
        equal = index.restrictions_of(distinct).tolist()
        count = "one restriction has" if len(equal) == 1 else f"{len(equal):,} restrictions have"
        return Explanation("matched", text, f"{count} its key", tuple(equal[:RESTRICTIONS_MAX]), len(equal))
    near = tuple(
        {
            "index": int(index.restrictions_of(miss.distinct)[0]),
            "key": miss.key.decode(),
            "differs_in": list(miss.differences),
        }
        for miss in near_misses(index, key)
    )
    why = f"none of the {len(restrictions):,} restrictions has its key"
    if len(restrictions) == 1:
        why = "the only restriction has another key"
    return Explanation("unmatched", text, why, near=near)


def record_at(path: str, index: int, restrictions: Restrictions, options: MatchOptions) -> bytes:
    """Returns the text of the record with that index in a file, as a job numbers them.

    Raises:
        InputError: The file cannot be read, or has no such record.
        UsageError: It is not one file.
    """
    name = path_of(path)
    file = _file_called(name, options)
    try:
        if file.fault is not None:
            raise InputError(f"{shown(path)}: {file.fault}. Name a readable file.")
        with open_input(file, salvage=options.salvage) as raw:
            source = open_source(raw, file.size, options.max_inflation, salvage=options.salvage)
            return _record(source, path, index, restrictions, options)
    except OSError as error:
        raise InputError(f"{shown(path)}: {error.strerror or shown(error)}. Name a readable file.") from None


def _file_called(name: bytes, options: MatchOptions) -> InputFile:
    """Returns the file of that name, or the first member `ARCHIVE!MEMBER`.

    Raises:
        InputError: Nothing has that name.
        UsageError: It is not one file.
    """
    path = path_in(name) if scheme_of(name) == "file" else name
    archive = _archive_in(path)
    files = [] if os.path.isdir(path) else list_inputs([archive or path], options=options).files
    if archive is not None:
        files = [file for file in files if file.name == path][:1]
    if len(files) == 1 and not os.path.isdir(files[0].path):
        return files[0]
    example = f" of its members, such as {shown(files[0].name)}" if files and files[0].is_member else ""
    raise UsageError(f"{shown(name)}: not one file. Name one{example}.")


def _archive_in(path: bytes) -> bytes | None:
    """Returns the archive of a path that names a member of one; None for any other path."""
    if is_url(path):
        found = re.match(rb"(?si)(.*?(?:%s))!" % b"|".join(map(re.escape, ARCHIVE_SUFFIXES)), path)
        return found[1] if found else None
    return None if os.path.lexists(path) else archive_in(path)


def record_in(content: bytes, index: int, restrictions: Restrictions, options: MatchOptions) -> bytes:
    """Does the same for content in memory, such as standard input."""
    source = open_source(io.BytesIO(content), len(content), options.max_inflation, salvage=options.salvage)
    return _record(source, "standard input", index, restrictions, options)


def _record(source: Source, name: str, index: int, restrictions: Restrictions, options: MatchOptions) -> bytes:
    count = 0
    matcher = Matcher(restrictions.paths, restrictions.index, replace(options, emit="both", provenance=True))
    for part in matcher.stream(source, b""):
        (piece,) = part.pieces
        if piece.fault is not None:
            raise InputError(f"{shown(name)}: {piece.fault.message} ({piece.fault.reason}). Restore the file.")
        if count + piece.indexes > index:
            return _in_part(part.matched + part.unmatched, piece.entries, name, index)
        count += piece.indexes
    action = f"Give one from 0 to {count - 1}." if count else "Name another file."
    raise InputError(f"{shown(name)}: has {plural(count, 'record')}, so there is no index {index}. {action}")


def _in_part(lines: list[bytes], entries: tuple[Entry, ...], name: str, index: int) -> bytes:
    wanted = b'{"file":"","index":%d,' % index
    for line in _split(lines):
        if line.startswith(wanted):
            return line[line.index(b'"record":') + 9 : -1]
    for entry in entries:
        if entry.index == index:
            raise InputError(
                f"{shown(name)}: record {index} is in quarantine: {entry.message} ({entry.reason}, byte"
                f" {entry.byte_offset}). Correct the record, or give another index."
            )
    raise InputError(
        f"{shown(name)}: record {index} was not read, because what comes before it is damaged. Correct that, or give"
        " an earlier index."
    )


def _split(outputs: list[bytes]) -> Iterator[bytes]:
    for output in outputs:
        yield from output.splitlines()
