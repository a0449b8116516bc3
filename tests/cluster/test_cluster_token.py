"""Runs `cluster_token.py` in a process of its own: its tests change the token and the mode that Ray reads, of which a
process that is connected to a Ray has only one."""

import subprocess
import sys

import pytest

from tests.conftest import ENVIRONMENT, REPO

pytestmark = pytest.mark.slow


def test_in_a_process_of_its_own():
    """All of them pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "tests/support/cluster_token.py"]
    done = subprocess.run(command, cwd=REPO, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout or "[100%]" in done.stdout
