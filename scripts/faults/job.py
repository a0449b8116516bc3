"""The job that `scripts/chaos` disturbs: job.py INPUTS LIST OUTPUT NODES (0 for an embedded Ray)."""

from __future__ import annotations

import os
import signal
import sys

import ray

from faults import steps
from linkmatch_ray import MatchOptions, Restrictions, submit
from linkmatch_ray.errors import Interrupted


def main() -> int:
    """Run it; the exit codes are those of the command line."""
    inputs, list_, output, nodes = sys.argv[1:5]
    quiet = {"log_to_driver": False, "logging_level": "critical"}
    if int(nodes):
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        for _ in range(int(nodes)):
            cluster.add_node(num_cpus=1, object_store_memory=200 << 20)
        ray.init(address=cluster.address, **quiet)
    elif steps.VARIABLE in os.environ:
        steps.setup()
        variables = {name: os.environ[name] for name in (steps.VARIABLE, "PYTHONPATH")}
        hook = {"worker_process_setup_hook": "faults.steps.setup", "env_vars": variables}
        ray.init(address="local", num_cpus=2, include_dashboard=False, runtime_env=hook, **quiet)
    job = submit(
        [inputs],
        Restrictions.load(list_),
        output=output,
        options=MatchOptions(emit="both"),
        workers=2,
        unit_bytes=1 << 17,
        part_bytes=1 << 16,
        incremental=True,
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
