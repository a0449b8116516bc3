"""A preview of a job, without Ray: it matches the beginnings of some inputs for some seconds.

Each input is read and matched as by a task. If the time is over or enough was read, the input is cut off after the last
whole record. The cut is not an entry.
"""

from __future__ import annotations

import io
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import dataclass, field
from typing import Any, Final, cast

import numpy as np

from linkmatch_ray.core.codecs import open_source
from linkmatch_ray.core.damage import Damage, DamageReason
from linkmatch_ray.core.layouts.detection import text_start
from linkmatch_ray.core.layouts.table import layout_of
from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.core.outcome import Counts
from linkmatch_ray.core.pack import Pack
from linkmatch_ray.core.parts import Part
from linkmatch_ray.core.raw import Raw
from linkmatch_ray.core.window import Source, fill
from linkmatch_ray.io.diagnosis.hints import FILES_MAX as HINT_FILES_MAX
from linkmatch_ray.io.diagnosis.hints import hints
from linkmatch_ray.io.inputs.archives.member import is_near
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.inputs.packing import SMALL_FILE_BYTES, Packs
from linkmatch_ray.io.restrictions.restrictions import Restrictions
from linkmatch_ray.io.storage.side_by_side import Pool
from linkmatch_ray.runtime.jobs.plan import PlanOptions, Unit
from linkmatch_ray.runtime.jobs.worker import TaskSettings, Work

FILES_MAX: Final = 100
FILE_BYTES_MAX: Final = 16 << 20
"""Maximum bytes that are read of one input, decompressed."""

READ_SECONDS: Final = 2.0
"""Time limit for reading."""

LAST_SECONDS: Final = 1.0
"""Time limit for matching what was read by then."""

AT_ONCE: Final = 8
"""Number of inputs that are read at a time. Each may be far away."""

WINDOW_BYTES: Final = 1 << 20
"""Size of a window. The clock is checked after each."""

HEAD_BYTES: Final = 1 << 18
"""Bytes of each input from which its layout and its members are found."""

_CUT: Final = cast(DamageReason, "cut")
"""The reason that marks a cut, which is not an entry."""


@dataclass(slots=True)
class Preview:
    """The findings of a preview.

    Attributes:
        files: Number of inputs that were read, in part or whole.
        bytes_read: Bytes of inputs that were read, as stored.
        shapes: Number of inputs by layout and compression.
        reasons: Number of entries by reason.
        seconds: Duration of the preview.
        cpu_seconds: CPU time of all its threads.
        seconds_about: Estimated duration of the job; None if nothing was read.
    """

    files: int = 0
    bytes_read: int = 0
    shapes: Counter[str] = field(default_factory=Counter)
    counts: Counts = field(default_factory=Counts)
    reasons: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    hints: list[str] = field(default_factory=list)
    seconds_about: float | None = None

    @property
    def with_key(self) -> int:
        """Number of records that have the key."""
        return self.counts.records - self.counts.missing_key - self.counts.not_object

    def as_dict(self) -> dict[str, Any]:
        """Returns the preview for JSON."""
        return {
            "files": self.files,
            "bytes_read": self.bytes_read,
            "shapes": dict(self.shapes.most_common()),
            "with_key": self.with_key,
            **self.counts.as_dict(),
            "reasons": dict(sorted(self.reasons.items())),
            "hints": self.hints,
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "seconds_about": self.seconds_about and round(self.seconds_about, 3),
        }

    def expect(self, nbytes: int, longest: int, workers: int) -> None:
        """Estimates the duration of the job: the largest of its work, its longest task, and its waiting.

        Args:
            nbytes: Bytes of the whole job, as stored.
            longest: Bytes of its longest task.
        """
        if self.bytes_read:
            work = self.cpu_seconds / self.bytes_read
            waiting = max(0.0, self.seconds - self.cpu_seconds) / self.bytes_read
            self.seconds_about = max(work * nbytes / workers, work * longest, waiting * nbytes)


def preview(files: list[InputFile], restrictions: Restrictions, options: MatchOptions) -> Preview:
    """Reads and matches the beginnings of some inputs, for `READ_SECONDS` and at most `LAST_SECONDS` more.

    Raises:
        JobError: The machine has run out of something.
    """
    sample = _sample(files)
    small = [file for file in sample if file.size <= SMALL_FILE_BYTES]
    groups = [small] * bool(small) + [[file] for file in sample if file.size > SMALL_FILE_BYTES]
    tally = _Tally(options)
    settings = TaskSettings(restrictions.paths, options, PlanOptions(part_bytes=WINDOW_BYTES))
    slice_seconds = READ_SECONDS * AT_ONCE / max(len(groups), 1)
    began = time.monotonic()

    def look(group: list[InputFile]) -> None:
        until = min(time.monotonic() + slice_seconds, began + READ_SECONDS)
        _Look(restrictions, settings, tally, until).at(group)

    pool = Pool(AT_ONCE)
    looking = [pool.submit(look, group) for group in groups]
    wait(looking, READ_SECONDS)
    pool.close()
    wait(looking, LAST_SECONDS)
    found, beginnings = tally.close()
    found.seconds = min(time.monotonic() - began, READ_SECONDS + LAST_SECONDS)
    for done in looking:
        if done.done() and not done.cancelled():
            done.result()
    counts = found.counts
    faults = Counter(file.reason or "unreadable" for file in files if file.fault is not None)
    found.reasons += faults  # which the listing has found, in all files
    counts.entries += faults.total()
    found.hints = hints(beginnings, restrictions, counts.records, counts.matched, counts.missing_key, options)
    return found


def _sample(files: list[InputFile]) -> list[InputFile]:
    """Returns inputs from everywhere in the job, spread by number and by bytes. They are shuffled, because the time
    limit may cut the list."""
    readable = [file for file in files if file.fault is None and file.size > 0 and is_near(file, FILE_BYTES_MAX)]
    if not readable:
        return []
    ends = np.cumsum([file.size for file in readable])
    by_number = np.linspace(0, len(readable) - 1, FILES_MAX // 2).astype(np.int64)
    by_bytes = np.searchsorted(ends, np.linspace(0, ends[-1] - 1, FILES_MAX // 2).astype(np.int64), side="right")
    sample = [readable[number] for number in sorted({*by_number.tolist(), *by_bytes.tolist()})]
    random.Random(0).shuffle(sample)
    return sample


class _Tally:
    """The sums over what several threads find. After `close` a thread that is still reading changes nothing."""

    def __init__(self, options: MatchOptions) -> None:
        self._options, self._lock, self._is_closed = options, threading.Lock(), False
        self._found = Preview()
        self._beginnings: list[bytes] = []

    def add(self, part: Part, bytes_read: int, cpu_seconds: float) -> None:
        """Adds a part that was matched, and what it cost."""
        entries = [entry for piece in part.pieces for entry in ((piece.fault,) if piece.fault else piece.entries)]
        reasons = Counter(entry.reason for entry in entries)
        with self._lock:
            if self._is_closed:
                return
            found = self._found
            for piece in part.pieces:
                found.counts.add(piece.counts)
            found.counts.entries -= reasons.pop(_CUT, 0)
            found.reasons += reasons
            found.bytes_read += bytes_read
            found.cpu_seconds += cpu_seconds

    def note(self, compression: str | None, content: bytes, *, is_all: bool) -> None:
        """Adds an input: its compression, and the beginning of its content."""
        shape = _layout(content, self._options, is_all=is_all) + (f", {compression}" if compression else "")
        with self._lock:
            if self._is_closed:
                return
            self._found.files += 1
            self._found.shapes[shape] += 1
            if len(self._beginnings) < HINT_FILES_MAX:
                self._beginnings.append(content)

    def close(self) -> tuple[Preview, list[bytes]]:
        """Returns the findings, and the beginnings of the first inputs."""
        with self._lock:
            self._is_closed = True
            return self._found, self._beginnings


def _layout(content: bytes, options: MatchOptions, *, is_all: bool) -> str:
    """Returns the layout of an input, as `--format` calls it."""
    try:
        text_start(content)
    except Damage:
        return "not UTF-8"
    if not content.strip():
        return "blank"
    found = layout_of(content, options, is_all=is_all)
    return "values" if found is None else found.name


class _Enough(Exception):  # noqa: N818 - an outcome of reading, not a failure
    """Raised to stop reading a document, of which nothing is known before its end."""


class _Look(Work):
    """The work of a task on some inputs, but only on the beginning of a large one."""

    def __init__(self, restrictions: Restrictions, settings: TaskSettings, tally: _Tally, until: float) -> None:
        super().__init__(restrictions.index, settings)
        self._tally, self._until = tally, until
        self._beginning: _Beginning | None = None

    def at(self, files: list[InputFile]) -> None:
        """Reads and matches one large input, or some small ones."""
        is_large = files[0].size > SMALL_FILE_BYTES
        unit = Unit(0, len(files), sum(file.size for file in files), end=FILE_BYTES_MAX if is_large else None)
        cpu, read = time.thread_time(), 0

        def add(part: Part, bytes_read: int) -> None:
            nonlocal cpu, read
            now = time.thread_time()
            self._tally.add(part, bytes_read - read, now - cpu)
            cpu, read = now, bytes_read

        try:
            for part in self.parts(unit, files):
                last = part.pieces[-1]
                done = sum(file.size for file in files[: last.file + last.files])
                add(part, self._beginning.bytes_read if self._beginning is not None else done)
                if time.monotonic() > self._until and not is_large:
                    return
        except _Enough:
            assert self._beginning is not None
            add(Part(), self._beginning.bytes_read)

    def _packs(self, first: int, files: list[InputFile]) -> Packs:
        for found in super()._packs(first, files):
            if isinstance(found, Pack):
                self._note(found)
            yield found

    def _note(self, pack: Pack) -> None:
        for start, end in zip(pack.starts.tolist(), pack.ends.tolist(), strict=True):
            source = open_source(io.BytesIO(bytes(self._buffer[start:end])), salvage=True)
            content = memoryview(bytearray(HEAD_BYTES))
            size, _ = fill(source, content)
            self._tally.note(source.compression, bytes(content[:size]), is_all=size < HEAD_BYTES)

    def _memory(self, unit: Unit) -> None:
        """Sets no limit: little is read of each file."""

    def _source(self, raw: Raw, file: InputFile, unit: Unit) -> _Beginning:
        counted = _Counted(raw)
        options = self._settings.options
        source = open_source(counted, file.size, options.max_inflation, salvage=options.salvage)

        def note(content: bytes, is_all: bool) -> None:
            self._tally.note(source.compression, content, is_all=is_all)

        self._beginning = _Beginning(source, counted, self._settings.options, self._until, note)
        return self._beginning


class _Counted:
    """A raw stream that counts the bytes read."""

    def __init__(self, raw: Raw) -> None:
        self._raw, self.nbytes = raw, 0

    def readinto(self, view: memoryview) -> int:
        count = self._raw.readinto(view) or 0
        self.nbytes += count
        return count

    def read(self, size: int) -> bytes:
        data = self._raw.read(size) or b""
        self.nbytes += len(data)
        return data

    def seek(self, offset: int) -> None:
        self._raw.seek(offset)


class _Beginning:
    """A source that ends like a damaged one if enough was read or the time is over. The first read always succeeds."""

    def __init__(
        self,
        source: Source,
        counted: _Counted,
        options: MatchOptions,
        until: float,
        note: Callable[[bytes, bool], None],
    ) -> None:
        self._source, self._counted, self._options, self._until = source, counted, options, until
        self._note: Callable[[bytes, bool], None] | None = note
        self._content, self._size = bytearray(), 0

    @property
    def bytes_read(self) -> int:
        """Bytes read so far, as stored."""
        return self._counted.nbytes

    def readinto(self, view: memoryview) -> int:
        """Reads as `Source.readinto` does.

        Raises:
            _Enough: The end is reached, and the input may be a single document.
        """
        if self._size >= FILE_BYTES_MAX or (self._size and time.monotonic() > self._until):
            if self._options.format == "object":
                raise _Enough
            raise Damage(_CUT, "")
        count = self._source.readinto(view[: FILE_BYTES_MAX - self._size])
        self._content += view[: min(count, HEAD_BYTES - len(self._content))]
        self._size += count
        if self._note is not None and (not count or len(self._content) == HEAD_BYTES):
            self._note(bytes(self._content), not count)
            self._note = None
        return count
