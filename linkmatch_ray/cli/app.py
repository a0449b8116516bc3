"""The commands. Nothing heavy is imported before it is known what to do."""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from linkmatch_ray import __version__
from linkmatch_ray.cli import options as o
from linkmatch_ray.errors import (
    EXIT_OK,
    EXIT_QUARANTINED,
    InputError,
    Interrupted,
    JobError,
    LinkmatchError,
    UsageError,
)

if TYPE_CHECKING:
    from linkmatch_ray.runtime.job import Job

STOP_SECONDS: Final = 2.5
"""After Ctrl-C, an orderly end may take so long; then the process ends, and the kernel ends Ray with it."""

EXIT_TERMINATED: Final = 143
GC_OBJECTS: Final = 100_000
"""Garbage is looked for this often. A list of many files is none, and takes half as long again at every 700."""

COPY_BYTES: Final = 1 << 20
POLL_SECONDS: Final = 0.1

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


class _Terminated(KeyboardInterrupt):
    """SIGTERM, raised in the main thread as Ctrl-C is."""


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
    job_id: o.JobId = None,
    overwrite: o.Overwrite = False,
    max_quarantined: o.MaxQuarantined = 0,
    fail_fast: o.FailFast = False,
    max_record_bytes: o.MaxRecordBytes = 64 << 20,
    workers: o.Workers = None,
    one_file_per_task: o.OneFilePerTask = False,
    dry_run: o.DryRun = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    dashboard: o.Dashboard = False,
) -> None:
    """Match files against a list of restrictions.

    \b
    Examples:
      linkmatch-ray submit links/ -r blocked.json -k url
      linkmatch-ray submit 'logs/*.ndjson.gz' -r kev.json -k /cve/id=cveID -o hits
      linkmatch-ray submit users/ -r erased.txt -k id --emit unmatched -o - > kept.jsonl

    The same command again resumes a job that was interrupted. Exit codes: 0 complete, 1 failed,
    2 usage, 3 bad input, 4 complete with quarantine entries, 5 no cluster, 130 and 143 interrupted.
    """
    with _reporting(verbose):
        to_stdout = output == "-"
        if to_stdout and emit is o.EmitChoice.both:
            raise UsageError("-o - with --emit both: standard output takes one list. Name a directory with -o.")
        from linkmatch_ray.io.inputs import read_names

        names: list[Any] = list(inputs or [])
        if files_from is not None:
            if files_from == "-" and restrictions == "-":
                raise UsageError("-r - and --files-from -: both read standard input. Give one of them a file.")
            names += read_names(files_from, null=null)
        if not names:
            raise InputError("no input was given. Name files or directories, or --files-from.")
        with _directory(output) as directory:
            request = _Submission(
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
                },
                submit={
                    "workers": workers,
                    "job_id": job_id,
                    "overwrite": overwrite,
                    "one_file_per_task": one_file_per_task,
                },
                session={"address": address, "workers": workers, "dashboard": dashboard, "verbose": verbose},
            )
            if dry_run:
                request.print_plan(as_json=as_json)
                return
            summary = request.run(
                show=not quiet and not as_json,
                entries_max=max_quarantined if fail_fast else None,
                copy=("unmatched.jsonl" if emit is o.EmitChoice.unmatched else "matched.jsonl") if to_stdout else None,
            )
            from linkmatch_ray.cli.output import print_summary

            if to_stdout:
                sys.stderr.write(Path(directory, "quarantine.jsonl").read_text("utf-8"))
            print_summary(
                summary,
                as_json=as_json,
                quiet=quiet,
                file=sys.stderr if to_stdout else sys.stdout,
                resumable=not to_stdout,
            )
        quarantined = summary["totals"]["entries"] > max_quarantined
        raise typer.Exit(EXIT_QUARANTINED if quarantined else EXIT_OK)


class _Submission:
    """One `submit`: starts Ray, loads the restrictions meanwhile, runs the job, stops it if told to."""

    def __init__(
        self,
        *,
        names: list[Any],
        directory: str,
        restrictions: str,
        keys: list[str],
        restrictions_at: str | None,
        restrictions_format: str,
        options: dict[str, Any],
        submit: dict[str, Any],
        session: dict[str, Any],
    ) -> None:
        self._names, self._directory = names, directory
        self._restrictions, self._keys = restrictions, keys
        self._restrictions_at, self._restrictions_format = restrictions_at, restrictions_format
        self._options, self._submit, self._session_options = options, submit, session

    def print_plan(self, *, as_json: bool) -> None:
        """What would be done."""
        import orjson

        from linkmatch_ray.cli.output import plural, size
        from linkmatch_ray.core.outcome import MatchOptions
        from linkmatch_ray.io.inputs import list_inputs
        from linkmatch_ray.runtime.plan import PlanOptions, make_plan

        listing = list_inputs(self._names)
        how = PlanOptions(one_file_per_task=self._submit["one_file_per_task"])
        plan = make_plan(listing.files, MatchOptions(**self._options), how)
        for row in plan.describe(listing.files):
            if as_json:
                print(orjson.dumps(row).decode())
            else:
                where = f" … {row['last']}" if "last" in row else ""
                where += f" from byte {row['from']:,}" if "from" in row else ""
                print(
                    f"unit {row['unit']}: {plural(row['files'], 'file')}, {size(row['bytes'])}: {row['first']}{where}"
                )
        if not as_json:
            total = sum(max(file.size, 0) for file in listing.files)
            left = f"; {plural(listing.left_out, 'file')} left out by name" if listing.left_out else ""
            print(f"{plural(len(listing.files), 'file')}, {size(total)}, in {plural(len(plan.units), 'task')}{left}")

    def run(self, *, show: bool, entries_max: int | None, copy: str | None) -> dict[str, Any]:
        """Run the job to its end; returns the summary."""
        signal.signal(signal.SIGTERM, _on_sigterm)
        # Ray takes seconds to start, and the restrictions are loaded meanwhile. But a complete job needs none.
        complete = Path(self._directory, "summary.json").exists() and not self._submit["overwrite"]
        session = None if complete else self._start_session()
        job = None
        try:
            job = self._begin(session or self._start_session)
            if session is not None and self._session_options["dashboard"]:
                session.ready()
                print(f"Dashboard: http://{session.dashboard_url}", file=sys.stderr)
            return self._wait(job, show=show, entries_max=entries_max, copy=copy)
        except (KeyboardInterrupt, BrokenPipeError) as stop:
            with _end_within(STOP_SECONDS, _exit_code_of(stop)):
                if job is not None:
                    job.cancel()
                    job.wait()
                if session is not None:
                    session.close()
            if isinstance(stop, BrokenPipeError):
                _silence_stdout()
                raise typer.Exit(EXIT_OK) from None
            raise
        finally:
            if session is not None:
                session.close()

    def _start_session(self) -> Any:
        from linkmatch_ray.runtime.session import Session

        return Session(**self._session_options)

    def _begin(self, session: Any) -> Job:
        from linkmatch_ray import MatchOptions, Restrictions
        from linkmatch_ray.runtime.job import submit as submit_job

        loaded = Restrictions.load(
            self._restrictions,
            self._keys,
            at=self._restrictions_at,
            format=self._restrictions_format,  # type: ignore[arg-type]
        )
        return submit_job(
            self._names,
            loaded,
            output=self._directory,
            options=MatchOptions(**self._options),
            session=session,
            **self._submit,
        )

    def _wait(self, job: Job, *, show: bool, entries_max: int | None, copy: str | None) -> dict[str, Any]:
        from linkmatch_ray.cli.output import progress_display

        copier = _Copier(job, copy) if copy is not None else None
        with progress_display(show) as display:
            while not job.wait(POLL_SECONDS):
                progress = job.progress()
                display(progress)
                if copier is not None:
                    copier.copy(progress.ends)
                if entries_max is not None and progress.counts.entries > entries_max:
                    job.cancel()
                    job.wait()
                    raise JobError(
                        f"{job.directory}: stopped by --fail-fast at {progress.counts.entries} quarantine entries."
                        " See quarantine.jsonl there; run the same command without --fail-fast to go on."
                    )
        summary = job.result()
        if copier is not None:
            copier.copy(job.progress().ends)
        return summary


class _Copier:
    """Copies what has become durable of one output to standard output."""

    def __init__(self, job: Job, name: str) -> None:
        self._path, self._name, self._at = job.directory / name, name.removesuffix(".jsonl"), 0

    def copy(self, ends: dict[str, int]) -> None:
        end = ends.get(self._name, 0)
        if end <= self._at:
            return
        with open(self._path, "rb") as file:
            file.seek(self._at)
            while self._at < end:
                data = file.read(min(COPY_BYTES, end - self._at))
                sys.stdout.buffer.write(data)
                self._at += len(data)
        sys.stdout.buffer.flush()


@contextmanager
def _directory(output: str) -> Iterator[str]:
    """The result directory; a private temporary one for standard output."""
    if output != "-":
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="linkmatch-") as directory:
        yield directory


@contextmanager
def _reporting(verbose: bool) -> Iterator[None]:
    """Turn what goes wrong into a message and an exit code."""
    from linkmatch_ray.cli.output import print_error, resume_command

    try:
        yield
    except LinkmatchError as error:
        print_error(error, verbose=verbose)
        if isinstance(error, JobError) and error.exit_code == 1:
            print(f"What was committed is safe. To resume: {resume_command()}", file=sys.stderr)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt as stop:
        _print_interrupted()
        raise typer.Exit(_exit_code_of(stop)) from None


def _print_interrupted() -> None:
    from linkmatch_ray.cli.output import resume_command

    print("linkmatch-ray: interrupted; what was committed is safe. To resume:", file=sys.stderr)
    print(f"  {resume_command()}", file=sys.stderr, flush=True)


def _exit_code_of(stop: BaseException) -> int:
    if isinstance(stop, BrokenPipeError):
        return EXIT_OK
    return EXIT_TERMINATED if isinstance(stop, _Terminated) else Interrupted.exit_code


def _on_sigterm(*_: object) -> NoReturn:
    raise _Terminated


@contextmanager
def _end_within(seconds: float, code: int) -> Iterator[None]:
    """End the process after a time, whatever it still does; the kernel ends the Ray it started with it."""

    def end() -> None:
        if code != EXIT_OK:
            _print_interrupted()
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _silence_stdout() -> None:
    """Standard output is gone: keep the interpreter from complaining about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Entry point of the console script."""
    gc.set_threshold(GC_OBJECTS)
    app(prog_name="linkmatch-ray")
