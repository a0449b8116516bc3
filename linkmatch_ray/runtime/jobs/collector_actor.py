"""The collector as an actor. Every program on the same Ray finds it by its name; only the driver can write with it.

Other programs get plain data and Python's own exceptions, so they do not need this package. Without the package they
give arguments by name, because Ray then knows no signatures.

The driver's key guards against mistakes and not against attacks: a program with access to a Ray can run any code there.
"""

from __future__ import annotations

import hmac
import os
import secrets
import tempfile
import threading
import time
from contextlib import suppress
from typing import Any, Final

from linkmatch_ray.errors import DirectoryInUse
from linkmatch_ray.io.inputs.file import InputFile, pack_files
from linkmatch_ray.io.results.interface import Results
from linkmatch_ray.io.storage.errors import in_use
from linkmatch_ray.runtime.jobs.collector import Collector
from linkmatch_ray.runtime.jobs.receipt import Receipt
from linkmatch_ray.runtime.jobs.worker import PartBody
from linkmatch_ray.runtime.session.address import NAMESPACE
from linkmatch_ray.runtime.session.parent_death import die_with_parent
from linkmatch_ray.runtime.session.reaper import MARK
from linkmatch_ray.words import shown

POLL_SECONDS: Final = 0.1

ORPHAN_SECONDS: Final = 5.0
"""Time to wait for the name of a collector whose driver was killed. Such a collector exits after 2 to 3 seconds."""

KEY_BYTES: Final = 32

ASK_SECONDS_MAX: Final = 10.0
"""Time limit of a read, so that the end of a job does not wait longer for it."""

COMMIT: Final = "commit"
"""The concurrency group of the writing methods. So writes stay in order, and reads do not wait for them."""


def actor_name(job_id: str) -> str:
    """Returns the name of a job's collector in the namespace `linkmatch`."""
    return f"linkmatch:{job_id}"


class CollectorActor:
    """The actor: reading methods for every program, and writing methods for the driver.

    Args:
        name: The actor's name, which Ray's dashboard and logs show.
        key: The key that the writing methods require.
        job: The collector's arguments.
    """

    def __init__(self, name: str, key: bytes, *job: Any) -> None:
        tempfile.tempdir = os.environ.get(MARK)  # where the files are removed also if this process is killed
        self._name, self._key, self._collector = name, key, Collector(*job)

    def __repr__(self) -> str:
        return shown(self._name)

    # For every program

    def progress(self) -> dict[str, Any]:
        """Calls `Collector.progress`."""
        return self._collector.progress()

    def matches(self, start: int = 0, limit: int = 100) -> list[bytes]:
        """Returns a page, as `Job.matches` does."""
        return self._collector.matches(start, limit)

    def summary(self) -> dict[str, Any] | None:
        """Calls `Collector.summary`."""
        return self._collector.summary()

    def cancel(self) -> None:
        """Calls `Collector.cancel`."""
        self._collector.cancel()

    # For the driver

    def open(self, key: object = None, *, overwrite: bool = False) -> Receipt:
        """Calls `Collector.open`. This and the following methods raise PermissionError if the key is wrong."""
        return self._for_who_has(key).open(overwrite=overwrite)

    def commit(self, key: object = None, *parts: PartBody) -> Receipt:
        """Calls `Collector.commit`."""
        return self._for_who_has(key).commit(*parts)

    def flush(self, key: object = None) -> Receipt:
        """Calls `Collector.flush`."""
        return self._for_who_has(key).flush()

    def finish(self, key: object = None, *report: Any) -> dict[str, Any]:
        """Calls `Collector.finish`."""
        return self._for_who_has(key).finish(*report)

    def close(self, key: object = None) -> None:
        """Calls `Collector.close`."""
        self._for_who_has(key).close()

    def _for_who_has(self, key: object) -> Collector:
        if not isinstance(key, bytes) or not hmac.compare_digest(key, self._key):
            raise PermissionError(
                f"{self!r}: only the job's driver may write, and this is not its key. Call progress, matches, summary"
                " or cancel."
            )
        return self._collector


class CollectorHandle:
    """The driver's handle of a collector. It alone has the key. The writing methods return a reference to the answer.

    Attributes:
        actor: The handle that every program gets by the actor's name.
    """

    def __init__(self, actor: Any, key: bytes) -> None:
        self.actor, self._key = actor, key
        self._asking, self._is_closed = threading.Lock(), False

    def matches(self, start: int, limit: int) -> list[bytes]:
        """Returns a page, as `Job.matches` does. It is empty if the collector has died or is closed."""
        import ray

        with self._asking, suppress(ray.exceptions.RayError):
            if not self._is_closed:
                found: list[bytes] = ray.get(self.actor.matches.remote(start, limit), timeout=ASK_SECONDS_MAX)
                return found
        return []

    def open(self, *, overwrite: bool) -> Any:
        """Has the collector open the place."""
        return self._write("open", overwrite=overwrite)

    def commit(self, *parts: Any) -> Any:
        """Offers parts, or references to parts."""
        return self._write("commit", *parts)

    def flush(self) -> Any:
        """Has the collector make durable what it has taken."""
        return self._write("flush")

    def finish(self, index: Any, details: dict[str, Any]) -> Any:
        """Has the collector write the report and the summary."""
        return self._write("finish", index, details)

    def close(self, ray: Any, seconds_max: float) -> None:
        """Has the collector make everything durable and unlock the place, then kills it."""
        with self._asking:
            self._is_closed = True
        with suppress(ray.exceptions.RayError):
            ray.get(self._write("close"), timeout=seconds_max)
        ray.kill(self.actor)

    def _write(self, method: str, *arguments: Any, **how: Any) -> Any:
        return getattr(self.actor, method).options(concurrency_group=COMMIT).remote(self._key, *arguments, **how)


def start_collector(ray: Any, job_id: str, results: Results, files: list[InputFile], *job: Any) -> CollectorHandle:
    """Starts a collector: named, without CPUs, on this node, never restarted by Ray.

    Args:
        job: The collector's arguments after its files.

    Raises:
        DirectoryInUse: A job of this name is running on this Ray.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    name = actor_name(job_id)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(concurrency_groups={COMMIT: 1})(CollectorActor).options(
        name=name,
        namespace=NAMESPACE,
        num_cpus=0,
        max_restarts=0,
        max_task_retries=0,
        allow_out_of_order_execution=True,
        scheduling_strategy=here,
    )
    key, deadline = secrets.token_bytes(KEY_BYTES), time.monotonic() + ORPHAN_SECONDS
    while True:
        try:
            collector = actor.remote(name, key, str(results), pack_files(files), *job)
            break
        except ray.exceptions.ActorAlreadyExistsError:  # the same job in another program, or an orphan that exits soon
            if time.monotonic() > deadline:
                raise _running_already(job_id, results) from None
            time.sleep(POLL_SECONDS)
    collector.__ray_call__.remote(lambda _: die_with_parent())
    return CollectorHandle(collector, key)


def _running_already(job_id: str, results: Results) -> DirectoryInUse:
    by = results.holder()
    if by is not None:
        return in_use(results, by)
    return DirectoryInUse(
        f"{shown(results)}: a job {shown(job_id)} is running on this Ray. Wait for its end, or give another --job-id."
    )
