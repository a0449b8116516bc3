"""What a Python program hands over, looked at before it is used. On the command line the options have their types.

A value of a type that cannot be meant is a `TypeError` that says what to give; one that is out of range, or none of the
known ones, is a `UsageError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from linkmatch_ray.errors import UsageError
from linkmatch_ray.words import shown

T = TypeVar("T")


def wrong_type(name: str, found: object, action: str) -> TypeError:
    """The error that says what was found as the argument `name`, and what to give."""
    kind = type(found).__name__
    return TypeError(f"{name}: found {'None' if found is None else f'{_article(kind)} {kind}'}. {action}")


def refuse_other_than(name: str, found: object, known: type[T], action: str) -> None:
    """Refuse a value that is of another type.

    Raises:
        TypeError: it is.
    """
    if not isinstance(found, known) or (isinstance(found, bool) and known is int):
        raise wrong_type(name, found, action)


def refuse_unless_within(name: str, found: object, low: int, high: int) -> None:
    """Refuse what is no integer from `low` to `high`.

    Raises:
        TypeError: it is no integer.
        UsageError: it is out of range.
    """
    action = f"Give a number from {low} to {high:,}."
    refuse_other_than(name, found, int, action)
    assert isinstance(found, int)
    if not low <= found <= high:
        raise UsageError(f"{name}={found}: out of range. {action}")


def refuse_unless_one_of(name: str, found: object, known: Sequence[str]) -> None:
    """Refuse what is none of the known words.

    Raises:
        UsageError: it is none.
    """
    if found not in known:
        raise UsageError(f"{name}={shown(found)}: not known. Give one of {', '.join(known)}.")


def _article(word: str) -> str:
    return "an" if word[:1] in "aeiouAEIOU" else "a"
