"""The commands for jobs, results and clusters. Each calls the function of its name, and prints the result."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer

import linkmatch_ray
from linkmatch_ray.cli.exits import exit_code_of
from linkmatch_ray.cli.formatting import size
from linkmatch_ray.cli.output import job_lines
from linkmatch_ray.cli.printer import Printer
from linkmatch_ray.errors import InputError, UsageError
from linkmatch_ray.words import shown


def print_jobs(out: Printer, address: str | None, tls_verify: str) -> None:
    """Prints the jobs of a cluster."""
    found = linkmatch_ray.jobs(address, tls_verify=tls_verify)
    out.show(found, job_lines(found))
    if not found and not out.as_json:
        print(f"{shown(address)}: no job was submitted to this cluster.", file=sys.stderr)


def print_logs(out: Printer, job: str, address: str | None, tls_verify: str, *, follow: bool) -> None:
    """Prints the output of a job, line by line; with `follow` until the job has ended."""
    pieces = linkmatch_ray.logs(job, follow=follow, address=address, tls_verify=tls_verify)
    try:
        for line in _lines(pieces):
            out.row({"line": line}, line)
    except KeyboardInterrupt as stop:
        raise typer.Exit(exit_code_of(stop)) from None


def _lines(pieces: Iterator[str]) -> Iterator[str]:
    rest = ""
    for piece in pieces:
        *lines, rest = (rest + piece).split("\n")
        yield from lines
    if rest:
        yield rest


def print_results(out: Printer, job: str, output: str | None, address: str | None, tls_verify: str) -> None:
    """Downloads the results of a job, or prints where they are."""
    if output is None:
        found = _find(job, address, tls_verify)
        where = f"results in {shown(found['directory'])} on {shown(address)}"
        out.show(found, [f"{shown(job)}: {found['state']}; {where}. To download them, add -o DIR."])
        return
    fetched = linkmatch_ray.results(job, output, address=address, tls_verify=tls_verify)
    so_far = "" if fetched.complete else " so far; the job is not complete"
    value: dict[str, Any] = {"directory": output, "bytes": fetched.nbytes, "complete": fetched.complete}
    out.show(value, [f"{shown(output)}: {size(fetched.nbytes)} of output{so_far}. Everything agrees with the ledger."])


def _find(job: str, address: str | None, tls_verify: str) -> dict[str, Any]:
    """Returns the row of a job, as in `linkmatch_ray.jobs`.

    Raises:
        InputError: The cluster has no such job.
        UsageError: `job` is a URL.
    """
    if "://" in job:
        raise UsageError(f"{shown(job)}: no destination given. Use -o to name a new directory.")
    for each in linkmatch_ray.jobs(address, tls_verify=tls_verify):
        if "submission_id" in each and job in (each["job_id"], each["submission_id"]):
            return each
    raise InputError(f"{shown(job)}: no such job on {shown(address)}. See `linkmatch-ray jobs`.")


def print_findings(out: Printer, paths: list[str], address: str | None, tls_verify: str, *, verbose: bool) -> bool:
    """Prints what `doctor` finds, and returns whether everything is well."""
    found = linkmatch_ray.doctor(paths, address=address, tls_verify=tls_verify, verbose=verbose)
    is_well = all(finding.well for finding in found)
    value = {"well": is_well, "findings": [{"well": each.well, "what": each.what} for each in found]}
    out.show(value, (f"{'ok ' if each.well else 'BAD'}  {shown(each.what)}" for each in found))
    return is_well
