"""The steps of a path into a JSON value."""

from __future__ import annotations

from typing import Final

STAR: Final = object()
"""The step `[*]`: every element of an array."""

Step = object
"""A str is a token of a JSON Pointer: a member's name or, if it looks like one, an element's index. `Name` and an int
are those of a JSONPath: a name only, an index only."""


class Name(str):
    """A member's name, which is no index."""

    __slots__ = ()
