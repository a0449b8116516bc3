"""Every border that the core has between two looks at an input, made as narrow as wanted."""

import io
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from unittest import mock

from linkmatch_ray.core import compressions, inflating, matcher, scan, structure
from linkmatch_ray.core.codecs import Plain
from linkmatch_ray.core.layouts import lines
from linkmatch_ray.core.matcher import Matcher
from linkmatch_ray.core.outcome import Counts
from linkmatch_ray.core.window import LOW, Buffers, Window
from linkmatch_ray.io.restrictions import loader, text

HOSTILE = (b'"', b"\\", b"[", b"{", b"}", b"]", b",", b"\n", b" ", b"\\u00", b'"data":1,', b"\xff")
"""What lies behind the bytes that were read, in a buffer that was used before."""

POISONED_BYTES = 4096


@dataclass(frozen=True)
class Borders:
    """How much is looked at at a time, in bytes; None for what it really is.

    Attributes:
        window: Of the input.
        part: Input of a part, where ranges are read.
        block: Of a window, by a NumPy pass; a multiple of eight.
        records: Given by the kernel at a time, as a number of them.
        tail: Read behind a range's end.
        compressed: Given to a decoder.
        listed: Of a list.
        poison: Bytes that fill the buffer around what was read.
    """

    window: int | None = None
    part: int | None = None
    block: int | None = None
    records: int | None = None
    tail: int | None = None
    compressed: int | None = None
    listed: int | None = None
    poison: bytes | None = None

    @contextmanager
    def drawn(self):
        """The core with these borders."""
        with ExitStack() as patches:

            def put(module, name, value):
                if value is not None:
                    patches.enter_context(mock.patch.object(module, name, value))

            put(structure, "STRIDE_BYTES", self.block)
            put(scan, "RECORDS_MAX", self.records)
            put(lines, "TAIL_BYTES", self.tail)
            put(matcher, "WINDOW_BYTES_MIN", self.window)
            put(matcher, "WINDOW_BYTES", self.window)
            put(loader, "WINDOW_BYTES", self.listed)
            put(text, "READ_BYTES", self.listed)
            if self.compressed is not None:
                rows = tuple(replace(row, input_bytes=self.compressed) for row in compressions.COMPRESSIONS)
                put(compressions, "COMPRESSIONS", rows)
                put(inflating, "COMPRESSIONS", rows)
            if self.poison is not None:
                put(Window, "fill", _poisoned(Window.fill, self.poison))
                put(Window, "drop", _poisoned(Window.drop, self.poison))
            yield


def _poisoned(method, poison):
    """The method of a window, after which the bytes of the buffer around those that are held are hostile."""

    def poisoned(self, *args):
        method(self, *args)
        buffer, end = self.buffer, self.end
        behind = min(len(buffer), end + POISONED_BYTES)
        buffer[:LOW] = (poison * LOW)[:LOW]
        buffer[end:behind] = (poison * POISONED_BYTES)[: behind - end]

    return poisoned


def matched_in_ranges(data, listed, options, unit_bytes, borders):
    """What the ranges of a file of lines give, one after another: matched, unmatched, counts and number of entries."""
    counts, matched, unmatched, entries = Counts(), b"", b"", 0
    for start in range(0, len(data), unit_bytes):
        stop = start + unit_bytes if start + unit_bytes < len(data) else None
        buffers = Buffers(borders.window or unit_bytes)
        reader = Matcher(listed.paths, listed.index, options, buffers, part_bytes=borders.part or unit_bytes)
        source = Plain(io.BytesIO(data[max(0, start - 1) :]))
        for part in reader.stream(source, b"", start=start, stop=stop):
            matched += b"".join(part.matched)
            unmatched += b"".join(part.unmatched)
            for piece in part.pieces:
                counts.add(piece.counts)
                entries += len(piece.entries)
    return matched, unmatched, counts, entries
