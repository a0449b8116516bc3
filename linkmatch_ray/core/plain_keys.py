"""Keys of many records at once, if their text is canonical. A list has up to millions of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.core.scan import BETWEEN, RECORDS_MAX
from linkmatch_ray.core.structure import CLOSE_BRACKET, Int64s, UInt8s
from linkmatch_ray.native.kernel import (
    LINES,
    VALUES,
    Flag,
    Kernel,
    Kind,
    Place,
    Reading,
    Status,
    UInt64s,
    copy_spans,
    hash_keys,
)

_NUMBERS: Final = np.frombuffer(b"-0123456789", np.uint8)
"""First bytes of numbers."""


@dataclass(slots=True)
class PlainKeys:
    """The keys of some records.

    Attributes:
        blob: Their texts, one behind the other.
        ends: Where each ends in `blob`.
        hashes: The hash of each.
        others: Places of the records whose key is not certain. What the columns have of them means nothing.
        has_numbers: Some of the certain keys are numbers.
    """

    blob: UInt8s
    ends: Int64s
    hashes: UInt64s
    others: Int64s
    has_numbers: bool


class KeyFinder:
    """A finder of keys of one path in sound records that follow one another."""

    def __init__(self, path: KeyPath) -> None:
        doubts = Flag.DOUBT_NUMBERS | Flag.DOUBT_CONTAINERS
        self._lines, self._elements = (
            Reading(Kernel([path.tokens], mode=mode, flags=doubts | flags), RECORDS_MAX)
            for mode, flags in ((LINES, BETWEEN), (VALUES, Flag.ONE_ARRAY))
        )

    def find(self, buffer: bytearray, starts: Int64s, ends: Int64s, *, are_elements: bool) -> PlainKeys | None:
        """Returns the keys of records that are lines, or elements of one array; None if they are neither.

        Args:
            starts, ends: Bounds of the records in the buffer. One byte behind the last is free to be changed meanwhile.
        """
        low, high = int(starts[0]), int(ends[-1])
        behind = buffer[high]
        if are_elements:
            buffer[high] = CLOSE_BRACKET
        try:
            columns = self._read(buffer, low, high + are_elements, are_elements=are_elements)
        finally:
            buffer[high] = behind
        if columns is None or not np.array_equal(columns[0], starts) or not np.array_equal(columns[1], ends):
            return None
        _, _, kinds, key_starts, key_ends, hashes = columns
        is_keyed = kinds == Kind.KEYED
        key_ends[~is_keyed] = key_starts[~is_keyed] = low
        data = np.frombuffer(buffer, np.uint8)
        blob = copy_spans(data, key_starts, key_ends)
        lasts = np.cumsum(key_ends - key_starts)
        # The kernel hashes what is canonical. So the text is, if it has the same hash.
        is_plain = is_keyed & (hash_keys(blob, lasts) == hashes)
        firsts = data[key_starts[is_plain]]
        has_numbers = bool(np.isin(firsts, _NUMBERS).any())
        return PlainKeys(blob, lasts, hashes, np.flatnonzero(~is_plain), has_numbers)

    def _read(self, buffer: bytearray, low: int, high: int, *, are_elements: bool) -> list[Any] | None:
        """Returns columns of the records: bounds, kinds, bounds of the keys, and their hashes."""
        reading = self._elements if are_elements else self._lines
        reading.begin(low, Place.ELEMENT if are_elements else Place.TOP)
        address = np.frombuffer(buffer, np.uint8).ctypes.data + low
        parts, status = [], Status.FULL
        while status == Status.FULL:
            status = reading.scan(address, low, high - low, is_last=True)
            names = ("starts", "ends", "key_starts", "key_ends")
            starts, ends, key_starts, key_ends = (reading[name].reshape(-1).astype(np.int64) + low for name in names)
            parts.append((starts, ends, reading["kinds"].copy(), key_starts, key_ends, reading["hashes"].copy()))
        if status != Status.DONE:
            return None
        return [np.concatenate(column) for column in zip(*parts, strict=True)]
