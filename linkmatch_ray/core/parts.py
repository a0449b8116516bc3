"""Parts: what one file gives, written down window by window and taken away piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import xxhash

from linkmatch_ray.core.careful import Damage
from linkmatch_ray.core.emit import provenance_prefix, verbatim, with_provenance
from linkmatch_ray.core.frames import NEWLINE, Int64s, positions, skip_white
from linkmatch_ray.core.index import RestrictionIndex
from linkmatch_ray.core.judge import DAMAGED, MATCHED, MISSING, NOT_OBJECT, Judged
from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.core.outcome import ENTRY_TEXT_BYTES_MAX, Counts, Entry, Piece
from linkmatch_ray.core.window import LOW, Window

PART_ENTRIES_MAX: Final = 100_000
"""A part ends with the first window that has so many entries, too: they take a worker some seconds, and a file of
another kind may have one for each of its lines."""


@dataclass(slots=True)
class Part:
    """A bounded piece of a unit's result: its two outputs, and the shares of the files in them, in order."""

    pieces: list[Piece] = field(default_factory=list)
    matched: list[bytes] = field(default_factory=list)
    unmatched: list[bytes] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """Bytes of output in it."""
        return sum(piece.matched_bytes + piece.unmatched_bytes for piece in self.pieces)


class PartWriter:
    """Writes down what is found in the windows of one file, or one range of it.

    Attributes:
        index: How many elements or non-blank lines came before the window.
        line: Physical line of the window's start, from 1.
    """

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
        self._window, self._restrictions, self._options = window, restrictions, options
        self._prefix = provenance_prefix(path) if options.provenance else b""
        self._file, self._range, self._part = file, range_, 0
        self.index, self.line = 0, 1
        self._known = LOW, 1  # a place in the window, and its line
        self.begin()

    def begin(self) -> None:
        """Begin a part at the window's start."""
        self._began = (self._window.offset, self.index, self.line)
        self._counts = Counts()
        self._entries: list[Entry] = []
        self._found: list[Int64s] = []
        self._matched: list[bytes] = []
        self._unmatched: list[bytes] = []
        self._matched_digest, self._unmatched_digest = xxhash.xxh3_64(), xxhash.xxh3_64()

    @property
    def input_bytes(self) -> int:
        """How much of the input the part has behind it."""
        return self._window.offset - self._began[0]

    @property
    def entries(self) -> int:
        """How many entries the part has."""
        return len(self._entries)

    def take(self, *, last: bool) -> Part:
        """Everything since `begin` or the last call, as a part with one piece."""
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
        )
        part = Part([piece], self._matched, self._unmatched)
        self._part += 1
        self.begin()
        return part

    def lines(self, judged: Judged) -> None:
        """Whole lines of the window, those before them written down already."""
        assert judged.numbers is not None
        for place, damage in judged.damages.items():
            start, end = int(judged.starts[place]), int(judged.ends[place])
            self.entry(damage, start, end, index=self.index + place, line=self.line + int(judged.numbers[place]))
        self._records(judged, self.line)
        self.line += judged.newlines

    def elements(self, judged: Judged) -> None:
        """Whole elements of the window, behind those before, and none of them damaged but locally."""
        line = self._line_at(int(judged.starts[0])) if self._options.provenance and len(judged.starts) else self.line
        for place, damage in sorted(judged.damages.items()):
            start, end = int(judged.starts[place]), int(judged.ends[place])
            self.entry(damage, start, end, index=self.index + place, line=self._line_at(start))
        self._records(judged, line)

    def _line_at(self, place: int) -> int:
        """The physical line of a place in the window, behind the one asked for before: no byte is looked at twice."""
        known, line = self._known
        self._known = place, line + self._window.buffer.count(b"\n", known, place)
        return self._known[1]

    def _records(self, judged: Judged, line: int) -> None:
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
        self.index += len(judged.starts)

    def _output(self, judged: Judged, places: Int64s, line: int, digest: xxhash.xxh3_64) -> list[bytes]:
        if not len(places):
            return []
        window = self._window
        if self._options.provenance:
            chunks = with_provenance(
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
            chunks = verbatim(window.buffer, judged, places)
        for chunk in chunks:
            digest.update(chunk)
        return chunks

    def count_lines(self, upto: int) -> None:
        """Count the newlines in the window before the position `upto`."""
        if self._window.buffer.find(b"\n", LOW, upto) >= 0:
            self.line += len(positions(self._window.data, LOW, upto, NEWLINE))

    def pass_over(self, upto: int) -> None:
        """Forget the window before the position `upto`, and count its lines."""
        self.count_lines(upto)
        self._window.drop(upto)
        self._known = LOW, self.line

    def skip_white(self, stop: int | None = None) -> bool:
        """Pass over white space, however much, but over no line that begins at `stop` or behind it; returns whether
        anything follows in the lines before."""
        window = self._window
        while True:
            first = skip_white(window.buffer, LOW, window.end)
            if stop is not None:
                newline = window.buffer.find(b"\n", max(LOW, LOW + stop - 1 - window.offset), first)
                if newline >= 0:
                    self.pass_over(newline + 1)
                    return False
            self.pass_over(first)
            if window.held or window.ended:
                return bool(window.held)
            window.fill()

    def entry(self, damage: Damage, start: int, end: int, *, index: int, line: int) -> None:
        """An entry for `start..end` of the window."""
        text = self._window.text(start, min(end - start, ENTRY_TEXT_BYTES_MAX))
        self.add(Entry(index, line, self._offset_of(start), end - start, damage.reason, damage.message, text))

    def rest(self, damage: Damage, start: int) -> None:
        """One entry for everything from `start` in the window to the end of the file, which is read through."""
        window = self._window
        text, offset, index = window.text(start, ENTRY_TEXT_BYTES_MAX), self._offset_of(start), self.index
        self.count_lines(start)
        line = self.line
        while not window.ended:
            window.drop(window.end)
            window.fill()
            # The window may have ended before the text; how much is shown must not depend on that.
            text += window.text(LOW, ENTRY_TEXT_BYTES_MAX - len(text))
        size = window.offset + window.held - offset
        self.add(Entry(index, line, offset, size, damage.reason, damage.message, text))
        self.index += 1
        window.drop(window.end)

    def add(self, entry: Entry) -> None:
        """An entry, made elsewhere."""
        self._entries.append(entry)
        self._counts.entries += 1

    def _offset_of(self, place: int) -> int:
        return self._window.offset + place - LOW


def _hit_pairs(found: list[Int64s]) -> bytes:
    """(distinct key, times) pairs of all hits, as little-endian int64."""
    if not found:
        return b""
    distinct, times = np.unique(np.concatenate(found), return_counts=True)
    return np.stack((distinct, times), axis=1).astype("<i8").tobytes()
