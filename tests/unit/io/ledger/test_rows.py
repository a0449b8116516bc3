"""A piece as rows and back, also through a ledger; and what a missing or wrong row of `spans` is taken for."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkmatch_ray.core.outcome import SHARE_COLUMNS, Counts, Piece
from linkmatch_ray.errors import JobChanged, JobError
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.ledger.ledger import Frontier, Key, Ledger
from linkmatch_ray.io.ledger.rows import Span, outputs_of, piece_of, row_of

NUMBERS = st.integers(0, 1 << 40)
SIZES = st.just(0) | st.integers(1, 1 << 30)
DIGESTS = st.binary(min_size=8, max_size=8)
FILES = 40


@st.composite
def pieces(draw, outputs):
    """The pieces of a job with so many outputs, one after another, and their spans: a file each, or several."""
    made, file, ends = [], 0, [0] * len(outputs)
    while file < FILES:
        files = draw(st.just(1) | st.integers(2, 5))
        sizes = [draw(SIZES) for _ in outputs]
        spans = tuple(Span(n, ends[n], size, draw(DIGESTS)) for n, size in enumerate(sizes) if size)
        ends = [end + size for end, size in zip(ends, sizes, strict=True)]
        by_name = {outputs[span.output].removesuffix(".jsonl"): span for span in spans}
        hits = draw(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), max_size=4))
        piece = Piece(
            file=file,
            counts=Counts(*(draw(NUMBERS) for _ in range(6))),
            lines=draw(NUMBERS),
            indexes=draw(NUMBERS),
            input_bytes=draw(NUMBERS),
            hits=np.array(hits, "<i8").tobytes(),
            files=files,
            **{f"{name}_bytes": span.bytes for name, span in by_name.items() if name != "quarantine"},
            **{f"{name}_digest": span.digest for name, span in by_name.items() if name != "quarantine"},
        )
        if files > 1:
            whole = {name: getattr(piece, name, None) or getattr(piece.counts, name, 0) for name in SHARE_COLUMNS}
            whole["hits"] = len(hits)
            last = np.array([whole[name] for name in SHARE_COLUMNS])
            piece.shares = np.concatenate((np.zeros((files - 1, len(last)), np.int64), [last]))
        made.append((piece, spans))
        file += files
    return made


JOBS = st.sampled_from(["matched", "unmatched", "both"]).flatmap(
    lambda emit: st.tuples(st.just(outputs_of(emit)), pieces(outputs_of(emit)))
)


def same(piece, other):
    shares = [each.shares if each.shares is None else each.shares.tolist() for each in (piece, other)]
    return shares[0] == shares[1] and replace(piece, shares=None) == replace(other, shares=None)


def begun(path, outputs, rows=()):
    """A ledger with these pieces."""
    ledger = Ledger(path, create=True)
    count = sum(row.files for row in rows) or 1
    files = [InputFile(b"%d" % n, b"/%d" % n, 1, 1, n) for n in range(count)]
    ledger.begin_job({"fingerprint": "f"}, outputs, files, [1] * count)
    ends = [
        max([0, *(s.start + s.bytes for row in rows for s in row.spans if s.output == n)]) for n in range(len(outputs))
    ]
    ledger.commit(list(rows), [], Frontier(Key(count if rows else 0, 0, 0), tuple(ends)))
    return ledger


@given(JOBS)
def test_there_and_back(tmp_path_factory, job):
    """Every piece is the same again, whichever outputs the job has and a piece has bytes in."""
    outputs, made = job
    rows = [row_of(piece, spans) for piece, spans in made]
    for (piece, _), row in zip(made, rows, strict=True):
        assert same(piece_of(row, outputs), piece)
    path = tmp_path_factory.mktemp("rows") / "ledger.sqlite"
    begun(path, outputs, rows).close()
    with closing(Ledger(path)) as ledger:
        assert list(ledger.pieces()) == rows
        assert ledger.last_piece() == rows[-1]
        for (piece, _), row in zip(made, rows, strict=True):
            assert ledger.piece_at(Key(row.file + row.files - 1, 0, 0)) == row
            assert same(ledger.piece(row), piece)
        spans = ledger._db.execute("SELECT COUNT(*), MIN(bytes) FROM spans").fetchone()
    assert spans[0] == sum(len(row.spans) for row in rows)
    assert spans[1] is None or spans[1] > 0


DIGEST = b"12345678"
ROWS = [
    row_of(Piece(file=0, counts=Counts(2, 1, 1)), (Span(0, 0, 5, DIGEST), Span(1, 0, 3, DIGEST))),
    row_of(Piece(file=1, counts=Counts(1, 1)), (Span(0, 5, 4, DIGEST),)),
    row_of(Piece(file=2), ()),
    row_of(Piece(file=3, counts=Counts(1, 0, 1)), (Span(1, 3, 2, DIGEST),)),
]


@pytest.mark.parametrize(
    "sql",
    [
        *(f"DELETE FROM spans WHERE (file, output) = {key}" for key in ((0, 0), (0, 1), (1, 0), (3, 1))),
        "DELETE FROM spans WHERE file = 3",
        "DELETE FROM spans",
        "INSERT INTO spans VALUES (2, 0, 0, 0, 9, 0, x'0000000000000000')",
        "INSERT INTO spans VALUES (2, 0, 0, 2, 0, 1, x'0000000000000000')",
        "INSERT INTO spans VALUES (2, 0, 1, 0, 9, 1, x'0000000000000000')",
        "INSERT INTO spans VALUES (9, 0, 0, 0, 9, 1, x'0000000000000000')",
        "INSERT INTO spans VALUES (-1, 0, 0, 0, 0, 1, x'0000000000000000')",
        "UPDATE spans SET digest = x'00' WHERE file = 1",
        "DELETE FROM ends WHERE output = 2",
        "INSERT INTO ends VALUES (3, 0)",
    ],
)
def test_rows_that_no_job_has(tmp_path, sql):
    """A row that is missing does not look like bytes that there are not: what follows does not begin there."""
    path = tmp_path / "ledger.sqlite"
    begun(path, outputs_of("both"), ROWS).close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(sql)
    with closing(Ledger(path)) as ledger, pytest.raises(JobError, match="damaged"):
        ledger.frontier()


def test_forgotten(tmp_path):
    """A piece that is stepped back from, or rolled back with its file, goes with its spans."""
    with closing(begun(tmp_path / "ledger.sqlite", outputs_of("both"), ROWS)) as ledger:
        ledger.step_back(Key(3, 0, 0), Frontier(Key(3, 0, 0), (9, 3, 0)))
        assert list(ledger.pieces()) == ROWS[:3]
        ledger.roll_back_file(2, Frontier(Key(2, 0, 0), (9, 3, 0)))
        ledger.roll_back_file(1, Frontier(Key(1, 0, 0), (5, 3, 0)))
        assert ledger._db.execute("SELECT file, output FROM spans").fetchall() == [(0, 0), (0, 1)]
        assert ledger.by_name(ledger.frontier().ends) == {
            "matched.jsonl": 5,
            "unmatched.jsonl": 3,
            "quarantine.jsonl": 0,
        }
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        assert list(ledger.pieces()) == ROWS[:1]


def test_a_piece_that_was_changed(tmp_path):
    """Is not taken for the one that was committed."""
    changed = ROWS[0]._replace(lines=1)
    assert not changed.is_sound
    with (
        closing(begun(tmp_path / "ledger.sqlite", outputs_of("both"), ROWS)) as ledger,
        pytest.raises(JobError, match="file 0 and on: it is not as it was committed"),
    ):
        ledger.piece(changed)


BEFORE_5 = """
CREATE TABLE job (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE pieces (file INTEGER NOT NULL, matched_start INTEGER NOT NULL, matched_bytes INTEGER NOT NULL);
CREATE TABLE frontier (one INTEGER PRIMARY KEY CHECK (one = 1), matched_end INTEGER NOT NULL);
INSERT INTO job VALUES ('schema', '4'), ('fingerprint', 'f');
"""


def test_a_ledger_of_the_version_before(tmp_path):
    """Is refused by name, before anything of it is read."""
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(BEFORE_5)
    with pytest.raises(JobChanged, match=r"results of another version of linkmatch-ray\. Name another directory"):
        Ledger(path)
