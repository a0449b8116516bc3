"""Checks what an embedded Ray needs of the machine. With less, Ray hangs, or fails after 30 seconds."""

from __future__ import annotations

import os
import resource
import shutil
from typing import Final

from linkmatch_ray.errors import JobError, UsageError
from linkmatch_ray.runtime.session.ray_internals import temp_directory
from linkmatch_ray.words import shown

OPEN_FILES_MIN: Final = 128
OPEN_FILES_A_WORKER: Final = 8
"""Upper bound for one process: with 2 workers Ray's largest holds 52 (measured), with 10 it holds 85."""

TEMPORARY_BYTES_MIN: Final = 1 << 20
"""Ray's session directory has 160 kB of logs and sockets (measured) after the start."""

OBJECT_STORE_SHARE: Final = 0.3
"""Share of the memory: by Ray's default the object store is one file of this size."""


def check_room(workers: int | None) -> None:
    """Checks the limits on open files and file sizes, before Ray starts.

    Raises:
        JobError: A limit is too low.
        UsageError: A limit is too low for more workers than the machine has CPUs.
    """
    cpus = os.cpu_count() or 1
    files = OPEN_FILES_MIN + OPEN_FILES_A_WORKER * (workers or cpus)
    if _limit(resource.RLIMIT_NOFILE) < files:
        kind = UsageError if workers is not None and workers > cpus else JobError
        raise kind(
            f"Ray: {_limit(resource.RLIMIT_NOFILE)} open files are allowed, expected {files}."
            f" Raise the limit (ulimit -n {files}), or use fewer --workers."
        )
    store = OBJECT_STORE_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if _limit(resource.RLIMIT_FSIZE) < store:
        raise JobError(
            f"Ray: files of {_limit(resource.RLIMIT_FSIZE):,} bytes are allowed, and its object store is one of"
            f" {int(store):,}. Raise the limit (ulimit -f unlimited)."
        )


def check_disk(directory: str | None = None) -> None:
    """Checks the free space for Ray's files. Without it, Ray's processes exit without a message.

    Args:
        directory: Where a Ray that is about to start will keep them; None for the Ray of this process.

    Raises:
        JobError: Too little is free.
    """
    directory = directory or temp_directory() or "/tmp"
    try:
        free = shutil.disk_usage(directory).free
    except OSError:
        return  # another machine's, or gone: Ray reports it
    if free < TEMPORARY_BYTES_MIN:
        raise JobError(
            f"{shown(directory)}: {free:,} bytes are free where Ray keeps its files. Make room, or set RAY_TMPDIR."
        )


def _limit(of: int) -> float:
    """Returns a limit; infinity without one. Of open files it is the hard one, to which Ray raises its own."""
    soft, hard = resource.getrlimit(of)
    limit = hard if of == resource.RLIMIT_NOFILE else soft
    return float("inf") if limit == resource.RLIM_INFINITY else limit
