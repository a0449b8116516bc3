"""A look at the beginnings of large files: which of them can be read in ranges."""

from __future__ import annotations

from typing import Final

from linkmatch_ray.core.inflate import compression_of
from linkmatch_ray.core.layouts import layout_of
from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.io.input_file import InputFile
from linkmatch_ray.io.reader import open_input
from linkmatch_ray.io.side_by_side import side_by_side
from linkmatch_ray.io.storage_errors import Changed

AT_ONCE: Final = 16
"""So many files are looked at at a time: each may be far away."""

HEAD_BYTES: Final = 1 << 20
"""A file is read in ranges only if so much of it says that it can be."""


def cuttable(files: list[InputFile], options: MatchOptions, larger_than: int) -> set[int]:
    """Finds which of the files that are larger than so many bytes can be cut into ranges, by their places.

    One that cannot be read is none of them; the task that reads it says why.
    """
    large = [number for number, file in enumerate(files) if file.size > larger_than]
    found = side_by_side(lambda number: _can_be_cut(files[number], options), large, AT_ONCE)
    return {number for number, can_be_cut in zip(large, found, strict=True) if can_be_cut}


def _can_be_cut(file: InputFile, options: MatchOptions) -> bool:
    if options.records_at is not None:
        return False
    try:
        with open_input(file, HEAD_BYTES) as opened:
            head = opened.head(HEAD_BYTES)
            if not opened.has_ranges:
                return False
    except (OSError, Changed):
        return False
    layout = layout_of(head, options) if compression_of(head) is None else None
    return layout is not None and layout.can_be_cut
