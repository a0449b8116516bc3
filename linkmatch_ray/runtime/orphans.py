"""No orphans: a process of ours ends when the raylet that started it does.

Ray's workers look whether their parent is process 1, and live on for a minute where orphans go to another one, as in
a desktop session or a container with a supervisor. A collector that lives on holds the lock of its directory.
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
    """Have the kernel kill this process when its parent dies; once a process. Does nothing but on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
