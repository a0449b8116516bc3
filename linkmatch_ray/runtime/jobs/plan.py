"""The plan: which task does what. A pure function of the files' sizes, and of which of them can be cut.

A job that resumes makes the same plan again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from linkmatch_ray.arguments import refuse_unless_within
from linkmatch_ray.core.options import LIMIT_MAX, PART_BYTES_MAX, UNIT_BYTES, UNIT_BYTES_MIN
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.results.reuse import ReusePlan

UNIT_FILES_MAX: Final = 8192
"""No more files than this in a unit: their rows in the ledger are committed together."""


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
        for name, low in (("unit_bytes", UNIT_BYTES_MIN), ("part_bytes", 1)):
            refuse_unless_within(name, getattr(self, name), low, LIMIT_MAX)

    @property
    def whole_bytes(self) -> int:
        """Files up to this size are read as a whole, also if they can be cut."""
        return LIMIT_MAX if self.one_file_per_task else self.unit_bytes


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


class _Row(NamedTuple):
    """What stands for units of a plan until they are made: whole files that are one unit, or one file in ranges.

    Attributes:
        nbytes: Of all of its files.
        range, ranges: Its units are the ranges from the one to before the other.
    """

    first: int
    stop: int
    nbytes: int
    range: int = 0
    ranges: int = 1


class Plan:
    """All units of a job, in order. They are made when they are needed: a file may have millions.

    Args:
        cut: Which files are read in ranges.

    Attributes:
        ranges: How many ranges each file has.
        nbytes: Of all units.
    """

    def __init__(self, files: list[InputFile], cut: set[int], how: PlanOptions, reuse: ReusePlan | None) -> None:
        self._files, self._cut, self._how, self._reuse = files, cut, how, reuse
        self.ranges = [self._ranges_of(number) for number in range(len(files))]
        self.nbytes = self._count = 0
        for row in self._rows():
            self.nbytes += row.nbytes - row.range * how.unit_bytes
            self._count += row.ranges - row.range

    def __len__(self) -> int:
        """How many units there are."""
        return self._count

    def units(self, start: tuple[int, int] = (0, 0)) -> Iterator[Unit]:
        """The units from that on which has this file, and range of it."""
        for row in self._rows():
            if (row.stop - 1, row.ranges - 1) < start:
                continue
            if row.ranges == 1:
                yield Unit(row.first, row.stop, row.nbytes)
                continue
            done = start[1] if row.first == start[0] else 0
            for range_ in range(max(row.range, done), row.ranges):
                begin, end = range_ * self._how.unit_bytes, (range_ + 1) * self._how.unit_bytes
                to_end = range_ == row.ranges - 1
                nbytes = min(end, row.nbytes) - begin
                yield Unit(row.first, row.stop, nbytes, range_, begin, None if to_end else end)

    def describe(self) -> Iterator[dict[str, Any]]:
        """For `--dry-run`: one row a unit; names are bytes."""
        for number, unit in enumerate(self.units()):
            row: dict[str, Any] = {"unit": number, "bytes": unit.nbytes, "files": unit.stop - unit.first}
            row["first"] = self._files[unit.first].name
            if unit.stop - unit.first > 1:
                row["last"] = self._files[unit.stop - 1].name
            elif self.ranges[unit.first] > 1:
                row["from"], row["to"] = unit.start, unit.end
            yield row

    def _done(self, number: int) -> int | None:
        """How many ranges of a file an earlier job has; None for all of them."""
        return 0 if self._reuse is None else self._reuse.ranges_done(number)

    def _ranges_of(self, number: int) -> int:
        if self._reuse is not None and self._done(number) is None:
            return self._reuse.ranges[number]
        return -(-self._files[number].size // self._how.unit_bytes) if number in self._cut else 1

    def _rows(self) -> Iterator[_Row]:
        """The plan, a row a unit, or a row a file that is read in ranges."""
        first = nbytes = 0  # of the unit that is being filled
        for number, file in enumerate(self._files):
            size, done, is_cut = max(file.size, 0), self._done(number), number in self._cut
            is_full = nbytes + size > self._how.unit_bytes or number - first >= UNIT_FILES_MAX
            if first < number and (done is None or is_cut or is_full or self._how.one_file_per_task):
                yield _Row(first, number, nbytes)
                first, nbytes = number, 0
            if done is None:
                first = number + 1
            elif is_cut:
                yield _Row(number, number + 1, size, done, self.ranges[number])
                first = number + 1
            else:
                nbytes += size
        if first < len(self._files):
            yield _Row(first, len(self._files), nbytes)


def make_plan(files: list[InputFile], cut: set[int], how: PlanOptions, reuse: ReusePlan | None = None) -> Plan:
    """Cuts the files into units, in their order; without those whose results an earlier job has.

    Args:
        cut: The places of those that can be read in ranges.
    """
    return Plan(files, cut, how, reuse)
