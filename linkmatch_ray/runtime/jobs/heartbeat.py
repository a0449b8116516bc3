"""Heartbeats: a task that waits for a slow server reports that bytes still come, so that it is not given up."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import wait
from typing import Any, Final

from linkmatch_ray.io.storage.side_by_side import Pool
from linkmatch_ray.io.storage.traffic import traffic

BEAT_SECONDS_MAX: Final = 30.0
BEATS: Final = 10
"""Minimum number of heartbeats within the time limit of a task."""


def beat_seconds(task_seconds: float) -> float:
    """Returns the interval of heartbeats for tasks that are given up after `task_seconds` of silence."""
    return min(BEAT_SECONDS_MAX, task_seconds / BEATS)


def with_heartbeat(pairs: Iterator[Any], seconds: float) -> Iterator[Any]:
    """Yields the same pairs of a body and its header, and a pair of Nones for each heartbeat.

    A heartbeat comes after `seconds` in which bytes have arrived but no pair. Each object is made on another thread,
    but only when the next one is requested, as without heartbeats.
    """
    pool = Pool(1)
    try:
        while True:
            body = yield from _beating(pool, pairs, seconds)
            if body is _END:
                return
            yield body
            yield next(pairs)
    finally:
        pool.close()


_END: Final = object()


def _beating(pool: Pool, pairs: Iterator[Any], seconds: float) -> Generator[Any, None, Any]:
    """Yields heartbeats until the next object has come, and returns it."""
    before = traffic.nbytes
    coming = pool.submit(next, pairs, _END)
    while not wait([coming], seconds).done:
        if traffic.nbytes != before:
            before = traffic.nbytes
            yield None
            yield None
    return coming.result()
