"""The collector as an actor. Every program on the same Ray finds it by its name; the driver that started it writes.

Other programs get plain data and exceptions of Python's own, so that they need not have this package. One without it
gives arguments by name, as Ray then knows no signatures.

The driver's key guards against mistakes, not against attacks: who is let in to a Ray can run any code there.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from contextlib import suppress
from typing import Any, Final

from linkmatch_ray.errors import DirectoryInUse
from linkmatch_ray.io.inputs.file import InputFile, pack_files
from linkmatch_ray.io.results.interface import Results
from linkmatch_ray.io.storage.errors import in_use
from linkmatch_ray.runtime.jobs.collector import Collector, Receipt
from linkmatch_ray.runtime.jobs.worker import PartBody
from linkmatch_ray.runtime.session.address import NAMESPACE
from linkmatch_ray.runtime.session.parent_death import die_with_parent
from linkmatch_ray.words import shown

POLL_SECONDS: Final = 0.1

ORPHAN_SECONDS: Final = 5.0
"""A collector whose driver was killed lives for 2 to 3 seconds; a newcomer waits longer for its name."""

KEY_BYTES: Final = 32

ASK_SECONDS_MAX: Final = 10.0
"""Who reads waits no longer for an answer, so that a job's end need not."""

COMMIT: Final = "commit"
"""The concurrency group of what writes. So it comes in order, and nobody who reads waits for it."""


def actor_name(job_id: str) -> str:
    """The name of a job's collector in the namespace `linkmatch`."""
    return f"linkmatch:{job_id}"


class CollectorActor:
    """What other programs can call, and what only the driver can.

    Args:
        name: The actor's, so that Ray's dashboard and logs show it.
        key: What the writing methods ask for.
        job: The collector's own arguments.
    """

    def __init__(self, name: str, key: bytes, *job: Any) -> None:
        self._name, self._key, self._collector = name, key, Collector(*job)

    def __repr__(self) -> str:
        return shown(self._name)

    # For every program

    def progress(self) -> dict[str, Any]:
        """As `Collector.progress`."""
        return self._collector.progress()

    def matches(self, start: int = 0, limit: int = 100) -> list[bytes]:
        """As `Job.matches`."""
        return self._collector.matches(start, limit)

    def summary(self) -> dict[str, Any] | None:
        """As `Collector.summary`."""
        return self._collector.summary()

    def cancel(self) -> None:
        """As `Collector.cancel`."""
        self._collector.cancel()

    # For the driver

    def open(self, key: object = None, *, overwrite: bool = False) -> Receipt:
        """As `Collector.open`; all of these raise PermissionError, and do nothing, if the key is wrong."""
        return self._for_who_has(key).open(overwrite=overwrite)

    def commit(self, key: object = None, *parts: PartBody) -> Receipt:
        """As `Collector.commit`."""
        return self._for_who_has(key).commit(*parts)

    def flush(self, key: object = None) -> Receipt:
        """As `Collector.flush`."""
        return self._for_who_has(key).flush()

    def finish(self, key: object = None, *report: Any) -> dict[str, Any]:
        """As `Collector.finish`."""
        return self._for_who_has(key).finish(*report)

    def close(self, key: object = None) -> None:
        """As `Collector.close`."""
        self._for_who_has(key).close()

    def _for_who_has(self, key: object) -> Collector:
        if not isinstance(key, bytes) or not hmac.compare_digest(key, self._key):
            raise PermissionError(
                f"{self!r}: only the driver of the job writes, and this is not its key. Call progress, matches, summary"
                " or cancel."
            )
        return self._collector


class CollectorHandle:
    """The driver's hold on a collector: it alone has the key. What is called gives a reference to the answer.

    Attributes:
        actor: What every program has that finds it.
    """

    def __init__(self, actor: Any, key: bytes) -> None:
        self.actor, self._key = actor, key
        self._asking, self._is_closed = threading.Lock(), False

    def matches(self, start: int, limit: int) -> list[bytes]:
        """As `Job.matches`; nothing if it has died, or once it is closed and Ray may be gone."""
        import ray

        with self._asking, suppress(ray.exceptions.RayError):
            if not self._is_closed:
                found: list[bytes] = ray.get(self.actor.matches.remote(start, limit), timeout=ASK_SECONDS_MAX)
                return found
        return []

    def open(self, *, overwrite: bool) -> Any:
        """Have it take the place."""
        return self._write("open", overwrite=overwrite)

    def commit(self, *parts: Any) -> Any:
        """Offer it parts, or references to some."""
        return self._write("commit", *parts)

    def flush(self) -> Any:
        """Have what it took made durable."""
        return self._write("flush")

    def finish(self, index: Any, details: dict[str, Any]) -> Any:
        """Have the report and the summary written."""
        return self._write("finish", index, details)

    def close(self, ray: Any, seconds_max: float) -> None:
        """Have what it took made durable, and the directory given back; then end it."""
        with self._asking:
            self._is_closed = True
        with suppress(ray.exceptions.RayError):
            ray.get(self._write("close"), timeout=seconds_max)
        ray.kill(self.actor)

    def _write(self, method: str, *arguments: Any, **how: Any) -> Any:
        return getattr(self.actor, method).options(concurrency_group=COMMIT).remote(self._key, *arguments, **how)


def start_collector(ray: Any, job_id: str, results: Results, files: list[InputFile], *job: Any) -> CollectorHandle:
    """Start one: named, without CPUs, on this node, never restarted by Ray.

    Args:
        job: The collector's arguments after its files.

    Raises:
        DirectoryInUse: a job of this name runs on this Ray.
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
        except ray.exceptions.ActorAlreadyExistsError:  # the same job, of another program; or an orphan, for a moment
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
        f"{shown(results)}: a job {shown(job_id)} runs on this Ray. Wait for it to end, or name another --job-id."
    )
