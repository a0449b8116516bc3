"""The end of a command: errors become a message and an exit code, signals an orderly stop."""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import typer

import linkmatch_ray
from linkmatch_ray.cli import signals
from linkmatch_ray.cli.printer import silence_stdout
from linkmatch_ray.errors import JobError, LinkmatchError
from linkmatch_ray.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_TERMINATED
from linkmatch_ray.runtime.session.address import is_ray_job
from linkmatch_ray.runtime.session.reaper import Reaper
from linkmatch_ray.words import command, shown

_SESSION: Final = "linkmatch_ray.runtime.session.session"


@contextmanager
def reporting(verbose: bool, *, resumable: bool = False) -> Iterator[None]:
    """Turns errors and signals into a message and an exit code.

    Args:
        resumable: The command can be resumed, and the message says how.
    """
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
        raise typer.Exit(error.exit_code) from None
    except BrokenPipeError:
        raise
    except OSError as error:  # in a result directory it is a JobError, so this is standard output, as on a full disk
        print_lost(error, verbose=verbose)
        raise typer.Exit(EXIT_FAILED) from None
    except KeyboardInterrupt as stop:
        signals.say(interrupted)
        raise typer.Exit(exit_code_of(stop)) from None


@contextmanager
def with_all_printed() -> Iterator[None]:
    """Makes sure that everything the program prints is written, or that the program fails."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:  # the reader has enough
        silence_stdout()
    except SystemExit as end:
        if not isinstance(end.__context__, BrokenPipeError):  # of which Click makes a failure
            raise
        silence_stdout()
    except OSError as error:
        print_lost(error, verbose=False)
        sys.exit(EXIT_FAILED)


def print_lost(error: OSError, *, verbose: bool) -> None:
    """Reports that output could not be written, usually to standard output, and writes no more to it."""
    where = error.filename or "standard output"
    found = JobError(f"{shown(where)}: {error.strerror or shown(error)}. Correct that, and run the same command again.")
    print_error(found, verbose=verbose)
    silence_stdout()


def exit_code_of(stop: KeyboardInterrupt) -> int:
    return EXIT_TERMINATED if isinstance(stop, signals.Terminated) else EXIT_INTERRUPTED


def abandon_ray() -> None:
    """Ends the Ray that this program has started, and removes its files. For a program that ends at once."""
    if _SESSION in sys.modules:
        linkmatch_ray.Session.abandon_all()


@contextmanager
def temporary_directory() -> Iterator[str]:
    """Gives a private directory that is removed when the command ends, for any reason, SIGKILL included."""
    with tempfile.TemporaryDirectory(prefix="linkmatch-", ignore_cleanup_errors=True) as directory:
        reaper = Reaper(directory, directory)
        try:
            yield directory
        finally:
            reaper.reap()


def print_error(error: BaseException, *, verbose: bool) -> None:
    """Prints an error; with `verbose` also its traceback."""
    if verbose:
        traceback.print_exception(error)
    said = error if isinstance(error, LinkmatchError) else f"{type(error).__name__}: {shown(error)}"
    with suppress(BrokenPipeError):  # if nobody reads it, the exit code still says it
        print(f"linkmatch-ray: {said}", file=sys.stderr)


def resume_command() -> str:
    """Returns what to type to resume. On a cluster it is only described: it was typed on another machine."""
    if is_ray_job():
        return "run the same submit command again"
    arguments = [argument for argument in sys.argv[1:] if argument != "--overwrite"]
    return command(["linkmatch-ray", *arguments])
