"""What others have put among the results: no command fails over it, reads it or removes it, and `verify` names it.

Jobs run without Ray, in a directory, at `file://` and at a real S3 endpoint.
"""

import os
import shutil
from pathlib import Path

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from linkmatch_ray import MatchOptions
from linkmatch_ray.errors import InputError, JobError, UsageError
from linkmatch_ray.io.object_names import SegmentName, is_ours, segment_name, segment_of
from linkmatch_ray.io.results import bucket
from linkmatch_ray.io.results.download import download
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.status import status
from linkmatch_ray.io.results.verification import Checked, verify
from linkmatch_ray.io.storage.store import store_of
from linkmatch_ray.io.storage.stores import store_at
from tests.support.jobs import NAMES, OUTPUTS, PLAN, write
from tests.support.objects import CREDENTIALS, s3
from tests.support.whole import submit

BOTH = MatchOptions(emit="both")
CORPUS = dict.fromkeys(NAMES, 1)

FOREIGN = [
    "matched/notes.txt",
    "matched/part-1-2.jsonl",
    "matched/part-0000000000000000-000000.jsonl.bak",
    "matched/part-0000000000000000-0000000.jsonl",  # a zero more than a job writes
    "matched/part-0000000000000000-999999.jsonl",  # of a writer that has no record
    "matched/part-9999999999999999-999999999999.jsonl",
    f"matched/part-{'9' * 200}-000000.jsonl",
    "matched/deep/er/part-0000000000000000-000001.jsonl",
    f"matched/part-{chr(0x660) * 16}-000000.jsonl",  # digits of another script
    "matched/a\nb\x1b.txt",
    "unmatched/x",
    "quarantine/x",
    "other/part-0000000000000000-000000.jsonl",
    "ledger/x",
    "ledger/1",
    "ledger/00000000000",
    "ledger/deep/0000000000",
    "ledger.sqlite.bak",
    "staging/x",
    "staging/deep/0123456789abcdef",
    "summary.json.old",
    "notes.txt",
    "linkmatch.lock.old",
]
"""At `file://` and in a store."""

IN_A_STORE = [
    "",
    "matched/",
    "linkmatch.lock/",
    "summary.json/",
    "ledger/0000000000/",
    "matched//part-0000000000000000-000000.jsonl",
    "matched/../x",
    "../x",
    "./matched/part-0000000000000000-000000.jsonl",
    "/",
]
"""Names that no file has."""


@pytest.fixture
def top(tmp_path):
    write(tmp_path / "in", CORPUS)
    return tmp_path / "in"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Nobody else writes there, so nobody is waited for."""
    monkeypatch.setattr(bucket, "SILENCE_SECONDS", 0.0)


class Folder:
    """`file://`, looked at as files."""

    def __init__(self, path):
        self.path, self.url, self.names = path, f"file://{path}", FOREIGN

    def put(self, name):
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_bytes(b"mine")

    def mine(self):
        return {name for name in self.names if (self.path / name).is_file()}


class Bucket:
    """A bucket, looked at behind its server, which does not carry every key."""

    def __init__(self, folder):
        self._folder, self.url, self.names = f"{folder}/", f"s3://lake/{folder}", [*FOREIGN, *IN_A_STORE]
        self._objects = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    def put(self, name):
        self._objects.put_object("lake", self._folder + name, b"" if name.endswith("/") or not name else b"mine")

    def mine(self):
        return {name for name in self.names if self._objects.get_object("lake", self._folder + name) is not None}


@pytest.fixture(params=["file", "s3"])
def place(request, tmp_path, monkeypatch):
    """Where results are, as others see it."""
    if request.param == "file":
        yield Folder(tmp_path / "hits")
        return
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with s3("lake") as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        store_at.cache_clear()
        yield Bucket(tmp_path.name)
    store_at.cache_clear()


def assert_as_alone(top, place, options=BOTH):
    """All commands do what they do without the foreign objects, which are all there and named."""
    results, checked = results_at(place.url), Checked()
    assert status(results)["state"] == "complete"
    assert list(verify(results, checked)) == []
    folders = {name for name in place.names if name.endswith("/") or not name}  # empty, and nobody's
    assert checked.foreign == sorted(f"{place.url}/{name}" for name in set(place.names) - folders)
    with pytest.raises(InputError, match="no job runs here"):
        results.cancel()
    copy, alone = top.with_name("copy"), top.with_name("alone")
    assert download(results, copy).complete
    submit(top, alone, options, PLAN)
    for name in set(OUTPUTS) & set(os.listdir(alone)):
        assert (copy / name).read_bytes() == (alone / name).read_bytes(), name
    for made in (copy, alone):
        shutil.rmtree(made)
    assert place.mine() == set(place.names)


def test_in_every_command(top, place):
    """Put there between the commands: a job goes on, ends, is overwritten; then again."""
    results_at(place.url).prepare()
    for name in place.names:
        place.put(name)
    assert submit(top, place.url, BOTH, PLAN, stop_after=3) is None
    assert status(results_at(place.url))["state"] == "interrupted"
    assert submit(top, place.url, BOTH, PLAN)["resumed"]
    assert_as_alone(top, place)
    write(top, CORPUS | {"99.json": 1})
    submit(top, place.url, MatchOptions(), PLAN, overwrite=True)
    assert_as_alone(top, place, MatchOptions())
    submit(top, place.url, BOTH, PLAN, overwrite=True, stop_after=2)
    submit(top, place.url, BOTH, PLAN)
    assert_as_alone(top, place)


@pytest.mark.parametrize("names", [[], ["", "/", "matched/"]])
def test_a_place_with_empty_folders(place, names):
    """As a console makes them: nothing is in it."""
    for name in names:
        if isinstance(place, Folder):
            (place.path / name.lstrip("/")).mkdir(parents=True, exist_ok=True)
        else:
            place.put(name)
    results_at(place.url).prepare()
    assert "linkmatch.lock" in store_of(place.url).list("")


@pytest.mark.parametrize("name", ["x", "matched/x", ".hidden", "linkmatch.lock.old"])
def test_a_place_with_anything_else(place, name):
    """Is somebody's, and stays as it is."""
    place.put(name)
    with pytest.raises(UsageError, match="has objects in it and is no place of results"):
        results_at(place.url).prepare()
    assert "linkmatch.lock" not in store_of(place.url).list("")


def test_files_that_are_none(top, tmp_path):
    """At `file://`: links, FIFOs and folders of other names are not opened, nor followed."""
    place = Folder(tmp_path / "hits")
    submit(top, place.url, BOTH, PLAN)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "part-0000000000000000-000000.jsonl").write_bytes(b"mine")
    (place.path / "matched" / "link").symlink_to(tmp_path / "theirs" / "part-0000000000000000-000000.jsonl")
    (place.path / "matched" / "folder").symlink_to(tmp_path / "theirs")
    (place.path / "matched" / "nowhere").symlink_to("nowhere")
    (place.path / "matched" / ".x.12345678.unfinished").write_bytes(b"mine")
    os.mkfifo(place.path / "ledger" / "fifo")
    checked = Checked()
    assert list(verify(results_at(place.url), checked)) == []
    assert [name.removeprefix(f"{place.url}/") for name in checked.foreign] == [
        "ledger/fifo",
        "matched/link",
        "matched/nowhere",
    ]
    submit(top, place.url, MatchOptions(), PLAN, overwrite=True)
    assert list(verify(results_at(place.url), Checked())) == []
    assert len(os.listdir(tmp_path / "theirs")) == 1
    assert {"link", "folder", "nowhere", ".x.12345678.unfinished"} <= set(os.listdir(place.path / "matched"))


def test_a_record_is_missing(top, tmp_path):
    """That cannot be somebody else's doing alone: nothing goes on from there, and the record is named."""
    url = f"file://{tmp_path}/hits"
    submit(top, url, BOTH, PLAN)
    records = sorted((tmp_path / "hits" / "ledger").iterdir())
    records[1].unlink()
    with pytest.raises(JobError, match="ledger: damaged: record 1 is missing, and there are later ones"):
        status(results_at(url))


def test_a_newer_writers_parts_stay(top, tmp_path):
    """Who was thought dead, and still removes what is too much, removes nothing of the one that goes on."""
    url = f"file://{tmp_path}/hits"
    submit(top, url, BOTH, PLAN)
    newer = segment_name(SegmentName("matched", 10**9, 999_999))
    store_of(url).put(newer, b"newer")
    old = results_at(url)
    ledger = old.resume(lambda settings: bool(settings))
    for name, end in ledger.by_name(ledger.frontier().ends).items():
        old.output(name).truncate(end)
    old.finish(ledger)
    ledger.close()
    assert store_of(url).get(newer) == b"newer"


@pytest.mark.parametrize("number", [0, 1, 10**6, 10**12 - 1])
def test_names_of_parts(number):
    """What is made is read again; nothing else is."""
    segment = SegmentName("matched", number, number)
    name = segment_name(segment)
    assert segment_of(name) == segment
    for other in (f"x/{name}", name + "\n", name.replace("-", "-0"), "matched"):
        assert segment_of(other) is None
        assert not is_ours(other)


# In a directory


def foreign_in(out):
    """Beside ours, and with names that are nearly ours."""
    names = ("notes.txt", "matched.jsonl.bak", "matched.jsonl.new", "ledger.sqlite.old", "matched/x", ".hidden")
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine")
    return [out / name for name in names]


def test_beside_a_directorys_files(top, tmp_path):
    """Interrupted, complete, brought up to date and overwritten: they stay, and are named."""
    out = tmp_path / "out"
    submit(top, out, BOTH, PLAN, stop_after=3)
    theirs = foreign_in(out)
    assert submit(top, out, BOTH, PLAN)["resumed"]
    for how in ({}, {"incremental": True}, {"overwrite": True}):
        write(top, CORPUS | {f"9{len(how)}.json": 1})
        submit(top, out, BOTH, PLAN, **how) if how else None
        checked = Checked()
        assert list(verify(results_at(out), checked)) == []
        assert checked.foreign == sorted({str(out / path.relative_to(out).parts[0]) for path in theirs})
        assert {path.read_text() for path in theirs} == {"mine"}


RESULTS = ("matched.jsonl", "unmatched.jsonl", "quarantine.jsonl", "ledger.sqlite", "summary.json", "linkmatch.lock")


@pytest.mark.parametrize("names", [("notes.txt",), RESULTS], ids=["another", "as ours"])
def test_the_users_own_next(top, tmp_path, names):
    """A directory `next` that no incremental job has made, perhaps another job's results: only --incremental needs
    the name, and says so."""
    out = tmp_path / "out"
    submit(top, out, BOTH, PLAN)
    (out / "next").mkdir()
    for name in names:
        (out / "next" / name).write_text("mine")
    checked = Checked()
    assert status(results_at(out))["state"] == "complete"
    assert list(verify(results_at(out), checked)) == []
    assert checked.foreign == [str(out / "next")]
    write(top, CORPUS | {"99.json": 1})
    with pytest.raises(JobError, match=r"next: has .* in it, and is not what a job of yours made. Rename it"):
        submit(top, out, BOTH, PLAN, incremental=True)
    submit(top, out, BOTH, PLAN, overwrite=True)
    assert {(out / "next" / name).read_text() for name in names} == {"mine"}
    assert len(os.listdir(out / "next")) == len(names)


@pytest.mark.parametrize("how", ["incremental", "overwrite"])
def test_in_next(top, tmp_path, how):
    """While an update is under way; it is ended, or cleared away."""
    out = tmp_path / "out"
    submit(top, out, BOTH, PLAN)
    write(top, CORPUS | {f"9{n}.json": 1 for n in range(9)})
    assert submit(top, out, BOTH, PLAN, incremental=True, stop_after=1) is None
    (out / "next" / "notes.txt").write_text("mine")
    checked = Checked()
    assert list(verify(results_at(out), checked)) == []
    assert checked.foreign == [str(out / "next" / "notes.txt")]
    submit(top, out, BOTH, PLAN, **{how: True})
    assert list(verify(results_at(out), Checked())) == []
    assert os.listdir(out / "next") == ["notes.txt"]
    assert Path(out / "next" / "notes.txt").read_text() == "mine"
