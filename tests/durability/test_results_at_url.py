"""Results at a URL: the bytes that a directory would have, whoever writes, and wherever a writer is stopped.

`file://` and S3 are the same code above a few requests. Jobs run without Ray here, so that many can be tried.
"""

import os
import shutil
from itertools import chain, repeat
from pathlib import Path
from random import Random

import numpy as np
import pytest

from linkmatch_ray import MatchOptions
from linkmatch_ray.core.outcome import Counts, Entry, Piece, digest
from linkmatch_ray.errors import DirectoryInUse, InputError, JobChanged, JobError, UsageError
from linkmatch_ray.io.inputs.file import InputFile, pack_files
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.ledger.journal import LoggedLedger
from linkmatch_ray.io.results import bucket, segments
from linkmatch_ray.io.results.download import download
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.status import status
from linkmatch_ray.io.results.verification import Checked, verify
from linkmatch_ray.io.storage.store import store_of
from linkmatch_ray.runtime.jobs import worker
from linkmatch_ray.runtime.jobs.collector import Collector
from linkmatch_ray.runtime.jobs.worker import PartBody
from tests.support.jobs import DETAILS, LIST, NAMES, OUTPUTS, offers, run, write
from tests.support.tiers import STRIDE

BOTH = MatchOptions(emit="both")
CORPUS = {name: 10 + number for number, name in enumerate(NAMES)}


@pytest.fixture
def top(tmp_path):
    write(tmp_path / "in", CORPUS)
    return tmp_path / "in"


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """Every call commits; some parts are written by tasks, some pass through the collector; a dead writer is seen as
    such at once."""
    monkeypatch.setattr(bucket.Bucket, "commit_seconds", 0.0)
    monkeypatch.setattr(worker, "STAGED_BYTES_MIN", 60)
    monkeypatch.setattr(segments, "OBJECT_BYTES", 150)
    monkeypatch.setattr(bucket, "SILENCE_SECONDS", 0.0)


def contents(url):
    """What a reader of the objects sees: the outputs, and the names of everything."""
    store = store_of(url)
    names = sorted(store.list(""))
    lists = dict.fromkeys(("matched", "unmatched", "quarantine"), b"")
    for name in names:
        folder = name.partition("/")[0]
        if folder in lists:
            lists[folder] += store.get(name)
    return lists, names


def assert_as_in_a_directory(top, url, options=BOTH):
    """The same bytes, nothing left over, and all agrees."""
    fresh = top.with_name("fresh")
    if not fresh.exists():
        run(top, fresh, options)
    lists, names = contents(url)
    for folder, content in lists.items():
        path = fresh / f"{folder}.jsonl"
        assert content == (path.read_bytes() if path.exists() else b""), folder
    assert store_of(url).get("restrictions.jsonl") == (fresh / "restrictions.jsonl").read_bytes()
    assert not [name for name in names if name.startswith("staging/")]
    assert not list(Path(url.removeprefix("file://")).rglob(".*"))
    assert results_at(url).strays() == []
    assert list(verify(results_at(url), Checked())) == []


@pytest.mark.parametrize("options", [BOTH, MatchOptions(emit="unmatched"), MatchOptions(provenance=True)], ids=str)
def test_the_bytes_of_a_directory(top, tmp_path, options):
    url = f"file://{tmp_path}/out"
    assert run(top, url, options)
    assert_as_in_a_directory(top, url, options)
    _, names = contents(url)
    assert sum(name.startswith("unmatched/") for name in names) > 5 or options.provenance
    assert status(results_at(url))["state"] == "complete"


class Stop(BaseException):
    """The process is gone."""


class Dying:
    """A store whose user dies after so many of the requests that change something, and makes none after that."""

    def __init__(self, store, steps):
        self._store, self._steps = store, steps

    def __getattr__(self, name):
        do = getattr(self._store, name)
        if name not in ("put", "create", "copy", "delete"):
            return do

        def step(*args):
            if next(self._steps) is None:
                # The lock is also put when all is complete, and then nobody sweeps any more.
                if name in ("put", "create") and args[0] != "linkmatch.lock" and self._store._top.exists():
                    (self._store._top / ".summary.json.12345678.unfinished").touch()
                raise Stop
            do(*args)

        return step


def dies_after(patched, requests):
    steps = chain(range(requests), repeat(None))
    for module in (bucket, segments):
        patched.setattr(module, "store_of", lambda url: Dying(store_of(url), steps))
    patched.setattr(bucket, "BEAT_SECONDS", 1e9)


def forget(collector):
    """A process that was killed lets go of nothing by itself; its copy of the ledger is swept up for it."""
    if collector._held.pop_all()._exit_callbacks:
        collector._ledger.close()


def test_killed_after_every_request(tmp_path, monkeypatch):
    """Whatever is then there is gone on with by another, who is killed too; a third ends it."""
    top = tmp_path / "in"
    write(top, dict(list(CORPUS.items())[:6]))
    url = f"file://{tmp_path}/out"
    random, step, ended = Random(1), 0, False
    while not ended:
        step += random.randrange(1, 2 * STRIDE)
        for requests in (step, step // 2):
            with monkeypatch.context() as patched:
                dies_after(patched, requests)
                try:
                    ended = run(top, url, BOTH, die=forget)
                except Stop:
                    ended = False
            if ended:
                break
        complete = results_at(url).summary() is not None
        if not complete:
            assert run(top, url, BOTH)
        assert_as_in_a_directory(top, url)
        shutil.rmtree(tmp_path / "out")
    assert step > 30


def test_only_the_collector_is_killed(tmp_path, monkeypatch):
    """What the tasks have written once is offered again, to its successor, from where that stands."""
    top, url = tmp_path / "in", f"file://{tmp_path}/out"
    write(top, dict(list(CORPUS.items())[:6]))
    arguments, bodies = offers(top, url, BOTH)
    assert sum(isinstance(chunk, segments.Staged) for body in bodies for chunk in body.unmatched) > 3
    shutil.copytree(tmp_path / "out", tmp_path / "staged")
    random, step = Random(1), 0
    while True:
        step += random.randrange(1, 2 * STRIDE)
        with monkeypatch.context() as patched:
            dies_after(patched, step)
            collector = Collector(*arguments)
            try:
                collector.open()
                for body in bodies:
                    collector.commit(body)
                forget(collector)
                break
            except Stop:
                forget(collector)
        collector = Collector(*arguments)
        collector.open()
        for body in bodies:
            collector.commit(body)
        collector.finish(LIST.index, DETAILS)
        collector.close()
        assert_as_in_a_directory(top, url)
        shutil.rmtree(tmp_path / "out")
        shutil.copytree(tmp_path / "staged", tmp_path / "out")
    assert step > 30


def test_two_writers(top, tmp_path):
    """Whoever goes on first keeps the other out, whatever that one was about to write."""
    url = f"file://{tmp_path}/out"
    assert not run(top, url, BOTH, stop_after=3)
    ledger = results_at(url).ledger()
    settings, ranges = ledger.settings(), ledger.ranges()
    ledger.close()
    files = list_inputs([top]).files
    old = Collector(url, pack_files(files), ranges, settings)
    frontier = old.open().durable
    new = Collector(url, pack_files(files), ranges, settings)
    assert new.open().durable == frontier
    line = b'{"data":"late"}\n'
    piece = Piece(*frontier, counts=Counts(1, 1), matched_bytes=len(line), matched_digest=digest(line), indexes=1)
    with pytest.raises(DirectoryInUse, match=rf"file://.*/out: another job writes here \(process {os.getpid()} on"):
        old.commit(PartBody([piece], [np.frombuffer(line, np.uint8)], []))
    with pytest.raises(JobError, match="earlier write failed"):
        old.flush()
    old.close()
    new.close()
    assert b"late" in contents(url)[0]["matched"], "the late one had written its object: it must not count"
    assert run(top, url, BOTH)
    assert_as_in_a_directory(top, url)


@pytest.mark.parametrize("before", [False, True])
def test_another_job_begins_and_ends_before_the_first_record(top, tmp_path, monkeypatch, before):
    """It is not overwritten, and its summary stays: a job begins behind the record that it has looked at, or not."""
    url = f"file://{tmp_path}/out"
    if before:
        assert run(top, url, BOTH)
    real, others = LoggedLedger.go_on, [lambda: run(top, url, BOTH)]

    def go_on(ledger):
        while others:
            assert others.pop()()
        real(ledger)

    monkeypatch.setattr(LoggedLedger, "go_on", go_on)
    settings = {"fingerprint": "f", "emit": "both", "provenance": "0", "job_id": "j"}
    with pytest.raises(DirectoryInUse, match="another job writes here"):
        Collector(url, pack_files([]), [], settings).open(overwrite=before)
    assert status(results_at(url))["state"] == "complete"
    assert_as_in_a_directory(top, url)


def test_a_writer_that_lives(top, tmp_path, monkeypatch):
    """The second waits to see whether the first says anything, and is told who it is. It stops when it is asked to."""
    url = f"file://{tmp_path}/out"
    monkeypatch.setattr(bucket, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(bucket, "SILENCE_SECONDS", 3.0)
    files = list_inputs([top]).files
    settings = {"fingerprint": "f", "emit": "both", "provenance": "0", "job_id": "j"}
    first = Collector(url, pack_files(files), [1] * len(files), settings)
    first.open()
    with pytest.raises(DirectoryInUse, match=f"process {os.getpid()}"):
        Collector(url, pack_files(files), [1] * len(files), settings).open()
    assert status(results_at(url))["state"] == "running"
    assert not results_at(url).is_asked_to_stop()
    with pytest.raises(JobError, match="was asked to stop, and still runs"):
        results_at(url).cancel(wait_seconds=0.1)
    assert results_at(url).is_asked_to_stop()
    first.close()
    assert status(results_at(url))["state"] == "interrupted"
    with pytest.raises(InputError, match="no job runs here"):
        results_at(url).cancel()


def test_a_file_that_changed_is_rolled_back_within_an_object(tmp_path):
    """Its lines share an object with those of the file before, which stay."""
    url = f"file://{tmp_path}/out"
    files = [InputFile(b"/%d" % n, b"/%d" % n, 9, 1, n) for n in range(3)]
    settings = {"fingerprint": "f", "emit": "matched", "provenance": "0"}
    collector = Collector(url, pack_files(files), [1, 1, 1], settings)
    collector.open()

    def piece(file, part, line, *, last):
        sizes = {"matched_bytes": len(line), "matched_digest": digest(line)}
        return Piece(file, 0, part, last, counts=Counts(1, 1), indexes=1, **sizes)

    lines = [b"a\n", b"gone\n"]
    body = PartBody(
        [piece(0, 0, lines[0], last=True), piece(1, 0, lines[1], last=False)],
        [np.frombuffer(b"".join(lines), np.uint8)],
        [],
    )
    collector.commit(body)
    fault = Entry(None, None, 0, 9, "changed", "it changed")
    collector.commit(PartBody([Piece(1, 0, 1 << 62, fault=fault, counts=Counts(entries=1))], [], []))
    collector.commit(PartBody([piece(2, 0, b"c\n", last=True)], [np.frombuffer(b"c\n", np.uint8)], []))
    summary = collector.finish(LIST.index, DETAILS)
    collector.close()
    assert contents(url)[0]["matched"] == b"a\nc\n"
    assert summary["totals"]["matched"] == 2
    assert summary["reasons"] == {"changed": 1}
    assert results_at(url).strays() == []


def test_overwritten_and_brought_here(top, tmp_path):
    """Another job at the same URL; a copy is a result directory like any other."""
    url = f"file://{tmp_path}/out"
    assert run(top, url, MatchOptions(emit="unmatched"))
    files = list_inputs([top]).files
    settings = {"fingerprint": "f", "emit": "both", "provenance": "0", "job_id": "j"}
    with pytest.raises(JobChanged):
        Collector(url, pack_files(files), [1] * len(files), settings | {"fingerprint": "g"}).open()
    write(top, CORPUS | {"00.json": 99})
    collector = Collector(url, pack_files([]), [], settings)
    collector.open(overwrite=True)
    collector.finish(LIST.index, DETAILS)
    collector.close()
    assert contents(url)[0] == {"matched": b"", "unmatched": b"", "quarantine": b""}
    results_at(url).clear()
    run(top, f"file://{tmp_path}/second", BOTH)
    run(top, tmp_path / "plain", BOTH)
    assert download(results_at(f"file://{tmp_path}/second"), tmp_path / "copy").complete
    with pytest.raises(InputError, match="no input file"):
        list_inputs([tmp_path / "copy"])
    for name in OUTPUTS:
        assert (tmp_path / "copy" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    with pytest.raises(UsageError, match="is not empty"):
        download(results_at(url), tmp_path / "copy")


def test_places_that_are_refused(tmp_path):
    """With what to do."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").write_text("mine")
    with pytest.raises(UsageError, match=r"has objects in it and is no place of results"):
        results_at(f"file://{tmp_path}/other").prepare()
    for url, message in (("https://example.org/out", "cannot be written there"), ("file://host/x", "this machine")):
        with pytest.raises(UsageError, match=message):
            results_at(url)
