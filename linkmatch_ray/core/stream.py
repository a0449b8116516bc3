"""Matching of one input from its first byte to its last: windows of bounded size in, parts of bounded size out."""

from __future__ import annotations

from collections.abc import Iterator

from linkmatch_ray.core.index import RestrictionIndex
from linkmatch_ray.core.layouts.line_documents import lines_of
from linkmatch_ray.core.layouts.table import walk
from linkmatch_ray.core.options import PART_BYTES_MAX, MatchOptions
from linkmatch_ray.core.parts import PART_ENTRIES_MAX, Part, PartWriter
from linkmatch_ray.core.verdicts import Judge
from linkmatch_ray.core.window import Buffers, Source, Window
from linkmatch_ray.core.writer import Reading


def match_stream(
    source: Source,
    judge: Judge,
    index: RestrictionIndex,
    options: MatchOptions,
    buffers: Buffers,
    *,
    path: bytes,
    file: int = 0,
    range_: int = 0,
    start: int = 0,
    stop: int | None = None,
    part_bytes: int = PART_BYTES_MAX,
) -> Iterator[Part]:
    """Matches one file, or one byte range of a file of lines; yields at least one part, the last with `last` set.

    Args:
        start, stop: The range in bytes. Its records are the lines that begin in it. If `stop` is None, it reaches to
            the end. If `start` is not 0, the source begins one byte before it.
    """
    window = Window(source, buffers, max(0, start - 1))
    writer = PartWriter(window, index, options, path=path, file=file, range_=range_)
    try:
        for _ in _walk(Reading(window, writer, judge, stop), writer, options, start):
            if writer.input_bytes >= part_bytes or writer.entries >= PART_ENTRIES_MAX:
                yield writer.take(last=False)
        if stop is None:
            writer.pass_over(window.end)
        if window.behind is not None:
            writer.empty(window.behind)
        yield writer.take(last=True)
    finally:
        buffers.shrink()


def _walk(of: Reading, writer: PartWriter, options: MatchOptions, start: int) -> Iterator[None]:
    """Matches all records; yields where a part may end."""
    if not start:
        yield from walk(of)
        return
    lines = lines_of(of)
    is_more = lines.skip_begun()
    writer.begin()
    if is_more:
        yield from lines.walk()
