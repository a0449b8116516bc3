"""Layouts: how records lie in a file. One table for all modules that read records, or plan how to read them.

A layout is found from the content, as the contract says: a file is *lines* or *values*. The plan sees the beginning of
a large file, and the reader sees all of it. Both ask the same question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.layouts.detection import HEAD_BYTES, Beginning, is_only_line, text_start
from linkmatch_ray.core.layouts.documents import Documents
from linkmatch_ray.core.layouts.line_documents import lines_of
from linkmatch_ray.core.layouts.values import Values, walk_object
from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.core.scan import any_values
from linkmatch_ray.core.structure import skip_space
from linkmatch_ray.core.verdicts import RECORD_BYTES_MAX
from linkmatch_ray.core.window import LOW
from linkmatch_ray.core.writer import Reading


@dataclass(frozen=True, slots=True)
class Layout:
    """A row of the table.

    Attributes:
        name: Its name for `--format`.
        walk: Reads an input whose first byte in the window does not stand between values; yields where a part may end.
        can_be_cut: Byte ranges of a file can be read apart.
    """

    name: str
    walk: Callable[[Reading], Iterator[None]]
    can_be_cut: bool = False


def _walk_values(of: Reading) -> Iterator[None]:
    path = of.judge.records_at
    return (Values(of) if path is None else Documents(of, path)).walk()


LINES: Final = Layout("lines", lambda of: lines_of(of).walk(), can_be_cut=True)
VALUES: Final = Layout("values", _walk_values)
OBJECT: Final = Layout("object", walk_object)

NAMED: Final = {"lines": LINES, "values": VALUES, "array": VALUES, "object": OBJECT}
"""The layouts by the values of `--format`. An array is values, of which only arrays are taken."""


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
    first = skip_space(buffer, start, len(buffer))
    if first == len(buffer):
        return None
    if options.format != "auto":
        return NAMED[options.format]
    beginning = Beginning(min(options.max_record_bytes, RECORD_BYTES_MAX), any_values())
    is_lines = beginning.is_lines(buffer, first, len(buffer), is_all=is_all)
    return None if is_lines is None else LINES if is_lines else VALUES


def walk(of: Reading) -> Iterator[None]:
    """Reads an input from its first byte; yields where a part may end."""
    window, writer = of.window, of.writer
    window.fill()
    try:
        window.drop(LOW + text_start(window.text(LOW, HEAD_BYTES)))
    except Damage as damage:
        window.drop(LOW + damage.offset)
        writer.skip_space()
        writer.rest(damage)
        return
    if writer.skip_space(of.stop):
        yield from _layout_in(of).walk(of)
    elif window.corrupt is not None:
        writer.cut()


def _layout_in(of: Reading) -> Layout:
    """Finds the layout of what is in the window; reads on until it is known."""
    window = of.window
    if of.judge.format != "auto":
        return NAMED[of.judge.format]
    beginning = Beginning(of.judge.max_bytes, of.judge.scanner.any_values)
    while (is_lines := beginning.is_lines(window.buffer, LOW, window.end, is_all=window.ended)) is None:
        if beginning.is_in_first_line and window.read_at is not None:
            behind, limit = window.offset + window.held, window.offset + of.judge.max_bytes
            if is_only_line(window.read_at, behind, limit):
                return VALUES
        window.fill()
    if is_lines:
        return LINES
    window.give_back(window.size)  # what is held is moved at each step
    return VALUES
