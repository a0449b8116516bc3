"""How a command ends: errors become a message and an exit code, signals an orderly stop."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

import linkmatch_ray
from linkmatch_ray.cli import signals
from linkmatch_ray.errors import JobError, LinkmatchError
from linkmatch_ray.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_TERMINATED
from linkmatch_ray.runtime.session.address import is_ray_job
from linkmatch_ray.words import command, shown

_SESSION: Final = "linkmatch_ray.runtime.session.session"


@contextmanager
def reporting(verbose: bool, *, resumable: bool = False) -> Iterator[None]:
    """Turn what goes wrong into a message and an exit code; of what can be resumed, how."""
    interrupted = "linkmatch-ray: interrupted."
    if resumable:
        interrupted = f"linkmatch-ray: interrupted; what was committed is safe. To resume:\n  {resume_command()}"
    try:
        with signals.in_order(interrupted):
            yield
    except LinkmatchError as error:
        print_error(error, verbose=verbose)
        if isinstance(error, JobError) and error.is_resumable and resumable:
            print(f"What was committed is safe. To resume: {resume_command()}", file=sys.stderr)
        if _SESSION in sys.modules and linkmatch_ray.Session.is_any_starting():
            signals.end_at_once(error.exit_code)  # instead of waiting for a Ray that nobody needs
        raise typer.Exit(error.exit_code) from None
    except BrokenPipeError:
        raise
    except OSError as error:  # in a result directory it is a JobError; this is a full disk behind `>`
        print_lost(error, verbose=verbose)
        raise typer.Exit(EXIT_FAILED) from None
    except KeyboardInterrupt as stop:
        signals.say(interrupted)
        raise typer.Exit(exit_code_of(stop)) from None


@contextmanager
def with_all_printed() -> Iterator[None]:
    """Around the program: what it has printed, help too, has come out at its end, or it fails."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:  # nobody wants more of it
        silence_stdout()
    except OSError as error:
        print_lost(error, verbose=False)
        sys.exit(EXIT_FAILED)


def print_lost(error: OSError, *, verbose: bool) -> None:
    """Say that something could not be written, to standard output as a rule, and write no more there."""
    where = error.filename or "standard output"
    found = JobError(f"{shown(where)}: {error.strerror or shown(error)}. Mend that, and give the same command again.")
    print_error(found, verbose=verbose)
    silence_stdout()


def exit_code_of(stop: KeyboardInterrupt) -> int:
    return EXIT_TERMINATED if isinstance(stop, signals.Terminated) else EXIT_INTERRUPTED


def abandon_ray() -> None:
    """The program ends at once: end the Ray that it has started, and remove its files."""
    if _SESSION in sys.modules:
        linkmatch_ray.Session.abandon_all()


def silence_stdout() -> None:
    """Standard output is gone: keep the interpreter from complaining about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def temporary_directory() -> Iterator[str]:
    """A private directory for as long as the command runs, however it ends."""
    with tempfile.TemporaryDirectory(prefix="linkmatch-") as directory:
        signals.at_the_last(lambda: shutil.rmtree(directory, ignore_errors=True))
        yield directory


def print_error(error: BaseException, *, verbose: bool) -> None:
    """An error, with its traceback only if asked for."""
    if verbose:
        traceback.print_exception(error)
    said = error if isinstance(error, LinkmatchError) else f"{type(error).__name__}: {shown(error)}"
    print(f"linkmatch-ray: {said}", file=sys.stderr)


def resume_command() -> str:
    """The command that was given, as one can type it again; on a cluster it was another machine's."""
    if is_ray_job():
        return "give the same submit command again"
    arguments = [argument for argument in sys.argv[1:] if argument != "--overwrite"]
    return command(["linkmatch-ray", *arguments])
