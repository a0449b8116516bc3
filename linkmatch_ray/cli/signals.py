"""What SIGINT and SIGTERM do: they end the program in order, and at the latest after `STOP_SECONDS` at any rate.

    running -> told to end -> ended             the first signal counts, later ones change nothing

Python runs a signal's handler in the main thread, between two of its instructions. There it raises `KeyboardInterrupt`,
so that a job stops in order. But the main thread may be in a call that does not come back (a resolver, a library, an
import that waits for another thread), or at the interpreter's exit. So a thread of its own hears of the signal, by a
pipe that Python writes to at once (`signal.set_wakeup_fd`), and ends the process if nothing else has.

This is installed before all other imports, so it imports nothing that takes time.
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
from types import FrameType
from typing import Final, NoReturn

from linkmatch_ray.exit_codes import EXIT_INTERRUPTED, EXIT_OK, EXIT_TERMINATED

STOP_SECONDS: Final = 1.2
"""An orderly end may take this long."""

LAST_SECONDS: Final = 0.2
"""What is still to be removed then may take this long, so that a signal ends the program within 2 seconds."""

_CLOSED_PIPE: Final = signal.SIGPIPE
"""Python ignores it; here it stands for a reader of standard output who is gone."""

_EXIT_CODES: Final = {signal.SIGINT: EXIT_INTERRUPTED, signal.SIGTERM: EXIT_TERMINATED, _CLOSED_PIPE: EXIT_OK}

_MESSAGE: Final = "linkmatch-ray: interrupted."

_RESTORED: Final = "\r\x1b[2K\x1b[?25h"
"""Removes the line of progress, and shows the cursor that it has hidden."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised in the main thread as Ctrl-C is."""


class _Ending:
    """How far the program is with its end.

    Attributes:
        told: The signal that came first.
        in_order: The main thread does what has to be ended in order; otherwise it ends at once.
        message: What to say.
        code: What the program ends with, and then there is nothing to say; None for what is usual after the signal.
        last: What to do last, if the end is not in order.
    """

    def __init__(self) -> None:
        self.told: int | None = None
        self.in_order = False
        self.message = _MESSAGE
        self.code: int | None = None
        self.last: list[Callable[[], None]] = []
        self.pipe: int | None = None
        self._said = threading.Lock()

    def is_to_be_said(self) -> bool:
        """Whether nobody has given the message yet; the one who asks does."""
        return self._said.acquire(blocking=False)

    def end(self, number: int) -> NoReturn:
        """End the process now."""
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
        """What the program ends with after a signal."""
        return _EXIT_CODES[signal.Signals(number)] if self.code is None else self.code

    def _clean(self) -> None:
        for do in reversed(self.last):
            with suppress(Exception):
                do()


_ending = _Ending()


def install() -> None:
    """Have signals end this program. What its parent had it ignore, as a shell does in the background, it ignores."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    _ending.pipe = writing
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reading,), name="signals", daemon=True).start()
    sys.unraisablehook = _on_unraisable
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _on_signal)


def _on_signal(number: int, _: FrameType | None) -> None:
    if _ending.told is not None:
        return
    _ending.told = number
    if not _ending.in_order:
        _ending.end(number)
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def _on_unraisable(error: sys.UnraisableHookArgs) -> None:
    """A signal's exception was raised where Python drops it, as in a callback of the garbage collector."""
    if _ending.told is not None and isinstance(error.exc_value, KeyboardInterrupt):
        _ending.end(_ending.told)
    sys.__unraisablehook__(error)


def _watch(pipe: int) -> None:
    while True:
        for number in os.read(pipe, 64):
            if number in _EXIT_CODES:
                time.sleep(STOP_SECONDS)
                _ending.end(number)


@contextmanager
def in_order(message: str) -> Iterator[None]:
    """Meanwhile a signal is an exception in the main thread, and who catches it prints `message`."""
    try:
        _ending.message, _ending.in_order = message, True
        yield
    finally:
        _ending.message, _ending.in_order = _MESSAGE, False


def is_told() -> bool:
    """Whether the program is to end."""
    return _ending.told is not None


def wait(code: int) -> None:
    """Wait for a signal, which then ends the program with this exit code, without a word."""
    _ending.code = code
    with suppress(KeyboardInterrupt), in_order(_MESSAGE):
        threading.Event().wait()


def say(message: str) -> None:
    """Print why the program ends, unless that was printed already."""
    if _ending.is_to_be_said():
        print(message, file=sys.stderr, flush=True)


def pipe_closed() -> None:
    """Nobody reads standard output any more: end as after a signal, and quietly."""
    _ending.told = _ending.told or _CLOSED_PIPE
    if _ending.pipe is not None:
        os.write(_ending.pipe, bytes([_CLOSED_PIPE]))


def at_the_last(do: Callable[[], None]) -> None:
    """Have something removed also if the end is not in order; it may be gone by then."""
    _ending.last.append(do)


def end_if_told() -> None:
    """At the end of the program: after a signal nothing is waited for, such as threads or what libraries undo."""
    if _ending.told is None:
        return
    _flush()
    os._exit(_ending.exit_code(_ending.told))


def end_at_once(code: int) -> None:
    """End the program without waiting for anything, as after a signal; all has been said. Where another program has
    called this one as a function, return."""
    if _ending.pipe is not None:
        _flush()
        _ending.code = code
        _ending.end(signal.SIGTERM)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def _write_to_stderr(message: str) -> None:
    """Past Python's own stream, which the main thread may hold, and only if it can be written at once."""
    with suppress(Exception):
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        text = (_RESTORED if os.isatty(2) else "") + message + "\n"
        if select.select([], [2], [], 0)[1]:
            os.write(2, text.encode(encoding, "backslashreplace"))
