"""Serves a result directory over HTTP: on a cluster, `python -m linkmatch_ray.runtime.cluster.file_server DIR`.

The Jobs API cannot fetch a file. But the dashboard serves a node's log folder at any size, and follows links in it on
purpose. So this Ray job runs on the node with the results, and puts links to them there until the reader stops it. It
copies the ledger, so that the copy is consistent even if the job is running.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from linkmatch_ray.errors import LinkmatchError
from linkmatch_ray.io.names import LEDGER, MATCHED, QUARANTINE, RESTRICTIONS, SUMMARY, UNMATCHED
from linkmatch_ray.io.results.directory import Directory
from linkmatch_ray.io.storage.ours import is_there
from linkmatch_ray.io.storage.system_errors import reported_as_job_errors

FILES: Final = (MATCHED, UNMATCHED, QUARANTINE, RESTRICTIONS, SUMMARY)

SERVE_SECONDS: Final = 4 * 3600
"""It ends by itself after this time, if nobody stops it."""


def main(directory: Path) -> None:
    """Prints as JSON where the files are below the log folder, and their sizes; then waits to be stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with reported_as_job_errors(directory):
            ledger = Directory(directory).ledger()
            # The dashboard serves these files to everyone, so no link is followed on the way.
            names = [name for name in FILES if is_there(directory / name)]
    except LinkmatchError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    if ledger is None:
        print(json.dumps({"error": f"{directory}: no result directory on node {os.uname().nodename}"}), flush=True)
        return
    log = Path(os.readlink("/proc/self/fd/1"))  # a Ray job's output is a file in the log folder
    place = log.parent / f"linkmatch-{log.stem}"
    place.mkdir(mode=0o700)
    try:
        with closing(ledger), closing(sqlite3.connect(place / LEDGER)) as copy:
            ledger.copy_to(copy)
        for name in names:
            (place / name).symlink_to((directory / name).absolute())
        sizes = {file.name: file.stat().st_size for file in place.iterdir()}
        print(json.dumps({"folder": place.name, "sizes": sizes}), flush=True)
        time.sleep(SERVE_SECONDS)
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
