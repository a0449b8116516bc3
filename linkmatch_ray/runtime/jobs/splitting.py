"""Where to split a unit whose task was lost, so that in the end a bad file is read alone."""

from __future__ import annotations

from collections.abc import Sequence, Set
from itertools import pairwise

from linkmatch_ray.io.inputs.archives.member import packed_in
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.runtime.jobs.plan import Unit
from linkmatch_ray.runtime.jobs.unit_states import AdmittedUnit


def left_of(unit: AdmittedUnit, files: Sequence[InputFile], alone: Set[int] = frozenset()) -> list[AdmittedUnit]:
    """Returns units of the files that have not come as a whole.

    Args:
        files: All files of the job.
        alone: Those that get a unit of their own.
    """
    first = unit.unit.first
    if unit.received is not None:
        first = unit.received.file + unit.whole
        alone = alone if unit.whole else {first, *alone}
    borders = _borders(files, first, unit.unit.stop, alone)
    left = [AdmittedUnit(Unit(*each, _bytes_of(files, *each))) for each in pairwise(borders)]
    if left and unit.received is not None and left[0].unit.first == unit.received.file:
        left[0].received, left[0].whole = unit.received, unit.whole
    return left


def _borders(files: Sequence[InputFile], first: int, stop: int, alone: Set[int]) -> list[int]:
    """Returns where to split these files: between any two, but those of a packed tar only in the middle.

    Each unit of them reads the archive from its beginning.

    Args:
        alone: Those that get a unit of their own: one of which parts have come, or that needs memory.
    """
    packed = [packed_in(file) for file in files[first:stop]]
    apart = {first + at for at in range(1, len(packed)) if packed[at] is None or packed[at] != packed[at - 1]}
    apart |= {border for file in alone for border in (file, file + 1)}
    return sorted({first, stop} | (apart or {(first + stop + 1) // 2}))


def _bytes_of(files: Sequence[InputFile], first: int, stop: int) -> int:
    return sum(max(file.size, 0) for file in files[first:stop])
