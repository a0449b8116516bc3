"""The last results: the reverse report (how many records equal each restriction), and entries by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO, Final

import numpy as np
import orjson

from linkmatch_ray.core.index import Int64s, RestrictionIndex
from linkmatch_ray.errors import JobError
from linkmatch_ray.io.ledger.ledger import Ledger
from linkmatch_ray.io.names import QUARANTINE

_ROWS: Final = 1 << 16


def count_hits(index: RestrictionIndex, ledger: Ledger) -> Int64s:
    """Returns how many records equal each restriction, of shape (restrictions,), in the order of the list; from the hit
    pairs of all pieces."""
    times = np.zeros(len(index.hashes), np.int64)
    for pairs in ledger.hits(len(times)):
        np.add.at(times, pairs[:, 0], pairs[:, 1])  # a key occurs once for each file of a piece
    return times[_in_order(index)[1]]


def report_lines(index: RestrictionIndex, hits: Int64s) -> Iterator[bytes]:
    """Yields the lines of `restrictions.jsonl`, some thousands at a time."""
    blob = index.blob.data
    places, distinct = _in_order(index)
    for low in range(0, len(distinct), _ROWS):
        rows = slice(low, low + _ROWS)
        some = distinct[rows]
        columns = (places[rows], index.starts[some], index.ends[some], hits[rows])
        lines = zip(*(column.tolist() for column in columns), strict=True)
        yield b"".join([b'{"index":%d,"key":%s,"hits":%d}\n' % (i, blob[start:end], n) for i, start, end, n in lines])


def count_reasons(quarantine: BinaryIO) -> dict[str, int]:
    """Counts entries by reason, from the output itself: a resumed job has not seen them all."""
    reasons: Counter[str] = Counter()
    with quarantine:
        for line in quarantine:
            try:
                reasons[orjson.loads(line)["reason"]] += 1
            except (ValueError, KeyError, TypeError):
                raise JobError(
                    f"{QUARANTINE}: has a line that is not an entry. See `verify`; start from the beginning with"
                    " --overwrite."
                ) from None
    return dict(sorted(reasons.items()))


def _in_order(index: RestrictionIndex) -> tuple[Int64s, Int64s]:
    """Returns the places of the restrictions in the list, ascending, and the distinct key of each."""
    if index.left_out:
        order = np.argsort(index.members)
    else:  # they are the numbers from 0 on
        order = np.empty_like(index.members)
        order[index.members] = np.arange(len(order))
    return index.members[order], np.repeat(np.arange(len(index.hashes)), np.diff(index.member_offsets))[order]
