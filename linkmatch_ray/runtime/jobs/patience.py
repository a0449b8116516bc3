"""Waiting for what may take long before a job has its collector, unless the job is to stop meanwhile.

Ray starts, nodes are looked at, the plan reads the beginning of large inputs: all of it may wait for others. It is done
on a thread that is left behind if the job is to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Event
from typing import Final, TypeVar

from linkmatch_ray.errors import Interrupted
from linkmatch_ray.io.results.interface import Results
from linkmatch_ray.io.storage.side_by_side import Pool
from linkmatch_ray.io.storage.system_errors import reported_as_job_errors

R = TypeVar("R")

LOOK_SECONDS: Final = 0.25
"""How often to look whether to stop."""

HOLD_SECONDS: Final = 0.5
"""What takes no longer than this is not worth holding a place for."""

RELEASE_SECONDS: Final = 1.0
"""How long to wait until the place is given back, if the job is to stop."""


def unless_stopped(do: Callable[[], R], stop: Event, beside: Future[None] | None = None) -> R:
    """Return what `do` returns.

    Raises:
        Interrupted: `stop` was set.
        Exception: what `do` raises, or what is done beside it.
    """
    coming = Pool(1).submit(do)
    while not wait([coming], LOOK_SECONDS).done:
        if stop.is_set():
            raise Interrupted("stopped on request.")
        if beside is not None and beside.done():
            beside.result()
    return coming.result()


def holding(results: Results, do: Callable[[], R], stop: Event) -> R:
    """As `unless_stopped`; meanwhile the place of the results is held, so that `cancel` finds the job and stops it.

    Raises:
        DirectoryInUse: another job writes there.
    """
    over = Event()
    held = Pool(1).submit(_hold, results, stop, over)
    try:
        found = unless_stopped(do, stop, held)
        over.set()
        unless_stopped(held.result, stop)  # the collector takes the place next
    finally:
        over.set()
        wait([held], RELEASE_SECONDS)
    if stop.is_set():
        raise Interrupted("stopped on request.")
    return found


def _hold(results: Results, stop: Event, over: Event) -> None:
    if over.wait(HOLD_SECONDS):
        return
    with reported_as_job_errors(results):
        results.prepare()
        release = results.lock()
        try:
            while not (over.wait(LOOK_SECONDS) or stop.is_set()):
                if results.is_asked_to_stop():
                    stop.set()
            if results.is_asked_to_stop():  # since then: letting go of the place forgets it
                stop.set()
        finally:
            release()
