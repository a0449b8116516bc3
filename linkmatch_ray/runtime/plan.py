"""The plan: which task does what. A pure function of the files' sizes and, for large ones, their first bytes.

A job that resumes makes the same plan again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from linkmatch_ray.core.inflate import is_compressed
from linkmatch_ray.core.layout import layout_of
from linkmatch_ray.core.outcome import MatchOptions
from linkmatch_ray.core.parts import PART_BYTES_MAX
from linkmatch_ray.errors import UsageError
from linkmatch_ray.io.earlier import Origins
from linkmatch_ray.io.inputs import InputFile
from linkmatch_ray.io.reader import Changed, open_input
from linkmatch_ray.io.side_by_side import side_by_side

UNIT_BYTES: Final = 64 << 20
"""How much one task reads, about. A task costs 2 ms of driver and raylet, and some 60 ms at 0.5 GB/s a core."""

UNIT_BYTES_MIN: Final = 16
"""A smaller one would be read for the sake of its neighbours only."""

UNIT_FILES_MAX: Final = 8192
"""No more files than this in a unit: their rows in the ledger are committed together."""

SMALL_FILE_BYTES: Final = 1 << 20
"""Files up to this size are packed together."""

SNIFFS: Final = 16
"""So many large files are looked at at a time."""

SNIFF_BYTES: Final = 1 << 20
"""A large file is cut into ranges only if its first record is a line no longer than this."""


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How inputs are cut into units and parts; kept in the ledger, so that a resumed job is cut the same.

    Attributes:
        unit_bytes: Input of one unit, about.
        part_bytes: Input of one part, about.
        one_file_per_task: A unit is always one whole file.
    """

    unit_bytes: int = UNIT_BYTES
    part_bytes: int = PART_BYTES_MAX
    one_file_per_task: bool = False

    def __post_init__(self) -> None:
        if self.unit_bytes < UNIT_BYTES_MIN:
            raise UsageError(f"unit_bytes={self.unit_bytes}: too small. Give {UNIT_BYTES_MIN} or more.")


class Unit(NamedTuple):
    """What one task does: the whole files from the `first` to before the `stop`th, or a byte range of one file.

    A range has the records that begin in `start..end`; the last one goes to the end of the file, where `end` is
    None.
    """

    first: int
    stop: int
    nbytes: int
    range: int = 0
    start: int = 0
    end: int | None = None

    @property
    def last(self) -> tuple[int, int]:
        """Its last file, and which range of it."""
        return self.stop - 1, self.range


@dataclass(slots=True)
class Plan:
    """All units of a job, in order, and how many ranges each file has."""

    units: list[Unit] = field(default_factory=list)
    ranges: list[int] = field(default_factory=list)

    def describe(self, files: list[InputFile]) -> Iterator[dict[str, Any]]:
        """For `--dry-run`: one row a unit; names are bytes."""
        for number, unit in enumerate(self.units):
            row: dict[str, Any] = {"unit": number, "bytes": unit.nbytes, "files": unit.stop - unit.first}
            row["first"] = files[unit.first].name
            if unit.stop - unit.first > 1:
                row["last"] = files[unit.stop - 1].name
            elif self.ranges[unit.first] > 1:
                row["from"], row["to"] = unit.start, unit.end
            yield row


def make_plan(files: list[InputFile], options: MatchOptions, how: PlanOptions, origins: Origins | None = None) -> Plan:
    """Cut the files into units, in their order; without those whose results an earlier job has."""
    plan = Plan()
    first = nbytes = 0  # of the unit that is being filled
    lines = set() if how.one_file_per_task else _cuttable(files, options, how.unit_bytes)

    def flush(stop: int) -> None:
        nonlocal first, nbytes
        if first < stop:
            plan.units.append(Unit(first, stop, nbytes))
        first, nbytes = stop, 0

    for number, file in enumerate(files):
        size = max(file.size, 0)
        count = 1
        done = 0 if origins is None else origins.ranges_done(number)
        if done is None:
            flush(number)
            plan.ranges.append(origins.ranges[number])  # type: ignore[union-attr]
            first = number + 1
            continue
        if how.one_file_per_task:
            flush(number)
        elif number in lines:
            flush(number)
            count = -(-size // how.unit_bytes)
            for range_ in range(done, count):
                start, end = range_ * how.unit_bytes, (range_ + 1) * how.unit_bytes
                to_end = range_ == count - 1
                unit = Unit(number, number + 1, min(end, size) - start, range_, start, None if to_end else end)
                plan.units.append(unit)
            first = number + 1
        elif nbytes + size > how.unit_bytes or number - first >= UNIT_FILES_MAX:
            flush(number)
        if count == 1:
            nbytes += size
        plan.ranges.append(count)
    flush(len(files))
    return plan


def _cuttable(files: list[InputFile], options: MatchOptions, unit_bytes: int) -> set[int]:
    """Which of the large files can be cut at newlines. Looked at several at a time: each may be far away."""
    large = [number for number, file in enumerate(files) if file.size > unit_bytes]
    found = side_by_side(lambda number: _is_lines(files[number], options), large, SNIFFS)
    return {number for number, is_lines in zip(large, found, strict=True) if is_lines}


def _is_lines(file: InputFile, options: MatchOptions) -> bool:
    """Whether a file can be cut at newlines: plain, and lines to who reads it."""
    if options.records_at is not None:
        return False
    try:
        with open_input(file, SNIFF_BYTES) as opened:
            head = opened.head(SNIFF_BYTES)
            if not opened.has_ranges:
                return False
    except (OSError, Changed):
        return False  # the task that reads it says so
    return not is_compressed(head) and layout_of(head, options) == "lines"
