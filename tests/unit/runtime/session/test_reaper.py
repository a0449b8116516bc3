"""What an embedded Ray leaves behind goes when the program has exited, however it did, and nothing else does."""

import os
import shutil
import subprocess
import sys

import pytest

from linkmatch_ray.runtime.session.reaper import MARK, Reaper
from tests.support.waiting import SECONDS_MAX, comes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

PROGRAM = """
import os, subprocess, sys
from linkmatch_ray.runtime.session.reaper import MARK, Reaper
directory, way = sys.argv[1:]
Reaper(directory, directory)
deeper = ["sh", "-c", "sleep 60 & echo $!; wait"]
marked = subprocess.Popen(deeper, env={**os.environ, MARK: directory}, stdout=subprocess.PIPE)
print(marked.pid, int(marked.stdout.readline()), flush=True)
sys.stdin.read(1)
if way == "exits":
    os._exit(0)
os.kill(os.getpid(), int(way))
"""


def is_alive(pid):
    """Whether a process runs; one that only waits to be reaped by its parent does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def other(tmp_path):
    """A process of another Ray, whose directory's name begins in the same way."""
    process = subprocess.Popen(["sleep", "60"], env=os.environ | {MARK: f"{tmp_path / 'theirs'}x"})
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("way", ["exits", "9", "15"])
def test_all_the_way_down(way, other, tmp_path):
    """Marked processes are killed, and the directory removed, once the program has exited and not before."""
    (tmp_path / "theirs/r").mkdir(parents=True)
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, tmp_path / "theirs", way], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    marked = [int(pid) for pid in program.stdout.readline().split()]
    assert len(marked) == 2
    assert all(map(is_alive, marked))
    assert (tmp_path / "theirs/r").is_dir()
    program.communicate(b"x")
    assert comes(lambda: not any(map(is_alive, marked)))
    assert comes(lambda: not list(tmp_path.iterdir()))
    assert other.poll() is None


@pytest.mark.parametrize(("name", "is_killed"), [("ray::DashboardAgent", True), ("tail of ray::logs", False)])
def test_who_has_no_environment(name, is_killed, tmp_path):
    """Ray's agents overwrite theirs; they have their logs open. Others that have these open are not ended."""
    directory = tmp_path / "a [b]*"
    directory.mkdir()
    with open(directory / "agent.log", "w") as log:
        process = subprocess.Popen([name, "60"], executable=shutil.which("sleep"), stderr=log, env={})
    reaper = Reaper(str(directory), str(directory))
    reaper.reap()
    assert comes(lambda: not list(tmp_path.iterdir()))
    assert (process.poll() == -9) == is_killed
    process.kill()
    process.wait()


def test_a_directory_that_is_kept(tmp_path):
    """It stays, and the marked processes still end; the program need not exit for that."""
    marked = subprocess.Popen(["sleep", "60"], env=os.environ | {MARK: str(tmp_path)})
    reaper = Reaper(str(tmp_path), None)
    reaper.reap()
    assert marked.wait(SECONDS_MAX) == -9
    assert tmp_path.is_dir()
