"""A survey of a cluster's nodes: a task on each of them reports whether it can do the work.

Also a helper on a cluster: `python -m linkmatch_ray.runtime.cluster.nodes PATH...` prints the nodes' reports as JSON.
Our dependencies may be missing there, so it loads Ray and nothing else.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from linkmatch_ray.errors import KernelError
from linkmatch_ray.native import library as native
from linkmatch_ray.runtime.cluster.requirements import how_to_install, missing
from linkmatch_ray.words import shown

ANSWER_SECONDS_MAX: Final = 60.0
"""Time limit for a node's report. It must start a process, perhaps on a busy disk."""

PATHS_MAX: Final = 100
"""Maximum number of inputs to look for. More would add nothing about what is mounted where."""

DISK_SHARE_MIN: Final = 0.05
"""Minimum share of free disk. With less, Ray makes no more objects on a node."""

SHOWN: Final = 3
"""Maximum number of paths or nodes in a message."""


@dataclass(slots=True)
class Node:
    """A running node and its report; the rest is empty if it has not `answered`.

    Attributes:
        missing: Packages it lacks, as pip wants them.
        kernel: Why the kernel cannot be used there, and what to do; empty if it can.
        unseen: Paths that do not exist there.
        disk_free, disk_total: Size of the file system of Ray's temporary files, in bytes.
        object_store: Its size in bytes.
    """

    id: str
    host: str
    cpus: float
    object_store: int
    answered: bool = False
    python: str = ""
    missing: list[str] = field(default_factory=list)
    kernel: str = ""
    unseen: list[str] = field(default_factory=list)
    disk_free: int = 0
    disk_total: int = 0

    @property
    def name(self) -> str:
        """Its address and the beginning of its id, as in the dashboard. Several nodes may have one address."""
        return f"{self.host} ({self.id[:8]})"


def survey(ray: Any, paths: Sequence[str | bytes]) -> list[Node]:
    """Asks every node that can run tasks."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [
        Node(each["NodeID"], each["NodeManagerAddress"], cpus, int(each["Resources"].get("object_store_memory", 0)))
        for each in ray.nodes()
        if each["Alive"] and (cpus := each["Resources"].get("CPU", 0))
    ]
    task = ray.remote(name="survey", num_cpus=0, max_retries=0)(_examine)
    asked = {
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)).remote(list(paths)): node
        for node in nodes
    }
    ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_SECONDS_MAX)
    for answer, node in asked.items():
        try:
            said = ray.get(answer, timeout=0)
        except (ray.exceptions.RayError, TimeoutError):
            continue
        node.answered = True
        for name, value in said.items():
            setattr(node, name, value)
    return nodes


def _examine(paths: list[str | bytes]) -> dict[str, Any]:
    """Runs on a node."""
    disk = shutil.disk_usage(tempfile.gettempdir())
    return {
        "python": platform.python_version(),
        "missing": missing(),
        "kernel": _why_no_kernel(),
        "unseen": [os.fsdecode(path) for path in paths if not os.path.exists(path)],
        "disk_free": disk.free,
        "disk_total": disk.total,
    }


def _why_no_kernel() -> str:
    try:
        native.chosen_level(native.library())
    except KernelError as error:
        return f"{error}"
    return ""


def faults(nodes: Sequence[Node]) -> list[str]:
    """Returns what is wrong with the nodes, and what to do; a sentence or two each."""
    said = []
    for node in nodes:
        if not node.answered:
            said.append(
                f"node {shown(node.name)}: sent no answer within {ANSWER_SECONDS_MAX:g} s. See its logs in Ray's"
                " dashboard."
            )
        if node.missing:
            said.append(f"node {shown(node.name)}: lacks packages. Run there: {shown(how_to_install(node.missing))}")
        if node.kernel:
            said.append(f"node {shown(node.name)}: {shown(node.kernel)}")
        if node.unseen:
            paths = ", ".join(map(shown, node.unseen[:SHOWN]))
            more = f" and {len(node.unseen) - SHOWN} more" if len(node.unseen) > SHOWN else ""
            said.append(
                f"node {shown(node.name)}: does not see {paths}{more}. All nodes must see the inputs under the same"
                " paths: put them on a file system they share."
            )
        if node.disk_free < DISK_SHARE_MIN * node.disk_total:
            said.append(
                f"node {shown(node.name)}: has {node.disk_free / 1e9:.1f} GB of disk free. With less than"
                f" {DISK_SHARE_MIN:.0%} Ray makes no objects. Make room there."
            )
    return said


def sample(paths: Sequence[bytes]) -> list[bytes]:
    """Returns some of many paths, from the first to the last."""
    step = max(1, -(-len(paths) // PATHS_MAX))
    return list(paths[::step])


def main(paths: list[str]) -> None:
    """Prints the nodes' reports as JSON."""
    import ray

    ray.init(address="auto", log_to_driver=False, logging_level=logging.CRITICAL)
    print(json.dumps({"nodes": [asdict(node) for node in survey(ray, paths)]}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
