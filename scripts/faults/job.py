"""The job that `scripts/chaos` disturbs: job.py INPUTS LIST OUTPUT NODES (0 for an embedded Ray)."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import ray

from faults import steps
from linkmatch_ray import MatchOptions, Restrictions, submit
from linkmatch_ray.errors import Interrupted


def main() -> int:
    """Run it; the exit codes are those of the command line."""
    inputs, list_, output, nodes = sys.argv[1:5]
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "critical"}
    hook: dict[str, Any] = {}
    if steps.VARIABLE in os.environ or "://" in output:
        setup = steps.setup_at_url if "://" in output else steps.setup
        setup()
        variables = {name: os.environ[name] for name in (steps.VARIABLE, "PYTHONPATH") if name in os.environ}
        hook = {
            "runtime_env": {"worker_process_setup_hook": f"faults.steps.{setup.__name__}", "env_vars": variables},
        }
    if int(nodes):
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        for _ in range(int(nodes)):
            cluster.add_node(num_cpus=1, object_store_memory=200 << 20)
        ray.init(address=cluster.address, **hook, **quiet)
    elif hook:
        ray.init(address="local", num_cpus=2, include_dashboard=False, **hook, **quiet)
    job = submit(
        [inputs],
        Restrictions.load(list_),
        output=output,
        options=MatchOptions(emit="both"),
        workers=2,
        unit_bytes=1 << 17,
        part_bytes=1 << 16,
        incremental="://" not in output,
    )
    signal.signal(signal.SIGTERM, lambda *_: job.cancel())
    signal.signal(signal.SIGINT, lambda *_: job.cancel())
    try:
        while not job.wait(0.1):
            pass
        job.result()
    except Interrupted:
        return Interrupted.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
