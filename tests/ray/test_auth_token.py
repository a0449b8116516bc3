"""The token of an embedded Ray is its owner's alone, from its first moment and at each start."""

import logging
import os
import stat
import subprocess
import sys

import pytest

from linkmatch_ray.errors import ClusterError
from linkmatch_ray.runtime.session.auth_token import keep_token

pytestmark = pytest.mark.slow

NOBODY = 65534


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home directory, and no other token."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def modes(home):
    return [oct(stat.S_IMODE(os.lstat(path).st_mode)) for path in (home / ".ray", home / ".ray/auth_token")]


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_made_as_it_should_be(home, umask, monkeypatch):
    """Whatever the umask: it is never open to others, so no mode has to be changed."""
    monkeypatch.setattr(os, "fchmod", lambda *_: pytest.fail("was open to others"))
    before = os.umask(umask)
    try:
        keep_token()
    finally:
        os.umask(before)
    assert modes(home) == ["0o700", "0o600"]
    token = (home / ".ray/auth_token").read_text()
    assert len(token) == 64
    keep_token()
    assert (home / ".ray/auth_token").read_text() == token


def test_an_open_one_is_closed(home):
    """Ray made it so; the token stays, and a stricter mode too."""
    (home / ".ray").mkdir(0o755)
    path = home / ".ray/auth_token"
    path.write_text("known")
    path.chmod(0o644)
    keep_token()
    assert modes(home) == ["0o700", "0o600"]
    path.chmod(0o400)
    keep_token()
    assert modes(home) == ["0o700", "0o400"]
    assert path.read_text() == "known"


def test_an_empty_one_is_filled(home):
    """A start that was killed left it."""
    (home / ".ray").mkdir(0o700)
    (home / ".ray/auth_token").touch(0o600)
    keep_token()
    assert len((home / ".ray/auth_token").read_text()) == 64


def test_links_are_refused(home):
    """The file and its directory; what they point at is not touched."""
    (home / "other").write_text("other")
    (home / "other").chmod(0o644)
    (home / ".ray").mkdir(0o700)
    (home / ".ray/auth_token").symlink_to(home / "other")
    with pytest.raises(ClusterError, match=r"/\.ray/auth_token: is a link\. .*RAY_AUTH_TOKEN_PATH"):
        keep_token()
    assert stat.S_IMODE((home / "other").stat().st_mode) == 0o644
    (home / ".ray").rename(home / "elsewhere")
    (home / ".ray").symlink_to(home / "elsewhere")
    with pytest.raises(ClusterError, match=r"/\.ray: is a link\."):
        keep_token()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", [".ray", ".ray/auth_token"])
def test_somebody_elses_is_refused(home, name):
    """Who owns it knows the token."""
    keep_token()
    os.chown(home / name, NOBODY, NOBODY)
    with pytest.raises(ClusterError, match=rf"{name}: belongs to another user \({NOBODY}\)"):
        keep_token()


def test_a_file_system_without_modes(home, monkeypatch, caplog):
    """A warning, no error."""
    keep_token()
    (home / ".ray/auth_token").chmod(0o666)
    monkeypatch.setattr(os, "fchmod", lambda *_: None)
    keep_token()
    ((_, level, said),) = caplog.record_tuples
    assert level == logging.WARNING
    assert said.startswith(f"{home}/.ray/auth_token: other users may enter or read it")


def test_a_token_that_is_named(home, monkeypatch):
    """A file is looked at where it is, also through a link; one that is missing is named; a variable needs no file."""
    path = home / "mine"
    path.write_text("token")
    path.chmod(0o644)
    (home / "link").symlink_to(path)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "link"))
    keep_token()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    with pytest.raises(ClusterError, match=r"/link: "):
        keep_token()
    monkeypatch.setenv("RAY_AUTH_TOKEN", "token")
    keep_token()
    assert not (home / ".ray").exists()


def test_no_token_is_warned_of(home, monkeypatch, caplog):
    """Who has switched it off is told what that means."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    keep_token()
    assert "every user of this machine can run commands as you" in caplog.text
    assert not (home / ".ray").exists()


def test_many_starts_make_one_token(home):
    """They find the same, whoever is first."""
    code = "from pathlib import Path; from linkmatch_ray.runtime.session.auth_token import keep_token; keep_token();"
    code += "print(Path('~/.ray/auth_token').expanduser().read_text())"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(8)]
    said = {process.communicate(timeout=60)[0] for process in started}
    assert len(said) == 1
    assert len(said.pop()) == 65
