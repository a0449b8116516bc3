"""How much is tried: all of it by `scripts/test --all`, a ninth by `scripts/test`, which is to take minutes."""

import os

STRIDE = 1 if os.environ.get("LINKMATCH_TESTS") == "all" else 9
"""Odd, because many cases are offsets, and what they are to cross lies every 2, 8 or 64 bytes: each 8th is the same."""


def examples(number):
    """How many of so many examples are tried."""
    return -(-number // STRIDE)


def some(cases):
    """Those of the cases that are tried."""
    return list(cases)[::STRIDE]
