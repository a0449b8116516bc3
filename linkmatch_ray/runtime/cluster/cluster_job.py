"""`submit_remote`: sends a job to a cluster over HTTP, as a Ray job, and follows it from this machine.

The Ray job runs the command `submit`. Its last line is the summary, behind a mark.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, Unpack

import orjson

from linkmatch_ray.arguments import wrong_type
from linkmatch_ray.core.options import KEY, OUTPUT, JobKeywords, JobOptions, MatchOptions
from linkmatch_ray.errors import ClusterError, InputError, Interrupted, JobError, LinkmatchError, UsageError
from linkmatch_ray.io.inputs.names import names_in
from linkmatch_ray.io.restrictions.restrictions import Restrictions, pairs_of
from linkmatch_ray.io.storage.paths import Name, path_of
from linkmatch_ray.runtime.cluster.jobs_api import Cluster, RemoteJob, cause_in
from linkmatch_ray.runtime.cluster.upload import entrypoint, job_id_for, on_cluster, prepare_upload, runtime_env
from linkmatch_ray.runtime.session.address import OVERRIDE, SUMMARY_MARK, certificates, is_jobs_api, job_name
from linkmatch_ray.words import shown

log = logging.getLogger("linkmatch_ray")

EXIT_NO_PYTHON: Final = 127
"""Exit code of a shell for a command that does not exist."""

_USED_HERE: Final = ("address", "tls_verify", "job_id", "files_from")
"""Options that are used on this side, or are sent in another form."""

_ONLY_IN_PYTHON: Final = ("name", "unit_bytes", "part_bytes")
"""Options that the command does not have, so they cannot be sent."""


class ClusterJob:
    """A job that runs on a cluster. It continues without this program.

    Attributes:
        cluster: The cluster; its `str` is the address.
        id: The job's name.
        attempt: Number of this attempt, from 1.
        directory: The place of its results, as the cluster sees it.
    """

    def __init__(self, cluster: Cluster, job: RemoteJob) -> None:
        self.cluster, self._job, self._summary = cluster, job, None
        self.id, self.attempt, self.directory = job.id, job.attempt, job.directory

    def __repr__(self) -> str:
        return f"<ClusterJob {shown(self.id)} on {self.cluster}, results in {shown(self.directory)}>"

    def follow(self) -> Iterator[str]:
        """Yields the lines that the job prints, each once, until it has ended. Leaves out the summary.

        Raises:
            Unreachable: The cluster has not answered for minutes. The job may still be running.
        """
        line = ""
        for piece in self.cluster.follow(self._job.submission_id):
            *lines, line = (line + piece).split("\n")
            yield from said_in(lines)
        yield from said_in([line] if line else [])

    def summary(self) -> dict[str, Any] | None:
        """Returns the summary, as in `summary.json`; None before the job is complete."""
        return summary_in(self.cluster.logs(self._job.submission_id))

    def result(self) -> dict[str, Any]:
        """Waits for the end, and returns the summary.

        Raises:
            LinkmatchError: The job failed or was stopped. What was committed is safe.
        """
        for _ in self.follow():
            pass
        code, summary = self.exit_code(), self.summary()
        if summary is None:
            error = next((each for each in _ERRORS if each.exit_code == code), JobError)
            raise error(
                f"{shown(self.id)}: failed on {self.cluster} (exit code {code}). See `linkmatch-ray logs"
                f" {shown(self.id)}`."
            )
        return summary

    def cancel(self) -> None:
        """Stops the job, and returns once it has ended. What was committed is safe, and the job can be resumed."""
        self.cluster.stop(self._job.submission_id)

    def exit_code(self) -> int:
        """Returns the exit code of the command, once the job has ended.

        Raises:
            Interrupted: The job was stopped.
            ClusterError: The cluster could not run it.
            JobError: Its driver was killed.
        """
        job, name = self.cluster.look(self._job.submission_id), shown(self.id)
        if job.state == "STOPPED":
            raise Interrupted(f"{name}: was stopped. To resume it, submit the same job again.")
        if job.exit_code is None:
            kind = ClusterError if job.error_type == "RUNTIME_ENV_SETUP_FAILURE" else JobError
            raise kind(f"{name}: {cause_in(job.message)}. See the dashboard at {self.cluster}.")
        if job.exit_code == EXIT_NO_PYTHON:
            raise ClusterError(
                f"{self.cluster}: has no command `python` on its head node. Start Ray there from an activated"
                " environment, in which `python` is the one that Ray runs with."
            )
        if job.exit_code < 0:
            raise JobError(
                f"{name}: its driver was killed by signal {-job.exit_code}. See `linkmatch-ray logs {name}`."
            )
        return job.exit_code


_ERRORS: Final[tuple[type[LinkmatchError], ...]] = (JobError, UsageError, InputError, ClusterError, Interrupted)


def submit_remote(
    inputs: Name | Iterable[Name],
    restrictions: str | os.PathLike[str] | bytes,
    *,
    output: Name = OUTPUT,
    key: str | Sequence[str] | None = None,
    options: MatchOptions | None = None,
    words: Sequence[str] = (),
    **more: Unpack[JobKeywords],
) -> ClusterJob:
    """Sends a job to a cluster's Jobs API, with the package and the list; returns once the job is accepted.

    Args:
        inputs, output: As for `submit`, but as the cluster's nodes see them: whole paths, or URLs.
        restrictions: The list: a file on this machine, `-`, the list itself as bytes, or a path or URL on the cluster.
            Unless it is on the cluster, it is read here first. `files_from` is such a file, `-` or path too.
        key, options, more: As for `submit`. `address` is `http(s)://HEAD:8265`.
        words: Further words of the command there, such as `--dry-run`.

    Raises:
        InputError: No input is named, or the list is too long to be sent.
        RestrictionsError: The list cannot be loaded.
        UsageError: A path is not whole, or an option is not valid or cannot be sent.
        ClusterError: The cluster cannot be reached, refuses access, or runs another version of Ray.
        JobError: The job is already running there.
        TypeError: An argument is of the wrong type.
    """
    wanted = JobOptions.of(options, **more)
    if not isinstance(restrictions, (str, bytes, os.PathLike)):
        raise wrong_type("restrictions", restrictions, "Give the path of a list, or the list itself as bytes.")
    certificates(wanted.address, wanted.tls_verify)
    output = os.fsdecode(path_of(output, "output"))
    if output == "-":
        raise UsageError(
            "-o - with a cluster: results are written there. Name a directory or URL with -o, and download them with"
            " `linkmatch-ray results`."
        )
    if wanted.files_from == restrictions == "-":
        raise UsageError("-r - and --files-from -: both read standard input. Give one of them a file.")
    names = [on_cluster(os.fsdecode(name), "input") for name in names_in(inputs)]
    if not names and wanted.files_from is None:
        raise InputError("no input was given. Name files or directories, or --files-from.")
    directory, keys = on_cluster(output, "-o"), [key] if isinstance(key, str) else key or ()
    job_id = job_id_for(wanted.job_id, directory) + ("-plan" if "--dry-run" in words else "")
    with tempfile.TemporaryDirectory(prefix="linkmatch-") as folder:
        uploads = Path(folder)
        arguments = [*names, *_as_typed(wanted), *words]
        for each in keys:
            arguments += ["--key", each]
        there, content = prepare_upload(restrictions, "--restrictions", uploads)
        arguments += ["--restrictions", there]
        _check_list(restrictions, content, key, wanted)
        if wanted.files_from is not None:
            arguments += ["--files-from", prepare_upload(wanted.files_from, "--files-from", uploads)[0]]
        cluster = connect(wanted.address, wanted.tls_verify)
        job = cluster.submit(
            job_id,
            entrypoint(arguments, directory, job_id),
            directory=directory,
            name=job_name(directory),
            env=runtime_env(uploads),
        )
    return ClusterJob(cluster, job)


def _check_list(
    source: str | os.PathLike[str] | bytes,
    content: bytes | None,
    key: str | Sequence[str] | None,
    options: JobOptions,
) -> None:
    """Refuses a key or a list that the job would refuse, before it is sent; `content` is None for one on the cluster.

    Raises:
        RestrictionsError, UsageError, TypeError: As `Restrictions.load`.
    """
    if content is None:
        pairs_of(key or KEY)
        return
    Restrictions.load(
        content,
        key or KEY,
        restrictions_at=options.restrictions_at,
        restrictions_format=options.restrictions_format,
        skip_keyless=options.skip_keyless,
        name="<bytes>" if isinstance(source, bytes) else os.fspath(source),
    )


def _as_typed(options: JobOptions) -> Iterator[str]:
    """Yields the words of a command with these options.

    Raises:
        UsageError: The command has no such option.
    """
    default = JobOptions()
    for name in (each.name for each in fields(options)):
        value = getattr(options, name)
        if name in _USED_HERE or value == getattr(default, name):
            continue
        if name in _ONLY_IN_PYTHON:
            raise UsageError(f"{name}: cannot be sent to a cluster. Leave it out, or join the cluster with submit.")
        yield f"--{name.replace('_', '-')}"
        if value is not True:
            yield str(value)


def connect(address: str | None, tls_verify: bool | str) -> Cluster:
    """Connects to the cluster at an address.

    Raises:
        UsageError: No address was given, or it has no certificate.
    """
    if address is None:
        raise UsageError("no cluster was named. Name one with --address http://HEAD:8265, or set RAY_ADDRESS.")
    is_jobs_api(address)  # refuses Ray Client
    cluster = Cluster(address, verify=certificates(address, tls_verify))
    if cluster.overridden:
        log.warning("%s: overrides %s, so %s is used.", OVERRIDE, shown(address), cluster)
    if cluster.token_was_readable:
        log.warning(
            "%s: asked for your token and got it over http, where others can read it. Give an https address, or set"
            " RAY_AUTH_MODE=token to hide this warning.",
            cluster,
        )
    return cluster


def status_on(cluster: Cluster, job: RemoteJob) -> dict[str, Any]:
    """Returns how far a job is, with the last line that it has printed, or its summary."""
    text = cluster.logs(job.submission_id)
    summary = summary_in(text)
    said = [line for line in said_in(text.split("\n")) if line] if summary is None else []
    return job.as_dict() | {"said": said[-1] if said else None, "summary": summary}


def said_in(lines: Iterable[str]) -> Iterator[str]:
    """Yields the lines of a job's log that the job has printed, except its summary."""
    for line in lines:
        is_rays = line.startswith("Running entrypoint for job ") or line.endswith("Runtime env is setting up.")
        if not is_rays and not line.startswith(SUMMARY_MARK):
            yield line


def summary_in(text: str) -> dict[str, Any] | None:
    """Returns the summary in a job's log, which is the last line with the mark; None without one."""
    marked = [line for line in text.split("\n") if line.startswith(SUMMARY_MARK)]
    try:
        summary: dict[str, Any] = orjson.loads(marked[-1].removeprefix(SUMMARY_MARK))
    except (IndexError, ValueError):
        return None
    return summary if isinstance(summary, dict) else None
