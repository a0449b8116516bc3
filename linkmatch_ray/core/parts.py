"""Parts of a result: written window by window, taken part by part."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import xxhash

from linkmatch_ray.core.emit import provenance_prefix, verbatim, with_provenance
from linkmatch_ray.core.index import RestrictionIndex
from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.core.outcome import FAULT_PART, Counts, Entry, Piece
from linkmatch_ray.core.structure import Int64s
from linkmatch_ray.core.verdicts import DAMAGED, MATCHED, MISSING, NOT_OBJECT, Judged
from linkmatch_ray.core.window import LOW, Window
from linkmatch_ray.core.writer import Writer

PART_ENTRIES_MAX: Final = 100_000
"""A part also ends with the first window that brings it to this many entries. They take a worker some seconds, and a
file that is no JSON may have one for each of its lines."""


@dataclass(slots=True)
class Part:
    """A bounded part of a unit's result: its two outputs, and the shares of the files in them, in order."""

    pieces: list[Piece] = field(default_factory=list)
    matched: list[bytes] = field(default_factory=list)
    unmatched: list[bytes] = field(default_factory=list)


def fault_part(file: int, range_: int, entry: Entry) -> Part:
    """Returns the one entry that stands for a whole file, as a part. What came of the file before is rolled back."""
    return Part([Piece(file=file, range=range_, part=FAULT_PART, fault=entry, counts=Counts(entries=1))])


class PartWriter(Writer):
    """The writer of the parts of one file, or of one range of it."""

    def __init__(
        self,
        window: Window,
        restrictions: RestrictionIndex,
        options: MatchOptions,
        *,
        path: bytes,
        file: int = 0,
        range_: int = 0,
    ) -> None:
        super().__init__(window)
        self._restrictions, self._options, self.needs_lines = restrictions, options, options.provenance
        self._prefix = provenance_prefix(path) if options.provenance else b""
        self._file, self._range, self._part = file, range_, 0
        self.begin()

    def begin(self) -> None:
        """Begins a part at the window's start."""
        self._began = (self._window.offset, self.index, self.line)
        self._counts = Counts()
        self._entries: list[Entry] = []
        self._found: list[Int64s] = []
        self._matched: list[bytes] = []
        self._unmatched: list[bytes] = []
        self._matched_digest, self._unmatched_digest = xxhash.xxh3_64(), xxhash.xxh3_64()

    @property
    def input_bytes(self) -> int:
        """Bytes of input in the part."""
        return self._window.offset - self._began[0]

    @property
    def entries(self) -> int:
        """Number of entries in the part."""
        return len(self._entries)

    def take(self, *, last: bool) -> Part:
        """Returns all since `begin` or the last call, as a part with one piece."""
        _, index, line = self._began
        piece = Piece(
            file=self._file,
            range=self._range,
            part=self._part,
            last=last,
            counts=self._counts,
            lines=self.line - line,
            indexes=self.index - index,
            input_bytes=self.input_bytes,
            matched_bytes=sum(map(len, self._matched)),
            unmatched_bytes=sum(map(len, self._unmatched)),
            matched_digest=self._matched_digest.digest() if self._matched else None,
            unmatched_digest=self._unmatched_digest.digest() if self._unmatched else None,
            entries=tuple(self._entries),
            hits=_hit_pairs(self._found),
            encoding=self._window.encoding,
        )
        part = Part([piece], self._matched, self._unmatched)
        self._part += 1
        self.begin()
        return part

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._counts.entries += 1

    def records(self, judged: Judged, line: int) -> None:
        kinds, counts, options = judged.kinds, self._counts, self._options
        matched = np.flatnonzero(kinds == MATCHED)
        is_unmatched = (kinds != MATCHED) & (kinds != DAMAGED)
        counts.records += len(judged.starts) - len(judged.damages)
        counts.matched += len(matched)
        counts.unmatched += int(np.count_nonzero(is_unmatched))
        counts.missing_key += int(np.count_nonzero(kinds == MISSING))
        counts.not_object += int(np.count_nonzero(kinds == NOT_OBJECT))
        if len(matched):
            self._found.append(judged.found[matched])
        if options.emit != "unmatched":
            self._matched += self._output(judged, matched, line, self._matched_digest)
        if options.emit != "matched":
            self._unmatched += self._output(judged, np.flatnonzero(is_unmatched), line, self._unmatched_digest)

    def _output(self, judged: Judged, places: Int64s, line: int, digest: xxhash.xxh3_64) -> list[bytes]:
        if not len(places):
            return []
        window = self._window
        if self._options.provenance:
            lines = with_provenance(
                window.buffer,
                judged,
                places,
                self._restrictions,
                prefix=self._prefix,
                first_index=self.index,
                first_line=line,
                offset=window.offset - LOW,
            )
        else:
            lines = verbatim(window.buffer, judged, places)
        for each in lines:
            digest.update(each)
        return lines


def _hit_pairs(found: list[Int64s]) -> bytes:
    """Returns the (distinct key, times) pairs of all hits, as little-endian int64."""
    if not found:
        return b""
    distinct, times = np.unique(np.concatenate(found), return_counts=True)
    return np.stack((distinct, times), axis=1).astype("<i8").tobytes()
