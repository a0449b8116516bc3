"""What a process has started goes with it, if it ends at once."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import subprocess, sys
from linkmatch_ray.runtime.session.parent_death import kill_descendants
child = subprocess.Popen(["sh", "-c", "(echo ready; cat) <&3 & wait"], stdin=3, pass_fds=[3], stdout=subprocess.PIPE)
assert child.stdout.readline() == b"ready\\n"
kill_descendants()
assert child.stdout.read() == b""  # the end comes when nobody has the pipe any more
assert child.wait() == -9
print("alive")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_all_the_way_down():
    """Children and theirs are killed, and the process itself is not."""
    silent = subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE)  # its pipe stays open, and says nothing
    try:
        command = ["sh", "-c", 'exec "$@" 3<&0', "sh", sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, stdin=silent.stdout, capture_output=True, text=True, timeout=50)
    finally:
        silent.kill()
        silent.communicate()
    assert done.stdout == "alive\n", done.stderr
