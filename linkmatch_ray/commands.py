"""The commands except `submit`, as functions: each returns what its command prints.

Only `doctor` without an address starts a Ray. Functions that ask a cluster load Ray; the others do not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from linkmatch_ray.core.options import MatchKeywords, MatchOptions, RestrictionsFormat
from linkmatch_ray.errors import InputError, UsageError
from linkmatch_ray.io.inputs.names import names_in, refuse_no_input
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.storage.paths import Name, path_of
from linkmatch_ray.io.storage.system_errors import reported_as_job_errors
from linkmatch_ray.io.storage.urls import scheme_of, without_query
from linkmatch_ray.runtime.session.address import certificates, is_jobs_api
from linkmatch_ray.words import shown

if TYPE_CHECKING:
    from linkmatch_ray.io.diagnosis.explanation import Explanation
    from linkmatch_ray.io.restrictions.restrictions import Restrictions
    from linkmatch_ray.io.results.download import Fetched
    from linkmatch_ray.runtime.cluster.doctor import Finding
    from linkmatch_ray.runtime.cluster.jobs_api import Cluster
    from linkmatch_ray.runtime.session.session import Session

# One record


def explain(
    record: Name,
    restrictions: Restrictions | Name,
    *,
    index: int = 0,
    key: str | Sequence[str] | None = None,
    restrictions_at: str | None = None,
    restrictions_format: RestrictionsFormat = "auto",
    skip_keyless: bool = False,
    options: MatchOptions | None = None,
    **more: Unpack[MatchKeywords],
) -> Explanation:
    """Explains why one record matches, or why not.

    Args:
        record: The path or URL of the file with the record, or the record itself as bytes.
        restrictions: The loaded list, or the source of one. `key` and the three options after it say how to load it.
            A loaded list has its own.
        index: Number of the record in the file, from 0, as a job counts.
        options, more: The options of matching, as `MatchOptions` or by name.

    Raises:
        InputError: The file cannot be read, or has no such record.
        RestrictionsError: The list cannot be loaded.
        UsageError: An option is out of range, or `record` is not one file.
        TypeError: An argument is of the wrong type.
    """
    from linkmatch_ray.io.diagnosis import explanation as io
    from linkmatch_ray.io.restrictions.restrictions import loaded

    restrictions = loaded(restrictions, key, restrictions_at, restrictions_format, skip_keyless)
    how = MatchOptions.of(options, **more)
    if isinstance(record, bytes):
        text = io.record_in(record, index, restrictions, how)
    else:
        text = io.record_at(os.fsdecode(record), index, restrictions, how)
    return replace(io.explain(text, restrictions), record=text)


# Results in a directory or at a URL


@dataclass(frozen=True, slots=True)
class Verification:
    """The findings of `verify`.

    Attributes:
        differences: What does not agree, one sentence each. Empty if everything agrees.
        foreign: Whole paths or URLs of what is there and does not belong to the job. They are no differences.
        pieces, nbytes: Number of rows of the ledger, and bytes of output, that were compared.
    """

    differences: list[str]
    foreign: list[str]
    pieces: int
    nbytes: int


def verify(directory: Name) -> Verification:
    """Reads the results in a directory or at a URL, and compares outputs, ledger, report and summary.

    Raises:
        InputError: There are no results.
        JobError: They cannot be read.
    """
    from linkmatch_ray.io.results.verification import Checked
    from linkmatch_ray.io.results.verification import verify as differences_in

    checked = Checked()
    differences = list(differences_in(results_at(directory), checked))
    return Verification(differences, checked.foreign, checked.pieces, checked.nbytes)


# A job, in its results or on a cluster


def status(
    target: Name, *, address: str | None = None, tls_verify: bool | str = True, verbose: bool = False
) -> dict[str, Any]:
    """Returns how far a job is. May be called at any time.

    Args:
        target: A result directory or URL; or with `address` the id of a job on a cluster.
        address, tls_verify: The cluster, as for `jobs`.
        verbose: Show Ray's own messages.

    Returns:
        `state` and counts. For a Ray job on a cluster it is the row of `jobs`, with `said`, the last line that the job
        printed, and `summary`.

    Raises:
        InputError: There is no such job, or there are no results.
        ClusterError: The cluster cannot be reached.
        JobError: The results cannot be read.
    """
    certificates(address, tls_verify)
    if (job := _job_in(target, address)) is None:
        from linkmatch_ray.io.results.status import status as status_of

        return status_of(results_at(target))
    from linkmatch_ray.runtime.cluster.cluster_job import status_on

    cluster = _connect(address, tls_verify)
    try:
        found = cluster.find(job)
    except InputError as unknown:
        with _joined(cluster, job, address, verbose, unknown) as session:
            from linkmatch_ray.runtime.jobs.job import progress

            return progress(job, session)
    return status_on(cluster, found)


def cancel(target: Name, *, address: str | None = None, tls_verify: bool | str = True, verbose: bool = False) -> None:
    """Stops a running job, and returns once it has ended. It can be resumed.

    Args:
        target, address, tls_verify, verbose: As for `status`.

    Raises:
        InputError: No such job is running.
        ClusterError: The cluster cannot be reached.
        JobError: It is still running after half a minute.
    """
    certificates(address, tls_verify)
    if (job := _job_in(target, address)) is None:
        place = results_at(target)
        with reported_as_job_errors(place):
            place.cancel()
        return
    cluster = _connect(address, tls_verify)
    try:
        found = cluster.find(job)
    except InputError as unknown:
        with _joined(cluster, job, address, verbose, unknown) as session:
            from linkmatch_ray.runtime.jobs.job import cancel as cancel_collector

            cancel_collector(job, session)
        return
    if found.is_over:
        name = shown(found.id)
        raise InputError(f"{name}: has already ended ({found.how}). See `linkmatch-ray status {name}`.")
    cluster.stop(found.submission_id)


def results(job: str, output: Name, *, address: str | None = None, tls_verify: bool | str = True) -> Fetched:
    """Downloads the results of a job on a cluster, or results at a URL, into a new directory on this machine.

    If the job is running or was stopped, what is durable is downloaded.

    Guarantees: What has arrived agrees with its ledger, byte for byte. Memory does not grow with the results.

    Args:
        job: The id of a job on the cluster, or the URL of results.
        address, tls_verify: The cluster, as for `jobs`.

    Raises:
        InputError: There are no such results, or they are too large for the cluster's dashboard.
        ClusterError: They cannot be downloaded.
        UsageError: `output` is not empty, or is a URL.
        JobError: What arrived does not agree with the ledger.
    """
    certificates(address, tls_verify)
    there = job
    if "://" not in there:
        cluster = _connect(address, tls_verify)
        found = cluster.find(job)
        if "://" not in found.directory:
            from linkmatch_ray.runtime.cluster.download import download_job

            return download_job(cluster, found, _here(output))
        there = found.directory
    from linkmatch_ray.io.results.download import download

    return download(results_at(there), _here(output))


def _here(output: Name) -> Path:
    """Returns the local directory for downloaded results.

    Raises:
        UsageError: It is a URL.
    """
    path = path_of(output, "output")
    if scheme_of(path) is not None:
        raise UsageError(
            f"{without_query(path)}: results are downloaded to this machine. Name a new local directory with -o."
        )
    return Path(os.fsdecode(path))


def _job_in(target: Name, address: str | None) -> str | None:
    """Returns the id of a job on a cluster; None if the target is a directory or URL.

    Raises:
        InputError: It is neither a directory nor a URL, and no cluster was given.
    """
    name = os.fsdecode(target)
    if "://" in name or Path(name).is_dir():
        return None
    if address is None:
        raise InputError(
            f"{shown(name)}: no such directory. Name the one that submit printed. If it is a job's id, add --address."
        )
    return name


# The cluster


def jobs(address: str | None = None, *, tls_verify: bool | str = True) -> list[dict[str, Any]]:
    """Lists the jobs of a cluster, oldest first; then the running jobs of processes that have joined it.

    Args:
        address: `http(s)://HEAD:8265`, or `HOST:6379` or `auto`. RAY_API_SERVER_ADDRESS overrides it.
        tls_verify: Whether to check the certificate of an https cluster, or a file or folder of trusted certificates.

    Raises:
        UsageError: No cluster is named.
        ClusterError: It cannot be reached.
    """
    cluster = _connect(address, tls_verify)
    return [
        *(job.as_dict() for job in cluster.jobs()),
        *({"job_id": name, "state": "running"} for name in cluster.driven()),
    ]


def logs(job: str, *, follow: bool = False, address: str | None = None, tls_verify: bool | str = True) -> Iterator[str]:
    """Yields the output of a job on a cluster, in pieces of any length.

    Args:
        follow: Continue until the job has ended.
        address, tls_verify: The cluster, as for `jobs`.

    Raises:
        InputError: There is no such job.
        ClusterError: The cluster cannot be reached.
    """
    cluster = _connect(address, tls_verify)
    found = cluster.find(job)
    return cluster.follow(found.submission_id) if follow else iter([cluster.logs(found.submission_id)])


def doctor(
    inputs: Name | Iterable[Name] = (),
    *,
    address: str | None = None,
    tls_verify: bool | str = True,
    verbose: bool = False,
) -> list[Finding]:
    """Checks whether jobs would run on a cluster, or without `address` on this machine.

    Args:
        inputs: Paths that every node must see.
        address: As for `jobs`; None for an embedded Ray, which is started for this.

    Returns:
        The findings: each is `well` or not, and `what` describes it.

    Raises:
        ClusterError: The cluster cannot be reached, or no Ray can be started.
    """
    certificates(address, tls_verify)
    paths = names_in(inputs)
    for path in paths:
        refuse_no_input(path)
    where = None if not is_jobs_api(address) else _connect(address, tls_verify)
    from linkmatch_ray.runtime.cluster.doctor import examine

    names = list(map(os.fsdecode, paths))
    if where is not None:
        return examine(where, names)
    with _session(address, verbose) as session:
        return examine(session, names)


def _session(address: str | None, verbose: bool) -> Session:
    from linkmatch_ray.runtime.session.session import Session

    return Session(address, verbose=verbose)


def _connect(address: str | None, tls_verify: bool | str) -> Cluster:
    from linkmatch_ray.runtime.cluster.cluster_job import connect

    return connect(address, tls_verify)


@contextmanager
def _joined(cluster: Cluster, job: str, address: str | None, verbose: bool, unknown: InputError) -> Iterator[Session]:
    """Joins a cluster to ask the collector of a job that is not a Ray job.

    Args:
        unknown: The error to raise if no such job is running.

    Raises:
        InputError: No such job is running, or its collector cannot be asked over HTTP.
    """
    if job not in cluster.driven():
        raise unknown
    if is_jobs_api(address):
        raise InputError(
            f"{shown(job)}: is driven by a process that joined the cluster, so it cannot be reached over HTTP. Run the"
            " command on a node of the cluster, with --address auto."
        )
    with _session(address, verbose) as session:
        yield session
