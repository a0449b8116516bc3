"""The Jobs API of a cluster: Ray jobs that run this package, seen over HTTP from any machine.

A job is identified by its id, which is in its metadata. Each attempt is another Ray job, because Ray takes no
submission id twice. Its submission id is the job's id and the number of the attempt.

The connection may drop at any time. The job runs on the cluster and continues.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import IO, Any, Final

from linkmatch_ray.errors import ClusterError, InputError, JobError, Unreachable
from linkmatch_ray.exit_codes import EXIT_QUARANTINED
from linkmatch_ray.io.storage.urls import scheme_of
from linkmatch_ray.runtime.cluster.client import answering, connect, is_readable
from linkmatch_ray.runtime.session.address import NAMESPACE, OVERRIDE, PACKAGE, no_address, refuse_unreachable
from linkmatch_ray.runtime.session.cluster_token import let_in
from linkmatch_ray.words import shown

JOB_ID: Final = "linkmatch_job_id"
ATTEMPT: Final = "linkmatch_attempt"
DIRECTORY: Final = "linkmatch_directory"
"""Names in the metadata of our Ray jobs. The values are strings."""


RECONNECT_SECONDS: Final = 1.0
LOST_SECONDS: Final = 300.0
"""Time limit for a cluster that does not answer while a job is followed. It does not end the job."""

STOP_SECONDS: Final = 30.0
HELPER_SECONDS_MAX: Final = 120.0
AGENT_SECONDS_MAX: Final = 30.0
NO_AGENT: Final = "No available agent"  # Ray's message if the head node has no agent
POLL_SECONDS: Final = 0.2

STREAM_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class RemoteJob:
    """The latest attempt of a job that was submitted to a cluster.

    Attributes:
        state: Ray's: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        exit_code: The driver's exit code; None until it exits, and if it did not exit by itself.
        directory: The place of its results, as the cluster sees it.
        node: Id of the node on which its driver runs; None before it runs.
        started, ended: Seconds since 1970.
        message, error_type: Ray's message, and the type of an error that is not the driver's own.
    """

    id: str
    attempt: int
    submission_id: str
    state: str
    exit_code: int | None
    directory: str
    node: str | None
    started: float
    ended: float | None
    message: str
    error_type: str | None

    @property
    def is_over(self) -> bool:
        """Whether the job has ended, well or not."""
        return self.state in ("STOPPED", "SUCCEEDED", "FAILED")

    @property
    def how(self) -> str:
        """Ray's state in our terms. Exit code 4 (quarantine entries) is complete, though Ray calls it a failure."""
        if self.state == "FAILED" and self.exit_code == EXIT_QUARANTINED:
            return "complete"
        return {"SUCCEEDED": "complete", "STOPPED": "stopped"}.get(self.state, shown(self.state.lower()))

    def as_dict(self) -> dict[str, Any]:
        """Returns the job for JSON."""
        return {
            "job_id": self.id,
            "state": self.how,
            "attempt": self.attempt,
            "submission_id": self.submission_id,
            "exit_code": self.exit_code,
            "directory": self.directory,
            "started": self.started,
            "ended": self.ended,
        }


class Cluster:
    """A cluster, through its Jobs API.

    Args:
        address: `http(s)://head:8265`, or what `ray.init` takes. RAY_API_SERVER_ADDRESS overrides it, as for `ray job`.
        verify: Whether to check the server's certificate, or a file or directory of trusted certificates.

    Attributes:
        address: The address in use.
        overridden: Whether it differs from the one that was given.
        token_was_readable: Whether this user's token was sent over a network without encryption, because the cluster
            asked for it.
        ray_version: Ray's version on the cluster.

    Raises:
        ClusterError: The cluster cannot be reached, refuses access, or runs another version of Ray.
    """

    def __init__(self, address: str, *, verify: bool | str = True) -> None:
        import ray

        asked = os.environ.get(OVERRIDE) or address
        self.overridden = asked != address
        if scheme := scheme_of(os.fsencode(asked)):  # Ray takes it in lower case only
            asked = scheme + asked[len(scheme) :]
        # Ray's client would prefer RAY_ADDRESS to the address it is given. This variable overrides both.
        os.environ[OVERRIDE] = asked
        way: AbstractContextManager[None] = nullcontext()
        if "://" not in asked:
            refuse_unreachable(asked)
            way = let_in(asked, shown(asked))
        with answering(asked):
            try:
                with way:
                    self._client = connect(asked, verify)
            except ValueError:
                raise no_address(asked) from None
        self.address = self._client.get_address()
        self.token_was_readable = self._client.has_lent and is_readable(self.address)
        self.ray_version = str(self._client._server_ray_version)
        if self.ray_version.split(".")[:2] != ray.__version__.split(".")[:2]:
            raise ClusterError(
                f"{self}: runs Ray {shown(self.ray_version)}, but this machine has {ray.__version__}. Install the same"
                f" version here: pip install 'ray[default]=={shown(self.ray_version)}'."
            )

    def __str__(self) -> str:
        return shown(self.address)

    def attempts(self) -> list[RemoteJob]:
        """Returns all attempts of all jobs that the cluster remembers, oldest first."""
        with answering(self.address):
            found = [_job(details) for details in self._client.list_jobs() if JOB_ID in (details.metadata or {})]
        return sorted(found, key=lambda job: job.started)

    def jobs(self) -> list[RemoteJob]:
        """Returns the latest attempt of every job, oldest first."""
        latest = {job.id: job for job in sorted(self.attempts(), key=lambda job: job.attempt)}
        return sorted(latest.values(), key=lambda job: job.started)

    def driven(self) -> list[str]:
        """Returns the ids of running jobs that are no Ray jobs. Processes that have joined the cluster drive them."""
        kept = {"ray_namespace": NAMESPACE, "state": "ALIVE"}
        query = [pair for name, value in kept.items() for pair in _filter(name, value)]
        with answering(self.address):
            response = self._client._do_request("GET", "/api/v0/actors", params=query)
            response.raise_for_status()
            actors = response.json()["data"]["result"]["result"]
        names = sorted(actor["name"].removeprefix("linkmatch:") for actor in actors)
        ours = {job.id for job in self.attempts() if not job.is_over}
        return [name for name in names if name not in ours]

    def find(self, job_id: str) -> RemoteJob:
        """Returns the latest attempt of a job, or one attempt by its submission id.

        Raises:
            InputError: The cluster knows no such job.
        """
        for job in sorted(self.attempts(), key=lambda job: job.attempt, reverse=True):
            if job_id in (job.id, job.submission_id):
                return job
        raise InputError(
            f"{shown(job_id)}: no such job on {self}, and no directory has this name. See `linkmatch-ray jobs`."
        )

    def submit(self, job_id: str, entrypoint: str, *, directory: str, name: str, env: dict[str, Any]) -> RemoteJob:
        """Starts a driver on the cluster, and returns at once.

        Raises:
            JobError: The job is already running.
        """
        before = [job for job in self.attempts() if job.id == job_id]
        for job in before:
            if not job.is_over:
                raise JobError(
                    f"{job_id}: is already running on {self}, as {shown(job.submission_id)}. Follow it with"
                    f" `linkmatch-ray logs {job_id} -f`, stop it with `linkmatch-ray cancel {job_id}`, or give another"
                    " --job-id and -o."
                )
        attempt = max((job.attempt for job in before), default=0) + 1
        submission_id = f"{job_id}-{attempt}"
        metadata = {"job_name": name, JOB_ID: job_id, ATTEMPT: str(attempt), DIRECTORY: directory}
        self._start(entrypoint=entrypoint, submission_id=submission_id, runtime_env=env, metadata=metadata)
        return self.look(submission_id)

    def _start(self, **job: Any) -> str:
        """Starts a Ray job, and returns its id. Waits for the head node's agent, which starts after the dashboard."""
        deadline = time.monotonic() + AGENT_SECONDS_MAX
        with answering(self.address):
            while True:
                try:
                    started: str = self._client.submit_job(**job)
                    return started
                except RuntimeError as error:  # Ray has waited for ten seconds by then
                    if NO_AGENT not in str(error):
                        raise
                    if time.monotonic() > deadline:
                        raise ClusterError(
                            f"{shown(self.address)}: cannot start jobs, because the dashboard agent of its head node"
                            " does not answer. See dashboard_agent.log in Ray's log directory there: perhaps another"
                            " program has its port."
                        ) from error

    @contextmanager
    def helper(self, module: str, *arguments: str, node: str | None = None) -> Iterator[tuple[dict[str, Any], str]]:
        """Runs a module of this package as a Ray job that is not listed. It is stopped and deleted afterwards.

        Args:
            node: Id of the node on which it must run; None for any.

        Returns:
            The JSON object that it prints, and the id of the node on which it runs.

        Raises:
            ClusterError: It fails, or prints nothing for two minutes.
        """
        helper = self._start(
            entrypoint=shlex.join(["python", "-m", module, *arguments]),
            runtime_env={"py_modules": [str(PACKAGE)]},
            entrypoint_label_selector={"ray.io/node-id": node} if node else None,
            metadata={"job_name": "linkmatch helper"},
        )
        try:
            yield self._hear(helper)
        finally:
            with suppress(ClusterError, JobError), answering(self.address):
                self.stop(helper)
                self._client.delete_job(helper)

    def _hear(self, helper: str) -> tuple[dict[str, Any], str]:
        deadline = time.monotonic() + HELPER_SECONDS_MAX
        while time.monotonic() < deadline:
            job = self.look(helper)
            for line in self.logs(helper).splitlines(keepends=True) if job.node else ():
                if line.startswith('{"') and line.endswith("}\n"):
                    return json.loads(line), job.node or ""
            if job.is_over:
                raise ClusterError(f"{self}: its helper job failed: {cause_in(job.message)}. See the dashboard.")
            time.sleep(POLL_SECONDS)
        raise ClusterError(
            f"{self}: a helper job has not started there in {HELPER_SECONDS_MAX:g} s. Check that the cluster has room"
            " for a process, or try again."
        )

    def look(self, submission_id: str) -> RemoteJob:
        """Returns the current state of a Ray job."""
        with answering(self.address):
            return _job(self._client.get_job_info(submission_id))

    def stop(self, submission_id: str, wait_seconds: float = STOP_SECONDS) -> None:
        """Stops a Ray job, and returns once it has ended.

        Raises:
            JobError: It is still running after `wait_seconds`.
        """
        with answering(self.address):
            self._client.stop_job(submission_id)
        deadline = time.monotonic() + wait_seconds
        while not self.look(submission_id).is_over:
            if time.monotonic() > deadline:
                raise JobError(
                    f"{shown(submission_id)}: is still running {wait_seconds:g} s after it was asked to stop. Try"
                    " again."
                )
            time.sleep(POLL_SECONDS)

    def logs(self, submission_id: str) -> str:
        """Returns what a driver has printed so far."""
        with answering(self.address):
            return str(self._client.get_job_logs(submission_id))

    def follow(self, submission_id: str) -> Iterator[str]:
        """Yields everything that a driver prints, each character once, until the job has ended.

        Ray may end the stream while the job runs (ray#57002), and so may any proxy. The stream is then opened again,
        and what was yielded already is skipped.

        Raises:
            Unreachable: The cluster has not answered for `LOST_SECONDS`. The job may still be running.
        """
        given, heard = 0, time.monotonic()
        while True:
            came = 0
            try:
                for text in self._tail(submission_id):
                    came += len(text)
                    if came > given:
                        yield text[given - came :]
                        given = came
                if self.look(submission_id).is_over:
                    yield self.logs(submission_id)[given:]
                    return
                heard = time.monotonic()
            except Unreachable:
                if time.monotonic() - heard > LOST_SECONDS:
                    raise
            time.sleep(RECONNECT_SECONDS)

    def _tail(self, submission_id: str) -> Iterator[str]:
        import aiohttp

        texts = self._client.tail_job_logs(submission_id)

        async def following() -> str | None:
            return await anext(texts, None)

        with asyncio.Runner() as runner, suppress(aiohttp.ClientError, OSError, RuntimeError):
            while (text := runner.run(following())) is not None:
                yield text

    def download(self, node: str, path: str, file: IO[bytes], size: int) -> None:
        """Downloads the first `size` bytes of a file below a node's log folder, in bounded memory.

        Raises:
            ClusterError: It ends too early.
        """
        query = {"node_id": node, "filename": path, "lines": "-1", "timeout": "86400"}
        left = size
        with answering(self.address):
            response = self._client._do_request("GET", "/api/v0/logs/file", params=query, stream=True)
            with response:
                response.raise_for_status()
                for data in response.iter_content(STREAM_BYTES) if size else ():
                    file.write(data[:left])
                    left -= len(data[:left])
                    if not left:
                        break
        if left:
            raise ClusterError(f"{self}: the download of {shown(path)} ended {left:,} bytes too early. Try again.")


def _filter(name: str, value: str) -> list[tuple[str, str]]:
    """Returns a condition, as Ray's State API takes it."""
    return [("filter_keys", name), ("filter_predicates", "="), ("filter_values", value)]


def _job(details: Any) -> RemoteJob:
    metadata = details.metadata or {}
    return RemoteJob(
        id=metadata.get(JOB_ID, details.submission_id),
        attempt=int(number) if re.fullmatch("[0-9]{1,9}", number := metadata.get(ATTEMPT, "")) else 1,
        submission_id=details.submission_id,
        state=details.status.value,
        exit_code=details.driver_exit_code,
        directory=metadata.get(DIRECTORY, ""),
        node=details.driver_node_id,
        started=(details.start_time or 0) / 1000,
        ended=details.end_time / 1000 if details.end_time else None,
        message=details.message or "",
        error_type=getattr(details.error_type, "value", details.error_type),
    )


def cause_in(message: str) -> str:
    """Returns why a driver did not start, from Ray's message: its first line, and the last one of a traceback."""
    lines = [line.strip() for line in message.splitlines() if line.strip()] or ["its driver did not start"]
    return ": ".join(shown(line).rstrip(".:") for line in ([lines[0], lines[-1]] if len(lines) > 1 else lines))
