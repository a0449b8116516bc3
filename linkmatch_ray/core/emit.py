"""Output lines of records: verbatim, or with their provenance."""

from __future__ import annotations

import re
from typing import Final

import msgspec
import numpy as np
import orjson

from linkmatch_ray.core.exact import minify
from linkmatch_ray.core.index import RestrictionIndex
from linkmatch_ray.core.outcome import as_text
from linkmatch_ray.core.structure import NEWLINE, Int64s, positions
from linkmatch_ray.core.verdicts import Judged

PROVENANCE_RESTRICTIONS_MAX: Final = 10
"""Maximum number of restrictions in a provenance line; `restrictions_total` has the true number."""


def verbatim(buffer: bytearray, judged: Judged, places: Int64s) -> list[bytes]:
    """Returns the chosen records as lines, byte for byte. White space between tokens is dropped if a record spans
    lines."""
    if not len(places):
        return []
    lines = as_they_are(buffer, judged, places)
    if lines is not None:
        return [lines]
    view = memoryview(buffer)
    spans = zip(judged.starts[places].tolist(), judged.ends[places].tolist(), strict=True)
    records = (bytes(view[start:end]) for start, end in spans)
    return [(one_line(record) if b"\n" in record or b"\r" in record else record) + b"\n" for record in records]


def as_they_are(buffer: bytearray, judged: Judged, places: Int64s) -> bytes | None:
    """Returns the chosen records as lines, byte for byte; None if one of them spans lines.

    Neighbours are copied at once. During the copy, the byte after each chosen record is a newline.
    """
    if not len(places):
        return b""
    lines = _copied(buffer, judged.starts[places], judged.ends[places])
    spans = b"\r" in lines or (judged.numbers is None and lines.count(b"\n") > len(places))
    return None if spans else lines


def _copied(buffer: bytearray, starts: Int64s, ends: Int64s) -> bytes:
    """Copies spans, each with a newline behind it."""
    view = memoryview(buffer)
    if (starts[1:] == ends[:-1]).any():  # nothing stands between some of them
        return b"\n".join([view[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]) + b"\n"
    data = np.frombuffer(buffer, np.uint8)
    separators = data[ends]
    data[ends] = NEWLINE
    breaks = np.flatnonzero(starts[1:] != ends[:-1] + 1)
    run_starts = starts[np.concatenate((np.zeros(1, np.int64), breaks + 1))].tolist()
    run_ends = (ends[np.append(breaks, len(ends) - 1)] + 1).tolist()
    lines = b"".join([view[start:end] for start, end in zip(run_starts, run_ends, strict=True)])
    data[ends] = separators
    return lines


def with_provenance(
    buffer: bytearray,
    judged: Judged,
    places: Int64s,
    index: RestrictionIndex,
    *,
    prefix: bytes,
    first_index: int,
    first_line: int,
    offset: int,
) -> list[bytes]:
    """Returns a provenance line for each chosen record.

    Args:
        prefix: `provenance_prefix` of the file.
        first_index: Index in the file of the window's first record.
        first_line: Physical line, from 1, of the window's start; for elements, that of `judged.starts[0]`.
        offset: What is added to a position in the buffer to give the offset in the file.
    """
    numbers = judged.numbers
    if numbers is None:
        newlines = positions(np.frombuffer(buffer, np.uint8), int(judged.starts[0]), int(judged.ends[-1]), NEWLINE)
        numbers = np.searchsorted(newlines, judged.starts)
    out = []
    for place in places.tolist():
        start, end = int(judged.starts[place]), int(judged.ends[place])
        distinct = int(judged.found[place])
        hits = index.restrictions_of(distinct) if distinct >= 0 else judged.starts[:0]
        listed = ",".join(map(str, hits[:PROVENANCE_RESTRICTIONS_MAX].tolist()))
        record = bytes(buffer[start:end])
        if b"\n" in record or b"\r" in record:
            record = one_line(record)
        head = b'%s%d,"line":%d,"byte_offset":%d,"restrictions":[%s],"restrictions_total":%d,"record":' % (
            prefix,
            first_index + place,
            first_line + int(numbers[place]),
            start + offset,
            listed.encode(),
            len(hits),
        )
        out.append(head + record + b"}\n")
    return out


def provenance_prefix(path: bytes) -> bytes:
    """Returns the beginning of every provenance line of a file, up to the number of its index."""
    return orjson.dumps(as_text("file", path))[:-1] + b',"index":'


def move_provenance(lines: bytes, prefix: bytes, indexes: int, newlines: int) -> bytes:
    """Returns provenance lines whose positions count from the start of the file instead of the start of a range."""
    head = re.compile(b"^" + re.escape(prefix) + rb'(\d+),"line":(\d+)', re.MULTILINE)

    def moved(found: re.Match[bytes]) -> bytes:
        return b'%s%d,"line":%d' % (prefix, int(found[1]) + indexes, int(found[2]) + newlines)

    return head.sub(moved, lines)


def one_line(record: bytes) -> bytes:
    """Returns a valid record without the white space between its tokens."""
    try:
        return msgspec.json.format(record, indent=-1)
    except (msgspec.DecodeError, RecursionError):  # msgspec refuses lone surrogates, and has limits of its own
        return minify(record)
