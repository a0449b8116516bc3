"""Results of a job on a cluster, brought to this machine over HTTP, and compared with their ledger on arrival."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

from linkmatch_ray.errors import InputError
from linkmatch_ray.io.bring import Fetched, check, ends_of, make, refuse_filled
from linkmatch_ray.io.ledger import Ledger
from linkmatch_ray.io.ours import open_new
from linkmatch_ray.io.results import LEDGER, OUTPUTS, RESTRICTIONS, SUMMARY
from linkmatch_ray.io.trouble import told
from linkmatch_ray.runtime.remote import Cluster, RemoteJob
from linkmatch_ray.words import shown

FETCH_BYTES_MAX: Final = 10_000_000_000
"""Ray's dashboard ends any answer after 300 seconds, so that much more could not be brought."""


def fetch(cluster: Cluster, job: RemoteJob, directory: Path) -> Fetched:
    """Bring the results of a job into a new directory; of one that is not complete, what is durable.

    Guarantees: what has arrived agrees with its ledger, byte for byte. Memory does not grow with the results.

    Raises:
        UsageError: there is something in `directory`.
        InputError: the cluster has no such results, or too long ones: the message says where they are.
        ClusterError: they cannot be brought.
        JobError: what arrived is not what the ledger says.
    """
    refuse_filled(directory)
    with cluster.helper("linkmatch_ray.runtime.publish", job.directory, node=job.node) as (offer, node):
        if "error" in offer:
            raise InputError(f"{shown(offer['error'])}. Has it been moved, or the job not begun?")
        sizes: dict[str, int] = offer["sizes"]
        total = sum(sizes.values())
        if total > FETCH_BYTES_MAX:
            raise InputError(
                f"{shown(job.id)}: its results are {total:,} bytes, over HTTP come {FETCH_BYTES_MAX:,} at most. They"
                f" are in {shown(job.directory)} on the cluster: copy them from there."
            )
        with told(directory):
            make(directory)

        def bring(name: str, size: int) -> None:
            with open_new(directory / name) as file:
                cluster.download(node, f"{offer['folder']}/{name}", file, size)

        bring(LEDGER, sizes.pop(LEDGER))
        with told(directory), closing(Ledger(directory / LEDGER)) as ledger:
            ends = ends_of(ledger)
        for name in (*OUTPUTS, RESTRICTIONS, SUMMARY):
            if name in sizes:
                bring(name, ends.get(name, sizes[name]))
    return check(directory)
