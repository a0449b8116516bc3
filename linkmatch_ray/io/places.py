"""The place that a user names for results."""

from __future__ import annotations

import os

from linkmatch_ray.errors import UsageError
from linkmatch_ray.io.paths import Name, path_of
from linkmatch_ray.io.results import Results


def results_at(output: Name) -> Results:
    """Returns the place that the user names.

    Raises:
        UsageError: It is a URL where results cannot be.
        InputError: Nothing can have this name.
    """
    from linkmatch_ray.io.store import is_store  # a mistake in a name is told before clients of stores are loaded

    output = os.fsdecode(path_of(output, "output"))
    if not output:
        raise UsageError("the result directory: its name is empty. Name one with -o.")
    if is_store(output):
        from linkmatch_ray.io.bucket import Bucket

        return Bucket(output)
    from linkmatch_ray.io.directory import Directory

    return Directory(output)
