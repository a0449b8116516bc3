"""A list of lines as objects, `matched/part-<where it begins>-<writer>.jsonl`: in the order of their names they are it.

Where the bytes of an object begin is in its name, and so is the number of its writer. Of several that begin at the
same place that of the newest writer counts; what no other leads to does not: it was never committed, or was cut off.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from linkmatch_ray.io.object_names import Part, part_name, part_of, staged_name
from linkmatch_ray.io.storage.side_by_side import side_by_side
from linkmatch_ray.io.storage.store import AT_ONCE, Store, store_of

OBJECT_BYTES: Final = 64 << 20
"""Lines that pass through the collector are put into objects of this size, or less, about."""

STAGED_BYTES_MIN: Final = 4 << 20
"""Output of a part that is larger is written by the task itself."""


@dataclass(frozen=True, slots=True)
class Staged:
    """Bytes `start..stop` of an object that a task has written, `size` bytes long; sliced as bytes are."""

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
        """Whether it is all of the object."""
        return len(self) == self.size

    def read(self) -> bytes:
        """The bytes."""
        return store_of(self.url).get(self.name, self.start, self.stop)


def stage(url: str, content: bytes) -> Staged:
    """Write a part of an output where it does not count yet; for the collector to copy."""
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
        sizes: The objects of the output, by name, and what others put beside them.
        writers: The numbers of all writers are below this. What another has written is not looked at.
    """

    def __init__(self, store: Store, sizes: Mapping[str, int], writers: int) -> None:
        self.store = store
        found: dict[int, Segment] = {}
        self.strays: list[str] = []
        parts = [part for name in sizes if (part := part_of(name)) is not None and part.writer < writers]
        for part in sorted(parts):
            name = part_name(part)
            if part.start in found:
                self.strays.append(found[part.start].name)
            found[part.start] = Segment(part.start, sizes[name], name)
        self.segments: list[Segment] = []
        while self.end in found:
            self.segments.append(found.pop(self.end))
        self.strays += [segment.name for segment in found.values()]

    @property
    def end(self) -> int:
        """Bytes in all."""
        return self.segments[-1].start + self.segments[-1].size if self.segments else 0

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes at `offset`."""
        contents = []
        place = bisect_right(self.segments, offset, key=lambda segment: segment.start) - 1
        while size > 0 and 0 <= place < len(self.segments):
            segment = self.segments[place]
            start = offset - segment.start
            content = (
                self.store.get(segment.name, start, min(segment.size, start + size)) if start < segment.size else b""
            )
            contents.append(content)
            offset, size, place = offset + len(content), size - len(content), place + 1
        return b"".join(contents)


class SegmentedOutput:
    """One output, to write to; see `Output`."""

    def __init__(self, store: Store, folder: str, writer: int) -> None:
        self._store, self._folder, self._writer = store, folder, writer
        self._segments = Segments(store, store.list(folder), writer + 1)
        self._pending: list[Any] = []
        self._copied: list[str] = []  # what tasks wrote, and was copied at the last sync
        self.unsynced = 0

    def size(self) -> int:
        """As `Output`."""
        return self._segments.end

    def read(self, offset: int, size: int) -> bytes:
        """As `Output`."""
        return self._segments.read(offset, size)

    def write(self, contents: Sequence[Any], offset: int) -> int:
        """As `Output`; nothing is written before `sync`."""
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
        """As `Output`: make objects of what was written, several at a time.

        What they were copied from goes at the next call: before the ledger has them it may be asked for again.
        """
        self._store.delete(self._copied)
        self._copied = [
            content.name for content in self._pending if isinstance(content, Staged) and content.stop == content.size
        ]
        end, made, jobs = self.size(), [], []

        def make(size: int, do: Callable[..., None], *args: Any) -> None:
            nonlocal end
            name = part_name(Part(self._folder, end, self._writer))
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
            else:  # some files of a part that was done again may be there already, and only the rest is wanted
                lines.append(content.read() if isinstance(content, Staged) else content)
        if lines:
            make(sum(map(len, lines)), put, lines)
        for _ in side_by_side(lambda job: job[0](*job[1:]), jobs, AT_ONCE):
            pass
        self._segments.segments += made
        self._pending, self.unsynced = [], 0

    def truncate(self, size: int) -> None:
        """As `Output`. Of an object that goes beyond, the rest is written anew first."""
        segments = self._segments
        beyond = [segment for segment in segments.segments if segment.start >= size]
        segments.segments = segments.segments[: len(segments.segments) - len(beyond)]
        if segments.end > size:
            cut = segments.segments.pop()
            name = part_name(Part(self._folder, cut.start, self._writer))
            self._store.put(name, self._store.get(cut.name, 0, size - cut.start))
            segments.segments.append(Segment(cut.start, size - cut.start, name))
            beyond += [cut] if cut.name != name else []
        self._store.delete([segment.name for segment in beyond])
        segments.strays = []

    def close(self) -> None:
        """As `Output`."""


def _joined(before: bytes | Staged, content: Staged) -> Staged | None:
    """Two pieces of an object as one, where they follow each other."""
    if isinstance(before, Staged) and (before.name, before.stop) == (content.name, content.start):
        return Staged(content.url, content.name, before.start, content.stop, content.size)
    return None


class SegmentsReader(io.RawIOBase):
    """All of an output as one file to read from."""

    def __init__(self, segments: Segments) -> None:
        self._segments, self._at = segments, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._segments.end}[whence]
        return self._at

    def readinto(self, view: Any) -> int:
        """Read up to the length of `view`; 0 at the end."""
        content = self._segments.read(self._at, len(view))
        view[: len(content)] = content
        self._at += len(content)
        return len(content)
