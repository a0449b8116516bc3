"""The kernel from Python: what is looked for, and a reading of one input in windows."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from linkmatch_ray.native import library as native
from linkmatch_ray.native.paths import PathTree
from linkmatch_ray.native.steps import Step

UInt8s = npt.NDArray[np.uint8]
UInt32s = npt.NDArray[np.uint32]
UInt64s = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]

LINES, VALUES = 0, 1
FILTER_KEYS: Final = 4
"""Keys to a word of the filter, 2 to 4 on average. So 2 % at most of the keys that are not on the list go on to the
search."""

DIRECTORY_KEYS: Final = 4
"""Keys to a bucket of the directory, 2 to 4 on average: one or two steps to search, and 1 to 2 bytes a key."""


class Kind(IntEnum):
    """What a record is; 1 is what core calls a match, which is for the hits to say."""

    KEYED, MISSING, NOT_OBJECT, DAMAGED, DOUBTED = 0, 2, 3, 4, 5


class Status(IntEnum):
    """Why a call stopped."""

    MORE, FULL, DONE, DAMAGE, MISUSE = range(5)


class Damage(IntEnum):
    """What stopped a reading of values."""

    NONE, GRAMMAR, TOO_DEEP, TRUNCATED, SCALAR = range(5)


class Place(IntEnum):
    """Where a reading can be begun."""

    TOP, BEHIND, ELEMENT_FIRST, ELEMENT, ELEMENT_NEXT = 0, 1, 5, 6, 7


class Flag(IntFlag):
    """What a reading takes, what it doubts, and where it ends."""

    ARRAYS_ARE_RECORDS, COMMA_MAY_FOLLOW, RS_IS_WHITE, DOUBT_NUMBERS, DOUBT_CONTAINERS, ONE_ARRAY = 1, 2, 4, 8, 16, 32


@dataclass(frozen=True, slots=True)
class KeyIndex:
    """The list as the kernel looks it up: distinct canonical keys, sorted by their hashes.

    Attributes:
        filter, filter_shift: A word for each value of a hash's top bits, in which each hash sets two bits.
        directory, directory_shift: Place of the first hash that has each value of the top bits, and the end.
        hashes: The hashes.
        starts, ends: Where each key's canonical bytes are in `blob`.
    """

    filter: UInt64s
    filter_shift: int
    directory: UInt32s
    directory_shift: int
    hashes: UInt64s
    starts: Int64s
    ends: Int64s
    blob: UInt8s


def filter_of(hashes: UInt64s) -> tuple[UInt64s, int]:
    """Returns `filter` and `filter_shift` of a `KeyIndex`."""
    shift = 64 - max(1, (len(hashes) // FILTER_KEYS).bit_length())
    words = np.zeros(1 << (64 - shift), np.uint64)
    one, last = np.uint64(1), np.uint64(63)
    for bit in (hashes & last, hashes >> np.uint64(6) & last):
        np.bitwise_or.at(words, (hashes >> np.uint64(shift)).astype(np.int64), one << bit)
    return words, shift


def directory_of(hashes: UInt64s) -> tuple[UInt32s, int]:
    """Returns `directory` and `directory_shift` of a `KeyIndex`."""
    bits = max(1, (len(hashes) // DIRECTORY_KEYS).bit_length())
    firsts = np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
    return np.append(np.searchsorted(hashes, firsts), len(hashes)).astype(np.uint32), 64 - bits


class Kernel:
    """What is looked for. Several readings may share it, in several threads too."""

    def __init__(
        self,
        paths: Sequence[Sequence[Step]],
        index: KeyIndex | None = None,
        *,
        mode: int = LINES,
        flags: int = 0,
        level: str | None = None,
        library: ctypes.CDLL | None = None,
    ) -> None:
        self.library = library or native.library()
        self.tree = PathTree(paths)
        self._index = index
        self.config = native.Config(
            nodes=self.tree.nodes,
            names=self.tree.names,
            node_count=len(self.tree.nodes),
            slot_count=self.tree.count,
            mode=mode,
            flags=flags,
            level=native.LEVELS.index(level or native.chosen_level(self.library)),
        )
        if index is not None:
            columns = (index.filter, index.hashes, index.directory, index.starts, index.ends, index.blob)
            shifts = (index.filter_shift, index.directory_shift)
            self._packed = native.Index(*(column.ctypes.data for column in columns), *shifts, len(index.hashes))
            self.config.index = ctypes.pointer(self._packed)


class Reading:
    """A reading of one input, and the columns that it writes: views of them are good until the next `scan`."""

    def __init__(self, kernel: Kernel, capacity: int, key_capacity: int | None = None) -> None:
        self._kernel = kernel
        keys = capacity if key_capacity is None else key_capacity
        slots = kernel.tree.count
        self._columns: dict[str, npt.NDArray[Any]] = {
            **{name: np.empty(capacity, np.uint32) for name in ("starts", "ends", "lines")},
            "kinds": np.empty(capacity, np.uint8),
            **{name: np.empty((keys, slots), np.uint32) for name in ("key_starts", "key_ends")},
            "hashes": np.empty(keys, np.uint64),
            **{name: np.empty(keys, np.uint32) for name in ("key_records", "hit_rows", "hit_places")},
        }
        self.state = native.State()
        self.output = native.Output(capacity=capacity, key_capacity=keys)
        for name, column in self._columns.items():
            if name != "key_records" or kernel.tree.has_star:  # else row i is that of record i
                setattr(self.output, name, column.ctypes.data)
        self._pointers = tuple(map(ctypes.byref, (kernel.config, self.state, self.output)))
        self.begin()

    def begin(self, at: int = 0, place: Place = Place.TOP) -> None:
        """Begins at an offset of the input."""
        self._kernel.library.lm_begin(self._pointers[1], at, place)

    def scan(self, address: int, base: int, length: int, *, is_last: bool) -> Status:
        """Reads on in a window of `length` bytes at a memory address, which is at `base` in the input."""
        output = self.output
        output.count = output.key_count = output.hit_count = 0
        config, state, columns = self._pointers
        return Status(self._kernel.library.lm_scan(config, state, address, base, length, is_last, columns))

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Returns a column of `lm_output`, as far as the last `scan` wrote it."""
        output = self.output
        if name in ("starts", "ends", "lines", "kinds"):
            return self._columns[name][: output.count]
        return self._columns[name][: output.hit_count if name in ("hit_rows", "hit_places") else output.key_count]


def hash_key(key: bytes) -> int:
    """Hashes one canonical key."""
    hash_: int = native.library().lm_hash(key, len(key))
    return hash_


def hash_keys(blob: UInt8s, ends: Int64s) -> UInt64s:
    """Hashes canonical keys that lie one behind the other."""
    hashes = np.empty(len(ends), np.uint64)
    native.library().lm_hash_many(blob.ctypes.data, ends.ctypes.data, len(ends), hashes.ctypes.data)
    return hashes


def copy_spans(data: UInt8s, starts: Int64s, ends: Int64s) -> UInt8s:
    """Copies spans of some data, one behind the other.

    Raises:
        ValueError: A span is not in the data.
    """
    if len(starts) and not (starts.min() >= 0 and (starts <= ends).all() and ends.max() <= len(data)):
        raise ValueError("a span is not in the data")
    starts, ends = np.ascontiguousarray(starts, np.int64), np.ascontiguousarray(ends, np.int64)
    copied = np.empty(int((ends - starts).sum()), np.uint8)
    native.library().lm_copy_many(
        data.ctypes.data, starts.ctypes.data, ends.ctypes.data, len(starts), copied.ctypes.data
    )
    return copied
