"""SIGINT and SIGTERM: they stop the program in order, or end it after `STOP_SECONDS`.

    running -> signalled -> ended               the first signal counts, later ones change nothing

All threads block both signals, and one thread waits for them. So it does not matter what Ray does with the handlers. It
replaces SIGTERM's at its start and at its end, and the signal would then end the program without a word. The waiting
thread makes the main thread raise `KeyboardInterrupt`, so that a job stops in order. But the main thread may be in the
interpreter's exit. Or it may be in a call that does not return: a resolver, a library, an import that waits for another
thread. So the waiting thread ends the process if nothing else has.

The signals are blocked before any other thread starts. So this module comes before all other imports, and imports
nothing that takes time.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, NoReturn

from linkmatch_ray.exit_codes import EXIT_INTERRUPTED, EXIT_OK, EXIT_TERMINATED

STOP_SECONDS: Final = 1.2
"""Time limit for an orderly stop."""

LAST_SECONDS: Final = 0.2
"""Time limit for the clean-up after that. With both, a signal ends the program within 2 seconds."""

_CLOSED_PIPE: Final = signal.SIGPIPE
"""A signal that Python ignores. Here it means that the reader of standard output is gone."""

_WAKE: Final = signal.SIGUSR1
"""The signal that is sent to the main thread. It interrupts a system call there, as the original would."""

_EXIT_CODES: Final = {signal.SIGINT: EXIT_INTERRUPTED, signal.SIGTERM: EXIT_TERMINATED, _CLOSED_PIPE: EXIT_OK}

_MESSAGE: Final = "linkmatch-ray: interrupted."

_RESTORED: Final = "\r\x1b[2K\x1b[?25h"
"""Removes the line of progress, and shows the cursor, which the line has hidden."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised in the main thread like Ctrl-C."""


class _Ending:
    """The state of the program's end.

    Attributes:
        received: The first signal that came.
        in_order: Whether the main thread is in work that must be stopped in order. Otherwise the program ends at once.
        message: The message to print.
        code: Exit code of an end without a message; None for the usual code and message of the signal.
        last: The clean-up if the end is not in order.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.in_order = False
        self.message = _MESSAGE
        self.code: int | None = None
        self.last: list[Callable[[], None]] = []
        self.is_installed = False
        self._said = threading.Lock()

    def is_to_be_said(self) -> bool:
        """Returns whether the message is still to be printed. It is True once: the caller then prints it."""
        return self._said.acquire(blocking=False)

    def end(self, number: int) -> NoReturn:
        """Ends the process now."""
        try:
            if number != _CLOSED_PIPE and self.code is None and self.is_to_be_said():
                _write_to_stderr(self.message)
            if self.last:
                cleaning = threading.Thread(target=self._clean, daemon=True)
                cleaning.start()
                cleaning.join(LAST_SECONDS)
        finally:
            os._exit(self.exit_code(number))

    def exit_code(self, number: int) -> int:
        """Returns the program's exit code after a signal."""
        return _EXIT_CODES[signal.Signals(number)] if self.code is None else self.code

    def _clean(self) -> None:
        for do in reversed(self.last):
            with suppress(Exception):
                do()


_ending = _Ending()


def install() -> None:
    """Waits for the signals from now on, in a thread. A signal that the parent process had ignored, as a shell does in
    the background, stays ignored."""
    caught = {number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN}
    signal.pthread_sigmask(signal.SIG_BLOCK, caught)  # all later threads inherit this
    os.register_at_fork(after_in_child=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, caught))  # Ray's processes
    signal.signal(_WAKE, _on_wake)
    sys.unraisablehook = _on_unraisable
    watching = threading.Thread(target=_watch, args=(caught,), name="signals", daemon=True)
    watching.start()
    for number in caught:  # a thread that was there before, as of a debugger, does not block them
        signal.signal(number, lambda number, _: signal.pthread_kill(watching.ident or 0, number))
    _ending.is_installed = True


def _watch(caught: set[signal.Signals]) -> None:
    number = signal.sigwait(caught)
    if _ending.received is not None:
        return
    _ending.received = number
    if not _ending.in_order:
        _ending.end(number)
    signal.pthread_kill(threading.main_thread().ident or 0, _WAKE)
    _end_in_time(number)


def _end_in_time(number: int) -> NoReturn:
    """Ends the process if nothing else does until then."""
    time.sleep(STOP_SECONDS)
    _ending.end(number)


def _on_wake(*_: object) -> None:
    """Runs in the main thread, between two of Python's instructions."""
    number = _ending.received or signal.SIGTERM
    if not _ending.in_order:  # any more
        _ending.end(number)
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def _on_unraisable(error: sys.UnraisableHookArgs) -> None:
    """Ends the program if Python drops a signal's exception, as in a callback of the garbage collector."""
    if _ending.received is not None and isinstance(error.exc_value, KeyboardInterrupt):
        _ending.end(_ending.received)
    sys.__unraisablehook__(error)


@contextmanager
def in_order(message: str) -> Iterator[None]:
    """Makes a signal raise an exception in the main thread in the meantime. The code that catches it prints
    `message`."""
    try:
        _ending.message, _ending.in_order = message, True
        yield
    finally:
        _ending.message, _ending.in_order = _MESSAGE, False


def has_come() -> bool:
    """Returns whether a signal has come."""
    return _ending.received is not None


def wait(code: int) -> None:
    """Waits for a signal, which then ends the program with this exit code and without a message."""
    _ending.code = code
    with suppress(KeyboardInterrupt), in_order(_MESSAGE):
        threading.Event().wait()


def say(message: str) -> None:
    """Prints why the program ends, unless that was printed already."""
    if _ending.is_to_be_said():
        print(message, file=sys.stderr, flush=True)


def pipe_closed() -> None:
    """Ends the program as after a signal, but quietly, because nobody reads standard output any more."""
    _ending.received = _ending.received or _CLOSED_PIPE
    if _ending.is_installed:
        threading.Thread(target=_end_in_time, args=(_CLOSED_PIPE,), daemon=True).start()


def at_the_last(do: Callable[[], None]) -> None:
    """Registers a clean-up for an end that is not in order. It must not fail if there is nothing left to remove."""
    _ending.last.append(do)


def end_if_signalled() -> None:
    """Ends the process if a signal has come, without waiting for threads or for the exit handlers of libraries."""
    if _ending.received is None:
        return
    _flush()
    os._exit(_ending.exit_code(_ending.received))


def ends_at_once() -> bool:
    """Returns whether this is a process of the program's own, which `end_at_once` will end."""
    return _ending.is_installed


def end_at_once(code: str | int | None) -> None:
    """Ends the process without a message, as after a signal: it waits for no thread, exit handler or library.

    Args:
        code: As of `SystemExit`. If it is a text, nothing ends, because Python prints it.

    Returns if another program has called this one as a function.
    """
    if ends_at_once() and not isinstance(code, str):
        _flush()
        _ending.code = code or EXIT_OK
        _ending.end(signal.SIGTERM)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def _write_to_stderr(message: str) -> None:
    """Writes without Python's stream, which the main thread may hold, and only if it need not wait."""
    with suppress(Exception):
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        text = (_RESTORED if os.isatty(2) else "") + message + "\n"
        if select.select([], [2], [], 0)[1]:
            os.write(2, text.encode(encoding, "backslashreplace"))
