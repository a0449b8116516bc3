"""Downloads results into a new directory, and checks them there against their ledger."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from linkmatch_ray.errors import InputError, JobError, UsageError
from linkmatch_ray.io.ledger.ledger import Ledger
from linkmatch_ray.io.names import LEDGER, MARKER, RESTRICTIONS, SUMMARY
from linkmatch_ray.io.results.directory import Directory
from linkmatch_ray.io.results.interface import Results
from linkmatch_ray.io.results.verification import Checked, verify
from linkmatch_ray.io.storage.ours import open_new, open_ours
from linkmatch_ray.io.storage.system_errors import reported_as_job_errors
from linkmatch_ray.words import shown

_COPY_BYTES: Final = 8 << 20


class Fetched(NamedTuple):
    """Bytes of output that were downloaded, and whether the job was complete."""

    nbytes: int
    complete: bool


def download(results: Results, directory: Path) -> Fetched:
    """Downloads what is durable of the results at a URL into a result directory.

    Raises:
        InputError: There are no results.
        JobError: They cannot be read, or do not agree with their ledger.
        UsageError: `directory` is not empty.
    """
    refuse_filled(directory)
    with reported_as_job_errors(results):
        summary = results.summary()  # before the ledger, which is complete if the summary exists
        ledger = results.ledger()
        if ledger is None:
            raise InputError(f"{shown(results)}: no results. Name the URL that submit printed.")
        with closing(ledger), reported_as_job_errors(directory):
            make(directory)
            wanted: dict[str, int | None] = dict(ends_of(ledger))
            wanted |= {RESTRICTIONS: None, SUMMARY: None} if summary is not None else {}
            for name, end in wanted.items():
                with results.open(name) as source, open_new(directory / name) as copy:
                    _copy(source, copy, end)
            open_new(directory / LEDGER).close()
            with closing(sqlite3.connect(directory / LEDGER)) as database:
                ledger.copy_to(database)
    return check(directory)


def make(directory: Path) -> None:
    """Makes a result directory without results. Its marker keeps it out of inputs."""
    directory.mkdir(parents=True, exist_ok=True)
    os.close(open_ours(directory / os.fsdecode(MARKER), os.O_WRONLY | os.O_CREAT))


def refuse_filled(directory: Path) -> None:
    """Refuses a directory that has anything in it.

    Raises:
        UsageError: It has.
    """
    if directory.exists() and any(directory.iterdir()):
        raise UsageError(f"{shown(directory)}: is not empty. Name a new directory with -o.")


def ends_of(ledger: Ledger) -> dict[str, int]:
    """Returns how many bytes of each output are durable."""
    return ledger.by_name(ledger.frontier().ends)


def check(directory: Path) -> Fetched:
    """Compares what was downloaded with its ledger.

    Raises:
        JobError: It differs.
    """
    checked, results = Checked(), Directory(directory)
    for problem in verify(results, checked):
        raise JobError(f"{shown(directory)}: {problem}. The results changed during the download. Download them again.")
    return Fetched(checked.nbytes, results.summary() is not None)


def _copy(source: BinaryIO, copy: BinaryIO, end: int | None) -> None:
    if end is None:
        shutil.copyfileobj(source, copy)
        return
    while end > 0 and (content := source.read(min(end, _COPY_BYTES))):
        copy.write(content)
        end -= len(content)
