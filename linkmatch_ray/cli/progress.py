"""Progress, shown while the user waits: a bar on a terminal, lines in the log of a Ray job."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from linkmatch_ray.cli.formatting import RATE_SECONDS_MIN, number, plural, size
from linkmatch_ray.cli.printer import terminal
from linkmatch_ray.runtime.session.address import is_ray_job

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

    from linkmatch_ray import Progress as JobProgress

PROGRESS_SECONDS: Final = 10.0
"""Interval between lines of progress in a log."""

FIRST_SECONDS: Final = 1.0
"""Time before the first line in a log. What takes less needs none."""


@contextmanager
def progress_display(enabled: bool) -> Iterator[Any]:
    """Gives a function that shows a `Progress`: as a bar on a terminal, as lines in the log of a Ray job."""
    if not enabled or not (sys.stderr.isatty() or is_ray_job()):
        yield lambda progress: None
        return
    if is_ray_job():
        yield _ProgressLines().show
        return
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %  {task.description}"),
        TimeRemainingColumn(compact=True),
    )
    with _drawn(*columns) as bar:
        task = bar.add_task("", total=None)
        began: list[tuple[float, int]] = []

        def show(progress: JobProgress) -> None:
            if not progress.bytes_done and not progress.files_done:
                bar.update(task, description=progress.doing or "matching")
                return
            now = bar.get_time()
            if not began:
                began.append((now, progress.bytes_done))
            seconds, nbytes = now - began[0][0], progress.bytes_done - began[0][1]
            rate = nbytes / seconds if seconds > RATE_SECONDS_MIN else 0
            said = progress_line(progress) + (f" · {size(rate)}/s" if rate else "")
            total = max(progress.bytes_total, progress.bytes_done, 1)
            bar.update(task, total=total, completed=progress.bytes_done, description=said)

        yield show


@contextmanager
def listing_display(enabled: bool) -> Iterator[Callable[[int], None]]:
    """Gives a function that shows how many files were found so far."""
    if not enabled or not (sys.stderr.isatty() or is_ray_job()):
        yield lambda found: None
        return
    if is_ray_job():
        with _listing_lines() as on_progress:
            yield on_progress
        return
    from rich.progress import TextColumn

    with _drawn(TextColumn("{task.description}")) as spinner:
        task = spinner.add_task("listing the inputs", total=None)
        yield lambda found: spinner.update(task, description=f"listing the inputs: {number(found)} found")


def _drawn(*columns: ProgressColumn) -> Progress:
    """Returns a display on the terminal. Only the display writes there directly: messages go through the printer."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn

    console = Console(file=terminal())
    return Progress(
        SpinnerColumn(), *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    )


def progress_line(progress: JobProgress) -> str:
    """Returns how far a job is, in one line."""
    counts = progress.counts
    parts = [
        f"{number(progress.files_done)}/{plural(progress.files, 'file')}",
        size(progress.bytes_done),
        plural(counts.records, "record"),
        f"{number(counts.matched)} matched",
    ]
    if counts.entries:
        parts.append(f"{plural(counts.entries, 'entry')} in quarantine")
    if progress.needs_memory:
        parts.append(memory_line(progress.needs_memory))
    return " · ".join(parts)


def memory_line(nbytes: int) -> str:
    """Returns that files are read only as there is memory for them."""
    return f"zstd data that needs {size(nbytes)} at once is read as memory allows"


@contextmanager
def _listing_lines() -> Iterator[Callable[[int], None]]:
    """Prints a line to the log every few seconds while inputs are listed, even if none was found yet."""
    over, found = threading.Event(), 0

    def on_progress(so_far: int) -> None:
        nonlocal found
        found = so_far

    def show() -> None:
        seconds = FIRST_SECONDS
        while not over.wait(seconds):
            print(f"listing the inputs: {plural(found, 'file')} found so far", file=sys.stderr, flush=True)
            seconds = PROGRESS_SECONDS

    threading.Thread(target=show, daemon=True).start()
    try:
        yield on_progress
    finally:
        over.set()


class _ProgressLines:
    """Progress as lines in a log, every few seconds.

    Before the job matches, a line says what it does instead. The first progress is printed at once.
    """

    def __init__(self) -> None:
        self._next, self._has_done = time.monotonic() + FIRST_SECONDS, False

    def show(self, progress: JobProgress) -> None:
        now, done = time.monotonic(), bool(progress.bytes_done or progress.files_done)
        line = progress_line(progress) if done else progress.doing
        if line and (now >= self._next or (done and not self._has_done)):
            self._next, self._has_done = now + PROGRESS_SECONDS, done
            print(line, file=sys.stderr, flush=True)
