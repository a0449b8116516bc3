"""The ledger: a SQLite file that records which parts of which input are in the outputs, and where.

    job        key, value: what makes this job this job, and how it was planned; `outputs` is the list of its outputs
               (a JSON array of names), `settings_digest` the digest of all others
    files      one row per file of the plan, in order; `fault` if one entry stands for the whole file
    pieces     one row per committed piece: counts, hits; for several whole small files in a row, `shares` has the
               columns of each (a JSON array of arrays, see `SHARE_COLUMNS`); `encoding` is that of the file, NULL for
               UTF-8; `digest` is that of its other columns
               and its spans
    spans      where a piece has bytes in an output (a place in `outputs`), and their digest; no row without bytes
    frontier   one row: the next piece
    ends       one row per output: where it ends
    shares (view)       one row per file and piece: counts
    file_ledger (view)  one row per file: state, records = matched + unmatched, entries, encoding

It has a rollback journal, because write-ahead logging does not work on network file systems. With `synchronous=FULL`
the removal of the journal is not durable: after a power cut the journal would undo a transaction that was reported. So
it is `EXTRA`.
"""

from __future__ import annotations

from typing import Final

SCHEMA_VERSION: Final = 6

SCHEMA: Final = """
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
    hits BLOB NOT NULL, files INTEGER NOT NULL, shares TEXT, encoding TEXT, digest BLOB NOT NULL,
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
    SELECT file, records, matched, unmatched, missing_key, not_object, entries, input_bytes, encoding
        FROM pieces WHERE shares IS NULL
    UNION ALL SELECT pieces.file + share.key, share.value ->> 0, share.value ->> 1, share.value ->> 2,
        share.value ->> 3, share.value ->> 4, 0, share.value ->> 5, NULL
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
        COALESCE(SUM(shares.entries), 0) AS entries,
        COALESCE(MAX(shares.encoding), CASE WHEN COUNT(shares.file) > 0 THEN 'utf-8' END) AS encoding
    FROM files JOIN frontier LEFT JOIN shares ON shares.file = files.file GROUP BY files.file;
"""
