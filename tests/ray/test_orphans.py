"""What a process has started goes with it, if it ends at once."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import os, subprocess, sys
from linkmatch_ray.runtime.session.parent_death import clear_up_after_exit
child = subprocess.Popen(["sh", "-c", "(echo ready; cat) <&3 & wait"], stdin=3, pass_fds=[3], stdout=subprocess.PIPE)
assert child.stdout.readline() == b"ready\\n"
clear_up_after_exit(sys.argv[1:])
assert child.poll() is None
print("alive", flush=True)
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_all_the_way_down(tmp_path):
    """Children and theirs are killed, and directories removed, once the process has exited and not before."""
    (tmp_path / "theirs/r").mkdir(parents=True)
    silent = subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE)  # its pipe stays open, and says nothing
    try:
        command = ["sh", "-c", 'exec "$@" 3<&0', "sh", sys.executable, "-c", PROGRAM, tmp_path / "theirs"]
        done = subprocess.run(command, stdin=silent.stdout, capture_output=True, text=True, timeout=50)  # of all
    finally:
        silent.kill()
        silent.communicate()
    assert done.stdout == "alive\n", done.stderr
    assert list(tmp_path.iterdir()) == []
