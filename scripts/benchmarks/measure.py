"""Run one command: its time, its exit code, and the memory of its processes."""

from __future__ import annotations

import ctypes
import os
import select
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.processes import descendants, kill

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
    core_seconds_of: dict[int, float] = field(default_factory=dict)

    @property
    def core_seconds(self) -> float:
        """Processor time of all processes, up to the last look at each."""
        return sum(self.core_seconds_of.values())


@dataclass(frozen=True, slots=True)
class Limits:
    """When a command is ended early."""

    seconds: float
    memory_bytes: int


def adopt_orphans() -> None:
    """Make this process the parent of descendants whose own parent has ended.

    Without it a daemon that a command leaves behind would be out of sight.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def measure(command: Sequence[str], scratch: Path, limits: Limits) -> Outcome:
    """Run a command to its end, or to a limit, and see that nothing is left of it."""
    outcome = Outcome()
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
            _watch(process, start, outcome, limits)
        finally:
            outcome.seconds = outcome.seconds or time.perf_counter() - start
            # Still running: at a limit, or this program itself is being stopped.
            ended = process.poll() is not None
            outcome.left_behind = _clear(process, graceful=ended)
    outcome.code = process.returncode
    outcome.stdout = out.read_text(errors="replace")
    outcome.stderr = err.read_text(errors="replace")
    return outcome


def _watch(
    process: subprocess.Popen[bytes],
    start: float,
    outcome: Outcome,
    limits: Limits,
) -> None:
    """Sample memory and processor time until the command ends or passes a limit."""
    # A file descriptor wakes at once; Popen.wait looks every 50 ms.
    descriptor = os.pidfd_open(process.pid)
    try:
        while not select.select([descriptor], [], [], SAMPLE_INTERVAL_S)[0]:
            total = _sample(outcome)
            if time.perf_counter() - start > limits.seconds:
                outcome.stopped = f"over {limits.seconds:.0f} s"
            elif total > limits.memory_bytes:
                outcome.stopped = f"over {limits.memory_bytes / 1e9:.0f} GB of memory"
            if outcome.stopped:
                break
        outcome.seconds = time.perf_counter() - start
    finally:
        os.close(descriptor)


def _sample(outcome: Outcome) -> int:
    """Note the largest process and return the anonymous memory of all of them."""
    total = 0
    for process in descendants():
        with suppress(psutil.NoSuchProcess):  # it ended between the two looks
            size = anonymous_bytes(process)
            total += size
            used = process.cpu_times()  # the system adds up only what a parent has waited for
            outcome.core_seconds_of[process.pid] = used.user + used.system
            if size > outcome.anonymous_peak:
                outcome.anonymous_peak, outcome.peak_process = size, process.name()
    outcome.total_peak = max(outcome.total_peak, total)
    return total


def anonymous_bytes(process: psutil.Process) -> int:
    """Returns the anonymous memory of a process, from counters: adding up smaps would stop a large one to walk it."""
    memory = process.memory_info()
    return int(memory.rss - memory.shared)


def _clear(process: subprocess.Popen[bytes], *, graceful: bool) -> int:
    """End what is left of a command and return how many processes that were."""
    deadline = time.perf_counter() + (LEFTOVER_GRACE_S if graceful else 0)
    while (left := descendants()) and time.perf_counter() < deadline:
        time.sleep(SAMPLE_INTERVAL_S)
    end_descendants()
    process.wait()
    reap()
    return len(left) if graceful else 0


def end_descendants() -> None:
    """Ends all descendants of this process, also those that start meanwhile."""
    while kill(descendants()):
        time.sleep(0.05)


def reap() -> None:
    """Collects adopted processes that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
