"""The command line in this process: what it prints, and its exit code."""

import gc
import io
import os
import signal
import sys
from contextlib import contextmanager
from functools import cache
from unittest import mock

import typer

from linkmatch_ray.cli import exits
from linkmatch_ray.cli.app import main

_get_command = cache(typer.main.get_command)


@contextmanager
def _as_before():
    """What a process sets for itself, and this one goes on without."""
    kept = [(each, signal.getsignal(each)) for each in (signal.SIGINT, signal.SIGTERM)]
    thresholds, hook = gc.get_threshold(), sys.excepthook
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        sys.excepthook = hook
        for each, handler in kept:
            signal.signal(each, handler)


def program(*arguments, stdin=b""):
    """Runs a command; gives its exit code, standard output and standard error. What nobody caught is raised."""
    streams = [io.BytesIO(), io.BytesIO()]
    out = io.TextIOWrapper(streams[0], "utf-8")  # what it cannot write is an error, as in a terminal
    error = io.TextIOWrapper(streams[1], "utf-8", errors="backslashreplace")
    given = ["linkmatch-ray", *map(os.fsdecode, arguments)]
    with (
        _as_before(),
        mock.patch.object(sys, "argv", given),
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))),
        mock.patch.object(sys, "stdout", out),
        mock.patch.object(sys, "stderr", error),
        mock.patch.object(typer.main, "get_command", _get_command),  # to make it takes longer than to run it
        mock.patch.object(exits, "silence_stdout"),  # there is no descriptor behind it
    ):
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
    for each in (out, error):
        each.flush()
    return code, *(each.getvalue().decode() for each in streams)
