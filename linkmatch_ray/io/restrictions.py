"""`Restrictions`: the list that records are looked up against, loaded and checked.

Loading streams, and always takes the careful path: a list is small beside the data, and a wrong entry in it
would be wrong a million times.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, get_args

import numpy as np

from linkmatch_ray.arguments import refuse_unless_one_of, wrong_type
from linkmatch_ray.core.careful import Damage, parse
from linkmatch_ray.core.frames import OPEN_BRACKET, frame_elements, frame_lines, skip_white
from linkmatch_ray.core.index import IndexBuilder, RestrictionIndex
from linkmatch_ray.core.inflate import open_source
from linkmatch_ray.core.judge import locate, whole_elements
from linkmatch_ray.core.keys import KeyPair, KeyPath, NumberText, canonical, record_key
from linkmatch_ray.core.layout import BOM
from linkmatch_ray.core.options import KEY, RestrictionsFormat
from linkmatch_ray.core.window import fill
from linkmatch_ray.errors import RestrictionsError, UsageError
from linkmatch_ray.io.input_names import refuse_no_input
from linkmatch_ray.io.paths import path_in, path_of
from linkmatch_ray.io.storage_errors import Changed
from linkmatch_ray.io.urls import is_url, scheme_of
from linkmatch_ray.words import shown

WINDOW_BYTES: Final = 4 << 20

_LIKE_JSON: Final = re.compile(r"\s*[\[{\"]|.*\n", re.DOTALL)
_AS_BYTES: Final = "the list itself as bytes, such as json.dumps(keys).encode()"
_BATCH: Final = 4096


@dataclass(frozen=True, slots=True, repr=False)
class Restrictions:
    """A loaded list.

    Attributes:
        index: The list as an index.
        pairs: Which members are compared.
        name: Where it was loaded from, for messages.
    """

    index: RestrictionIndex
    pairs: tuple[KeyPair, ...]
    name: str

    def __len__(self) -> int:
        return self.index.restrictions

    def __repr__(self) -> str:
        keys = [str(pair) for pair in self.pairs]
        key = repr(keys[0] if len(keys) == 1 else keys)
        return f"<Restrictions {shown(self.name)}: {self.index.restrictions:,} entries, key {shown(key)}>"

    @property
    def paths(self) -> tuple[KeyPath, ...]:
        """Where the keys are in a record."""
        return tuple(pair.record for pair in self.pairs)

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str] | bytes,
        key: str | Sequence[str] = KEY,
        *,
        restrictions_at: str | None = None,
        restrictions_format: RestrictionsFormat = "auto",
    ) -> Restrictions:
        """Load a list and build its index.

        Args:
            source: A path or URL, `-` for standard input, or the list itself as bytes. gzip and zstd are read too.
            key: `KEY` or `RECORD_KEY=RESTRICTION_KEY`; several make a composite key.
            restrictions_at: JSON Pointer of an array inside the document.
            restrictions_format: The layout, where it is not to be found from the content; `text` is a key a line.

        Raises:
            RestrictionsError: the list cannot be read, or an entry is damaged or has no key; it names the entry.
            UsageError: `key` cannot be read as one, or another argument has no such value.
            TypeError: an argument is of another type.
        """
        pairs = _pairs_of(key)
        refuse_unless_one_of("restrictions_format", restrictions_format, get_args(RestrictionsFormat))
        if restrictions_at is not None:
            KeyPath.parse(restrictions_at)
        if not isinstance(source, (str, bytes, os.PathLike)):
            raise wrong_type("restrictions", source, f"Give a path or URL, or {_AS_BYTES}.")
        name = "<bytes>" if isinstance(source, bytes) else os.fsdecode(source)
        if not name:
            raise UsageError("the restrictions: their name is empty. Name a file with -r.")
        where = shown(name)
        is_text = name.lower().removesuffix(".gz").removesuffix(".zst").endswith(".txt")
        layout: RestrictionsFormat = "text" if is_text and restrictions_format == "auto" else restrictions_format
        try:
            with _open(source) as raw:
                index = _Loader(raw, where, pairs, restrictions_at, layout).index()
        except Changed:
            raise RestrictionsError(f"{where}: was replaced while it was read. Run the same command again.") from None
        except OSError as error:
            if isinstance(source, str) and _LIKE_JSON.match(source):
                raise RestrictionsError(
                    f"{where}: no such file; it looks like the list itself. Name a file, or in Python give {_AS_BYTES}."
                ) from None
            raise RestrictionsError(
                f"{where}: {error.strerror or shown(error)}. Name a readable restrictions file with -r."
            ) from None
        return cls(index, pairs, name)


def _pairs_of(key: str | Sequence[str]) -> tuple[KeyPair, ...]:
    """What is compared.

    Raises:
        UsageError: nothing is, or one cannot be read.
        TypeError: it is no text, and no list of texts.
    """
    if not isinstance(key, (str, list, tuple)):
        raise wrong_type("key", key, "Give KEY or RECORD_KEY=RESTRICTION_KEY as a str; several in a list.")
    pairs = tuple(KeyPair.parse(text) for text in ([key] if isinstance(key, str) else key))
    if not pairs:
        raise UsageError("no key was given. Name the member to compare, for example --key data.")
    return pairs


def _open(source: str | os.PathLike[str] | bytes) -> io.BytesIO | io.BufferedReader:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    name = path_of(source)
    refuse_no_input(name)
    if is_url(name):
        from linkmatch_ray.io.object_listing import examine
        from linkmatch_ray.io.object_reader import ObjectReader

        return io.BufferedReader(ObjectReader(examine(name)))
    name = path_in(name) if scheme_of(name) == "file" else name
    file = os.fdopen(os.dup(sys.stdin.fileno()), "rb") if name == b"-" else open(name, "rb")  # noqa: SIM115
    if file.seekable():
        return file
    with file:  # a pipe is read once, and a list is looked at before it is read, or again where it is damaged
        return io.BytesIO(file.read())


class _Loader:
    """Reads a list piece by piece into an index builder."""

    def __init__(
        self,
        raw: io.BytesIO | io.BufferedReader,
        name: str,
        pairs: tuple[KeyPair, ...],
        at: str | None,
        format_: RestrictionsFormat,
    ) -> None:
        start, head = raw.tell(), raw.read(4)
        raw.seek(start)
        self._source = open_source(raw, head)
        self._name, self._pairs, self._at, self._format = name, pairs, at, format_
        self._paths = tuple(pair.restriction for pair in pairs)
        self._builder = IndexBuilder()
        self._keys: list[bytes] = []
        self._buffer = bytearray(1 + WINDOW_BYTES)
        self._low, self._end, self._ended = 1, 1, False
        self._lines = self._skipped = 0

    def index(self) -> RestrictionIndex:
        self._fill()
        if self._buffer.startswith(BOM, 1):
            self._low += len(BOM)
        if self._format != "text":  # in which an empty line is a key
            self._skip_white()
        if self._format == "text":
            self._read_lines(self._text_key)
        elif self._at is not None or self._format == "object":
            self._read_document()
        elif self._is_array():
            self._read_array()
        elif self._format == "lines" or self._first_line_is_whole():
            self._read_lines(self._json_key)
        else:
            self._read_document()
        self._flush()
        return self._builder.build()

    # Reading

    def _fill(self) -> None:
        """Move what is left to the front, and read on; twice as much where nothing could be used."""
        left = self._end - self._low
        if self._low == 1 and self._end == len(self._buffer):
            self._buffer = self._buffer + bytes(len(self._buffer))
        else:
            self._buffer[1 : 1 + left] = self._buffer[self._low : self._end]
        self._low, self._end = 1, 1 + left
        room = len(self._buffer) - self._end
        count, damage = fill(self._source, memoryview(self._buffer)[self._end :])
        if damage is not None:
            raise RestrictionsError(f"{self._name}: {damage.message}. Restore the file; nothing was matched.")
        self._end += count
        self._ended = count < room

    def _skip_white(self) -> None:
        """Go to the first value; there may be more white space before it than memory."""
        while True:
            first = skip_white(self._buffer, self._low, self._end)
            self._lines += self._buffer.count(b"\n", self._low, first)
            self._skipped += first - self._low
            self._low = first
            if first < self._end or self._ended:
                return
            self._fill()

    def _fill_wholly(self) -> None:
        while not self._ended:
            self._fill()

    # Layouts

    def _is_array(self) -> bool:
        opened = self._low < self._end and self._buffer[self._low] == OPEN_BRACKET
        return self._format == "array" or (self._format == "auto" and opened)

    def _first_line_is_whole(self) -> bool:
        while True:
            newline = self._buffer.find(b"\n", self._low, self._end)
            if newline >= 0 or self._ended:
                line = bytes(self._buffer[self._low : newline if newline >= 0 else self._end])
                try:
                    parse(line)
                except Damage:
                    return not line.strip()
                return True
            self._fill()

    def _read_lines(self, key_of: Callable[[int, int], None]) -> None:
        while True:
            cut = self._end if self._ended else self._buffer.rfind(b"\n", self._low, self._end) + 1
            if cut > self._low:
                key_of(self._low, cut)
                self._low = cut
            if self._ended:
                return
            self._fill()

    def _read_array(self) -> None:
        if self._low == self._end:  # nothing but white space: an empty list
            return
        if self._buffer[self._low] != OPEN_BRACKET:
            raise RestrictionsError(f"{self._name}: not a JSON array. Name its layout with --restrictions-format.")
        self._low += 1
        first = True
        while True:
            framed = frame_elements(np.frombuffer(self._buffer, np.uint8), self._low, self._end)
            starts, ends = whole_elements(framed, first=first)
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                self._add(bytes(self._buffer[start:end]))
                first = False
            if framed.close >= 0:
                self._check_end(framed.close)
                return
            self._low = framed.rest
            if self._ended:
                self._fail(self._count, "the array ends inside it, or without its ]")
            self._fill()

    def _check_end(self, close: int) -> None:
        self._fill_wholly_from(close)
        if self._buffer[self._low : self._low + 1] != b"]":
            self._fail(self._count, "} where the array may end with ]")
        if skip_white(self._buffer, self._low + 1, self._end) < self._end:
            raise RestrictionsError(f"{self._name}: something follows the array's end. Remove it; nothing was matched.")

    def _fill_wholly_from(self, low: int) -> None:
        self._low = low
        self._fill_wholly()

    def _read_document(self) -> None:
        """One document: its array at `at`, or itself as the only restriction."""
        self._fill_wholly()
        text = bytes(self._buffer[self._low : self._end])
        try:
            value = parse(text)
            if self._at is None:
                if not isinstance(value, dict):
                    raise Damage("invalid_json", "neither an array, nor an object, nor JSON Lines")
                self._add(text.strip(b" \t\r\n"))
                return
            low = locate(
                self._buffer,
                self._low,
                self._end,
                KeyPath.parse(self._at),
            )
        except Damage as damage:
            offset = self._skipped + damage.offset
            raise RestrictionsError(
                f"{self._name}: {damage.message} (byte {offset}). Expected a JSON array, JSON Lines or one"
                " object; check the file, --restrictions-at and --restrictions-format."
            ) from None
        framed = frame_elements(np.frombuffer(self._buffer, np.uint8), low, self._end)
        starts, ends = whole_elements(framed, first=True)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            self._add(bytes(self._buffer[start:end]))

    # Entries

    def _text_key(self, low: int, high: int) -> None:
        """Text: every line is a string key, without its line end only; an empty one is a key as well."""
        lines = bytes(self._buffer[low:high]).split(b"\n")
        if lines and not lines[-1]:
            lines.pop()
        for line in lines:
            try:
                text = line.removesuffix(b"\r").decode("utf-8")
            except UnicodeDecodeError:
                self._fail(self._count, "bytes that are not UTF-8")
            self._key(text)

    def _json_key(self, low: int, high: int) -> None:
        lines = frame_lines(np.frombuffer(self._buffer, np.uint8), low, high)
        for start, end, number in zip(lines.starts.tolist(), lines.ends.tolist(), lines.numbers.tolist(), strict=True):
            self._add(bytes(self._buffer[start:end]), line=self._lines + number + 1)
        self._lines += lines.newlines

    @property
    def _count(self) -> int:
        return len(self._builder) + len(self._keys)

    def _add(self, text: bytes, line: int | None = None) -> None:
        """Take one entry: an object with the key, or a string that is the key."""
        try:
            value = parse(text)
        except Damage as damage:
            self._fail(self._count, f"{damage.message} (byte {damage.offset} of the entry)", line)
        if isinstance(value, str) and not isinstance(value, NumberText):
            if len(self._pairs) > 1:
                self._fail(self._count, "is a string, and the key has several parts", line)
            self._key(value)
            return
        if not isinstance(value, dict):
            self._fail(self._count, "is neither an object nor a string", line)
        key = record_key(value, self._paths)
        if key is None:
            missing = ", ".join(f'"{shown(path.text)}"' for path in self._paths)
            self._fail(self._count, f"has no key {missing}", line)
        for path in self._paths:
            found = path.find(value)
            self._builder.note_kinds(numbers=_has_number(found), containers=isinstance(found, (dict, list)))
        self._push(key)

    def _key(self, text: str) -> None:
        self._push(canonical(text))

    def _push(self, key: bytes) -> None:
        self._keys.append(key)
        if len(self._keys) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        self._builder.add(self._keys)
        self._keys = []

    def _fail(self, entry: int, found: str, line: int | None = None) -> NoReturn:
        where = f"entry {entry}" + (f" (line {line})" if line is not None else "")
        raise RestrictionsError(
            f"{self._name}: {where} {found}. Remove or mend it, or name another key with --key; nothing was matched."
        )


def _has_number(value: Any) -> bool:
    """Whether a value is or contains a number; without recursion, as it may be 500 levels deep."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, NumberText):
            return True
        if isinstance(each, (dict, list)):
            pending += each.values() if isinstance(each, dict) else each
    return False
