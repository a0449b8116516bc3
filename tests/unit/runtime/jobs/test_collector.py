"""The collector as the plain class it is: the next part only, recovery, roll-back. No Ray."""

import contextlib
import json
import sqlite3
from types import SimpleNamespace

import numpy as np
import pytest

from linkmatch_ray.cli.submit import _Copier
from linkmatch_ray.core.outcome import FAULT_PART, Counts, Entry, Piece, digest
from linkmatch_ray.errors import DirectoryInUse, JobChanged, UsageError
from linkmatch_ray.io.inputs.file import InputFile, pack_files
from linkmatch_ray.io.ledger.ledger import Key, Ledger
from linkmatch_ray.io.restrictions.restrictions import Restrictions
from linkmatch_ray.io.results import directory_lock
from linkmatch_ray.io.results.matches import matches
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.runtime.jobs.collector import Collector
from linkmatch_ray.runtime.jobs.worker import PartBody

SETTINGS = {"fingerprint": "f", "provenance": "0", "emit": "both"}


def files(count):
    return pack_files([InputFile(b"%d.jsonl" % n, b"/%d.jsonl" % n, 10, 0, n) for n in range(count)])


def part(*pieces):
    """A part of (file, range, part, last, text): each text is its matched output."""
    texts = [text for *_, text in pieces]
    made = [
        Piece(
            file=file,
            range=range_,
            part=number,
            last=last,
            counts=Counts(records=1, matched=1),
            lines=1,
            indexes=1,
            matched_bytes=len(text),
            matched_digest=digest(text),
        )
        for file, range_, number, last, text in pieces
    ]
    return PartBody(made, [np.frombuffer(b"".join(texts), np.uint8)], [])


@pytest.fixture
def make(tmp_path):
    """Opens a collector over `out`; all are closed at the end."""
    opened = []

    def make(ranges=(1, 1), settings=SETTINGS, **how):
        collector = Collector(str(tmp_path / "out"), files(len(ranges)), list(ranges), settings)
        collector.open(**how)
        opened.append(collector)
        return collector

    yield make
    for collector in opened:
        collector.close()


def matched(tmp_path):
    return (tmp_path / "out" / "matched.jsonl").read_bytes()


def test_takes_the_next_part_only(make, tmp_path):
    """A part from further on, or one that came before, changes nothing."""
    collector = make(ranges=(2, 1))
    assert collector.commit(part((0, 1, 0, True, b"later\n"))).taken == Key(0, 0, 0)
    assert collector.commit(part((0, 0, 0, False, b"a\n"))).taken == Key(0, 0, 1)
    assert collector.commit(part((0, 0, 0, False, b"a\n"))).taken == Key(0, 0, 1)
    assert collector.commit(part((0, 0, 1, True, b"b\n"))).taken == Key(0, 1, 0)
    assert collector.commit(part((0, 1, 0, True, b"c\n")), part((1, 0, 0, True, b"d\n"))).taken == Key(2, 0, 0)
    assert collector.flush().durable == Key(2, 0, 0)
    assert matched(tmp_path) == b"a\nb\nc\nd\n"


def pack(file, *texts):
    """A part with one piece for several whole files."""
    shares = np.array([[1, 1, 0, 0, 0, len(text), len(text), 0, 1] for text in texts])
    joined = b"".join(texts)
    piece = Piece(
        file=file,
        counts=Counts(records=len(texts), matched=len(texts)),
        input_bytes=len(joined),
        matched_bytes=len(joined),
        matched_digest=digest(joined),
        hits=np.array([[0, 1]] * len(texts), "<i8").tobytes(),
        files=len(texts),
        shares=shares,
    )
    return PartBody([piece], [np.frombuffer(joined, np.uint8)], [])


def test_a_piece_may_be_several_files(make, tmp_path):
    """Small files come as one piece; the ledger still tells them apart, and each is taken once."""
    collector = make(ranges=(1,) * 5)
    assert collector.commit(part((0, 0, 0, True, b"a\n"))).taken == Key(1, 0, 0)
    assert collector.commit(pack(1, b"b\n", b"cc\n", b"d\n")).taken == Key(4, 0, 0)
    assert collector.commit(pack(1, b"b\n", b"cc\n", b"d\n")).taken == Key(4, 0, 0)
    assert collector.flush().durable == Key(4, 0, 0)
    assert collector.matches(2, 2) == [b"cc\n", b"d\n"]
    assert collector.commit(pack(2, b"cc\n", b"d\n", b"e\n")).taken == Key(5, 0, 0)  # packed otherwise: the rest
    assert collector.commit(pack(3, b"d\n", b"e\n")).taken == Key(5, 0, 0)
    collector.flush()
    with sqlite3.connect(tmp_path / "out" / "ledger.sqlite") as ledger:
        rows = ledger.execute("SELECT state, records, matched FROM file_ledger").fetchall()
        bytes_read = ledger.execute("SELECT input_bytes FROM shares WHERE file > 0 ORDER BY file").fetchall()
    assert rows == [("done", 1, 1)] * 5
    assert bytes_read == [(2,), (3,), (2,), (2,)]
    summary = collector.finish(Restrictions.load(b'["x"]').index, {})
    assert summary["totals"]["matched"] == 5
    assert summary["totals"]["restrictions_hit"] == 1
    assert (tmp_path / "out" / "restrictions.jsonl").read_bytes() == b'{"index":0,"key":"x","hits":4}\n'
    assert matched(tmp_path) == b"a\nb\ncc\nd\ne\n"


def test_what_was_not_made_durable_is_cut_off_and_taken_again(make, tmp_path):
    """A collector that died goes on behind the last transaction."""
    first = make()
    first.commit(part((0, 0, 0, True, b"a\n")))
    first.flush()
    first.commit(part((1, 0, 0, True, b"lost\n")))
    first._rows.clear()  # dies before it commits them
    first.close()
    second = make()
    assert second.flush().durable == Key(1, 0, 0)
    second.commit(part((1, 0, 0, True, b"b\n")))
    second.flush()
    assert matched(tmp_path) == b"a\nb\n"


def test_steps_back_where_a_power_cut_took_data(make, tmp_path):
    """Outputs shorter than the ledger says: back to the last piece whose digest agrees."""
    first = make(ranges=(1, 1, 1))
    for number, text in enumerate((b"aaaa\n", b"bbbb\n", b"cccc\n")):
        first.commit(part((number, 0, 0, True, text)))
        first.flush()
    first.close()
    path = tmp_path / "out" / "matched.jsonl"
    path.write_bytes(b"aaaa\nbX")
    second = make(ranges=(1, 1, 1))
    assert second.flush().durable == Key(1, 0, 0)
    assert path.read_bytes() == b"aaaa\n"


def fault(file):
    """What a task gives once it has seen that its file changed."""
    entry = Entry(None, None, 0, 10, "changed", "it changed")
    return Piece(file, 0, FAULT_PART, fault=entry, counts=Counts(entries=1))


def test_a_file_that_changed_is_rolled_back_to_one_entry(make, tmp_path):
    """Parts of a file that were durable already go, and its neighbours stay."""
    collector = make(ranges=(1, 3, 1))
    collector.commit(part((0, 0, 0, True, b"a\n"), (1, 0, 0, True, b"gone\n")))
    collector.flush()
    entry = Entry(None, None, 0, 10, "changed", "it changed")
    collector.commit(PartBody([Piece(1, 1, 0, fault=entry, counts=Counts(entries=1))], [], []))
    collector.commit(part((2, 0, 0, True, b"b\n")))
    collector.flush()
    assert matched(tmp_path) == b"a\nb\n"
    entries = (tmp_path / "out" / "quarantine.jsonl").read_bytes().splitlines()
    assert [json.loads(entry)["reason"] for entry in entries] == ["changed"]
    summary = collector.finish(Restrictions.load(b"[]").index, {})
    assert summary["totals"]["records"] == 2
    assert summary["totals"]["matched"] == 2
    assert summary["totals"]["entries"] == 1


def test_a_file_that_changed_after_its_first_parts_is_rolled_back(make, tmp_path):
    """A fault is not mistaken for a part that was taken already."""
    collector = make(ranges=(1, 1))
    collector.commit(part((0, 0, 0, False, b"gone\n"), (0, 0, 1, False, b"gone too\n")))
    collector.flush()
    assert collector.commit(PartBody([fault(0)], [], [])).taken == Key(1, 0, 0)
    collector.flush()
    assert matched(tmp_path) == b""


def test_reads_while_the_job_runs(make):
    """`progress` and `matches` answer from what is there."""
    collector = make()
    collector.commit(part((0, 0, 0, True, b"a\n")))
    assert collector.progress()["matched"] == 1
    collector.flush()
    assert collector.matches(0, 10) == [b"a\n"]
    assert collector.matches(1, 10) == []
    assert collector.summary() is None


def test_one_writer_a_directory(make, tmp_path):
    """A second collector waits, then is told who has the directory."""
    make()
    with pytest.raises(DirectoryInUse, match="process"):
        directory_lock.Lock(tmp_path / "out", wait_seconds=0.0)


def test_who_reads_the_ledger_does_not_hold_the_job_up(make, tmp_path):
    """A `verify` of a job that runs keeps no lock between one piece and the next."""
    collector = make()
    collector.commit(part((0, 0, 0, True, b"a\n")))
    collector.flush()
    with contextlib.closing(Ledger(tmp_path / "out" / "ledger.sqlite")) as ledger:
        pieces = ledger.pieces()
        assert next(pieces).file == 0
        collector.commit(part((1, 0, 0, True, b"b\n")))
        assert collector.flush().durable == Key(2, 0, 0)


def test_another_job_is_refused(make):
    """A directory with a job of other settings is not written to, unless it is to be overwritten."""
    make().close()
    with pytest.raises(JobChanged):
        make(settings=SETTINGS | {"fingerprint": "other"})
    make(settings=SETTINGS | {"fingerprint": "other"}, overwrite=True)


def test_other_peoples_files_are_safe(tmp_path):
    """A directory that is no result directory is refused."""
    (tmp_path / "thesis.txt").write_text("all my work")
    with pytest.raises(UsageError, match=r"no result directory"):
        Collector(str(tmp_path), files(1), [1], SETTINGS).open()


def test_a_file_that_is_rolled_back_was_never_given(make, tmp_path, capfdbinary):
    """`-o -` and `matches` have what comes of complete files, so nothing is taken back and nothing after it is lost."""
    collector = make(ranges=(1, 1, 1))
    job = SimpleNamespace(directory=str(tmp_path / "out"))
    copier = _Copier(job, "matched.jsonl")
    text = b"as long as what was rolled back\n"
    steps = (
        (part((0, 0, 0, True, b"first\n")), [b"first\n"]),
        (part((1, 0, 0, False, b"it will be taken back\n")), [b"first\n"]),
        (part((1, 0, 1, False, b"and so will this\n")), [b"first\n"]),
        (PartBody([fault(1)], [], []), [b"first\n"]),
        (part((2, 0, 0, False, text)), [b"first\n"]),
        (part((2, 0, 1, True, b"last\n")), [b"first\n", text, b"last\n"]),
    )
    for body, lines in steps:
        collector.commit(body)
        copier.copy(collector.flush().settled._asdict())
        assert collector.matches() == lines
    assert collector.matches(1, 1) == [text]
    assert collector.matches(3) == []
    assert capfdbinary.readouterr().out == b"".join(steps[-1][1]) == matched(tmp_path)


def test_what_an_interrupted_job_has_of_an_incomplete_file_is_not_given(make, tmp_path):
    """It may still be rolled back when the job is resumed."""
    first = make(ranges=(1, 2))
    first.commit(part((0, 0, 0, True, b"first\n"), (1, 0, 0, True, b"second\n")))
    first.close()
    with contextlib.closing(Ledger(tmp_path / "out" / "ledger.sqlite")) as ledger:
        assert list(matches(results_at(tmp_path / "out"), ledger, 0, 10)) == [b"first\n"]
    assert make(ranges=(1, 2)).flush().settled.matched == len(b"first\n")
