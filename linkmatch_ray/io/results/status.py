"""The state of the job in a result directory, from its ledger alone: without Ray, and without the running job.

If an incremental job was begun there, it is that job's state. The earlier results stay until it is complete.
"""

from __future__ import annotations

from typing import Any

from linkmatch_ray.errors import InputError
from linkmatch_ray.io.ledger.ledger import Ledger
from linkmatch_ray.io.names import MATCHED, UNMATCHED
from linkmatch_ray.io.results.interface import Results
from linkmatch_ray.io.storage.system_errors import reported_as_job_errors
from linkmatch_ray.words import shown


def status(results: Results) -> dict[str, Any]:
    """Returns the state (`running`, `interrupted` or `complete`), who runs the job, and sums over what is durable.

    Raises:
        InputError: There are no results, or no job was begun there.
        JobError: They cannot be read.
    """
    with reported_as_job_errors(results):
        pending = results.pending()
        update = None if pending is None else pending.ledger()
        ledger = update or results.ledger()
        if ledger is None:
            raise _nothing(results)
        return _status(results, ledger, updating=update is not None)


def _nothing(results: Results) -> InputError:
    return InputError(f"{shown(results)}: no result directory. Name the one that submit printed.")


def _status(results: Results, ledger: Ledger, *, updating: bool) -> dict[str, Any]:
    try:
        if not (settings := ledger.settings()):
            raise _nothing(results)
        frontier = ledger.frontier()
        ends = ledger.by_name(frontier.ends)
        counts, input_bytes = ledger.totals()
        files, file_bytes = ledger.count_files(), ledger.file_bytes(frontier.next.file)
        faults = ledger.faults()
    finally:
        ledger.close()
    running = results.holder()
    complete = results.summary() is not None and not updating
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
        "matched_bytes": ends.get(MATCHED, 0),
        "unmatched_bytes": ends.get(UNMATCHED, 0),
    }
