"""What is found when a file or object is read, and is no failure of the storage."""

from __future__ import annotations


class Changed(Exception):  # noqa: N818 - an outcome of reading, not a failure
    """The file is not what it was when the plan was made."""


class NoRanges(Exception):  # noqa: N818 - says what is found
    """A server gives objects only as a whole, as simple web servers do."""
