"""linkmatch-ray: every record whose key is on a list, from a great many JSON files, exactly once and in order.

restrictions = Restrictions.load("blocked.json", key="url")
match_bytes(data, restrictions)                                  # one input, in memory, no Ray
job = submit("links/", "blocked.json", key="url", output="out")  # many files, on Ray; returns at once
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from linkmatch_ray._version import __version__ as __version__

if TYPE_CHECKING:
    from linkmatch_ray.core.matcher import match_bytes
    from linkmatch_ray.core.outcome import Counts, Entry, MatchOptions, Outcome
    from linkmatch_ray.io.restrictions import Restrictions
    from linkmatch_ray.runtime.job import Job, submit

__all__ = ["Counts", "Entry", "Job", "MatchOptions", "Outcome", "Restrictions", "match_bytes", "submit"]

# Each name loads its module when it is first asked for: `--help` answers without NumPy, and only `Job` and
# `submit` load Ray, which takes a third of a second.
_HOMES = {
    "Counts": "core.outcome",
    "Entry": "core.outcome",
    "Job": "runtime.job",
    "MatchOptions": "core.outcome",
    "Outcome": "core.outcome",
    "Restrictions": "io.restrictions",
    "match_bytes": "core.matcher",
    "submit": "runtime.job",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
