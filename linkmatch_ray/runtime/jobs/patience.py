"""Waits that end early if the job is to stop, or if its Ray is gone.

Before a job has its collector, Ray starts, nodes are surveyed, and the plan reads the beginnings of large
inputs. All of this may wait for other machines, so it runs on a thread that is abandoned if the job is to stop.
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

CUT_OFF_SECONDS: Final = 5.0
"""Time in which a call to Ray ends as a rule once Ray was shut down."""

LOOK_SECONDS: Final = 0.25
"""Interval in which the job checks whether to stop."""

HOLD_SECONDS: Final = 0.5
"""Time before the place is locked. Work that takes less needs no lock."""

RELEASE_SECONDS: Final = 1.0
"""Time limit for unlocking the place if the job is to stop."""


def unless_stopped(do: Callable[[], R], stop: Event, beside: Future[None] | None = None) -> R:
    """Runs `do`, and returns its result.

    Raises:
        Interrupted: `stop` was set.
        Exception: `do` or `beside` raised it.
    """
    coming = Pool(1).submit(do)
    while not wait([coming], LOOK_SECONDS).done:
        if stop.is_set():
            raise Interrupted("stopped on request.")
        if beside is not None and beside.done():
            beside.result()
    return coming.result()


def unless_cut_off(do: Callable[[], R], is_cut_off: Callable[[], bool], error: Exception) -> R:
    """Runs `do`, and returns its result. It is abandoned if it does not end after Ray was shut down.

    A call to Ray may never return if another thread shuts Ray down meanwhile.

    Raises:
        Exception: `do` raised it; or `error`, if `do` was abandoned.
    """
    coming = Pool(1).submit(do)
    while not wait([coming], LOOK_SECONDS).done:
        if is_cut_off() and not wait([coming], CUT_OFF_SECONDS).done:
            raise error
    return coming.result()


def holding(results: Results, do: Callable[[], R], stop: Event) -> R:
    """Runs `do` as `unless_stopped` does, with the place of the results locked, so that `cancel` can stop the job.

    Raises:
        DirectoryInUse: Another job writes there.
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
            if results.is_asked_to_stop():  # checked once more, because unlocking the place deletes the request
                stop.set()
        finally:
            release()
