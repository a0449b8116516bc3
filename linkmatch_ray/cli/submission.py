"""One `submit`: starts Ray, loads the restrictions meanwhile, runs the job, stops it if told to."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from linkmatch_ray.cli import signals
from linkmatch_ray.cli.ending import silence_stdout, temporary_directory
from linkmatch_ray.errors import EXIT_FAILED, EXIT_OK
from linkmatch_ray.words import command, shown

if TYPE_CHECKING:
    from linkmatch_ray.core.outcome import MatchOptions
    from linkmatch_ray.io.input_file import InputFile
    from linkmatch_ray.io.restrictions import Restrictions
    from linkmatch_ray.runtime.job import Job
    from linkmatch_ray.runtime.plan import Plan
    from linkmatch_ray.runtime.session import Session

COPY_BYTES: Final = 1 << 20
POLL_SECONDS: Final = 0.1


class Submission:
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
        joinable: bool,
        at_end: ExitStack,
    ) -> None:
        self._names, self._directory = names, directory
        self._restrictions, self._keys = restrictions, keys
        self._restrictions_at, self._restrictions_format = restrictions_at, restrictions_format
        self._options, self._submit, self._session_options = options, submit, session
        self._joinable, self._at_end = joinable, at_end
        self._refuse_places()

    def _refuse_places(self) -> None:
        """Look at all paths and URLs before anything begins: Ray keeps the command that starts it, with their secrets.

        Raises:
            InputError, UsageError: one of them cannot be.
        """
        from linkmatch_ray.io.input_names import refuse_no_input
        from linkmatch_ray.io.paths import path_of
        from linkmatch_ray.io.results import results_at

        for name in (self._restrictions, *self._names):
            refuse_no_input(path_of(name))
        results_at(self._directory)

    def print_plan(self, *, as_json: bool) -> None:
        """What would be done; the list is loaded and some inputs are read, so that what is wrong with them is said."""
        import orjson

        from linkmatch_ray.cli.output import listing_display, plural, size
        from linkmatch_ray.core.outcome import MatchOptions, as_text
        from linkmatch_ray.io.inputs import list_inputs
        from linkmatch_ray.io.results import results_at
        from linkmatch_ray.io.sniff import cuttable
        from linkmatch_ray.io.trouble import told
        from linkmatch_ray.runtime.plan import PlanOptions, make_plan
        from linkmatch_ray.runtime.request import Request

        results, options = results_at(self._directory), MatchOptions(**self._options)
        with told(results):
            results.refuse_foreign()
        with listing_display(not as_json) as tell:
            listing = list_inputs(self._names, tell)
        restrictions = self._load()
        print(f"{plural(len(restrictions), 'restriction')} in {shown(restrictions.name)}", file=sys.stderr)
        how, origins = PlanOptions(one_file_per_task=self._submit["one_file_per_task"]), None
        if self._submit["incremental"]:
            drop = self._submit["drop_missing"]
            request = Request(listing, restrictions, results, options, how, None, False, True, drop)
            how, origins = request.plan, request.origins
            if request.finished is not None and origins is None:
                print("nothing to do: the results are those of a full run")
                return
        plan = make_plan(listing.files, cuttable(listing.files, options, how.whole_bytes), how, origins)
        for row in plan.describe():
            if as_json:
                for name in ("first", "last"):
                    row |= as_text(name, row[name]) if name in row else {}
                print(orjson.dumps(row).decode())
            else:
                where = f" … {shown(row['last'])}" if "last" in row else ""
                where += f" from byte {row['from']:,}" if "from" in row else ""
                what = f"{plural(row['files'], 'file')}, {size(row['bytes'])}"
                print(f"unit {row['unit']}: {what}: {shown(row['first'])}{where}")
        if not as_json:
            files = len(listing.files) - (origins.files if origins is not None else 0)
            left = f"; {plural(listing.left_out, 'file')} left out by name" if listing.left_out else ""
            print(f"{plural(files, 'file')}, {size(plan.nbytes)}, in {plural(len(plan), 'task')}{left}")
            if origins is not None:
                gone = f"; the results of {plural(len(origins.gone), 'file')} that are gone are removed"
                print(f"{plural(origins.files, 'file')} as before{gone if origins.gone else ''}")
        self._print_preview(plan, listing.files, restrictions, options, as_json=as_json)

    def _print_preview(
        self, plan: Plan, files: list[InputFile], restrictions: Restrictions, options: MatchOptions, *, as_json: bool
    ) -> None:
        """What is in the beginnings of some inputs, and how long the whole may take."""
        import orjson

        from linkmatch_ray.cli.output import preview_lines
        from linkmatch_ray.runtime.address import is_embedded
        from linkmatch_ray.runtime.preview import preview

        units = list(plan.units())
        numbers = dict.fromkeys(number for unit in units for number in range(unit.first, unit.stop))
        cores = None  # those of a cluster are not known
        if is_embedded(self._session_options["address"]):
            there = len(os.sched_getaffinity(0))
            cores = min(self._submit["workers"] or there, there)
        found = preview([files[number] for number in numbers], restrictions, options)
        found.expect(plan.nbytes, max((unit.nbytes for unit in units), default=0), cores or 1)
        if as_json:
            of = {"of_files": len(numbers), "of_bytes": plan.nbytes, "cores": cores}
            print(orjson.dumps({"preview": found.as_dict() | of}).decode())
            return
        keys = [str(path.text) for path in restrictions.paths]
        for line in preview_lines(found, len(numbers), plan.nbytes, keys, cores):
            print(line)

    def run(self, *, show: bool, copy: str | None) -> dict[str, Any]:
        """Run the job to its end; returns the summary."""
        # Ray takes seconds to start, and the restrictions are loaded meanwhile. But a complete job needs none.
        session = None if self._is_complete() else self._start_session()
        job = None
        try:
            job = self._begin(session or self._start_session, show=show)
            if session is not None and (self._session_options["dashboard"] or self._joinable):
                session.ready()
                self._announce(session, job)
            return self._wait(job, show=show, copy=copy)
        except (KeyboardInterrupt, BrokenPipeError) as stop:
            if isinstance(stop, BrokenPipeError):
                signals.pipe_closed()
            if job is not None:
                job.cancel()
                job.wait()
            if session is not None:
                session.close()
            if isinstance(stop, BrokenPipeError):
                silence_stdout()
                raise typer.Exit(EXIT_OK) from None
            raise
        finally:
            if session is not None and self._stays(session):
                self._at_end.push(partial(_stay, session))
            elif session is not None:
                session.close()

    def _announce(self, session: Session, job: Job) -> None:
        """Say where the dashboard is, and how others join the job: the address, and where the token is."""
        from linkmatch_ray.runtime.auth_token import place_of_token

        token = place_of_token() if "RAY_AUTH_MODE" in session.variables else None
        if session.dashboard_url is not None:
            asks = f", which asks for the token that `{_ray_command()} get-auth-token` prints" if token else ""
            print(f"Dashboard: http://{shown(session.dashboard_url)}{asks}", file=sys.stderr)
        given = command([f"{name}={value}" for name, value in session.variables.items()])
        print(f"To join job {shown(job.id)}: {given}", file=sys.stderr)
        if token:
            print(f"The token is in {token}", file=sys.stderr)

    def _stays(self, session: Session) -> bool:
        """Whether someone may want to look at the dashboard after the end."""
        ours = session.dashboard_url is not None and not session.joins
        return ours and sys.stdin.isatty() and sys.stdout.isatty() and not signals.is_told()

    def _is_complete(self) -> bool:
        """Whether the place has the whole of a job, which may be this one.

        Raises:
            UsageError: it is no place for results, which is said before Ray starts.
        """
        from linkmatch_ray.io.results import results_at
        from linkmatch_ray.io.trouble import told

        results = results_at(self._directory)
        with told(results):
            results.refuse_foreign()
            return not self._submit["overwrite"] and results.summary() is not None

    def _start_session(self) -> Any:
        from linkmatch_ray.runtime.session import Session

        session = Session(**self._session_options)
        signals.at_the_last(session.abandon)
        return session

    def _load(self) -> Restrictions:
        from linkmatch_ray import Restrictions

        return Restrictions.load(
            self._restrictions,
            self._keys,
            at=self._restrictions_at,
            format=self._restrictions_format,  # type: ignore[arg-type]
        )

    def _begin(self, session: Any, *, show: bool) -> Job:
        from linkmatch_ray import MatchOptions
        from linkmatch_ray.cli.output import listing_display
        from linkmatch_ray.runtime.job import submit as submit_job

        loaded = self._load()
        with listing_display(show) as tell:
            return submit_job(
                self._names,
                loaded,
                output=self._directory,
                options=MatchOptions(**self._options),
                session=session,
                tell=tell,
                **self._submit,
            )

    def _wait(self, job: Job, *, show: bool, copy: str | None) -> dict[str, Any]:
        from linkmatch_ray.cli.output import progress_display

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
        return summary


def _ray_command() -> str:
    """What to type for Ray's command."""
    beside = Path(sys.executable).parent / "ray"
    return "ray" if shutil.which("ray") == str(beside) or not beside.exists() else command([str(beside)])


def _stay(session: Session, _: object, end: BaseException | None, *__: object) -> None:
    """All has been said, and the command ends; but the dashboard stays until a signal."""
    print(f"The dashboard stays until Ctrl-C: http://{shown(session.dashboard_url)}", file=sys.stderr)
    signals.wait(end.exit_code if isinstance(end, typer.Exit) else EXIT_FAILED)
    session.close()


class _Copier:
    """Copies one output to standard output, file by file as they become complete: what was copied stays true."""

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
def result_directory(output: str) -> Iterator[str]:
    """The result directory; a private temporary one for standard output."""
    if output != "-":
        yield output
        return
    with temporary_directory() as directory:
        yield directory
