"""The places that a user names for results."""

from __future__ import annotations

import os

from linkmatch_ray.errors import UsageError
from linkmatch_ray.io.results.interface import Results
from linkmatch_ray.io.storage.paths import Name, path_of


def results_at(output: Name) -> Results:
    """Returns the place that the user names.

    Raises:
        UsageError: It is a URL where results cannot be.
        InputError: Nothing can have this name.
    """
    from linkmatch_ray.io.storage.store import (
        is_store,  # a wrong name is reported before clients of stores are loaded
    )

    output = os.fsdecode(path_of(output, "output"))
    if not output:
        raise UsageError("the result directory: its name is empty. Name one with -o.")
    if is_store(output):
        from linkmatch_ray.io.results.bucket import Bucket

        return Bucket(output)
    from linkmatch_ray.io.results.directory import Directory

    return Directory(output)
