"""The restrictions as one flat, read-only index: built once, put once, shared by every task without a copy.

    filter      two bits a hash in the word that its top bits name; answers "surely not" for most records
    directory   where the hashes with given top bits begin
    hashes      sorted 64-bit hashes of the distinct canonical keys, by the kernel's hash; of one hash, by their bytes
    starts, ends    where each key's canonical bytes are in `blob`
    members     the restrictions of each distinct key, in order (CSR: `member_offsets`), by their places in the list

Equality is decided by the canonical bytes, never by the hash: two keys with one hash are two entries.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xxhash

from linkmatch_ray.native.kernel import KeyIndex, directory_of, filter_of, hash_key, hash_keys

UInt8s = npt.NDArray[np.uint8]
UInt64s = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]

INDEX_VERSION: Final = b"2"
"""Changes if the same list gives an index in another order. Ledgers name keys by their places in it."""

KEYS_AT_ONCE: Final = 4096
"""Keys that go into the index at a time."""

NOT_FOUND: Final = -1


@dataclass(frozen=True, slots=True)
class RestrictionIndex(KeyIndex):
    """The build side of the semi-join; the module describes the arrays.

    Attributes:
        has_numbers: Some key is or contains a number, so that a record's float needs the exact path.
        has_containers: Some key is an array or object. A composite key is not.
        content_hash: Changes if any key, or its place in the list, changes. A resumed job is compared by it.
        left_out: Number of entries of the list that have no key and are not in the index.
    """

    members: Int64s
    member_offsets: Int64s
    has_numbers: bool
    has_containers: bool
    content_hash: str
    left_out: int

    @property
    def restrictions(self) -> int:
        """Number of restrictions, repeats included."""
        return len(self.members)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays: what one node holds."""
        arrays = (self.filter, self.directory, self.hashes, self.starts, self.ends, self.blob, self.members)
        return sum(array.nbytes for array in arrays) + self.member_offsets.nbytes

    def find(self, key: bytes) -> int:
        """Returns the distinct key that has exactly these canonical bytes, or `NOT_FOUND`."""
        wanted = np.uint64(hash_key(key))
        low, high = (int(np.searchsorted(self.hashes, wanted, side)) for side in ("left", "right"))
        place = low + bisect_left(range(low, high), key, key=self.key)
        return place if place < high and self.key(place) == key else NOT_FOUND

    def key(self, distinct: int) -> bytes:
        """Returns the canonical bytes of a distinct key."""
        return self.blob[self.starts[distinct] : self.ends[distinct]].tobytes()

    def restrictions_of(self, distinct: int) -> Int64s:
        """Returns the restrictions that have this key, ascending."""
        return self.members[self.member_offsets[distinct] : self.member_offsets[distinct + 1]]


class IndexBuilder:
    """A builder of the index from canonical keys, given in the order of the restrictions."""

    def __init__(self) -> None:
        self._blob = bytearray()
        self._ends = _Growing(np.int64)
        self._hashes = _Growing(np.uint64)
        self._pending: list[bytes] = []
        self._gaps, self._left_out = _Growing(np.int64), _Growing(np.int64)  # keys before each, and entries in it
        self._entries = 0
        self._has_numbers = False
        self._has_containers = False

    def __len__(self) -> int:
        return self._entries

    def push(self, key: bytes) -> None:
        """Appends a key, as `add` does."""
        self._entries += 1
        self._pending.append(key)
        if len(self._pending) == KEYS_AT_ONCE:
            self._flush()

    def leave_out(self, count: int = 1) -> None:
        """Passes over entries that have no key. The entries behind them keep their places in the list."""
        self._entries += count
        self._gaps.extend(np.array([self._ends.size + len(self._pending)]))
        self._left_out.extend(np.array([count]))

    def add(self, keys: Iterable[bytes]) -> None:
        """Appends keys that are strings, booleans or null, or whose kinds `note_kinds` has noted."""
        self._flush()
        keys = list(keys)
        self._entries += len(keys)
        self._append(keys)

    def extend(self, blob: UInt8s, ends: Int64s, hashes: UInt64s) -> None:
        """Appends keys that lie one behind the other, with their hashes, as `add` does."""
        self._flush()
        self._entries += len(ends)
        self._ends.extend(len(self._blob) + ends)
        self._hashes.extend(hashes)
        self._blob += blob.data

    def _flush(self) -> None:
        keys, self._pending = self._pending, []
        self._append(keys)

    def _append(self, keys: list[bytes]) -> None:
        ends = np.cumsum(np.fromiter(map(len, keys), np.int64, len(keys)))
        joined = b"".join(keys)
        self._ends.extend(len(self._blob) + ends)
        self._hashes.extend(hash_keys(np.frombuffer(joined, np.uint8), ends))
        self._blob += joined

    def note_kinds(self, *, numbers: bool = False, containers: bool = False) -> None:
        """Notes that keys with numbers, or that are arrays or objects, are among those added."""
        self._has_numbers |= numbers
        self._has_containers |= containers

    def build(self) -> RestrictionIndex:
        """Sorts the keys, folds repeats into one entry each, and makes the filter.

        Meanwhile it takes about 60 bytes a restriction beside the keys' own bytes.
        """
        self._flush()
        blob = np.frombuffer(bytes(self._blob), np.uint8)
        self._blob = bytearray()
        ends, hashes = self._ends.take(), self._hashes.take()
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1])) if len(ends) else ends
        content = xxhash.xxh3_128(INDEX_VERSION)
        content.update(blob.data)
        content.update(ends.tobytes())
        gaps, moved = self._gaps_among(len(ends))
        content.update(gaps.tobytes())
        content.update(moved[1:].tobytes())
        order = np.argsort(hashes, kind="stable")
        hashes, starts, ends = hashes[order], starts[order], ends[order]
        first = _first_of_equal(hashes, starts, ends, blob, order)
        heads = np.flatnonzero(first)
        distinct = hashes[heads]
        filter_, filter_shift = filter_of(distinct)
        directory, directory_shift = directory_of(distinct)
        return RestrictionIndex(
            filter=filter_,
            filter_shift=filter_shift,
            directory=directory,
            directory_shift=directory_shift,
            hashes=distinct,
            starts=starts[heads],
            ends=ends[heads],
            blob=blob,
            members=order + moved[np.searchsorted(gaps, order, side="right")] if len(gaps) else order,
            member_offsets=np.append(heads, len(order)).astype(np.int64),
            has_numbers=self._has_numbers,
            has_containers=self._has_containers,
            content_hash=content.hexdigest(),
            left_out=self._entries - len(ends),
        )

    def _gaps_among(self, keys: int) -> tuple[Int64s, Int64s]:
        """Returns the keys before which entries were left out, and how many in all: before any, the first, the second
        and so on."""
        gaps, left_out = self._gaps.take(), np.cumsum(self._left_out.take())
        counts = np.append(gaps[1:] > gaps[:-1], True)[: len(gaps)] & (gaps < keys)  # the last of several at one place
        return gaps[counts], np.append(0, left_out[counts])


def _first_of_equal(
    hashes: UInt64s, starts: Int64s, ends: Int64s, blob: npt.NDArray[np.uint8], order: Int64s
) -> npt.NDArray[np.bool_]:
    """Returns which places begin a run of equal keys; reorders a run in place if different keys share a hash."""
    first = np.ones(len(hashes), dtype=bool)
    first[1:] = hashes[1:] != hashes[:-1]
    view = blob.data
    collided = False
    for place in np.flatnonzero(~first).tolist():
        a, b = slice(starts[place - 1], ends[place - 1]), slice(starts[place], ends[place])
        if view[a] != view[b]:
            collided = True
    if collided:
        _separate(starts, ends, view, order, first)
    return first


def _separate(starts: Int64s, ends: Int64s, view: memoryview, order: Int64s, first: npt.NDArray[np.bool_]) -> None:
    """Groups each run of one hash by key, and keeps the order of the restrictions within a key."""
    bounds = np.append(np.flatnonzero(first), len(first)).tolist()
    for low, high in pairwise(bounds):
        texts = [view[starts[i] : ends[i]].tobytes() for i in range(low, high)]
        if len(set(texts)) == 1:
            continue
        by_key = sorted(range(low, high), key=lambda i: (texts[i - low], order[i]))
        for array in (starts, ends, order):
            array[low:high] = array[by_key]
        for place in range(low + 1, high):
            first[place] = texts[by_key[place - low] - low] != texts[by_key[place - low - 1] - low]


class _Growing:
    """A one-dimensional array that grows by doubling, so that millions of entries are never Python objects."""

    def __init__(self, dtype: Any) -> None:
        self._array = np.empty(1024, dtype)
        self.size = 0

    def extend(self, values: npt.NDArray[Any]) -> None:
        needed = self.size + len(values)
        if needed > len(self._array):
            self._array.resize(max(needed, 2 * len(self._array)), refcheck=False)
        self._array[self.size : needed] = values
        self.size = needed

    def take(self) -> npt.NDArray[Any]:
        self._array.resize(self.size, refcheck=False)
        return self._array
