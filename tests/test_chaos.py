"""A handful of the seeds that `scripts/chaos` goes through by the dozen."""

import os
import random
import subprocess
import sys

import pytest

from tests.conftest import REPO


@pytest.mark.parametrize(("seeds", "options"), [(4, []), (2, ["--at-url"])], ids=["directory", "url"])
def test_a_handful_of_kills(seeds, options, command_environment):
    """Every byte as without them; CI takes the same seeds every time."""
    first = 0 if os.environ.get("CI") else random.randrange(1 << 20)
    command = [sys.executable, REPO / "scripts" / "chaos", "--seeds", str(seeds), "--first", str(first), *options]
    done = subprocess.run(command, env=command_environment, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{seeds} kills landed, every byte as without them" in done.stdout
