"""Calls that wait for servers, made side by side on threads that never keep the program from ending.

The interpreter joins the threads of a `ThreadPoolExecutor` at its exit. One that waits for a server would hold the
whole program. These are daemon threads, for which only the users of their results wait.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Pool:
    """A pool that runs calls on at most `at_once` threads, begun in the order in which they were submitted.

    A thread ends when nothing is left to begin, so that a forgotten pool leaves nothing behind.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._lock = threading.Lock()
        self._threads = 0
        self._waiting: deque[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = deque()

    def submit(self, do: Callable[..., R], *args: Any) -> Future[R]:
        """Submits a call; returns its future, which can be cancelled until it has begun."""
        future: Future[R] = Future()
        with self._lock:
            self._waiting.append((future, do, args))
            is_short = self._threads < self._at_once
            self._threads += is_short
        if is_short:
            threading.Thread(target=self._work, name="side-by-side", daemon=True).start()
        return future

    def close(self) -> None:
        """Begins nothing more. What has begun goes on, and nothing waits for it."""
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
        for future, _, _ in waiting:
            future.cancel()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    return
                future, do, args = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                _fulfil(future, do, args)
            del future, do, args  # while the thread waits for more, it holds no result


def _fulfil(future: Future[Any], do: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        result = do(*args)
    except BaseException as error:
        future.set_exception(error)
        del future  # the error refers to this frame, which would keep alive all that the error passes
    else:
        future.set_result(result)


def side_by_side(do: Callable[[T], R], items: Iterable[T], at_once: int) -> Iterator[R]:
    """Yields `do(item)` for each item, in the order of the items, and works on up to `at_once` of them at a time.

    Items are taken when their turn comes, so that they may be endless. An exception of `do` is raised in the place of
    its result. If the consumer stops or closes the iterator, nothing more begins.
    """
    pool = Pool(at_once)
    coming: deque[Future[R]] = deque()
    try:
        for item in items:
            coming.append(pool.submit(do, item))
            if len(coming) >= at_once:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        pool.close()
