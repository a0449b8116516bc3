"""Reads the entries of a list into an index, with the reader of inputs.

An entry takes the exact path unless orjson certainly reads its key as `canonical` does. A list is small beside the
data, and a wrong entry in it would be wrong a million times. The first error ends the reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final, NoReturn

import numpy as np
import orjson

from linkmatch_ray.core.codecs import Raw, open_source
from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.exact import DEPTH_MAX, parse
from linkmatch_ray.core.index import IndexBuilder, RestrictionIndex
from linkmatch_ray.core.keys import MISSING, KeyPair, NumberText, canonical, canonical_string
from linkmatch_ray.core.layouts.lines import walk_lines
from linkmatch_ray.core.layouts.table import begin, walk
from linkmatch_ray.core.layouts.values import NO_ARRAY, TRAILING, TRUNCATED, WRONG_BRACKET
from linkmatch_ray.core.options import LIMIT_MAX, Format, MatchOptions, RestrictionsFormat
from linkmatch_ray.core.outcome import Entry
from linkmatch_ray.core.structure import NEWLINE, RETURN, find_elements, positions
from linkmatch_ray.core.verdicts import Finder, Judged, unjudged
from linkmatch_ray.core.window import LOW, Buffers, Window
from linkmatch_ray.core.writer import Reading, Writer
from linkmatch_ray.errors import RestrictionsError
from linkmatch_ray.words import shown

WINDOW_BYTES: Final = 4 << 20
"""Bytes of a list that are held at a time."""

_PLAIN_BYTES_MAX: Final = 2 * DEPTH_MAX
"""An entry needs an opening and a closing bracket a level, so that one of this length is not too deep."""

_PLAIN: Final = frozenset({str, int, bool, type(None)})
"""Types of keys that orjson reads and writes as `canonical` does; it reads an integer beyond 64 bits as a float."""

_NO_OBJECT: Final = "and the key has several parts"

_NAMES: Final = {
    bool: "a boolean",
    NumberText: "a number",
    list: "an array",
    str: "a string",
    type(None): "null",
}
"""What messages call an entry that is no object, by its type."""


def load_index(
    raw: Raw,
    name: str,
    pairs: tuple[KeyPair, ...],
    at: str | None,
    format: RestrictionsFormat,
    *,
    skip_keyless: bool = False,
) -> RestrictionIndex:
    """Reads a list, and builds its index.

    Args:
        raw: The list, perhaps compressed.
        name: Its name in messages.
        at: JSON Pointer of its array inside the document, or None.
        skip_keyless: Leave out entries without the key.

    Raises:
        RestrictionsError: Something in it is wrong; the entry, line or byte is named.
        OSError: It cannot be read.
    """
    row = LIST_FORMATS.get(format, JSON)
    layout: Format = "auto" if format == "text" else format
    options = MatchOptions(format=layout, records_at=at, max_record_bytes=LIMIT_MAX)
    window = Window(open_source(raw), Buffers(WINDOW_BYTES))
    entries = row.entries(window, name, pairs, options, skip_keyless=skip_keyless)
    for _ in row.walk(Reading(window, entries, row.finder, LIMIT_MAX), options):
        pass
    return entries.builder.build()


def format_of(path: str) -> RestrictionsFormat:
    """Finds the format of a list by its name, which may also say that it is compressed."""
    bare = path.lower().removesuffix(".gz").removesuffix(".zst")
    return next((name for name, row in LIST_FORMATS.items() if bare.endswith(row.suffix)), "auto")


class Entries(Writer):
    """A writer that takes the entries of a list of JSON values: objects with the key, or other values, which are it.

    Attributes:
        builder: The builder of the index, which has the keys so far.
    """

    def __init__(
        self, window: Window, name: str, pairs: tuple[KeyPair, ...], options: MatchOptions, *, skip_keyless: bool
    ) -> None:
        super().__init__(window)
        self.builder = IndexBuilder()
        self._name, self._options, self._skip_keyless = name, options, skip_keyless
        self._paths = tuple(pair.restriction for pair in pairs)
        self._is_composite = len(pairs) > 1

    def records(self, judged: Judged, line: int) -> None:
        if self._window.corrupt is not None:
            self.rest(self._window.corrupt, LOW)
        view = memoryview(self._window.buffer)
        numbers: Iterable[int | None] = repeat(None) if judged.numbers is None else (judged.numbers + line).tolist()
        for start, end, number in zip(judged.starts.tolist(), judged.ends.tolist(), numbers, strict=False):
            self._take(bytes(view[start:end]), number)

    def add(self, entry: Entry) -> NoReturn:
        raise AssertionError(entry.reason)  # a record of a list may have any length, and other damage is raised

    def rest(self, damage: Damage, start: int) -> NoReturn:
        if (corrupt := self._window.corrupt) is not None:  # then nothing is certain, not even what came before
            raise RestrictionsError(f"{self._name}: {corrupt.message}. Restore the file; nothing was matched.")
        if damage.reason == "not_utf8":
            raise RestrictionsError(f"{self._name}: not UTF-8, but {damage.message}. Convert it; nothing was matched.")
        if damage is NO_ARRAY:
            raise RestrictionsError(f"{self._name}: not a JSON array. Name its layout with --restrictions-format.")
        if damage is TRAILING:
            raise RestrictionsError(f"{self._name}: something follows the array's end. Remove it; nothing was matched.")
        if damage is TRUNCATED:
            self._fail(self.index, "the array ends inside it, or without its ]")
        if damage is WRONG_BRACKET:
            framed = find_elements(self._window.data, start, self._window.end)
            if framed.close > start:  # the element before it
                self._take(bytes(self._window.buffer[start : int(framed.ends[0])]), None)
            self._fail(self._count, "} where the array may end with ]")
        self._refuse_document(damage)

    def _take(self, text: bytes, line: int | None) -> None:
        if (key := self._plain_key(text)) is not None:
            self.builder.push(key)
            return
        try:
            value = parse(text)
        except Damage as damage:
            if self._is_document or (self._options.format == "auto" and line is not None and not self._count):
                self._refuse_document(self._damage_in_all() or damage)  # it counts as lines if it is nothing else
            self._fail(self._count, f"{damage.message} (byte {damage.offset} of the entry)", line)
        found = [path.find(value) for path in self._paths] if type(value) is dict else [value]
        if MISSING in found and self._skip_keyless:
            self.builder.leave_out()
            return
        if MISSING in found:
            self._refuse_keyless(line)
        if type(value) is not dict and self._is_composite:
            self._fail(self._count, f"is {_NAMES[type(value)]}, {_NO_OBJECT}", line)
        for part in found:
            if type(part) is not str:
                self.builder.note_kinds(numbers=_has_number(part), containers=isinstance(part, (dict, list)))
        self.builder.push(canonical(found if self._is_composite else found[0]))

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
                self.builder.note_kinds(numbers=True)
        return orjson.dumps(found)

    def _refuse_keyless(self, line: int | None) -> NoReturn:
        missing = ", ".join(f'"{shown(path.text)}"' for path in self._paths)
        raise RestrictionsError(
            f"{self._name}: {_place(self._count, line)} has no key {missing}. Name another with --key, or leave such"
            " entries out with --skip-keyless; nothing was matched."
        )

    @property
    def _count(self) -> int:
        return len(self.builder)

    @property
    def _is_document(self) -> bool:
        return self._options.format == "object" and self._options.records_at is None

    def _damage_in_all(self) -> Damage | None:
        """Returns what is wrong with the whole list, all of which is held, if it is one document."""
        try:
            parse(self._window.text(LOW, self._window.held))
        except Damage as damage:
            return damage
        return None

    def _refuse_document(self, damage: Damage) -> NoReturn:
        raise RestrictionsError(
            f"{self._name}: {damage.message} (byte {self._window.offset + damage.offset}). Expected a JSON array, JSON"
            " Lines or one object; check the file, --restrictions-at and --restrictions-format."
        )

    def _fail(self, entry: int, found: str, line: int | None = None) -> NoReturn:
        where = _place(entry, line)
        raise RestrictionsError(f"{self._name}: {where} {found}. Remove or correct it; nothing was matched.")


def _place(entry: int, line: int | None) -> str:
    return f"entry {entry}" + (f" (line {line})" if line is not None else "")


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


class TextEntries(Entries):
    """A writer that takes the entries of a list of text: every line is a string key, even an empty one."""

    def _take(self, text: bytes, line: int | None) -> None:
        if self._is_composite:
            self._fail(self._count, f"is a string, {_NO_OBJECT}", line)
        try:
            self.builder.push(canonical_string(text.decode("utf-8")))
        except UnicodeDecodeError:
            self._fail(self._count, "bytes that are not UTF-8")


class _TextFinder(Finder):
    """A finder of lines that takes off their line ends only."""

    def lines(self, buffer: bytearray, low: int, high: int) -> Judged:
        data = np.frombuffer(buffer, np.uint8)
        newlines = positions(data, low, high, NEWLINE)
        starts, ends = np.append(low, newlines + 1), np.append(newlines, high)
        if starts[-1] == high:  # nothing follows the last newline
            starts, ends = starts[:-1], ends[:-1]
        ends = ends - ((data[ends - 1] == RETURN) & (ends > starts))
        return unjudged(starts, ends, np.arange(len(starts)), len(newlines))


def _walk_text(of: Reading, _: MatchOptions) -> Iterator[None]:
    if begin(of):
        yield from walk_lines(of)


@dataclass(frozen=True, slots=True)
class ListFormat:
    """A row of the table of list formats.

    Attributes:
        suffix: End of the names of such lists, without that of the compression.
        entries: Takes the entries.
        finder: Finds them.
        walk: Reads a list from its first byte.
    """

    suffix: str
    entries: type[Entries]
    finder: Finder
    walk: Callable[[Reading, MatchOptions], Iterator[None]]


JSON: Final = ListFormat("", Entries, Finder(), walk)
"""Any layout that inputs have."""

LIST_FORMATS: Final[dict[RestrictionsFormat, ListFormat]] = {
    "text": ListFormat(".txt", TextEntries, _TextFinder(), _walk_text)
}
"""The formats that only lists have, by name."""
