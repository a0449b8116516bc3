"""The ledger: a SQLite file that says what of which input is in the outputs, and where.

    job        key, value: what makes this job this job, and how it was planned; `outputs` is the list of its outputs
               (a JSON array of names), `settings_digest` the digest of all others
    files      one row a file of the plan, in order; `fault` where one entry stands for the whole file
    pieces     one row a committed piece of a file: counts, hits; or one row for several whole small files in a row,
               `shares` then has the columns of each (a JSON array of arrays, see `SHARE_COLUMNS`); `digest` is that of
               its other columns and its spans
    spans      where a piece has bytes in an output (a place in `outputs`), and their digest; no row where it has none
    frontier   one row: the next piece to come
    ends       one row an output: where it ends
    shares (view)       one row a file and piece: counts
    file_ledger (view)  one row a file: state, records = matched + unmatched, entries

A rollback journal, as write-ahead logging does not work on network file systems; with `synchronous=EXTRA`, as with
`FULL` the removal of the journal is not durable, and after a power cut it would undo a transaction that was reported.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar
from urllib.parse import quote

import msgspec
import numpy as np
import numpy.typing as npt
import xxhash

from linkmatch_ray.core.outcome import Counts, Piece
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.ledger.check import NUMBER_MAX, check_schema, damaged, wrong_rows
from linkmatch_ray.io.ledger.rows import PieceRow, Span, piece_of, shares_of
from linkmatch_ray.io.names import MATCHED
from linkmatch_ray.io.storage.ours import is_there, may_write, open_ours

T = TypeVar("T")

SCHEMA_VERSION: Final = 5

_SCHEMA: Final = """
CREATE TABLE job (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
    file INTEGER PRIMARY KEY, path BLOB NOT NULL, real_path BLOB NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
    ranges INTEGER NOT NULL, fault TEXT, etag TEXT
);
CREATE TABLE pieces (
    file INTEGER NOT NULL, range INTEGER NOT NULL, part INTEGER NOT NULL, last INTEGER NOT NULL,
    records INTEGER NOT NULL, matched INTEGER NOT NULL, unmatched INTEGER NOT NULL,
    missing_key INTEGER NOT NULL, not_object INTEGER NOT NULL, entries INTEGER NOT NULL,
    lines INTEGER NOT NULL, indexes INTEGER NOT NULL, input_bytes INTEGER NOT NULL,
    hits BLOB NOT NULL, files INTEGER NOT NULL, shares TEXT, digest BLOB NOT NULL,
    PRIMARY KEY (file, range, part)
) WITHOUT ROWID;
CREATE TABLE spans (
    file INTEGER NOT NULL, range INTEGER NOT NULL, part INTEGER NOT NULL, output INTEGER NOT NULL,
    start INTEGER NOT NULL, bytes INTEGER NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (file, range, part, output)
) WITHOUT ROWID;
CREATE TABLE frontier (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    file INTEGER NOT NULL, range INTEGER NOT NULL, part INTEGER NOT NULL
);
INSERT INTO frontier VALUES (1, 0, 0, 0);
CREATE TABLE ends (output INTEGER PRIMARY KEY, end INTEGER NOT NULL);
CREATE VIEW shares AS
    SELECT file, records, matched, unmatched, missing_key, not_object, entries, input_bytes
        FROM pieces WHERE shares IS NULL
    UNION ALL SELECT pieces.file + share.key, share.value ->> 0, share.value ->> 1, share.value ->> 2,
        share.value ->> 3, share.value ->> 4, 0, share.value ->> 5
        FROM pieces, json_each(pieces.shares) AS share WHERE shares IS NOT NULL;
CREATE VIEW file_ledger AS
    SELECT files.path AS path, files.size AS size,
        CASE WHEN files.fault IS NOT NULL THEN files.fault
             WHEN files.file < frontier.file THEN 'done'
             WHEN files.file = frontier.file AND COUNT(shares.file) > 0 THEN 'partly'
             ELSE 'pending' END AS state,
        COALESCE(SUM(shares.records), 0) AS records,
        COALESCE(SUM(shares.matched), 0) AS matched,
        COALESCE(SUM(shares.unmatched), 0) AS unmatched,
        COALESCE(SUM(shares.missing_key), 0) AS missing_key,
        COALESCE(SUM(shares.not_object), 0) AS not_object,
        COALESCE(SUM(shares.entries), 0) AS entries
    FROM files JOIN frontier LEFT JOIN shares ON shares.file = files.file GROUP BY files.file;
"""

_PIECES: Final = (
    "SELECT p.*, s.output, s.start, s.bytes, s.digest FROM (SELECT * FROM pieces {which}) AS p LEFT JOIN spans AS s"
    " ON s.file = p.file AND s.range = p.range AND s.part = p.part ORDER BY p.file, p.range, p.part, s.output"
)
"""In one statement, as a job that runs may roll a file back."""

_PIECE_COLUMNS: Final = len(PieceRow._fields) - 1
_PIECES_AT_ONCE: Final = 1_000
_FILES_AT_ONCE: Final = 10_000

_SETTINGS_MAX: Final = 100
_OUTPUTS: Final = "outputs"
"""The setting that lists the outputs."""

_DIGEST: Final = "settings_digest"
"""The setting that says what the others were when the job was begun."""

_STEPS: Final = 1_000_000
_STEPS_A_BYTE: Final = 10
"""SQLite's steps in one statement, for each byte of the ledger: where its pages lead back to themselves, a statement
would never end. What we ask takes a third."""

_JOURNAL_MAGIC: Final = bytes.fromhex("d9d505f920a163d7")
_SUPERJOURNAL: Final = struct.Struct(">II8s")
"""How a journal ends that names another file (SQLite's super-journal): the length of the name, its sum, the magic."""

_COUNTS: Final = ("records", "matched", "unmatched", "missing_key", "not_object", "entries")


class Key(NamedTuple):
    """Which piece: of which file, which range of it, which part of that."""

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
    """What a job is, by name; of a name that is missing the ledger is damaged."""

    def __init__(self, where: str, settings: dict[str, str]) -> None:
        super().__init__(settings)
        self._where = where

    def __missing__(self, name: str) -> str:
        raise damaged(self._where, f"its job has no {name}")


class Ledger:
    """One connection to a ledger; not to be shared between threads without a lock.

    Args:
        where: What messages call it, if not by its path.
        create: Make a new one.
        write: Go on with one; without, one of somebody else is read, and nothing written beside it.

    Raises, from all methods that read:
        JobChanged: another version of this package wrote it.
        JobError: it is damaged, or no ledger.
    """

    def __init__(self, path: Path, *, where: str | None = None, create: bool = False, write: bool = False) -> None:
        self._where, self._path, self._steps = where or str(path), path, 0
        self._db = _connect(path, create=create, write=write)
        self._is_begun = self._is_sound = create
        try:
            self._db.execute("PRAGMA synchronous=EXTRA")
            if create:
                self._db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            else:
                self._db.set_progress_handler(self._is_endless, _STEPS)
                self._is_begun = check_schema(self._db, _SCHEMA, SCHEMA_VERSION, self._where)
                if self._db.execute("PRAGMA journal_mode").fetchone() != ("delete",):
                    raise damaged(self._where, "it is written ahead, as no ledger is")
        except BaseException:
            self._db.close()
            raise

    def _is_endless(self) -> bool:
        """Whether a statement takes more steps than there can be rows."""
        self._steps += _STEPS
        try:
            return self._steps > _STEPS + _STEPS_A_BYTE * os.stat(self._path).st_size
        except OSError:  # it was moved
            return False

    def _read(self, sql: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        """Ask for rows; before the first time all are looked at."""
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
        """Close the connection."""
        self._db.close()

    def begin_job(
        self, settings: dict[str, str], outputs: Sequence[str], files: Iterable[InputFile], ranges: Iterable[int]
    ) -> None:
        """Write what a new job is, in one transaction."""
        with _Transaction(self._db):
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
        """Make a database the same as this one."""
        self._db.backup(database)

    def clear(self) -> None:
        """Forget the job."""
        with _Transaction(self._db):
            for table in ("job", "files", "pieces", "spans", "ends"):
                self._db.execute(f"DELETE FROM {table}")
            self._set_frontier(Frontier(Key(0, 0, 0), ()))

    def settings(self) -> Settings:
        """The rows of `job`; empty where no job was ever begun."""
        if not self._is_begun:  # killed before that
            return Settings(self._where, {})
        rows = self._db.execute("SELECT key, value FROM job LIMIT ?", (_SETTINGS_MAX,)).fetchall()
        if any(type(key) is not str or type(value) is not str for key, value in rows):
            raise damaged(self._where, "its job has values that are no text")
        found = Settings(self._where, dict(rows))
        if found and found.pop(_DIGEST, None) != _digest_of(found):
            raise damaged(self._where, "its job is not the one that was begun")
        if rows and found["schema"] != str(SCHEMA_VERSION):
            raise damaged(self._where, "its job has no version")
        return found

    def outputs(self) -> tuple[str, ...]:
        """The job's list of outputs, by the names of their files; none where no job was ever begun."""
        settings = self.settings()
        try:
            return msgspec.json.decode(settings[_OUTPUTS], type=tuple[str, ...]) if settings else ()
        except (ValueError, RecursionError):
            raise damaged(self._where, "its list of outputs is none") from None

    def by_name(self, ends: Ends) -> dict[str, int]:
        """Where which output ends."""
        return dict(zip(self.outputs(), ends, strict=True))

    def frontier(self) -> Frontier:
        """The durable frontier."""
        sql = "SELECT file, range, part, end FROM frontier LEFT JOIN ends ORDER BY output"
        rows = self._read(sql).fetchall()
        return Frontier(Key(*rows[0][:3]), _ends_in(rows))

    def commit(self, rows: list[PieceRow], faults: list[tuple[str, int]], frontier: Frontier) -> None:
        """Make pieces durable, and the frontier with them. The outputs must have been synced before."""
        with _Transaction(self._db):
            marks = ",".join("?" * _PIECE_COLUMNS)
            self._db.executemany(f"INSERT INTO pieces VALUES ({marks})", [row[:-1] for row in rows])
            spans = [row[:3] + span for row in rows for span in row.spans]
            self._db.executemany("INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?)", spans)
            self._db.executemany("UPDATE files SET fault = ? WHERE file = ?", faults)
            self._set_frontier(frontier)

    def roll_back_file(self, file: int, frontier: Frontier) -> None:
        """Forget all pieces of a file, before anything else is written in their place."""
        with _Transaction(self._db):
            for table in ("pieces", "spans"):
                self._db.execute(f"DELETE FROM {table} WHERE file = ?", (file,))
            self._set_frontier(frontier)

    def step_back(self, key: Key, frontier: Frontier) -> None:
        """Forget one piece whose data was lost."""
        with _Transaction(self._db):
            for table in ("pieces", "spans"):
                self._db.execute(f"DELETE FROM {table} WHERE file = ? AND range = ? AND part = ?", key)
            self._db.execute("UPDATE files SET fault = NULL WHERE file = ?", (key.file,))
            self._set_frontier(frontier)

    def last_piece(self) -> PieceRow | None:
        """The newest piece."""
        return self._one_piece("ORDER BY file DESC, range DESC, part DESC LIMIT 1")

    def progress_in_file(self, file: int, range_: int) -> tuple[int, int, int, int]:
        """Indexes and lines of a file in the ranges before `range_`, and in that range."""
        sql = "SELECT COALESCE(SUM(indexes), 0), COALESCE(SUM(lines), 0) FROM pieces WHERE file = ? AND range "
        before = self._read(sql + "< ?", (file, range_)).fetchone()
        inside = self._read(sql + "= ?", (file, range_)).fetchone()
        return (*before, *inside)

    def totals(self) -> tuple[Counts, int]:
        """Sums over all pieces, and their bytes of input."""
        columns = ", ".join(f"COALESCE(SUM({name}), 0)" for name in (*_COUNTS, "input_bytes"))
        *counts, input_bytes = self._read(f"SELECT {columns} FROM pieces").fetchone()
        return Counts(*counts), input_bytes

    def faults(self) -> dict[str, int]:
        """How many files have which fault."""
        sql = "SELECT fault, COUNT(*) FROM files WHERE fault IS NOT NULL GROUP BY fault ORDER BY fault"
        return dict(self._read(sql))

    def count_files(self) -> int:
        """Files in the plan."""
        count: int = self._read("SELECT COUNT(*) FROM files").fetchone()[0]
        return count

    def file_bytes(self, start: int) -> int:
        """Bytes of the files from the `start`th on, as stored."""
        # In two halves, as SQLite's sums must fit 64 bits.
        sql = "SELECT SUM(size >> 32), SUM(size & 0xffffffff) FROM files WHERE file >= ? AND size > 0"
        high, low = self._read(sql, (start,)).fetchone()
        total: int = ((high or 0) << 32) + (low or 0)
        return total

    def files(self) -> Iterator[tuple[InputFile, int]]:
        """The files of the plan, in order, and how many ranges each has; `fault` is a reason code here. Some at a time,
        as `pieces`."""
        columns = "path, real_path, size, mtime_ns, inode, fault, etag, ctime_ns, ranges"
        sql = f"SELECT {columns} FROM files WHERE file >= ? ORDER BY file LIMIT ?"
        first = 0
        while rows := self._read(sql, (first, _FILES_AT_ONCE)).fetchall():
            for *file, ranges in rows:
                yield InputFile._make(file), ranges
            first += len(rows)

    def ranges(self) -> list[int]:
        """How many ranges each file has."""
        return [ranges for (ranges,) in self._read("SELECT ranges FROM files ORDER BY file")]

    def settled(self) -> Frontier:
        """The frontier, or where the file begins that it is in: nothing before that is ever rolled back."""
        sql = (
            "SELECT r.file, COALESCE((SELECT start FROM spans AS s WHERE s.file = r.file AND s.output = e.output"
            " ORDER BY s.range, s.part LIMIT 1), e.end) FROM frontier AS r LEFT JOIN ends AS e ORDER BY e.output"
        )
        rows = self._read(sql).fetchall()
        return Frontier(Key(rows[0][0], 0, 0), _ends_in(rows))

    def piece_at(self, key: Key) -> PieceRow | None:
        """The piece with this key, or the last one before it."""
        return self._one_piece(
            "WHERE (file, range, part) <= (?, ?, ?) ORDER BY file DESC, range DESC, part DESC LIMIT 1", key
        )

    def pieces(self) -> Iterator[PieceRow]:
        """All pieces, in order. Some at a time: a job that runs cannot commit while one of them is being read."""
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
        """The piece of a row, without its entries.

        Raises:
            JobError: it is not as it was committed.
        """
        return self._of(row, piece_of)

    def shares(self, row: PieceRow) -> npt.NDArray[np.int64]:
        """What each file has of a piece; of shape (files, columns of `SHARE_COLUMNS`).

        Raises:
            JobError: it has no such shares, or they are not those of the piece.
        """
        return self._of(row, shares_of)

    def _of(self, row: PieceRow, of: Callable[[PieceRow, Sequence[str]], T]) -> T:
        try:
            return of(row, self.outputs())
        except ValueError as error:
            raise damaged(self._where, f"the piece of file {row.file} and on: {error}") from None

    def hits(self, distinct: int) -> Iterator[npt.NDArray[np.int64]]:
        """The hits of all pieces that have any, as pairs of shape (pairs, 2): one of so many keys, and how often.

        Raises:
            JobError: some are of no key of these.
        """
        for (blob,) in self._read("SELECT hits FROM pieces WHERE length(hits) > 0"):
            pairs = np.frombuffer(blob, "<i8").reshape(-1, 2)
            if pairs.min() < 0 or pairs[:, 0].max() >= distinct or pairs[:, 1].max() > NUMBER_MAX:
                raise damaged(self._where, "it has hits of restrictions that are not on the list")
            yield pairs

    def matched_from(self, start: int) -> tuple[int, int] | None:
        """Offset in the matched output of the piece that has record number `start`, and how many are before it; None
        where there is no such record, or no such output."""
        if start > NUMBER_MAX or MATCHED not in (outputs := self.outputs()):  # more than SQLite takes, perhaps
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
    """The last column of rows that have one for each output, or one with None where there are no outputs."""
    return tuple(row[-1] for row in rows if row[-1] is not None)


def _spans_in(rows: list[tuple[Any, ...]]) -> tuple[Span, ...]:
    """The last columns of rows that have one for each span, or one with None where there are no spans."""
    return tuple(Span(*row[_PIECE_COLUMNS:]) for row in rows if row[_PIECE_COLUMNS] is not None)


def _digest_of(settings: dict[str, str]) -> str:
    text = "\0".join(f"{name}\0{settings[name]}" for name in sorted(settings))
    return xxhash.xxh3_128_hexdigest(text.encode("utf-8", "surrogatepass"))


def _connect(path: Path, *, create: bool, write: bool) -> sqlite3.Connection:
    """Open the file, which SQLite itself would do through links, and would roll back by any journal beside it.

    It must not be opened by anyone else in this process: closing that would let go of SQLite's locks.
    """
    if create:
        os.close(open_ours(path, os.O_RDWR | os.O_CREAT))
    writing = create or write or (is_there(path) and may_write(path))
    journal = path.with_name(path.name + "-journal")
    if is_there(path, writing=writing) and is_there(journal, writing=writing):
        _refuse_superjournal(journal)
    for suffix in ("-wal", "-shm"):  # ours never has them, and SQLite would remove or follow what lies there
        if is_there(path.with_name(path.name + suffix), writing=writing):
            raise damaged(path, f"{path.name}{suffix} lies beside it, and no job of yours wrote that")
    uri = f"file:{quote(os.fsencode(path))}?mode={'rw' if writing else 'ro'}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def _refuse_superjournal(journal: Path) -> None:
    """A journal that ends with the name of another file would have SQLite remove that. Ours never do.

    Raises:
        JobError: it does.
    """
    try:
        with open(open_ours(journal), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _SUPERJOURNAL.size))
            tail = file.read(_SUPERJOURNAL.size)
    except FileNotFoundError:  # the job goes on
        return
    if len(tail) == _SUPERJOURNAL.size:
        length, _, magic = _SUPERJOURNAL.unpack(tail)
        if magic == _JOURNAL_MAGIC and 0 < length <= size - len(tail):
            raise damaged(journal, "it names another file, as no journal of ours does")


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT, rolled back on any error."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: Any, *_: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # SQLite rolls back by itself where the disk is full
                self._db.execute("ROLLBACK")
