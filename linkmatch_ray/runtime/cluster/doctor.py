"""`doctor`: checks whether a job would run on a cluster, before there is a job."""

from __future__ import annotations

import glob
import platform
from collections.abc import Sequence
from dataclasses import dataclass

from linkmatch_ray.runtime.cluster.jobs_api import Cluster
from linkmatch_ray.runtime.cluster.nodes import Node, faults, survey
from linkmatch_ray.runtime.cluster.requirements import how_to_install, missing
from linkmatch_ray.runtime.session.session import Session
from linkmatch_ray.words import shown


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked: whether it is well, and a sentence that describes it."""

    well: bool
    what: str


def examine(where: Cluster | Session, paths: Sequence[str]) -> list[Finding]:
    """Checks a cluster that could be reached, and this machine.

    Args:
        paths: Inputs, as the nodes must see them. Of a glob the folder above its first wildcard is checked.
    """
    import ray

    paths = [_without_wildcards(path) for path in paths if "://" not in path]
    found = []
    if isinstance(where, Cluster):
        found.append(
            Finding(
                True,
                f"{where}: answers, and has Ray {shown(where.ray_version)}; this machine has Ray {ray.__version__}",
            )
        )
        with where.helper("linkmatch_ray.runtime.cluster.nodes", *paths) as (said, _):
            nodes = [Node(**node) for node in said["nodes"]]
    else:
        nodes = survey(where.ready(), paths)
        if lacking := missing():
            found.append(Finding(False, f"this machine lacks packages. Run: {how_to_install(lacking)}"))
        versions = f"Ray {ray.__version__} and Python {platform.python_version()}"
        found.append(Finding(True, f"{versions} on this machine and on the nodes"))
    if not nodes:
        found.append(Finding(False, "no node has CPUs, so none can run tasks. Add nodes, or start Ray with CPUs."))
    for node in nodes:
        wrong = faults([node])
        found += [Finding(False, what) for what in wrong]
        if not wrong:
            sees = f", sees {len(paths)} of {len(paths)} paths" if paths else ""
            found.append(
                Finding(
                    True,
                    f"node {shown(node.name)}: Python {shown(node.python)}, {node.cpus:g} CPUs, object store of"
                    f" {node.object_store / 1e9:.1f} GB, {node.disk_free / 1e9:.1f} GB of disk free{sees}",
                )
            )
    return found


def _without_wildcards(path: str) -> str:
    if not glob.has_magic(path):
        return path
    above, _, _ = path[: min(path.find(mark) % len(path) for mark in "*?[" if mark in path)].rpartition("/")
    return above or "/"
