"""The directory of an embedded Ray's files: its owner's alone, and removed by the next start if nobody else did."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from linkmatch_ray.errors import ClusterError
from linkmatch_ray.runtime.session.ray_directory import LONGEST_SOCKET, LONGEST_SOCKET_OF_DASHBOARD, RayDirectory, place

HOLD = """
import sys
from linkmatch_ray.runtime.session.ray_directory import RayDirectory
directory = RayDirectory()
print(directory.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def above(monkeypatch):
    """Where Ray's files are to be kept: an empty directory with a short name."""
    path = Path(tempfile.mkdtemp(prefix="d", dir="/tmp"))
    monkeypatch.setenv("RAY_TMPDIR", str(path))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def left(above):
    """One whose process was killed, with Ray's files in it."""
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    path = Path(process.stdout.readline().rstrip())
    (path / "session").mkdir()
    (path / "session" / "log").write_text("log")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return path.parent


@pytest.mark.parametrize("umask", [0, 0o077])
def test_nobody_else_can_enter(above, umask):
    """Whatever the umask, and whatever mode Ray gives to the part that is its own; at the end all is gone."""
    before = os.umask(umask)
    try:
        directory = RayDirectory()
    finally:
        os.umask(before)
    os.chmod(directory.path, 0o777)
    assert stat.S_IMODE(os.stat(os.path.dirname(directory.path)).st_mode) == 0o700
    Path(directory.path, "file").touch()
    directory.remove()
    assert list(above.iterdir()) == []


def test_the_next_start_removes_what_was_left(above, left):
    """But not what a living process holds, nor what is to be kept."""
    kept = RayDirectory(kept=True)
    kept.remove()
    held = RayDirectory()
    assert not left.exists()
    RayDirectory().remove()
    assert sorted(above.iterdir()) == sorted(Path(each.path).parent for each in (kept, held))
    held.remove()


def test_the_next_start_removes_what_ray_made_again(above):
    """A worker that starts while the session ends makes its directories once more, and with a mode of its own."""
    again = above / "lmr-abcdefgh" / "r" / "session" / "logs"
    again.mkdir(0o755, parents=True)
    again.parents[2].chmod(0o755)
    RayDirectory().remove()
    assert not list(above.iterdir())


def test_it_removes_nothing_else(above, left, tmp_path):
    """Not what a link points at, not what has other files in it or another mode or owner, not files."""
    (above / "lmr-abcdefgh").symlink_to(left)
    others = tmp_path / "others"
    others.mkdir(0o700)
    (others / "r").mkdir()
    (above / "lmr-ijklmnop").symlink_to(others)
    (left / "mine").touch()
    (above / "lmr-letters_").mkdir(0o755)
    (above / "lmr-file0000").touch()
    (above / "lmr-somethinglonger").mkdir(0o700)
    if os.geteuid() == 0:
        (above / "lmr-stranger").mkdir(0o700)
        os.chown(above / "lmr-stranger", 65534, 65534)
    before = sorted(above.rglob("*"))
    RayDirectory().remove()
    assert sorted(above.rglob("*")) == before
    assert (others / "r").exists()
    (left / "mine").unlink()
    RayDirectory().remove()
    assert not left.exists()


def test_the_place_is_one_that_sockets_fit_into(monkeypatch):
    """RAY_TMPDIR is refused if it is too long or not UTF-8; TMPDIR is passed over."""
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/tmp/" + "x" * 40)
    assert place() == "/tmp"
    monkeypatch.setenv("TMPDIR", "/tmp/\udcff")
    assert place() == "/tmp"
    monkeypatch.setenv("TMPDIR", "/dev/shm")
    assert place() == "/dev/shm"
    for dashboard, socket in ((False, LONGEST_SOCKET), (True, LONGEST_SOCKET_OF_DASHBOARD)):
        fits = "/" + "x" * (107 - len("//lmr-12345678/r/") - len(socket))
        monkeypatch.setenv("RAY_TMPDIR", fits)
        assert place(dashboard=dashboard) == fits
        assert len(f"{fits}/lmr-12345678/r/{socket}") == 107
        monkeypatch.setenv("RAY_TMPDIR", f"{fits}x")
        with pytest.raises(ClusterError, match=r"RAY_TMPDIR: /x+ is no place .* at most \d+ bytes\. Name a shorter"):
            place(dashboard=dashboard)
    monkeypatch.setenv("RAY_TMPDIR", "/tmp/\udcff")
    with pytest.raises(ClusterError, match="in UTF-8"):
        place()


def test_where_it_cannot_be_made(monkeypatch):
    """It says where, and what to do."""
    monkeypatch.setenv("RAY_TMPDIR", "/proc/none")
    with pytest.raises(ClusterError, match=r"/proc/none: .*RAY_TMPDIR"):
        RayDirectory()
