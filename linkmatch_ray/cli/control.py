"""Looking after the jobs of a cluster, whoever submitted them, and after the cluster itself."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from linkmatch_ray.cli import signals
from linkmatch_ray.cli.ending import exit_code_of
from linkmatch_ray.cli.output import number, plural, print_summary, size
from linkmatch_ray.cli.printer import json_text
from linkmatch_ray.cli.remote import connect, is_rays, summary_in
from linkmatch_ray.errors import EXIT_QUARANTINED, InputError, UsageError
from linkmatch_ray.io.input_names import refuse_no_input
from linkmatch_ray.io.paths import path_of
from linkmatch_ray.io.urls import scheme_of, without_query
from linkmatch_ray.runtime.address import is_jobs_api
from linkmatch_ray.runtime.remote import Cluster, RemoteJob
from linkmatch_ray.words import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from linkmatch_ray.io.bring import Fetched
    from linkmatch_ray.runtime.session import Session


def print_jobs(cluster: Cluster, *, as_json: bool) -> None:
    """The jobs of a cluster, oldest first; then those that processes which joined it drive now."""
    jobs, driven = cluster.jobs(), cluster.driven()
    if as_json:
        found = [_as_dict(job) for job in jobs] + [{"job_id": name, "state": "running"} for name in driven]
        print(json_text(found))
        return
    width = max((len(shown(name)) for name in (*driven, *(job.id for job in jobs))), default=0)
    for job in jobs:
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.started))
        print(f"{shown(job.id):<{width}}  {_state(job):<8}  {began}  {shown(job.directory)}")
    for name in driven:
        print(f"{shown(name):<{width}}  running   by a process that joined the cluster")
    if not jobs and not driven:
        print(f"{cluster}: no job was submitted here.", file=sys.stderr)


def print_job_status(job_id: str, address: str | None, verify: str, *, as_json: bool, verbose: bool) -> None:
    """How far a job is, whoever drives it."""
    cluster = connect(address, verify)
    try:
        job = cluster.find(job_id)
    except InputError as unknown:
        with _joining(cluster, job_id, address, verbose, unknown) as session:
            from linkmatch_ray.runtime.job import progress

            said = progress(job_id, session)
        if as_json:
            print(json_text(said))
        else:
            done = f"{number(said['files_done'])} of {plural(said['files'], 'file')} done"
            print(f"{shown(job_id)}: {said['state']}, {done},")
            print(f"{number(said['matched'])} of {plural(said['records'], 'record')} matched so far")
        return
    print_remote_status(cluster, job, as_json=as_json)


@contextmanager
def _joining(
    cluster: Cluster, job_id: str, address: str | None, verbose: bool, unknown: InputError
) -> Iterator[Session]:
    """Join a cluster to ask the collector of a job that is `unknown` as a Ray job.

    Raises:
        InputError: there is none, or it cannot be asked over HTTP.
    """
    if job_id not in cluster.driven():
        raise unknown
    if is_jobs_api(address):
        raise InputError(
            f"{shown(job_id)}: is driven by a process that joined the cluster, and cannot be asked over HTTP. Give"
            " --address auto on one of its nodes."
        )
    with _session(address, verbose=verbose) as session:
        yield session


def _session(address: str | None, *, verbose: bool) -> Session:
    from linkmatch_ray.runtime.session import Session

    session = Session(address, verbose=verbose)
    signals.at_the_last(session.abandon)
    return session


def print_remote_status(cluster: Cluster, job: RemoteJob, *, as_json: bool) -> None:
    """How far a job on a cluster is: the last it has said, or its summary."""
    text = cluster.logs(job.submission_id)
    summary = summary_in(text)
    said = [line for line in text.splitlines() if line and not is_rays(line)] if summary is None else []
    if as_json:
        status = _as_dict(job) | {"said": said[-1] if said else None, "summary": summary}
        print(json_text(status))
        return
    print(f"{shown(job.id)}: {_state(job)}, attempt {job.attempt}, results in {shown(job.directory)} on {cluster}")
    if summary is not None:
        print_summary(summary, as_json=False, quiet=False, file=sys.stdout)
    elif said:
        print(shown(said[-1]))


def _state(job: RemoteJob) -> str:
    """Ray's state in our words; a job with quarantine entries is complete, though Ray calls exit code 4 a failure."""
    if job.state == "FAILED" and job.exit_code == EXIT_QUARANTINED:
        return "complete"
    return {"SUCCEEDED": "complete", "STOPPED": "stopped"}.get(job.state, shown(job.state.lower()))


def _as_dict(job: RemoteJob) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "state": _state(job),
        "attempt": job.attempt,
        "submission_id": job.submission_id,
        "exit_code": job.exit_code,
        "directory": job.directory,
        "started": job.started,
        "ended": job.ended,
    }


def print_logs(cluster: Cluster, job: RemoteJob, *, follow: bool) -> None:
    """What a job printed; with `follow` until it is over."""
    if not follow:
        sys.stdout.write(cluster.logs(job.submission_id))
        return
    try:
        for piece in cluster.follow(job.submission_id):
            sys.stdout.write(piece)
            sys.stdout.flush()
    except KeyboardInterrupt as stop:
        raise typer.Exit(exit_code_of(stop)) from None


def bring_results(cluster: Cluster, job: RemoteJob, output: str | None) -> None:
    """Fetch the results of a job, or say where they are."""
    if output is None:
        where = f"{shown(job.directory)} on {cluster}"
        print(f"{shown(job.id)}: {_state(job)}; results in {where}. To fetch them, add -o DIR.")
        return
    if "://" in job.directory:
        bring_from_url(job.directory, output)
        return
    from linkmatch_ray.runtime.fetch import fetch

    _print_fetched(fetch(cluster, job, _here(output)), output)


def bring_from_url(url: str, output: str | None) -> None:
    """Fetch results at a URL."""
    from linkmatch_ray.io.bring import bring
    from linkmatch_ray.io.results import results_at

    if output is None:
        raise UsageError(f"{shown(url)}: to be brought where? Name a new directory with -o.")
    _print_fetched(bring(results_at(url), _here(output)), output)


def _here(output: str) -> Path:
    """The directory that results are brought into.

    Raises:
        UsageError: it is a URL.
    """
    if scheme_of(os.fsencode(output)) is not None:
        raise UsageError(
            f"{without_query(os.fsencode(output))}: results are brought into a directory of this machine. Name a new"
            " one with -o."
        )
    return Path(output)


def _print_fetched(fetched: Fetched, output: str) -> None:
    so_far = "" if fetched.complete else " so far; the job is not complete"
    print(f"{shown(output)}: {size(fetched.nbytes)} of output{so_far}. All agrees with the ledger.")


def cancel(job_id: str, address: str | None, verify: str, *, verbose: bool) -> None:
    """Stop a job: one that was submitted as a Ray job, or one that another process drives on a cluster we can join."""
    cluster = connect(address, verify)
    try:
        job = cluster.find(job_id)
    except InputError as unknown:
        with _joining(cluster, job_id, address, verbose, unknown) as session:
            from linkmatch_ray.runtime.job import cancel as cancel_collector

            cancel_collector(job_id, session)
        return
    if job.is_over:
        name = shown(job.id)
        raise InputError(f"{name}: has ended already ({_state(job)}). See `linkmatch-ray status {name}`.")
    cluster.stop(job.submission_id)


def print_findings(paths: list[str], address: str | None, verify: str, *, verbose: bool) -> bool:
    """What is well with a cluster and what is not; returns whether all is."""
    from linkmatch_ray.runtime.doctor import examine

    for path in paths:
        refuse_no_input(path_of(path))
    if is_jobs_api(address):
        found = examine(connect(address, verify), paths)
    else:
        with _session(address, verbose=verbose) as session:
            found = examine(session, paths)
    for finding in found:
        print(f"{'ok ' if finding.well else 'BAD'}  {shown(finding.what)}")
    return all(finding.well for finding in found)
