"""Why a job may have found nothing: some records are checked for the commonest mistake, a wrong key."""

from __future__ import annotations

import io
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Final

import numpy as np

from linkmatch_ray.core.codecs import Plain, open_source
from linkmatch_ray.core.damage import Corrupt, Damage
from linkmatch_ray.core.exact import WHITE_SPACE, parse
from linkmatch_ray.core.keys import MISSING, KeyPair, KeyPath, NumberText, canonical
from linkmatch_ray.core.layouts.detection import BOM
from linkmatch_ray.core.layouts.table import walk
from linkmatch_ray.core.near_misses import near_misses
from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.core.outcome import Entry
from linkmatch_ray.core.restriction_list import RestrictionList
from linkmatch_ray.core.verdicts import Judge, Judged
from linkmatch_ray.core.window import Buffers, Window
from linkmatch_ray.core.writer import Reading, Writer
from linkmatch_ray.core.wrong_keys import closed, option_at, place_inside, place_respelt, respelt
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.inputs.opening import open_input
from linkmatch_ray.io.storage.errors import Changed
from linkmatch_ray.words import shown

FILES_MAX: Final = 5
FILE_BYTES_MAX: Final = 1 << 18
RECORDS_MAX: Final = 200
MEMBERS_MAX: Final = 8
WORD_MAX: Final = 200
NEAR_MAX: Final = 20
"""A hint uses the beginning of a few files only: it must be fast, and need not find everything."""


def hints(
    beginnings: Iterable[bytes],
    restrictions: RestrictionList,
    records: int,
    matched: int,
    missing: int,
    options: MatchOptions | None = None,
) -> list[str]:
    """Returns hints for the user if nothing matched or most records lack the key; otherwise none.

    Args:
        beginnings: How the content of some files begins. Without a reason to hint, none is read.
        options: How the records were read.
    """
    if records and matched and missing * 2 <= records:
        return []
    found = list(_list_hints(restrictions))
    options, beginnings = options or MatchOptions(), list(beginnings)
    sample = list(_sample(beginnings, options)) if records else []
    objects = [record for record in sample if isinstance(record, dict)]
    if not objects:
        return found + (list(_document_hints(beginnings, restrictions, options)) if missing * 2 >= records else [])
    lacking = [
        path
        for path in restrictions.paths
        if sum(path.find(record) is MISSING for record in objects) * 2 > len(objects)
    ]
    if missing * 2 > records or lacking:
        members = _members(objects)
        paths = ", ".join(f'"{shown(path.text)}"' for path in lacking or restrictions.paths)
        found.append(
            f"Hint: most records have no key {paths}. Of the first {len(objects)}, members are: {members}."
            f" {_advice(objects, lacking, restrictions, beginnings, options)}."
        )
    if not matched:
        found += _type_hints(objects, restrictions)
    return found


def _advice(
    objects: list[dict[str, Any]],
    lacking: list[KeyPath],
    restrictions: RestrictionList,
    beginnings: list[bytes],
    options: MatchOptions,
) -> str:
    """Returns what to do if most records lack the key, or some paths of it."""
    in_array = options.format not in ("lines", "object") and all(map(_begins_array, beginnings))
    if (steps := place_inside(objects, restrictions.paths)) is not None:
        return (
            f"Objects inside have it: add {option_at('--records-at', steps, at=options.records_at, in_array=in_array)}"
        )
    for pair in restrictions.pairs:
        if pair.record in lacking and (key := respelt(pair.record, objects)) is not None:
            return f"Name another with --key, for example {_option_key(key, pair, restrictions)}"
    if len(restrictions.pairs) == 1 and (found := place_respelt(objects, restrictions.paths[0])) is not None:
        option = option_at("--records-at", found[0], at=options.records_at, in_array=in_array)
        return f"Objects inside have it: add {option}, and {_option_key(found[1], restrictions.pairs[0], restrictions)}"
    return "Name another with --key"


def _option_key(key: str, pair: KeyPair, restrictions: RestrictionList) -> str:
    """Returns the option, as one types it, that names another key of the records."""
    is_same = restrictions.format == "text" or key == pair.restriction.text
    return f"--key {shown(shlex.quote(key if is_same else f'{key}={pair.restriction.text}'), WORD_MAX)}"


def _begins_array(beginning: bytes) -> bool:
    return beginning.removeprefix(BOM).lstrip(WHITE_SPACE).startswith(b"[")


def _document_hints(beginnings: list[bytes], restrictions: RestrictionList, options: MatchOptions) -> Iterator[str]:
    """Yields a hint if objects inside documents have the key, but are not the records. The documents are longer than
    what is looked at, or `records_at` names another place."""
    values: list[Any] = []
    for beginning in beginnings:
        with suppress(Damage):
            values.append(parse(closed(beginning.removeprefix(BOM))))
    at = options.records_at
    in_array = at is not None and bool(values) and all(isinstance(value, list) for value in values)
    documents = [each for value in values for each in (value if in_array else [value]) if isinstance(each, dict)]
    steps = place_inside(documents, restrictions.paths)
    if at is None and steps is not None:
        yield (
            "Hint: the inputs are documents, and objects inside have the key. To match these, add"
            f" {option_at('--records-at', steps)}."
        )
    elif at is not None and steps is not None:
        option = option_at("--records-at", steps, in_array=in_array)
        yield f"Hint: no record is at {shown(at)}, but objects elsewhere have the key. To match these, use {option}."
    elif at is not None and at.startswith("/") and documents and not _is_there(at, documents):
        members = _members(documents)
        yield f"Hint: there is nothing at {shown(at)}. Members of the documents are: {members}. Correct --records-at."


def _is_there(at: str, documents: list[dict[str, Any]]) -> bool:
    path = KeyPath.parse(at)
    return any(path.find(document) is not MISSING for document in documents)


def _members(objects: list[dict[str, Any]]) -> str:
    names = Counter(name for each in objects for name in each)
    return ", ".join(f"{_name(name)} ({count})" for name, count in names.most_common(MEMBERS_MAX)) or "none"


def _list_hints(restrictions: RestrictionList) -> Iterator[str]:
    if restrictions.left_out and not len(restrictions):
        keys = ", ".join(f'"{shown(pair.restriction.text)}"' for pair in restrictions.pairs)
        yield f"Hint: no entry of the list has the key {keys}, so all were left out. Name another with --key."


def _type_hints(objects: list[dict[str, Any]], restrictions: RestrictionList) -> Iterator[str]:
    """Yields a hint if the records' keys have other types than the restrictions', or nearly equal them."""
    if len(restrictions.pairs) != 1 or not len(restrictions):
        return
    index, path = restrictions.index, restrictions.paths[0]
    some = np.unique(np.linspace(0, len(index.hashes) - 1, RECORDS_MAX).astype(np.int64)).tolist()
    keys, column = [parse(index.key(distinct)) for distinct in some], restrictions.pairs[0].restriction.text
    listed = Counter(map(_kind, keys))
    values = [value for record in objects if (value := path.find(record)) is not MISSING]
    read = Counter(map(_kind, values))
    if read and restrictions.format == "text" and (other := _format_of(keys, column)) is not None:
        yield (
            "Hint: the list was read as text, with a key on each line, but it looks like"
            f" {'CSV' if other == 'csv' else 'JSON'}. If it is, add --restrictions-format {other}."
        )
        return
    if read and not read.keys() & listed.keys():
        yield (
            f"Hint: the records' keys are {_listing(read)}, the restrictions' are {_listing(listed)};"
            f" values of different types are never equal.{_type_advice(read, listed, restrictions)}"
        )
        return
    for value in values[:NEAR_MAX]:
        key = canonical(value)
        for miss in near_misses(index, key, limit=1):
            yield (
                f"Hint: {shown(key, WORD_MAX)} is not on the list, but {shown(miss.key, WORD_MAX)} is, which differs in"
                f" {' and '.join(miss.differences)}. See linkmatch-ray explain."
            )
            return


def _type_advice(read: Counter[str], listed: Counter[str], restrictions: RestrictionList) -> str:
    """Returns what to do if the records' keys are numbers and the list's are strings, or the other way round."""
    if "numbers" in read and [*listed] == ["strings"]:
        if restrictions.format == "text":
            return " If the list has a number on each line, add --restrictions-format lines."
        if restrictions.format in ("csv", "tsv"):
            return " Cells are strings: for numbers, make it a list of JSON, with one on each line."
        return " List them as numbers."
    if [*listed] == ["arrays"] and len(restrictions) == 1:
        pointer = restrictions.pairs[0].restriction.pointer
        return f" If that array is the list, add --restrictions-at {shown(shlex.quote(pointer), WORD_MAX)}."
    if "strings" in read and [*listed] == ["numbers"]:
        return " List them as strings; with --restrictions-format text each line is one."
    return ""


def _format_of(lines: list[str], column: str) -> str | None:
    """Returns the format that a list of text seems to have, by some of its lines. It is CSV if one of them names the
    column that is compared."""
    bare = [line.strip() for line in lines if line.strip()]
    if bare and all(line[0] + line[-1] in ("{}", '""') for line in bare):
        return "lines"
    if any(line[0] == "[" for line in bare) and all(line[0] in _OF_ARRAYS or line[-1] == "," for line in bare):
        return "array"
    cells = (line.split(",") for line in bare)
    return "csv" if any(len(row) > 1 and column in (cell.strip('"') for cell in row) for row in cells) else None


_OF_ARRAYS: Final = '[]{}"'
"""How lines of an array of JSON begin."""


def _name(member: str) -> str:
    """Returns a member's name. A lone surrogate in it stands for no byte, as it does in the name of a file."""
    return shown(member.encode("utf-8", "backslashreplace"), WORD_MAX)


def _listing(kinds: Counter[str]) -> str:
    return " and ".join(kind for kind, _ in kinds.most_common())


def _kind(value: Any) -> str:
    if isinstance(value, NumberText):
        return "numbers"
    if value is None:
        return "null"
    names = {str: "strings", bool: "booleans", list: "arrays", dict: "objects"}
    return names[type(value)]


def _sample(beginnings: Iterable[bytes], options: MatchOptions) -> Iterator[Any]:
    """Yields up to `RECORDS_MAX` parsed records."""
    left = RECORDS_MAX
    for beginning in beginnings:
        if left <= 0:
            return
        for text in _records_in(beginning, options)[:left]:
            try:
                yield parse(text)
            except Damage:
                continue
            left -= 1


def beginnings_of(files: Iterable[InputFile]) -> Iterator[bytes]:
    """Yields the first `FILE_BYTES_MAX` bytes of the content of the first files that have some."""
    for file in islice((file for file in files if file.fault is None and file.size), FILES_MAX):
        buffer = bytearray(FILE_BYTES_MAX)
        try:
            with open_input(file, FILE_BYTES_MAX) as raw:
                size = open_source(raw).readinto(memoryview(buffer))
        except (Changed, OSError, Damage, Corrupt):
            continue
        yield bytes(buffer[:size])


def _records_in(beginning: bytes, options: MatchOptions) -> list[bytes]:
    """Returns the whole records, and perhaps the beginning of the last."""
    window = Window(Plain(io.BytesIO(beginning)), Buffers(len(beginning)))
    records = _Records(window)
    for _ in walk(Reading(window, records, Judge((), None, options))):
        pass
    return records.texts


class _Records(Writer):
    """A writer that keeps the records of an input, and nothing else."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.texts: list[bytes] = []

    def records(self, judged: Judged, line: int) -> None:
        view = memoryview(self._window.buffer)
        self.texts += [bytes(view[a:b]) for a, b in zip(judged.starts.tolist(), judged.ends.tolist(), strict=True)]

    def add(self, entry: Entry) -> None:
        pass
