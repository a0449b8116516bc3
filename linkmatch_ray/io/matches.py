"""The matched records that other programs may have while a job runs: those of complete files.

A file that is not complete may still be rolled back (`changed`), and its bytes be written over by the next one's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from linkmatch_ray.arguments import refuse_other_than
from linkmatch_ray.io.ledger import Ledger
from linkmatch_ray.io.results import MATCHED, Results


def refuse_no_lines(start: object, limit: object) -> None:
    """Refuse what cannot stand for lines `start` to `start + limit`.

    Raises:
        TypeError: one of them is no integer.
    """
    refuse_other_than("start", start, int, "Give the number of a line.")
    refuse_other_than("limit", limit, int, "Give a number of lines.")


def matches(results: Results, ledger: Ledger, start: int) -> Iterator[bytes]:
    """The lines of the matched output from number `start` on, as far as files are complete and durable.

    The ledger is asked and the output opened before this returns.
    """
    ends = ledger.by_name(ledger.settled().ends)  # first: what is before it stays, whatever is rolled back meanwhile
    place = ledger.matched_from(start)
    if place is None:
        return iter(())
    offset, number = place
    return _lines(results.open(MATCHED), offset, ends[MATCHED], start - number)


def _lines(file: BinaryIO, offset: int, end: int, skipped: int) -> Iterator[bytes]:
    with file:
        file.seek(offset)
        while offset < end and (line := file.readline()):
            offset += len(line)
            if skipped:
                skipped -= 1
            else:
                yield line
