"""The commands beside `submit`, as functions: each gives what its command prints.

None starts a Ray, but for `doctor` without an address. Those that ask a cluster load Ray, the others do not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from linkmatch_ray.core.options import KEY, MatchKeywords, MatchOptions, RestrictionsFormat
from linkmatch_ray.errors import InputError, UsageError
from linkmatch_ray.io.inputs.names import names_in, refuse_no_input
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.storage.paths import Name, path_of
from linkmatch_ray.io.storage.system_errors import reported_as_job_errors
from linkmatch_ray.io.storage.urls import scheme_of, without_query
from linkmatch_ray.runtime.session.address import is_jobs_api
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
    options: MatchOptions | None = None,
    **more: Unpack[MatchKeywords],
) -> Explanation:
    """Say why one record matches, or why not.

    Args:
        record: The file that has it, as a path or URL; or the record itself as bytes.
        restrictions: The list, loaded; or what `Restrictions.load` takes with `key` and the two options after it.
        index: Which record of the file, from 0, as a job numbers them.
        options, more: How the file is read, as `MatchOptions` or by name.

    Raises:
        InputError: the file cannot be read, or has no such record.
        RestrictionsError: the list cannot be loaded.
        UsageError: an option is out of range, or `record` is not one file.
        TypeError: an argument is of another type.
    """
    from linkmatch_ray.io.diagnosis import explanation as io
    from linkmatch_ray.io.restrictions.restrictions import Restrictions

    if not isinstance(restrictions, Restrictions):
        restrictions = Restrictions.load(
            restrictions,
            KEY if key is None else key,
            restrictions_at=restrictions_at,
            restrictions_format=restrictions_format,
        )
    how = MatchOptions.of(options, **more)
    if isinstance(record, bytes):
        text = io.record_in(record, index, restrictions, how)
    else:
        text = io.record_at(os.fsdecode(record), index, restrictions, how)
    return replace(io.explain(text, restrictions), record=text)


# Results in a directory or at a URL


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found.

    Attributes:
        differences: What does not agree, a sentence each; empty where all is well.
        foreign: What is there and is not the job's, as whole paths or URLs. It is no difference.
        pieces, nbytes: How many rows of the ledger, and bytes of output, were compared.
    """

    differences: list[str]
    foreign: list[str]
    pieces: int
    nbytes: int


def verify(directory: Name) -> Verification:
    """Read a result directory, or results at a URL, again, and compare outputs, ledger, report and summary.

    Raises:
        InputError: there are no results.
        JobError: they cannot be read.
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
    """Say how far a job is. May be asked at any time.

    Args:
        target: A result directory or URL; or with `address` the id of a job on a cluster.
        address, tls_verify: The cluster, as for `jobs`.
        verbose: Let Ray's own messages through.

    Returns: `state` and counts. Of a job on a cluster that is a Ray job: what `jobs` gives, and `said`, the last line
        that it printed, and `summary`.

    Raises:
        InputError: there is no such job, or there are no results.
        ClusterError: the cluster cannot be reached.
        JobError: the results cannot be read.
    """
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
    """Stop a running job; returns once it has ended. It can be resumed.

    Args:
        target, address, tls_verify, verbose: As for `status`.

    Raises:
        InputError: no such job runs.
        ClusterError: the cluster cannot be reached.
        JobError: it still runs after half a minute.
    """
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
        raise InputError(f"{name}: has ended already ({found.how}). See `linkmatch-ray status {name}`.")
    cluster.stop(found.submission_id)


def results(job: str, output: Name, *, address: str | None = None, tls_verify: bool | str = True) -> Fetched:
    """Bring the results of a job on a cluster, or those at a URL, into a new directory of this machine.

    Of a job that runs or was stopped comes what is durable.

    Guarantees: what has arrived agrees with its ledger, byte for byte. Memory does not grow with the results.

    Args:
        job: The id of a job on the cluster, or the URL of results.
        address, tls_verify: The cluster, as for `jobs`.

    Raises:
        InputError: there are no such results, or they are too long for the cluster's dashboard.
        ClusterError: they cannot be brought.
        UsageError: `output` is not empty, or a URL.
        JobError: what arrived is not what the ledger says.
    """
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
    """The directory that results are brought into.

    Raises:
        UsageError: it is a URL.
    """
    path = path_of(output, "output")
    if scheme_of(path) is not None:
        raise UsageError(
            f"{without_query(path)}: results are brought into a directory of this machine. Name a new one with -o."
        )
    return Path(os.fsdecode(path))


def _job_in(target: Name, address: str | None) -> str | None:
    """The id of the job on a cluster that is meant; None where it is a directory or URL.

    Raises:
        InputError: it is neither.
    """
    name = os.fsdecode(target)
    if "://" in name or Path(name).is_dir():
        return None
    if address is None:
        raise InputError(
            f"{shown(name)}: no such directory. Name the one that submit printed, or a job with --address."
        )
    return name


# The cluster


def jobs(address: str | None = None, *, tls_verify: bool | str = True) -> list[dict[str, Any]]:
    """List the jobs of a cluster, oldest first; then those that processes which joined it drive now.

    Args:
        address: `http(s)://HEAD:8265`, or `HOST:6379` or `auto`. RAY_API_SERVER_ADDRESS goes first.
        tls_verify: Whether to check an https cluster's certificate, or a file or folder of trusted ones.

    Raises:
        UsageError: no cluster is named.
        ClusterError: it cannot be reached.
    """
    cluster = _connect(address, tls_verify)
    return [
        *(job.as_dict() for job in cluster.jobs()),
        *({"job_id": name, "state": "running"} for name in cluster.driven()),
    ]


def logs(job: str, *, follow: bool = False, address: str | None = None, tls_verify: bool | str = True) -> Iterator[str]:
    """Give what a job on a cluster has printed, in pieces.

    Args:
        follow: Go on until the job is over.
        address, tls_verify: The cluster, as for `jobs`.

    Raises:
        InputError: there is no such job.
        ClusterError: the cluster cannot be reached.
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
    """Say whether jobs would run on a cluster, or without `address` on this machine.

    Args:
        inputs: Paths that every node should see.
        address: As for `jobs`; None for an embedded Ray, which is started for this.

    Returns: what was looked at, each with `well` and `what`.

    Raises:
        ClusterError: the cluster cannot be reached, or no Ray can be started.
    """
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
    """Join a cluster to ask the collector of a job that is `unknown` as a Ray job.

    Raises:
        InputError: there is none, or it cannot be asked over HTTP.
    """
    if job not in cluster.driven():
        raise unknown
    if is_jobs_api(address):
        raise InputError(
            f"{shown(job)}: is driven by a process that joined the cluster, and cannot be asked over HTTP. Give"
            " --address auto on one of its nodes."
        )
    with _session(address, verbose) as session:
        yield session
