"""Many small files at once: joined in one buffer and scanned as if they were one.

A scan costs some 100 microseconds even of few bytes, more than an 8 KB file takes. So files of one layout are joined.
Lines and documents get a newline between them; the brackets where two arrays meet become a comma.

The joint must be a record boundary in the scan's result. Then no value reaches from one file into the next, and each
file's share is what it would have given alone. In any other case (None) each file of the pack is matched by itself.
NumPy does the work of each file for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from linkmatch_ray.core.emit import as_they_are
from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.core.outcome import SHARE_COLUMNS, Counts, Piece, digest
from linkmatch_ray.core.parts import Part
from linkmatch_ray.core.path_finder import Inside, Taken
from linkmatch_ray.core.structure import (
    CLOSE_BRACE,
    CLOSE_BRACKET,
    COMMA,
    NEWLINE,
    OPEN_BRACKET,
    RETURN,
    SPACE,
    Int64s,
    UInt8s,
    trim,
)
from linkmatch_ray.core.verdicts import DAMAGED, MATCHED, MISSING, NOT_OBJECT, Judge, Judged

LINES, ARRAYS, DOCUMENTS, OTHER = range(4)
"""What both ends of a file suggest that it is."""

_BRACKETS: Final = {LINES: b"{}", ARRAYS: b"[]"}


@dataclass(frozen=True, slots=True)
class Pack:
    """Files that follow one another in the plan and in a buffer.

    Attributes:
        file: Number of the first file in the plan.
        starts, ends: Where each file lies. The byte at `ends` belongs to no file and is a newline.
    """

    file: int
    starts: Int64s
    ends: Int64s

    def __len__(self) -> int:
        return len(self.starts)

    def slice(self, low: int, high: int) -> Pack:
        """Returns the files from the `low`th to before the `high`th."""
        return Pack(self.file + low, self.starts[low:high], self.ends[low:high])


def groups(buffer: bytearray, pack: Pack, options: MatchOptions) -> Iterator[tuple[int, Pack]]:
    """Yields neighbours that may be joined, with what both of their ends suggest. The scan confirms it."""
    if options.provenance or options.format != "auto":
        yield OTHER, pack
        return
    shapes = _shapes(buffer, pack) if options.records_at is None else _shapes_of_documents(buffer, pack)
    borders = [0, *(np.flatnonzero(np.diff(shapes)) + 1).tolist(), len(pack)]
    for low, high in pairwise(borders):
        if low < high:
            yield int(shapes[low]), pack.slice(low, high)


def _shapes_of_documents(buffer: bytearray, pack: Pack) -> npt.NDArray[np.int8]:
    shapes, _, _ = _brackets(buffer, pack)
    shapes[shapes != OTHER] = DOCUMENTS
    return shapes


def _brackets(buffer: bytearray, pack: Pack) -> tuple[npt.NDArray[np.int8], Int64s, Int64s]:
    """Returns what the first and the last bracket of each file suggest, and where these are."""
    data = np.frombuffer(buffer, np.uint8)
    starts, ends = trim(data, pack.starts, pack.ends)
    first, last = data[starts], data[np.maximum(ends, 1) - 1]
    some = ends - starts > 1
    shapes = np.full(len(pack), OTHER, np.int8)
    for shape, (opening, closing) in _BRACKETS.items():
        shapes[some & (first == opening) & (last == closing)] = shape
    return shapes, starts, ends


def _shapes(buffer: bytearray, pack: Pack) -> npt.NDArray[np.int8]:
    data = np.frombuffer(buffer, np.uint8)
    shapes, starts, ends = _brackets(buffer, pack)
    arrays = np.flatnonzero(shapes == ARRAYS)
    inside, outside = trim(data, starts[arrays] + 1, ends[arrays] - 1)
    shapes[arrays[inside >= outside]] = OTHER
    lines = np.flatnonzero(shapes == LINES)
    for place, start, end in zip(lines.tolist(), starts[lines].tolist(), ends[lines].tolist(), strict=True):
        newline = buffer.find(b"\n", start, end)
        if newline >= 0 and buffer[newline - 1] not in (CLOSE_BRACE, RETURN):  # an object over several lines
            shapes[place] = OTHER
    return shapes


def match_joined(buffer: bytearray, shape: int, pack: Pack, judge: Judge, options: MatchOptions) -> Part | None:
    """Matches files of one shape as if they were one; returns None if each must be matched by itself."""
    match = {LINES: _match_lines, ARRAYS: _match_arrays, DOCUMENTS: _match_documents}[shape]
    return match(buffer, pack, judge, options)


def _match_lines(buffer: bytearray, pack: Pack, judge: Judge, options: MatchOptions) -> Part | None:
    """Matches files of lines. The newline after each file is the joint."""
    judged = judge.plain(buffer, int(pack.starts[0]), int(pack.ends[-1]), elements=False)
    return None if judged is None else _share_out(buffer, pack, judged, options)


def _match_arrays(buffer: bytearray, pack: Pack, judge: Judge, options: MatchOptions) -> Part | None:
    """Matches files of one array each. `]` before a joint becomes a comma, and `[` after it a space."""
    data = np.frombuffer(buffer, np.uint8)
    opens, ends = trim(data, pack.starts, pack.ends)
    closes = ends - 1
    _set_joints(data, pack, opens, closes, (COMMA, SPACE, SPACE))
    low = int(trim(data, opens[:1] + 1, closes[:1])[0][0])
    judged = judge.plain(buffer, low, int(closes[-1]), elements=True)
    part = None
    if judged is not None and _joined_at(judged, closes[:-1]):
        part = _share_out(buffer, pack, judged, options)
    if part is None:
        _set_joints(data, pack, opens, closes, (CLOSE_BRACKET, NEWLINE, OPEN_BRACKET))
    return part


def _match_documents(buffer: bytearray, pack: Pack, judge: Judge, options: MatchOptions) -> Part | None:
    """Matches files of documents that have their records inside. The newline after each file is the joint."""
    low, high, found = int(pack.starts[0]), int(pack.ends[-1]), list[tuple[Inside, Taken]]()
    while low < high:
        inside, values, stop = judge.finder.in_values(buffer, low, high, is_last=True)
        if stop == low or inside.has_missed.any():
            return None
        found.append((inside, values))
        low = stop
    values = Taken.joined([values for _, values in found])
    if (values.ends - values.starts > judge.max_bytes).any() or not _joined_at(values, pack.ends[:-1]):
        return None
    records = judge.elements(buffer, Taken.joined([inside.records for inside, _ in found]))
    return _share_out(buffer, pack, replace(records, numbers=None), options)


def _set_joints(data: UInt8s, pack: Pack, opens: Int64s, closes: Int64s, as_: tuple[int, int, int]) -> None:
    data[closes[:-1]], data[pack.ends[:-1]], data[opens[1:]] = as_


def _joined_at(values: Judged | Taken, joints: Int64s) -> bool:
    """Returns whether every joint lies between two values."""
    after = np.searchsorted(values.starts, joints)
    return bool((after > 0).all() and (after < len(values.starts)).all() and (values.ends[after - 1] <= joints).all())


def _share_out(buffer: bytearray, pack: Pack, judged: Judged, options: MatchOptions) -> Part | None:
    """Makes one piece for all files, with the share of each, cut at the files' borders."""
    if judged.damages:
        return None
    borders = np.append(np.searchsorted(judged.starts, pack.starts), len(judged.starts))
    kinds = judged.kinds
    chosen = {"matched": kinds == MATCHED, "unmatched": (kinds != MATCHED) & (kinds != DAMAGED)}
    output: dict[str, list[bytes]] = {"matched": [], "unmatched": []}
    columns: dict[str, Any] = dict.fromkeys(SHARE_COLUMNS, 0)
    columns["records"], columns["input_bytes"] = np.diff(borders), pack.ends - pack.starts
    columns["missing_key"] = _sums(kinds == MISSING, borders)
    columns["not_object"] = _sums(kinds == NOT_OBJECT, borders)
    for name, are_chosen in chosen.items():
        columns[name] = _sums(are_chosen, borders)
        if options.emit in (name, "both"):
            lines = as_they_are(buffer, judged, np.flatnonzero(are_chosen))
            if lines is None:
                return None
            output[name] = [lines] if lines else []
            columns[name + "_bytes"] = _sums(np.where(are_chosen, judged.ends - judged.starts + 1, 0), borders)
    columns["hits"], hits = _hits(judged, borders)
    shares = np.empty((len(pack), len(SHARE_COLUMNS)), np.int64)
    for place, column in enumerate(columns.values()):
        shares[:, place] = column
    sums = dict(zip(SHARE_COLUMNS, shares.sum(axis=0).tolist(), strict=True))
    piece = Piece(
        file=pack.file,
        counts=Counts(*(sums[name] for name in ("records", "matched", "unmatched", "missing_key", "not_object"))),
        input_bytes=sums["input_bytes"],
        matched_bytes=sums["matched_bytes"],
        unmatched_bytes=sums["unmatched_bytes"],
        matched_digest=digest(*output["matched"]),
        unmatched_digest=digest(*output["unmatched"]),
        hits=hits,
        files=len(pack),
        shares=shares if len(pack) > 1 else None,
    )
    return Part([piece], output["matched"], output["unmatched"])


def _sums(values: npt.NDArray[Any], borders: Int64s) -> Int64s:
    total = np.concatenate((np.zeros(1, np.int64), np.cumsum(values)))
    return np.diff(total[borders])


def _hits(judged: Judged, borders: Int64s) -> tuple[Int64s, bytes]:
    """Returns how many hit pairs each file has, and the pairs of all files, file by file."""
    places = np.flatnonzero(judged.kinds == MATCHED)
    files = np.searchsorted(borders, places, side="right") - 1
    distinct = judged.found[places]
    width = int(distinct.max(initial=0)) + 1
    pairs, times = np.unique(files * width + distinct, return_counts=True)
    counts = np.bincount(pairs // width, minlength=len(borders) - 1)
    return counts, np.stack((pairs % width, times), axis=1).astype("<i8").tobytes()
