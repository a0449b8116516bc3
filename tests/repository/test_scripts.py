"""The scripts that search and measure run, at toy size; `scripts/sanitize` in test_sanitizers."""

import subprocess
import sys

import pytest

from tests.conftest import REPO

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["fuzz", "straddle", "windows", "jobs", "--first", "1", "--cases", "3"], "jobs: 3 cases from seed 1"),
        (["fuzz", "kernel", "--first", "1", "--cases", "3"], "kernel: 3 cases from seed 1"),
        (["hash-quality", "--keys", "100000"], "100,000 keys: 0 collisions"),
        (["simulate", "--seeds", "3", "--first", "1"], "3 histories from seed 1"),
        (["leftovers", "1"], "SIGKILL  1 tries"),
        (["bench-scale", "2000", "100"], "20 tasks"),
        (["bench-linear", "blank lines", "gzip members", "--bytes", "2000"], "gzip members"),
    ],
)
def test_script(command, said, command_environment):
    """It says what it did; how fast that was is not judged here."""
    name, *options = command
    line = [sys.executable, REPO / "scripts" / name, *options]
    done = subprocess.run(line, env=command_environment, capture_output=True, text=True, check=False, timeout=120)
    assert said in done.stdout, done.stdout + done.stderr
    assert not done.stderr
