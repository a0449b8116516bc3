"""The results of an earlier job in the same directory that `--incremental` reuses.

A file is reused on three conditions. Its name, path and fingerprint are as they were, other content would have given it
another fingerprint, and no fault stands for it. Its pieces go to its place in the new plan with their bytes, counts and
hits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import SEEK_END
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from linkmatch_ray.core.outcome import Piece, digest
from linkmatch_ray.errors import DirectoryInUse, JobError
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.ledger.ledger import Key, Ledger
from linkmatch_ray.io.ledger.rows import PieceRow
from linkmatch_ray.io.names import MATCHED, QUARANTINE, UNMATCHED
from linkmatch_ray.io.results.interface import Results
from linkmatch_ray.io.storage.errors import gone
from linkmatch_ray.words import shown

NOWHERE: Final = -1


@dataclass(frozen=True, slots=True)
class ReusePlan:
    """The places of the new job's files in an earlier job's plan.

    Attributes:
        fingerprint, frontier: Those of the earlier job, which identify it.
        places: The place of each new file in the earlier plan, or `NOWHERE`; int64 of shape (files,).
        ranges: Number of ranges in which each reused file was read, by its place in the new plan.
        changed, new: Number of files with other content, and of files that the earlier job did not have.
        gone: Names of files that the earlier job has results of, and that are not among the new inputs.
        faults: Number of files that are retried, because a fault stands for them.
        unproven: Number of objects that look the same, but could do so with other content.
    """

    fingerprint: str
    frontier: Key
    places: npt.NDArray[np.int64]
    ranges: dict[int, int]
    changed: int
    new: int
    gone: list[bytes]
    faults: int
    unproven: int

    def ranges_done(self, file: int) -> int | None:
        """Returns how many ranges of a file need not be matched; None for all of them."""
        place = self.places[file]
        if place == NOWHERE:
            return 0
        return None if place < self.frontier.file else self.frontier.range

    @property
    def files(self) -> int:
        """Number of files that need not be matched."""
        return int(np.count_nonzero((self.places != NOWHERE) & (self.places < self.frontier.file)))


def plan_reuse(files: Sequence[InputFile], ledger: Ledger) -> ReusePlan:
    """Compares the new job's files with those of an earlier job."""
    frontier = ledger.frontier().next
    known_files = list(ledger.files())
    names = _distinct(file for file, _ in known_files)
    before = {name: (place, *known_files[place]) for place, name in enumerate(names)}
    constants = _constant_etags(chain(files, (file for file, _ in known_files)))
    places, ranges_of = np.full(len(files), NOWHERE, np.int64), {}
    changed = new = faults = unproven = 0
    for number, (file, name) in enumerate(zip(files, _distinct(files), strict=True)):
        place, known, ranges = before.pop(name, (NOWHERE, None, 0))
        if known is None:
            new += 1
        elif not known.is_same(file):
            changed += 1
        elif known.fault is not None:
            faults += 1
        elif Key(place, 0, 0) < frontier:
            if file.has_validator and file.etag not in constants:
                places[number], ranges_of[number] = place, ranges
            else:
                unproven += 1
    gone = [known.name for place, known, _ in before.values() if Key(place, 0, 0) < frontier]
    fingerprint = ledger.settings()["fingerprint"]
    return ReusePlan(fingerprint, frontier, places, ranges_of, changed, new, gone, faults, unproven)


def _distinct(files: Iterable[InputFile]) -> Iterator[tuple[bytes, int]]:
    """Yields the name of each file, and how many before it have the same, as members of an archive may."""
    seen: dict[bytes, int] = {}
    for file in files:
        count = seen[file.name] = seen.get(file.name, -1) + 1
        yield file.name, count


def _constant_etags(files: Iterable[InputFile]) -> set[str]:
    """Returns the ETags that objects of different sizes share: their server does not derive them from the content."""
    sizes: dict[str, int] = {}
    return {
        file.etag for file in files if file.etag is not None and sizes.setdefault(file.etag, file.size) != file.size
    }


class ReusedPiece(NamedTuple):
    """A piece of the earlier job at its new place, and its bytes in the three outputs."""

    piece: Piece
    matched: memoryview
    unmatched: memoryview
    quarantine: bytes


class ReusedResults:
    """A reader of the results of an earlier job, piece by piece."""

    def __init__(self, results: Results, reuse: ReusePlan) -> None:
        self._results, self._places = results, reuse.places
        ledger = results.ledger()
        if ledger is None:  # the plan was made from one
            raise gone(results, results)
        self._ledger = ledger
        self._row: PieceRow | None = None  # the last row that was read, and its contents
        self._contents: dict[str, bytes] = {}
        with ExitStack() as held:
            held.callback(ledger.close)
            self._files = {name: held.enter_context(results.open(name)) for name in ledger.outputs()}
            if (ledger.settings()["fingerprint"], ledger.frontier().next) != (reuse.fingerprint, reuse.frontier):
                raise DirectoryInUse(
                    f"{shown(results)}: another job has written here since. Run the same command again."
                )
            self._held = held.pop_all()

    def close(self) -> None:
        """Closes the files."""
        self._held.close()

    def at(self, key: Key) -> ReusedPiece | None:
        """Returns the results for a place in the new plan: a piece, or as many of its files as are in a row there too.

        Raises:
            JobError: The bytes are no longer those that were written.
        """
        if key.file >= len(self._places) or self._places[key.file] == NOWHERE:
            return None
        origin = Key(int(self._places[key.file]), key.range, key.part)
        row = self._ledger.piece_at(origin)
        if row is None:
            return None
        within = row.shares is not None and origin.file < row.file + row.files
        if row[:3] != origin and not within:
            return None
        if row != self._row:
            self._row, self._contents = row, self._read(row)
        matched, unmatched = (memoryview(self._contents.get(name, b"")) for name in (MATCHED, UNMATCHED))
        piece = self._ledger.piece(row)
        if row.files > 1:
            start = origin.file - row.file
            along = self._places[key.file : key.file + row.files - start]
            apart = np.flatnonzero(along != np.arange(origin.file, origin.file + len(along)))
            stop = start + (int(apart[0]) if len(apart) else len(along))
            piece, low_matched, low_unmatched = piece.of_files(start, stop)
            matched = matched[low_matched : low_matched + piece.matched_bytes]
            unmatched = unmatched[low_unmatched : low_unmatched + piece.unmatched_bytes]
            piece.matched_digest, piece.unmatched_digest = digest(matched), digest(unmatched)
        piece.file = key.file
        return ReusedPiece(piece, matched, unmatched, self._contents.get(QUARANTINE, b""))

    def _read(self, row: PieceRow) -> dict[str, bytes]:
        contents = {}
        for span in row.spans:
            name, file = list(self._files.items())[span.output]
            there = file.seek(0, SEEK_END)
            file.seek(span.start)
            contents[name] = file.read(max(0, min(span.bytes, there - span.start)))
            if digest(contents[name]) != span.digest:
                raise JobError(
                    f"{shown(self._results)}/{name}: bytes {span.start:,} to {span.start + span.bytes:,} are not those"
                    " that were written, so they cannot be reused. See `verify`; start from the beginning with"
                    " --overwrite."
                )
        return contents
