"""The seam: bytes in; record bounds, key hashes and doubts out. One function, `Scanner.scan`, with one caller.

fastsimdjson validates the text and finds the keys, xxh3 hashes them, and NumPy finds the boundaries. Guards cover what
these libraries do differently from the contract. Each guard names the *records* whose hash cannot be trusted, and the
exact path reads these:

    NaN, Infinity     simdjson takes them as numbers; they are searched as text
    twice-named keys  simdjson gives the first, the contract says the last; names are counted
    deep nesting      simdjson goes to 1,024 levels; brackets are counted in long records
    floats            simdjson rounds them to doubles; they matter only if a restriction has a number
    structure         two values on a line, a value over two lines: the whole window is refused

A refused window (None) has no verdicts at all. The caller cuts it in two and scans the halves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from secrets import token_hex
from typing import Any, Final

import fastsimdjson
import numpy as np
import numpy.typing as npt
import orjson
import stringzilla

from linkmatch_ray.core.exact import DEPTH_MAX
from linkmatch_ray.core.index import RestrictionIndex, UInt64s, hash_bytes, hash_key
from linkmatch_ray.core.keys import MISSING, KeyPath
from linkmatch_ray.core.structure import (
    BACKSLASH,
    CLOSE_BRACE,
    CLOSE_BRACKET,
    OPEN_BRACE,
    OPEN_BRACKET,
    QUOTE,
    STRIDE_BYTES,
    Int64s,
    Lines,
    UInt8s,
    ascending,
    find_elements,
    guess_elements,
    positions,
    set_bytes,
)

_ABSENT: Final = f"linkmatch: no such member {token_hex(16)}"
"""Stands for a missing key in simdjson's answers. Its 128 random bits occur in no input."""

ABSENT_HASH: Final = hash_bytes(_ABSENT.encode())
"""The hash in `Scan.hashes` of a record without the key."""

_LONG_RECORD_BYTES: Final = 2 * DEPTH_MAX
"""A record needs an opening and a closing bracket a level, so that a shorter one cannot be too deep."""

_get = fastsimdjson.Object.get


@dataclass(slots=True)
class Scan:
    """The findings in one window.

    Attributes:
        starts, ends: Where the records lie in the buffer, without white space around them.
        numbers: Physical line of each record from the window's first, for lines; None for elements.
        hashes: Hash of each record's canonical key; `ABSENT_HASH` if it has none.
        doubts: Ascending places of the records whose hash cannot be trusted.
        newlines: Newlines in the window, for lines; 0 for elements.
    """

    starts: Int64s
    ends: Int64s
    numbers: Int64s | None
    hashes: UInt64s
    doubts: Int64s
    newlines: int


class Scanner:
    """A scanner of windows for one set of key paths and one index. It must not be shared between threads."""

    def __init__(self, paths: tuple[KeyPath, ...], index: RestrictionIndex) -> None:
        self._paths = paths
        pointers = [path.pointer for path in paths]
        self._fields: Any = pointers[0] if len(pointers) == 1 else pointers
        self._name = paths[0].tokens[0] if len(paths) == 1 and len(paths[0].tokens) == 1 else None
        # Types of values that simdjson may not give exactly, or orjson may not write canonically, and that may equal a
        # restriction. If the list has none of a type, the hashes of that type do not matter.
        self._inexact: set[type] = {float} if index.has_numbers else set()
        self._inexact |= {dict, list} if index.has_containers else set()
        self._composite = len(paths) > 1
        self._mixed = False  # whether a key was met that is not a string
        self._names = tuple(dict.fromkeys(token for path in paths for token in path.tokens))
        self._plain_names = all(name.isascii() and name.replace("_", "").isalnum() for name in self._names)
        self._escapes = _escapes_that_spell(self._names)
        self._mask = np.empty(STRIDE_BYTES, dtype=bool)
        self._mask2 = np.empty(STRIDE_BYTES, dtype=bool)
        self._lower = np.empty(STRIDE_BYTES, dtype=np.uint8)

    def scan(self, buffer: bytearray, low: int, high: int, lines: Lines | None = None) -> Scan | None:
        """Scans `buffer[low:high]`: these lines, or whole elements of an array without its brackets.

        For elements, the call overwrites the bytes at `low - 1` and `high`, and restores them. Returns None if the
        window is not plainly valid. Then nothing is known of its records.
        """
        data = np.frombuffer(buffer, np.uint8)
        found = self._lines(buffer, data, lines, low, high) if lines else self._elements(buffer, data, low, high)
        if found is None:
            return None
        doubts = [found.doubts, self._not_numbers(data, found, low, high), self._too_deep(data, found)]
        doubts.append(self._otherwise_last(buffer, found, ascending(self._twice_named(data, found, low, high))))
        if sum(map(len, doubts)):
            found.doubts = ascending(np.concatenate(doubts))
        return found

    def keys(self, buffer: bytearray, starts: Int64s, ends: Int64s) -> list[bytes]:
        """Returns the canonical keys of records that have one and that `scan` had no doubt of."""
        view = memoryview(buffer)
        spans = zip(starts.tolist(), ends.tolist(), strict=True)
        records = b"\n".join([view[start:end] for start, end in spans])
        values = fastsimdjson.loads_many(records, fields=self._fields, default=_ABSENT)
        return [(_composite_key(value) if self._composite else _plain_key(value)) or b"" for value in values]

    def _lines(self, buffer: bytearray, data: UInt8s, lines: Lines, low: int, high: int) -> Scan | None:
        count = len(lines.starts)
        # A newline between `}` and `{` cannot be inside a value, because no JSON value has the two side by side. If
        # every line begins and ends like this, and there are as many values as lines, each line is one value.
        if not ((data[lines.starts] == OPEN_BRACE).all() and (data[lines.ends - 1] == CLOSE_BRACE).all()):
            return None
        if not count:
            return Scan(lines.starts, lines.ends, lines.numbers, np.empty(0, np.uint64), lines.starts, lines.newlines)
        window = memoryview(buffer)[low:high]
        hashed = self._hash(lambda: fastsimdjson.loads_many(window, fields=self._fields, default=_ABSENT))
        if hashed is None or len(hashed[0]) != count:
            return None
        return Scan(lines.starts, lines.ends, lines.numbers, *hashed, lines.newlines)

    def _elements(self, buffer: bytearray, data: UInt8s, low: int, high: int) -> Scan | None:
        before, after = buffer[low - 1], buffer[high]
        buffer[low - 1], buffer[high] = OPEN_BRACKET, CLOSE_BRACKET
        try:
            hashed = self._hash(lambda: self._element_keys(memoryview(buffer)[low - 1 : high + 1]))
        finally:
            buffer[low - 1], buffer[high] = before, after
        if hashed is None:
            return None
        starts, ends = guess_elements(data, low, high)
        if len(starts) != len(hashed[0]):
            framed = find_elements(data, low, high)
            starts, ends = framed.starts, framed.ends
            if framed.close < 0 and framed.rest < high:
                starts = np.append(starts, framed.rest)
                last = len(memoryview(buffer)[framed.rest : high].tobytes().rstrip(b" \t\n\r"))
                ends = np.append(ends, framed.rest + last)
            if len(starts) != len(hashed[0]):
                return None
        return Scan(starts, ends, None, *hashed, 0)

    def _element_keys(self, array: memoryview) -> Iterator[Any]:
        """Returns the key of each element; raises TypeError if one is not an object."""
        elements = fastsimdjson.parse(array)
        if not isinstance(elements, fastsimdjson.Array):  # simdjson refused the text, and Python's json did not
            raise ValueError
        if self._name is not None:
            return map(_get, elements, repeat(self._name), repeat(_ABSENT))
        if any(type(element) is not fastsimdjson.Object for element in elements):
            raise ValueError
        keys: Iterator[Any] = fastsimdjson.loads_many(array, format="array", fields=self._fields, default=_ABSENT)
        return keys

    def _hash(self, keys: Any) -> tuple[UInt64s, Int64s] | None:
        """Hashes all keys, and returns which of the hashes to doubt; None if the text is not valid.

        It is one pipeline of C calls that drops each key before the next comes: a third faster than with a list.
        """
        no_doubts = np.empty(0, np.int64)
        if not self._composite and not self._mixed:
            try:
                return np.fromiter(map(hash_bytes, map(str.encode, keys())), np.uint64), no_doubts
            except TypeError:
                self._mixed = True  # some key is not a string: the next windows need not try
            except _NOT_PLAIN:
                pass
        try:
            values = list(keys())
        except _NOT_PLAIN:
            return None
        try:
            if not self._composite and self._inexact.isdisjoint(map(type, values)):
                bare = (value.encode() if type(value) is str else orjson.dumps(value) for value in values)
                return np.fromiter(map(hash_bytes, bare), np.uint64, len(values)), no_doubts
        except _NOT_PLAIN:
            pass
        plain = map(_composite_key if self._composite else _plain_key, values)
        texts = [*plain]
        doubts = np.array([place for place, text in enumerate(texts) if text is None], np.int64)
        hashes = np.fromiter((hash_key(text or b"") for text in texts), np.uint64, len(texts))
        return hashes, doubts

    def _not_numbers(self, data: UInt8s, found: Scan, low: int, high: int) -> Int64s:
        """Finds records with the text `nan` or `inf` in any case, where it may be a token.

        The cheap part comes first, on every byte: two letters a step apart, and the one between. Of what is left, the
        byte before the word must be one that can come before a number.
        """
        hits = []
        for start in range(low, high, STRIDE_BYTES - 2):
            stride = data[start : min(start + STRIDE_BYTES, high)]
            length = len(stride) - 2
            if length <= 0:
                break
            lower = np.bitwise_or(stride, 0x20, out=self._lower[: length + 2])
            is_n = np.equal(lower, 0x6E, out=self._mask[: length + 2])
            match = np.equal(lower[1:-1], 0x61, out=self._mask2[:length])
            match &= is_n[2:]
            match &= is_n[:-2]
            if match.any():
                hits.append(np.flatnonzero(match) + start)
            match = np.equal(lower[2:], 0x66, out=self._mask2[:length])
            match &= is_n[1:-1]
            if match.any():
                at = np.flatnonzero(match)
                hits.append(at[lower[at] == 0x69] + start)
        if not hits:
            return found.starts[:0]
        at = np.concatenate(hits)
        at = at[_BEFORE_NUMBER[data[np.maximum(at - 1, low)]]]
        return _records_at(found, at)

    def _too_deep(self, data: UInt8s, found: Scan) -> Int64s:
        """Finds long records with more opening brackets than the allowed levels."""
        long = np.flatnonzero(found.ends - found.starts > _LONG_RECORD_BYTES)
        if not len(long):
            return long
        counts = [
            int(np.count_nonzero(data[start:end] | 0x20 == OPEN_BRACE))
            for start, end in zip(found.starts[long].tolist(), found.ends[long].tolist(), strict=True)
        ]
        return long[np.array(counts) > DEPTH_MAX]

    def _twice_named(self, data: UInt8s, found: Scan, low: int, high: int) -> Int64s:
        """Finds records in which a name of the key occurs twice or may be spelt with escapes."""
        if not self._plain_names:
            return np.arange(len(found.starts))
        present = len(found.hashes) - int(np.count_nonzero(found.hashes == ABSENT_HASH))
        doubts = [self._escaped_names(data, found, low, high)]
        for name in self._names:
            quoted = b'"' + name.encode() + b'"'
            count = stringzilla.count(data.data[low:high], quoted, allowoverlap=True)
            if count == present and len(self._names) == 1 and not len(doubts[0]):
                continue  # no name is spelt with escapes, so a record with the key has its name at least once
            at = self._find_name(data, quoted, low, high)
            records = np.searchsorted(found.starts, at, side="right") - 1
            doubts.append(ascending(records[1:][records[1:] == records[:-1]]))
        return np.concatenate(doubts)

    def _otherwise_last(self, buffer: bytearray, found: Scan, places: Int64s) -> Int64s:
        """Returns the places where the last member of the key's name does not give the key that was found.

        Most often the name occurs again deeper in the record, or as a value, and the key is right. simdjson reads the
        whole record to tell, at a quarter of the cost of the exact path.
        """
        if not len(places):
            return places
        view = memoryview(buffer)
        starts, ends = found.starts[places], found.ends[places]
        texts = [view[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        try:
            records = list(fastsimdjson.loads_many(b"\n".join(texts)))
        except _NOT_PLAIN:
            return places
        if len(records) != len(places):
            return places
        firsts = self.keys(buffer, starts, ends)
        differ = [self._last_key(record) != (first or None) for record, first in zip(records, firsts, strict=True)]
        left: Int64s = places[np.array(differ)]
        return left

    def _last_key(self, record: Any) -> bytes:
        """Returns the canonical key of a parsed record; b"" if it may not be exact."""
        values = [_ABSENT if (value := path.find(record)) is MISSING else value for path in self._paths]
        return (_composite_key(tuple(values)) if self._composite else _plain_key(values[0])) or b""

    def _find_name(self, data: UInt8s, quoted: bytes, low: int, high: int) -> Int64s:
        """Returns where a quoted name occurs. Compares both quotes and the first letter on every byte, and the rest on
        what is left."""
        tail = len(quoted) - 1
        parts = []
        for start in range(low, high - tail, STRIDE_BYTES):
            length = min(STRIDE_BYTES, high - tail - start)
            stride = data[start : start + length + tail]
            mask = np.equal(stride[:length], QUOTE, out=self._mask[:length])
            mask &= np.equal(stride[1 : length + 1], quoted[1], out=self._mask2[:length])
            mask &= np.equal(stride[tail : tail + length], QUOTE, out=self._mask2[:length])
            parts.append(set_bytes(self._mask, length) + start)
        at = np.concatenate(parts) if parts else np.empty(0, np.int64)
        for offset in range(2, tail):
            at = at[data[at + offset] == quoted[offset]]
        return at

    def _escaped_names(self, data: UInt8s, found: Scan, low: int, high: int) -> Int64s:
        r"""Finds records with a `\u00XX` that stands for a letter of one of the names."""
        if high - low <= 5 or stringzilla.find(data.data[low:high], b"\\u00") < 0:
            return found.starts[:0]
        slashes = positions(data, low, high - 5, BACKSLASH)
        slashes = slashes[(data[slashes + 1] == 0x75) & (data[slashes + 2] == 0x30) & (data[slashes + 3] == 0x30)]
        codes = data[slashes + 4].astype(np.int64) * 256 + data[slashes + 5]
        return _records_at(found, slashes[np.isin(codes, self._escapes)])


_NOT_PLAIN: Final = (ValueError, TypeError, RecursionError)
"""What the libraries raise for text that they do not take as valid JSON, or for a value that orjson does not write."""

_BEFORE_NUMBER: Final = np.zeros(256, dtype=bool)
_BEFORE_NUMBER[[*b" \t\n\r:,[-+0123456789"]] = True
"""Digits too, because simdjson takes `00nan` for a number."""


def _plain_key(value: Any) -> bytes | None:
    """Returns the canonical key of a value that simdjson gives exactly; None for one that it may not."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        try:
            return orjson.dumps(value)
        except TypeError:  # beyond 64 bits, or a lone surrogate
            return None
    return None


def _composite_key(values: tuple[Any, ...]) -> bytes | None:
    """Returns the canonical key of several values, as `_plain_key`; that of a missing key if any is missing."""
    if _ABSENT in values:
        return orjson.dumps(_ABSENT)
    texts = [_plain_key(value) for value in values]
    return None if None in texts else b"[" + b",".join(text for text in texts if text is not None) + b"]"


def _records_at(found: Scan, at: Int64s) -> Int64s:
    return ascending(np.searchsorted(found.starts, at, side="right") - 1) if len(at) else at


def _escapes_that_spell(names: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Returns the last two digits, as 256 * first + second byte, of every escape for a letter of the names."""
    spellings = set()
    for letter in {letter for name in names for letter in name if letter.isascii()}:
        digits = f"{ord(letter):02x}"
        spellings |= {
            first + second for first in {digits[0], digits[0].upper()} for second in {digits[1], digits[1].upper()}
        }
    return np.array(sorted(ord(s[0]) * 256 + ord(s[1]) for s in spellings), np.int64)
