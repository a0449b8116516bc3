"""The collector as an actor: the driver writes, others read and may have the job stopped. Here without Ray."""

import tempfile

import pytest

from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.runtime.jobs.collector_actor import CollectorActor
from linkmatch_ray.runtime.session.reaper import MARK
from tests.support.jobs import LIST, offers, write

WRITING = ("open", "commit", "flush", "finish", "close")
KEY = b"k" * 32


@pytest.fixture
def actor(tmp_path):
    """One over `out` that has taken all parts of a job, and the parts."""
    write(tmp_path / "in", {"00.json": 1, "01.json": 2})
    job, bodies = offers(tmp_path / "in", tmp_path / "out", MatchOptions(emit="both"))
    actor = CollectorActor("linkmatch:job", KEY, *job)
    actor.open(KEY)
    actor.commit(KEY, *bodies)
    yield actor, bodies
    actor.close(KEY)


@pytest.mark.parametrize("method", WRITING)
@pytest.mark.parametrize("key", [[], [b"another"], ["k" * 32], [KEY + b"k"], [None]], ids=str)
def test_only_the_driver_writes(method, key, actor, tmp_path):
    """Without its key, or with another, a writing method says so and changes nothing."""
    actor, _ = actor
    before = actor.progress(), actor.flush(KEY), contents(tmp_path)
    with pytest.raises(PermissionError, match="linkmatch:job: only the job's driver may write, and this is not its"):
        getattr(actor, method)(*key)
    assert (actor.progress(), actor.flush(KEY), contents(tmp_path)) == before


def test_a_part_is_no_key(actor, tmp_path):
    """Who knows the methods of the collector, and not that there is a key, gives what he has in its place."""
    actor, bodies = actor
    with pytest.raises(PermissionError):
        actor.commit(*bodies)
    with pytest.raises(PermissionError):
        actor.finish(LIST.index, {})
    assert not (tmp_path / "out/summary.json").exists()


def contents(tmp_path):
    return {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_read_before_it_is_open(tmp_path):
    """Whoever finds it may be earlier than its driver."""
    write(tmp_path / "in", {"00.json": 1})
    job, _ = offers(tmp_path / "in", tmp_path / "out", MatchOptions())
    actor = CollectorActor("linkmatch:job", KEY, *job)
    assert actor.progress()["state"] == "starting"
    assert actor.matches() == []
    assert actor.summary() is None


def test_what_it_leaves_if_it_is_killed(tmp_path, monkeypatch):
    """Its copy of a ledger at a URL lies among the files of an embedded Ray, which are removed in any case."""
    for name in ("ray", "else"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "else"))
    monkeypatch.setenv(MARK, str(tmp_path / "ray"))
    write(tmp_path / "in", {"00.json": 1})
    job, _ = offers(tmp_path / "in", f"file://{tmp_path}/out", MatchOptions())
    actor = CollectorActor("linkmatch:job", KEY, *job)
    actor.open(KEY)
    assert [len(list((tmp_path / name).iterdir())) for name in ("ray", "else")] == [1, 0]
    actor.close(KEY)
    assert not list((tmp_path / "ray").iterdir())
