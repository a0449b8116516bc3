"""What runs in a worker: match one unit, give its parts. No side effects; a bad file is an outcome."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from linkmatch_ray.core.index import RestrictionIndex
from linkmatch_ray.core.inflate import Plain, is_compressed, open_source
from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.core.matcher import Matcher
from linkmatch_ray.core.outcome import FAULT_PART, Counts, Entry, MatchOptions, Piece
from linkmatch_ray.core.pack import Extent
from linkmatch_ray.core.stream import LOW, WINDOW_BYTES, WINDOW_BYTES_MIN, Buffers, Part
from linkmatch_ray.io.inputs import InputFile
from linkmatch_ray.io.ledger import Key
from linkmatch_ray.io.reader import Changed, FileReader, changed_entry, unreadable_entry
from linkmatch_ray.runtime.plan import SMALL_FILE_BYTES, PlanOptions, Span


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """What all tasks of a job have in common; put once."""

    paths: tuple[KeyPath, ...]
    options: MatchOptions
    plan: PlanOptions


@dataclass(frozen=True, slots=True)
class PartHeader:
    """What the driver needs to know of a part: little, so that it comes without a fetch.

    Attributes:
        first, last: Keys of its first and last piece.
        whole: No further part of the last piece's range follows.
        nbytes: Bytes of output.
        counts, input_bytes: Sums, for progress.
    """

    first: Key
    last: Key
    whole: bool
    nbytes: int
    counts: Counts
    input_bytes: int


@dataclass(frozen=True, slots=True)
class PartBody:
    """A part as it travels: each output in chunks, as NumPy arrays, which Ray hands over without a copy."""

    pieces: list[Piece]
    matched: list[npt.NDArray[np.uint8]]
    unmatched: list[npt.NDArray[np.uint8]]


CHUNK_BYTES_MIN: Final = 1 << 18
"""Chunks shorter than this on the average are joined: each costs some microseconds on its way."""

# One buffer a worker process, used again by every task: fresh pages for each would cost a fifth of the speed.
_buffers: Buffers | None = None
_pack_buffer: bytearray | None = None


def match_unit(
    spans: tuple[Span, ...],
    files: tuple[InputFile, ...],
    index: RestrictionIndex,
    settings: TaskSettings,
) -> Iterator[Any]:
    """The parts of a unit, each as a `PartHeader` and then a `PartBody`; `files` are those of `spans`."""
    part = Part()
    for more in _Unit(index, settings).parts(spans, files):
        part.pieces += more.pieces
        part.matched += more.matched
        part.unmatched += more.unmatched
        if sum(piece.input_bytes for piece in part.pieces) >= settings.plan.part_bytes or not more.pieces[-1].last:
            yield from _sealed(part)
            part = Part()
    if part.pieces:
        yield from _sealed(part)


def _sealed(part: Part) -> Iterator[Any]:
    counts, input_bytes = Counts(), 0
    for piece in part.pieces:
        counts.add(piece.counts)
        input_bytes += piece.input_bytes
    first, last = part.pieces[0], part.pieces[-1]
    yield PartHeader(
        Key(first.file, first.range, first.part),
        Key(last.file, last.range, last.part),
        last.last,
        part.nbytes,
        counts,
        input_bytes,
    )
    yield PartBody(
        part.pieces,
        [np.frombuffer(chunk, np.uint8) for chunk in _joined(part.matched)],
        [np.frombuffer(chunk, np.uint8) for chunk in _joined(part.unmatched)],
    )


def _joined(chunks: list[bytes]) -> list[bytes]:
    """Small chunks joined to one; large ones are not worth a copy."""
    return chunks if sum(map(len, chunks)) > CHUNK_BYTES_MIN * len(chunks) else [b"".join(chunks)]


class _Unit:
    def __init__(self, index: RestrictionIndex, settings: TaskSettings) -> None:
        global _buffers, _pack_buffer
        window_bytes = max(WINDOW_BYTES_MIN, min(WINDOW_BYTES, settings.plan.part_bytes))  # a part is whole windows
        if _buffers is None or _buffers.window_bytes != window_bytes:
            _buffers = Buffers(window_bytes)
        _pack_buffer = _pack_buffer or bytearray(LOW + WINDOW_BYTES + LOW)
        self._buffer = _pack_buffer
        self._matcher = Matcher(settings.paths, index, settings.options, _buffers, part_bytes=settings.plan.part_bytes)

    def parts(self, spans: tuple[Span, ...], files: tuple[InputFile, ...]) -> Iterator[Part]:
        """Parts in the order of the spans."""
        extents: list[Extent] = []
        names: list[bytes] = []
        end = LOW
        for span, file in zip(spans, files, strict=True):
            packed = len(spans) > 1 and file.fault is None and file.size <= SMALL_FILE_BYTES
            if extents and (not packed or end + file.size + LOW > len(self._buffer)):
                yield from self._matcher.pack(self._buffer, extents, names)
                extents, names, end = [], [], LOW
            if not packed:
                yield from self._one(span, file)
                continue
            fault = self._read(file, end)
            if fault is None:
                extents.append(Extent(span.file, end, end + file.size))
                names.append(file.name)
                end += file.size
                self._buffer[end] = 0x0A
                end += 1
                continue
            yield from self._matcher.pack(self._buffer, extents, names)
            extents, names, end = [], [], LOW
            yield _fault(span, fault)
        yield from self._matcher.pack(self._buffer, extents, names)

    def _read(self, file: InputFile, at: int) -> Entry | None:
        """Read a small file wholly into the buffer."""
        try:
            with FileReader(file) as raw:
                got = Plain(raw).readinto(memoryview(self._buffer)[at : at + file.size])
                raw.check()
                return changed_entry(file) if got != file.size else None
        except Changed:
            return changed_entry(file)
        except OSError as error:
            return unreadable_entry(file, error.strerror or str(error))

    def _one(self, span: Span, file: InputFile) -> Iterator[Part]:
        """A file, or a range of one, by itself; a fault found late stands for all of it."""
        if file.fault is not None:
            yield _fault(span, unreadable_entry(file, file.fault))
            return
        try:
            with FileReader(file) as raw:
                head = raw.head()
                if span.start:
                    raw.seek(span.start - 1)
                source = open_source(raw, b"" if span.start or not is_compressed(head) else head)
                where = {"file": span.file, "range_": span.range, "start": span.start, "stop": span.stop}
                for part in self._matcher.stream(source, file.name, **where):
                    if part.pieces[-1].last:
                        raw.check()
                    yield part
        except Changed:
            yield _fault(span, changed_entry(file))
        except OSError as error:
            yield _fault(span, unreadable_entry(file, error.strerror or str(error)))


def _fault(span: Span, entry: Entry) -> Part:
    return Part([Piece(file=span.file, range=span.range, part=FAULT_PART, fault=entry, counts=Counts(entries=1))])
