"""Checks of the arguments that a Python program gives. On the command line the options have their types.

A value of the wrong type raises a `TypeError` that says what to give. A value that is out of range or not known raises
a `UsageError`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import BinaryIO, TypeVar

from linkmatch_ray.errors import InputError, UsageError
from linkmatch_ray.words import shown

T = TypeVar("T")


def wrong_type(name: str, found: object, action: str) -> TypeError:
    """Returns the error that says what was found as the argument `name`, and what to give."""
    kind = type(found).__name__
    return TypeError(f"{name}: found {'None' if found is None else f'{_article(kind)} {kind}'}. {action}")


def refuse_other_than(name: str, found: object, known: type[T], action: str) -> None:
    """Checks the type of a value. A bool is not taken for an int.

    Raises:
        TypeError: It is of another type.
    """
    if not isinstance(found, known) or (isinstance(found, bool) and known is int):
        raise wrong_type(name, found, action)


def refuse_unless_within(name: str, found: object, low: int, high: int) -> None:
    """Checks that a value is an integer from `low` to `high`.

    Raises:
        TypeError: It is not an integer.
        UsageError: It is out of range.
    """
    action = f"Give a number from {low} to {high:,}."
    refuse_other_than(name, found, int, action)
    assert isinstance(found, int)
    if not low <= found <= high:
        raise UsageError(f"{name}={found}: out of range. {action}")


def refuse_unless_one_of(name: str, found: object, known: Sequence[str]) -> None:
    """Checks that a value is one of the known words.

    Raises:
        UsageError: It is not.
    """
    if found not in known:
        raise UsageError(f"{name}={shown(found)}: not known. Give one of {', '.join(known)}.")


def _article(word: str) -> str:
    return "an" if word[:1] in "aeiouAEIOU" else "a"


def standard_input() -> BinaryIO:
    """Returns the bytes of standard input.

    Raises:
        InputError: The program was started with standard input closed.
    """
    if sys.stdin is None:
        raise InputError("-: standard input is closed. Name a file.")
    return sys.stdin.buffer
