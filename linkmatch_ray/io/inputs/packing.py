"""Reads small files into one buffer, one behind the other, for matching together."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from itertools import islice
from typing import Final, TypeAlias

import numpy as np

from linkmatch_ray.core.damage import Corrupt, Damage
from linkmatch_ray.core.outcome import Entry
from linkmatch_ray.core.pack import Pack
from linkmatch_ray.core.structure import NEWLINE
from linkmatch_ray.core.window import LOW
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.inputs.object_reader import SmallObjects
from linkmatch_ray.io.inputs.opening import Opener
from linkmatch_ray.io.inputs.reader import changed_entry, unreadable_entry
from linkmatch_ray.io.storage.errors import Changed
from linkmatch_ray.io.storage.system_errors import blame_the_machine
from linkmatch_ray.io.storage.urls import is_url
from linkmatch_ray.words import shown

SMALL_FILE_BYTES: Final = 1 << 20
"""Files up to this size, in bytes, are packed together."""


Packs: TypeAlias = Generator[Pack | tuple[int, Entry | None], None, None]


def packs(first: int, files: list[InputFile], buffer: bytearray, inputs: Opener) -> Packs:
    """Reads files in their order, and packs those that are small. A pack stays in the buffer until the next one is
    requested.

    Args:
        first: The number of the first file.

    Returns:
        Packs; and between them the number of a file that is in none, with its fault if it could not be read.

    Raises:
        JobError: The machine has run out of something.
    """
    place = 0
    with closing(SmallObjects(filter(_is_small_object, files))) as objects:
        while place < len(files):
            count, fault = _read(files, place, buffer, inputs, objects)
            if count:
                sizes = np.array([file.size for file in files[place : place + count]], np.int64)
                ends = LOW + np.cumsum(sizes) + np.arange(count)
                yield Pack(first + place, ends - sizes, ends)
                place += count
            if fault is not None or not count:
                yield first + place, fault
                place += 1


def _read(
    files: list[InputFile], place: int, buffer: bytearray, inputs: Opener, objects: SmallObjects
) -> tuple[int, Entry | None]:
    """Reads small files into the buffer while they fit, a newline after each; returns how many, and the entry of one
    that cannot be read.

    A member of which not all can be read ends the pack, and is left to whoever reads a file by itself.
    """
    view, end = memoryview(buffer), LOW
    room = len(view) - LOW
    for count, file in enumerate(islice(files, place, None)):
        after = end + file.size
        if file.size > SMALL_FILE_BYTES or after >= room or file.fault is not None:
            return count, None
        try:
            if _is_small_object(file):
                objects.read(file, view[end:after])
            else:
                inputs.read_small(file, view[end:after])
        except Changed:
            return count, changed_entry(file)
        except (Corrupt, Damage):
            return count, None
        except OSError as error:
            blame_the_machine(file.name, error)
            return count, unreadable_entry(file, error.strerror or shown(error))
        view[after] = NEWLINE
        end = after + 1
    return len(files) - place, None


def _is_small_object(file: InputFile) -> bool:
    return is_url(file.path) and file.size <= SMALL_FILE_BYTES and file.fault is None
