"""`submit` to a cluster over HTTP: sends the job there as a Ray job, and shows its output."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import linkmatch_ray
from linkmatch_ray import ClusterJob
from linkmatch_ray.cli.exits import exit_code_of, resume_command
from linkmatch_ray.cli.formatting import bytes_of
from linkmatch_ray.cli.options import Asked
from linkmatch_ray.cli.output import summary_lines
from linkmatch_ray.cli.printer import Printer
from linkmatch_ray.errors import Interrupted, Unreachable
from linkmatch_ray.exit_codes import EXIT_OK, EXIT_TERMINATED
from linkmatch_ray.words import command, shown


def submit_as_job(out: Printer, asked: Asked, *, dry_run: bool, joinable: bool, no_wait: bool, quiet: bool) -> int:
    """Runs the job of `submit` as a Ray job, and returns the job's own exit code."""
    words = ["--dry-run", *(["--json"] if out.as_json else [])] if dry_run else []
    job = linkmatch_ray.submit_remote(
        asked.inputs,
        asked.restrictions,
        output=asked.output,
        key=asked.key,
        options=asked.options,
        words=[*words, *(["--joinable"] if joinable else []), *(["--quiet"] if quiet else [])],
    )
    verify = asked.options.tls_verify
    if no_wait:
        out.show({"job_id": job.id, "attempt": job.attempt, "directory": job.directory}, [shown(job.id)])
        _print_next(job, verify)
        return EXIT_OK
    if not quiet:
        attempt = f" (attempt {job.attempt})" if job.attempt > 1 else ""
        print(f"Job {shown(job.id)}{attempt} on {job.cluster}", file=sys.stderr, flush=True)
    try:
        for line in job.follow():
            if line.startswith("linkmatch-ray: ") or not (dry_run or quiet):
                print(line, file=sys.stderr, flush=True)
            elif dry_run:
                print(line)
        return _end(out, job, verify, quiet=quiet)
    except KeyboardInterrupt as stop:
        print(f"linkmatch-ray: job {shown(job.id)} is still running on {job.cluster}. Next:", file=sys.stderr)
        _print_next(job, verify)
        return exit_code_of(stop)
    except Unreachable:
        print(f"linkmatch-ray: job {shown(job.id)} may still be running, but cannot be reached. Next:", file=sys.stderr)
        _print_next(job, verify)
        raise


def _end(out: Printer, job: ClusterJob, verify: bool | str, *, quiet: bool) -> int:
    """Prints the summary, if there is one, and returns the exit code."""
    if (summary := job.summary()) is not None:
        out.show(summary, summary_lines(summary))
        directory = os.fsdecode(bytes_of(summary, "directory"))
        is_there = "://" not in directory and not Path(directory).exists()
        if is_there and not (quiet or out.as_json):
            print(f"They are on the cluster. To download them: {_command('results', job, verify, '-o', 'DIR')}")
    try:
        return job.exit_code()
    except Interrupted:
        print(f"linkmatch-ray: {shown(job.id)} was stopped. To resume: {resume_command()}", file=sys.stderr)
        return EXIT_TERMINATED  # because Ray ends it with SIGTERM


def _command(name: str, job: ClusterJob, verify: bool | str, *more: str) -> str:
    where = ["--address", str(job.cluster)]
    if str(verify).lower() != "true":
        where += ["--tls-verify", str(verify)]
    return " ".join([command(["linkmatch-ray", name, job.id]), *more, command(where)])


def _print_next(job: ClusterJob, verify: bool | str) -> None:
    for name, more in (("status", ()), ("logs", ("-f",)), ("results", ("-o", "DIR")), ("cancel", ())):
        print(f"  {_command(name, job, verify, *more)}", file=sys.stderr)
