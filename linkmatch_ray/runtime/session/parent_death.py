"""No orphans: a process of ours ends when the raylet that started it ends.

Ray's workers check whether their parent is process 1. Where orphans go to another process, as in a desktop session or
a container with a supervisor, they run for another minute. Such a collector holds the lock of its directory.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from functools import cache
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


@cache
def die_with_parent() -> None:
    """Makes the kernel kill this process when its parent exits. Only on Linux; once a process."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
