"""Links, FIFOs and other people's files, planted in a result directory: refused by name, and nothing behind them is
touched."""

import os
import shutil
import signal
import sqlite3
import stat
import struct
from contextlib import closing

import pytest

from linkmatch_ray import MatchOptions
from linkmatch_ray.errors import InputError, JobError
from linkmatch_ray.io.ledger.ledger import Ledger
from linkmatch_ray.io.results import directory
from linkmatch_ray.io.results.directory import Directory, adopt_next, write_atomically
from linkmatch_ray.io.results.download import download
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.status import status
from linkmatch_ray.io.results.verification import Checked, verify
from linkmatch_ray.io.storage import ours
from linkmatch_ray.runtime.cluster import file_server
from tests.support.jobs import NAMES, PLAN, run, write
from tests.support.whole import submit

BOTH = MatchOptions(emit="both")
CORPUS = dict.fromkeys(NAMES, 1)
PRECIOUS = b"all my work"
OURS = ("matched.jsonl", "unmatched.jsonl", "quarantine.jsonl", "restrictions.jsonl", "ledger.sqlite", "summary.json")
OTHER = 12345  # a user


@pytest.fixture
def top(tmp_path):
    write(tmp_path / "in", CORPUS)
    return tmp_path / "in"


@pytest.fixture
def victims(tmp_path):
    """A file and a directory of somebody, in which everything is called as ours."""
    (tmp_path / "theirs").mkdir()
    for name in (*OURS, "linkmatch.cancel", "linkmatch.lock", "precious"):
        (tmp_path / "theirs" / name).write_bytes(PRECIOUS)
    yield tmp_path / "theirs"
    for path in (tmp_path / "theirs").iterdir():
        assert path.read_bytes() == PRECIOUS, path
    assert len(os.listdir(tmp_path / "theirs")) == len(OURS) + 3


def plant(path, kind, victims):
    """Put something where a file of ours belongs."""
    content = path.read_bytes() if path.is_file() else b""
    path.unlink(missing_ok=True)
    if kind == "a symbolic link":
        path.symlink_to(victims / "precious")
    elif kind == "a symbolic link to nowhere":
        path.symlink_to(victims / "new")
    elif kind == "2 names":
        os.link(victims / "precious", path)
    elif kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a directory":
        path.mkdir()
    else:
        if os.geteuid():
            pytest.skip("only root can make a file somebody else's")
        path.write_bytes(content)
        path.chmod(0o666)
        os.chown(path, OTHER, OTHER)


KINDS = ("a symbolic link", "a symbolic link to nowhere", "2 names", "a FIFO", "a directory", f"owned by uid {OTHER}")
WRITTEN = (
    *("linkmatch.lock", "matched.jsonl", "unmatched.jsonl", "quarantine.jsonl", "ledger.sqlite"),
    *("ledger.sqlite-journal", "restrictions.jsonl.new", "summary.json.new"),
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", WRITTEN)
def test_what_a_resumed_job_writes(top, tmp_path, victims, name, kind):
    """Each file, and each thing that may be in its place; then that is removed, as the message says."""
    out = tmp_path / "out"
    run(top, out, BOTH, stop_after=3)
    kept = (out / name).read_bytes() if (out / name).exists() else None
    plant(out / name, kind, victims)
    found = rf"is .*{kind.partition(' to ')[0]}.* Remove it, or name"
    with pytest.raises(JobError, match=rf"out/{name}: {found}") as refused:
        run(top, out, BOTH)
    assert refused.value.exit_code == 1
    shutil.rmtree(out / name) if kind == "a directory" else (out / name).unlink()
    if kept is not None:
        (out / name).write_bytes(kept)
    assert run(top, out, BOTH)


def test_a_ledger_with_two_names(top, tmp_path):
    """A copy of a directory may be made of hard links: it is read, but not gone on with, as both would change."""
    out = tmp_path / "out"
    run(top, out, BOTH, stop_after=3)
    shutil.copytree(out, tmp_path / "copy", copy_function=os.link)
    assert status(results_at(out))["state"] == "interrupted"
    (out / "linkmatch.lock").unlink()
    (out / "linkmatch.lock").touch()
    with pytest.raises(JobError, match=r"out/ledger.sqlite: is a file with 2 names"):
        run(top, out, BOTH)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_new_job_writes(top, tmp_path, victims, kind):
    """A lock file is made by whoever begins; the rest is cleared first, and only names are removed."""
    out = tmp_path / "out"
    out.mkdir()
    plant(out / "linkmatch.lock", kind, victims)
    with pytest.raises(JobError, match=r"out/linkmatch.lock: is "):
        run(top, out, BOTH)


@pytest.mark.parametrize("kind", KINDS[:4])
def test_overwrite(top, tmp_path, victims, kind):
    """Removes the names of ours, and not what they lead to."""
    out = tmp_path / "out"
    submit(top, out, BOTH, PLAN)
    for name in (*OURS, *(f"{name}.new" for name in OURS), "linkmatch.cancel"):
        plant(out / name, kind, victims)
    assert submit(top, out, BOTH, PLAN, overwrite=True)["totals"]["files"] == len(CORPUS)
    assert list(verify(results_at(out), Checked())) == []


CHANGES = ("overwrite", "incremental", "adopt")


@pytest.mark.parametrize(
    ("how", "owner"),
    [*((how, False) for how in (*CHANGES, "status", "verify")), *((how, True) for how in CHANGES)],
)
def test_next_is_a_link_or_another_users(top, tmp_path, victims, how, owner):
    """What an incremental job left is not looked for, nor removed, behind a link."""
    out = tmp_path / "out"
    before = submit(top, out, BOTH, PLAN)
    write(top, CORPUS | {"99.json": 1})
    if owner:
        if os.geteuid():
            pytest.skip("only root can make a directory somebody else's")
        (out / "next").mkdir()
        os.chown(out / "next", OTHER, OTHER)
    else:
        (out / "next").symlink_to(victims)
    what = f"owned by uid {OTHER}" if owner else f"a symbolic link to {victims}"
    with pytest.raises(JobError, match=rf"out/next: is {what}"):
        {
            "overwrite": lambda: submit(top, out, BOTH, PLAN, overwrite=True),
            "incremental": lambda: submit(top, out, BOTH, PLAN, incremental=True),
            "status": lambda: status(results_at(out)),
            "verify": lambda: list(verify(results_at(out), Checked())),
            "adopt": lambda: adopt_next(out),
        }[how]()
    if how != "overwrite":
        assert Directory(out).summary() == before


@pytest.mark.parametrize("name", ["summary.json", "matched.jsonl", "ledger.sqlite"])
@pytest.mark.parametrize("kind", KINDS)
def test_in_next(top, tmp_path, victims, name, kind):
    """What is to be adopted is looked at before anything is moved: the earlier job is as it was."""
    out = tmp_path / "out"
    before = submit(top, out, BOTH, PLAN)
    shutil.copytree(out, tmp_path / "update")
    shutil.move(tmp_path / "update", out / "next")
    (out / "next" / "linkmatch.next").touch()
    plant(out / "next" / name, kind, victims)
    with pytest.raises(JobError, match=rf"out/next/{name}: is "):
        adopt_next(out)
    assert Directory(out).summary() == before


READ = ("linkmatch.lock", "ledger.sqlite", "ledger.sqlite-journal", "summary.json", "matched.jsonl")


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("kind", [KINDS[0], *KINDS[3:5]])
def test_who_only_looks(top, tmp_path, victims, name, kind):
    """`status`, `verify`, `cancel` and `publish` follow no link either, wait for no FIFO, and make nothing."""
    out = tmp_path / "out"
    submit(top, out, BOTH, PLAN)
    plant(out / name, kind, victims)
    before = sorted(os.listdir(out))
    said = []
    for look in (status, lambda results: list(verify(results, Checked())), lambda results: results.cancel()):
        try:
            look(results_at(out))
        except (JobError, InputError) as error:
            said.append(str(error))
    assert any(f"out/{name}: is {kind}" in each for each in said)
    assert sorted(os.listdir(out)) == before


def test_asking_a_job_to_stop(top, tmp_path, victims):
    """What `cancel` makes is no way to another file."""
    out = tmp_path / "out"
    submit(top, out, BOTH, PLAN)
    for kind in KINDS[:5]:
        plant(out / "linkmatch.cancel", kind, victims)
        with pytest.raises(JobError, match=r"out/linkmatch.cancel: is "):
            Directory(out).ask_to_stop()
        assert Directory(out).is_asked_to_stop()
        os.rmdir(out / "linkmatch.cancel") if kind == "a directory" else (out / "linkmatch.cancel").unlink()
    Directory(out).ask_to_stop()
    assert (out / "linkmatch.cancel").read_bytes() == b""


def test_other_peoples_results_are_read(top, tmp_path):
    """By whoever may: nothing is made or changed there, not the access to it either; and they are not gone on with."""
    if os.geteuid():
        pytest.skip("only root can make files somebody else's")
    out = tmp_path / "out"
    run(top, out, BOTH, stop_after=3)
    for path in (out, *out.iterdir()):
        os.chown(path, OTHER, OTHER)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in (out, *out.iterdir())}
    assert status(results_at(out))["state"] == "interrupted"
    assert list(verify(results_at(out), Checked())) == []
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in (out, *out.iterdir())} == before
    with pytest.raises(JobError, match=rf"linkmatch.lock: is owned by uid {OTHER}, not by 0"):
        run(top, out, BOTH)


def test_where_all_files_belong_to_one_user(tmp_path, monkeypatch):
    """As on some network file systems: a file is ours if a new one would have the same owner."""
    path = tmp_path / "matched.jsonl"
    path.touch()
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    os.close(ours.open_ours(path, os.O_RDWR))
    assert os.listdir(tmp_path) == ["matched.jsonl"]
    monkeypatch.setattr(ours, "_owner_of_new_files", lambda directory: OTHER + 1)
    with pytest.raises(JobError, match="owned by uid"):
        ours.open_ours(path, os.O_RDWR)


def test_another_comes_between(tmp_path, victims, monkeypatch):
    """What is opened is looked at once more: here it was a file a moment ago."""
    monkeypatch.setattr(ours, "is_there", lambda *_, **__: True)
    for kind in ("2 names", "a FIFO"):
        plant(tmp_path / "x", kind, victims)
        with pytest.raises(JobError, match=rf"x: is .*{kind}"):
            ours.open_ours(tmp_path / "x", os.O_RDWR)
    plant(tmp_path / "x", "a symbolic link", victims)
    with pytest.raises(OSError, match="symbolic links"):
        ours.open_ours(tmp_path / "x", os.O_RDWR)


def test_the_directory_itself_may_be_a_link(top, tmp_path):
    """The user has named it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    submit(top, tmp_path / "out", BOTH, PLAN)
    assert list(verify(results_at(tmp_path / "out"), Checked())) == []
    write(top, CORPUS | {"99.json": 1})
    submit(top, tmp_path / "out", BOTH, PLAN, incremental=True)
    assert list(verify(results_at(tmp_path / "out"), Checked())) == []


@pytest.mark.parametrize("folder", ["matched", "unmatched", "quarantine", "ledger", "staging"])
def test_a_folder_at_a_url_is_a_link(top, tmp_path, victims, folder):
    """Nothing is written, listed or removed in another directory."""
    out = tmp_path / "out"
    url = f"file://{out}"
    results_at(url).prepare()
    (out / folder).symlink_to(victims)
    with pytest.raises(JobError, match=rf"out/{folder}: is a symbolic link to {victims}"):
        submit(top, url, BOTH, PLAN)


@pytest.mark.parametrize("name", ["linkmatch.lock", "summary.json", "ledger/0000000000", "matched/part-"])
@pytest.mark.parametrize("kind", [KINDS[0], KINDS[3]])
def test_an_object_is_a_link(top, tmp_path, victims, name, kind):
    """It is not read, nor waited for."""
    out = tmp_path / "out"
    submit(top, f"file://{out}", BOTH, PLAN)
    (path,) = sorted(out.glob(f"{name}*"))[:1]
    plant(path, kind, victims)
    results = results_at(f"file://{out}")
    with pytest.raises(JobError, match=rf"{path}: is {kind}"):
        list(verify(results, Checked())) if name != "linkmatch.lock" else status(results)


def test_what_is_fetched(top, tmp_path, victims, monkeypatch):
    """A link that comes into the new directory while results are brought."""
    submit(top, f"file://{tmp_path}/out", BOTH, PLAN)
    for name in ("linkmatch.lock", *OURS):
        copy = tmp_path / f"copy-{name}"
        copy.mkdir()
        monkeypatch.setattr("linkmatch_ray.io.results.download.refuse_filled", lambda _: None)
        (copy / name).symlink_to(victims / "precious")
        with pytest.raises(JobError, match=rf"{name}: is a symbolic link"):
            download(results_at(f"file://{tmp_path}/out"), copy)


def test_what_is_published(top, tmp_path, victims, monkeypatch, capsys):
    """The dashboard would serve what a link leads to."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    out = tmp_path / "out"
    submit(top, out, BOTH, PLAN)
    for name in ("matched.jsonl", "ledger.sqlite"):
        kept = (out / name).read_bytes()
        plant(out / name, "a symbolic link", victims)
        file_server.main(out)
        assert f"{name}: is a symbolic link" in capsys.readouterr().out
        (out / name).unlink()
        (out / name).write_bytes(kept)


def test_a_journal_that_names_another_file(top, tmp_path, victims):
    """SQLite would roll back by it, and then remove that file: it takes it for the list of several journals."""
    out = tmp_path / "out"
    run(top, out, BOTH, stop_after=3)
    ledger, journal = out / "ledger.sqlite", out / "ledger.sqlite-journal"
    other = sqlite3.connect(ledger, isolation_level=None)
    other.execute("PRAGMA cache_spill = 1")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("UPDATE job SET value = value || 'x'")
    hot = bytearray(journal.read_bytes())
    other.execute("ROLLBACK")
    other.close()
    page_bytes = struct.unpack(">I", hot[24:28])[0]
    hot[:12] = bytes.fromhex("d9d505f920a163d7") + struct.pack(">I", (len(hot) - 512) // (page_bytes + 8))
    hot += struct.pack(">I", (1 << 30) // page_bytes + 1)

    def naming(path):
        name = os.fsencode(path)
        tail = struct.pack(">II", len(name), sum(name)) + bytes.fromhex("d9d505f920a163d7")
        journal.write_bytes(hot + name + tail)

    (tmp_path / "gone").write_bytes(PRECIOUS)
    shutil.copy(ledger, tmp_path / "kept")
    naming(tmp_path / "gone")
    plain = sqlite3.connect(ledger)
    plain.execute("SELECT * FROM job").fetchall()
    plain.close()
    assert not (tmp_path / "gone").exists(), "SQLite does so no more: the check may go"
    shutil.copy(tmp_path / "kept", ledger)
    naming(victims / "precious")
    for look in (status, lambda results: list(verify(results, Checked()))):
        with pytest.raises(JobError, match="journal: damaged: it names another file"):
            look(results_at(out))


def test_modes(top, tmp_path):
    """Whatever the mask, others cannot write to what we make; and nothing is left of an unfinished file."""
    before = os.umask(0)
    try:
        out = tmp_path / "out"
        submit(top, out, BOTH, PLAN)
        write_atomically(out / "x", lambda file: file.write(b"y"))
    finally:
        os.umask(before)
    assert {path.name for path in out.iterdir() if stat.S_IMODE(path.stat().st_mode) & 0o022} == set()
    assert sorted(os.listdir(out)) == sorted(["linkmatch.lock", "x", *OURS])


@pytest.mark.parametrize("name", ["summary.json.new", "matched.jsonl", "linkmatch.cancel"])
def test_overwrite_removes_nothing_if_it_cannot_remove_all(tmp_path, name):
    """A directory in the place of a file is named before anything else goes."""
    (tmp_path / "summary.json").write_text("{}")
    (tmp_path / "ledger.sqlite").write_text("x")
    (tmp_path / name).mkdir()
    with pytest.raises(JobError, match=name):
        directory.clear(tmp_path)
    assert {"summary.json", "ledger.sqlite"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_what_sqlite_would_remove(tmp_path, suffix):
    """A file beside a ledger that no job writes is named, and stays."""
    Ledger(tmp_path / "ledger.sqlite", create=True).close()
    beside = tmp_path / f"ledger.sqlite{suffix}"
    beside.write_bytes(b"")
    with pytest.raises(JobError, match=suffix):
        Ledger(tmp_path / "ledger.sqlite")
    assert beside.exists()


def test_what_is_found_forges_no_line(tmp_path):
    """Neither the name of a result directory nor the target of a link in it, nor a table in its ledger."""
    odd = tmp_path / "out\nlinkmatch-ray: all is well"
    odd.mkdir()
    (odd / "linkmatch.lock").touch()
    (odd / "summary.json").symlink_to("x\nlinkmatch-ray: all is well")
    with pytest.raises(JobError, match="symbolic link to") as found:
        results_at(odd).summary()
    assert "\n" not in str(found.value)
    with closing(sqlite3.connect(odd / "ledger.sqlite")) as ledger:
        ledger.execute('CREATE TABLE "x\nlinkmatch-ray: all is well" (y)')
    with pytest.raises(JobError, match="its tables are not those of linkmatch-ray") as found:
        results_at(odd).settings()
    assert "\n" not in str(found.value)
