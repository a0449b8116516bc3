"""The five ways of the original question: multiprocessing, orjson, a set of keys.

A task is a file in all of them; they differ in how the matched records come back, and
all of them end with every matched record, as bytes, in the parent.
"""

from __future__ import annotations

import gzip
import io
import multiprocessing
import os
from collections.abc import Callable, Iterator
from itertools import chain
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import zstandard

from .ways import Work

# Forked workers inherit the keys without copying or pickling: the best case for them.
_CONTEXT = multiprocessing.get_context("fork")


def _open_zstd(path: Path, mode: str) -> BinaryIO:
    return io.BufferedReader(zstandard.open(path, mode))


_OPEN: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".zst": _open_zstd}


class _Worker:
    """What a worker process was given when it started."""

    keys: frozenset[Any]
    layout: str
    channel: Any
    output: BinaryIO


def matches(work: Work) -> int:
    """Run the way asked for and return how many records it kept."""
    ways: dict[str, Callable[[Work], int]] = {
        "pool-manager-list": _manager_list,
        "pool-returned": _returned,
        "pool-queue": _queue,
        "pool-files": _files,
        "pool-threads": _threads,
    }
    entries = orjson.loads(work.restrictions.read_bytes())
    _Worker.keys = frozenset(entry["data"] for entry in entries)
    _Worker.layout = work.layout
    return ways[work.way](work)


def _matched(path: Path) -> Iterator[bytes]:
    """Yield a file's matched records: lines verbatim, elements written anew."""
    keys, missing, loads = _Worker.keys, object(), orjson.loads
    if _Worker.layout == "lines":
        # Line by line over an open file: no copy of the whole file in memory.
        with _OPEN.get(path.suffix, open)(path, "rb") as lines:
            for line in lines:
                if loads(line).get("data", missing) in keys:
                    yield line
        return
    for record in loads(path.read_bytes()):
        if record.get("data", missing) in keys:
            yield orjson.dumps(record)


def _set_channel(channel: Any) -> None:
    _Worker.channel = channel


def _append(path: Path) -> None:
    for record in _matched(path):
        _Worker.channel.append(record)


def _manager_list(work: Work) -> int:
    """Share a list between the workers through a manager process."""
    with _CONTEXT.Manager() as manager:
        shared = manager.list()
        with _CONTEXT.Pool(work.workers, _set_channel, (shared,)) as pool:
            pool.map(_append, work.files())
        return len(list(shared))


def _listed(path: Path) -> list[bytes]:
    return list(_matched(path))


def _returned(work: Work) -> int:
    """Return a list from every task and flatten the lists."""
    with _CONTEXT.Pool(work.workers) as pool:
        lists = pool.map(_listed, work.files())
    return len(list(chain.from_iterable(lists)))


def _put(path: Path) -> None:
    for record in _matched(path):
        _Worker.channel.put(record)
    _Worker.channel.put(None)


def _queue(work: Work) -> int:
    """Put every record into a queue; a None per file says that it is done."""
    queue = _CONTEXT.Queue()
    files = work.files()
    kept: list[bytes] = []
    with _CONTEXT.Pool(work.workers, _set_channel, (queue,)) as pool:
        result = pool.map_async(_put, files)
        done = 0
        while done < len(files):
            record = queue.get()
            if record is None:
                done += 1
            else:
                kept.append(record)
        result.get()
    return len(kept)


def _open_output(directory: Path) -> None:
    _Worker.output = (directory / f"{os.getpid()}.jsonl").open("wb")


def _write(path: Path) -> None:
    for record in _matched(path):
        _Worker.output.write(record.rstrip(b"\n") + b"\n")
    # A pool ends its workers without closing their files.
    _Worker.output.flush()


def _files(work: Work) -> int:
    """Let each worker write a file, and read the files afterwards."""
    with _CONTEXT.Pool(work.workers, _open_output, (work.out,)) as pool:
        pool.map(_write, work.files())
    parts = sorted(work.out.glob("*.jsonl"))
    return len(list(chain.from_iterable(part.open("rb") for part in parts)))


def _threads(work: Work) -> int:
    """Use threads, which share memory and take turns at the interpreter."""
    with ThreadPool(work.workers) as pool:
        lists = pool.map(_listed, work.files())
    return len(list(chain.from_iterable(lists)))
