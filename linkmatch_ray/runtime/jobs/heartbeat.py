"""What a task gives while it waits for a slow server: a sign that bytes still come, so that it is not given up."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import wait
from typing import Any, Final

from linkmatch_ray.io.storage.side_by_side import Pool
from linkmatch_ray.io.storage.traffic import traffic

BEAT_SECONDS_MAX: Final = 30.0
BEATS: Final = 10
"""In the time after which a task without a sign is given up, one that has bytes come gives so many, or more."""


def beat_seconds(task_seconds: float) -> float:
    """How often a sign is given, for tasks that are given up after `task_seconds` without any."""
    return min(BEAT_SECONDS_MAX, task_seconds / BEATS)


def with_heartbeat(pairs: Iterator[Any], seconds: float) -> Iterator[Any]:
    """The same, a body and then its header; and a pair of Nones if bytes, but no pair, have come for `seconds`.

    Each object is made on another thread, when it is asked for, as it would be without.
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
    """The next object, after heartbeats."""
    before = traffic.nbytes
    coming = pool.submit(next, pairs, _END)
    while not wait([coming], seconds).done:
        if traffic.nbytes != before:
            before = traffic.nbytes
            yield None
            yield None
    return coming.result()
