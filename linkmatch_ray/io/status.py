"""How far the job in a result directory is, from its ledger alone: no Ray, and no need of the one that runs.

Where an incremental job was begun there, it is that one; the results of before stay as they are until it is complete.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from linkmatch_ray.errors import InputError
from linkmatch_ray.io.ledger import Ledger, settings_in
from linkmatch_ray.io.results import LEDGER, NEXT, SUMMARY, holder
from linkmatch_ray.io.trouble import told


def status(directory: Path) -> dict[str, Any]:
    """State (`running`, `interrupted` or `complete`), who runs it, and sums over what is durable.

    Raises:
        InputError: it is no result directory, or no job was begun in it.
        JobError: it cannot be read.
    """
    with told(directory):
        return _status(directory)


def _status(directory: Path) -> dict[str, Any]:
    if not settings_in(directory):
        raise InputError(f"{directory}: no result directory. Name the one that submit printed.")
    updating = (directory / NEXT / LEDGER).exists()
    ledger = Ledger((directory / NEXT if updating else directory) / LEDGER)
    try:
        settings, frontier = ledger.settings(), ledger.frontier()
        counts, input_bytes = ledger.totals()
        files, file_bytes = ledger.count_files(), ledger.file_bytes(frontier.next.file)
        faults = ledger.faults()
    finally:
        ledger.close()
    running = holder(directory)
    complete = (directory / SUMMARY).exists() and not updating
    return {
        "state": "complete" if complete else "running" if running else "interrupted",
        "holder": running,
        "incremental": updating,
        "job_id": settings["job_id"],
        "files": files,
        "files_done": frontier.next.file,
        "bytes_left": file_bytes,
        "input_bytes": input_bytes,
        **counts.as_dict(),
        "faults": faults,
        "matched_bytes": frontier.ends.matched,
        "unmatched_bytes": frontier.ends.unmatched,
    }
