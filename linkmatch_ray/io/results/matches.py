"""The matched records that other programs may read while a job runs: those of complete files.

A file that is not complete may still be rolled back (`changed`), and the next one's bytes may replace its own.
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
"""Maximum number of lines in a page of matches, and the size in bytes at which it ends."""


def _refuse_no_lines(start: object, limit: object) -> None:
    """Refuses what cannot stand for lines `start` to `start + limit`.

    Raises:
        TypeError: One of them is not an integer.
    """
    refuse_other_than("start", start, int, "Give the number of a line.")
    refuse_other_than("limit", limit, int, "Give a number of lines.")


def matches(results: Results, ledger: Ledger, start: int, limit: int) -> Iterator[bytes]:
    """Returns a page of the matched output, from line number `start` on, as far as files are complete and durable.

    It has at most `limit` lines and at most 10,000, and ends with the line that fills 64 MiB. It is empty only if
    there is no further line yet. The next page begins at `start` plus the lines of this one.

    The ledger is read and the output opened before this returns.

    Raises:
        TypeError: `start` or `limit` is not an integer.
    """
    _refuse_no_lines(start, limit)
    ends = ledger.by_name(ledger.settled().ends)  # first: nothing before it is ever rolled back
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
