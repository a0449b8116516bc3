"""The steps of the commit protocol, by the name of the method, and a process that kills itself at one of them.

There is no such switch in the product: `setup` wraps the method in every process that is told to, which Ray's
`worker_process_setup_hook` and `job.py` do.
"""

from __future__ import annotations

import os
import random
import signal
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

VARIABLE = "LINKMATCH_KILL_AT"

# Who takes the step; how often it is taken in a job of this size at least, so that it is reached.
STEPS = {
    "runtime.jobs.worker:match_unit": ("worker", 1),
    "runtime.jobs.worker:_sealed": ("worker", 20),
    "runtime.jobs.collector:Collector.open": ("collector", 1),
    "runtime.jobs.collector:Collector._recover": ("collector", 1),
    "runtime.jobs.collector:Collector._take": ("collector", 20),
    "runtime.jobs.collector:Collector._add": ("collector", 20),
    "runtime.jobs.collector:Collector._flush": ("collector", 3),
    "runtime.jobs.collector:Collector._take_reused": ("collector", 20),
    "runtime.jobs.collector:Collector.finish": ("collector", 1),
    "runtime.jobs.collector:Collector._write_report": ("collector", 1),
    "io.results.file_output:FileOutput.write": ("collector", 40),
    "io.results.file_output:FileOutput.sync": ("collector", 8),
    "io.results.file_output:FileOutput.truncate": ("collector", 3),
    "io.ledger.ledger:Ledger.begin_job": ("collector", 1),
    "io.ledger.ledger:Ledger.commit": ("collector", 3),
    "io.results.directory:write_atomically": ("collector", 2),
    "io.results.directory:adopt_next": ("collector", 1),
    "io.results.directory:sync_directory": ("collector", 3),
    "io.results.directory:os.replace": ("collector", 2),
    "runtime.jobs.scheduler:Scheduler.turn": ("driver", 30),
    "runtime.jobs.scheduler:Scheduler.answered": ("driver", 5),
    "runtime.jobs.driver:Driver._start": ("driver", 1),
    "runtime.jobs.driver:Driver._receive": ("driver", 30),
    "runtime.jobs.driver:Driver._take_answer": ("driver", 5),
    "runtime.jobs.driver:Driver.finish": ("driver", 1),
}

# The same where results are at a URL: the steps of the driver are the same there.
STEPS_AT_URL = {
    "runtime.jobs.worker:stage": ("worker", 20),
    "runtime.jobs.collector:Collector.open": ("collector", 1),
    "runtime.jobs.collector:Collector._recover": ("collector", 1),
    "runtime.jobs.collector:Collector._take": ("collector", 20),
    "runtime.jobs.collector:Collector._flush": ("collector", 3),
    "runtime.jobs.collector:Collector.finish": ("collector", 1),
    "io.results.bucket:Bucket.begin": ("collector", 1),
    "io.results.bucket:Bucket.lock": ("collector", 1),
    "io.results.bucket:Bucket.finish": ("collector", 1),
    "io.results.bucket:Bucket.write": ("collector", 2),
    "io.results.segments:SegmentedOutput.sync": ("collector", 9),
    "io.results.segments:SegmentedOutput.truncate": ("collector", 3),
    "io.ledger.journal:LoggedLedger._append": ("collector", 4),
    "io.storage.store:_Folder.create": ("collector", 4),
    "io.storage.store:_Folder.copy": ("collector", 20),
    "io.storage.store:_Folder.delete": ("collector", 6),
}


def choose(seed: int, among: dict[str, tuple[str, int]]) -> tuple[str, str, int]:
    """A step, whether to die before or after it, and at which call; seeds in a row come to all of them."""
    turn, place = divmod(seed, len(among))
    step = list(among)[place]
    return step, ("before", "after")[turn % 2], random.Random(seed).randrange(among[step][1])


def environment(step: str, when: str, call: int, marker: Path) -> dict[str, str]:
    """For a job one of whose processes dies there, once: `marker` says that it has."""
    return {VARIABLE: f"{step} {when} {call} {marker}"}


def setup() -> None:
    """Wrap the method that the environment names, if it does."""
    if VARIABLE not in os.environ:
        return
    step, when, call, marker = os.environ[VARIABLE].split(" ", 3)
    module, _, path = step.partition(":")
    owner: Any = import_module(f"linkmatch_ray.{module}")
    *owners, name = path.split(".")
    for each in owners:
        owner = getattr(owner, each)
    real, calls = getattr(owner, name), iter(range(1 << 30))

    def die() -> None:
        try:
            Path(marker).touch(exist_ok=False)
        except FileExistsError:
            return  # once is enough
        os.kill(os.getpid(), signal.SIGKILL)

    @wraps(real)
    def step_(*args: Any, **how: Any) -> Any:
        struck = next(calls) == int(call)
        if struck and when == "before":
            die()
        result = real(*args, **how)
        if struck:
            die()
        return result

    setattr(owner, name, step_)


def setup_at_url() -> None:
    """Have small parts written by the tasks, and small commits; then as `setup`."""
    from tests.support import staging

    staging.setup()
    setup()
