"""Downloads the results of a job on a cluster over HTTP, and compares them with their ledger."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

from linkmatch_ray.errors import InputError
from linkmatch_ray.io.ledger.ledger import Ledger
from linkmatch_ray.io.names import LEDGER, OUTPUTS, RESTRICTIONS, SUMMARY
from linkmatch_ray.io.results.download import Fetched, check, ends_of, make, refuse_filled
from linkmatch_ray.io.storage.ours import open_new
from linkmatch_ray.io.storage.system_errors import reported_as_job_errors
from linkmatch_ray.runtime.cluster.jobs_api import Cluster, RemoteJob
from linkmatch_ray.words import shown

FETCH_BYTES_MAX: Final = 10_000_000_000
"""Maximum size of results. Ray's dashboard ends any answer after 300 seconds, so a longer one would not arrive."""


def download_job(cluster: Cluster, job: RemoteJob, directory: Path) -> Fetched:
    """Downloads the results of a job into a new directory; of an incomplete job, what is durable.

    Guarantees: What has arrived agrees with its ledger, byte for byte. Memory does not grow with the results.

    Raises:
        UsageError: `directory` is not empty.
        InputError: The cluster has no such results, or too long ones; the message says where they are.
        ClusterError: They cannot be downloaded.
        JobError: What arrived does not agree with the ledger.
    """
    refuse_filled(directory)
    with cluster.helper("linkmatch_ray.runtime.cluster.file_server", job.directory, node=job.node) as (offer, node):
        if "error" in offer:
            raise InputError(f"{shown(offer['error'])}. Wait until the job has begun, or check where its results are.")
        sizes: dict[str, int] = offer["sizes"]
        total = sum(sizes.values())
        if total > FETCH_BYTES_MAX:
            raise InputError(
                f"{shown(job.id)}: its results have {total:,} bytes, and at most {FETCH_BYTES_MAX:,} can be downloaded."
                f" Copy them from {shown(job.directory)} on the cluster."
            )
        with reported_as_job_errors(directory):
            make(directory)

        def copy(name: str, size: int) -> None:
            with open_new(directory / name) as file:
                cluster.download(node, f"{offer['folder']}/{name}", file, size)

        copy(LEDGER, sizes.pop(LEDGER))
        with reported_as_job_errors(directory), closing(Ledger(directory / LEDGER)) as ledger:
            ends = ends_of(ledger)
        for name in (*OUTPUTS, RESTRICTIONS, SUMMARY):
            if name in sizes:
                copy(name, ends.get(name, sizes[name]))
    return check(directory)
