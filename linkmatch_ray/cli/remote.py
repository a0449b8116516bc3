"""Jobs on a cluster that is reached over HTTP: submit one and watch it, and look after those that were submitted."""

from __future__ import annotations

import shlex
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import orjson
import typer

from linkmatch_ray.cli.ending import exit_code_of, on_sigterm
from linkmatch_ray.cli.output import number, plural, print_summary, resume_command, size
from linkmatch_ray.errors import EXIT_QUARANTINED, ClusterError, InputError, JobError, UsageError
from linkmatch_ray.runtime.address import is_jobs_api
from linkmatch_ray.runtime.remote import OVERRIDE, Cluster, RemoteJob
from linkmatch_ray.runtime.shipping import entrypoint, job_id_for, on_cluster, runtime_env, ship

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from linkmatch_ray.runtime.session import Session

EXIT_STOPPED: Final = 143
"""A job that was cancelled ends by SIGTERM; Ray records no exit code for it."""

EXIT_NO_PYTHON: Final = 127
"""What a shell says of a command that is not there."""

_OUR_OWN: Final = {
    "address",
    "no_wait",
    "verify",
    "as_json",
    "output",
    "job_id",
    "restrictions",
    "files_from",
    "inputs",
}
"""Parameters of `submit` that are for this side, or travel in another form."""


def connect(address: str | None, verify: str) -> Cluster:
    """The cluster at an address.

    Raises:
        UsageError: none was given.
    """
    if address is None:
        raise UsageError("no cluster was named. Give --address http://HEAD:8265, or set RAY_ADDRESS.")
    is_jobs_api(address)  # refuses Ray Client
    chosen: bool | str = {"true": True, "1": True, "false": False, "0": False}.get(verify.lower(), verify)
    cluster = Cluster(address, verify=chosen)
    if cluster.overridden:
        print(f"{OVERRIDE} is set: {cluster} is used, not {address}.", file=sys.stderr)
    return cluster


def submit_as_job(context: typer.Context) -> NoReturn:
    """Run what `submit` was asked for as a Ray job; ends with the job's own exit code."""
    given = context.params
    if given["output"] == "-":
        raise UsageError("-o - with a cluster: results are written there. Name a directory, then see `results JOB -o`.")
    if "-" in (given["files_from"],) and given["restrictions"] == "-":
        raise UsageError("-r - and --files-from -: both read standard input. Give one of them a file.")
    if not given["inputs"] and given["files_from"] is None:
        raise InputError("no input was given. Name files or directories, or --files-from.")
    signal.signal(signal.SIGTERM, on_sigterm)
    directory = on_cluster(given["output"], "-o")
    job_id = job_id_for(given["job_id"], directory) + ("-plan" if given["dry_run"] else "")
    inputs = [on_cluster(name, "input") for name in given["inputs"] or ()]
    with tempfile.TemporaryDirectory(prefix="linkmatch-") as folder:
        uploads = Path(folder)
        arguments = [*inputs, *_as_typed(context)]
        arguments += ["--restrictions", ship(given["restrictions"], "--restrictions", uploads)]
        if given["files_from"] is not None:
            arguments += ["--files-from", ship(given["files_from"], "--files-from", uploads)]
        cluster = connect(given["address"], given["verify"])
        job = cluster.submit(
            job_id,
            entrypoint(arguments, directory, job_id, as_json=given["as_json"] or not given["dry_run"]),
            directory=directory,
            name=f"linkmatch {Path(directory).name}",
            env=runtime_env(uploads),
        )
    if given["no_wait"]:
        print(job.id)
        _print_next(job, cluster, given["verify"])
        raise typer.Exit
    if not given["quiet"]:
        attempt = f" (attempt {job.attempt})" if job.attempt > 1 else ""
        print(f"Job {job.id}{attempt} on {cluster}", file=sys.stderr, flush=True)
    try:
        text = _follow(cluster, job, show=not given["quiet"] and not given["dry_run"])
    except KeyboardInterrupt as stop:
        print(f"linkmatch-ray: job {job.id} goes on, on {cluster}.", file=sys.stderr)
        _print_next(job, cluster, given["verify"])
        raise typer.Exit(exit_code_of(stop)) from None
    job = cluster.look(job.submission_id)
    summary = None if given["dry_run"] else summary_in(text)
    if given["dry_run"]:
        sys.stdout.writelines(f"{line}\n" for line in text.splitlines() if not _is_rays(line))
    elif summary is not None:
        print_summary(summary, as_json=given["as_json"], quiet=given["quiet"], file=sys.stdout)
        if not given["quiet"] and not Path(summary["directory"]).exists():
            to_fetch = _command("results", job.id, cluster, given["verify"], "-o", "DIR")
            print(f"They are on the cluster. To fetch them: {to_fetch}")
    raise typer.Exit(exit_code(job, cluster))


def _as_typed(context: typer.Context) -> list[str]:
    """The options as they were given, but for those that do not travel."""
    arguments: list[str] = []
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if parameter.name in _OUR_OWN or value is None or value == parameter.get_default(context):
            continue
        values: Iterable[Any] = value if isinstance(value, (list, tuple)) else [value]
        for each in values:
            arguments.append(parameter.opts[-1])
            if each is not True:
                arguments.append(str(each.value if isinstance(each, Enum) else each))
    return arguments


def _follow(cluster: Cluster, job: RemoteJob, *, show: bool) -> str:
    """Show what a job prints, but for its summary, until it is over; returns all of it."""
    text, line = [], ""
    in_summary = False
    for piece in cluster.follow(job.submission_id):
        text.append(piece)
        *lines, line = (line + piece).split("\n")
        for each in lines:
            in_summary = in_summary or each == "{"
            if show and not in_summary and not _is_rays(each):
                print(each, file=sys.stderr, flush=True)
    return "".join(text)


def _is_rays(line: str) -> bool:
    """Whether a line is what Ray begins every job's log with."""
    return line.startswith("Running entrypoint for job ") or line.endswith("Runtime env is setting up.")


def summary_in(text: str) -> dict[str, Any] | None:
    """The summary at the end of a job's log, if it is there."""
    start = text.rfind("\n{\n")
    if start < 0 or not text.endswith("\n}\n"):
        return None
    try:
        summary: dict[str, Any] = orjson.loads(text[start:])
    except ValueError:
        return None
    return summary


def exit_code(job: RemoteJob, cluster: Cluster) -> int:
    """The exit code of a job that is over.

    Raises:
        ClusterError: it did not fit the cluster.
        JobError: its driver was ended from outside.
    """
    if job.state == "STOPPED":
        print(f"linkmatch-ray: {job.id} was stopped. To resume: {resume_command()}", file=sys.stderr)
        return EXIT_STOPPED
    if job.exit_code is None:
        kind = ClusterError if job.error_type == "RUNTIME_ENV_SETUP_FAILURE" else JobError
        raise kind(f"{job.id}: {job.message.strip() or 'its driver did not start'} See the dashboard, {cluster}.")
    if job.exit_code == EXIT_NO_PYTHON:
        raise ClusterError(
            f"{cluster}: finds no `python`. Start Ray on the head node where `python` is the one it runs with, as in an"
            " activated environment."
        )
    if job.exit_code < 0:
        raise JobError(f"{job.id}: its driver was killed by signal {-job.exit_code}. See `logs {job.id}`.")
    return job.exit_code


def print_findings(paths: list[str], address: str | None, verify: str, *, verbose: bool) -> bool:
    """What is well with a cluster and what is not; returns whether all is."""
    from linkmatch_ray.runtime.doctor import examine
    from linkmatch_ray.runtime.session import Session

    if is_jobs_api(address):
        found = examine(connect(address, verify), paths)
    else:
        with Session(address, verbose=verbose) as session:
            found = examine(session, paths)
    for finding in found:
        print(f"{'ok ' if finding.well else 'BAD'}  {finding.what}")
    return all(finding.well for finding in found)


def _command(name: str, job_id: str, cluster: Cluster, verify: str, *more: str) -> str:
    words = ["linkmatch-ray", name, job_id]
    where = ["--address", str(cluster), *(() if verify == "true" else ("--verify", verify))]
    return " ".join([shlex.join(words), *more, shlex.join(where)])


def _print_next(job: RemoteJob, cluster: Cluster, verify: str) -> None:
    for name, more in (("status", ()), ("logs", ("-f",)), ("results", ("-o", "DIR")), ("cancel", ())):
        print(f"  {_command(name, job.id, cluster, verify, *more)}", file=sys.stderr)


def print_jobs(cluster: Cluster, *, as_json: bool) -> None:
    """The jobs of a cluster, oldest first; then those that processes which joined it drive now."""
    jobs, driven = cluster.jobs(), cluster.driven()
    if as_json:
        found = [_as_dict(job) for job in jobs] + [{"job_id": name, "state": "running"} for name in driven]
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    width = max((len(name) for name in (*driven, *(job.id for job in jobs))), default=0)
    for job in jobs:
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.started))
        print(f"{job.id:<{width}}  {_state(job):<8}  {began}  {job.directory}")
    for name in driven:
        print(f"{name:<{width}}  running   by a process that joined the cluster")
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
            print(orjson.dumps(said, option=orjson.OPT_INDENT_2).decode())
        else:
            print(f"{job_id}: {said['state']}, {number(said['files_done'])} of {plural(said['files'], 'file')} done,")
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
            f"{job_id}: is driven by a process that joined the cluster, and cannot be asked over HTTP. Give"
            " --address auto on one of its nodes."
        )
    from linkmatch_ray.runtime.session import Session

    with Session(address, verbose=verbose) as session:
        yield session


def print_remote_status(cluster: Cluster, job: RemoteJob, *, as_json: bool) -> None:
    """How far a job on a cluster is: the last it has said, or its summary."""
    text = cluster.logs(job.submission_id)
    summary = summary_in(text)
    said = [line for line in text.splitlines() if line and not _is_rays(line)] if summary is None else []
    if as_json:
        status = _as_dict(job) | {"said": said[-1] if said else None, "summary": summary}
        print(orjson.dumps(status, option=orjson.OPT_INDENT_2).decode())
        return
    print(f"{job.id}: {_state(job)}, attempt {job.attempt}, results in {job.directory} on {cluster}")
    if summary is not None:
        print_summary(summary, as_json=False, quiet=False, file=sys.stdout)
    elif said:
        print(said[-1])


def _state(job: RemoteJob) -> str:
    """Ray's state in our words; a job with quarantine entries is complete, though Ray calls exit code 4 a failure."""
    if job.state == "FAILED" and job.exit_code == EXIT_QUARANTINED:
        return "complete"
    return {"SUCCEEDED": "complete", "STOPPED": "stopped"}.get(job.state, job.state.lower())


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
        print(f"{job.id}: {_state(job)}; results in {job.directory} on {cluster}. To fetch them, add -o DIR.")
        return
    from linkmatch_ray.runtime.fetch import fetch

    fetched = fetch(cluster, job, Path(output))
    so_far = "" if fetched.complete else " so far; the job is not complete"
    print(f"{output}: {size(fetched.nbytes)} of output{so_far}. All agrees with the ledger.")


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
        raise InputError(f"{job.id}: has ended already ({_state(job)}). See `linkmatch-ray status {job.id}`.")
    cluster.stop(job.submission_id)
