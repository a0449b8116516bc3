"""Files and names that survive a power cut: a file is synced before it gets its name, a directory after."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from linkmatch_ray.io.storage.ours import open_new


def sync_directory(directory: Path) -> None:
    """Makes the names in a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)  # opening a FIFO in its place would never return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(directory: Path) -> None:
    """Makes a directory and those above it, durably; it may exist."""
    made = [each for each in (directory, *directory.parents) if not each.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    for each in made:
        sync_directory(each.parent)


def write_whole(path: Path, temporary: Path, write: Callable[[Any], Any], *, new: bool = False) -> None:
    """Writes a file that appears as a whole or not at all, even after a power cut.

    Args:
        temporary: Its name in the same directory, until it is whole.
        new: It must not exist yet.

    Raises:
        FileExistsError: It exists, and must not.
    """
    opened = open_new(temporary)
    try:
        with opened as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        (os.link if new else os.replace)(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)
