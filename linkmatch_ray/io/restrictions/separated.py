"""Lists that are CSV (RFC 4180) or TSV, with a header line, as the standard `csv` module reads them strictly.

A row longer or shorter than the header is refused, because its key may be another cell. So is a quote that is not
closed or not doubled: what it would make of the cells is a guess. Blank lines are no rows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from operator import itemgetter
from threading import Lock
from typing import Any, Final, NoReturn

import orjson

from linkmatch_ray.core.codecs import open_source
from linkmatch_ray.core.index import IndexBuilder
from linkmatch_ray.core.raw import Raw
from linkmatch_ray.core.wrong_keys import quoted
from linkmatch_ray.io.restrictions.columns import SHOWN_MAX, column_of, key_columns, refuse_twice
from linkmatch_ray.io.restrictions.text import Text
from linkmatch_ray.io.restrictions.wanted import Wanted, place
from linkmatch_ray.words import plural

CELL_CHARACTERS_MAX: Final = 1 << 24
"""Maximum length of a cell. A quote that is not closed makes a cell of all that follows, which must not fill memory."""

_FORMATS: Final = {",": "csv", "\t": "tsv"}


def read_separated(raw: Raw, wanted: Wanted, builder: IndexBuilder, *, separator: str) -> None:
    """Reads a list of cells that are strings, and gives the keys to the builder.

    Raises:
        RestrictionsError: A line, cell or column is wrong; it is named.
    """
    lines = Text(open_source(raw), wanted, with_cr=True).lines()
    first = next(lines, "")
    with _long_cells():
        reader = csv.reader(chain((first,), lines), delimiter=separator, strict=True)
        _Rows(reader, wanted, builder).read(separator, first)


class _Rows:
    """The rows of a list.

    Attributes:
        line: The last line of the last row that was sound.
    """

    def __init__(self, reader: Any, wanted: Wanted, builder: IndexBuilder) -> None:
        self._reader, self._wanted, self._builder = reader, wanted, builder
        self.line = 0

    def read(self, separator: str, first: str) -> None:
        """Reads the header, and all rows. `first` is the first line."""
        try:
            header = next(filter(None, self._reader), None)
            if header is not None:
                self._read_below(header, separator)
        except csv.Error as error:
            if not self.line:  # behind a quote there may be another separator
                _refuse_other_separator([first.rstrip("\r\n")], separator, self._wanted)
            self._refuse(error)

    def _read_below(self, header: list[str], separator: str) -> None:
        wanted, builder, reader = self._wanted, self._builder, self._reader
        refuse_twice(header, f"line {reader.line_num} ", wanted)
        _refuse_other_separator(header, separator, wanted)
        columns = key_columns(header, wanted)
        key_of, width, dumps = itemgetter(*columns), len(header), orjson.dumps
        is_one = len(columns) == 1
        self.line = reader.line_num
        for row in reader:
            if len(row) == width:
                key = key_of(row)
                if key if is_one else all(key):
                    builder.push(dumps(key))
                elif wanted.skip_keyless:
                    builder.leave_out()
                else:
                    self._refuse_keyless([header[column] for column in columns if not row[column]])
            elif row:
                self._refuse_ragged(len(row), width)
            self.line = reader.line_num

    def _refuse_keyless(self, empty: list[str]) -> NoReturn:
        where = place(len(self._builder), self.line + 1)
        columns = " and ".join(map(quoted, empty))
        self._wanted.refuse(
            f"{where} has an empty cell in column {columns}",
            "Fill it in, or leave such entries out with --skip-keyless",
        )

    def _refuse_ragged(self, cells: int, width: int) -> NoReturn:
        self._wanted.refuse(
            f"line {self.line + 1} has {plural(cells, 'cell')}, and the header has {width:,}",
            "Correct it; a cell with a separator in it must be quoted",
        )

    def _refuse(self, error: csv.Error) -> NoReturn:
        problem = "has a quote that is not closed, or that is not doubled in a quoted cell"
        if "limit" in str(error):  # csv has no other sign of it
            problem = f"has a cell of more than {CELL_CHARACTERS_MAX:,} characters. Perhaps a quote is not closed"
        self._wanted.refuse(f"the row that begins on line {self.line + 1} {problem}", "Correct it")


def _refuse_other_separator(header: list[str], separator: str, wanted: Wanted) -> None:
    """Refuses a table whose header has none of the keys, and seems to have another separator; a key would be a whole
    line."""
    if any(column_of(pair.restriction, header) is not None for pair in wanted.pairs):
        return
    line = separator.join(header)
    if line.lower().startswith("sep="):
        wanted.refuse(f"line 1 is no header but {quoted(line)}", "Remove it, and separate columns by commas or tabs")
    if line.lstrip().startswith(("{", "[")):
        action = "It looks like JSON. Name its layout with --restrictions-format"
    elif (other := _other_separator(header, line, separator, wanted)) is None:
        return
    elif other in _FORMATS:
        action = f"Name its format with --restrictions-format {_FORMATS[other]}"
    else:
        action = f"Separate its columns by commas instead of {_OTHERS[other]}"
    columns = "column" if len(header) == 1 else "columns"
    wanted.refuse(f"has only the {columns} {', '.join(map(quoted, header[:SHOWN_MAX]))}", action)


_OTHERS: Final = {";": "semicolons", "|": "bars"}


def _other_separator(header: list[str], line: str, separator: str, wanted: Wanted) -> str | None:
    """Returns a separator that the header seems to have: its only column has some, or its parts are columns that are
    compared."""
    for other in (*_FORMATS, *_OTHERS):
        if other == separator or other not in line:
            continue
        cells = [cell.strip('"') for cell in line.split(other)]
        if len(header) == 1 or all(column_of(pair.restriction, cells) is not None for pair in wanted.pairs):
            return other
    return None


_limit: Final = Lock()


@contextmanager
def _long_cells() -> Iterator[None]:
    """Lets cells be as long as `CELL_CHARACTERS_MAX`. The limit of the `csv` module is that of the whole process."""
    with _limit:
        before = csv.field_size_limit(CELL_CHARACTERS_MAX)
        try:
            yield
        finally:
            csv.field_size_limit(before)
