"""A ledger or summary that is damaged, edited or comes from elsewhere: each value of it by type and size, one after
another. Every command ends well or with an error of ours, soon; and what `verify` does not notice is listed here."""

import contextlib
import io
import json
import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from functools import partial
from itertools import product
from pathlib import Path

import msgspec
import pytest
import zstandard

from linkmatch_ray import MatchOptions
from linkmatch_ray.cli.output import status_lines, summary_lines
from linkmatch_ray.core.outcome import HIT_PAIR_BYTES, SHARE_COLUMNS, Counts
from linkmatch_ray.errors import InputError, JobChanged, JobError, LinkmatchError
from linkmatch_ray.io.ledger import rows
from linkmatch_ray.io.ledger.ledger import Ledger
from linkmatch_ray.io.ledger.rows import PieceRow, Span
from linkmatch_ray.io.ledger.schema import SCHEMA_VERSION
from linkmatch_ray.io.results.directory import Directory
from linkmatch_ray.io.results.directory_lock import Lock
from linkmatch_ray.io.results.download import download
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.status import status
from linkmatch_ray.io.results.verification import Checked, verify
from linkmatch_ray.runtime.jobs.plan import PlanOptions
from tests.support.jobs import NAMES, OUTPUTS, write
from tests.support.tiers import STRIDE, kinds, some
from tests.support.whole import submit

SECONDS_MAX = 10
PACKED = (MatchOptions(emit="both"), PlanOptions(unit_bytes=4000, part_bytes=2000))
RANGES = (MatchOptions(provenance=True), PlanOptions(unit_bytes=10_000, part_bytes=100))


@pytest.fixture(scope="module")
def place():
    """In memory, where there is such a place."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


class Job:
    """A small result directory, to be damaged again and again."""

    def __init__(self, place, how, stop_after=None):
        self.how, self.place = how, place
        self.top, self.out = place / "in", place / "out"
        write(self.top, dict.fromkeys(NAMES, 1))
        (self.top / "50.jsonl").write_bytes(b'{"data":"a"}\n' * 30)
        (self.top / "51.jsonl").symlink_to("nowhere")
        (self.top / "52.jsonl").write_bytes(b'{"n":1}\n{"data":"b"}\n{bad\n7\n' * 20)
        (self.top / "53.json").write_bytes(b'[{"data":1}]')
        lines = [b'{"data":"%s","n":%d}\n' % (b"ab"[n % 2 : n % 2 + 1], n) for n in range(1200)]
        (self.top / "55.jsonl").write_bytes(b"".join([*lines[:500], b"{bad\n", *lines[500:]]))
        (self.top / "54.json").write_bytes(b'[{"data":"a"},{"data":"z"}]')
        submit(self.top, place / "whole", *how)
        self.expected = {name: (place / "whole" / name).read_bytes() for name in OUTPUTS if self._has(name)}
        submit(self.top, self.out, *how, stop_after=stop_after)
        self.files = {path.name: path.read_bytes() for path in self.out.iterdir()}

    def _has(self, name):
        return (self.place / "whole" / name).exists()

    def restore(self):
        shutil.rmtree(self.out)
        self.out.mkdir()
        for name, content in self.files.items():
            (self.out / name).write_bytes(content)

    def outputs(self):
        return {name: (self.out / name).read_bytes() for name in self.expected if (self.out / name).is_file()}

    def tables(self):
        with closing(sqlite3.connect(self.out / "ledger.sqlite")) as ledger:
            job = dict(ledger.execute("SELECT * FROM job"))
            names = ("files", "pieces", "spans", "frontier", "ends")
            rows = [ledger.execute(f"SELECT * FROM {name}").fetchall() for name in names]
            rows[0] = [(*row[:2], *row[3:]) for row in rows[0]]  # without `real_path`
            return {name: value for name, value in job.items() if not name.startswith("settings")}, rows


@pytest.fixture(scope="module")
def packed(place):
    """A complete job: both outputs, small files in pieces of several, quarantine, a fault."""
    (place / "packed").mkdir()
    return Job(place / "packed", PACKED)


@pytest.fixture(scope="module")
def ranges(place):
    """A complete job: provenance, files in ranges and parts."""
    (place / "ranges").mkdir()
    return Job(place / "ranges", RANGES)


@pytest.fixture(scope="module")
def stopped(place):
    """A job that was interrupted within a file."""
    for parts in range(4, 40):
        (place / f"stopped{parts}").mkdir()
        job = Job(place / f"stopped{parts}", RANGES, stop_after=parts)
        assert "summary.json" not in job.files
        with closing(Ledger(job.out / "ledger.sqlite")) as ledger:
            if ledger.frontier().next.part > 0 and ledger.frontier().next.range > 0:
                break
    return job


def ended(command):
    """Whether it ended well, and not with an error of ours; anything else fails."""
    began, result, said = time.monotonic(), None, "where: problem. Action."
    try:
        result = command()
    except LinkmatchError as error:
        said = str(error)
    where, _, rest = said.partition(": ")
    assert where, said
    assert rest.endswith("."), said
    assert time.monotonic() - began < SECONDS_MAX
    return result


def look(job):
    """`status`, `verify` and `cancel`; returns whether `verify` finds nothing."""

    def told():
        print(*status_lines(status(results_at(job.out)), "out"), sep="\n")

    with contextlib.redirect_stdout(io.StringIO()):
        ended(told)
    ended(lambda: results_at(job.out).cancel())
    return list_problems(job) == []


def list_problems(job):
    """What `verify` says; None if it ends with an error."""
    return ended(lambda: list(verify(results_at(job.out), Checked())))


def go_on(job, *, incremental):
    """The same command again, on its own or with --incremental; it must give the right bytes, or `verify` say no."""

    def told():
        summary = submit(job.top, job.out, *job.how, incremental=incremental)
        return summary is not None and list(summary_lines(summary))

    if not ended(told):
        return
    wrong = [name for name in OUTPUTS if job.outputs().get(name) != job.expected.get(name)]
    if wrong:
        assert list_problems(job) != [], "wrong, and nobody says so"


NUMBERS = (-1, 1 << 62, "text", "", b"blob", None, 1.5)
TEXTS = ("", "garbage", "[" * 5000, b"blob", None, 7)
BLOBS = (b"", b"other", b"\xff" * 16, "text", None, 7)


def mutations(job):
    """All statements that put something else into one column of one row, or remove or add a row."""
    with closing(sqlite3.connect(job.out / "ledger.sqlite")) as ledger:
        for table in ("job", "files", "pieces", "spans", "frontier", "ends"):
            columns = ledger.execute(f"PRAGMA table_info({table})").fetchall()
            for where, row in rows_of(ledger, table):
                yield f"{table} without {row[0]}", f"DELETE FROM {table} WHERE {where}", ()
                for (_, column, kind, *_), old in zip(columns, row, strict=True):
                    name = f"{table}.{column}" + (f" of {row[0]}" if table == "job" else "")
                    name += " of a fault" if table == "files" and row[8] is not None else ""
                    for what, value in values(kind, old):
                        yield name + what, f"UPDATE {table} SET {column} = ? WHERE {where}", (value,)
    for table, columns in (("job", "'more', 'x'"), ("frontier", "2, 0, 0, 0"), ("ends", "9, 0")):
        yield f"{table} more", f"INSERT INTO {table} VALUES ({columns})", ()
    for file in (-5, 1 << 40):
        values_ = f"{file}, x'61', x'61', 1, 1, 1, 1, 1, NULL, NULL"
        yield "files more", f"INSERT INTO files VALUES ({values_})", ()
        rest = ", ".join(PieceRow._fields[1:-1])
        yield "pieces more", f"INSERT INTO pieces SELECT {file}, {rest} FROM pieces LIMIT 1", ()
        yield "spans more", f"INSERT INTO spans SELECT {file}, range, part, output, start, 1, digest FROM spans", ()
    for output in (-1, 9):
        yield "spans more", f"INSERT INTO spans SELECT file, range, part, {output}, 0, 1, digest FROM spans LIMIT 1", ()
    for table in ("pieces", "spans", "files", "job", "ends"):
        yield f"{table} none", f"DELETE FROM {table}", ()


def rows_of(ledger, table):
    if table == "job":
        found = [(f"key = '{row[0]}'", row) for row in ledger.execute("SELECT * FROM job")]
    elif table == "files":
        sql = "SELECT * FROM files WHERE file IN (0, (SELECT file FROM files WHERE fault IS NOT NULL))"
        found = [(f"file = {row[0]}", row) for row in ledger.execute(sql)]
    elif table == "pieces":
        found = []
        for kind in ("shares IS NOT NULL", "range > 0 AND part > 0 AND matched > 0", "entries > 0 AND matched > 0"):
            for row in ledger.execute(f"SELECT * FROM pieces WHERE {kind} LIMIT 1"):
                found.append(("file = {} AND range = {} AND part = {}".format(*row[:3]), row))
    elif table == "spans":
        found = []
        for output in (0, 1, 2):
            for row in ledger.execute("SELECT * FROM spans WHERE output = ? LIMIT 1 OFFSET 2", (output,)):
                found.append(("file = {} AND range = {} AND part = {} AND output = {}".format(*row[:4]), row))
    elif table == "ends":
        found = [(f"output = {row[0]}", row) for row in ledger.execute("SELECT * FROM ends")]
    else:
        found = [("one = 1", row) for row in ledger.execute("SELECT * FROM frontier")]
    assert found, table
    return found


def values(kind, old):
    """What else may stand there; each with what it is, if `verify` may not notice it."""
    if kind == "INTEGER":
        others = [*NUMBERS, *([] if old is None else [old + 1, old - 1, 0])]
    elif kind == "TEXT":
        others = [*TEXTS, *([] if old is None else [old + "x", "1" * len(old)])]
    else:
        content = old or b""
        others = [
            *BLOBS,
            content[:-1],
            content + b"x",
            content[:-1] + bytes([content[-1] ^ 128]) if content else b"12345678",
        ]
    if kind == "TEXT" and isinstance(old, str) and old.startswith("[["):
        rows = json.loads(old)
        for column, name in enumerate(SHARE_COLUMNS):
            other = [list(row) for row in rows]
            other[0][column] += 1
            other[1][column] -= 1  # the sums stay the same
            yield f" {name}", json.dumps(other)
        others += map(json.dumps, (rows[1:], rows + rows, [row[1:] for row in rows], [[]], {}, []))
        others += map(json.dumps, ([[x + 0.5 for x in row] for row in rows], [[10**30] * 9] * len(rows)))
    if kind == "BLOB" and old and len(old) % HIT_PAIR_BYTES == 0:
        others += [old[:-16], old + old[-16:], old[:8] + bytes(8) + old[16:]]
        yield " of another key", bytes([old[0] ^ 1]) + old[1:]
        yield " of another key", (1 << 40).to_bytes(8, "little") + old[8:]
    for value in others:
        if value != old or type(value) is not type(old):
            yield " none" if value == 0 else "", value


def change(path, sql, *parameters):
    """Do it, whatever the tables say of NULL and of values that are not allowed."""
    with closing(sqlite3.connect(path, isolation_level=None)) as ledger:
        ledger.execute("PRAGMA synchronous = OFF")
        ledger.execute("PRAGMA ignore_check_constraints = ON")
        schema = ledger.execute("SELECT name, sql FROM sqlite_master").fetchall()
        ledger.execute("PRAGMA writable_schema = ON")
        ledger.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE type = 'table'")
    with closing(sqlite3.connect(path, isolation_level=None)) as ledger:
        ledger.execute("PRAGMA synchronous = OFF")
        ledger.execute("PRAGMA ignore_check_constraints = ON")
        try:
            ledger.execute(sql, *parameters)
        except sqlite3.IntegrityError:  # a key that is there, or none
            return False
        finally:
            ledger.execute("PRAGMA writable_schema = ON")
            ledger.executemany(
                "UPDATE sqlite_master SET sql = ? WHERE name = ?", [(text, name) for name, text in schema]
            )
    return True


UNNOTICED = {
    "files.real_path": "where the file was; if it is another one now, it is matched again",
    "files.etag": "empty instead of none: it is matched again",
    "files.real_path of a fault": "it is read again in any case",
    "files.etag of a fault": "the same",
    "files.ranges of a fault": "the same",
}
"""What `verify` cannot know to be wrong, as it is in no output."""

INPUTS = ("input_bytes", "missing_key", "not_object")
UNNOTICED_IF_SEALED = {
    "pieces.indexes none": "of a whole file: nothing comes after it that they move",
    "pieces.lines none": "the same as pieces.lines",
    "pieces.lines": "newlines of the input; what comes later in a file that is under way is moved by them",
    **{f"pieces.shares {name}": "from one file of a piece to another: the sum is compared" for name in INPUTS},
    "pieces.encoding": "of the input, which is not read again",
}
"""The same of rows whose digest was made anew: whoever does that means to deceive."""

UNNOTICED_BEFORE_THE_REPORT = {
    "pieces.hits of another key": "which restriction a record equals: the report of a complete job says so",
    **{f"pieces.{name}{what}": "of the input; the sum is in the summary" for name in INPUTS for what in ("", " none")},
}
"""The same of a job that is not complete."""


def seal(path):
    """Make the digests of all pieces anew, as if their rows had been committed as they are."""
    with closing(sqlite3.connect(path, isolation_level=None)) as ledger:
        ledger.execute("PRAGMA synchronous = OFF")
        for *columns, _ in ledger.execute("SELECT * FROM pieces").fetchall():
            spans = ledger.execute(
                "SELECT output, start, bytes, digest FROM spans WHERE (file, range, part) = (?, ?, ?)", columns[:3]
            )
            digest = (rows._digest_of(tuple(columns), tuple(Span(*span) for span in spans)), *columns[:3])
            ledger.execute("UPDATE pieces SET digest = ? WHERE (file, range, part) = (?, ?, ?)", digest)


@pytest.mark.parametrize("which", ["packed", "ranges", pytest.param("stopped", marks=pytest.mark.slow)])
def test_every_value(which, request):
    """Of every table, in some rows of each kind: by type, sign, size and form."""
    job, unnoticed, count = request.getfixturevalue(which), set(), 0
    job.restore()
    for name, sql, parameters in some(mutations(job)):
        (job.out / "ledger.sqlite").write_bytes(job.files["ledger.sqlite"])
        if not change(job.out / "ledger.sqlite", sql, parameters):
            continue
        count += 1
        damaged = (job.out / "ledger.sqlite").read_bytes()
        if look(job):
            unnoticed.add(name)
        assert (job.out / "ledger.sqlite").read_bytes() == damaged, "who only looks has changed it"
        if name not in UNNOTICED and count % (4 if which == "stopped" else 6) == 0:
            go_on(job, incremental=count % 8 == 0)
            job.restore()
    job.restore()
    assert look(job)
    assert unnoticed <= set(UNNOTICED), unnoticed - set(UNNOTICED)
    assert count > 500 // STRIDE, count


@pytest.mark.parametrize("which", kinds(["packed", "ranges", "stopped"]))
def test_every_value_of_a_piece_whose_digest_agrees(which, request):
    """What the outputs, the report and the summary say is compared nevertheless."""
    job, unnoticed, count = request.getfixturevalue(which), set(), 0
    job.restore()
    for name, sql, parameters in some(mutations(job)):
        (job.out / "ledger.sqlite").write_bytes(job.files["ledger.sqlite"])
        if not name.startswith(("pieces.", "spans.")) or not change(job.out / "ledger.sqlite", sql, parameters):
            continue
        seal(job.out / "ledger.sqlite")
        count += 1
        if name != "pieces.digest" and list_problems(job) == []:
            unnoticed.add(name)
    job.restore()
    allowed = set(UNNOTICED_IF_SEALED) | (set(UNNOTICED_BEFORE_THE_REPORT) if which == "stopped" else set())
    assert unnoticed <= allowed, unnoticed - allowed
    assert count > 200 // STRIDE, count


INFLATED = ("records matched", "records unmatched", "matched", "unmatched", "entries", "missing_key", "records")


@pytest.mark.parametrize("names", [*INFLATED, "restrictions_hit", "files", "restrictions"])
def test_counts_inflated_consistently(packed, names):
    """The same in ledger and summary, in a piece of one file and of several: only the outputs say otherwise."""
    for where in ("shares IS NOT NULL", "shares IS NULL AND matched > 1", "entries > 0"):
        packed.restore()
        summary = json.loads(packed.files["summary.json"])
        for name in names.split():
            summary["totals"][name] += 5
            if name in Counts().as_dict():
                first = f"(SELECT file FROM pieces WHERE {where} LIMIT 1)"
                change(packed.out / "ledger.sqlite", f"UPDATE pieces SET {name} = {name} + 5 WHERE file = {first}")
        seal(packed.out / "ledger.sqlite")
        (packed.out / "summary.json").write_text(json.dumps(summary))
        assert not look(packed)


def members(tree, path=()):
    """Every member of a JSON value, by its path."""
    for name, value in tree.items() if isinstance(tree, dict) else ():
        yield (*path, name), value
        yield from members(value, (*path, name))


NOT_COMPARED = {
    *(
        "directory",
        "hints",
        "left_out_by_name",
        "restrictions_left_out",
        "resumed",
        "files_taken_over",
        "units",
        "workers",
        "started",
        "seconds",
    ),
    *("matching_seconds", "versions", "restrictions", "options"),
}
"""Members of the summary that say how the job went, and not what is in the outputs."""


@pytest.mark.slow
def test_every_member_of_the_summary(packed):
    """Removed, and of each other type; those in the totals also by one."""
    summary, unnoticed, count = json.loads(packed.files["summary.json"]), set(), 0
    others = ["text", -1, 1 << 62, 1.5, None, [], {}, [[]], {"x": "y"}, True, "GONE"]
    changes = [
        (path, value)
        for path, old in members(summary)
        for value in [*others, *([old + 1] if type(old) is int else [])]
        if value != old or type(value) is not type(old)
    ]
    for path, value in some(changes):
        packed.restore()
        changed = json.loads(packed.files["summary.json"])
        owner = changed
        for name in path[:-1]:
            owner = owner[name]
        if value == "GONE":
            del owner[path[-1]]
        else:
            owner[path[-1]] = value
        (packed.out / "summary.json").write_text(json.dumps(changed))
        count += 1
        if look(packed):
            unnoticed.add(path[0])
        go_on(packed, incremental=False)
    assert unnoticed <= NOT_COMPARED, unnoticed - NOT_COMPARED
    assert count > 300 // STRIDE


GARBAGE = {
    "nothing": b"",
    "garbage": b"garbage",
    "not UTF-8": b'{"a":"\xff"}',
    "NaN": b'{"totals":{"records":NaN}}',
    "deep": b"[" * 1_000_000,
    "deep member": b'{"x":' * 100_000,
    "a number": b"7",
    "long number": b'{"pid":' + b"9" * 100_000 + b"}",
    "an array": b"[]",
    "NULs": bytes(5000),
    "huge": b'{"x":"' + b"x" * (17 << 20) + b'"}',
}


REPLACED = ("summary.json", "linkmatch.lock", "ledger.sqlite", "quarantine.jsonl", "restrictions.jsonl")


@pytest.mark.parametrize(("garbage", "name"), kinds(product((*GARBAGE, "a directory"), REPLACED)))
def test_garbage(packed, name, garbage):
    """In place of a file: named, but of the lock, of which only the name matters; --overwrite gets rid of it."""
    packed.restore()
    (packed.out / name).unlink()
    if garbage == "a directory":
        (packed.out / name).mkdir()
    else:
        (packed.out / name).write_bytes(GARBAGE[garbage])
    assert look(packed) == (name == "linkmatch.lock")
    go_on(packed, incremental=True)
    go_on(packed, incremental=False)
    if garbage != "a directory":
        assert submit(packed.top, packed.out, *packed.how, overwrite=True)
        assert look(packed)
        assert packed.outputs() == packed.expected


def test_who_holds_a_lock_with_garbage(packed):
    """Is not known; that somebody does is."""
    for garbage in GARBAGE.values():
        packed.restore()
        lock = Lock(packed.out)
        (packed.out / "linkmatch.lock").write_bytes(garbage)
        assert results_at(packed.out).holder() == "holder unknown"
        with pytest.raises(JobError, match="holder unknown"):
            Lock(packed.out, wait_seconds=0.0)
        lock.release()


def test_what_asks_a_job_to_stop_is_a_directory(packed):
    """It is named, and the lock is let go."""
    packed.restore()
    (packed.out / "linkmatch.cancel").mkdir()
    for _ in range(2):
        with pytest.raises(JobError, match=r"linkmatch.cancel: Is a directory"):
            submit(packed.top, packed.out, *packed.how, overwrite=True)
    assert results_at(packed.out).holder() is None


@pytest.mark.slow
def test_truncated_and_flipped(packed):
    """At some of a few hundred places: what is not noticed has changed no row."""
    content = packed.files["ledger.sqlite"]
    packed.restore()
    rows = packed.tables()
    step = len(content) // 150
    damages = [content[:size] for size in range(0, len(content), len(content) // 30)]
    for place in (*range(100), *range(100, len(content), step)):
        damages.append(content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :])
    for number, damage in enumerate(some(damages)):
        packed.restore()
        (packed.out / "ledger.sqlite").write_bytes(damage)
        if look(packed):
            assert packed.tables() == rows
        if number % 4 == 0:
            packed.restore()
            (packed.out / "ledger.sqlite").write_bytes(damage)
            go_on(packed, incremental=True)


ENDLESS = "AS WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT n AS"
HOSTILE = {
    "a view without end": f"DROP VIEW shares; CREATE VIEW shares {ENDLESS} file, n AS records, 0 AS matched FROM x",
    "a view as job": f"DROP TABLE job; CREATE VIEW job {ENDLESS} key, n AS value FROM x",
    "a view as frontier": "DROP VIEW file_ledger; DROP TABLE frontier;"
    f" CREATE VIEW frontier {ENDLESS} one, n AS file, n AS range, n AS part FROM x",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON pieces BEGIN DELETE FROM files; END",
    "an index": "CREATE INDEX i ON pieces (records)",
    "a table more": "CREATE TABLE more (x)",
    "a column more": "ALTER TABLE pieces ADD COLUMN more",
    "a column of another name": "ALTER TABLE files RENAME COLUMN size TO length",
    "a table less": "DROP TABLE pieces",
    "statistics": "ANALYZE",
    "another program's": "DROP VIEW file_ledger; DROP VIEW shares; DROP TABLE job; DROP TABLE files;"
    " DROP TABLE pieces; DROP TABLE spans; DROP TABLE frontier; DROP TABLE ends; CREATE TABLE moz_places (url)",
    "written ahead": "PRAGMA journal_mode = WAL",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_other_tables(packed, name):
    """Named before anything is asked of them, by every command."""
    packed.restore()
    with closing(sqlite3.connect(packed.out / "ledger.sqlite", isolation_level=None)) as ledger:
        ledger.executescript(HOSTILE[name])
    for command in (
        lambda: status(results_at(packed.out)),
        lambda: list(verify(results_at(packed.out), Checked())),
        lambda: submit(packed.top, packed.out, *packed.how),
        lambda: submit(packed.top, packed.out, *packed.how, incremental=True),
    ):
        with pytest.raises(JobError, match=r"out/ledger.sqlite: damaged: .* Start from the beginning with --overwrite"):
            command()


@pytest.mark.parametrize("tables", [False, True])
@pytest.mark.parametrize("version", [SCHEMA_VERSION - 1, 99])
def test_another_version(packed, version, tables):
    """Is told as such, whatever tables it has: an older one, and one to come."""
    packed.restore()
    change(packed.out / "ledger.sqlite", "UPDATE job SET value = ? WHERE key = 'schema'", (str(version),))
    if tables:
        with closing(sqlite3.connect(packed.out / "ledger.sqlite")) as ledger:
            ledger.executescript("ALTER TABLE pieces ADD COLUMN more; CREATE TABLE more (x)")
    with pytest.raises(JobChanged, match=r"another version of linkmatch-ray.*--overwrite"):
        submit(packed.top, packed.out, *packed.how)


def test_pages_that_lead_back(packed):
    """Each page of a level is the same one: so many rows as would never end."""
    packed.restore()
    path = packed.out / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as ledger:
        ledger.execute("PRAGMA synchronous = OFF")
        (root,) = ledger.execute("SELECT rootpage FROM sqlite_master WHERE name = 'files'").fetchone()
        (page_bytes,) = ledger.execute("PRAGMA page_size").fetchone()
        (pages,) = ledger.execute("PRAGMA page_count").fetchone()
    content = bytearray(path.read_bytes())
    leaf = bytes(content[(root - 1) * page_bytes : root * page_bytes])
    levels = 7
    content += bytes(levels * page_bytes)
    content[28:32] = (pages + levels).to_bytes(4, "big")
    for level in range(levels):  # the root, and below it one page a level, to which all of the cells above lead
        number = root if level == 0 else pages + level
        below, cells = (pages + level + 1).to_bytes(4, "big"), 400
        page = bytearray(page_bytes)
        page[0], page[3:5], page[8:12] = 5, cells.to_bytes(2, "big"), below
        start = page_bytes - cells * 5
        page[5:7] = start.to_bytes(2, "big")
        for cell in range(cells):
            page[12 + 2 * cell : 14 + 2 * cell] = (start + 5 * cell).to_bytes(2, "big")
            page[start + 5 * cell : start + 5 * cell + 5] = below + b"\x01"
        content[(number - 1) * page_bytes : number * page_bytes] = page
    content[(pages + levels - 1) * page_bytes : (pages + levels) * page_bytes] = leaf
    path.write_bytes(content)
    for command in (status, lambda results: list(verify(results, Checked()))):
        began = time.monotonic()
        with pytest.raises(JobError, match=r"ledger.sqlite: damaged"):
            command(results_at(packed.out))
        assert time.monotonic() - began < SECONDS_MAX


def test_a_file_is_rolled_back_while_it_is_verified(stopped, monkeypatch):
    """No false alarm: of a job that runs only what is before the file at the frontier is compared."""
    stopped.restore()
    lock = Lock(stopped.out)
    (stopped.out / "matched.jsonl").write_bytes(stopped.files["matched.jsonl"][:-5])  # within the file at the frontier
    assert list(verify(results_at(stopped.out), Checked())) == []
    lock.release()
    assert list(verify(results_at(stopped.out), Checked())) != []


def test_the_job_goes_on_while_it_is_verified(stopped, monkeypatch):
    """Something that does not agree, but the ledger is another one by then: it is looked at again."""
    stopped.restore()
    real, times = Ledger.pieces, []

    def pieces(self):
        times.append(1)
        if len(times) == 1:
            yield from ()
            with closing(Ledger(stopped.out / "ledger.sqlite", write=True)) as other:
                other.roll_back_file(other.frontier().next.file, other.settled())
        else:
            yield from real(self)

    monkeypatch.setattr(Ledger, "pieces", pieces)
    assert list(verify(results_at(stopped.out), Checked())) == []
    assert len(times) == 2


# At a URL


@pytest.fixture(scope="module")
def at_url(place):
    """A complete job at a URL, and the names of its records."""
    (place / "url").mkdir()
    write(place / "url" / "in", dict.fromkeys(NAMES, 1))
    submit(place / "url" / "in", f"file://{place}/url/out", *PACKED)
    shutil.copytree(place / "url" / "out", place / "url" / "kept")
    return place / "url", sorted((place / "url" / "kept" / "ledger").iterdir())


def check_url(place):
    """All commands; returns whether `verify` finds nothing."""
    url = f"file://{place}/out"
    ended(lambda: status(results_at(url)))
    shutil.rmtree(place / "copy", ignore_errors=True)
    ended(lambda: download(results_at(url), place / "copy"))
    found = ended(lambda: list(verify(results_at(url), Checked())))
    ended(lambda: submit(place / "in", url, *PACKED))
    return found == []


def restore_url(place):
    shutil.rmtree(place / "out")
    shutil.copytree(place / "kept", place / "out")


def bombs():
    """What makes records that are none, or far too much."""
    yield "garbage", lambda: b"garbage"
    yield "nothing", bytes
    yield "zstd of garbage", lambda: zstandard.compress(b"garbage")
    yield "zstd of nothing", lambda: zstandard.compress(b"")
    for version in (SCHEMA_VERSION - 1, 99):
        other = msgspec.msgpack.encode({"schema": version, "more": 1})
        yield f"another version {version}", partial(zstandard.compress, other)
    yield "deep", lambda: zstandard.compress(b"\x91" * 1_000_000)
    yield "a bomb", lambda: zstandard.compress(bytes(300 << 20), 19)
    yield "a claim", claimed
    yield "no size", lambda: zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1000))


def claimed():
    """A record that says that it is a petabyte."""
    content = bytearray(zstandard.compress(bytes(1 << 20)))
    content[4:13] = bytes([0xE0]) + (1 << 50).to_bytes(8, "little")
    return bytes(content)


@pytest.mark.parametrize(("name", "make"), [pytest.param(*bomb, id=bomb[0]) for bomb in bombs()])
def test_records_that_are_none(at_url, name, make):
    """Named, and nothing is inflated that is no record."""
    (place, records), content = at_url, make()
    for record in (records[0], records[-1]):
        restore_url(place)
        (place / "out" / "ledger" / record.name).write_bytes(content)
        with pytest.raises(LinkmatchError, match="another version" if "version" in name else "damaged: record"):
            status(results_at(f"file://{place}/out"))
        assert not check_url(place)


@pytest.mark.slow
def test_records_that_are_changed(at_url):
    """A byte of what is in them, at some places; rows that no job writes; a record twice, or missing."""
    place, records = at_url
    with closing(results_at(f"file://{place}/kept").ledger()) as ledger:
        expected = list(ledger.pieces()), ledger.frontier()
    for record in records:
        content = zstandard.decompress(record.read_bytes())
        for at in some(range(0, len(content), max(1, len(content) // 15))):
            restore_url(place)
            changed = content[:at] + bytes([content[at] ^ (1 << at % 8)]) + content[at + 1 :]
            (place / "out" / "ledger" / record.name).write_bytes(zstandard.compress(changed))
            if check_url(place):
                with closing(results_at(f"file://{place}/out").ledger()) as ledger:
                    assert (list(ledger.pieces()), ledger.frontier()) == expected
        restore_url(place)
        (place / "out" / "ledger" / record.name).unlink()
        assert check_url(place) == (b"Finished" in content)  # which says nothing of the job
    commit = next(record for record in records if b"Committed" in zstandard.decompress(record.read_bytes()))
    restore_url(place)
    shutil.copy(commit, place / "out" / "ledger" / f"{len(records):010d}")
    assert not check_url(place)
    for number in (-1, 1 << 62, 1 << 63, (1 << 64) - 1):
        restore_url(place)
        tree = msgspec.msgpack.decode(zstandard.decompress(commit.read_bytes()))
        tree["change"]["rows"][0][4] = number
        (place / "out" / "ledger" / commit.name).write_bytes(zstandard.compress(msgspec.msgpack.encode(tree)))
        assert not check_url(place)


def test_no_job_was_begun(tmp_path):
    """An empty ledger, as a kill leaves it: no results, and a job may begin."""
    (tmp_path / "out").mkdir()
    for name in ("linkmatch.lock", "ledger.sqlite"):
        (tmp_path / "out" / name).touch()
    for command in (status, lambda results: list(verify(results, Checked()))):
        with pytest.raises(InputError, match="no result directory"):
            command(results_at(tmp_path / "out"))
    write(tmp_path / "in", {"00.json": 1})
    assert submit(tmp_path / "in", tmp_path / "out", *PACKED)
    assert Directory(tmp_path / "out").summary() is not None
