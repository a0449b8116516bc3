"""Findings about files, objects and results that are not failures of the storage."""

from __future__ import annotations

from linkmatch_ray.errors import DirectoryInUse, ResultsGone
from linkmatch_ray.words import shown


class Changed(Exception):  # noqa: N818 - an outcome of reading, not a failure
    """The file is not what it was when the plan was made."""


class NoRanges(Exception):  # noqa: N818 - says what is found
    """A server gives objects only as a whole, as simple web servers do."""


def in_use(where: object, by: str) -> DirectoryInUse:
    """Returns the error that says who writes to a place."""
    return DirectoryInUse(
        f"{shown(where)}: another job writes here ({shown(by)}). Wait for it to end, or name another directory with -o."
    )


def gone(what: object, where: object, *, replaced: bool = False) -> ResultsGone:
    """Returns the error that says which part of the results in a place is gone."""
    how = "was replaced by another" if replaced else "is gone: it was deleted or moved away"
    return ResultsGone(
        f"{shown(what)}: {how} while the job ran. Nothing in {shown(where)} can be resumed. If it was moved, move it"
        " back, and run the same command again to resume. Otherwise remove what is left there first."
    )
