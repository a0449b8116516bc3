"""The machine's errors (no space, a limit, a lock) as our own: where, what was found, what to do."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from linkmatch_ray.errors import JobError, UsageError
from linkmatch_ray.io.names import LEDGER
from linkmatch_ray.words import shown

_ROOM: Final = "Make room there, or raise the quota."
_WRITABLE: Final = "Make it writable, or name another directory with -o."
_FILES: Final = "Raise the limit on open files (ulimit -n)."
_OTHERWISE: Final = "Fix the cause, or name another directory with -o."

_ADVICE: Final = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f), or name a disk that takes larger ones with -o.",
    errno.EROFS: _WRITABLE,
    errno.EACCES: _WRITABLE,
    errno.EPERM: _WRITABLE,
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
}

_OF_SQLITE: Final = {
    sqlite3.SQLITE_FULL: ("no room to write", "Make room there, or raise the quota or the limit on files (ulimit -f)."),
    sqlite3.SQLITE_IOERR: (
        "cannot be read or written",
        "See that the disk is sound, has room (df), and takes such files (ulimit -f).",
    ),
    sqlite3.SQLITE_BUSY: ("locked by another program", "End that program; `fuser -v` names it."),
    sqlite3.SQLITE_READONLY: ("read-only", _WRITABLE),
    sqlite3.SQLITE_CANTOPEN: ("it or its journal cannot be opened", f"Make the directory writable. {_FILES}"),
    sqlite3.SQLITE_CORRUPT: ("damaged", "Start from the beginning with --overwrite."),
    sqlite3.SQLITE_NOTADB: ("damaged", "Start from the beginning with --overwrite."),
    sqlite3.SQLITE_INTERRUPT: ("damaged: its pages form a loop", "Start from the beginning with --overwrite."),
}

_OF_THE_MACHINE: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@contextmanager
def reported_as_job_errors(where: object) -> Iterator[None]:
    """Turns what the system, the store or SQLite refuses in a place for results into a `JobError`.

    Raises:
        JobError: It was refused.
        UsageError: No place can have this name.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG or (error.errno == errno.EINVAL and "://" in str(where)):
            raise UsageError(f"{shown(where)}: {error.strerror}. Name another place.") from None
        advice = _ADVICE.get(error.errno or 0, _OTHERWISE)
        raise JobError(f"{shown(error.filename or where)}: {error.strerror or shown(error)}. {advice}") from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extended code in the higher bits
        found, advice = _OF_SQLITE.get(code, (shown(error), _OTHERWISE))
        raise JobError(f"{shown(where)}/{LEDGER}: {found}. {advice}") from error


def blame_the_machine(name: bytes, error: OSError) -> None:
    """Raises an error if an input cannot be read because of the machine, so that no entry calls the input unreadable.

    Raises:
        JobError: The machine ran out of something.
    """
    if error.errno in _OF_THE_MACHINE:
        advice = _ADVICE.get(error.errno, "Have fewer programs run, or use fewer --workers.")
        raise JobError(f"{shown(name)}: {error.strerror}. {advice}") from error
