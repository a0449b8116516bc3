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
    from linkmatch_ray.commands import Verification, cancel, doctor, explain, jobs, logs, results, status, verify
    from linkmatch_ray.core.matcher import match_bytes
    from linkmatch_ray.core.options import JobOptions, MatchOptions
    from linkmatch_ray.core.outcome import Counts, Entry, Outcome
    from linkmatch_ray.io.bring import Fetched
    from linkmatch_ray.io.explain import Explanation
    from linkmatch_ray.io.restrictions import Restrictions
    from linkmatch_ray.runtime.cluster_job import ClusterJob, submit_remote
    from linkmatch_ray.runtime.doctor import Finding
    from linkmatch_ray.runtime.driver import Progress
    from linkmatch_ray.runtime.dry_run import DryRun
    from linkmatch_ray.runtime.job import Job
    from linkmatch_ray.runtime.preview import Preview
    from linkmatch_ray.runtime.session import Session
    from linkmatch_ray.runtime.submission import dry_run, submit

# Each name loads its module when it is first asked for: `--help` answers without NumPy, and only `Job` and what
# starts a job or asks a cluster load Ray, which takes a third of a second.
_NAMES = {
    "commands": ("Verification", "cancel", "doctor", "explain", "jobs", "logs", "results", "status", "verify"),
    "core.matcher": ("match_bytes",),
    "core.options": ("JobOptions", "MatchOptions"),
    "core.outcome": ("Counts", "Entry", "Outcome"),
    "io.bring": ("Fetched",),
    "io.explain": ("Explanation",),
    "io.restrictions": ("Restrictions",),
    "runtime.cluster_job": ("ClusterJob", "submit_remote"),
    "runtime.doctor": ("Finding",),
    "runtime.driver": ("Progress",),
    "runtime.dry_run": ("DryRun",),
    "runtime.job": ("Job",),
    "runtime.preview": ("Preview",),
    "runtime.session": ("Session",),
    "runtime.submission": ("dry_run", "submit"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "ClusterJob",
    "Counts",
    "DryRun",
    "Entry",
    "Explanation",
    "Fetched",
    "Finding",
    "Job",
    "JobOptions",
    "MatchOptions",
    "Outcome",
    "Preview",
    "Progress",
    "Restrictions",
    "Session",
    "Verification",
    "cancel",
    "doctor",
    "dry_run",
    "explain",
    "jobs",
    "logs",
    "match_bytes",
    "results",
    "status",
    "submit",
    "submit_remote",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
