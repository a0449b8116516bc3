"""No orphans: a process of ours ends when the raylet that started it ends.

Ray's workers check whether their parent is process 1. Where orphans go to another process, as in a desktop session or
a container with a supervisor, they run for another minute. Such a collector holds the lock of its directory.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections import defaultdict
from contextlib import suppress
from functools import cache
from typing import Final

_PR_SET_PDEATHSIG: Final = 1

_CLEAR_UP: Final = 'read -r _; [ -z "$1" ] || kill -KILL $1 2>/dev/null; shift; [ $# = 0 ] || rm -rf -- "$@"'
"""A shell's program. Its standard input is a pipe from this process, and ends when this process has exited."""


@cache
def die_with_parent() -> None:
    """Makes the kernel kill this process when its parent exits. Only on Linux; once a process."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def clear_up_after_exit(directories: list[str]) -> None:
    """Has another process wait until this one has exited, kill its descendants, and remove directories. Only on Linux.

    The kernel kills raylet and control when this process ends, but not what they have started. Ray's agents check their
    parent every two seconds, and write into its directory until they have missed it five times.

    This process cannot do it. A thread that starts Ray makes its directory again, and once Ray's control is killed it
    holds the interpreter for half a minute.
    """
    children = defaultdict(list)
    with suppress(FileNotFoundError):
        for name in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                parent = file.read().rpartition(b")")[2].split()[1]
                children[int(parent)].append(int(name))
    found = [os.getpid()]
    for pid in found:
        found += children[pid]
    reading, _ = os.pipe()  # the other end is open until this process exits
    pids = [str(pid) for pid in found[1:]]
    os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", _CLEAR_UP, "sh", " ".join(pids), *directories],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0)],
    )
    os.close(reading)
