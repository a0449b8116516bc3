"""An output as objects (segments), `matched/part-<its start>-<writer>.jsonl`. In the order of their names they are the
output.

A segment's name has the place where its bytes begin, and the number of its writer. If several begin at the same place,
that of the newest writer counts. A segment without another one before it does not count: it was never committed, or was
cut off.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from linkmatch_ray.io.object_names import SegmentName, segment_name, segment_of, staged_name
from linkmatch_ray.io.storage.side_by_side import side_by_side
from linkmatch_ray.io.storage.store import AT_ONCE, Store, store_of

OBJECT_BYTES: Final = 64 << 20
"""Approximate maximum size of the segments that the collector writes, in bytes."""

STAGED_BYTES_MIN: Final = 4 << 20
"""A task itself writes the output of a part from this size on, in bytes."""


@dataclass(frozen=True, slots=True)
class Staged:
    """Bytes `start..stop` of an object that a task has written, `size` bytes long. It is sliced as bytes are."""

    url: str
    name: str
    start: int
    stop: int
    size: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, place: slice) -> Staged:
        start, stop, _ = place.indices(len(self))
        return Staged(self.url, self.name, self.start + start, self.start + max(start, stop), self.size)

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole object."""
        return len(self) == self.size

    def read(self) -> bytes:
        """Reads the bytes."""
        return store_of(self.url).get(self.name, self.start, self.stop)


def stage(url: str, content: bytes) -> Staged:
    """Writes a part of an output where it does not count yet, for the collector to copy."""
    name = staged_name()
    store_of(url).put(name, content)
    return Staged(url, name, 0, len(content), len(content))


@dataclass(frozen=True, slots=True)
class Segment:
    """An object that counts."""

    start: int
    size: int
    name: str


class Segments:
    """The objects of one output that count, without a gap from the first byte on, and the others.

    Args:
        sizes: The objects of the output, by name, and others beside them.
        writers: The numbers of all writers are below this. Objects of other writers are ignored.
    """

    def __init__(self, store: Store, sizes: Mapping[str, int], writers: int) -> None:
        self.store = store
        found: dict[int, Segment] = {}
        self.strays: list[str] = []
        counted = [each for name in sizes if (each := segment_of(name)) is not None and each.writer < writers]
        for each in sorted(counted):
            name = segment_name(each)
            if each.start in found:
                self.strays.append(found[each.start].name)
            found[each.start] = Segment(each.start, sizes[name], name)
        self.segments: list[Segment] = []
        while self.end in found:
            self.segments.append(found.pop(self.end))
        self.strays += [segment.name for segment in found.values()]

    @property
    def end(self) -> int:
        """Bytes in all."""
        return self.segments[-1].start + self.segments[-1].size if self.segments else 0

    def read(self, offset: int, size: int) -> bytes:
        """Returns up to `size` bytes at `offset`."""
        contents = []
        place = bisect_right(self.segments, offset, key=lambda segment: segment.start) - 1
        while size > 0 and 0 <= place < len(self.segments):
            segment = self.segments[place]
            start = offset - segment.start
            stop = min(segment.size, start + size)
            content = self.store.get(segment.name, start, stop) if start < stop else b""
            contents.append(content)
            offset, size, place = offset + len(content), size - len(content), place + 1
        return b"".join(contents)


class SegmentedOutput:
    """One output, for writing; see `Output`."""

    def __init__(self, store: Store, folder: str, writer: int) -> None:
        self._store, self._folder, self._writer = store, folder, writer
        self._segments = Segments(store, store.list(folder), writer + 1)
        self._pending: list[Any] = []
        self._copied: list[str] = []  # objects of tasks that the last sync copied
        self.unsynced = 0

    def size(self) -> int:
        return self._segments.end

    def read(self, offset: int, size: int) -> bytes:
        return self._segments.read(offset, size)

    def write(self, contents: Sequence[Any], offset: int) -> int:
        """Holds the contents. Nothing is written before `sync`."""
        for content in filter(len, contents):
            offset += len(content)
            if not isinstance(content, Staged):
                self._pending.append(bytes(content))
                self.unsynced += len(content)
            elif self._pending and (before := _joined(self._pending[-1], content)) is not None:
                self._pending[-1] = before
            else:
                self._pending.append(content)
        return offset

    def sync(self) -> None:
        """Makes segments of the held contents, several at a time.

        The next call removes the objects that they were copied from. Until the ledger has the segments, the driver may
        offer these again.
        """
        self._store.delete(self._copied)
        self._copied = [
            content.name for content in self._pending if isinstance(content, Staged) and content.stop == content.size
        ]
        end, made, jobs = self.size(), [], []

        def make(size: int, do: Callable[..., None], *args: Any) -> None:
            nonlocal end
            name = segment_name(SegmentName(self._folder, end, self._writer))
            jobs.append((do, *args, name))
            made.append(Segment(end, size, name))
            end += size

        def put(lines: list[bytes], name: str) -> None:
            self._store.put(name, b"".join(lines))

        lines: list[bytes] = []
        for content in self._pending:
            held = sum(map(len, lines))
            copied = isinstance(content, Staged) and content.is_whole
            if lines and (copied or held >= OBJECT_BYTES):
                make(held, put, lines)
                lines = []
            if copied:
                make(len(content), self._store.copy, content.name)
            else:  # a retried part may be wanted only in part, because some of its files are committed
                lines.append(content.read() if isinstance(content, Staged) else content)
        if lines:
            make(sum(map(len, lines)), put, lines)
        for _ in side_by_side(lambda job: job[0](*job[1:]), jobs, AT_ONCE):
            pass
        self._segments.segments += made
        self._pending, self.unsynced = [], 0

    def truncate(self, size: int) -> None:
        """Removes what lies beyond `size`. If a segment crosses it, the rest of that is written as a new one first."""
        segments = self._segments
        beyond = [segment for segment in segments.segments if segment.start >= size]
        segments.segments = segments.segments[: len(segments.segments) - len(beyond)]
        if segments.end > size:
            cut = segments.segments.pop()
            name = segment_name(SegmentName(self._folder, cut.start, self._writer))
            self._store.put(name, self._store.get(cut.name, 0, size - cut.start))
            segments.segments.append(Segment(cut.start, size - cut.start, name))
            beyond += [cut] if cut.name != name else []
        self._store.delete([segment.name for segment in beyond])
        segments.strays = []

    def close(self) -> None:
        """Does nothing, because it holds no connection."""


def _joined(before: bytes | Staged, content: Staged) -> Staged | None:
    """Joins two slices of an object if they follow each other."""
    if isinstance(before, Staged) and (before.name, before.stop) == (content.name, content.start):
        return Staged(content.url, content.name, before.start, content.stop, content.size)
    return None


class SegmentsReader(io.RawIOBase):
    """All of an output as one file, for reading."""

    def __init__(self, segments: Segments) -> None:
        self._segments, self._at = segments, 0

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to a byte."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._segments.end}[whence]
        return self._at

    def readinto(self, view: Any) -> int:
        """Reads up to the length of `view`; returns 0 at the end."""
        content = self._segments.read(self._at, len(view))
        view[: len(content)] = content
        self._at += len(content)
        return len(content)
