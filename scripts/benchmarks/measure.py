"""Run one command: its time, its exit code, and the memory of its processes."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_INTERVAL_S = 0.2
LEFTOVER_GRACE_S = 5.0
"""How long a command's children may outlive it before they count as left behind."""

_PR_SET_CHILD_SUBREAPER = 36


@dataclass(slots=True)
class Outcome:
    """What one run gave; `stopped` says why it was ended early, if it was."""

    seconds: float = 0.0
    code: int = 0
    stdout: str = ""
    stderr: str = ""
    stopped: str = ""
    left_behind: int = 0
    anonymous_peak: int = 0
    peak_process: str = ""
    total_peak: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """When a command is ended early."""

    seconds: float
    memory_bytes: int


@dataclass(slots=True)
class Tree:
    """The descendants of this process, found anew in every sample."""

    own: int = field(default_factory=os.getpid)

    def processes(self) -> dict[int, str]:
        """Return the name of every living descendant by its id."""
        parents: dict[int, int] = {}
        names: dict[int, str] = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                text = Path(f"/proc/{entry}/stat").read_text(errors="replace")
            except OSError:
                continue  # It ended between the two looks.
            # The name is in parentheses and may hold anything, parentheses too.
            name, _, rest = text.partition("(")[2].rpartition(")")
            state, parent = rest.split()[:2]
            if state != "Z":
                parents[int(entry)] = int(parent)
                names[int(entry)] = name
        found: dict[int, str] = {}
        level = {self.own}
        while level:
            level = {pid for pid, parent in parents.items() if parent in level}
            found.update((pid, names[pid]) for pid in level)
        return found


def adopt_orphans() -> None:
    """Make this process the parent of descendants whose own parent has ended.

    Without it a daemon that a command leaves behind would be out of sight.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def measure(command: Sequence[str], scratch: Path, limits: Limits) -> Outcome:
    """Run a command to its end, or to a limit, and see that nothing is left of it."""
    outcome, tree = Outcome(), Tree()
    out, err = scratch / "stdout", scratch / "stderr"
    # What the last command wrote should not be flushed at this one's expense.
    os.sync()
    with out.open("wb") as stdout, err.open("wb") as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            _watch(process, start, outcome, tree, limits)
        finally:
            outcome.seconds = outcome.seconds or time.perf_counter() - start
            # Still running: at a limit, or this program itself is being stopped.
            ended = process.poll() is not None
            outcome.left_behind = _clear(tree, process, graceful=ended)
    outcome.code = process.returncode
    outcome.stdout = out.read_text(errors="replace")
    outcome.stderr = err.read_text(errors="replace")
    return outcome


def _watch(
    process: subprocess.Popen[bytes],
    start: float,
    outcome: Outcome,
    tree: Tree,
    limits: Limits,
) -> None:
    """Sample memory until the command ends or passes a limit."""
    # A file descriptor wakes at once; Popen.wait looks every 50 ms.
    descriptor = os.pidfd_open(process.pid)
    try:
        while not select.select([descriptor], [], [], SAMPLE_INTERVAL_S)[0]:
            total = _sample(tree, outcome)
            if time.perf_counter() - start > limits.seconds:
                outcome.stopped = f"over {limits.seconds:.0f} s"
            elif total > limits.memory_bytes:
                outcome.stopped = f"over {limits.memory_bytes / 1e9:.0f} GB of memory"
            if outcome.stopped:
                break
        outcome.seconds = time.perf_counter() - start
    finally:
        os.close(descriptor)


def _sample(tree: Tree, outcome: Outcome) -> int:
    """Note the largest process and return the anonymous memory of all of them."""
    total = 0
    for pid, name in tree.processes().items():
        # RssAnon is a counter; adding up smaps would stop a large process to walk it.
        try:
            status = Path(f"/proc/{pid}/status").read_text(errors="replace")
        except OSError:
            continue
        _, _, rest = status.partition("RssAnon:")
        size = int(rest.split(None, 1)[0]) * 1024 if rest else 0
        total += size
        if size > outcome.anonymous_peak:
            outcome.anonymous_peak, outcome.peak_process = size, name
    outcome.total_peak = max(outcome.total_peak, total)
    return total


def _clear(tree: Tree, process: subprocess.Popen[bytes], *, graceful: bool) -> int:
    """End what is left of a command and return how many processes that were."""
    deadline = time.perf_counter() + (LEFTOVER_GRACE_S if graceful else 0)
    while (left := tree.processes()) and time.perf_counter() < deadline:
        time.sleep(SAMPLE_INTERVAL_S)
    count = len(left)
    while left:
        for pid in left:
            # Only descendants of this process are listed, so these are ours to end.
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)
        left = tree.processes()
    process.wait()
    _reap()
    return count if graceful else 0


def _reap() -> None:
    """Collect adopted processes that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return
