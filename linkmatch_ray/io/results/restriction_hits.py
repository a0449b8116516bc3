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
    """Returns how many records equal each restriction, of shape (restrictions,); from the hit pairs of all pieces."""
    times = np.zeros(len(index.hashes), np.int64)
    for pairs in ledger.hits(len(times)):
        np.add.at(times, pairs[:, 0], pairs[:, 1])  # a key occurs once for each file of a piece
    return times[_distinct(index)]


def report_lines(index: RestrictionIndex, hits: Int64s) -> Iterator[bytes]:
    """Yields the lines of `restrictions.jsonl`, some thousands at a time."""
    blob, distinct = index.blob.data, _distinct(index)
    for low in range(0, len(distinct), _ROWS):
        some = distinct[low : low + _ROWS]
        columns = (index.starts[some].tolist(), index.ends[some].tolist(), hits[low : low + _ROWS].tolist())
        rows = zip(range(low, low + len(some)), *columns, strict=True)
        yield b"".join([b'{"index":%d,"key":%s,"hits":%d}\n' % (i, blob[start:end], n) for i, start, end, n in rows])


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


def _distinct(index: RestrictionIndex) -> Int64s:
    """Returns the distinct key of each restriction."""
    distinct = np.empty(index.restrictions, np.int64)
    distinct[index.members] = np.repeat(np.arange(len(index.hashes)), np.diff(index.member_offsets))
    return distinct
