"""How much is tried of what is many times the same: a ninth by `scripts/test`, a fifth by CI, all of it by
`scripts/fuzz properties`."""

import os

STRIDE = {"all": 5, "every": 1}.get(os.environ.get("LINKMATCH_TESTS"), 9)
"""Odd, because many cases are offsets, and what they are to cross lies every 2, 8 or 64 bytes: each 8th is the same."""


def examples(number):
    """How many of so many examples are tried."""
    return -(-number // STRIDE)


def some(cases):
    """Those of many like cases that are tried."""
    return list(cases)[::STRIDE]


def kinds(cases):
    """The same of cases that are each of a kind: CI tries all of them."""
    return list(cases)[:: 9 if STRIDE == 9 else 1]
