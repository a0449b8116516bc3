"""The commands. Modules that take time to import are imported in the commands that need them."""

from __future__ import annotations

import gc
from contextlib import ExitStack
from typing import Annotated, Final

import typer

import linkmatch_ray
from linkmatch_ray.arguments import standard_input
from linkmatch_ray.cli import options as o
from linkmatch_ray.cli import printer, signals
from linkmatch_ray.cli.exits import abandon_ray, reporting, with_all_printed
from linkmatch_ray.cli.help import help_
from linkmatch_ray.cli.printer import Printer
from linkmatch_ray.core.options import KEY, OUTPUT
from linkmatch_ray.errors import ClusterError, UsageError
from linkmatch_ray.exit_codes import EXIT_FAILED
from linkmatch_ray.runtime.session.address import is_jobs_api
from linkmatch_ray.words import shown

GC_OBJECTS: Final = 100_000
"""Allocations between two garbage collections. With Python's 700 a list of many files takes half as long again."""

HELP_COLUMNS_MAX: Final = 120
"""Maximum width of the text of `--help`, on a terminal that has as many columns."""

_D: Final = o.DEFAULT

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": HELP_COLUMNS_MAX},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"linkmatch-ray {linkmatch_ray.__version__}")
        raise typer.Exit


@app.callback()
def main_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version of the program.")
    ] = False,
) -> None:
    """Find every record whose key is on a list, in any number of JSON files: exactly once, in order, byte for byte."""


@app.command(cls=o.Command, no_args_is_help=True)
def submit(
    context: typer.Context,
    restrictions: o.RestrictionsFile,
    inputs: o.Inputs = None,
    files_from: o.FilesFrom = _D.files_from,
    null: o.Null = _D.null,
    format: o.Format = _D.format,
    records_at: o.RecordsAt = _D.records_at,
    max_record_bytes: o.MaxRecordBytes = _D.max_record_bytes,
    max_inflation: o.MaxInflation = _D.max_inflation,
    salvage: o.Salvage = _D.salvage,
    restrictions_at: o.RestrictionsAt = _D.restrictions_at,
    restrictions_format: o.RestrictionsFormat = _D.restrictions_format,
    skip_keyless: o.SkipKeyless = _D.skip_keyless,
    key: o.Keys = None,
    output: o.Output = OUTPUT,
    emit: o.Emit = _D.emit,
    provenance: o.Provenance = _D.provenance,
    overwrite: o.Overwrite = _D.overwrite,
    incremental: o.Incremental = _D.incremental,
    drop_missing: o.DropMissing = _D.drop_missing,
    address: o.Address = _D.address,
    tls_verify: o.TlsVerify = o.TLS_VERIFY,
    dashboard: o.Dashboard = _D.dashboard,
    joinable: o.Joinable = False,
    job_id: o.JobId = _D.job_id,
    workers: o.Workers = _D.workers,
    max_quarantined: o.MaxQuarantined = _D.max_quarantined,
    fail_fast: o.FailFast = _D.fail_fast,
    task_timeout: o.TaskTimeout = _D.task_timeout,
    one_file_per_task: o.OneFilePerTask = _D.one_file_per_task,
    dry_run: o.DryRun = False,
    no_wait: o.NoWait = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = _D.verbose,
) -> None:
    """Match files against a list of restrictions.

    \b
    Examples:
      linkmatch-ray submit links/ -r blocked.json -k url
      linkmatch-ray submit 'logs/*.ndjson.gz' -r kev.json -k /cve/id=cveID -o hits
      linkmatch-ray submit users/ -r erased.txt -k id --emit unmatched -o - > kept.jsonl

    With --address http://HEAD:8265 the job runs on that cluster. Paths of inputs and results are then those of the
    cluster's nodes; the package, the list and --files-from are sent along. Ctrl-C leaves the job running.

    The same command again resumes an interrupted job. Exit codes: 0 complete, 1 failed, 2 usage, 3 bad input,
    4 complete with quarantine entries, 5 no cluster or kernel, 130 and 143 interrupted.
    """
    with ExitStack() as at_end, reporting(verbose, resumable=output != "-" and not dry_run):
        asked = o.Asked(inputs or [], restrictions, output, key or None, o.job_options(context.params))
        out = Printer(as_json, quiet=quiet)
        if is_jobs_api(address):
            from linkmatch_ray.cli.submit_remote import submit_as_job

            code = submit_as_job(out, asked, dry_run=dry_run, joinable=joinable, no_wait=no_wait, quiet=quiet)
            raise typer.Exit(code)
        if no_wait:
            raise UsageError(
                "--no-wait: the job would run in this process. Name a cluster with --address http://HEAD:8265."
            )
        from linkmatch_ray.cli import submit

        if output == "-" and emit == "both":
            raise UsageError("-o - with --emit both: standard output takes one list. Name a directory with -o.")
        if dry_run:
            submit.print_plan(out, asked)
            return
        raise typer.Exit(submit.run(out, asked, quiet=quiet, joinable=joinable, at_end=at_end))


@app.command(cls=o.Command, no_args_is_help=True)
def explain(
    context: typer.Context,
    restrictions: o.RestrictionsFile,
    file: o.RecordFile = "-",
    index: o.RecordIndex = 0,
    format: o.Format = _D.format,
    records_at: o.RecordsAt = _D.records_at,
    max_record_bytes: o.MaxRecordBytes = _D.max_record_bytes,
    salvage: o.Salvage = _D.salvage,
    restrictions_at: o.RestrictionsAt = _D.restrictions_at,
    restrictions_format: o.RestrictionsFormat = _D.restrictions_format,
    skip_keyless: o.SkipKeyless = _D.skip_keyless,
    key: o.Keys = None,
    as_json: o.Json = False,
    verbose: o.Verbose = False,
) -> None:
    """Explain why one record matches, or why not. Starts no Ray.

    \b
    Examples:
      linkmatch-ray explain links/2024.json 17 -r blocked.json -k url
      linkmatch-ray explain links/2024.json.gz 17 -r blocked.json -k url --json
      echo '{"url": "HTTP://example.org/"}' | linkmatch-ray explain -r blocked.json -k url

    If the record has no key, the output names the members that it has. If it is not on the list, the output names
    restrictions that are nearly the same. They differ in letter case, in a space or a slash, or are numbers instead of
    strings.
    """
    with reporting(verbose):
        if file == "-" and restrictions == "-":
            raise UsageError("-r -: the record is read from standard input too. Name a file for one of them.")
        from linkmatch_ray.cli.output import explanation_lines

        loaded = linkmatch_ray.Restrictions.load(
            restrictions,
            key or KEY,
            restrictions_at=restrictions_at,
            restrictions_format=restrictions_format,
            skip_keyless=skip_keyless,
        )
        found = linkmatch_ray.explain(
            standard_input().read() if file == "-" else file,
            loaded,
            index=index,
            options=o.job_options(context.params),
        )
        Printer(as_json).show(found.as_dict(), explanation_lines(found))


@app.command(cls=o.Command)
def jobs(
    address: o.ControlAddress = None,
    tls_verify: o.TlsVerify = o.TLS_VERIFY,
    as_json: o.Json = False,
    verbose: o.Verbose = False,
) -> None:
    """List the jobs of a cluster. They may have been submitted from any machine."""
    with reporting(verbose):
        from linkmatch_ray.cli import jobs

        jobs.print_jobs(Printer(as_json), address, tls_verify)


@app.command(cls=o.Command, no_args_is_help=True)
def status(
    target: o.JobOrDirectory,
    address: o.ControlAddress = None,
    tls_verify: o.TlsVerify = o.TLS_VERIFY,
    as_json: o.Json = False,
    verbose: o.Verbose = False,
) -> None:
    """Show how far a job is. Starts no Ray, and works at any time.

    The job is named by its result directory or URL, or by its id on a cluster.
    """
    with reporting(verbose):
        from linkmatch_ray.cli.output import status_lines

        found = linkmatch_ray.status(target, address=address, tls_verify=tls_verify, verbose=verbose)
        Printer(as_json).show(found, status_lines(found, target))


@app.command(cls=o.Command, no_args_is_help=True)
def logs(
    job: o.JobName,
    follow: o.Follow = False,
    address: o.ControlAddress = None,
    tls_verify: o.TlsVerify = o.TLS_VERIFY,
    as_json: o.Json = False,
    verbose: o.Verbose = False,
) -> None:
    """Print the output of a job on a cluster."""
    with reporting(verbose):
        from linkmatch_ray.cli import jobs

        jobs.print_logs(Printer(as_json), job, address, tls_verify, follow=follow)


@app.command(cls=o.Command, no_args_is_help=True)
def results(
    job: o.JobOrUrl,
    output: o.FetchedTo = None,
    address: o.ControlAddress = None,
    tls_verify: o.TlsVerify = o.TLS_VERIFY,
    as_json: o.Json = False,
    verbose: o.Verbose = False,
) -> None:
    """Show where a job's results are, or download them with -o.

    The results, of a job on a cluster or at a URL, become a result directory on this machine. Every byte is compared
    with the ledger. If the job is running or was stopped, what is durable is downloaded.

    From a directory on a cluster at most 10 GB are downloaded, and each file must arrive within five minutes. Copy
    larger results from where they are.
    """
    with reporting(verbose):
        from linkmatch_ray.cli import jobs

        jobs.print_results(Printer(as_json), job, output, address, tls_verify)


@app.command(cls=o.Command, no_args_is_help=True)
def cancel(
    target: o.JobOrDirectory,
    address: o.ControlAddress = None,
    tls_verify: o.TlsVerify = o.TLS_VERIFY,
    as_json: o.Json = False,
    verbose: o.Verbose = False,
) -> None:
    """Stop a running job. It can be resumed.

    The job is named by its result directory or URL, or by its id on a cluster.
    """
    with reporting(verbose):
        linkmatch_ray.cancel(target, address=address, tls_verify=tls_verify, verbose=verbose)
        said = f"{shown(target)}: stopped; what was committed is safe. To resume it, run the same submit command again."
        Printer(as_json).show({"target": target, "state": "stopped"}, [said])


@app.command(cls=o.Command)
def doctor(
    inputs: o.DoctorInputs = None,
    address: o.Address = None,
    tls_verify: o.TlsVerify = o.TLS_VERIFY,
    as_json: o.Json = False,
    verbose: o.Verbose = False,
) -> None:
    """Check whether jobs would run. Exit code 5 if not.

    Checks a cluster, or without --address this machine: connection, tokens, certificates, and versions of Ray and
    Python. On every node it checks packages, disk and object store, and whether the node sees the INPUTS.
    """
    with reporting(verbose):
        from linkmatch_ray.cli import jobs

        if not jobs.print_findings(Printer(as_json), inputs or [], address, tls_verify, verbose=verbose):
            raise typer.Exit(ClusterError.exit_code)


@app.command(cls=o.Command, no_args_is_help=True)
def verify(directory: o.ResultDirectory, as_json: o.Json = False, verbose: o.Verbose = False) -> None:
    """Compare results with their ledger. Exit code 1 if they differ.

    Reads outputs, ledger, report and summary in a directory or at a URL. Each changed byte, missing or repeated line,
    and wrong count is named. Files that do not belong to the job are named too; they are no differences.
    """
    with reporting(verbose):
        from linkmatch_ray.cli.output import verification_lines

        found = linkmatch_ray.verify(directory)
        value = {
            "differences": found.differences,
            "foreign": found.foreign,
            "pieces": found.pieces,
            "bytes": found.nbytes,
        }
        Printer(as_json).show(value, verification_lines(found, directory))
        if found.differences:
            raise typer.Exit(EXIT_FAILED)


app.command("help", cls=o.Command)(help_)


def main() -> None:
    """Runs the command."""
    gc.set_threshold(GC_OBJECTS)
    printer.install()
    signals.at_the_last(abandon_ray)
    with with_all_printed():
        app(prog_name="linkmatch-ray")
