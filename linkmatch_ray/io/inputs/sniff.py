"""Finds which large files can be read in ranges, from their beginnings."""

from __future__ import annotations

from concurrent.futures import wait
from typing import Final

from linkmatch_ray.core.compressions import compression_of
from linkmatch_ray.core.encodings import encoding_of
from linkmatch_ray.core.layouts.table import layout_of
from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.io.inputs.archives.member import member_of
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.inputs.opening import open_input
from linkmatch_ray.io.storage.errors import Changed
from linkmatch_ray.io.storage.side_by_side import Pool

AT_ONCE: Final = 16
"""Concurrent looks at files: each file may be far away."""

HEAD_BYTES: Final = 1 << 20
"""Bytes at the beginning of a file that decide whether it can be read in ranges."""


def cuttable(files: list[InputFile], options: MatchOptions, larger_than: int) -> set[int]:
    """Finds which of the files of more than `larger_than` bytes can be cut into ranges; returns their numbers.

    A file that cannot be read is not among them. The task that reads it reports why.
    """
    cut, _ = cuttable_within(None, files, options, larger_than)
    return cut


def cuttable_within(
    seconds_max: float | None, files: list[InputFile], options: MatchOptions, larger_than: int
) -> tuple[set[int], int]:
    """Finds the same within `seconds_max`; returns also how many of the large files it could not look at."""
    large = [number for number, file in enumerate(files) if file.size > larger_than and _can_be_sought(file)]
    pool = Pool(AT_ONCE)
    looks = [pool.submit(_can_be_cut, files[number], options) for number in large]
    done, others = wait(looks, seconds_max)
    pool.close()
    return {number for number, look in zip(large, looks, strict=True) if look in done and look.result()}, len(others)


def _can_be_sought(file: InputFile) -> bool:
    """Returns whether a file can be read from any byte on. Most members of archives cannot."""
    member = member_of(file)
    return file.fault is None and (member is None or member.can_be_sought)


def _can_be_cut(file: InputFile, options: MatchOptions) -> bool:
    try:
        with open_input(file, HEAD_BYTES) as opened:
            head = opened.head(HEAD_BYTES)
            if not opened.has_ranges:
                return False
    except (OSError, Changed):
        return False
    is_plain = compression_of(head) is None and encoding_of(head) is None
    layout = layout_of(head, options) if is_plain else None
    return layout is not None and layout.can_be_cut
