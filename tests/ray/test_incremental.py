"""--incremental: the same as a full run on today's files, whatever has changed and wherever it was interrupted."""

import os
import shutil
import sqlite3
from itertools import count
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkmatch_ray import MatchOptions, dry_run, submit
from linkmatch_ray.errors import DirectoryInUse, InputError, JobChanged, JobError, UsageError
from linkmatch_ray.io.inputs.file import pack_files
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.ledger.ledger import Ledger
from linkmatch_ray.io.results import directory as directories
from linkmatch_ray.io.results.directory import adopt_next
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.reuse import plan_reuse
from linkmatch_ray.io.results.verification import Checked, verify
from linkmatch_ray.runtime.jobs.collector import Collector
from tests.support.jobs import LIST, NAMES, OUTPUTS, PLAN, run, write
from tests.support.whole import submit as submit_without_ray


def assert_as_a_full_run(top, directory, options):
    fresh = directory.with_name("fresh")
    run(top, fresh, options)
    for name in OUTPUTS:
        if (fresh / name).exists():
            assert (directory / name).read_bytes() == (fresh / name).read_bytes(), name
    rows = []
    for each in (directory, fresh):
        database = sqlite3.connect(each / "ledger.sqlite")
        rows.append(database.execute("SELECT * FROM file_ledger").fetchall())
        database.close()
    assert rows[0] == rows[1]
    assert sorted(os.listdir(directory)) == sorted(os.listdir(fresh))
    assert list(verify_pieces(directory)) == []
    shutil.rmtree(fresh)


def verify_pieces(directory):
    """All that `verify` finds but in the summary, which these runs have no driver to fill."""
    return (problem for problem in verify(results_at(directory), Checked()) if not problem.startswith("summary.json"))


states = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 3), min_size=1)
kinds = st.builds(MatchOptions, emit=st.sampled_from(["matched", "unmatched", "both"]), provenance=st.booleans())


@given(states, states, kinds, st.none() | st.integers(0, 12), st.none() | st.integers(0, 6))
def test_it_is_a_full_run(tmp_path_factory, before, after, options, base_stops, update_stops):
    """Files that changed, came, went or stayed; the earlier job complete or not; the update interrupted or not."""
    work = tmp_path_factory.mktemp("incremental")
    top, directory = work / "in", work / "out"
    write(top, before)
    run(top, directory, options, stop_after=base_stops)
    write(top, after)
    if update_stops is not None:
        run(top, directory, options, incremental=True, stop_after=update_stops)
    if not (update_stops is not None and (directory / "summary.json").exists() and not (directory / "next").exists()):
        run(top, directory, options, incremental=True)
    assert_as_a_full_run(top, directory, options)
    shutil.rmtree(work)


BEFORE = dict.fromkeys(NAMES, 1)
AFTER = {**{name: 1 for name in NAMES if name > "03"}, "05.json": 2, "99.json": 1}
BOTH = MatchOptions(emit="both")


def test_rewritten_in_place_with_size_and_mtime_restored(tmp_path):
    """Is matched anew; all else is kept."""
    top, directory = tmp_path / "in", tmp_path / "out"
    write(top, BEFORE)
    how = (BOTH, PLAN)
    submit_without_ray(top, directory, *how)
    (top / "00.json").write_bytes(b'{"data":"a"}\n{"data":"c"}\n')
    submit_without_ray(top, directory, *how, incremental=True)
    rewritten = b'{"data":"c"}\n{"data":"a"}\n'
    before = os.stat(top / "00.json")
    while os.stat(top / "00.json").st_ctime_ns == before.st_ctime_ns:  # until its clock has ticked
        (top / "00.json").write_bytes(rewritten)
        os.utime(top / "00.json", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(top / "00.json").st_mtime_ns == before.st_mtime_ns
    with pytest.raises(JobChanged, match="1 changed"):
        submit_without_ray(top, directory, *how)
    summary = submit_without_ray(top, directory, *how, incremental=True)
    assert summary["files_taken_over"] == len(BEFORE) - 1
    assert (directory / "unmatched.jsonl").read_bytes().startswith(rewritten[:13])
    assert_as_a_full_run(top, directory, BOTH)


def test_interrupted_while_it_takes_the_place(tmp_path, monkeypatch):
    """At each rename, removal and sync of the exchange: the next start ends it, and nothing is matched again."""
    top, directory = tmp_path / "in", tmp_path / "out"
    for step in count():
        write(top, BEFORE)
        run(top, directory, BOTH)
        write(top, AFTER)
        with monkeypatch.context() as patched:
            interrupt_exchange(patched, directory, step)
            try:
                run(top, directory, BOTH, incremental=True)
                break
            except KeyboardInterrupt:
                pass
        adopt_next(directory)
        assert_as_a_full_run(top, directory, BOTH)
        shutil.rmtree(directory)
    assert step > 8


def test_interrupted_behind_the_last_rename(tmp_path, monkeypatch):
    """The new job is complete, and the next start removes the place where it was made."""
    top, out, how = tmp_path / "in", tmp_path / "out", (BOTH, PLAN)
    write(top, BEFORE)
    submit_without_ray(top, out, *how)
    write(top, {**BEFORE, "00.json": 2})
    with monkeypatch.context() as patched:
        patched.setattr(directories, "_forget_next", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            submit_without_ray(top, out, *how, incremental=True)
    assert os.listdir(out / "next") == ["linkmatch.next"]
    submit_without_ray(top, out, *how)
    assert_as_a_full_run(top, out, BOTH)


@pytest.mark.parametrize("step", range(0, 9, 2))
def test_a_dry_run_leaves_an_interrupted_exchange_as_it_is(tmp_path, monkeypatch, step):
    """It writes nothing, and knows that nothing is to be matched."""
    top, out = tmp_path / "in", tmp_path / "out"
    write(top, BEFORE)
    submit_without_ray(top, out, BOTH, PLAN)
    write(top, AFTER)
    with monkeypatch.context() as patched:
        interrupt_exchange(patched, out, step)
        with pytest.raises(KeyboardInterrupt):
            submit_without_ray(top, out, BOTH, PLAN, incremental=True)
    before = {path: path.stat().st_mtime_ns for path in [out, *out.rglob("*")]}
    plan = dry_run(top, LIST, output=out, options=BOTH, incremental=True, drop_missing=True)
    assert plan.is_done
    assert {path: path.stat().st_mtime_ns for path in [out, *out.rglob("*")]} == before


def interrupt_exchange(patched, directory, step):
    """Have that call be the last one after the new summary is there."""
    calls = count()

    def interrupted(real):
        def call(*args, **how):
            exchanges = (directory / "next" / "summary.json").exists() or not (directory / "summary.json").exists()
            if exchanges and next(calls) >= step:
                raise KeyboardInterrupt
            return real(*args, **how)

        return call

    for name in ("replace", "unlink", "fsync", "rmdir"):
        patched.setattr(os, name, interrupted(getattr(os, name)))


def test_what_is_taken_over_is_checked(tmp_path):
    """A byte that was changed behind our back is not taken over as if it were right."""
    top, directory = tmp_path / "in", tmp_path / "out"
    write(top, BEFORE)
    run(top, directory, BOTH)
    write(top, AFTER)
    matched = bytearray((directory / "matched.jsonl").read_bytes())
    matched[-10] ^= 1
    (directory / "matched.jsonl").write_bytes(matched)
    with pytest.raises(JobError, match="not those that were written"):
        run(top, directory, BOTH, incremental=True)


def test_another_job_came_between(tmp_path):
    """What was compared is not what is there when the directory is ours: refused."""
    top, directory = tmp_path / "in", tmp_path / "out"
    write(top, BEFORE)
    run(top, directory, BOTH)
    ledger = Ledger(directory / "ledger.sqlite")
    write(top, AFTER)
    files = list_inputs([top]).files
    reuse = plan_reuse(files, ledger)
    ledger.close()
    run(top, directory, BOTH, incremental=True)
    collector = Collector(
        str(directory), pack_files(files), [1] * len(files), {"fingerprint": "x", "provenance": "0"}, reuse
    )
    with pytest.raises(DirectoryInUse, match="another job has written here since"):
        collector.open()


@pytest.mark.usefixtures("ray_session")
def test_on_ray(tmp_path):
    """As a program calls it: refused without, told what is gone, then brought up to date; a second time it is done."""
    top, directory = tmp_path / "in", tmp_path / "out"
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    inputs = [top, tmp_path / "link"]
    write(top, BEFORE)
    submit(inputs, LIST, output=directory, options=BOTH).result(60)
    write(top, AFTER)
    with pytest.raises(JobChanged, match=r"1 changed, 1 new, 3 gone.*--incremental"):
        submit(inputs, LIST, output=directory, options=BOTH)
    with pytest.raises(JobChanged, match=r"emit was both, is matched") as refused:
        submit(inputs, LIST, output=directory, incremental=True)
    assert "--incremental" not in str(refused.value)
    with pytest.raises(InputError, match=r"00.json, .*--drop-missing"):
        submit(inputs, LIST, output=directory, options=BOTH, incremental=True)
    with pytest.raises(UsageError, match="--drop-missing"):
        submit(inputs, LIST, output=directory, options=BOTH, drop_missing=True)
    with pytest.raises(UsageError, match="--overwrite"):
        submit(inputs, LIST, output=directory, options=BOTH, incremental=True, overwrite=True)
    update = {"options": BOTH, "incremental": True, "drop_missing": True}
    summary = submit(inputs, LIST, output=directory, **update).result(60)
    assert summary["files_taken_over"] == len(AFTER) - 2
    assert summary["faults"] == {"unreadable": 1}
    (tmp_path / "nowhere").write_bytes(b'{"data":"a"}')
    summary = submit(inputs, LIST, output=directory, **update).result(60)
    assert summary["files_taken_over"] == len(AFTER)
    assert summary["faults"] == {}
    fresh = submit(inputs, LIST, output=tmp_path / "fresh", options=BOTH).result(60)
    assert summary["totals"] == fresh["totals"]
    for name in OUTPUTS:
        assert (directory / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()
    again = submit(inputs, LIST, output=directory, **update)
    assert again.wait(0)
    assert again.result()["seconds"] == summary["seconds"]
    assert list(verify(results_at(directory), Checked())) == []
