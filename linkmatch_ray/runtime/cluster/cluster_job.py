"""`submit_remote`: a job that is sent to a cluster over HTTP, as a Ray job, and watched from here.

It runs the command `submit` there, whose last line is its summary behind a mark.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, Unpack

import orjson

from linkmatch_ray.core.options import OUTPUT, JobKeywords, JobOptions, MatchOptions
from linkmatch_ray.errors import ClusterError, InputError, Interrupted, JobError, LinkmatchError, UsageError
from linkmatch_ray.io.inputs.names import names_in
from linkmatch_ray.io.storage.paths import Name
from linkmatch_ray.runtime.cluster.jobs_api import OVERRIDE, Cluster, RemoteJob
from linkmatch_ray.runtime.cluster.upload import entrypoint, job_id_for, on_cluster, prepare_upload, runtime_env
from linkmatch_ray.runtime.session.address import SUMMARY_MARK, is_jobs_api, job_name
from linkmatch_ray.words import shown

EXIT_NO_PYTHON: Final = 127
"""What a shell says of a command that is not there."""

_STAY_HERE: Final = ("address", "tls_verify", "job_id", "files_from", "name", "unit_bytes", "part_bytes")
"""Options that are for this side, that travel in another form, or that the command does not have."""


class ClusterJob:
    """A job that runs on a cluster. It goes on without this program.

    Attributes:
        cluster: Where it runs; `str` of it is the address.
        id: Its name.
        attempt: How often it was submitted there, counted from 1.
        directory: Where its results are, as the cluster sees it.
    """

    def __init__(self, cluster: Cluster, job: RemoteJob) -> None:
        self.cluster, self._job, self._summary = cluster, job, None
        self.id, self.attempt, self.directory = job.id, job.attempt, job.directory

    def __repr__(self) -> str:
        return f"<ClusterJob {shown(self.id)} on {self.cluster}, results in {shown(self.directory)}>"

    def follow(self) -> Iterator[str]:
        """Give the lines that it prints, each once, until it is over; without its summary.

        Raises:
            Unreachable: the cluster has not answered for minutes; the job may well go on.
        """
        line = ""
        for piece in self.cluster.follow(self._job.submission_id):
            *lines, line = (line + piece).split("\n")
            yield from said_in(lines)
        yield from said_in([line] if line else [])

    def summary(self) -> dict[str, Any] | None:
        """The summary, as in `summary.json`; None before it is complete."""
        return summary_in(self.cluster.logs(self._job.submission_id))

    def result(self) -> dict[str, Any]:
        """Wait for the end; returns the summary.

        Raises:
            LinkmatchError: it failed or was stopped; what was committed is safe.
        """
        for _ in self.follow():
            pass
        code, summary = self.exit_code(), self.summary()
        if summary is None:
            error = next((each for each in _ERRORS if each.exit_code == code), JobError)
            raise error(f"{shown(self.id)}: failed on {self.cluster} (exit code {code}). See `logs {shown(self.id)}`.")
        return summary

    def cancel(self) -> None:
        """Stop it; returns once it is over. What was committed is safe and the job can be resumed."""
        self.cluster.stop(self._job.submission_id)

    def exit_code(self) -> int:
        """The exit code of the command, once it is over.

        Raises:
            Interrupted: it was stopped.
            ClusterError: it did not fit the cluster.
            JobError: its driver was ended from outside.
        """
        job, name = self.cluster.look(self._job.submission_id), shown(self.id)
        if job.state == "STOPPED":
            raise Interrupted(f"{name}: was stopped.")
        if job.exit_code is None:
            kind = ClusterError if job.error_type == "RUNTIME_ENV_SETUP_FAILURE" else JobError
            said = shown(job.message.strip()) or "its driver did not start"
            raise kind(f"{name}: {said} See the dashboard, {self.cluster}.")
        if job.exit_code == EXIT_NO_PYTHON:
            raise ClusterError(
                f"{self.cluster}: finds no `python`. Start Ray on the head node where `python` is the one it runs"
                " with, as in an activated environment."
            )
        if job.exit_code < 0:
            raise JobError(f"{name}: its driver was killed by signal {-job.exit_code}. See `logs {name}`.")
        return job.exit_code


_ERRORS: Final[tuple[type[LinkmatchError], ...]] = (JobError, UsageError, InputError, ClusterError, Interrupted)


def submit_remote(
    inputs: Name | Iterable[Name],
    restrictions: str,
    *,
    output: str = OUTPUT,
    key: str | Sequence[str] = (),
    options: MatchOptions | None = None,
    words: Sequence[str] = (),
    **more: Unpack[JobKeywords],
) -> ClusterJob:
    """Send a job to a cluster's Jobs API; returns once it is accepted. The package and the list travel along.

    Args:
        inputs, output: As for `submit`, but as the cluster's nodes see them: whole paths, or URLs.
        restrictions: The list: a file of this machine, `-`, or a path or URL of the cluster's. So is `files_from`.
        key, options, more: As for `submit`, and `address`, which is `http(s)://HEAD:8265`.
        words: More words of the command there, such as `--dry-run`.

    Raises:
        InputError: no input is named, or the list is too long to be sent.
        UsageError: a path is not whole, or an option cannot be.
        ClusterError: the cluster cannot be reached, refuses us, or runs another Ray.
        JobError: the job runs there already.
    """
    wanted = JobOptions.of(options, **more)
    if output == "-":
        raise UsageError("-o - with a cluster: results are written there. Name a directory, then see `results JOB -o`.")
    if wanted.files_from == restrictions == "-":
        raise UsageError("-r - and --files-from -: both read standard input. Give one of them a file.")
    names = [on_cluster(os.fsdecode(name), "input") for name in names_in(inputs)]
    if not names and wanted.files_from is None:
        raise InputError("no input was given. Name files or directories, or --files-from.")
    directory = on_cluster(output, "-o")
    job_id = job_id_for(wanted.job_id, directory) + ("-plan" if "--dry-run" in words else "")
    with tempfile.TemporaryDirectory(prefix="linkmatch-") as folder:
        uploads = Path(folder)
        arguments = [*names, *_as_typed(wanted), *words]
        for each in [key] if isinstance(key, str) else key:
            arguments += ["--key", each]
        arguments += ["--restrictions", prepare_upload(restrictions, "--restrictions", uploads)]
        if wanted.files_from is not None:
            arguments += ["--files-from", prepare_upload(wanted.files_from, "--files-from", uploads)]
        cluster = connect(wanted.address, wanted.tls_verify)
        job = cluster.submit(
            job_id,
            entrypoint(arguments, directory, job_id),
            directory=directory,
            name=job_name(directory),
            env=runtime_env(uploads),
        )
    return ClusterJob(cluster, job)


def _as_typed(options: JobOptions) -> Iterator[str]:
    """The options of a command that gives these, but for those that do not travel."""
    default = JobOptions()
    for name in (each.name for each in fields(options)):
        value = getattr(options, name)
        if name not in _STAY_HERE and value != getattr(default, name):
            yield f"--{name.replace('_', '-')}"
            if value is not True:
                yield str(value)


def connect(address: str | None, tls_verify: bool | str) -> Cluster:
    """The cluster at an address.

    Raises:
        UsageError: none was given.
    """
    if address is None:
        raise UsageError("no cluster was named. Give --address http://HEAD:8265, or set RAY_ADDRESS.")
    is_jobs_api(address)  # refuses Ray Client
    known: dict[str, bool] = {"true": True, "1": True, "false": False, "0": False}
    trusted = tls_verify if isinstance(tls_verify, bool) else known.get(tls_verify.lower(), tls_verify)
    cluster = Cluster(address, verify=trusted)
    if cluster.overridden:
        print(f"{OVERRIDE} is set: {cluster} is used, not {shown(address)}.", file=sys.stderr)
    if cluster.token_was_readable:
        print(
            f"{cluster}: asked for your token and got it, and who listens on the way can read it. Give an https"
            " address, or set RAY_AUTH_MODE=token and this is not said.",
            file=sys.stderr,
        )
    return cluster


def status_on(cluster: Cluster, job: RemoteJob) -> dict[str, Any]:
    """How far a job is: the last line that it has printed, or its summary."""
    text = cluster.logs(job.submission_id)
    summary = summary_in(text)
    said = [line for line in said_in(text.split("\n")) if line] if summary is None else []
    return job.as_dict() | {"said": said[-1] if said else None, "summary": summary}


def said_in(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a job's log that are its own, but for its summary."""
    for line in lines:
        is_rays = line.startswith("Running entrypoint for job ") or line.endswith("Runtime env is setting up.")
        if not is_rays and not line.startswith(SUMMARY_MARK):
            yield line


def summary_in(text: str) -> dict[str, Any] | None:
    """The summary in a job's log, if it is there: the last line with the mark."""
    marked = [line for line in text.split("\n") if line.startswith(SUMMARY_MARK)]
    try:
        summary: dict[str, Any] = orjson.loads(marked[-1].removeprefix(SUMMARY_MARK))
    except (IndexError, ValueError):
        return None
    return summary if isinstance(summary, dict) else None
