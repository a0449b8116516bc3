"""The ledger of a job: what is read from it, and each change that a job makes to it, in one transaction."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import xxhash

from linkmatch_ray.core.outcome import Counts, Piece
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.ledger.check import NUMBER_MAX, check_schema, damaged, wrong_rows
from linkmatch_ray.io.ledger.database import Transaction, connect
from linkmatch_ray.io.ledger.rows import PieceRow, Span, piece_of, shares_of
from linkmatch_ray.io.ledger.schema import SCHEMA, SCHEMA_VERSION
from linkmatch_ray.io.names import MATCHED

T = TypeVar("T")

_PIECES: Final = (
    "SELECT p.*, s.output, s.start, s.bytes, s.digest FROM (SELECT * FROM pieces {which}) AS p LEFT JOIN spans AS s"
    " ON s.file = p.file AND s.range = p.range AND s.part = p.part ORDER BY p.file, p.range, p.part, s.output"
)
"""One statement, because a running job may roll a file back between two."""

_PIECE_COLUMNS: Final = len(PieceRow._fields) - 1
_PIECES_AT_ONCE: Final = 1_000
_FILES_AT_ONCE: Final = 10_000

_SETTINGS_MAX: Final = 100
_OUTPUTS: Final = "outputs"
"""The setting that lists the outputs."""

_DIGEST: Final = "settings_digest"
"""The setting that has the digest of the others from when the job was begun."""

_STEPS: Final = 1_000_000
_STEPS_A_BYTE: Final = 20
"""Maximum of SQLite's steps in one statement, for each byte of the ledger. If its pages lead back to themselves, a
statement would never end. Our statements take a third."""

_COUNTS: Final = ("records", "matched", "unmatched", "missing_key", "not_object", "entries")


class Key(NamedTuple):
    """The key of a piece: its file, the range of that, and the part of the range."""

    file: int
    range: int
    part: int


Ends: TypeAlias = tuple[int, ...]
"""Bytes in each of the outputs, in the order of the job's list."""


@dataclass(slots=True)
class Frontier:
    """The next piece to be committed, and where the outputs end before it."""

    next: Key
    ends: Ends


class Settings(dict[str, str]):
    """The settings of a job, by name. If a name is missing, the ledger is damaged."""

    def __init__(self, where: str, settings: dict[str, str]) -> None:
        super().__init__(settings)
        self._where = where

    def __missing__(self, name: str) -> str:
        raise damaged(self._where, f"its job has no {name}")


class Ledger:
    """One connection to a ledger. It must not be shared between threads without a lock.

    Args:
        where: Its name in messages, if not its path.
        create: Make a new one.
        write: Continue one. Without it, another user's ledger is opened read-only.

    Raises, from all methods that read:
        JobChanged: Another version of this package wrote it.
        JobError: It is damaged, or not a ledger.
    """

    def __init__(self, path: Path, *, where: str | None = None, create: bool = False, write: bool = False) -> None:
        self._where, self._path, self._steps = where or str(path), path, 0
        self._db = connect(path, create=create, write=write)
        self._is_begun = self._is_sound = create
        try:
            self._db.execute("PRAGMA synchronous=EXTRA")
            if create:
                self._db.executescript(f"BEGIN; {SCHEMA} COMMIT;")
            else:
                self._db.set_progress_handler(self._is_endless, _STEPS)
                self._is_begun = check_schema(self._db, SCHEMA, SCHEMA_VERSION, self._where)
                if self._db.execute("PRAGMA journal_mode").fetchone() != ("delete",):
                    raise damaged(self._where, "it uses write-ahead logging, which no ledger does")
        except BaseException:
            self._db.close()
            raise

    def _is_endless(self) -> bool:
        """Returns whether a statement takes more steps than there can be rows."""
        self._steps += _STEPS
        try:
            return self._steps > _STEPS + _STEPS_A_BYTE * os.stat(self._path).st_size
        except OSError:  # it was moved
            return False

    def _read(self, sql: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        """Queries rows; checks all rows before the first query."""
        if not self._is_sound:
            self._check_rows()
        self._steps = 0
        return self._db.execute(sql, tuple(values))

    def _check_rows(self) -> None:
        self._steps = 0
        if not self._is_begun:
            raise damaged(self._where, "it has no tables")
        for what in wrong_rows(self._db, len(self.outputs())):
            raise damaged(self._where, what)
        self._is_sound = True

    def close(self) -> None:
        """Closes the connection."""
        self._db.close()

    def begin_job(
        self, settings: dict[str, str], outputs: Sequence[str], files: Iterable[InputFile], ranges: Iterable[int]
    ) -> None:
        """Writes the settings and the files of a new job, in one transaction."""
        with Transaction(self._db):
            known = {**settings, "schema": str(SCHEMA_VERSION), _OUTPUTS: msgspec.json.encode(outputs).decode()}
            rows = {**known, _DIGEST: _digest_of(known)}
            self._db.executemany("INSERT INTO job VALUES (?, ?)", rows.items())
            self._db.executemany(
                "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)",
                (
                    (n, f.name, f.path, f.size, f.mtime_ns, f.ctime_ns, f.inode, count, f.etag)
                    for n, (f, count) in enumerate(zip(files, ranges, strict=True))
                ),
            )
            self._db.executemany("INSERT INTO ends VALUES (?, 0)", [(output,) for output in range(len(outputs))])

    def copy_to(self, database: sqlite3.Connection) -> None:
        """Copies the ledger into a database."""
        self._db.backup(database)

    def clear(self) -> None:
        """Removes the job."""
        with Transaction(self._db):
            for table in ("job", "files", "pieces", "spans", "ends"):
                self._db.execute(f"DELETE FROM {table}")
            self._set_frontier(Frontier(Key(0, 0, 0), ()))

    def settings(self) -> Settings:
        """Returns the rows of `job`; empty before the first job."""
        if not self._is_begun:  # its job was killed before that
            return Settings(self._where, {})
        rows = self._db.execute("SELECT key, value FROM job LIMIT ?", (_SETTINGS_MAX,)).fetchall()
        if any(type(key) is not str or type(value) is not str for key, value in rows):
            raise damaged(self._where, "its job has values that are not text")
        found = Settings(self._where, dict(rows))
        if found and found.pop(_DIGEST, None) != _digest_of(found):
            raise damaged(self._where, "the settings of its job were changed")
        if rows and found["schema"] != str(SCHEMA_VERSION):
            raise damaged(self._where, "its job has no version")
        return found

    def outputs(self) -> tuple[str, ...]:
        """Returns the job's list of outputs, by the names of their files; empty before the first job."""
        settings = self.settings()
        try:
            return msgspec.json.decode(settings[_OUTPUTS], type=tuple[str, ...]) if settings else ()
        except (ValueError, RecursionError):
            raise damaged(self._where, "its list of outputs is invalid") from None

    def by_name(self, ends: Ends) -> dict[str, int]:
        """Returns where each output ends, by its name."""
        return dict(zip(self.outputs(), ends, strict=True))

    def frontier(self) -> Frontier:
        """Returns the durable frontier."""
        sql = "SELECT file, range, part, end FROM frontier LEFT JOIN ends ORDER BY output"
        rows = self._read(sql).fetchall()
        return Frontier(Key(*rows[0][:3]), _ends_in(rows))

    def commit(self, rows: list[PieceRow], faults: list[tuple[str, int]], frontier: Frontier) -> None:
        """Makes pieces durable, and the frontier with them. The outputs must have been synced before."""
        with Transaction(self._db):
            marks = ",".join("?" * _PIECE_COLUMNS)
            self._db.executemany(f"INSERT INTO pieces VALUES ({marks})", [row[:-1] for row in rows])
            spans = [row[:3] + span for row in rows for span in row.spans]
            self._db.executemany("INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?)", spans)
            self._db.executemany("UPDATE files SET fault = ? WHERE file = ?", faults)
            self._set_frontier(frontier)

    def roll_back_file(self, file: int, frontier: Frontier) -> None:
        """Removes all pieces of a file, before anything else is written in their place."""
        with Transaction(self._db):
            for table in ("pieces", "spans"):
                self._db.execute(f"DELETE FROM {table} WHERE file = ?", (file,))
            self._set_frontier(frontier)

    def step_back(self, key: Key, frontier: Frontier) -> None:
        """Removes one piece whose data was lost."""
        with Transaction(self._db):
            for table in ("pieces", "spans"):
                self._db.execute(f"DELETE FROM {table} WHERE file = ? AND range = ? AND part = ?", key)
            self._db.execute("UPDATE files SET fault = NULL WHERE file = ?", (key.file,))
            self._set_frontier(frontier)

    def last_piece(self) -> PieceRow | None:
        """Returns the last piece, or None."""
        return self._one_piece("ORDER BY file DESC, range DESC, part DESC LIMIT 1")

    def progress_in_file(self, file: int, range_: int) -> tuple[int, int, int, int]:
        """Returns the indexes and lines of a file in the ranges before `range_`, and in that range."""
        sql = "SELECT COALESCE(SUM(indexes), 0), COALESCE(SUM(lines), 0) FROM pieces WHERE file = ? AND range "
        before = self._read(sql + "< ?", (file, range_)).fetchone()
        inside = self._read(sql + "= ?", (file, range_)).fetchone()
        return (*before, *inside)

    def totals(self) -> tuple[Counts, int]:
        """Returns the sums over all pieces, and their bytes of input."""
        columns = ", ".join(f"COALESCE(SUM({name}), 0)" for name in (*_COUNTS, "input_bytes"))
        *counts, input_bytes = self._read(f"SELECT {columns} FROM pieces").fetchone()
        return Counts(*counts), input_bytes

    def faults(self) -> dict[str, int]:
        """Returns the number of files with each fault."""
        sql = "SELECT fault, COUNT(*) FROM files WHERE fault IS NOT NULL GROUP BY fault ORDER BY fault"
        return dict(self._read(sql))

    def count_files(self) -> int:
        """Returns the number of files in the plan."""
        count: int = self._read("SELECT COUNT(*) FROM files").fetchone()[0]
        return count

    def file_bytes(self, start: int) -> int:
        """Returns the bytes of the files from the `start`th on, as stored."""
        # In two halves, because SQLite's sums must fit 64 bits.
        sql = "SELECT SUM(size >> 32), SUM(size & 0xffffffff) FROM files WHERE file >= ? AND size > 0"
        high, low = self._read(sql, (start,)).fetchone()
        total: int = ((high or 0) << 32) + (low or 0)
        return total

    def files(self) -> Iterator[tuple[InputFile, int]]:
        """Yields the files of the plan, in order, with the number of ranges of each; `fault` is a reason code here.
        Reads some at a time, as `pieces` does."""
        columns = "path, real_path, size, mtime_ns, inode, fault, etag, ctime_ns, ranges"
        sql = f"SELECT {columns} FROM files WHERE file >= ? ORDER BY file LIMIT ?"
        first = 0
        while rows := self._read(sql, (first, _FILES_AT_ONCE)).fetchall():
            for *file, ranges in rows:
                yield InputFile(*file), ranges
            first += len(rows)

    def ranges(self) -> list[int]:
        """Returns the number of ranges of each file."""
        return [ranges for (ranges,) in self._read("SELECT ranges FROM files ORDER BY file")]

    def settled(self) -> Frontier:
        """Returns the frontier, or the beginning of the file that it is in. Nothing before that is ever rolled back."""
        sql = (
            "SELECT r.file, COALESCE((SELECT start FROM spans AS s WHERE s.file = r.file AND s.output = e.output"
            " ORDER BY s.range, s.part LIMIT 1), e.end) FROM frontier AS r LEFT JOIN ends AS e ORDER BY e.output"
        )
        rows = self._read(sql).fetchall()
        return Frontier(Key(rows[0][0], 0, 0), _ends_in(rows))

    def piece_at(self, key: Key) -> PieceRow | None:
        """Returns the piece with this key, or the last one before it."""
        return self._one_piece(
            "WHERE (file, range, part) <= (?, ?, ?) ORDER BY file DESC, range DESC, part DESC LIMIT 1", key
        )

    def pieces(self) -> Iterator[PieceRow]:
        """Yields all pieces, in order. Reads some at a time, because a running job cannot commit meanwhile."""
        which, last = "WHERE (file, range, part) > (?, ?, ?) ORDER BY file, range, part LIMIT ?", (-1, -1, -1)
        while rows := self._pieces(which, (*last, _PIECES_AT_ONCE)):
            yield from rows
            last = rows[-1][:3]

    def _one_piece(self, which: str, values: Iterable[Any] = ()) -> PieceRow | None:
        return next(iter(self._pieces(which, values)), None)

    def _pieces(self, which: str, values: Iterable[Any] = ()) -> list[PieceRow]:
        found = self._read(_PIECES.format(which=which), values).fetchall()
        grouped = [list(rows) for _, rows in groupby(found, key=itemgetter(slice(3)))]
        return [PieceRow._make((*rows[0][:_PIECE_COLUMNS], _spans_in(rows))) for rows in grouped]

    def piece(self, row: PieceRow) -> Piece:
        """Returns the piece of a row, without its entries.

        Raises:
            JobError: It is not as it was committed.
        """
        return self._of(row, piece_of)

    def shares(self, row: PieceRow) -> npt.NDArray[np.int64]:
        """Returns the share of each file in a piece, of shape (files, columns of `SHARE_COLUMNS`).

        Raises:
            JobError: It has no such shares, or they are not those of the piece.
        """
        return self._of(row, shares_of)

    def _of(self, row: PieceRow, of: Callable[[PieceRow, Sequence[str]], T]) -> T:
        try:
            return of(row, self.outputs())
        except ValueError as error:
            raise damaged(self._where, f"the piece of file {row.file} and on: {error}") from None

    def hits(self, distinct: int) -> Iterator[npt.NDArray[np.int64]]:
        """Yields the hits of all pieces that have any, as pairs of shape (pairs, 2): a key below `distinct`, and its
        count.

        Raises:
            JobError: Some are of another key.
        """
        for (blob,) in self._read("SELECT hits FROM pieces WHERE length(hits) > 0"):
            pairs = np.frombuffer(blob, "<i8").reshape(-1, 2)
            if pairs.min() < 0 or pairs[:, 0].max() >= distinct or pairs[:, 1].max() > NUMBER_MAX:
                raise damaged(self._where, "it has hits of restrictions that are not on the list")
            yield pairs

    def matched_from(self, start: int) -> tuple[int, int] | None:
        """Returns the offset in the matched output of the piece that has record number `start`, and the number of
        records before it.

        Returns:
            None if there is no such record or output.
        """
        if start > NUMBER_MAX or MATCHED not in (outputs := self.outputs()):  # perhaps more than SQLite takes
            return None
        sql = (
            "SELECT file, range, part, before FROM (SELECT file, range, part, matched,"
            " SUM(matched) OVER (ORDER BY file, range, part) - matched AS before FROM pieces WHERE matched > 0)"
            " WHERE before <= ? AND before + matched > ? LIMIT 1"
        )
        sql = (
            f"SELECT s.start, p.before FROM ({sql}) AS p JOIN spans AS s"
            " ON s.file = p.file AND s.range = p.range AND s.part = p.part AND s.output = ?"
        )
        row: tuple[int, int] | None = self._read(sql, (start, start, outputs.index(MATCHED))).fetchone()
        return row

    def _set_frontier(self, frontier: Frontier) -> None:
        self._db.execute("UPDATE frontier SET file = ?, range = ?, part = ?", frontier.next)
        ends = [(end, output) for output, end in enumerate(frontier.ends)]
        self._db.executemany("UPDATE ends SET end = ? WHERE output = ?", ends)


def _ends_in(rows: list[tuple[Any, ...]]) -> Ends:
    """Returns the last column of rows that have one for each output, or one with None without outputs."""
    return tuple(row[-1] for row in rows if row[-1] is not None)


def _spans_in(rows: list[tuple[Any, ...]]) -> tuple[Span, ...]:
    """Returns the last columns of rows that have one for each span, or one with None without spans."""
    return tuple(Span(*row[_PIECE_COLUMNS:]) for row in rows if row[_PIECE_COLUMNS] is not None)


def _digest_of(settings: dict[str, str]) -> str:
    text = "\0".join(f"{name}\0{settings[name]}" for name in sorted(settings))
    return xxhash.xxh3_128_hexdigest(text.encode("utf-8", "surrogatepass"))
