"""The names of a job's objects at a URL, made and read here only.

Whoever may write there may put anything beside them. An object is the job's if its name is one that a job gives,
character for character; every other is left alone: it is not read, not counted and not removed.
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
_PART: Final = re.compile(r"([a-z]+)/part-([0-9]{16})-([0-9]{6,12})\.jsonl")
_RECORD: Final = re.compile(rf"{RECORDS}/([0-9]{{10}})")
_STAGED: Final = re.compile(rf"{STAGING}/[0-9a-f]{{16}}")


class Part(NamedTuple):
    """What the name of an object of an output says.

    Attributes:
        folder: That of the output.
        start: Where its bytes begin in the output.
        writer: The number of its writer, which is that of the writer's first record in the ledger.
    """

    folder: str
    start: int
    writer: int


def folder_of(output: str) -> str:
    """Where the objects of an output are, given the name of its file in a directory."""
    return output.removesuffix(".jsonl")


_FOLDERS: Final = frozenset(map(folder_of, OUTPUTS))


def part_name(part: Part) -> str:
    """The name of an object of an output."""
    return f"{part.folder}/part-{part.start:016d}-{part.writer:06d}.jsonl"


def part_of(name: str) -> Part | None:
    """What a name says, if it is that of an object of an output."""
    found = _PART.fullmatch(name)
    if found is None or found[1] not in _FOLDERS:
        return None
    part = Part(found[1], int(found[2]), int(found[3]))
    return part if part_name(part) == name else None  # a number has one spelling


def record_name(number: int) -> str:
    """The name of a record of the ledger."""
    return f"{RECORDS}/{number:010d}"


def record_number(name: str) -> int | None:
    """Which record of the ledger has this name."""
    found = _RECORD.fullmatch(name)
    return None if found is None else int(found[1])


def staged_name() -> str:
    """A new name for what a task writes before it counts."""
    return f"{STAGING}/{token_hex(8)}"


def is_staged(name: str) -> bool:
    """Whether a task may have written an object of this name."""
    return _STAGED.fullmatch(name) is not None


def is_ours(name: str) -> bool:
    """Whether a job may have given this name."""
    return name in _SINGLE or is_staged(name) or record_number(name) is not None or part_of(name) is not None
