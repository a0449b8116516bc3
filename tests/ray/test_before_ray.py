"""What is wrong is said before a Ray starts, or without waiting for the one that is starting."""

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support.tiers import kinds
from tests.support.waiting import comes

RECORD = b'{"data":"a"}\n'

WATCHED = """
import sys
def note(event, arguments):
    if event in ("subprocess.Popen", "os.posix_spawn"):
        with open("started", "a") as file:
            print(arguments[:2], file=file)
sys.addaudithook(note)
"""
"""As a `sitecustomize`, it writes down what processes a program starts."""


@pytest.fixture
def run(command_environment, tmp_path):
    """Runs the command in a directory with an input and a list; gives the finished process and what it started."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(WATCHED)
    (tmp_path / "a.jsonl").write_bytes(RECORD)
    (tmp_path / "list.txt").write_text("a\n")
    (tmp_path / "list.csv").write_text("id,doi\n1,a\n,\n")
    environment = dict(command_environment)
    environment["PYTHONPATH"] = f"{tmp_path / 'site'}:{environment['PYTHONPATH']}"

    def run(*arguments, ray_in=None):
        known = environment | ({"RAY_TMPDIR": str(ray_in)} if ray_in else {})
        command = [sys.executable, "-m", "linkmatch_ray", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=known, capture_output=True, text=True, timeout=60)
        started = tmp_path / "started"
        return done, started.read_text() if started.exists() else ""

    return run


@pytest.mark.parametrize(
    ("code", "arguments"),
    kinds(
        [
            (3, ("b.jsonl", "-r", "list.txt")),
            (3, ("a.jsonl", "b.jsonl", "-r", "list.txt", "--overwrite")),
            (3, ("no*.jsonl", "-r", "list.txt")),
            (3, ("a.jsonl", "-r", "lisst.txt")),
            (3, ("a.jsonl", "-r", "a.jsonl", "-k", "dat")),
            (3, ("a.jsonl", "-r", "list.csv")),
            (3, ("a.jsonl", "-r", "list.csv", "-k", "data=doi")),
            (3, ("a.jsonl", "-r", "list.csv", "--restrictions-format", "parquet")),
            (3, ("-r", "list.txt")),
            (3, ("--files-from", "nothing", "-r", "list.txt")),
            (2, ("a.jsonl", "-r", "list.txt", "-k", "/~")),
            (2, ("a.jsonl", "-r", "list.txt", "-o", "list.txt")),
            (2, ("a.jsonl", "-r", "list.txt", "--drop-missing")),
            (2, ("a.jsonl", "-r", "list.txt", "--incremental", "--overwrite")),
            (2, ("a.jsonl", "-r", "list.txt", "--emit", "all")),
            (2, ("a.jsonl", "-r", "list.txt", "--records-at", "/~")),
            (2, ("a.jsonl", "-r", "list.txt", "--no-such-option")),
            (2, ("a.jsonl", "-r", "list.txt", "-o", "-", "--emit", "both")),
            (2, ("a.jsonl", "-r", "list.txt", "-o", "-", "--emit", "both", "--dry-run")),
            (2, ("a.jsonl", "-r", "list.txt", "--restrictions-at", "/x")),
            (2, ("a.jsonl", "-r", "list.csv", "--restrictions-at", "/x")),
            (2, ("a.jsonl", "-r", "list.csv", "--restrictions-format", "xml")),
            (2, ("a.jsonl", "-r", "list.txt", "--address", "ray://head")),
            (2, ("a.jsonl", "-r", "list.txt", "--address", "head")),
            (2, ("/a", "-r", "list.txt", "-o", "/o", "-k", "/~", "--address", "http://127.0.0.1:1")),
            (3, ("/a", "-r", "a.jsonl", "-o", "/o", "-k", "dat", "--address", "http://127.0.0.1:1")),
        ]
    ),
)
def test_a_mistake_starts_nothing(run, code, arguments, tmp_path):
    """A path, an option, a list: no process is started, and nothing is made."""
    done, started = run("submit", *arguments)
    assert (done.returncode, done.stdout, started) == (code, "", ""), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "linkmatch-results").exists()


def test_a_mistake_that_takes_long_to_find(run, tmp_path):
    """At the end of a long list, while a Ray may be starting: nothing of it is left, not even a file."""
    (tmp_path / "long.json").write_bytes(b"[" + b'{"data":1.5},' * 100_000 + b"{}]")
    with tempfile.TemporaryDirectory(prefix="lm") as place:
        done, _ = run("submit", "a.jsonl", "-r", "long.json", ray_in=place)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith('linkmatch-ray: long.json: entry 100000 has no key "data". ')
        assert done.stderr.count("\n") == 1
        assert comes(lambda: not left_in(place))


ABANDONED = """
import os, signal, sys, time
from linkmatch_ray.runtime.session.session import Session

place = os.environ["RAY_TMPDIR"]
before = set(os.listdir(place))
session = Session(workers=1)
session.begin()
while not set(os.listdir(place)) - before:
    time.sleep(0.001)
time.sleep(float(sys.argv[1]))
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
Session.abandon_all()
os._exit(0)
"""


@pytest.mark.parametrize("way", ["abandoned", "killed"])
@pytest.mark.parametrize("seconds", kinds([1.0, 0.05, 0.0, 0.3, 2.0]))
def test_a_start_is_cut_short(seconds, way, command_environment):
    """A program that ends at once, or is killed, at any moment of a start: no file is left, and no process."""
    with tempfile.TemporaryDirectory(prefix="lm") as place:
        environment = command_environment | {"RAY_TMPDIR": place}
        subprocess.run([sys.executable, "-c", ABANDONED, str(seconds), way], env=environment, timeout=60)
        if way == "killed" and not seconds:  # perhaps before there was a reaper: the next start sweeps
            subprocess.run([sys.executable, "-c", ABANDONED, "0.3", "abandoned"], env=environment, timeout=60)
        assert comes(lambda: not left_in(place))


def left_in(place):
    """Finds files in a directory, and processes whose command line or environment names it, or that have files open
    there: Ray's agents overwrite their environment."""
    return [
        *Path(place).iterdir(),
        *(
            process
            for process in psutil.process_iter(["cmdline", "environ"])
            if place in f"{process.info['cmdline']} {process.info['environ']} {open_files(process.pid)}"
        ),
    ]


def open_files(pid):
    """The paths of a process's open files, removed ones too."""
    paths = []
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            paths.append(os.readlink(link))
    return paths


STARTING = """
import sys, threading, time
from pathlib import Path
import linkmatch_ray
from linkmatch_ray.runtime.session import session

begun, over = threading.Event(), threading.Event()

def start(self, ray, held):
    begun.set()
    over.wait()

session.Session._init_ray = start
listed = linkmatch_ray.io.restrictions.restrictions.Restrictions.load

def slow(*arguments, **options):
    begun.wait()
    return listed(*arguments, **options)

linkmatch_ray.io.restrictions.restrictions.Restrictions.load = slow
"""


def test_a_python_program_is_answered_while_a_ray_starts(command_environment, tmp_path):
    """One that never comes up: the error does not wait for it."""
    (tmp_path / "a.jsonl").write_bytes(RECORD)
    code = (
        "import linkmatch_ray.io.restrictions.restrictions\n"
        + STARTING
        + "try: linkmatch_ray.submit('a.jsonl', b'[{}]')\n"
        + "except linkmatch_ray.errors.RestrictionsError as error: print(error, begun.is_set())\n"
        + "over.set()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=command_environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("True\n")


def test_a_program_that_runs_the_command(command_environment, tmp_path):
    """One that goes on behind the command has no Ray then: if it were still ending, it could end the program."""
    (tmp_path / "a.jsonl").write_bytes(RECORD)
    (tmp_path / "list.txt").write_text("a\n")
    code = """
import ray
from typer.testing import CliRunner
from linkmatch_ray.cli.app import app
print(CliRunner().invoke(app, ["submit", "a.jsonl", "-r", "list.txt"]).exit_code, ray.is_initialized())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=command_environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "0 False\n", done.stderr


def test_a_complete_job_starts_nothing(run, tmp_path):
    """Its summary comes from its directory."""
    from linkmatch_ray import MatchOptions
    from linkmatch_ray.runtime.jobs.plan import PlanOptions
    from tests.support import whole

    whole.submit(tmp_path / "a.jsonl", tmp_path / "out", MatchOptions(), PlanOptions())
    (tmp_path / "whole.json").write_text('["a", "b", {"data": 1}]')
    done, started = run("submit", str(tmp_path / "a.jsonl"), "-r", "whole.json", "-o", "out", "--json")
    assert (done.returncode, started) == (0, ""), done.stderr
    assert '"matched": 1' in done.stdout
