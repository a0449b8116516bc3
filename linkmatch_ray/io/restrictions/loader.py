"""Reads a list into an index. Lists of JSON are read with the reader of inputs.

An entry takes the exact path unless orjson certainly reads its key as `canonical` does. A list is small beside the
data, and a wrong entry in it would be wrong a million times. The first error ends the reading.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NoReturn, cast

import orjson

from linkmatch_ray.core.codecs import open_source
from linkmatch_ray.core.damage import Corrupt
from linkmatch_ray.core.exact import DEPTH_MAX, parse
from linkmatch_ray.core.index import IndexBuilder, RestrictionIndex
from linkmatch_ray.core.keys import MISSING, NumberText, canonical
from linkmatch_ray.core.layouts.table import walk
from linkmatch_ray.core.options import Format, MatchOptions, RestrictionsFormat
from linkmatch_ray.core.outcome import Entry
from linkmatch_ray.core.plain_keys import KeyFinder, PlainKeys
from linkmatch_ray.core.raw import Raw
from linkmatch_ray.core.structure import Int64s
from linkmatch_ray.core.verdicts import Judge, Judged
from linkmatch_ray.core.window import Buffers, Window
from linkmatch_ray.core.writer import Reading, Writer
from linkmatch_ray.errors import RestrictionsError
from linkmatch_ray.io.inputs.names import COMPRESSIONS
from linkmatch_ray.io.restrictions.advice import head_of, looks_like, refuse_archive, refuse_keyless, refuse_place
from linkmatch_ray.io.restrictions.parquet import read_parquet
from linkmatch_ray.io.restrictions.separated import read_separated
from linkmatch_ray.io.restrictions.text import read_text
from linkmatch_ray.io.restrictions.wanted import Wanted, place

WINDOW_BYTES: Final = 4 << 20
"""Bytes of a list that are held at a time."""

ENTRY_BYTES_MAX: Final = 256 << 20
"""Maximum size of an entry, in bytes."""

_PLAIN_BYTES_MAX: Final = 2 * DEPTH_MAX
"""An entry needs an opening and a closing bracket a level, so that one of this length is not too deep."""

RUN_MIN: Final = 8
"""Minimum number of records to each whose key is not certain. To take shorter runs of keys takes longer than to read
the records one by one."""

_PLAIN: Final = frozenset({str, int, bool, type(None)})
"""Types of keys that orjson reads and writes as `canonical` does; it reads an integer beyond 64 bits as a float."""

_COMPRESSION: Final = re.compile(rf"({'|'.join(re.escape(suffix.decode()) for suffix in COMPRESSIONS)})$")
_QUERY: Final = re.compile(r"(?s)^(https?://[^?#]*).*")
_NAMES: Final = {
    bool: "a boolean",
    NumberText: "a number",
    list: "an array",
    str: "a string",
    type(None): "null",
}
"""What messages call an entry that is no object, by its type."""


def load_index(raw: Raw, wanted: Wanted) -> RestrictionIndex:
    """Reads a list, which may be compressed, and builds its index.

    Raises:
        RestrictionsError: Something in it is wrong; the entry, line or byte is named.
        OSError: It cannot be read.
    """
    builder = IndexBuilder()
    row = LIST_FORMATS.get(wanted.format)
    try:
        (_read_json if row is None else row.read)(raw, wanted, builder)
    except Corrupt as corrupt:
        wanted.refuse_corrupt(corrupt.damage)
    except RestrictionsError:
        refuse_archive(raw, wanted)
        raise
    return builder.build()


def format_of(name: str) -> RestrictionsFormat:
    """Finds the format of a list by its path or URL, which may also say that it is compressed."""
    bare = _COMPRESSION.sub("", _QUERY.sub(r"\1", name.lower()))
    return next((format_ for format_, row in LIST_FORMATS.items() if bare.endswith(row.suffix)), "auto")


def _read_json(raw: Raw, wanted: Wanted, builder: IndexBuilder) -> None:
    layout = cast(Format, wanted.format)
    options = MatchOptions(format=layout, records_at=wanted.at, max_record_bytes=ENTRY_BYTES_MAX)
    window = Window(open_source(raw), Buffers(WINDOW_BYTES))
    entries = Entries(window, raw, wanted, builder, options)
    try:
        for _ in walk(Reading(window, entries, Judge((), None, options))):
            pass
        if window.behind is not None:
            wanted.refuse_corrupt(window.behind)
    except RestrictionsError as error:
        other = None if window.corrupt is not None else looks_like(head_of(raw))
        if other is None or (other == "text" and len(wanted.pairs) > 1):
            raise
        raise RestrictionsError(f"{error} If it is {other}, add --restrictions-format {other}.") from None


class Entries(Writer):
    """A writer that takes the entries of a list of JSON values: objects with the key, or other values, which are it.

    Args:
        raw: What the window reads.
        builder: Takes the keys.
    """

    def __init__(self, window: Window, raw: Raw, wanted: Wanted, builder: IndexBuilder, options: MatchOptions) -> None:
        super().__init__(window)
        self._raw, self._wanted, self._builder, self._options = raw, wanted, builder, options
        self._name, self._paths = wanted.name, wanted.paths
        self._is_composite = len(self._paths) > 1
        self._finder = KeyFinder(self._paths[0])

    def records(self, judged: Judged, line: int) -> None:
        stop = min(judged.damages, default=len(judged.starts))  # a damaged one comes to `add`
        starts, ends, numbers = judged.starts[:stop], judged.ends[:stop], judged.numbers
        keys = self._plain_keys(starts, ends, are_elements=numbers is None)
        at, view = 0, memoryview(self._window.buffer)
        for other in range(stop) if keys is None else keys.others.tolist():
            self._push(keys, at, other)
            number = None if numbers is None else int(numbers[other]) + line
            self._take(bytes(view[starts[other] : ends[other]]), number)
            at = other + 1
        self._push(keys, at, stop)

    def _plain_keys(self, starts: Int64s, ends: Int64s, *, are_elements: bool) -> PlainKeys | None:
        """Returns the keys of records, as far as they are found at once; None if too few are."""
        if self._is_composite or not len(starts):
            return None
        keys = self._finder.find(self._window.buffer, starts, ends, are_elements=are_elements)
        return None if keys is None or len(keys.others) * RUN_MIN > len(starts) else keys

    def _push(self, keys: PlainKeys | None, start: int, stop: int) -> None:
        """Appends keys that are certain, if there are any between these places."""
        if keys is None or start == stop:
            return
        before, end = int(keys.ends[start - 1]) if start else 0, int(keys.ends[stop - 1])
        self._builder.extend(keys.blob[before:end], keys.ends[start:stop] - before, keys.hashes[start:stop])
        if keys.has_numbers:
            self._builder.note_kinds(numbers=True)

    def add(self, entry: Entry) -> NoReturn:
        if (corrupt := self._window.corrupt) is not None:  # then nothing is certain, not even what came before
            self._wanted.refuse_corrupt(corrupt)
        if entry.reason == "not_utf8":
            self._wanted.refuse_not_utf8(entry.message)
        if entry.reason == "not_array":
            raise RestrictionsError(f"{self._name}: not a JSON array. Name its layout with --restrictions-format.")
        if entry.reason == "no_records":
            refuse_place(head_of(self._raw), entry.message, self._wanted)
        if entry.index:
            self._fail(entry.index, f"{entry.message} (byte {entry.byte_offset} of the list)", entry.line)
        raise RestrictionsError(
            f"{self._name}: {place(0, entry.line)} {entry.message} (byte {entry.byte_offset}). "
            "Expected JSON, such as an array or lines; check the file, --restrictions-at and --restrictions-format."
        )

    def _take(self, text: bytes, line: int | None) -> None:
        if (key := self._plain_key(text)) is not None:
            self._builder.push(key)
            return
        value = parse(text)
        found = [path.find(value) for path in self._paths] if type(value) is dict else [value]
        if MISSING in found and self._wanted.skip_keyless:
            self._builder.leave_out()
            return
        if MISSING in found:
            refuse_keyless(value, self._count, line, head_of(self._raw), self._wanted)
        if type(value) is not dict and self._is_composite:
            self._fail(self._count, f"is {_NAMES[type(value)]}, and the key has several parts", line)
        for part in found:
            if type(part) is not str:
                self._builder.note_kinds(numbers=_has_number(part), containers=isinstance(part, (dict, list)))
        self._builder.push(canonical(found if self._is_composite else found[0]))

    def _plain_key(self, text: bytes) -> bytes | None:
        """Returns the key of an object, or the value that is one; None if orjson and the exact path may differ."""
        if len(text) > _PLAIN_BYTES_MAX and text.count(b"[") + text.count(b"{") > DEPTH_MAX:
            return None
        try:
            entry = orjson.loads(text)
        except orjson.JSONDecodeError:
            return None
        if type(entry) is dict:
            found = [path.find(entry) for path in self._paths] if self._is_composite else self._paths[0].find(entry)
        elif not self._is_composite:
            found = entry
        else:
            return None
        if type(found) is not str:
            kinds = {*map(type, found)} if self._is_composite else {type(found)}
            if not kinds <= _PLAIN:
                return None
            if int in kinds:
                self._builder.note_kinds(numbers=True)
        return orjson.dumps(found)

    @property
    def _count(self) -> int:
        return len(self._builder)

    def _fail(self, entry: int, found: str, line: int | None = None) -> NoReturn:
        self._wanted.refuse(f"{place(entry, line)} {found}", "Remove or correct it")


def _has_number(value: Any) -> bool:
    """Returns whether a value is or contains a number; without recursion, because it may be 500 levels deep."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, NumberText):
            return True
        if isinstance(each, (dict, list)):
            pending += each.values() if isinstance(each, dict) else each
    return False


@dataclass(frozen=True, slots=True)
class ListFormat:
    """A row of the table of list formats.

    Attributes:
        suffix: End of the names of such lists, without that of the compression.
        read: Reads a list, which may be compressed, and gives its keys to the builder.
    """

    suffix: str
    read: Callable[[Raw, Wanted, IndexBuilder], None]


LIST_FORMATS: Final[dict[RestrictionsFormat, ListFormat]] = {
    "text": ListFormat(".txt", read_text),
    "csv": ListFormat(".csv", partial(read_separated, separator=",")),
    "tsv": ListFormat(".tsv", partial(read_separated, separator="\t")),
    "parquet": ListFormat(".parquet", read_parquet),
}
"""The formats that only lists have, by name."""
