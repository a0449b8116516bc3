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
    from linkmatch_ray.io.diagnosis.explanation import Explanation
    from linkmatch_ray.io.restrictions.restrictions import Restrictions
    from linkmatch_ray.io.results.download import Fetched
    from linkmatch_ray.runtime.cluster.cluster_job import ClusterJob, submit_remote
    from linkmatch_ray.runtime.cluster.doctor import Finding
    from linkmatch_ray.runtime.jobs.dry_run import DryRun
    from linkmatch_ray.runtime.jobs.job import Job
    from linkmatch_ray.runtime.jobs.preview import Preview
    from linkmatch_ray.runtime.jobs.progress import Progress
    from linkmatch_ray.runtime.jobs.submission import dry_run, submit
    from linkmatch_ray.runtime.session.session import Session

# Each name loads its module on first use, so that `--help` needs no NumPy. Ray takes a third of a second; only `Job`,
# and functions that start a job or ask a cluster, load it.
_NAMES = {
    "commands": ("Verification", "cancel", "doctor", "explain", "jobs", "logs", "results", "status", "verify"),
    "core.matcher": ("match_bytes",),
    "core.options": ("JobOptions", "MatchOptions"),
    "core.outcome": ("Counts", "Entry", "Outcome"),
    "io.results.download": ("Fetched",),
    "io.diagnosis.explanation": ("Explanation",),
    "io.restrictions.restrictions": ("Restrictions",),
    "runtime.cluster.cluster_job": ("ClusterJob", "submit_remote"),
    "runtime.cluster.doctor": ("Finding",),
    "runtime.jobs.dry_run": ("DryRun",),
    "runtime.jobs.job": ("Job",),
    "runtime.jobs.preview": ("Preview",),
    "runtime.jobs.progress": ("Progress",),
    "runtime.session.session": ("Session",),
    "runtime.jobs.submission": ("dry_run", "submit"),
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


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
