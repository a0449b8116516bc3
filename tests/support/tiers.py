"""How much is tried: all of it by `scripts/test --all`, an eighth by `scripts/test`, which is to take minutes."""

import os

STRIDE = 1 if os.environ.get("LINKMATCH_TESTS") == "all" else 8


def examples(number):
    """How many of so many examples are tried."""
    return -(-number // STRIDE)


def some(cases):
    """Those of the cases that are tried."""
    return list(cases)[::STRIDE]
