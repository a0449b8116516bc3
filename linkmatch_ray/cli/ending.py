"""How a command ends: errors become a message and an exit code, signals an orderly stop."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, NoReturn

import typer

from linkmatch_ray.errors import EXIT_FAILED, EXIT_OK, Interrupted, JobError, LinkmatchError
from linkmatch_ray.words import shown

EXIT_TERMINATED: Final = 143


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised in the main thread as Ctrl-C is."""


@contextmanager
def reporting(verbose: bool, *, resumable: bool = False) -> Iterator[None]:
    """Turn what goes wrong into a message and an exit code; of what can be resumed, how."""
    from linkmatch_ray.cli.output import print_error, resume_command

    try:
        yield
    except LinkmatchError as error:
        print_error(error, verbose=verbose)
        if isinstance(error, JobError) and error.is_resumable and resumable:
            print(f"What was committed is safe. To resume: {resume_command()}", file=sys.stderr)
        raise typer.Exit(error.exit_code) from None
    except BrokenPipeError:
        raise
    except OSError as error:  # in a result directory it is a JobError; this is a full disk behind `>`
        where = error.filename or "standard output"
        print_error(
            JobError(f"{shown(where)}: {error.strerror or shown(error)}. Mend that, and give the same command again."),
            verbose=verbose,
        )
        silence_stdout()
        raise typer.Exit(EXIT_FAILED) from None
    except KeyboardInterrupt as stop:
        _print_interrupted(resumable)
        raise typer.Exit(exit_code_of(stop)) from None


def _print_interrupted(resumable: bool) -> None:
    from linkmatch_ray.cli.output import resume_command

    if not resumable:
        print("linkmatch-ray: interrupted.", file=sys.stderr, flush=True)
        return
    print("linkmatch-ray: interrupted; what was committed is safe. To resume:", file=sys.stderr)
    print(f"  {resume_command()}", file=sys.stderr, flush=True)


def exit_code_of(stop: BaseException) -> int:
    if isinstance(stop, BrokenPipeError):
        return EXIT_OK
    return EXIT_TERMINATED if isinstance(stop, Terminated) else Interrupted.exit_code


def on_sigterm(*_: object) -> NoReturn:
    raise Terminated


@contextmanager
def end_within(seconds: float, code: int, *, resumable: bool, last: Callable[[], None]) -> Iterator[None]:
    """End the process after a time, whatever it still does, and do `last` before; the kernel ends the Ray it started
    with it."""

    def end() -> None:
        if code != EXIT_OK:
            _print_interrupted(resumable)
        with suppress(Exception):
            last()
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def silence_stdout() -> None:
    """Standard output is gone: keep the interpreter from complaining about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
