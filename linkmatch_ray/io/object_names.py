"""The names of a job's objects at a URL. Only this module makes and reads them.

Others who may write there may put anything beside them. An object is the job's if its name is exactly one that a job
gives. No other object is read, counted or removed.
"""

from __future__ import annotations

import re
from secrets import token_hex
from typing import Final, NamedTuple

from linkmatch_ray.io.names import LEDGER, MARKER, OUTPUTS, RESTRICTIONS, SUMMARY

LOCK: Final = MARKER.decode()
CANCEL: Final = "linkmatch.cancel"
RECORDS: Final = "ledger"
STAGING: Final = "staging"

_SINGLE: Final = frozenset({LOCK, CANCEL, RESTRICTIONS, LEDGER, SUMMARY})
_SEGMENT: Final = re.compile(r"([a-z]+)/part-([0-9]{16})-([0-9]{6,12})\.jsonl")
_RECORD: Final = re.compile(rf"{RECORDS}/([0-9]{{10}})")
_STAGED: Final = re.compile(rf"{STAGING}/[0-9a-f]{{16}}")


class SegmentName(NamedTuple):
    """The meaning of a segment's name.

    Attributes:
        folder: That of the output.
        start: Where its bytes begin in the output.
        writer: The number of its writer, which is that of the writer's first record in the ledger.
    """

    folder: str
    start: int
    writer: int


def folder_of(output: str) -> str:
    """Returns the folder of the segments of an output, given the name of its file in a directory."""
    return output.removesuffix(".jsonl")


_FOLDERS: Final = frozenset(map(folder_of, OUTPUTS))


def segment_name(name: SegmentName) -> str:
    """Returns the name of a segment."""
    return f"{name.folder}/part-{name.start:016d}-{name.writer:06d}.jsonl"


def segment_of(name: str) -> SegmentName | None:
    """Returns what a name says if it is a segment's; None otherwise."""
    found = _SEGMENT.fullmatch(name)
    if found is None or found[1] not in _FOLDERS:
        return None
    segment = SegmentName(found[1], int(found[2]), int(found[3]))
    return segment if segment_name(segment) == name else None  # a number has one spelling


def record_name(number: int) -> str:
    """Returns the name of a record of the ledger."""
    return f"{RECORDS}/{number:010d}"


def record_number(name: str) -> int | None:
    """Returns the number of the record of the ledger that has this name, or None."""
    found = _RECORD.fullmatch(name)
    return None if found is None else int(found[1])


def staged_name() -> str:
    """Returns a new name for what a task writes before it counts."""
    return f"{STAGING}/{token_hex(8)}"


def is_staged(name: str) -> bool:
    """Returns whether a task may have written an object of this name."""
    return _STAGED.fullmatch(name) is not None


def is_ours(name: str) -> bool:
    """Returns whether a job may have given this name."""
    return name in _SINGLE or is_staged(name) or record_number(name) is not None or segment_of(name) is not None
