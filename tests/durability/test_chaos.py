"""A few of the seeds that `scripts/chaos` goes through by the dozen."""

import os
import subprocess
import sys

import pytest

from tests.conftest import REPO

pytestmark = pytest.mark.slow


SEEDS = 2


def test_a_few_kills(command_environment):
    """A worker of an update, the program: every byte as without them."""
    command = [sys.executable, REPO / "scripts" / "chaos", "--seeds", str(SEEDS), "--first", "2"]
    command += ["--records", "100000"]  # the kills of these seeds come within a second: enough is left then
    done = subprocess.run(command, env=command_environment, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SEEDS} kills landed, every byte as without them" in done.stdout


def test_the_steps_are_there():
    """Each name of a step is that of a function, so that a seed can kill at it."""
    code = (
        "from importlib import import_module; from operator import attrgetter; from faults import steps\n"
        "for step in steps.STEPS | steps.STEPS_AT_URL:\n"
        "    module, path = step.split(':')\n"
        "    assert callable(attrgetter(path)(import_module(f'linkmatch_ray.{module}'))), step\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{REPO}:{REPO / 'scripts'}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
