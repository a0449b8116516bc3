"""The compiled library: found, checked against its sources, declared for ctypes."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char_p, c_uint8, c_uint32, c_uint64, c_void_p
from functools import cache
from pathlib import Path
from typing import Final

from linkmatch_ray.errors import KernelError
from linkmatch_ray.native.build import LIBRARY, is_current
from linkmatch_ray.words import shown

DEPTH_MAX: Final = 500
SLOTS_MAX: Final = 64
NONE: Final = 0xFFFFFFFF

LEVELS: Final = ("portable", "sse", "avx2", "avx512", "neon")
"""By their numbers in the library; those of a machine are better in this order."""


class Node(ctypes.Structure):
    """`lm_node` of api.h, as the other structures here are theirs."""

    _fields_ = (
        *((name, c_uint64) for name in ("slots", "head", "mask")),
        *((name, c_uint32) for name in ("token", "name", "size", "index", "first", "next", "parent", "slot")),
    )


class Index(ctypes.Structure):
    """`lm_index`."""

    _fields_ = (
        *((name, c_void_p) for name in ("filter", "hashes", "directory", "starts", "ends", "blob")),
        *((name, c_uint32) for name in ("filter_shift", "directory_shift", "count", "unused")),
    )


class Config(ctypes.Structure):
    """`lm_config`."""

    _fields_ = (
        ("nodes", POINTER(Node)),
        ("names", c_char_p),
        ("index", POINTER(Index)),
        *((name, c_uint32) for name in ("node_count", "slot_count", "mode", "flags", "level", "unused")),
    )


class State(ctypes.Structure):
    """`lm_state`: where a reading stands. A copy of it is a second reading from there."""

    _fields_ = (
        *((name, c_uint64) for name in ("at", "keep", "line", "record", "value_end", "damage_at")),
        *((name, c_uint64) for name in ("present", "doubted", "escaped")),
        ("key_start", c_uint64 * SLOTS_MAX),
        ("key_end", c_uint64 * SLOTS_MAX),
        *((name, c_uint32) for name in ("place", "depth", "node", "child", "watched", "damage")),
        *((name, c_uint8) for name in ("is_open", "in_array", "has_doubt", "has_bad")),
        ("unused", c_uint8 * 4),
        ("counters", c_uint32 * (DEPTH_MAX + 2)),
        ("seen", c_uint8 * (DEPTH_MAX + 2)),
        ("stack", c_uint8 * (DEPTH_MAX + 2)),
    )


class Output(ctypes.Structure):
    """`lm_output`."""

    _fields_ = (
        *((name, c_void_p) for name in ("starts", "ends", "lines", "kinds", "key_records", "key_starts", "key_ends")),
        *((name, c_void_p) for name in ("hashes", "hit_rows", "hit_places")),
        *((name, c_uint32) for name in ("capacity", "count", "key_capacity", "key_count", "hit_count", "unused")),
    )


def load(path: Path = LIBRARY) -> ctypes.CDLL:
    """Loads the library.

    Raises:
        KernelError: It is missing, was built from other sources, or is another system's.
    """
    action = "Run `python -m linkmatch_ray.native.build`."
    if not path.exists():
        wheel = "For a cluster of other machines, install the wheel of `scripts/build-wheel` where you submit."
        raise KernelError(f"{shown(path)}: not there. {action} {wheel}")
    # Looked for before it is loaded: a process that has loaded a library gets the same again for its path.
    if not is_current(path):
        raise KernelError(f"{shown(path)}: built from other sources. {action}")
    try:
        library = ctypes.CDLL(str(path))
    except OSError:
        raise KernelError(f"{shown(path)}: built for another system. {action}") from None
    library.lm_sources.restype = c_char_p
    library.lm_levels.restype = c_uint32
    library.lm_begin.argtypes = (POINTER(State), c_uint64, c_uint32)
    library.lm_begin.restype = None
    library.lm_scan.argtypes = (
        *(POINTER(Config), POINTER(State), c_void_p, c_uint64, c_uint64, c_uint32),
        POINTER(Output),
    )
    library.lm_scan.restype = c_uint32
    library.lm_hash.argtypes = (c_char_p, c_uint64)
    library.lm_hash.restype = c_uint64
    library.lm_hash_many.argtypes = (c_void_p, c_void_p, c_uint64, c_void_p)
    library.lm_hash_many.restype = None
    library.lm_copy_many.argtypes = (c_void_p, c_void_p, c_void_p, c_uint64, c_void_p)
    library.lm_copy_many.restype = None
    sizes = (c_uint32 * 5)()
    library.lm_sizes(sizes)
    if list(sizes) != [ctypes.sizeof(struct) for struct in (Node, Index, Config, State, Output)]:
        raise KernelError(f"{shown(path)}: other structures than library.py declares. {action}")
    return library


@cache
def library() -> ctypes.CDLL:
    """Loads the library next to its sources, once; raises as `load`."""
    return load()


def levels(of: ctypes.CDLL) -> tuple[str, ...]:
    """Lists the compiled levels that this processor has, the best one last."""
    has = of.lm_levels()
    return tuple(name for number, name in enumerate(LEVELS) if has >> number & 1)


def chosen_level(of: ctypes.CDLL) -> str:
    """Chooses the level that `LINKMATCH_SIMD` names, else the best one.

    Raises:
        KernelError: This processor has no such level.
    """
    has = levels(of)
    wanted = os.environ.get("LINKMATCH_SIMD") or has[-1]
    if wanted not in has:
        raise KernelError(
            f"LINKMATCH_SIMD={shown(wanted)}: not a level of this processor. Name one of {', '.join(has)}."
        )
    return wanted
