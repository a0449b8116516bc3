"""`submit` on a Ray of this process, or on one that it joins: runs the job and shows it, or prints its plan."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

import linkmatch_ray
from linkmatch_ray.cli import signals
from linkmatch_ray.cli.exits import temporary_directory
from linkmatch_ray.cli.formatting import plural
from linkmatch_ray.cli.options import Asked
from linkmatch_ray.cli.output import left_out_line, plan_lines, preview_lines, unit_line
from linkmatch_ray.cli.output import summary_lines as lines_of
from linkmatch_ray.cli.printer import Printer, json_text, silence_stdout
from linkmatch_ray.cli.progress import listing_display, memory_line, progress_display
from linkmatch_ray.exit_codes import EXIT_FAILED, EXIT_OK, EXIT_QUARANTINED
from linkmatch_ray.runtime.session.address import SUMMARY_MARK, is_ray_job, job_name, marks_its_summary
from linkmatch_ray.words import command, shown

if TYPE_CHECKING:
    from linkmatch_ray import Job, Session

COPY_BYTES: Final = 1 << 20
POLL_SECONDS: Final = 0.1


def print_plan(out: Printer, asked: Asked) -> None:
    """Prints the plan of the job and a preview. Loads the list and reads some inputs, so their errors are reported."""
    with listing_display(not out.as_json) as on_progress, _place(asked.output) as output:
        plan = linkmatch_ray.dry_run(
            asked.inputs,
            asked.restrictions,
            output=output,
            key=asked.key,
            options=asked.options,
            on_listing=on_progress,
        )
    print(f"{plural(len(plan.restrictions), 'restriction')} in {shown(plan.restrictions.name)}", file=sys.stderr)
    if plan.restrictions.left_out:
        print(left_out_line(plan.restrictions.left_out), file=sys.stderr)
    if plan.is_done:
        out.row({"nothing_to_do": True}, "nothing to do: the results are up to date")
        return
    for row in plan.units():
        out.row(row, unit_line(row))
    if not out.as_json:
        out.show(None, plan_lines(plan))
    found = plan.preview()
    if out.as_json:
        of = {"of_files": plan.files, "of_bytes": plan.nbytes, "cores": plan.cores}
        of["files_not_looked_at"] = plan.files_not_looked_at
        out.row({"preview": found.as_dict() | of}, "")
    else:
        out.show(None, preview_lines(found, plan.files, plan.nbytes, plan.keys, plan.cores))


def run(out: Printer, asked: Asked, *, quiet: bool, joinable: bool, at_end: ExitStack) -> int:
    """Runs the job to its end, prints its summary, and returns the exit code."""
    to_stdout, options = asked.output == "-", asked.options
    with _place(asked.output) as output:
        summary = _Run(asked, output, joinable=joinable, at_end=at_end).run(
            show=not quiet and (not out.as_json or is_ray_job()),
            copy=f"{options.emit}.jsonl" if to_stdout else None,
        )
        if to_stdout:
            sys.stderr.write(Path(output, "quarantine.jsonl").read_text("utf-8"))
            summary = {name: value for name, value in summary.items() if name != "directory_base64"}
            summary["directory"] = "-"  # the temporary one is removed
            out = Printer(out.as_json, quiet=quiet, file=sys.stderr)
    if marks_its_summary():
        print(SUMMARY_MARK + json_text(summary, indented=False), flush=True)
    else:
        out.show(summary, lines_of(summary, resumable=not to_stdout))
    return EXIT_QUARANTINED if summary["totals"]["entries"] > options.max_quarantined else EXIT_OK


class _Run:
    """One job of `submit`: it is started, shown while it runs, and stopped if a signal comes."""

    def __init__(self, asked: Asked, output: str, *, joinable: bool, at_end: ExitStack) -> None:
        self._asked, self._output, self._joinable, self._at_end = asked, output, joinable, at_end

    def run(self, *, show: bool, copy: str | None) -> dict[str, Any]:
        """Runs the job to its end, and returns the summary.

        Args:
            show: Show its progress.
            copy: The output to copy to standard output, if any.
        """
        options = self._asked.options
        session = linkmatch_ray.Session(
            options.address,
            options.workers,
            dashboard=options.dashboard,
            verbose=options.verbose,
            name=job_name(self._asked.output),
        )
        job = None
        try:
            job = self._begin(session, show=show)
            if (options.dashboard or self._joinable) and not job.wait(0):
                session.ready()
                _announce(session, job)
            return self._wait(job, show=show, copy=copy)
        except (KeyboardInterrupt, BrokenPipeError) as stop:
            if isinstance(stop, BrokenPipeError):
                signals.pipe_closed()
            if job is not None:
                job.cancel()
                job.wait()
            session.close()
            if isinstance(stop, BrokenPipeError):
                silence_stdout()
                raise typer.Exit(EXIT_OK) from None
            raise
        finally:
            if _stays(session):
                self._at_end.push(partial(_stay, session))
            elif job is None or session.is_starting:  # no job needs this Ray, so nothing waits for it
                session.leave()
            elif session.joins or not signals.ends_at_once():
                session.close()  # a cluster's list of its jobs says how each one ended
            # Otherwise the program ends now, and its reaper ends this Ray. To shut it down here, beside a main thread
            # that still frees objects of the job, may end the process.

    def _begin(self, session: Session, *, show: bool) -> Job:
        asked = self._asked
        with listing_display(show) as on_progress:
            return linkmatch_ray.submit(
                asked.inputs,
                asked.restrictions,
                output=self._output,
                key=asked.key,
                options=asked.options,
                session=session,
                on_listing=on_progress,
            )

    def _wait(self, job: Job, *, show: bool, copy: str | None) -> dict[str, Any]:
        copier = _Copier(job, copy) if copy is not None else None
        with progress_display(show) as display:
            while not job.wait(POLL_SECONDS):
                progress = job.progress()
                display(progress)
                if copier is not None:
                    copier.copy(progress.settled)
        summary = job.result()
        if copier is not None:
            copier.copy(job.progress().settled)
        if show and job.progress().needs_memory:
            print(memory_line(job.progress().needs_memory), file=sys.stderr)
        return summary


def _announce(session: Session, job: Job) -> None:
    """Prints where the dashboard is, and what others need to join the job: the variables, and where the token is."""
    token = session.token_place
    if session.dashboard_url is not None:
        asks = f", which asks for the token that `{_ray_command()} get-auth-token` prints" if token else ""
        print(f"Dashboard: http://{shown(session.dashboard_url)}{asks}", file=sys.stderr)
    given = command([f"{name}={value}" for name, value in session.variables.items()])
    print(f"To join job {shown(job.id)}: {given}", file=sys.stderr)
    if token:
        print(f"The token is in {token}", file=sys.stderr)


def _ray_command() -> str:
    """Returns what to type for Ray's own command."""
    beside = Path(sys.executable).parent / "ray"
    return "ray" if shutil.which("ray") == str(beside) or not beside.exists() else command([str(beside)])


def _stays(session: Session) -> bool:
    """Returns whether the dashboard stays after the job's end, for a user at a terminal."""
    ours = session.dashboard_url is not None and not session.joins
    return ours and sys.stdin.isatty() and sys.stdout.isatty() and not signals.has_come()


def _stay(session: Session, _: object, end: BaseException | None, *__: object) -> None:
    """Keeps the dashboard until a signal, after everything else has ended."""
    print(f"The dashboard stays until Ctrl-C: http://{shown(session.dashboard_url)}", file=sys.stderr)
    signals.wait(end.exit_code if isinstance(end, typer.Exit) else EXIT_FAILED)
    session.close()


class _Copier:
    """A copier of one output to standard output. It copies complete files only, so nothing is ever taken back."""

    def __init__(self, job: Job, name: str) -> None:
        self._path, self._name, self._at = Path(job.directory, name), name.removesuffix(".jsonl"), 0

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
def _place(output: str) -> Iterator[str]:
    """Gives the place of the results; for standard output it is a private temporary directory."""
    if output != "-":
        yield output
        return
    with temporary_directory() as directory:
        yield directory
