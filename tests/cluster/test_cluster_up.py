"""cluster.yaml is brought up for real, over ssh to this machine."""

import subprocess
import sys

import pytest

from tests.conftest import REPO

pytestmark = pytest.mark.slow

MISSING = 77
SECONDS_MAX = 300  # the script ends by itself before


def test_a_cluster_comes_up_matches_and_goes_down(command_environment):
    """`ray up`, a job with the token, a request without it, `ray down`."""
    command = [sys.executable, REPO / "scripts" / "cluster-loopback"]
    done = subprocess.run(command, env=command_environment, capture_output=True, text=True, timeout=SECONDS_MAX)
    if done.returncode == MISSING:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "without the token: 401" in done.stdout
    assert "62 of 778 records matched on the cluster, which is down again" in done.stdout
