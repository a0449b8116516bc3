"""The ledger: a SQLite file that says what of which input is in the outputs, and where.

    job        key, value: what makes this job this job, and how it was planned
    files      one row a file of the plan, in order; `fault` where one entry stands for the whole file
    pieces     one row a committed piece of a file: counts, spans and digests in the three outputs, hits; or one
               row for several whole small files in a row, `shares` then has the columns of each (a JSON array of
               arrays, see `SHARE_COLUMNS`)
    frontier   one row: the next piece to come, and where the outputs end
    shares (view)       one row a file and piece: counts
    file_ledger (view)  one row a file: state, records = matched + unmatched, entries

A rollback journal, as write-ahead logging does not work on network file systems; with `synchronous=EXTRA`, as with
`FULL` the removal of the journal is not durable, and after a power cut it would undo a transaction that was reported.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from linkmatch_ray.core.outcome import Counts
from linkmatch_ray.io.inputs import InputFile

SCHEMA_VERSION: Final = 3

_SCHEMA: Final = """
CREATE TABLE job (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
    file INTEGER PRIMARY KEY, path BLOB NOT NULL, real_path BLOB NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
    ranges INTEGER NOT NULL, fault TEXT, etag TEXT
);
CREATE TABLE pieces (
    file INTEGER NOT NULL, range INTEGER NOT NULL, part INTEGER NOT NULL, last INTEGER NOT NULL,
    records INTEGER NOT NULL, matched INTEGER NOT NULL, unmatched INTEGER NOT NULL,
    missing_key INTEGER NOT NULL, not_object INTEGER NOT NULL, entries INTEGER NOT NULL,
    lines INTEGER NOT NULL, indexes INTEGER NOT NULL, input_bytes INTEGER NOT NULL,
    matched_start INTEGER NOT NULL, matched_bytes INTEGER NOT NULL, matched_digest BLOB,
    unmatched_start INTEGER NOT NULL, unmatched_bytes INTEGER NOT NULL, unmatched_digest BLOB,
    quarantine_start INTEGER NOT NULL, quarantine_bytes INTEGER NOT NULL, quarantine_digest BLOB,
    hits BLOB,
    files INTEGER NOT NULL, shares TEXT,
    PRIMARY KEY (file, range, part)
) WITHOUT ROWID;
CREATE TABLE frontier (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    file INTEGER NOT NULL, range INTEGER NOT NULL, part INTEGER NOT NULL,
    matched_end INTEGER NOT NULL, unmatched_end INTEGER NOT NULL, quarantine_end INTEGER NOT NULL
);
INSERT INTO frontier VALUES (1, 0, 0, 0, 0, 0, 0);
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

_PIECES_AT_ONCE: Final = 1_000

_COUNTS: Final = ("records", "matched", "unmatched", "missing_key", "not_object", "entries")


class Key(NamedTuple):
    """Which piece: of which file, which range of it, which part of that."""

    file: int
    range: int
    part: int


class Ends(NamedTuple):
    """Bytes in each of the outputs."""

    matched: int
    unmatched: int
    quarantine: int


class PieceRow(NamedTuple):
    """A row of `pieces`, in the order of its columns."""

    file: int
    range: int
    part: int
    last: int
    records: int
    matched: int
    unmatched: int
    missing_key: int
    not_object: int
    entries: int
    lines: int
    indexes: int
    input_bytes: int
    matched_start: int
    matched_bytes: int
    matched_digest: bytes | None
    unmatched_start: int
    unmatched_bytes: int
    unmatched_digest: bytes | None
    quarantine_start: int
    quarantine_bytes: int
    quarantine_digest: bytes | None
    hits: bytes
    files: int
    shares: str | None


@dataclass(slots=True)
class Frontier:
    """The next piece to be committed, and where the outputs end before it."""

    next: Key
    ends: Ends


class Ledger:
    """One connection to a ledger; not to be shared between threads without a lock."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode=DELETE")
            self._db.execute("PRAGMA synchronous=EXTRA")
            if create:
                self._db.executescript(_SCHEMA)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def begin_job(self, settings: dict[str, str], files: Iterable[InputFile], ranges: Iterable[int]) -> None:
        """Write what a new job is, in one transaction."""
        with _Transaction(self._db):
            rows = [("schema", str(SCHEMA_VERSION)), *settings.items()]
            self._db.executemany("INSERT INTO job VALUES (?, ?)", rows)
            self._db.executemany(
                "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?)",
                (
                    (n, file.name, file.path, file.size, file.mtime_ns, file.inode, count, file.etag)
                    for n, (file, count) in enumerate(zip(files, ranges, strict=True))
                ),
            )

    def copy_to(self, database: sqlite3.Connection) -> None:
        """Make a database the same as this one."""
        self._db.backup(database)

    def clear(self) -> None:
        """Forget the job."""
        with _Transaction(self._db):
            for table in ("job", "files", "pieces"):
                self._db.execute(f"DELETE FROM {table}")
            self._set_frontier(Frontier(Key(0, 0, 0), Ends(0, 0, 0)))

    def settings(self) -> dict[str, str]:
        """The rows of `job`; empty where no job was ever begun."""
        made = self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'job'").fetchone()  # killed before that
        return dict(self._db.execute("SELECT key, value FROM job")) if made else {}

    def frontier(self) -> Frontier:
        """The durable frontier."""
        row = self._db.execute("SELECT * FROM frontier").fetchone()
        return Frontier(Key(*row[1:4]), Ends(*row[4:]))

    def commit(self, rows: list[PieceRow], faults: list[tuple[str, int]], frontier: Frontier) -> None:
        """Make pieces durable, and the frontier with them. The outputs must have been synced before."""
        with _Transaction(self._db):
            marks = ",".join("?" * len(PieceRow._fields))
            self._db.executemany(f"INSERT INTO pieces VALUES ({marks})", rows)
            self._db.executemany("UPDATE files SET fault = ? WHERE file = ?", faults)
            self._set_frontier(frontier)

    def roll_back_file(self, file: int, frontier: Frontier) -> None:
        """Forget all pieces of a file, before anything else is written in their place."""
        with _Transaction(self._db):
            self._db.execute("DELETE FROM pieces WHERE file = ?", (file,))
            self._set_frontier(frontier)

    def step_back(self, key: Key, frontier: Frontier) -> None:
        """Forget one piece whose data was lost."""
        with _Transaction(self._db):
            self._db.execute("DELETE FROM pieces WHERE file = ? AND range = ? AND part = ?", key)
            self._db.execute("UPDATE files SET fault = NULL WHERE file = ?", (key.file,))
            self._set_frontier(frontier)

    def last_piece(self) -> PieceRow | None:
        """The newest piece."""
        sql = "SELECT * FROM pieces ORDER BY file DESC, range DESC, part DESC LIMIT 1"
        row = self._db.execute(sql).fetchone()
        return PieceRow(*row) if row else None

    def file_start(self, file: int) -> Ends | None:
        """Where the outputs of a file begin; None where it has none yet."""
        sql = (
            "SELECT matched_start, unmatched_start, quarantine_start FROM pieces WHERE file = ?"
            " ORDER BY range, part LIMIT 1"
        )
        row = self._db.execute(sql, (file,)).fetchone()
        return Ends(*row) if row else None

    def settled(self) -> Ends:
        """Where the outputs of the files that are complete end: what is before that is never taken back."""
        frontier = self.frontier()
        return (self.file_start(frontier.next.file) if frontier.next[1:] != (0, 0) else None) or frontier.ends

    def progress_in_file(self, file: int, range_: int) -> tuple[int, int, int, int]:
        """Indexes and lines of a file in the ranges before `range_`, and in that range."""
        sql = "SELECT COALESCE(SUM(indexes), 0), COALESCE(SUM(lines), 0) FROM pieces WHERE file = ? AND range "
        before = self._db.execute(sql + "< ?", (file, range_)).fetchone()
        inside = self._db.execute(sql + "= ?", (file, range_)).fetchone()
        return (*before, *inside)

    def totals(self) -> tuple[Counts, int]:
        """Sums over all pieces, and their bytes of input."""
        columns = ", ".join(f"COALESCE(SUM({name}), 0)" for name in (*_COUNTS, "input_bytes"))
        *counts, input_bytes = self._db.execute(f"SELECT {columns} FROM pieces").fetchone()
        return Counts(*counts), input_bytes

    def faults(self) -> dict[str, int]:
        """How many files have which fault."""
        sql = "SELECT fault, COUNT(*) FROM files WHERE fault IS NOT NULL GROUP BY fault ORDER BY fault"
        return dict(self._db.execute(sql))

    def count_files(self) -> int:
        """Files in the plan."""
        count: int = self._db.execute("SELECT COUNT(*) FROM files").fetchone()[0]
        return count

    def file_bytes(self, start: int) -> int:
        """Bytes of the files from the `start`th on, as stored."""
        sql = "SELECT COALESCE(SUM(MAX(size, 0)), 0) FROM files WHERE file >= ?"
        total: int = self._db.execute(sql, (start,)).fetchone()[0]
        return total

    def files(self) -> Iterable[tuple[InputFile, int]]:
        """The files of the plan, in order, and how many ranges each has; `fault` is a reason code here."""
        columns = "path, real_path, size, mtime_ns, inode, fault, etag, ranges"
        for *file, ranges in self._db.execute(f"SELECT {columns} FROM files ORDER BY file"):
            yield InputFile._make(file), ranges

    def piece_at(self, key: Key) -> PieceRow | None:
        """The piece with this key, or the last one before it."""
        sql = (
            "SELECT * FROM pieces WHERE (file, range, part) <= (?, ?, ?)"
            " ORDER BY file DESC, range DESC, part DESC LIMIT 1"
        )
        row = self._db.execute(sql, key).fetchone()
        return PieceRow(*row) if row else None

    def pieces(self) -> Iterator[PieceRow]:
        """All pieces, in order. Some at a time: a job that runs cannot commit while one of them is being read."""
        sql = "SELECT * FROM pieces WHERE (file, range, part) > (?, ?, ?) ORDER BY file, range, part LIMIT ?"
        last = (-1, -1, -1)
        while rows := self._db.execute(sql, (*last, _PIECES_AT_ONCE)).fetchall():
            yield from map(PieceRow._make, rows)
            last = rows[-1][:3]

    def hits(self) -> Iterable[bytes]:
        """The hits of all pieces that have any."""
        return (blob for (blob,) in self._db.execute("SELECT hits FROM pieces WHERE length(hits) > 0"))

    def matched_from(self, start: int) -> tuple[int, int] | None:
        """Offset in the matched output of the piece that has record number `start`, and how many are before it."""
        sql = (
            "SELECT matched_start, before FROM (SELECT matched_start, matched,"
            " SUM(matched) OVER (ORDER BY file, range, part) - matched AS before FROM pieces WHERE matched_bytes > 0)"
            " WHERE before <= ? AND before + matched > ? LIMIT 1"
        )
        row: tuple[int, int] | None = self._db.execute(sql, (start, start)).fetchone()
        return row

    def _set_frontier(self, frontier: Frontier) -> None:
        self._db.execute(
            "UPDATE frontier SET file = ?, range = ?, part = ?, matched_end = ?, unmatched_end = ?, quarantine_end = ?",
            (*frontier.next, *frontier.ends),
        )


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
