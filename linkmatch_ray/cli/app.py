"""The commands. Nothing heavy is imported before it is known what to do."""

from __future__ import annotations

import gc
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from linkmatch_ray._version import __version__
from linkmatch_ray.cli import options as o
from linkmatch_ray.cli import printer
from linkmatch_ray.cli.ending import reporting, with_all_printed
from linkmatch_ray.cli.help import help_
from linkmatch_ray.cli.submission import Submission, result_directory
from linkmatch_ray.errors import EXIT_FAILED, EXIT_OK, EXIT_QUARANTINED, ClusterError, InputError, UsageError
from linkmatch_ray.runtime.address import is_jobs_api, is_ray_job, job_name
from linkmatch_ray.words import shown

GC_OBJECTS: Final = 100_000
"""Garbage is looked for this often. A list of many files is none, and takes half as long again at every 700."""

FOREIGN_SHOWN: Final = 5
"""How many things that are not the job's `verify` names."""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"linkmatch-ray {__version__}")
        raise typer.Exit


@app.callback()
def linkmatch_ray(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Every record whose key is on a list, from a great many JSON files: exactly once, in order, byte for byte."""


@app.command(no_args_is_help=True)
def submit(
    context: typer.Context,
    restrictions: o.RestrictionsFile,
    inputs: o.Inputs = None,
    key: o.Keys = None,
    output: o.Output = "linkmatch-results",
    emit: o.Emit = o.EmitChoice.matched,
    provenance: o.Provenance = False,
    records_at: o.RecordsAt = None,
    restrictions_at: o.RestrictionsAt = None,
    format_: o.Format = o.FormatChoice.auto,
    restrictions_format: o.RestrictionsFormat = o.RestrictionsFormatChoice.auto,
    files_from: o.FilesFrom = None,
    null: o.Null = False,
    address: o.Address = None,
    verify: o.Verify = "true",
    no_wait: o.NoWait = False,
    job_id: o.JobId = None,
    overwrite: o.Overwrite = False,
    incremental: o.Incremental = False,
    drop_missing: o.DropMissing = False,
    max_quarantined: o.MaxQuarantined = 0,
    fail_fast: o.FailFast = False,
    max_record_bytes: o.MaxRecordBytes = 64 << 20,
    max_inflation: o.MaxInflation = 200,
    workers: o.Workers = None,
    task_seconds: o.TaskSeconds = 300,
    one_file_per_task: o.OneFilePerTask = False,
    dry_run: o.DryRun = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    dashboard: o.Dashboard = False,
    joinable: o.Joinable = False,
) -> None:
    """Match files against a list of restrictions.

    \b
    Examples:
      linkmatch-ray submit links/ -r blocked.json -k url
      linkmatch-ray submit 'logs/*.ndjson.gz' -r kev.json -k /cve/id=cveID -o hits
      linkmatch-ray submit users/ -r erased.txt -k id --emit unmatched -o - > kept.jsonl

    With --address http://HEAD:8265 the job runs on that cluster: paths of inputs and results are those that its
    nodes see; the package, the list and --files-from are sent along. Ctrl-C then leaves the job running.

    The same command again resumes a job that was interrupted. Exit codes: 0 complete, 1 failed,
    2 usage, 3 bad input, 4 complete with quarantine entries, 5 no cluster, 130 and 143 interrupted.
    """
    with ExitStack() as at_end, reporting(verbose, resumable=output != "-" and not dry_run):
        if is_jobs_api(address):
            from linkmatch_ray.cli.remote import submit_as_job

            submit_as_job(context)
        if no_wait:
            raise UsageError("--no-wait: without a cluster at --address http://HEAD:8265 the job runs in this process.")
        to_stdout = output == "-"
        if to_stdout and emit is o.EmitChoice.both:
            raise UsageError("-o - with --emit both: standard output takes one list. Name a directory with -o.")
        from linkmatch_ray.io.input_names import read_names

        names: list[Any] = list(inputs or [])
        if files_from is not None:
            if files_from == "-" and restrictions == "-":
                raise UsageError("-r - and --files-from -: both read standard input. Give one of them a file.")
            names += read_names(files_from, null=null)
        if not names:
            raise InputError("no input was given. Name files or directories, or --files-from.")
        with result_directory(output) as directory:
            request = Submission(
                names=names,
                directory=directory,
                restrictions=restrictions,
                keys=key or ["data"],
                restrictions_at=restrictions_at,
                restrictions_format=restrictions_format.value,
                options={
                    "emit": emit.value,
                    "provenance": provenance,
                    "records_at": records_at,
                    "format": format_.value,
                    "max_record_bytes": max_record_bytes,
                    "max_inflation": max_inflation,
                },
                submit={
                    "workers": workers,
                    "job_id": job_id,
                    "overwrite": overwrite,
                    "incremental": incremental,
                    "drop_missing": drop_missing,
                    "one_file_per_task": one_file_per_task,
                    "task_seconds": task_seconds,
                    "max_quarantined": max_quarantined if fail_fast else None,
                },
                session={
                    "address": address,
                    "workers": workers,
                    "dashboard": dashboard,
                    "verbose": verbose,
                    "name": job_name(output),
                },
                joinable=joinable,
                at_end=at_end,
            )
            if dry_run:
                request.print_plan(as_json=as_json)
                return
            summary = request.run(
                show=not quiet and (not as_json or is_ray_job()),
                copy=("unmatched.jsonl" if emit is o.EmitChoice.unmatched else "matched.jsonl") if to_stdout else None,
            )
            from linkmatch_ray.cli.output import print_summary
            from linkmatch_ray.io.summary import placed_at

            if to_stdout:
                sys.stderr.write(Path(directory, "quarantine.jsonl").read_text("utf-8"))
                summary = placed_at("-", summary)
            print_summary(
                summary,
                as_json=as_json,
                quiet=quiet,
                file=sys.stderr if to_stdout else sys.stdout,
                resumable=not to_stdout,
            )
        quarantined = summary["totals"]["entries"] > max_quarantined
        raise typer.Exit(EXIT_QUARANTINED if quarantined else EXIT_OK)


@app.command(no_args_is_help=True)
def explain(
    restrictions: o.RestrictionsFile,
    file: o.RecordFile = "-",
    index: o.RecordIndex = 0,
    key: o.Keys = None,
    records_at: o.RecordsAt = None,
    restrictions_at: o.RestrictionsAt = None,
    format_: o.Format = o.FormatChoice.auto,
    restrictions_format: o.RestrictionsFormat = o.RestrictionsFormatChoice.auto,
    max_record_bytes: o.MaxRecordBytes = 64 << 20,
    as_json: o.Json = False,
    verbose: o.Verbose = False,
) -> None:
    """Say why one record matches, or why not. Starts no Ray.

    \b
    Examples:
      linkmatch-ray explain links/2024.json 17 -r blocked.json -k url
      linkmatch-ray explain links/2024.json.gz 17 -r blocked.json -k url --json
      echo '{"url": "HTTP://example.org/"}' | linkmatch-ray explain -r blocked.json -k url

    A record without its key gets the members it has; one that is not on the list the restrictions that are
    nearly the same: in another letter case, as a number instead of a string, with a space or slash more.
    """
    with reporting(verbose):
        if file == "-" and restrictions == "-":
            raise UsageError("-r - and a record on standard input: both cannot be. Give one of them a file.")
        from linkmatch_ray import MatchOptions, Restrictions
        from linkmatch_ray.cli.output import print_explanation
        from linkmatch_ray.io import explain as io

        loaded = Restrictions.load(
            restrictions,
            key or ["data"],
            at=restrictions_at,
            format=restrictions_format.value,
        )
        options = MatchOptions(records_at=records_at, format=format_.value, max_record_bytes=max_record_bytes)
        if file == "-":
            record = io.record_in(sys.stdin.buffer.read(), index, loaded, options)
        else:
            record = io.record_at(file, index, loaded, options)
        print_explanation(io.explain(record, loaded), record, as_json=as_json)


@app.command()
def jobs(
    address: o.ControlAddress = None,
    verify: o.Verify = "true",
    as_json: o.Json = False,
    verbose: o.Verbose = False,
) -> None:
    """List the jobs that were submitted to a cluster, from this or another machine."""
    with reporting(verbose):
        from linkmatch_ray.cli import control, remote

        control.print_jobs(remote.connect(address, verify), as_json=as_json)


@app.command(no_args_is_help=True)
def status(
    target: o.JobOrDirectory,
    address: o.ControlAddress = None,
    verify: o.Verify = "true",
    as_json: o.Json = False,
    verbose: o.Verbose = False,
) -> None:
    """Say how far a job is, in its result directory or by its id on a cluster. May be asked at any time."""
    with reporting(verbose):
        if not _is_job(target, address):
            from linkmatch_ray.cli.output import print_status
            from linkmatch_ray.io.results import results_at
            from linkmatch_ray.io.status import status as status_of

            print_status(status_of(results_at(target)), target, as_json=as_json)
            return
        from linkmatch_ray.cli import control

        control.print_job_status(target, address, verify, as_json=as_json, verbose=verbose)


@app.command(no_args_is_help=True)
def logs(
    job: o.JobName,
    follow: o.Follow = False,
    address: o.ControlAddress = None,
    verify: o.Verify = "true",
    verbose: o.Verbose = False,
) -> None:
    """Print what a job on a cluster has printed."""
    with reporting(verbose):
        from linkmatch_ray.cli import control, remote

        cluster = remote.connect(address, verify)
        control.print_logs(cluster, cluster.find(job), follow=follow)


@app.command(no_args_is_help=True)
def results(
    job: o.JobOrUrl,
    output: o.FetchedTo = None,
    address: o.ControlAddress = None,
    verify: o.Verify = "true",
    verbose: o.Verbose = False,
) -> None:
    """Say where the results of a job on a cluster are, or with -o bring them here, checked against their ledger.

    So are results at a URL, which come as a result directory. Of a job that runs or was stopped comes what is durable.
    From a directory on the cluster come 10 GB at most, and what the network carries of a file in five minutes; copy
    more from where it is.
    """
    with reporting(verbose):
        from linkmatch_ray.cli import control, remote

        if "://" in job:
            control.bring_from_url(job, output)
            return
        cluster = remote.connect(address, verify)
        control.bring_results(cluster, cluster.find(job), output)


@app.command(no_args_is_help=True)
def cancel(
    target: o.JobOrDirectory,
    address: o.ControlAddress = None,
    verify: o.Verify = "true",
    verbose: o.Verbose = False,
) -> None:
    """Stop a running job, in its result directory or by its id on a cluster. It can be resumed."""
    with reporting(verbose):
        if not _is_job(target, address):
            from linkmatch_ray.io.results import results_at
            from linkmatch_ray.io.trouble import told

            results = results_at(target)
            with told(results):
                results.cancel()
        else:
            from linkmatch_ray.cli import control

            control.cancel(target, address, verify, verbose=verbose)
        print(f"{shown(target)}: stopped; what was committed is safe. To go on, give the same submit command again.")


def _is_job(target: str, address: str | None) -> bool:
    """Whether a command is about a job on a cluster, and not about a directory or URL."""
    if "://" in target or Path(target).is_dir():
        return False
    if address is None:
        raise InputError(
            f"{shown(target)}: no such directory. Name the one that submit printed, or a job with --address."
        )
    return True


@app.command()
def doctor(
    inputs: o.DoctorInputs = None,
    address: o.Address = None,
    verify: o.Verify = "true",
    verbose: o.Verbose = False,
) -> None:
    """Say whether jobs would run: on a cluster, or without --address on this machine. Exit code 5 if not.

    Looked at are the connection, tokens and certificates, the versions of Ray and Python, the packages on every node,
    disk and object store, and whether every node sees the INPUTS.
    """
    with reporting(verbose):
        from linkmatch_ray.cli import control

        if not control.print_findings(inputs or [], address, verify, verbose=verbose):
            raise typer.Exit(ClusterError.exit_code)


@app.command(no_args_is_help=True)
def verify(directory: o.ResultDirectory, verbose: o.Verbose = False) -> None:
    """Read a result directory anew, and say whether outputs, ledger, report and summary agree.

    A flipped byte, a line that is gone or twice, a count that is off: each is named, and the exit code is 1. What
    others have put there is named too, and is no difference.
    """
    with reporting(verbose):
        from linkmatch_ray.cli.output import plural, size
        from linkmatch_ray.io.results import results_at
        from linkmatch_ray.io.verify import Checked
        from linkmatch_ray.io.verify import verify as problems_of

        checked, found = Checked(), 0
        for problem in problems_of(results_at(directory), checked):
            print(f"{shown(directory)}: {shown(problem)}")
            found += 1
        if foreign := checked.foreign:
            names = ", ".join(map(shown, foreign[:FOREIGN_SHOWN]))
            more = f" and {len(foreign) - FOREIGN_SHOWN:,} more" if len(foreign) > FOREIGN_SHOWN else ""
            print(f"{shown(directory)}: not the job's, and left alone: {names}{more}")
        if found:
            print(f"{plural(found, 'difference')}: these results must not be relied on.")
            raise typer.Exit(EXIT_FAILED)
        print(f"{shown(directory)}: {plural(checked.pieces, 'piece')}, {size(checked.nbytes)} of output: all agrees.")


app.command("help")(help_)


def main() -> None:
    """Run the command."""
    gc.set_threshold(GC_OBJECTS)
    printer.install()
    with with_all_printed():
        app(prog_name="linkmatch-ray")
