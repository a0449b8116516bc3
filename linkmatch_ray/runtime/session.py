"""A Ray to run on: an embedded one of our own, a cluster that is joined, or the one this program has already.

Nothing of Ray's own talk reaches the user unless `verbose` is asked for.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import Any, Final

from linkmatch_ray.errors import ClusterError, LinkmatchError
from linkmatch_ray.runtime.address import (
    NAMESPACE,
    PACKAGE,
    TOKEN_REMEDY,
    is_embedded,
    is_jobs_api,
    is_ray_job,
    refuse_unreachable,
)
from linkmatch_ray.runtime.room import check_room
from linkmatch_ray.words import shown

VERSIONS: Final = 4
"""Ray and Python, there and here: as many versions does Ray's message on a mismatch name."""


class Session:
    """Starts Ray in the background; `ready` waits for it. Use as a context manager, or `close` it.

    Args:
        address: A cluster's address; None for an embedded Ray of this session's own.
        workers: CPUs of the embedded Ray; None for all.
        dashboard: Start the embedded Ray's dashboard.
        verbose: Let Ray's own messages through.

    Attributes:
        joins: Whether it joins a cluster.
        dashboard_url: `host:port` of the dashboard once Ray is there, if it has one.
    """

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        *,
        dashboard: bool = False,
        verbose: bool = False,
    ) -> None:
        is_jobs_api(address)  # refuses Ray Client
        self._address = None if is_embedded(address) else address
        self._workers = workers
        self.joins = self._address is not None
        self._dashboard, self._verbose = dashboard, verbose
        self._error: Exception | None = None
        self.dashboard_url: str | None = None
        self._started, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._start, name="start-ray", daemon=True)
        self._thread.start()

    def ready(self) -> Any:
        """Wait for Ray; returns the `ray` module.

        Raises:
            ClusterError: it could not be started or joined.
            JobError: the machine has too little room to start it.
        """
        self._started.wait()
        if isinstance(self._error, LinkmatchError):
            raise self._error
        if self._error is not None:
            raise ClusterError(_why(self._address, self._error)) from self._error
        import ray

        return ray

    def close(self) -> None:
        """Shut down what this session started, or leave the cluster it joined."""
        self._closing.set()
        self._thread.join()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        """Runs in a thread that lives as long as the session: Ray's processes are killed by the kernel when
        the *thread* that started them ends."""
        ours = False
        try:
            ours = self._init()
        except Exception as error:
            self._error = error
        self._started.set()
        if ours:
            self._closing.wait()
            import ray

            ray.shutdown()

    def _init(self) -> bool:
        """Start or join Ray; False where this program has one already."""
        import ray

        if ray.is_initialized():
            return False
        if self._address is not None:
            refuse_unreachable(self._address)
        if not self._verbose:
            logging.getLogger("ray").setLevel(logging.CRITICAL)  # after the import, which sets it too
        options: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": self._verbose}
        if not self._verbose:
            options |= {"logging_level": logging.CRITICAL, "configure_logging": False}
            _drop_raylet_messages()
        if self._address is None:
            check_room(self._workers)
            # On loopback only, where nobody else can reach it.
            options |= {"num_cpus": self._workers, "include_dashboard": self._dashboard}
            options |= {"_node_ip_address": "127.0.0.1"}
        elif not is_ray_job():  # which has the package from whoever submitted it
            options |= {"runtime_env": {"py_modules": [str(PACKAGE)]}}
        context = ray.init(address=self._address or "local", **options)
        self.dashboard_url = context.dashboard_url or None
        return True


def _why(address: str | None, error: Exception) -> str:
    """Why Ray could not be started or joined, and what to do."""
    said = str(error)
    if address is None:
        return f"an embedded Ray: {said}. See --verbose for what Ray says."
    where = f"the Ray cluster at {shown(address)}"
    versions = re.findall(r"(Ray|Python): (\S+)", said) if "Version mismatch" in said else []
    if len(versions) == VERSIONS:
        (_, ray), (_, python), (_, our_ray), (_, our_python) = versions
        return (
            f"{where}: has Ray {ray} and Python {python}, here are Ray {our_ray} and Python {our_python}. Who joins a"
            " cluster needs the same; or give --address http://HEAD:8265, and the job runs with the cluster's."
        )
    if "AuthenticationError" in f"{error!r} {error.__cause__!r}":
        return f"{where}: does not let us in, as the token is missing or wrong. {TOKEN_REMEDY}"
    return f"{where}: {brief(said)}. Check the address, and that Ray runs there; see --verbose for what Ray says."


def brief(said: str) -> str:
    """The first line of what an error says, without its full stop."""
    return shown(said.strip().partition("\n")[0].rstrip("."))


def _drop_raylet_messages() -> None:
    """Ray prints "(raylet) A worker died ..." whatever the log level; it has a switch for it, but no option."""
    from ray._private import worker

    if hasattr(worker, "_worker_logs_enabled"):
        worker._worker_logs_enabled = False
