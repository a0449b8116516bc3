"""The plan: the units of a job, one for each task. A pure function of the sizes of the files and of which can be cut.

A resumed job makes the same plan again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any, Final, NamedTuple

from linkmatch_ray.arguments import refuse_unless_within
from linkmatch_ray.core.options import LIMIT_MAX, PART_BYTES_MAX, UNIT_BYTES_MIN, JobOptions
from linkmatch_ray.io.inputs.archives.member import packed_in
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.inputs.names import is_compressed
from linkmatch_ray.io.results.reuse import ReusePlan

UNIT_BYTES: Final = 64 << 20
"""Input of a task of a small job, in bytes."""

COMPRESSED_UNIT_BYTES: Final = 16 << 20
"""The same if most of the input is compressed. A byte of it takes several times as long."""

UNIT_BYTES_MAX: Final = 1 << 30
"""Maximum input of a task that is not asked for: what a killed task has to do again takes a second or two."""

UNITS_A_WORKER: Final = 8
"""Units grow only in a job that has more than this many, so that all workers end at about the same time."""

UNITS_MIN: Final = 4096
"""The same if a cluster decides how many workers there are. It may have some hundred."""

UNIT_FILES_MAX: Final = 8192
"""Maximum number of files in a unit, because their rows in the ledger are committed together."""


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How inputs are cut into units and parts. The ledger keeps it, so that a resumed job is cut in the same way.

    Attributes:
        unit_bytes: Approximate input of one unit, in bytes.
        part_bytes: Approximate input of one part, in bytes.
        one_file_per_task: Whether a unit is always one whole file.
    """

    unit_bytes: int = UNIT_BYTES
    part_bytes: int = PART_BYTES_MAX
    one_file_per_task: bool = False

    def __post_init__(self) -> None:
        for name, low in (("unit_bytes", UNIT_BYTES_MIN), ("part_bytes", 1)):
            refuse_unless_within(name, getattr(self, name), low, LIMIT_MAX)

    @classmethod
    def of(cls, options: JobOptions, files: list[InputFile], cpus: int | None) -> PlanOptions:
        """Chooses the size of units, unless it is given.

        A task costs Ray 10 ms of CPU time, as much as 30 MB of lines cost a worker. One driver starts some 130 tasks a
        second. So a large job needs large units: at `UNIT_BYTES_MAX` one driver feeds 139 GB/s (`scripts/scale.md`).

        Args:
            cpus: Concurrent tasks unless the options name a number; None if a cluster decides that.
        """
        unit_bytes = options.unit_bytes
        if unit_bytes is None:
            workers = options.workers or cpus
            units = UNITS_MIN if workers is None else UNITS_A_WORKER * workers
            nbytes = sum(max(file.size, 0) for file in files)
            compressed = sum(max(file.size, 0) for file in files if is_compressed(file.name))
            low = COMPRESSED_UNIT_BYTES if 2 * compressed > nbytes else UNIT_BYTES
            unit_bytes = min(max(low, nbytes // units), UNIT_BYTES_MAX)
        return cls(unit_bytes, options.part_bytes, options.one_file_per_task)

    @property
    def whole_bytes(self) -> int:
        """Maximum size of a file that is not cut though it can be."""
        return LIMIT_MAX if self.one_file_per_task else self.unit_bytes


class Unit(NamedTuple):
    """The input of one task: the whole files from `first` up to but not including `stop`, or a byte range of one file.

    A range has the records that begin in `start..end`. The last range goes to the end of the file, and its `end` is
    None. `memory` is what its task asks of Ray, in bytes.
    """

    first: int
    stop: int
    nbytes: int
    range: int = 0
    start: int = 0
    end: int | None = None
    memory: int = 0

    @property
    def last(self) -> tuple[int, int]:
        """Number of its last file, and of its range in that file."""
        return self.stop - 1, self.range

    def apart(self, alone: set[int]) -> Iterator[Unit]:
        """Yields the unit, or its files in several units, so that each file of `alone` has one of its own."""
        borders = {self.first, self.stop}
        for file in alone.intersection(range(self.first, self.stop)):
            borders |= {file, file + 1}
        for first, stop in pairwise(sorted(borders)):
            yield self._replace(first=first, stop=stop)


class _Row(NamedTuple):
    """A compact form of units: whole files that are one unit, or one file in ranges.

    Attributes:
        nbytes: Bytes of all its files.
        range, ranges: Its units are the ranges from `range` up to but not including `ranges`.
    """

    first: int
    stop: int
    nbytes: int
    range: int = 0
    ranges: int = 1


class Plan:
    """All units of a job, in order. They are made when they are needed, because a file may have millions.

    Args:
        cut: Numbers of the files that are read in ranges.

    Attributes:
        ranges: Number of ranges of each file.
        nbytes: Bytes of all units.
    """

    def __init__(self, files: list[InputFile], cut: set[int], how: PlanOptions, reuse: ReusePlan | None) -> None:
        self._files, self._cut, self._how, self._reuse = files, cut, how, reuse
        self.ranges = [self._ranges_of(number) for number in range(len(files))]
        self.nbytes = self._count = 0
        for row in self._rows():
            self.nbytes += row.nbytes - row.range * how.unit_bytes
            self._count += row.ranges - row.range

    def __len__(self) -> int:
        """Returns the number of units."""
        return self._count

    def units(self, start: tuple[int, int] = (0, 0)) -> Iterator[Unit]:
        """Yields the units from the one that contains this file and this range of it."""
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
        """Yields one row per unit, for `--dry-run`. Names are bytes."""
        for number, unit in enumerate(self.units()):
            row: dict[str, Any] = {"unit": number, "bytes": unit.nbytes, "files": unit.stop - unit.first}
            row["first"] = self._files[unit.first].name
            if unit.stop - unit.first > 1:
                row["last"] = self._files[unit.stop - 1].name
            elif self.ranges[unit.first] > 1:
                row["from"], row["to"] = unit.start, unit.end
            yield row

    def _done(self, number: int) -> int | None:
        """Returns how many ranges of a file come from an earlier job; None for all of them."""
        return 0 if self._reuse is None else self._reuse.ranges_done(number)

    def _ranges_of(self, number: int) -> int:
        if self._reuse is not None and self._done(number) is None:
            return self._reuse.ranges[number]
        return -(-self._files[number].size // self._how.unit_bytes) if number in self._cut else 1

    def _rows(self) -> Iterator[_Row]:
        """Yields the plan: one row per unit, or one row per file that is read in ranges."""
        first = nbytes = 0  # of the unit that is being filled
        packed = None  # the packed tar that the file before is in
        for number, file in enumerate(self._files):
            size, done, is_cut = max(file.size, 0), self._done(number), number in self._cut
            before, packed = packed, None if done is None else packed_in(file)
            if packed is not None and packed == before:
                nbytes += size
                continue
            together = size if packed is None else self._packed_bytes(number, packed)
            is_full = nbytes + together > self._how.unit_bytes or number - first >= UNIT_FILES_MAX
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

    def _packed_bytes(self, number: int, packed: bytes) -> int:
        """Returns the bytes of the members of a packed tar from one on. They are not read apart."""
        rest = (self._files[place] for place in range(number, len(self._files)))
        return sum(max(file.size, 0) for file in takewhile(lambda file: packed_in(file) == packed, rest))


def make_plan(files: list[InputFile], cut: set[int], how: PlanOptions, reuse: ReusePlan | None = None) -> Plan:
    """Cuts the files into units, in their order, except files whose results come from an earlier job.

    Args:
        cut: Numbers of the files that can be read in ranges.
    """
    return Plan(files, cut, how, reuse)
