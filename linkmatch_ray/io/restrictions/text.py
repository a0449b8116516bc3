"""Lists that are text with a key a line, and the lines of any list of text."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import chain
from typing import Final

import orjson

from linkmatch_ray.core.codecs import open_source
from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.index import IndexBuilder
from linkmatch_ray.core.layouts.detection import HEAD_BYTES, text_start
from linkmatch_ray.core.raw import Raw
from linkmatch_ray.core.window import Source, fill
from linkmatch_ray.io.restrictions.wanted import Wanted, place

READ_BYTES: Final = 1 << 20
"""Bytes of a list that are read and decoded at a time."""


def read_text(raw: Raw, wanted: Wanted, builder: IndexBuilder) -> None:
    """Reads a list whose every line is a string key, even an empty one, and gives the keys to the builder.

    Raises:
        RestrictionsError: It is not UTF-8, or the key has several parts.
    """
    for line in Text(open_source(raw), wanted, with_cr=False).lines():
        if len(wanted.pairs) > 1:
            wanted.refuse(
                f"{place(0, 1)} is a string, and the key has several parts", "Give a list of objects or a table"
            )
        builder.push(orjson.dumps(line.removesuffix("\n").removesuffix("\r")))


class Text:
    """The text of a list, decoded as it is read.

    Args:
        source: Its bytes, decompressed.
        with_cr: A CR alone ends a line as well.
    """

    def __init__(self, source: Source, wanted: Wanted, *, with_cr: bool) -> None:
        self._source, self._wanted, self._with_cr = source, wanted, with_cr
        self._lines = 0  # lines that were given so far

    def lines(self) -> Iterator[str]:
        """Returns the lines, each with its end.

        Raises:
            RestrictionsError: The list cannot be decompressed, or is not UTF-8; the line is named.
        """
        newline = "" if self._with_cr else "\n"
        return chain.from_iterable(io.StringIO(text, newline=newline) for text in self._texts())

    def _texts(self) -> Iterator[str]:
        """Yields some lines at a time."""
        left, at_start, ended = b"", True, False
        while not ended:
            buffer = bytearray(max(READ_BYTES, len(left)))  # a long line is copied few times
            count, damage = fill(self._source, memoryview(buffer))
            if damage is not None:
                self._wanted.refuse_corrupt(damage)
            data, ended = left + buffer[:count], count < len(buffer)
            if at_start:
                data, at_start = data[self._text_start(data) :], False
            end = len(data) if ended else self._last_line_end(data, len(data) - 1)
            left = data[end:]
            yield from self._decoded(data[:end])

    def _text_start(self, data: bytes) -> int:
        try:
            return text_start(data[:HEAD_BYTES])
        except Damage as damage:
            self._wanted.refuse_not_utf8(damage.message)

    def _decoded(self, data: bytes) -> Iterator[str]:
        """Yields the text of some lines; of those before bytes that are not UTF-8, which may be wrong themselves."""
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            before = data[: self._last_line_end(data, error.start)].decode("utf-8")
            yield before
            line = self._lines + self._count_lines(before) + 1
            self._wanted.refuse(f"line {line} has bytes that are not UTF-8", "Convert the list to UTF-8")
        self._lines += self._count_lines(text)
        yield text

    def _last_line_end(self, data: bytes, stop: int) -> int:
        """Returns where the last line ends at or before the byte `stop`, which shows whether a CR is half of a CRLF."""
        newline = data.rfind(b"\n", 0, stop + 1)
        return 1 + (max(newline, data.rfind(b"\r", 0, stop)) if self._with_cr else newline)

    def _count_lines(self, text: str) -> int:
        newlines = text.count("\n")
        return newlines + text.count("\r") - text.count("\r\n") if self._with_cr else newlines
