"""One input from its first byte to its last, in windows of bounded size, to parts of bounded size."""

from __future__ import annotations

from collections.abc import Iterator

from linkmatch_ray.core.careful import Damage
from linkmatch_ray.core.elements import Array, walk_document, walk_object
from linkmatch_ray.core.index import RestrictionIndex
from linkmatch_ray.core.judge import Judge
from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.core.layout import HEAD_BYTES, LayoutFinder, text_start
from linkmatch_ray.core.lines import Lines
from linkmatch_ray.core.options import PART_BYTES_MAX, Format, MatchOptions
from linkmatch_ray.core.parts import PART_ENTRIES_MAX, Part, PartWriter
from linkmatch_ray.core.window import LOW, Buffers, Source, Window


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
    """Match one file, or one byte range of a file of lines; gives at least one part, the last with `last` set.

    Args:
        start, stop: The range in bytes; lines that begin in it are its records. `stop` None: to the end.
            Where `start` is not 0, the source begins one byte before it.
    """
    window = Window(source, buffers, max(0, start - 1))
    writer = PartWriter(window, index, options, path=path, file=file, range_=range_)
    try:
        for _ in _walk(window, writer, judge, options, start, stop):
            if writer.input_bytes >= part_bytes or writer.entries >= PART_ENTRIES_MAX:
                yield writer.take(last=False)
        if stop is None:
            window.drop(window.end)
        yield writer.take(last=True)
    finally:
        buffers.shrink()


def _walk(
    window: Window, writer: PartWriter, judge: Judge, options: MatchOptions, start: int, stop: int | None
) -> Iterator[None]:
    """Match everything; stops where a part may end."""
    limit = options.max_record_bytes
    lines = Lines(window, writer, judge, limit, stop)
    if start:
        if lines.skip_begun():
            yield from lines.walk()
        return
    window.fill()
    try:
        window.drop(LOW + text_start(window.text(LOW, HEAD_BYTES)))
    except Damage as damage:
        writer.rest(damage, LOW)
        return
    if not writer.skip_white(stop):
        if window.corrupt is not None:
            writer.rest(window.corrupt, LOW)
        return
    layout = _find_layout(window, options)
    if options.records_at is not None:
        walk_document(window, writer, judge, limit, KeyPath.parse(options.records_at))
    elif layout == "array":
        yield from Array(window, writer, judge, limit).walk()
    elif layout == "object":
        walk_object(window, writer, judge, limit)
    else:
        yield from lines.walk()


def _find_layout(window: Window, options: MatchOptions) -> Format:
    finder = LayoutFinder(options)
    while (layout := finder.find(window.buffer, LOW, window.end, ended=window.ended)) is None:
        window.fill()
    return layout
