"""`Matcher`: all that one task or call needs to turn inputs into parts; and `match_bytes`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Unpack

import numpy as np

from linkmatch_ray.arguments import wrong_type
from linkmatch_ray.core.codecs import open_source
from linkmatch_ray.core.damage import Corrupt, NeedsMemory
from linkmatch_ray.core.index import RestrictionIndex
from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.core.options import PART_BYTES_MAX, MatchKeywords, MatchOptions
from linkmatch_ray.core.outcome import Counts, Entry, Outcome
from linkmatch_ray.core.pack import OTHER, Pack, groups, match_joined
from linkmatch_ray.core.parts import Part, fault_part
from linkmatch_ray.core.restriction_list import RestrictionList
from linkmatch_ray.core.stream import match_stream
from linkmatch_ray.core.verdicts import Judge
from linkmatch_ray.core.window import WINDOW_BYTES, Buffers, Source

WINDOW_BYTES_MIN: Final = 1 << 12
"""Minimum size of the buffer of `match_bytes`, in bytes. It takes no more than its input needs."""


class Matcher:
    """A matcher of inputs against one index. It must not be shared between threads. Only its buffer is costly.

    Args:
        memory: Bytes that a file of a pack may hold at once, beyond what any may; None for no limit.
    """

    def __init__(
        self,
        paths: tuple[KeyPath, ...],
        index: RestrictionIndex,
        options: MatchOptions,
        buffers: Buffers | None = None,
        *,
        part_bytes: int = PART_BYTES_MAX,
        memory: int | None = None,
    ) -> None:
        self._memory = memory
        self._index, self._options, self._part_bytes = index, options, part_bytes
        self._judge = Judge(paths, index, options)
        self.buffers = buffers or Buffers()

    def stream(self, source: Source, path: bytes, **where: Any) -> Iterator[Part]:
        """Matches one input, or a range of one; `where` is as in `match_stream`. If the input turns out to be corrupt,
        the last part is the fault that stands for all of it."""
        try:
            yield from match_stream(
                source,
                self._judge,
                self._index,
                self._options,
                self.buffers,
                path=path,
                part_bytes=self._part_bytes,
                **where,
            )
        except Corrupt as corrupt:
            found = corrupt.damage
            entry = Entry(0, None, 0, corrupt.nbytes, found.reason, found.message)
            yield fault_part(where.get("file", 0), 0, entry)
        except NeedsMemory as needs:
            raise NeedsMemory(needs.nbytes, where["file"]) from None

    def pack(self, buffer: bytearray, pack: Pack, paths: list[bytes]) -> Iterator[Part]:
        """Matches many small files that lie in one buffer; `paths` are theirs, in order."""
        for shape, group in groups(buffer, pack, self._options):
            low = group.file - pack.file
            yield from self._group(buffer, shape, group, paths[low : low + len(group)])

    def _group(self, buffer: bytearray, shape: int, pack: Pack, paths: list[bytes]) -> Iterator[Part]:
        if shape != OTHER and len(pack) > 1:
            part = match_joined(buffer, shape, pack, self._judge, self._options)
            if part is not None:
                yield part
                return
            middle = len(pack) // 2
            yield from self._group(buffer, shape, pack.slice(0, middle), paths[:middle])
            yield from self._group(buffer, shape, pack.slice(middle, len(pack)), paths[middle:])
            return
        spans = zip(pack.starts.tolist(), pack.ends.tolist(), paths, strict=True)
        for file, (start, end, path) in enumerate(spans, pack.file):
            source = _source(memoryview(buffer)[start:end], self._options, self._memory)
            yield from self.stream(source, path, file=file)


class _Memory:
    """A raw stream over bytes, without a copy of them."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data, self._at = memoryview(data), 0

    def readinto(self, view: memoryview) -> int:
        data = self._data[self._at : self._at + len(view)]
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def read_at(self, view: memoryview, offset: int) -> int:
        data = self._data[offset : offset + len(view)]
        view[: len(data)] = data
        return len(data)

    def read(self, size: int) -> bytes:
        data = bytes(self._data[self._at : self._at + size])
        self._at += len(data)
        return data

    def seek(self, offset: int) -> None:
        self._at = offset


def _source(data: bytes | bytearray | memoryview, options: MatchOptions, memory: int | None = None) -> Source:
    return open_source(_Memory(data), len(data), options.max_inflation, salvage=options.salvage, memory=memory)


def match_bytes(
    data: bytes | bytearray | memoryview,
    restrictions: RestrictionList,
    options: MatchOptions | None = None,
    **more: Unpack[MatchKeywords],
) -> Outcome:
    """Matches one input that is in memory: JSON values, plain or compressed.

    The outcome's `entries` have what cannot be read; nothing is raised for it.

    Args:
        options, more: As `MatchOptions`, as one value or by name.

    Raises:
        UsageError: An option is out of range, or is not a known one.
        TypeError: An argument is of another type.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise wrong_type("data", data, "Give the input itself, as bytes: text.encode(), or Path(name).read_bytes().")
    if not isinstance(getattr(restrictions, "index", None), RestrictionIndex):
        raise wrong_type("restrictions", restrictions, "Load the list once with Restrictions.load, and give that.")
    options, index = MatchOptions.of(options, **more), restrictions.index
    window_bytes = min(WINDOW_BYTES, max(len(data), WINDOW_BYTES_MIN))
    matcher = Matcher(restrictions.paths, index, options, Buffers(window_bytes))
    matched: list[bytes] = []
    unmatched: list[bytes] = []
    entries: list[Entry] = []
    hits: dict[int, int] = {}
    counts = Counts()
    for part in matcher.stream(_source(data, options), options.name.encode("utf-8", "surrogateescape")):
        matched += part.matched
        unmatched += part.unmatched
        for piece in part.pieces:
            if piece.fault is not None:
                return Outcome(b"", b"", (piece.fault,), piece.counts, {})
            counts.add(piece.counts)
            entries += piece.entries
            for distinct, times in np.frombuffer(piece.hits, "<i8").reshape(-1, 2).tolist():
                for restriction in index.restrictions_of(distinct).tolist():
                    hits[restriction] = hits.get(restriction, 0) + times
    return Outcome(b"".join(matched), b"".join(unmatched), tuple(entries), counts, hits)
