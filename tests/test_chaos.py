"""A handful of the seeds that `scripts/chaos` goes through by the dozen."""

import subprocess
import sys

import pytest

from tests.conftest import REPO

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("seeds", "options"), [(4, []), (2, ["--at-url"])], ids=["directory", "url"])
def test_a_handful_of_kills(seeds, options, command_environment):
    """Every byte as without them; the same seeds every time."""
    command = [sys.executable, REPO / "scripts" / "chaos", "--seeds", str(seeds), "--first", "0", *options]
    done = subprocess.run(command, env=command_environment, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{seeds} kills landed, every byte as without them" in done.stdout
