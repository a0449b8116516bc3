"""The task of a worker: it matches one unit and yields its parts. It writes nothing but staged parts, and a bad file
is an outcome and not an error."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from linkmatch_ray.core.codecs import Plain, open_source
from linkmatch_ray.core.index import RestrictionIndex
from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.core.matcher import Matcher
from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.core.outcome import Piece
from linkmatch_ray.core.pack import Pack
from linkmatch_ray.core.parts import Part, fault_part
from linkmatch_ray.core.raw import Raw
from linkmatch_ray.core.window import LOW, WINDOW_BYTES, WINDOW_BYTES_MIN, Buffers, Source
from linkmatch_ray.io.inputs.archives.member import packed_in
from linkmatch_ray.io.inputs.file import InputFile, unpack_files
from linkmatch_ray.io.inputs.opening import Opener
from linkmatch_ray.io.inputs.packing import Packs, packs
from linkmatch_ray.io.inputs.reader import changed_entry, unreadable_entry
from linkmatch_ray.io.ledger.ledger import Key
from linkmatch_ray.io.results.segments import STAGED_BYTES_MIN, Staged, stage
from linkmatch_ray.io.storage.errors import Changed
from linkmatch_ray.io.storage.system_errors import blame_the_machine, reported_as_job_errors
from linkmatch_ray.io.storage.urls import is_url
from linkmatch_ray.runtime.jobs.heartbeat import BEAT_SECONDS_MAX, with_heartbeat
from linkmatch_ray.runtime.jobs.plan import PlanOptions, Unit
from linkmatch_ray.words import shown


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """The settings that all tasks of a job share, in one object of Ray's.

    Attributes:
        staging: URL where tasks write large parts themselves; None if all parts go to the collector.
        beat_seconds: Interval in which a task that waits for a server reports that bytes still come.
    """

    paths: tuple[KeyPath, ...]
    options: MatchOptions
    plan: PlanOptions
    staging: str | None = None
    beat_seconds: float = BEAT_SECONDS_MAX


class Started(NamedTuple):
    """The first object of a task: where it runs."""

    pid: int
    host: str
    node: str


@dataclass(frozen=True, slots=True)
class PartHeader:
    """What the driver needs to know of a part. It is small, so Ray delivers it without a transfer.

    Attributes:
        first, last: Keys of its first and last piece.
        whole: Whether no further part of the last piece's range follows.
        nbytes: Bytes of output in its body.
    """

    first: Key
    last: Key
    whole: bool
    nbytes: int


@dataclass(frozen=True, slots=True)
class PartBody:
    """A part on its way to the collector.

    Each output is a sequence of NumPy arrays, which Ray hands over without a copy, or the place where the task has
    written it.
    """

    pieces: list[Piece]
    matched: Sequence[npt.NDArray[np.uint8] | Staged]
    unmatched: Sequence[npt.NDArray[np.uint8] | Staged]


GC_OBJECTS: Final = 1_000_000
"""Allocations between two garbage collections in a worker. Entries are many objects, and none of them is garbage. With
100,000 the collections take a third of the time of a file of bad lines."""

SLICE_BYTES_MIN: Final = 1 << 18
"""Slices with a smaller mean length are joined, because each costs some microseconds on its way."""

# Kept between the tasks of a worker process, because new pages for each task would cost a fifth of the speed.
_spare: list[tuple[Buffers, bytearray]] = []


@contextmanager
def _buffers_of(window_bytes: int) -> Iterator[tuple[Buffers, bytearray]]:
    """Gives one task its buffers, for windows and for packed files. A task that ends early does not return them."""
    try:
        buffers, pack = _spare.pop()
    except IndexError:
        buffers, pack = Buffers(window_bytes), bytearray(LOW + WINDOW_BYTES + LOW)
    if buffers.window_bytes != window_bytes:
        buffers = Buffers(window_bytes)
    yield buffers, pack
    _spare[:] = [(buffers, pack)]


def match_unit(unit: Unit, packed_files: bytes, index: RestrictionIndex, settings: TaskSettings) -> Iterator[Any]:
    """Yields the parts of a unit, each as a `PartBody` and then its `PartHeader`.

    If the unit has to do with a server, or with a packed tar, pairs of Nones may come in between: see `with_heartbeat`.

    Args:
        packed_files: The files of the unit.
    """
    files = unpack_files(packed_files)
    pairs = _pairs(unit, files, index, settings)
    if settings.staging is None and not any(is_url(file.stored_at) or packed_in(file) for file in files):
        return pairs
    return with_heartbeat(pairs, settings.beat_seconds)


def _pairs(unit: Unit, files: list[InputFile], index: RestrictionIndex, settings: TaskSettings) -> Iterator[Any]:
    part, input_bytes = Part(), 0
    for more in Work(index, settings).parts(unit, files):
        part.pieces += more.pieces
        part.matched += more.matched
        part.unmatched += more.unmatched
        input_bytes += sum(piece.input_bytes for piece in more.pieces)
        is_last = more.pieces[-1].last
        del more  # nothing holds a part while the next one is made
        if input_bytes >= settings.plan.part_bytes or not is_last:
            yield from _sealed(part, settings)
            part, input_bytes = Part(), 0
    if part.pieces:
        yield from _sealed(part, settings)


def _sealed(part: Part, settings: TaskSettings) -> Iterator[Any]:
    first, last = part.pieces[0], part.pieces[-1]
    # The collector renumbers the provenance of every range but the first, because it alone knows what comes before.
    staging = None if settings.options.provenance and first.range else settings.staging
    matched, unmatched = _slices(part.matched, staging), _slices(part.unmatched, staging)
    yield PartBody(part.pieces, matched, unmatched)
    # After the body, so that a header proves to the driver, which never looks at bodies, that its body is complete.
    yield PartHeader(
        Key(first.file, first.range, first.part),
        Key(last.file + last.files - 1, last.range, last.part),
        last.last,
        sum(len(each) for each in (*matched, *unmatched) if not isinstance(each, Staged)),
    )


def _slices(slices: list[bytes], staging: str | None) -> Sequence[npt.NDArray[np.uint8] | Staged]:
    if staging is not None and sum(map(len, slices)) >= STAGED_BYTES_MIN:
        with reported_as_job_errors(staging):
            return [stage(staging, b"".join(slices))]
    return [np.frombuffer(each, np.uint8) for each in _joined(slices)]


def _joined(slices: list[bytes]) -> list[bytes]:
    """Joins small slices. Large ones are not worth a copy."""
    return slices if sum(map(len, slices)) > SLICE_BYTES_MIN * len(slices) else [b"".join(slices)]


class Work:
    """The reading and matching of files, in one thread."""

    def __init__(self, index: RestrictionIndex, settings: TaskSettings) -> None:
        gc.set_threshold(GC_OBJECTS)
        self._index, self._settings = index, settings
        self._inputs = Opener(salvage=settings.options.salvage)

    def parts(self, unit: Unit, files: list[InputFile]) -> Iterator[Part]:
        """Yields the parts, in the order of the files."""
        settings, part_bytes = self._settings, self._settings.plan.part_bytes
        window_bytes = max(WINDOW_BYTES_MIN, min(WINDOW_BYTES, part_bytes))  # a part is whole windows
        with closing(self._inputs), _buffers_of(window_bytes) as (buffers, self._buffer):
            self._matcher = Matcher(
                settings.paths, self._index, settings.options, buffers, part_bytes=part_bytes, memory=self._memory(unit)
            )
            if len(files) == 1:
                yield from self._one(unit, files[0])
                return
            yield from self._several(unit, files)

    def _several(self, unit: Unit, files: list[InputFile]) -> Iterator[Part]:
        with closing(self._packs(unit.first, files)) as packs_:
            for found in packs_:
                if isinstance(found, Pack):
                    low = found.file - unit.first
                    names = [file.name for file in files[low : low + len(found)]]
                    yield from self._matcher.pack(self._buffer, found, names)
                    continue
                number, fault = found
                file = files[number - unit.first]
                if fault is not None:
                    yield fault_part(number, 0, fault)
                else:
                    yield from self._one(Unit(number, number + 1, file.size, memory=unit.memory), file)

    def _packs(self, first: int, files: list[InputFile]) -> Packs:
        return packs(first, files, self._buffer, self._inputs)

    def _one(self, unit: Unit, file: InputFile) -> Iterator[Part]:
        """Yields the parts of one file, or of a range of it. A fault, even a late one, stands for the whole file."""
        if file.fault is not None:
            yield fault_part(unit.first, unit.range, unreadable_entry(file, file.fault))
            return
        try:
            with self._inputs.open(file, unit.end) as raw:
                source = self._source(raw, file, unit)
                where = {"file": unit.first, "range_": unit.range, "start": unit.start, "stop": unit.end}
                for part in self._matcher.stream(source, file.name, **where):
                    if part.pieces[-1].last:
                        raw.check()
                    yield part
                    del part  # as above
        except Changed:
            yield fault_part(unit.first, unit.range, changed_entry(file))
        except OSError as error:
            blame_the_machine(file.name, error)
            yield fault_part(unit.first, unit.range, unreadable_entry(file, error.strerror or shown(error)))

    def _memory(self, unit: Unit) -> int | None:
        """Returns how many bytes a file may hold at once, beyond what any may. A file that needs more asks for it."""
        return unit.memory

    def _source(self, raw: Raw, file: InputFile, unit: Unit) -> Source:
        """Opens the content of a file, or of a range of it, from one byte before the range."""
        if unit.start:
            raw.seek(unit.start - 1)
            return Plain(raw)
        how = self._settings.options
        return open_source(raw, file.size, how.max_inflation, salvage=how.salvage, memory=self._memory(unit))
