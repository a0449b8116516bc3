"""Layouts: how records lie in a file. One table for all modules that read records, or plan how to read them.

A layout is found from the content, as the contract says. The plan sees the beginning of a large file, and the reader
sees all of it. Both ask the same rows in the same order. A file is *lines* or *values*. Of values, an array is streamed
and any other document is held whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.core.layouts.detection import HEAD_BYTES, Beginning, text_start
from linkmatch_ray.core.layouts.lines import looks_like_lines, walk_lines
from linkmatch_ray.core.layouts.values import looks_like_array, walk_array, walk_document, walk_object
from linkmatch_ray.core.options import Format, MatchOptions
from linkmatch_ray.core.structure import skip_white
from linkmatch_ray.core.window import LOW
from linkmatch_ray.core.writer import Reading


@dataclass(frozen=True, slots=True)
class Layout:
    """A row of the table.

    Attributes:
        name: Its name for `--format`.
        looks_like: Returns whether a text with this beginning has the layout, if it has none of the rows before; None
            if more must be seen.
        walk: Reads an input whose first byte in the window is not white space; yields where a part may end.
        can_be_cut: Byte ranges of a file can be read apart.
        ends: First and last byte of small files that can be scanned as one; see `core.pack`.
    """

    name: Format
    looks_like: Callable[[Beginning], bool | None]
    walk: Callable[[Reading], Iterator[None]]
    can_be_cut: bool = False
    ends: bytes = b""


ARRAY: Final = Layout("array", looks_like_array, walk_array, ends=b"[]")
LINES: Final = Layout("lines", looks_like_lines, walk_lines, can_be_cut=True, ends=b"{}")
OBJECT: Final = Layout("object", lambda beginning: True, walk_object)

LAYOUTS: Final = (ARRAY, LINES, OBJECT)
"""The last row takes every text that the others do not."""

_BY_NAME: Final = {layout.name: layout for layout in LAYOUTS}


def find_layout(beginning: Beginning, format: Format) -> Layout | None:
    """Finds the layout of a text; returns None if more must be shown. A longer beginning of the same text has the same
    layout.

    Args:
        format: The layout if it is named, or `auto`.
    """
    if format != "auto":
        return _BY_NAME[format]
    for layout in LAYOUTS:
        looks_like_it = layout.looks_like(beginning)
        if looks_like_it is None or looks_like_it:
            return layout if looks_like_it else None
    raise AssertionError("no row is the last")


def layout_of(head: bytes, options: MatchOptions, *, is_all: bool = False) -> Layout | None:
    """Finds the layout of an input that begins with `head`; returns None if more must be seen, or it is not UTF-8.

    Args:
        is_all: Nothing follows it.
    """
    try:
        start = text_start(head)
    except Damage:
        return None
    buffer = bytearray(head)
    first = skip_white(buffer, start, len(buffer))
    if first == len(buffer):
        return None
    beginning = Beginning(options.max_record_bytes)
    beginning.show(buffer, first, len(buffer), is_all=is_all)
    return find_layout(beginning, options.format)


def begin(of: Reading) -> bool:
    """Reads the first window of an input, and passes over its byte order mark; returns whether it is in UTF-8."""
    window = of.window
    window.fill()
    try:
        window.drop(LOW + text_start(window.text(LOW, HEAD_BYTES)))
    except Damage as damage:
        of.writer.rest(damage, LOW)
        return False
    return True


def walk(of: Reading, options: MatchOptions) -> Iterator[None]:
    """Reads an input from its first byte; yields where a part may end."""
    window, writer = of.window, of.writer
    if not begin(of):
        return
    if not writer.skip_white(of.stop):
        if window.corrupt is not None:
            writer.rest(window.corrupt, LOW)
        return
    if options.records_at is not None:
        walk_document(of, KeyPath.parse(options.records_at))
        return
    yield from _layout_in(of, options.format).walk(of)


def _layout_in(of: Reading, format: Format) -> Layout:
    """Finds the layout of what is in the window; reads on until it is known."""
    beginning, window = Beginning(of.max_bytes), of.window
    while True:
        beginning.show(window.buffer, LOW, window.end, is_all=window.ended)
        if (layout := find_layout(beginning, format)) is not None:
            return layout
        window.fill()
