"""A `submit` to a cluster that is reached over HTTP: sent there as a Ray job, and watched."""

from __future__ import annotations

import os
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import orjson
import typer

from linkmatch_ray.cli.ending import exit_code_of, temporary_directory
from linkmatch_ray.cli.output import bytes_of, print_summary, resume_command
from linkmatch_ray.errors import ClusterError, InputError, JobError, UsageError
from linkmatch_ray.runtime.address import is_jobs_api, job_name
from linkmatch_ray.runtime.remote import OVERRIDE, Cluster, RemoteJob, Unreachable
from linkmatch_ray.runtime.shipping import entrypoint, job_id_for, on_cluster, runtime_env, ship
from linkmatch_ray.words import command, shown

if TYPE_CHECKING:
    from collections.abc import Iterable


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
        print(f"{OVERRIDE} is set: {cluster} is used, not {shown(address)}.", file=sys.stderr)
    if cluster.token_was_readable:
        print(
            f"{cluster}: asked for your token and got it, and who listens on the way can read it. Give an https"
            " address, or set RAY_AUTH_MODE=token and this is not said.",
            file=sys.stderr,
        )
    return cluster


def submit_as_job(context: typer.Context) -> NoReturn:
    """Run what `submit` was asked for as a Ray job; ends with the job's own exit code."""
    given = context.params
    if given["output"] == "-":
        raise UsageError("-o - with a cluster: results are written there. Name a directory, then see `results JOB -o`.")
    if given["files_from"] == given["restrictions"] == "-":
        raise UsageError("-r - and --files-from -: both read standard input. Give one of them a file.")
    if not given["inputs"] and given["files_from"] is None:
        raise InputError("no input was given. Name files or directories, or --files-from.")
    directory = on_cluster(given["output"], "-o")
    job_id = job_id_for(given["job_id"], directory) + ("-plan" if given["dry_run"] else "")
    inputs = [on_cluster(name, "input") for name in given["inputs"] or ()]
    with temporary_directory() as folder:
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
            name=job_name(directory),
            env=runtime_env(uploads),
        )
    if given["no_wait"]:
        print(shown(job.id))
        _print_next(job, cluster, given["verify"])
        raise typer.Exit
    if not given["quiet"]:
        attempt = f" (attempt {job.attempt})" if job.attempt > 1 else ""
        print(f"Job {shown(job.id)}{attempt} on {cluster}", file=sys.stderr, flush=True)
    try:
        text = _follow(cluster, job, show=not given["quiet"] and not given["dry_run"])
    except KeyboardInterrupt as stop:
        print(f"linkmatch-ray: job {shown(job.id)} goes on, on {cluster}.", file=sys.stderr)
        _print_next(job, cluster, given["verify"])
        raise typer.Exit(exit_code_of(stop)) from None
    except Unreachable:
        print(f"linkmatch-ray: lost sight of job {shown(job.id)}, which may well go on.", file=sys.stderr)
        _print_next(job, cluster, given["verify"])
        raise
    job = cluster.look(job.submission_id)
    summary = None if given["dry_run"] else summary_in(text)
    if given["dry_run"]:
        sys.stdout.writelines(f"{line}\n" for line in text.splitlines() if not is_rays(line))
    elif summary is not None:
        print_summary(summary, as_json=given["as_json"], quiet=given["quiet"], file=sys.stdout)
        directory = os.fsdecode(bytes_of(summary, "directory"))
        there = "://" not in directory and not Path(directory).exists()
        if there and not (given["quiet"] or given["as_json"]):
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
    """Show what a job prints, but for its summary, until it is over, and its errors in any case; returns all of it."""
    text, line = [], ""
    in_summary = False
    for piece in cluster.follow(job.submission_id):
        text.append(piece)
        *lines, line = (line + piece).split("\n")
        for each in lines:
            in_summary = in_summary or each == "{"
            if each.startswith("linkmatch-ray: ") or (show and not in_summary and not is_rays(each)):
                print(each, file=sys.stderr, flush=True)
    return "".join(text)


def is_rays(line: str) -> bool:
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
        print(f"linkmatch-ray: {shown(job.id)} was stopped. To resume: {resume_command()}", file=sys.stderr)
        return EXIT_STOPPED
    if job.exit_code is None:
        kind = ClusterError if job.error_type == "RUNTIME_ENV_SETUP_FAILURE" else JobError
        raise kind(
            f"{shown(job.id)}: {shown(job.message.strip()) or 'its driver did not start'} See the dashboard, {cluster}."
        )
    if job.exit_code == EXIT_NO_PYTHON:
        raise ClusterError(
            f"{cluster}: finds no `python`. Start Ray on the head node where `python` is the one it runs with, as in an"
            " activated environment."
        )
    if job.exit_code < 0:
        name = shown(job.id)
        raise JobError(f"{name}: its driver was killed by signal {-job.exit_code}. See `logs {name}`.")
    return job.exit_code


def _command(name: str, job_id: str, cluster: Cluster, verify: str, *more: str) -> str:
    words = ["linkmatch-ray", name, job_id]
    where = ["--address", str(cluster), *(() if verify == "true" else ("--verify", verify))]
    return " ".join([command(words), *more, command(where)])


def _print_next(job: RemoteJob, cluster: Cluster, verify: str) -> None:
    for name, more in (("status", ()), ("logs", ("-f",)), ("results", ("-o", "DIR")), ("cancel", ())):
        print(f"  {_command(name, job.id, cluster, verify, *more)}", file=sys.stderr)
