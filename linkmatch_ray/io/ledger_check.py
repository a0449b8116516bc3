"""Whether a ledger is one that this package may have written: its tables exactly, and the rows in them.

A ledger may be damaged, edited, or come from elsewhere. After these checks all numbers are numbers of a sensible size,
and the pieces follow one another without a gap, from the first file to the frontier. Whether the counts are right is
for `verify` to say.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from itertools import chain
from typing import Any, Final

from linkmatch_ray.errors import JobChanged, ResultsDamaged

NUMBER_MAX: Final = 1 << 53
"""Sizes in bytes and counts of one row are less, so that sums over real ones do not overflow."""

_ROWS_AT_ONCE: Final = 1_000
_FILES_AT_ONCE: Final = 100_000
"""A job that runs cannot commit while a statement reads."""

_KEY: Final = ("file", "range", "part")
_BYTES: Final = ("matched_bytes", "unmatched_bytes", "quarantine_bytes")
_STARTS: Final = ("matched_start", "unmatched_start", "quarantine_start")
_COUNTS: Final = ("records", "matched", "unmatched", "missing_key", "not_object", "entries", "lines", "indexes")


def _is_number(name: str, low: int = 0, high: int = NUMBER_MAX) -> str:
    return f"typeof({name}) = 'integer' AND {name} BETWEEN {low} AND {high}"


_FILE_IS_SOUND: Final = " AND ".join(
    [
        "typeof(path) = 'blob' AND length(path) > 0 AND typeof(real_path) = 'blob'",
        _is_number("size", -1),
        *(f"typeof({name}) = 'integer'" for name in ("mtime_ns", "ctime_ns", "inode")),
        _is_number("ranges", 1),
        "typeof(fault) IN ('null', 'text') AND typeof(etag) IN ('null', 'text')",
    ]
)

_PIECE_IS_SOUND: Final = " AND ".join(
    [
        *(_is_number(f"p.{name}") for name in (*_KEY, *_COUNTS, "input_bytes", *_STARTS, *_BYTES)),
        _is_number("p.last", 0, 1),
        "typeof(p.hits) = 'blob' AND length(p.hits) % 16 = 0",
        f"(p.files = 1 AND p.shares IS NULL OR p.files > 1 AND {_is_number('p.files')}"
        " AND typeof(p.shares) = 'text' AND p.last = 1)",
    ]
)

_WALKED: Final = ", ".join(
    [
        *(f"p.{name}" for name in (*_KEY, "last", "files", *_STARTS, *_BYTES)),
        "f.ranges, f.fault IS NOT NULL",
        f"COALESCE({_PIECE_IS_SOUND}, 0)",
    ]
)

_WALKED_COLUMNS: Final = 14

_NEXT_PIECES: Final = (
    f"SELECT {_WALKED} FROM pieces AS p LEFT JOIN files AS f ON f.file = p.file WHERE p.file < ? AND "
    "{after} ORDER BY p.file, p.range, p.part LIMIT ?"
)

# The frontier and what is not before its file, in one statement: a job that runs may roll that file back.
_FRONTIER: Final = (
    f"SELECT r.one, r.file, r.range, r.part, r.matched_end, r.unmatched_end, r.quarantine_end, {_WALKED}"
    " FROM frontier AS r LEFT JOIN pieces AS p ON p.file >= r.file LEFT JOIN files AS f ON f.file = p.file"
    " ORDER BY r.one, p.file, p.range, p.part"
)
_FRONTIER_COLUMNS: Final = 7


def damaged(where: object, what: str) -> ResultsDamaged:
    """The error for a ledger that cannot be relied on."""
    advice = "Start anew at another URL." if "://" in str(where) else "Start anew with --overwrite."
    return ResultsDamaged(f"{where}: damaged: {what}. {advice}")


def other_version(where: object) -> JobChanged:
    """The error for a ledger of another version."""
    at_url = "://" in str(where)
    advice = "Name another URL." if at_url else "Name another directory with -o, or start anew with --overwrite."
    return JobChanged(f"{where}: holds the results of another version of linkmatch-ray. {advice}")


@cache
def _objects_of(schema: str) -> frozenset[tuple[Any, ...]]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(schema)
        return _objects_in(database)


def _objects_in(database: sqlite3.Connection) -> frozenset[tuple[Any, ...]]:
    return frozenset(database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 1000").fetchall())


def check_schema(database: sqlite3.Connection, schema: str, version: int, where: object) -> bool:
    """Compare the tables with those of `schema`, before any of them is read; returns whether there are any.

    Raises:
        JobChanged: another version of this package made them.
        JobError: it did not.
    """
    found, ours = _objects_in(database), _objects_of(schema)
    if not found:
        return False
    settings = {row for row in ours if row[1] == "job"}
    if settings <= found:  # a table, so it can be asked
        row = database.execute("SELECT value FROM job WHERE key = 'schema'").fetchone()
        if row is not None and row[0] != str(version):
            raise other_version(where)
    if found != ours:
        names = sorted({str(row[1]) for row in found ^ ours})
        raise damaged(where, f"its tables are not those of linkmatch-ray ({', '.join(names[:5])})")
    return True


def wrong_rows(database: sqlite3.Connection) -> Iterator[str]:
    """What no job can have written into `files`, `pieces` and `frontier`."""
    count, first, last = database.execute("SELECT COUNT(*), MIN(file), MAX(file) FROM files").fetchone()
    if count and (first, last) != (0, count - 1):
        yield f"its files are {count} from {first} to {last}"
        return
    for low in range(0, count, _FILES_AT_ONCE):
        sql = f"SELECT file FROM files WHERE file >= ? AND file < ? AND NOT COALESCE({_FILE_IS_SOUND}, 0) LIMIT 1"
        if (row := database.execute(sql, (low, low + _FILES_AT_ONCE)).fetchone()) is not None:
            yield f"file {row[0]} has values that no file has"
            return
    yield from _wrong_pieces(database, count)


def _wrong_pieces(database: sqlite3.Connection, files: int) -> Iterator[str]:
    rows = database.execute(_FRONTIER).fetchall()
    frontiers = {row[:_FRONTIER_COLUMNS] for row in rows}
    frontier: tuple[Any, ...] = min(frontiers, default=(0,), key=str)
    numbers = all(type(value) is int and 0 <= value <= NUMBER_MAX for value in frontier)
    if len(frontiers) != 1 or frontier[0] != 1 or not numbers:
        yield "it has no frontier, or one that none can be"
        return
    _, *following, matched, unmatched, quarantine = frontier
    at_frontier = [row[_FRONTIER_COLUMNS:] for row in rows if row[_FRONTIER_COLUMNS] is not None]
    expected, ends = (0, 0, 0), (0, 0, 0)
    for row in chain(_pieces_before(database, following[0]), at_frontier):
        file, range_, part, last, count, *spans, ranges, fault, sound = row
        if (file, range_, part) != expected or tuple(spans[:3]) != ends or not sound or file + count > files:
            yield f"piece {_named(row[:3])} does not follow at {_named(expected)}, or has values that no piece has"
            return
        ends = tuple(start + size for start, size in zip(spans[:3], spans[3:], strict=True))
        if not last:
            expected = (file, range_, part + 1)
        elif range_ + 1 < ranges and not fault:
            expected = (file, range_ + 1, 0)
        else:
            expected = (file + count, 0, 0)
    if (expected, ends) != (tuple(following), (matched, unmatched, quarantine)):
        yield f"its pieces end at {_named(expected)}, its frontier is at {_named(following)}; or their bytes do"


def _pieces_before(database: sqlite3.Connection, file: int) -> Iterator[tuple[Any, ...]]:
    """The pieces of all files before one, some at a time; of those with a key that none has the first."""
    if database.execute("SELECT typeof(file) FROM pieces ORDER BY file LIMIT 1").fetchone() == ("null",):
        yield (None,) * _WALKED_COLUMNS
    after, key = "TRUE", ()
    while True:
        rows = database.execute(_NEXT_PIECES.format(after=after), (file, *key, _ROWS_AT_ONCE)).fetchall()
        if not rows:
            return
        yield from rows
        after, key = "(p.file, p.range, p.part) > (?, ?, ?)", rows[-1][:3]


def _named(key: Any) -> str:
    return "/".join(map(str, key))
