"""Checks that this package may have written a ledger: its tables exactly, and the rows in them.

A ledger may be damaged, edited, or come from elsewhere. After these checks all numbers are of a sensible size. The
pieces follow one another without a gap, from the first file to the frontier. `verify` checks whether the counts are
right.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, Final

from linkmatch_ray.errors import JobChanged, ResultsDamaged
from linkmatch_ray.words import shown

NUMBER_MAX: Final = 1 << 53
"""Maximum of sizes in bytes and counts in one row, so that their sums do not overflow."""

_ROWS_AT_ONCE: Final = 1_000
_FILES_AT_ONCE: Final = 100_000
"""Rows that one statement reads. A running job cannot commit meanwhile."""

_KEY: Final = ("file", "range", "part")
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

_IS_DIGEST: Final = "typeof({0}) = 'blob' AND length({0}) = 8"

_PIECE_IS_SOUND: Final = " AND ".join(
    [
        *(_is_number(f"p.{name}") for name in (*_KEY, *_COUNTS, "input_bytes")),
        _is_number("p.last", 0, 1),
        "typeof(p.hits) = 'blob' AND length(p.hits) % 16 = 0",
        f"(p.files = 1 AND p.shares IS NULL OR p.files > 1 AND {_is_number('p.files')}"
        " AND typeof(p.shares) = 'text' AND p.last = 1)",
        "typeof(p.encoding) IN ('null', 'text')",
        _IS_DIGEST.format("p.digest"),
    ]
)

_SPAN_IS_SOUND: Final = " AND ".join(
    [_is_number("s.output"), _is_number("s.start"), _is_number("s.bytes", 1), _IS_DIGEST.format("s.digest")]
)

_WALKED: Final = (
    f"SELECT p.file, p.range, p.part, p.last, p.files, f.ranges, f.fault IS NOT NULL, COALESCE({_PIECE_IS_SOUND}, 0),"
    f" s.output, s.start, s.bytes, COALESCE({_SPAN_IS_SOUND}, 0)"
    " FROM (SELECT * FROM pieces {which}) AS p LEFT JOIN files AS f ON f.file = p.file"
    " LEFT JOIN spans AS s ON s.file = p.file AND s.range = p.range AND s.part = p.part"
    " ORDER BY p.file, p.range, p.part, s.output"
)
_WALKED_COLUMNS: Final = 12


def damaged(where: object, what: str) -> ResultsDamaged:
    """Returns the error for a ledger that cannot be relied on."""
    advice = (
        "Start from the beginning at another URL."
        if "://" in str(where)
        else "Start from the beginning with --overwrite."
    )
    return ResultsDamaged(f"{shown(where)}: damaged: {what}. {advice}")


def other_version(where: object) -> JobChanged:
    """Returns the error for a ledger of another version."""
    at_url = "://" in str(where)
    advice = (
        "Name another URL."
        if at_url
        else "Name another directory with -o, or start from the beginning with --overwrite."
    )
    return JobChanged(f"{shown(where)}: holds the results of another version of linkmatch-ray. {advice}")


@cache
def _objects_of(schema: str) -> frozenset[tuple[Any, ...]]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(schema)
        return _objects_in(database)


def _objects_in(database: sqlite3.Connection) -> frozenset[tuple[Any, ...]]:
    return frozenset(database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 1000").fetchall())


def check_schema(database: sqlite3.Connection, schema: str, version: int, where: object) -> bool:
    """Compares the tables with those of `schema`, before any of them is read; returns whether there are any.

    Raises:
        JobChanged: Another version of this package made them.
        JobError: This package did not make them.
    """
    found, ours = _objects_in(database), _objects_of(schema)
    if not found:
        return False
    settings = {row for row in ours if row[1] == "job"}
    if settings <= found:  # a table, so it can be queried
        row = database.execute("SELECT value FROM job WHERE key = 'schema'").fetchone()
        if row is not None and row[0] != str(version):
            raise other_version(where)
    if found != ours:
        names = sorted({str(row[1]) for row in found ^ ours})
        raise damaged(where, f"its tables are not those of linkmatch-ray ({', '.join(map(shown, names[:5]))})")
    return True


def wrong_rows(database: sqlite3.Connection, outputs: int) -> Iterator[str]:
    """Yields what no job with `outputs` outputs can have written into `files`, `pieces`, `spans`, `frontier` and
    `ends`."""
    count, first, last = database.execute("SELECT COUNT(*), MIN(file), MAX(file) FROM files").fetchone()
    if count and (first, last) != (0, count - 1):
        yield f"its files are {count} from {first} to {last}"
        return
    for low in range(0, count, _FILES_AT_ONCE):
        sql = f"SELECT file FROM files WHERE file >= ? AND file < ? AND NOT COALESCE({_FILE_IS_SOUND}, 0) LIMIT 1"
        if (row := database.execute(sql, (low, low + _FILES_AT_ONCE)).fetchone()) is not None:
            yield f"file {row[0]} has impossible values"
            return
    yield from _wrong_pieces(database, count, outputs)


def _wrong_pieces(database: sqlite3.Connection, files: int, outputs: int) -> Iterator[str]:
    with _snapshot(database):  # a running job may roll back the file at the frontier
        frontiers = database.execute("SELECT one, file, range, part FROM frontier LIMIT 2").fetchall()
        last_ends = database.execute("SELECT output, end FROM ends ORDER BY output").fetchall()
        first = [file for _, file, *_ in frontiers[:1]] or [0]
        at_frontier = database.execute(_WALKED.format(which="WHERE file >= ?"), first).fetchall()
        spans_left = database.execute("SELECT COUNT(*) FROM spans").fetchone()[0]
    numbers = all(type(value) is int and 0 <= value <= NUMBER_MAX for value in chain(*frontiers, *last_ends))
    listed = [output for output, _ in last_ends]
    if len(frontiers) != 1 or frontiers[0][0] != 1 or listed != list(range(outputs)) or not numbers:
        yield "its frontier is missing or impossible"
        return
    _, *following = frontiers[0]
    expected, ends = (0, 0, 0), [0] * outputs
    walked = chain(_pieces_before(database, following[0]), at_frontier)
    for key, rows in groupby(walked, key=itemgetter(slice(3))):
        for row in rows:
            *_, last, count, ranges, fault, is_sound, output, start, size, is_span = row
            if output is not None:
                is_sound = is_sound and is_span and output < outputs and start == ends[output]
                spans_left -= 1
            if key != expected or not is_sound or key[0] + count > files:
                yield f"piece {_named(key)} does not follow at {_named(expected)}, or has impossible values"
                return
            if output is not None:
                ends[output] += size
        file, range_, part = key
        if not last:
            expected = (file, range_, part + 1)
        elif range_ + 1 < ranges and not fault:
            expected = (file, range_ + 1, 0)
        else:
            expected = (file + count, 0, 0)
    if (expected, ends, spans_left) != (tuple(following), [end for _, end in last_ends], 0):
        yield f"its pieces end at {_named(expected)}, its frontier is at {_named(following)}; or its outputs differ"


@contextmanager
def _snapshot(database: sqlite3.Connection) -> Iterator[None]:
    """Makes several statements read the ledger as of one moment."""
    database.execute("BEGIN")
    try:
        yield
    finally:
        if database.in_transaction:  # SQLite ends it by itself if it cannot read
            database.execute("COMMIT")


def _pieces_before(database: sqlite3.Connection, file: int) -> Iterator[tuple[Any, ...]]:
    """Yields the pieces of all files before one, some at a time; first a row of nulls if a piece has no key."""
    if database.execute("SELECT typeof(file) FROM pieces ORDER BY file LIMIT 1").fetchone() == ("null",):
        yield (None,) * _WALKED_COLUMNS
    after, key = "TRUE", ()
    while True:
        which = f"WHERE file < ? AND {after} ORDER BY file, range, part LIMIT ?"
        rows = database.execute(_WALKED.format(which=which), (file, *key, _ROWS_AT_ONCE)).fetchall()
        if not rows:
            return
        yield from rows
        after, key = "(file, range, part) > (?, ?, ?)", rows[-1][:3]


def _named(key: Any) -> str:
    return "/".join(map(str, key))
