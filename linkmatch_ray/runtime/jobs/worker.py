"""What runs in a worker: match one unit, give its parts. No side effects; a bad file is an outcome."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from linkmatch_ray.core.codecs import Plain, Raw, open_source
from linkmatch_ray.core.index import RestrictionIndex
from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.core.matcher import Matcher
from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.core.outcome import FAULT_PART, Counts, Entry, Piece
from linkmatch_ray.core.pack import Pack
from linkmatch_ray.core.parts import Part
from linkmatch_ray.core.window import LOW, WINDOW_BYTES, WINDOW_BYTES_MIN, Buffers, Source
from linkmatch_ray.io.inputs.file import InputFile, unpack_files
from linkmatch_ray.io.inputs.packing import Packs, packs
from linkmatch_ray.io.inputs.reader import changed_entry, open_input, unreadable_entry
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
    """What all tasks of a job have in common; put once.

    Attributes:
        staging: Where they write large parts themselves, as a URL; None where all go to the collector.
        beat_seconds: How often one that waits for a server says that bytes still come.
    """

    paths: tuple[KeyPath, ...]
    options: MatchOptions
    plan: PlanOptions
    staging: str | None = None
    beat_seconds: float = BEAT_SECONDS_MAX


class Started(NamedTuple):
    """What a task gives first: where it runs."""

    pid: int
    host: str
    node: str


@dataclass(frozen=True, slots=True)
class PartHeader:
    """What the driver needs to know of a part: little, so that it comes without a fetch.

    Attributes:
        first, last: Keys of its first and last piece.
        whole: No further part of the last piece's range follows.
        nbytes: Bytes of output in its body.
    """

    first: Key
    last: Key
    whole: bool
    nbytes: int


@dataclass(frozen=True, slots=True)
class PartBody:
    """A part as it travels: each output in slices, as NumPy arrays, which Ray hands over without a copy; or where it
    was written to already."""

    pieces: list[Piece]
    matched: Sequence[npt.NDArray[np.uint8] | Staged]
    unmatched: Sequence[npt.NDArray[np.uint8] | Staged]


GC_OBJECTS: Final = 1_000_000
"""Garbage is looked for this often in a worker. Entries are many objects, and none of them is garbage: looking at every
100,000 takes a third of the time of a file of bad lines."""

SLICE_BYTES_MIN: Final = 1 << 18
"""Slices shorter than this on the average are joined: each costs some microseconds on its way."""

# Kept between the tasks of a worker process: fresh pages for each would cost a fifth of the speed.
_spare: list[tuple[Buffers, bytearray]] = []


@contextmanager
def _buffers_of(window_bytes: int) -> Iterator[tuple[Buffers, bytearray]]:
    """Buffers for one task, for windows and for packed files. One that is left before its end keeps them."""
    try:
        buffers, pack = _spare.pop()
    except IndexError:
        buffers, pack = Buffers(window_bytes), bytearray(LOW + WINDOW_BYTES + LOW)
    if buffers.window_bytes != window_bytes:
        buffers = Buffers(window_bytes)
    yield buffers, pack
    _spare[:] = [(buffers, pack)]


def match_unit(unit: Unit, packed_files: bytes, index: RestrictionIndex, settings: TaskSettings) -> Iterator[Any]:
    """The parts of a unit, each as a `PartBody` and then its `PartHeader`; the files are those of the unit.

    If servers have to do with it, there may be pairs of Nones in between; see `with_heartbeat`.
    """
    files = unpack_files(packed_files)
    pairs = _pairs(unit, files, index, settings)
    if settings.staging is None and not any(is_url(file.path) for file in files):
        return pairs
    return with_heartbeat(pairs, settings.beat_seconds)


def _pairs(unit: Unit, files: list[InputFile], index: RestrictionIndex, settings: TaskSettings) -> Iterator[Any]:
    part, input_bytes = Part(), 0
    for more in Work(index, settings).parts(unit, files):
        part.pieces += more.pieces
        part.matched += more.matched
        part.unmatched += more.unmatched
        input_bytes += sum(piece.input_bytes for piece in more.pieces)
        if input_bytes >= settings.plan.part_bytes or not more.pieces[-1].last:
            yield from _sealed(part, settings)
            part, input_bytes = Part(), 0
    if part.pieces:
        yield from _sealed(part, settings)


def _sealed(part: Part, settings: TaskSettings) -> Iterator[Any]:
    first, last = part.pieces[0], part.pieces[-1]
    # Provenance of a range but the first is counted anew by the collector, which alone knows what comes before.
    staging = None if settings.options.provenance and first.range else settings.staging
    matched, unmatched = _slices(part.matched, staging), _slices(part.unmatched, staging)
    yield PartBody(part.pieces, matched, unmatched)
    # After the body: who has the header knows that the body was finished, though it never looked at it.
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
    """Small slices joined to one; large ones are not worth a copy."""
    return slices if sum(map(len, slices)) > SLICE_BYTES_MIN * len(slices) else [b"".join(slices)]


class Work:
    """Reads and matches files, in one thread."""

    def __init__(self, index: RestrictionIndex, settings: TaskSettings) -> None:
        gc.set_threshold(GC_OBJECTS)
        self._index, self._settings = index, settings

    def parts(self, unit: Unit, files: list[InputFile]) -> Iterator[Part]:
        """Parts in the order of the files."""
        settings, part_bytes = self._settings, self._settings.plan.part_bytes
        window_bytes = max(WINDOW_BYTES_MIN, min(WINDOW_BYTES, part_bytes))  # a part is whole windows
        with _buffers_of(window_bytes) as (buffers, self._buffer):
            self._matcher = Matcher(settings.paths, self._index, settings.options, buffers, part_bytes=part_bytes)
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
                    yield _fault(number, 0, fault)
                else:
                    yield from self._one(Unit(number, number + 1, file.size), file)

    def _packs(self, first: int, files: list[InputFile]) -> Packs:
        return packs(first, files, self._buffer)

    def _one(self, unit: Unit, file: InputFile) -> Iterator[Part]:
        """A file, or a range of one, by itself; a fault found late stands for all of it."""
        if file.fault is not None:
            yield _fault(unit.first, unit.range, unreadable_entry(file, file.fault))
            return
        try:
            with open_input(file, unit.end) as raw:
                source = self._source(raw, file, unit.start)
                where = {"file": unit.first, "range_": unit.range, "start": unit.start, "stop": unit.end}
                for part in self._matcher.stream(source, file.name, **where):
                    if part.pieces[-1].last:
                        raw.check()
                    yield part
        except Changed:
            yield _fault(unit.first, unit.range, changed_entry(file))
        except OSError as error:
            blame_the_machine(file.name, error)
            yield _fault(unit.first, unit.range, unreadable_entry(file, error.strerror or shown(error)))

    def _source(self, raw: Raw, file: InputFile, start: int) -> Source:
        """The content of a file; or of a range of it, from the byte before it."""
        if start:
            raw.seek(start - 1)
            return Plain(raw)
        return open_source(raw, file.size, self._settings.options.max_inflation)


def _fault(file: int, range_: int, entry: Entry) -> Part:
    return Part([Piece(file=file, range=range_, part=FAULT_PART, fault=entry, counts=Counts(entries=1))])
