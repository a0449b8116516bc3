"""The columns of a list that is a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.core.wrong_keys import closest, quoted
from linkmatch_ray.io.restrictions.wanted import Wanted, name_one

SHOWN_MAX: Final = 20
"""Maximum number of columns that a message names."""


def key_columns(names: Sequence[str], wanted: Wanted) -> list[int]:
    """Returns the columns that are compared, by their numbers. A key is the name of one, or a JSON Pointer to it.

    Raises:
        RestrictionsError: A key names no column, or one that is there twice.
    """
    found = []
    for pair in wanted.pairs:
        name = column_of(pair.restriction, names)
        if name is None:
            listed = ", ".join(quoted(each) for each in names[:SHOWN_MAX]) + (" …" if len(names) > SHOWN_MAX else "")
            action = name_one(pair, closest(pair.restriction.tokens[-1], names))
            if len(names) == 1 == len(wanted.pairs) and wanted.format != "parquet":
                action += ", or add --restrictions-format text if that is a key already"
            wanted.refuse(f"has no column {quoted(pair.restriction.text)}. Its columns are: {listed or 'none'}", action)
        found.append(names.index(name))
    return found


def refuse_twice(names: Sequence[str], where: str, wanted: Wanted) -> None:
    """Refuses a table in which two columns have one name."""
    for name, count in Counter(names).most_common(1):
        if count > 1:
            wanted.refuse(f"{where}names the column {quoted(name)} twice", "Rename one of them")


def column_of(path: KeyPath, names: Sequence[str]) -> str | None:
    """Returns the column that a key names; None if no column has its name."""
    named = (path.text, *(path.tokens if len(path.tokens) == 1 else ()))
    return next((name for name in named if name in names), None)
