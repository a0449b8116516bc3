"""Calls side by side: their order, how many at a time, what stops them, and that they hold no program."""

import gc
import itertools
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator

import pytest

from linkmatch_ray.io.storage.side_by_side import Pool, side_by_side

AT_ONCE = 4


def test_results_are_in_the_order_of_the_items() -> None:
    """However late one of them comes."""
    last = threading.Event()

    def do(item: int) -> int:
        if item == AT_ONCE - 1:
            last.set()
        assert last.wait(10)
        return item * item

    assert list(side_by_side(do, range(100), AT_ONCE)) == [item * item for item in range(100)]


def test_so_many_at_a_time_and_no_more_ahead() -> None:
    """All threads work at the same time, and an endless iterable is read no further than they need."""
    together, taken = threading.Barrier(AT_ONCE), []

    def items() -> Iterator[int]:
        for item in itertools.count():
            taken.append(item)
            yield item

    found = side_by_side(lambda item: (together.wait(10), item)[1], items(), AT_ONCE)
    assert next(found) == 0
    assert taken == list(range(AT_ONCE))


def test_an_exception_is_raised_in_its_place() -> None:
    """After the results before it; nothing more is begun then."""
    begun = []

    def do(item: int) -> int:
        begun.append(item)
        if item == 5:
            raise ValueError(item)
        return item

    found = side_by_side(do, itertools.count(), AT_ONCE)
    assert [next(found) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="5"):
        next(found)
    assert next(found, None) is None
    assert max(begun) < 5 + AT_ONCE


def test_a_closed_pool_begins_nothing_more() -> None:
    """What waits is cancelled, what has begun is given."""
    begun, go = threading.Event(), threading.Event()
    pool = Pool(1)
    first = pool.submit(lambda: (begun.set(), go.wait(10))[1])
    second = pool.submit(begun.clear)
    assert begun.wait(10)
    pool.close()
    go.set()
    assert first.result(10) is True
    assert second.cancelled()
    assert begun.is_set()


def test_a_call_that_never_returns_holds_no_program() -> None:
    """A program with one ends, where a `ThreadPoolExecutor` would wait for it at the interpreter's exit."""
    program = """
import threading
from linkmatch_ray.io.storage.side_by_side import side_by_side
begun = threading.Barrier(3)
def never(item):
    if item:
        begun.wait(10)
        threading.Event().wait()
    return item
print(next(side_by_side(never, range(3), 3)))
begun.wait(10)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout == "0\n"


def test_an_error_is_let_go() -> None:
    """And with it all that it went through: a task's generator that stays has the buffers that the next one uses."""

    class FailedError(Exception):
        pass

    def fail(_: int) -> None:
        raise FailedError

    gc.collect()
    gc.disable()
    try:
        try:
            next(side_by_side(fail, range(3), 3))
        except FailedError as error:
            kept = weakref.ref(error)
        assert kept() is None
    finally:
        gc.enable()
