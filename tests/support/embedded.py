"""A program that has an embedded Ray with a collector on it, says where, and ends in the way it is told to.

Arguments: whether it has a dashboard, whether it imports Ray before; files may follow, as on a command line.
"""

import importlib
import json
import os
import sys

from linkmatch_ray import Restrictions, submit
from linkmatch_ray.errors import JobError
from linkmatch_ray.io.results.places import results_at


def fail(name):
    """A task, which Ray finds in this module by its name whatever the program's file is called."""
    raise JobError(f"{name}: failed")


def main():
    os.umask(0)
    if "ray-before" in sys.argv:
        importlib.import_module("ray")
    from linkmatch_ray.runtime.session.session import Session  # which has Ray imported, but not before its thread

    session = Session(dashboard="dashboard" in sys.argv, verbose="verbose" in sys.argv)
    ray = session.ready()
    from linkmatch_ray.runtime.jobs.collector_actor import start_collector

    matched = None
    if "job" in sys.argv:
        job = submit(["in.jsonl"], Restrictions.load(b'["a"]'), output="out")
        matched = job.result()["totals"]["matched"]
    settings = {"fingerprint": "", "restrictions": "", "emit": "both", "provenance": "0", "job_id": "held"}
    collector = start_collector(ray, "held", results_at(sys.argv[-1]), [], [], settings, None)
    ray.get(collector.open(overwrite=False))
    try:
        ray.get(ray.remote(importlib.import_module("tests.support.embedded").fail).remote(sys.argv[-1]))
    except JobError as error:
        failed = str(error.cause)
    node = ray._private.worker._global_node
    address = ray.get_runtime_context().gcs_address
    said = {"address": address, "directory": os.path.dirname(node.temp_dir), "matched": matched, "failed": failed}
    print(json.dumps(said), flush=True)
    ending = sys.stdin.readline().strip()
    if ending == "close":
        session.close()
        print(json.dumps([name for name in os.environ if name.startswith("RAY_")]), flush=True)
    if ending == "raise":
        raise RuntimeError


if __name__ == "__main__":
    main()
