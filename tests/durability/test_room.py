"""The machine runs out, of room, of files, of rights: a clear error, exit code 1, and the same command resumes."""

import contextlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from linkmatch_ray import MatchOptions
from linkmatch_ray.errors import JobError
from linkmatch_ray.io.inputs.file import pack_files
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.ledger.ledger import Key
from linkmatch_ray.io.restrictions.restrictions import Restrictions
from linkmatch_ray.runtime.jobs.collector import Collector
from linkmatch_ray.runtime.jobs.plan import PlanOptions, Unit
from linkmatch_ray.runtime.jobs.worker import TaskSettings, match_unit
from tests.support.limits import files_left, limited
from tests.support.program import program
from tests.unit.runtime.jobs.test_collector import SETTINGS, files, part

pytestmark = pytest.mark.slow

TEXTS = [b'{"data":%d,"pad":"%s"}\n' % (n, b"x" * 9_000) for n in range(6)]
LIST = Restrictions.load(json.dumps([str(n) * 20 for n in range(300)]).encode())
RECORDS = 40_000
SECONDS_MAX = 150


@pytest.fixture
def disk():
    """Mounts a file system for a test; `disk(size)` and `disk(ro=True)` change it."""
    top = Path(tempfile.mkdtemp(prefix="disk-", dir="/tmp"))  # Ray's sockets need a short path
    done = subprocess.run(["mount", "-t", "tmpfs", "none", top], capture_output=True, check=False)
    if done.returncode:
        top.rmdir()
        pytest.skip(f"cannot mount a file system (not root?): {done.stderr.decode().strip()}")

    def change(size="64m", *, ro=False):
        subprocess.run(["mount", "-o", f"remount,size={size},{'ro' if ro else 'rw'}", top], check=True)

    change.path = top
    yield change
    subprocess.run(["umount", "-l", top], check=True)
    top.rmdir()


def collect(output):
    """A whole job on the plain collector, a commit for every part; returns the key of the last that was durable."""
    collector = Collector(str(output), files(len(TEXTS)), [1] * len(TEXTS), SETTINGS)
    durable = collector.open().durable
    try:
        for number, text in enumerate(TEXTS):
            collector.commit(part((number, 0, 0, True, text)))
            durable = collector.flush().durable
        collector.finish(LIST.index, {})
    finally:
        with contextlib.suppress(JobError):
            collector.close()
    return durable


def fails(output, message):
    """Runs it where it cannot work: it ends well, or with an error of ours; whether it failed."""
    told = ""
    try:
        collect(output)
    except JobError as error:
        told = str(error)
    assert not told or (told.startswith(str(output.parent)) and message in told), told  # its name is made durable there
    return bool(told)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The bytes of an undisturbed run."""
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    assert collect(output) == Key(len(TEXTS), 0, 0)
    return streams(output)


def streams(output):
    return {path.name: path.read_bytes() for path in sorted(output.glob("*.jsonl"))}


def assert_resumes(output, expected):
    assert collect(output) == Key(len(TEXTS), 0, 0)
    assert streams(output) == expected
    assert not list(output.glob("*.new*"))
    with contextlib.closing(sqlite3.connect(output / "ledger.sqlite")) as ledger:
        assert ledger.execute("SELECT COUNT(*) FROM pieces").fetchone() == (len(TEXTS),)


def test_wherever_the_disk_is_full(disk, expected):
    """Room for 0, 4, 8, … kB: at the directory, the lock, the ledger, the outputs, the report or the summary."""
    output, others, failed = disk.path / "out", disk.path / "others", []
    for room in range(0, 160, 4):
        disk()
        shutil.rmtree(output, ignore_errors=True)
        others.write_bytes(b"")
        disk("400k")
        with contextlib.suppress(OSError):
            others.write_bytes(bytes(1 << 20))
        os.truncate(others, others.stat().st_size - (room << 10))
        failed.append(fails(output, "oom"))
        disk()
        assert_resumes(output, expected)
    assert failed[0]
    assert not failed[-1]


def test_wherever_a_file_becomes_too_large(tmp_path, expected):
    """The same with a limit on the size of files."""
    failed = []
    for size in (0, 50, 300, 4_095, 4_096, 9_000, 13_000, 25_000, 40_000, 50_000, 1 << 20):
        output = tmp_path / str(size)
        with limited(resource.RLIMIT_FSIZE, size):
            failed.append(fails(output, "ulimit -f"))
        assert_resumes(output, expected)
    assert failed[0]
    assert failed[-3]
    assert not failed[-1]


def test_wherever_files_run_out(tmp_path, expected):
    """The same with 0, 1, 2, … files that may yet be opened."""
    failed = []
    for more in range(10):
        output = tmp_path / str(more)
        with files_left(more):
            failed.append(fails(output, "ulimit -n"))
        assert_resumes(output, expected)
    assert failed[0]
    assert not failed[-1]


def test_a_failed_write_is_the_last(tmp_path):
    """Nothing is made durable after it, not on closing either: a second sync would not know of the first."""
    output = tmp_path / "out"
    collector = Collector(str(output), files(3), [1] * 3, SETTINGS)
    collector.open()
    collector.commit(part((0, 0, 0, True, b"a\n")))
    collector.flush()
    collector.commit(part((1, 0, 0, True, b"b\n")))
    with limited(resource.RLIMIT_FSIZE, 10), pytest.raises(JobError, match="too large"):
        collector.commit(part((2, 0, 0, True, b"c" * 20)))
    with pytest.raises(JobError, match="an earlier write failed"):
        collector.flush()
    collector.close()
    again = Collector(str(output), files(3), [1] * 3, SETTINGS)
    assert again.open().durable == Key(1, 0, 0)
    again.close()


def test_an_input_is_not_blamed_for_the_machine(tmp_path):
    """No file is called unreadable because of a limit that was reached."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"data":1}\n')
    packed = pack_files(list_inputs([path]).files)
    settings = TaskSettings(LIST.paths, MatchOptions(), PlanOptions())
    with files_left(0), pytest.raises(JobError, match=r"a\.jsonl: Too many open files"):
        list(match_unit(Unit(0, 1, 11), packed, LIST.index, settings))


def test_a_locked_ledger(tmp_path, expected):
    """Another program holds it: when the job is to be resumed nothing is thrown away, and so when it is to commit."""
    output = tmp_path / "out"
    collector = Collector(str(output), files(len(TEXTS)), [1] * len(TEXTS), SETTINGS)
    collector.open()
    collector.commit(part((0, 0, 0, True, TEXTS[0])))
    collector.flush()
    collector.commit(part((1, 0, 0, True, TEXTS[1])))
    with locked(output), pytest.raises(JobError, match=r"ledger\.sqlite: locked by another program"):
        collector.flush()
    collector.close()
    with locked(output), pytest.raises(JobError, match=r"ledger\.sqlite: locked by another program"):
        collect(output)
    with contextlib.closing(sqlite3.connect(output / "ledger.sqlite")) as ledger:
        assert ledger.execute("SELECT file FROM frontier").fetchone() == (1,)
    assert_resumes(output, expected)


@contextlib.contextmanager
def locked(output):
    other = sqlite3.connect(output / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.close()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Lines, a list, and what comes of them."""
    top = tmp_path_factory.mktemp("room")
    lines = [b'{"data":%d,"text":"%s"}\n' % (n % 10, b"x" * 80) for n in range(RECORDS)]
    (top / "in.jsonl").write_bytes(b"".join(lines))
    (top / "list.json").write_text('[{"data":1},{"data":3}]')
    return top, b"".join(line for n, line in enumerate(lines) if n % 10 in (1, 3))


@pytest.fixture
def run(corpus, command_environment):
    """The command over the corpus; returns the finished process."""

    def run(output, limit=None, stdout=subprocess.PIPE, **environment):
        command = [sys.executable, "-m", "linkmatch_ray", "submit", "in.jsonl", "-r", "list.json", "-o", str(output)]
        return subprocess.run(
            command,
            cwd=corpus[0],
            env=command_environment | environment,
            preexec_fn=limit and (lambda: lower_for_good(*limit)),
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )

    return run


@pytest.fixture
def run_here(corpus, ray_session, monkeypatch):
    """The same command in this process, on the Ray of all tests: it must end well."""
    monkeypatch.chdir(corpus[0])

    def run(name, output, *options):
        code, _, told = program("submit", name, "-r", "list.json", "-o", str(output), *options)
        assert code == 0, told

    return run


def lower_for_good(what, limit):
    resource.setrlimit(what, (limit, limit))


def assert_told(done, *words):
    """Exit code 1, what was found, that nothing is lost, and nobody's trace."""
    assert done.returncode == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert "What was committed is safe. To resume: linkmatch-ray submit in.jsonl" in done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr


def test_the_command_on_such_a_disk(disk, run, run_here, corpus):
    """Read-only, then too small: it says so, and the same command does all of it when there is room."""
    output = disk.path / "out"
    disk(ro=True)
    assert_told(run(output), str(output), "Read-only", "Make it writable")
    disk("300k")
    assert_told(run(output), str(output), "No space left", "Make room")
    disk()
    run_here("in.jsonl", output)
    assert (output / "matched.jsonl").read_bytes() == corpus[1]
    with open("/dev/full", "wb") as full:
        done = run(output, stdout=full)
    assert done.returncode == 1
    assert done.stderr.startswith("linkmatch-ray: standard output: No space left on device.")


@pytest.mark.parametrize(
    ("limit", "word"),
    [((resource.RLIMIT_NOFILE, 64), "ulimit -n"), ((resource.RLIMIT_FSIZE, 1 << 20), "ulimit -f")],
)
def test_too_little_for_ray_to_start(run, tmp_path, limit, word):
    """It is told at once, where Ray would hang or only say that it took too long."""
    assert_told(run(tmp_path / "out", limit), word)


def test_no_room_for_rays_own_files(disk, run, tmp_path):
    """The same of its session directory."""
    disk("100k")
    assert_told(run(tmp_path / "out", RAY_TMPDIR=str(disk.path)), str(disk.path), "RAY_TMPDIR")


SUBMIT = """
import json, os, sys, time
import ray
from linkmatch_ray import MatchOptions, Restrictions, submit
from linkmatch_ray.errors import JobError
from linkmatch_ray.runtime.session.ray_internals import quick_start

inputs, output, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
spill, hog = options.get("object_spilling_directory"), options.pop("hog", 0)
with quick_start(dashboard=False, verbose=False):
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error", **options
    )
hogged = ray.put(bytes(hog))
job = submit([inputs], Restrictions.load("list.json"), output=output, options=MatchOptions(emit="both"), workers=2)
spilled = 0
while not job.wait(0.05):
    spilled = max(spilled, sum(len(names) for *_, names in os.walk(spill)) if spill else 0)
print("spilled", spilled)
try:
    print("entries", job.result()["totals"]["entries"])
except JobError as error:
    print("JobError", error)
ray.shutdown()
"""


def submitted(corpus, environment, name, output, before=(), **options):
    """A program with a Ray as it is told; what it printed."""
    done = subprocess.run(
        [*before, sys.executable, "-c", SUBMIT, name, str(output), json.dumps(options)],
        cwd=corpus[0],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_file_left_in_a_worker(corpus, command_environment, tmp_path):
    """The job fails, and no input is called unreadable."""
    hooked = {"worker_process_setup_hook": "tests.support.limits.no_files"}
    told = submitted(corpus, command_environment, "in.jsonl", tmp_path / "out", runtime_env=hooked)
    assert "JobError in.jsonl: Too many open files. Raise the limit" in told


@pytest.fixture(scope="module")
def large(corpus):
    """More than the smallest object store holds."""
    top, expected = corpus
    content = (top / "in.jsonl").read_bytes()
    with open(top / "large.jsonl", "wb") as file:
        for _ in range(36):
            file.write(content)
    return expected * 36


def test_spilling_and_a_small_shared_memory(corpus, large, command_environment, tmp_path_factory):
    """Where results do not fit into memory they come by way of the disk."""
    top = tmp_path_factory.mktemp("spilling")  # on a disk: the program has another /dev/shm
    spill = top / "spill"
    spill.mkdir()
    small = {"object_store_memory": 76 << 20, "object_spilling_directory": str(spill), "hog": 60 << 20}
    before = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=90m none /dev/shm && exec "$@"', "sh"]
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("cannot have a /dev/shm of its own (not root?)")
    told = submitted(corpus, command_environment, "large.jsonl", top / "out", before, **small)
    assert "entries 0" in told
    assert "spilled 0" not in told
    assert (top / "out/matched.jsonl").read_bytes() == large


def test_nowhere_to_spill_to(corpus, large, command_environment, run_here, disk, tmp_path):
    """Other programs hold Ray's memory, and no part fits on its disk: no input is blamed; there is something to do."""
    disk("5m")
    environment, store = command_environment | {"RAY_TMPDIR": str(disk.path)}, 76 << 20
    told = submitted(corpus, environment, "large.jsonl", tmp_path / "out", object_store_memory=store, hog=73 << 20)
    (error,) = (line for line in told.splitlines() if line.startswith("JobError"))
    assert "RAY_TMPDIR" in error  # tasks find no room, or collectors die of it
    run_here("large.jsonl", tmp_path / "out", "--emit", "both")
    assert (tmp_path / "out/matched.jsonl").read_bytes() == large
