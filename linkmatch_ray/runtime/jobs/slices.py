"""Stretches of output on their way from a task to the collector, without a copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from linkmatch_ray.io.results.segments import Staged

Slice: TypeAlias = memoryview | Staged
"""A stretch of output: its bytes, or the place where a task has written them."""


def bytes_of(slices: Sequence[Slice]) -> list[memoryview]:
    """Returns the bytes of all slices. Reads those that a task has written itself."""
    return [memoryview(each.read()) if isinstance(each, Staged) else each for each in slices]


def skip(slices: Sequence[Slice], size: int) -> list[Slice]:
    """Returns the slices without their first `size` bytes."""
    left = []
    for each in slices:
        left.append(each[size:])
        size = max(0, size - len(each))
    return [each for each in left if len(each)]


class Slices:
    """A sequence of slices, from whose front bytes are taken."""

    def __init__(self, arrays: Sequence[npt.NDArray[np.uint8] | Staged]) -> None:
        self._rest = [each if isinstance(each, Staged) else each.data for each in arrays]

    def take(self, size: int) -> list[Slice]:
        """Takes the next `size` bytes."""
        taken: list[Slice] = []
        while size:
            each = self._rest[0]
            taken.append(each[:size])
            if len(each) > size:
                self._rest[0] = each[size:]
            else:
                self._rest.pop(0)
            size -= len(taken[-1])
        return taken
