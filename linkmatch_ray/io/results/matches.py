"""The matched records that other programs may have while a job runs: those of complete files.

A file that is not complete may still be rolled back (`changed`), and its bytes be written over by the next one's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from linkmatch_ray.arguments import refuse_other_than
from linkmatch_ray.io.ledger.ledger import Ledger
from linkmatch_ray.io.names import MATCHED
from linkmatch_ray.io.results.interface import Results

LINES_MAX: Final = 10_000
LINES_BYTES: Final = 64 << 20
"""A page of matches has no more lines than this, and no further line once it has so many bytes."""


def _refuse_no_lines(start: object, limit: object) -> None:
    """Refuse what cannot stand for lines `start` to `start + limit`.

    Raises:
        TypeError: one of them is no integer.
    """
    refuse_other_than("start", start, int, "Give the number of a line.")
    refuse_other_than("limit", limit, int, "Give a number of lines.")


def matches(results: Results, ledger: Ledger, start: int, limit: int) -> Iterator[bytes]:
    """A page of the matched output, from line number `start` on, as far as files are complete and durable.

    It has at most `limit` lines, 10,000 if that is less, and ends with the line that fills 64 MiB. So it has a line
    unless there is none yet, and the next page begins at `start` and as many lines as this one has.

    The ledger is asked and the output opened before this returns.

    Raises:
        TypeError: `start` or `limit` is no integer.
    """
    _refuse_no_lines(start, limit)
    ends = ledger.by_name(ledger.settled().ends)  # first: what is before it stays, whatever is rolled back meanwhile
    place = ledger.matched_from(start)
    if place is None:
        return iter(())
    offset, number = place
    return _page(results.open(MATCHED), offset, ends[MATCHED], start - number, min(limit, LINES_MAX))


def _page(file: BinaryIO, offset: int, end: int, skipped: int, limit: int) -> Iterator[bytes]:
    nbytes = 0
    with file:
        file.seek(offset)
        while limit > 0 and nbytes < LINES_BYTES and offset < end and (line := file.readline()):
            offset += len(line)
            if skipped:
                skipped -= 1
                continue
            limit, nbytes = limit - 1, nbytes + len(line)
            yield line
