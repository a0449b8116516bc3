"""Many small files at once: joined in one buffer and scanned as if they were one.

A scan costs some 100 microseconds however little there is to scan, more than an 8 KB file takes. So files of
one layout are joined: lines with a newline between them, arrays with the brackets where two meet turned to
a comma. The joint must be a record boundary in the scan's result. Then no value reaches from one file into
the next, and each file's share is what it would have given alone. In any other case (None) each file of the
group is to be matched by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from linkmatch_ray.core.emit import spanning_lines, verbatim
from linkmatch_ray.core.frames import CLOSE_BRACKET, COMMA, NEWLINE, OPEN_BRACKET, SPACE, Int64s
from linkmatch_ray.core.judge import DAMAGED, MATCHED, MISSING, NOT_OBJECT, Judge, Judged
from linkmatch_ray.core.outcome import Counts, MatchOptions, Piece, digest
from linkmatch_ray.core.stream import Part, skip_white

Shape = Literal["lines", "array", "other"]


@dataclass(slots=True)
class Extent:
    """Where a file lies in the buffer; the byte at `end` belongs to nobody and is a newline."""

    file: int
    start: int
    end: int


def groups(buffer: bytearray, extents: list[Extent], options: MatchOptions) -> list[tuple[Shape, list[Extent]]]:
    """Neighbouring files that may be joined."""
    if options.provenance or options.records_at is not None or options.format != "auto":
        return [("other", extents)]
    return [(s, [*group]) for s, group in groupby(extents, key=lambda extent: shape(buffer, extent))]


def shape(buffer: bytearray, extent: Extent) -> Shape:
    """What a file looks like from both of its ends; only a guess."""
    first = skip_white(buffer, extent.start, extent.end)
    last = extent.end
    while last > first and buffer[last - 1] in b" \t\r\n":
        last -= 1
    ends = bytes(buffer[first : first + 1] + buffer[last - 1 : last])
    if ends == b"[]" and skip_white(buffer, first + 1, last) < last - 1:
        return "array"
    if ends == b"{}":
        newline = buffer.find(b"\n", first, last)
        if newline < 0 or bytes(buffer[newline - 1 : newline]) in (b"}", b"\r"):
            return "lines"
    return "other"


def match_lines(buffer: bytearray, files: list[Extent], judge: Judge, options: MatchOptions) -> Part | None:
    """Files of lines; the newline after each file is the joint."""
    low, high = files[0].start, files[-1].end
    judged = judge.plain(buffer, low, high, elements=False)
    if judged is None:
        return None
    return _share_out(buffer, files, judged, options)


def match_arrays(buffer: bytearray, files: list[Extent], judge: Judge, options: MatchOptions) -> Part | None:
    """Files of one array each; `]` before a joint becomes a comma, `[` after it a space."""
    opens = [skip_white(buffer, extent.start, extent.end) for extent in files]
    closes = [buffer.rfind(b"]", extent.start, extent.end) for extent in files]
    for extent, close in zip(files[:-1], closes[:-1], strict=True):
        buffer[close], buffer[extent.end] = COMMA, SPACE
    for place in opens[1:]:
        buffer[place] = SPACE
    low = skip_white(buffer, opens[0] + 1, closes[0])
    judged = judge.plain(buffer, low, closes[-1], elements=True)
    part = None
    if judged is not None and _joined_at(judged, closes):
        part = _share_out(buffer, files, judged, options)
    if part is None:
        for extent, close, place in zip(files[:-1], closes, opens[1:], strict=False):
            buffer[close], buffer[extent.end], buffer[place] = CLOSE_BRACKET, NEWLINE, OPEN_BRACKET
    return part


def _joined_at(judged: Judged, closes: list[int]) -> bool:
    """Whether every joint lies between two records."""
    joints = np.array(closes[:-1], np.int64)
    after = np.searchsorted(judged.starts, joints)
    return bool((after > 0).all() and (after < len(judged.starts)).all() and (judged.ends[after - 1] <= joints).all())


def _share_out(buffer: bytearray, files: list[Extent], judged: Judged, options: MatchOptions) -> Part | None:
    """Cut the joint result at the files' borders."""
    spanning = spanning_lines(buffer, judged.starts, judged.ends, elements=judged.numbers is None)
    if judged.damages or (spanning is not None and spanning.any()):
        return None
    count = len(files)
    begins = np.searchsorted(judged.starts, np.array([extent.start for extent in files]))
    borders = np.append(begins, len(judged.starts))
    kinds = judged.kinds
    part = Part()
    is_matched, is_unmatched = kinds == MATCHED, (kinds != MATCHED) & (kinds != DAMAGED)
    sizes = {"matched": [0] * count, "unmatched": [0] * count}
    digests: dict[str, list[bytes | None]] = {"matched": [None] * count, "unmatched": [None] * count}
    for name, chosen in (("matched", is_matched), ("unmatched", is_unmatched)):
        if options.emit in (name, "both"):
            places = np.flatnonzero(chosen)
            getattr(part, name).extend(verbatim(buffer, judged, places))
            lengths = np.where(chosen, judged.ends - judged.starts + 1, 0)
            sizes[name] = _sums(lengths, borders)
            view = memoryview(b"".join(getattr(part, name)))
            ends = [0, *accumulate(sizes[name])]
            digests[name] = [digest(view[low:high]) if low < high else None for low, high in pairwise(ends)]
    records = np.diff(borders).tolist()
    matched = _sums(is_matched, borders)
    unmatched = _sums(is_unmatched, borders)
    missing = _sums(kinds == MISSING, borders)
    not_object = _sums(kinds == NOT_OBJECT, borders)
    hits = _hits(judged, borders)
    for i, extent in enumerate(files):
        part.pieces.append(
            Piece(
                file=extent.file,
                counts=Counts(records[i], matched[i], unmatched[i], missing[i], not_object[i]),
                input_bytes=extent.end - extent.start,
                matched_bytes=sizes["matched"][i],
                unmatched_bytes=sizes["unmatched"][i],
                matched_digest=digests["matched"][i],
                unmatched_digest=digests["unmatched"][i],
                hits=hits[i],
            )
        )
    return part


def _sums(values: npt.NDArray[np.generic], borders: Int64s) -> list[int]:
    total = np.concatenate((np.zeros(1, np.int64), np.cumsum(values)))
    sums: list[int] = (total[borders[1:]] - total[borders[:-1]]).tolist()
    return sums


def _hits(judged: Judged, borders: Int64s) -> list[bytes]:
    """`hit_pairs` of every file, in one go."""
    places = np.flatnonzero(judged.kinds == MATCHED)
    if not len(places):
        return [b""] * (len(borders) - 1)
    files = np.searchsorted(borders, places, side="right") - 1
    keys, times = np.unique(np.stack((files, judged.found[places])), axis=1, return_counts=True)
    pairs = np.stack((keys[1], times), axis=1).astype("<i8")
    cuts = np.searchsorted(keys[0], np.arange(len(borders)))
    return [pairs[low:high].tobytes() for low, high in pairwise(cuts)]
