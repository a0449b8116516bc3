"""One input from its first byte to its last, in windows of bounded size, to parts of bounded size.

Windows end at record boundaries. They depend on the bytes alone, never on how reads come in, so that a
repeated task yields the same parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import xxhash

from linkmatch_ray.core.careful import WHITE_SPACE, Damage, parse
from linkmatch_ray.core.emit import provenance_prefix, verbatim, with_provenance
from linkmatch_ray.core.frames import NEWLINE, Int64s, frame_elements, positions
from linkmatch_ray.core.index import RestrictionIndex
from linkmatch_ray.core.judge import (
    DAMAGED,
    MATCHED,
    MISSING,
    NOT_OBJECT,
    Judge,
    Judged,
    locate,
    whole_elements,
)
from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.core.outcome import ENTRY_TEXT_BYTES_MAX, Counts, Entry, Format, MatchOptions, Piece

WINDOW_BYTES: Final = 8 << 20
"""How much is read and scanned at a time. Less, and the parser's set-up shows; more, and caches are left."""

WINDOW_BYTES_MIN: Final = 16
"""The layout is found from the first window, which must hold a byte order mark and more."""

LOW: Final = 16
"""Where a window begins in the buffer: the byte before it and some after it belong to the scan."""

PART_BYTES_MAX: Final = 64 << 20
"""A part ends with the first window that brings its input to this many bytes."""

TAIL_BYTES: Final = 1 << 16
"""How far past the end of a range is read at once to find the end of its last line."""

_BOM: Final = b"\xef\xbb\xbf"
_CUT_TRIES_MAX: Final = 3
_NOT_WHITE = re.compile(rb"[^ \t\n\r]")


class Source(Protocol):
    """Where the bytes of one input come from, decompressed."""

    def readinto(self, view: memoryview) -> int:
        """Fill `view`, wholly unless the input ends; return how much.

        Raises:
            Damage: the rest cannot be decompressed; what could be was returned before.
        """


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


class Buffers:
    """The one large buffer of a process, used again for every window."""

    def __init__(self, window_bytes: int = WINDOW_BYTES) -> None:
        self.window_bytes = window_bytes = max(window_bytes, WINDOW_BYTES_MIN)
        self.buffer = bytearray(LOW + window_bytes + LOW)

    def grow(self, held: int) -> None:
        """Make room behind `held` bytes: a record is longer than the buffer."""
        self.buffer = self.buffer[: LOW + held] + bytes(held + self.window_bytes + LOW)

    def shrink(self) -> None:
        """Back to one window, after an input with long records."""
        if len(self.buffer) > LOW + self.window_bytes + LOW:
            self.buffer = bytearray(LOW + self.window_bytes + LOW)


class Tally:
    """What is summed up over the windows of one file until its next part ends."""

    def __init__(self, file: int, range_: int) -> None:
        self._file, self._range, self._part = file, range_, 0
        self._reset()

    def _reset(self) -> None:
        self.counts = Counts()
        self.lines = self.indexes = self.input_bytes = 0
        self.entries: list[Entry] = []
        self.found: list[Int64s] = []
        self.matched: list[bytes] = []
        self.unmatched: list[bytes] = []
        self._matched_digest, self._unmatched_digest = xxhash.xxh3_64(), xxhash.xxh3_64()

    def add(self, judged: Judged) -> Int64s:
        """Count the records of a window; returns the places of the matched ones."""
        kinds, counts = judged.kinds, self.counts
        matched = np.flatnonzero(kinds == MATCHED)
        counts.records += len(judged.starts) - len(judged.damages)
        counts.matched += len(matched)
        counts.unmatched += int(np.count_nonzero((kinds != MATCHED) & (kinds != DAMAGED)))
        counts.missing_key += int(np.count_nonzero(kinds == MISSING))
        counts.not_object += int(np.count_nonzero(kinds == NOT_OBJECT))
        self.indexes += len(judged.starts)
        if len(matched):
            self.found.append(judged.found[matched])
        return matched

    def emit(self, matched: list[bytes], unmatched: list[bytes]) -> None:
        """Add output lines; no chunk is empty."""
        for chunk in matched:
            self._matched_digest.update(chunk)
        for chunk in unmatched:
            self._unmatched_digest.update(chunk)
        self.matched += matched
        self.unmatched += unmatched

    def quarantine(self, entry: Entry) -> None:
        """Add an entry."""
        self.entries.append(entry)
        self.counts.entries += 1

    def take(self, *, last: bool) -> Part:
        """Everything since the last call, as a part with one piece."""
        piece = Piece(
            file=self._file,
            range=self._range,
            part=self._part,
            last=last,
            counts=self.counts,
            lines=self.lines,
            indexes=self.indexes,
            input_bytes=self.input_bytes,
            matched_bytes=sum(map(len, self.matched)),
            unmatched_bytes=sum(map(len, self.unmatched)),
            matched_digest=self._matched_digest.digest() if self.matched else None,
            unmatched_digest=self._unmatched_digest.digest() if self.unmatched else None,
            entries=tuple(self.entries),
            hits=hit_pairs(self.found),
        )
        part = Part([piece], self.matched, self.unmatched)
        self._part += 1
        self._reset()
        return part


def hit_pairs(found: list[Int64s]) -> bytes:
    """(distinct key, times) pairs of all hits, as little-endian int64."""
    if not found:
        return b""
    distinct, times = np.unique(np.concatenate(found), return_counts=True)
    return np.stack((distinct, times), axis=1).astype("<i8").tobytes()


class Stream:
    """Matches one file, or one byte range of a file of lines.

    Args:
        start, stop: The range in bytes; lines that begin in it are its records. `stop` None: to the end.
            Where `start` is not 0, the source begins one byte before it.
    """

    def __init__(
        self,
        source: Source,
        judge: Judge,
        index: RestrictionIndex,
        options: MatchOptions,
        buffers: Buffers,
        *,
        path: bytes,
        file: int = 0,
        range_: int = 0,
        start: int = 0,
        stop: int | None = None,
        part_bytes: int = PART_BYTES_MAX,
    ) -> None:
        self._source, self._judge, self._index, self._options = source, judge, index, options
        self._buffers = buffers
        self._start, self._stop, self._part_bytes = start, stop, part_bytes
        self._prefix = provenance_prefix(path) if options.provenance else b""
        self._tally = Tally(file, range_)
        self._index_base = 0  # records before the window
        self._line_base = 1  # physical line of the window's start
        self._offset = start  # offset in the input of buffer[LOW]
        self._held = 0  # bytes in the buffer from LOW on
        self._ended = False
        self._corrupt: Damage | None = None

    def parts(self) -> Iterator[Part]:
        """All parts, at least one; the last piece has `last` set."""
        try:
            yield from self._windows()
            if self._stop is None:
                self._drop(self._end)
            yield self._tally.take(last=True)
        finally:
            self._buffers.shrink()

    def _windows(self) -> Iterator[Part]:
        if self._start:
            yield from self._lines()
            return
        try:
            layout = self._layout()
        except Damage as damage:
            self._quarantine_rest(LOW, damage)
            return
        if self._options.records_at is not None:
            yield from self._document(KeyPath.parse(self._options.records_at))
        elif layout == "array":
            yield from self._array()
        elif layout == "object":
            yield from self._object()
        else:
            yield from self._lines()

    # Reading

    @property
    def _end(self) -> int:
        return LOW + self._held

    def _fill(self, want: int | None = None) -> None:
        """Read on behind what is held, up to a window in all, or `want` bytes more."""
        buffers = self._buffers
        room = len(buffers.buffer) - LOW - self._end
        if room <= 0:
            buffers.grow(self._held)
            room = len(buffers.buffer) - LOW - self._end
        size = room if want is None else min(room, want)
        try:
            count = self._source.readinto(memoryview(buffers.buffer)[self._end : self._end + size])
        except Damage as damage:
            self._corrupt, self._ended = damage, True
            return
        self._held += count
        self._ended = count < size

    def _drop(self, upto: int) -> None:
        """Forget the buffer before `upto`."""
        buffer, end = self._buffers.buffer, self._end
        buffer[LOW : LOW + end - upto] = buffer[upto:end]
        self._offset += upto - LOW
        self._tally.input_bytes += upto - LOW
        self._held = end - upto

    def _part(self) -> Iterator[Part]:
        if self._tally.input_bytes >= self._part_bytes:
            yield self._tally.take(last=False)

    # Layout

    def _layout(self) -> Format:
        """Find the layout from the content, as the contract says; a byte order mark is dropped."""
        self._fill()
        buffer = self._buffers.buffer
        if buffer[LOW : self._end].startswith(_BOM):
            self._drop(LOW + len(_BOM))
        head = bytes(buffer[LOW : LOW + min(4, self._held)])
        if head[:2] in (b"\xff\xfe", b"\xfe\xff") or (len(head) > 1 and 0 in head):
            raise Damage("not_utf8", "text in another encoding than UTF-8")
        if self._options.format != "auto":
            return self._options.format
        while True:
            buffer, end = self._buffers.buffer, self._end
            first = skip_white(buffer, LOW, end)
            if buffer[first : first + 1] == b"[":
                return "array"
            newline = buffer.find(b"\n", first, end)
            if newline >= 0 and _is_value(bytes(buffer[first:newline])):
                return "lines"
            if self._ended:
                return "object" if _is_object(bytes(buffer[first:end])) else "lines"
            if self._held > self._options.max_record_bytes:
                return "lines"
            self._fill()

    # Lines

    def _lines(self) -> Iterator[Part]:
        skipping = self._start > 0
        if skipping:
            self._offset -= 1
        if not self._held and not self._ended:
            self._fill(self._wanted())
        while True:
            buffer, end = self._buffers.buffer, self._end
            if skipping:  # the line that began before the range belongs to the range before
                newline = buffer.find(b"\n", LOW, end)
                cut = newline + 1 if newline >= 0 else end
                self._drop(cut)
                if (self._stop is not None and self._offset >= self._stop) or (self._ended and not self._held):
                    return
                if newline < 0:
                    self._fill(self._wanted())
                    continue
                skipping, end = False, self._end
                self._tally.input_bytes = 0
            cut, final = self._line_cut(buffer, end)
            if cut > LOW:
                self._judge_lines(buffer, cut)
                self._drop(cut)
            elif not final and self._held > self._options.max_record_bytes:
                self._skip_line()
                final = (self._stop is not None and self._offset >= self._stop) or (self._ended and not self._held)
            if final:
                if self._corrupt is not None:
                    self._quarantine_rest(LOW, self._corrupt)
                return
            yield from self._part()
            if not self._ended:
                self._fill(self._wanted())

    def _wanted(self) -> int:
        """How much to read next: up to a window, and little beyond the end of the range."""
        wanted = self._buffers.window_bytes
        if self._stop is None:
            return wanted
        return max(TAIL_BYTES, min(wanted, self._stop - self._offset - self._held))

    def _line_cut(self, buffer: bytearray, end: int) -> tuple[int, bool]:
        """Where the whole lines in the buffer end, and whether they are the last of the range."""
        if self._stop is not None and self._offset + self._held >= self._stop:
            at = max(LOW, LOW + self._stop - 1 - self._offset)
            newline = buffer.find(b"\n", at, end)
            if newline >= 0:
                return newline + 1, True
        if self._ended and self._corrupt is None:
            return end, True
        return buffer.rfind(b"\n", LOW, end) + 1 or LOW, self._ended

    def _judge_lines(self, buffer: bytearray, cut: int) -> None:
        for judged in self._judge.lines(buffer, LOW, cut):
            assert judged.numbers is not None
            for place, damage in judged.damages.items():
                start, end = int(judged.starts[place]), int(judged.ends[place])
                self._quarantine(damage, place, self._line_base + int(judged.numbers[place]), start, end)
            self._emit(buffer, judged)
            self._index_base += len(judged.starts)
            self._line_base += judged.newlines
            self._tally.lines += judged.newlines

    def _skip_line(self) -> None:
        """Pass over a line that is longer than a record may be, without holding it."""
        text = bytes(self._buffers.buffer[LOW : LOW + ENTRY_TEXT_BYTES_MAX])
        offset, line = self._offset, self._line_base
        damage = Damage("too_long", f"a record of more than {self._options.max_record_bytes} bytes")
        newline = -1
        while newline < 0:
            newline = self._buffers.buffer.find(b"\n", LOW, self._end)
            self._drop(newline if newline >= 0 else self._end)
            if newline >= 0 or self._ended:
                break
            self._fill()
        entry = Entry(self._index_base, line, offset, self._offset - offset, damage.reason, damage.message, text)
        self._tally.quarantine(entry)
        self._tally.indexes += 1
        self._index_base += 1
        if newline >= 0:
            self._drop(LOW + 1)
            self._line_base += 1
            self._tally.lines += 1

    # Arrays

    def _array(self) -> Iterator[Part]:
        """The elements of an array that reaches to the end of the file; its `[` is in the buffer."""
        buffer = self._buffers.buffer
        opening = buffer.find(b"[", LOW, self._end)
        if opening < 0 or buffer[LOW:opening].strip(WHITE_SPACE):
            self._quarantine_rest(LOW, Damage("invalid_json", "not an array"))
            return
        self._count_lines(LOW, opening + 1)
        self._drop(opening + 1)
        first = True
        while True:
            if not self._ended:
                self._fill()
            consumed, done = self._judge_window(first=first)
            if done:
                return
            if consumed > LOW:
                first = False
                self._count_lines(LOW, consumed)
                self._drop(consumed)
                yield from self._part()
            elif self._held > self._options.max_record_bytes + LOW:
                self._quarantine_rest(
                    LOW, Damage("too_long", f"a record of more than {self._options.max_record_bytes} bytes")
                )
                return

    def _judge_window(self, *, first: bool) -> tuple[int, bool]:
        """Judge the whole elements in the buffer; returns where they end (past the comma), and whether the
        file is done."""
        buffer = self._buffers.buffer
        data = np.frombuffer(buffer, np.uint8)
        low = skip_white(buffer, LOW, self._end)
        for cut in self._cuts(buffer, low):
            judged = self._judge.plain(buffer, low, cut, elements=True)
            if judged is not None and len(judged.starts):
                if judged.damages:
                    self._emit_until_damage(buffer, judged)
                    return LOW, True
                self._emit_elements(buffer, judged)
                return cut + 1, self._ended and self._corrupt is None
        framed = frame_elements(data, low, self._end)
        starts, ends = whole_elements(framed, first=first)
        mismatch = framed.close >= 0 and buffer[framed.close : framed.close + 1] != b"]"
        whole = len(starts) - mismatch  # an element is whole only where , or ] follows it
        if whole > 0 and not self._judge_framed(buffer, starts[:whole], ends[:whole]):
            return LOW, True
        if mismatch:
            start = int(starts[-1]) if len(starts) else framed.close
            self._quarantine_rest(start, Damage("invalid_json", "} where the array may go on with , or end with ]"))
            return LOW, True
        if framed.close >= 0:
            self._close(framed.close)
            return LOW, True
        if self._ended:
            damage = self._corrupt or Damage("truncated", "the array ends inside an element or without its ]")
            self._quarantine_rest(framed.rest, damage)
            return LOW, True
        return (framed.rest if len(starts) else LOW), False

    def _cuts(self, buffer: bytearray, low: int) -> Iterator[int]:
        """Likely ends of a run of whole elements, best first; whether they are is for the scan to say.

        At the end of the file its last bracket. Before it, the last place where an element seems to begin as
        the first one does.
        """
        if self._ended and self._corrupt is None:
            tail = _back_over_white(buffer, low, self._end)
            if tail > low and buffer[tail - 1 : tail] == b"]":
                yield tail - 1
            return
        colon = buffer.find(b":", low, low + 64)
        if colon < 0:
            return
        opener, end = bytes(buffer[low:colon]), self._end
        for _ in range(_CUT_TRIES_MAX):
            end = buffer.rfind(opener, low + 1, end)
            if end < 0:
                return
            comma = end - 1
            while buffer[comma] in WHITE_SPACE:
                comma -= 1
            if comma > low and buffer[comma : comma + 1] == b",":
                yield comma

    def _close(self, close: int) -> None:
        """After the bracket that closes the array there may be white space only, to the end of the file."""
        at = close + 1
        while True:
            rest = skip_white(self._buffers.buffer, at, self._end)
            if rest < self._end:
                self._quarantine_rest(rest, Damage("trailing_data", "something follows the array"))
                return
            if self._ended:
                if self._corrupt is not None:
                    self._quarantine_rest(self._end, self._corrupt)
                return
            self._count_lines(LOW, self._end)
            self._drop(self._end)
            self._fill()
            at = LOW

    def _count_lines(self, low: int, high: int) -> None:
        if self._buffers.buffer.find(b"\n", low, high) >= 0:
            data = np.frombuffer(self._buffers.buffer, np.uint8)
            self._line_base += len(positions(data, low, high, NEWLINE))

    # One document

    def _document(self, path: KeyPath) -> Iterator[Part]:
        """`--records-at`: an array inside the one JSON document that the file is."""
        while not self._ended and self._held <= self._options.max_record_bytes:
            self._fill()
        if not self._ended:
            limit = self._options.max_record_bytes
            self._quarantine_rest(LOW, Damage("too_long", f"a document of more than {limit} bytes"))
            return
        buffer = self._buffers.buffer
        try:
            if self._corrupt is not None:
                raise self._corrupt
            parse(bytes(memoryview(buffer)[LOW : self._end]))
            low = locate(buffer, skip_white(buffer, LOW, self._end), self._end, path)
        except Damage as damage:
            self._quarantine_rest(LOW, damage)
            return
        framed = frame_elements(np.frombuffer(buffer, np.uint8), low, self._end)
        starts, ends = whole_elements(framed, first=True)
        if len(starts):
            self._judge_framed(buffer, starts, ends)
        yield from ()

    def _object(self) -> Iterator[Part]:
        """The whole file is one record."""
        while not self._ended and self._held <= self._options.max_record_bytes:
            self._fill()
        buffer = self._buffers.buffer
        start = skip_white(buffer, LOW, self._end)
        end = _back_over_white(buffer, start, self._end)
        if start < end:
            self._judge_framed(buffer, np.array([start]), np.array([end]))
        yield from ()

    # Output

    def _judge_framed(self, buffer: bytearray, starts: Int64s, ends: Int64s) -> bool:
        """Judge elements framed by structure; False where one was damaged and the file is done with."""
        for judged in self._judge.framed(buffer, starts, ends):
            if judged.damages:
                self._emit_until_damage(buffer, judged)
                return False
            self._emit_elements(buffer, judged)
        return True

    def _emit_elements(self, buffer: bytearray, judged: Judged) -> None:
        self._emit(buffer, judged)
        self._index_base += len(judged.starts)

    def _emit_until_damage(self, buffer: bytearray, judged: Judged) -> None:
        """Everything before the damaged element comes out; from it on, the rest of the file is one entry."""
        place, damage = min(judged.damages.items())
        start = int(judged.starts[place])
        whole = slice(0, place)
        before = Judged(judged.starts[whole], judged.ends[whole], None, judged.kinds[whole], judged.found[whole])
        if place:
            self._emit_elements(buffer, before)
        self._quarantine_rest(start, damage)

    def _emit(self, buffer: bytearray, judged: Judged) -> None:
        matched = self._tally.add(judged)
        unmatched = matched[:0]
        if self._options.emit != "matched":
            unmatched = np.flatnonzero((judged.kinds != MATCHED) & (judged.kinds != DAMAGED))
        if self._options.emit == "unmatched":
            matched = matched[:0]
        self._tally.emit(self._records(buffer, judged, matched), self._records(buffer, judged, unmatched))

    def _records(self, buffer: bytearray, judged: Judged, places: Int64s) -> list[bytes]:
        if not len(places):
            return []
        if not self._options.provenance:
            return verbatim(buffer, judged, places)
        first_line = self._line_base
        if judged.numbers is None:
            first_line += buffer.count(b"\n", LOW, int(judged.starts[0]))
        return with_provenance(
            buffer,
            judged,
            places,
            self._index,
            prefix=self._prefix,
            first_index=self._index_base,
            first_line=first_line,
            offset=self._offset - LOW,
        )

    def _quarantine(self, damage: Damage, place: int, line: int, start: int, end: int) -> None:
        text = bytes(self._buffers.buffer[start : min(end, start + ENTRY_TEXT_BYTES_MAX)])
        self._tally.quarantine(
            Entry(
                self._index_base + place,
                line,
                self._offset + start - LOW,
                end - start,
                damage.reason,
                damage.message,
                text,
            )
        )

    def _quarantine_rest(self, start: int, damage: Damage) -> None:
        """One entry for everything from `start` in the buffer to the end of the file."""
        buffer = self._buffers.buffer
        text = bytes(buffer[start : min(self._end, start + ENTRY_TEXT_BYTES_MAX)])
        offset, index = self._offset + start - LOW, self._index_base
        self._count_lines(LOW, start)
        line = self._line_base
        while not self._ended:
            self._drop(self._end)
            self._fill()
            # The window may have ended before the text; how much is shown must not depend on that.
            text += bytes(self._buffers.buffer[LOW : min(self._end, LOW + ENTRY_TEXT_BYTES_MAX - len(text))])
        size = self._offset + self._held - offset
        self._tally.quarantine(Entry(index, line, offset, size, damage.reason, damage.message, text))
        self._tally.indexes += 1
        self._drop(self._end)


def skip_white(buffer: bytearray, low: int, high: int) -> int:
    """The first position in `low..high` that is not white space, or `high`."""
    found = _NOT_WHITE.search(buffer, low, high)
    return found.start() if found else high


def _back_over_white(buffer: bytearray, low: int, high: int) -> int:
    """The last `high` such that the byte before it is not white space, or `low`."""
    while high > low and buffer[high - 1] in WHITE_SPACE:
        high -= 1
    return high


def _is_value(text: bytes) -> bool:
    """Whether a line is one whole JSON value; a blank one is as good."""
    try:
        if text.strip(WHITE_SPACE):
            parse(text)
    except Damage:
        return False
    return True


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(parse(text), dict)
    except Damage:
        return False
