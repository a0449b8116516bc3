"""A Ray to run on: an embedded one of our own, a cluster that is joined, or the one this program has already.

Nothing of Ray's own talk reaches the user unless `verbose` is asked for.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from linkmatch_ray.errors import ClusterError, LinkmatchError
from linkmatch_ray.runtime.session import ray_internals
from linkmatch_ray.runtime.session.address import (
    LOOPBACK,
    NAMESPACE,
    PACKAGE,
    is_embedded,
    is_jobs_api,
    is_ray_job,
    refuse_unreachable,
)
from linkmatch_ray.runtime.session.auth_token import keep_token, place_of_token
from linkmatch_ray.runtime.session.cluster_token import let_in, token_remedy
from linkmatch_ray.runtime.session.parent_death import kill_descendants
from linkmatch_ray.runtime.session.preflight import check_disk, check_room
from linkmatch_ray.runtime.session.ray_directory import RayDirectory
from linkmatch_ray.words import shown

POLL_SECONDS: Final = 0.1

VERSIONS: Final = 4
"""Ray and Python, there and here: as many versions does Ray's message on a mismatch name."""


class Session:
    """A Ray that is started in the background. Use as a context manager, or `close` it.

        new -> begun -> starting -> ready -> closed

    `begin` says that Ray is needed, or will be soon. A session that is closed, or given up by `leave`, before Ray
    starts has cost nothing.

    Args:
        address: A cluster's address; None for an embedded Ray of this session's own.
        workers: CPUs of the embedded Ray; None for all.
        dashboard: Start the embedded Ray's dashboard.
        verbose: Let Ray's own messages through.
        name: What Ray's dashboard calls this program, if it has no other name there.

    Attributes:
        joins: Whether it joins a cluster.
        dashboard_url: `host:port` of the dashboard once Ray is there, if it has one.
        variables: What another program needs in its environment to join the same Ray, once that is there.
    """

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        *,
        dashboard: bool = False,
        verbose: bool = False,
        name: str = PACKAGE.name,
    ) -> None:
        is_jobs_api(address)  # refuses Ray Client
        self._address = None if is_embedded(address) else address
        self._workers = workers
        self.joins = self._address is not None
        self._dashboard, self._verbose, self._name = dashboard, verbose, name
        self._error: Exception | None = None
        self._directory: RayDirectory | None = None
        self.dashboard_url: str | None = None
        self.variables: dict[str, str] = {}
        self._started, self._closing = threading.Event(), threading.Event()
        self._now = threading.Event()
        self._thread: threading.Thread | None = None
        self._beginning = threading.Lock()

    def begin(self, after_seconds: float = 0.0) -> None:
        """Have Ray started in the background, now or in a while; a later call may bring that forward."""
        if not after_seconds:
            self._now.set()
        with self._beginning:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(
                    target=self._start, args=(after_seconds,), name="start-ray", daemon=True
                )
                _begun.add(self)
                self._thread.start()
                atexit.register(self.close)  # for a program that ends without

    @classmethod
    def is_any_starting(cls) -> bool:
        """Whether a Ray of this program is being started, or ended, now."""
        return any(session.is_starting for session in list(_begun))

    @classmethod
    def abandon_all(cls) -> None:
        """The process ends at once: end all that it has started, and remove the files of its Rays."""
        begun = list(_begun)
        if begun:
            kill_descendants()
        for session in begun:
            if session._directory is not None:
                session._directory.remove()

    @property
    def token_place(self) -> str | None:
        """Where the token is that other programs need to join the same Ray; None if they need none."""
        return str(place_of_token()) if ray_internals.AUTH_MODE in self.variables else None

    @property
    def is_starting(self) -> bool:
        """Whether something of Ray may be there, and not all."""
        is_begun = self._thread is not None and self._thread.is_alive() and self._now.is_set()
        return is_begun and (self._closing.is_set() or not self._started.is_set())

    def ready(self) -> Any:
        """Wait for Ray; returns the `ray` module.

        Raises:
            ClusterError: it could not be started or joined.
            JobError: the machine has too little room to start it.
        """
        self.begin()
        if self._thread is None:
            self._refuse_closed()
        self._started.wait()
        if isinstance(self._error, LinkmatchError):
            raise self._error
        if self._error is not None:
            raise ClusterError(_why(self._address, self._error)) from self._error
        import ray

        return ray

    def close(self) -> None:
        """Shut down what this session started, or leave the cluster it joined; once no other session uses it."""
        self.leave()
        atexit.unregister(self.close)
        while self._thread is not None and self._thread.is_alive() and not _ours.others(self):
            self._thread.join(POLL_SECONDS)

    def leave(self) -> None:
        """As `close`, but waits for nothing: a start that is under way is undone in the background, once it is over."""
        with self._beginning:
            self._closing.set()
        self._now.set()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, after_seconds: float) -> None:
        """Runs in a thread that lives as long as the session: Ray's processes are killed by the kernel when
        the *thread* that started them ends."""
        self._now.wait(after_seconds)
        with ExitStack() as held:
            try:
                self._refuse_closed()
                self._now.set()
                ours = self._init(held)
            except Exception as error:
                self._error = error
            else:
                self._started.set()
                if ours:
                    self._closing.wait()
                with _ours.left(self):
                    held.close()
        self._started.set()
        _begun.discard(self)

    def _refuse_closed(self) -> None:
        if self._closing.is_set():
            raise ClusterError("Ray: was not started, as its session is closed. Make another one.")

    def _init(self, held: ExitStack) -> bool:
        """Start or join Ray; False where this program has one already. What undoes it is put on `held`."""
        import ray

        self._refuse_closed()
        with _ours.starting:  # the second of two sessions finds the first one's Ray
            if ray.is_initialized():
                return _ours.use(self)
            self._init_ray(ray, held)
            _ours.begin(self)
        return True

    def _init_ray(self, ray: Any, held: ExitStack) -> None:
        if self._address is not None:
            _refuse_unreachable(self._address)
        if not self._verbose:
            logger = logging.getLogger("ray")
            held.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)  # after the import, which sets it too
        options: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": self._verbose}
        if not self._verbose:
            options |= {"logging_level": logging.CRITICAL, "configure_logging": False}
            held.enter_context(ray_internals.silent_raylet())
        if self._address is None:
            options |= self._embedded(held)
        elif not is_ray_job():  # which has the package from whoever submitted it
            options |= {"runtime_env": {"py_modules": [str(PACKAGE)]}}
        held.callback(ray_internals.read_auth_mode)
        to_it = ray_internals.on_loopback() if self._address is None else let_in(self._address, _named(self._address))
        config = ray_internals.job_config(self._name)
        with ray_internals.in_utf8(), ray_internals.sigterm_kept(), to_it:
            context: Any = ray.init(address=self._address or "local", job_config=config, **options)
        held.callback(_shut_down, ray)
        if self._address is None and (node := context.address_info["node_ip_address"]) not in LOOPBACK:
            raise ClusterError(f"an embedded Ray: listens on {node}, expected loopback alone. Install Ray 2.60.")
        self.dashboard_url = context.dashboard_url or None
        self.variables = {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
        if ray_internals.sends_the_token():
            self.variables[ray_internals.AUTH_MODE] = "token"
        if self._address is None:
            self.variables[ray_internals.LOOPBACK_VARIABLE] = "0"

    def _embedded(self, held: ExitStack) -> dict[str, Any]:
        """What a Ray of our own needs, before it is started: room, a token, a directory; and its options."""
        check_room(self._workers)
        keep_token()
        self._directory = directory = RayDirectory(dashboard=self._dashboard, kept=self._verbose)
        held.callback(directory.remove)
        check_disk(directory.path)
        held.callback(ray_internals.restore, ray_internals.AUTH_MODE, os.environ.get(ray_internals.AUTH_MODE))
        return {"num_cpus": self._workers, "include_dashboard": self._dashboard, "_temp_dir": directory.path}


class _Ours:
    """The Ray that a session of this process started or joined, and the sessions that use it.

    The one that began it ends it, and waits until no other uses it: Ray's processes end with the thread that started
    them.
    """

    def __init__(self) -> None:
        self.starting = threading.Lock()
        self._changed = threading.Condition()
        self._first: Session | None = None
        self._users: set[Session] = set()

    def begin(self, session: Session) -> None:
        with self._changed:
            self._first, self._users = session, {session}

    def use(self, session: Session) -> bool:
        """Whether it is ours; then it is not ended while this session uses it."""
        with self._changed:
            if self._first is not None:
                self._users.add(session)
            return self._first is not None

    def others(self, session: Session) -> bool:
        """Whether the session began it, and others use it."""
        with self._changed:
            return self._first is session and bool(self._users - {session})

    @contextmanager
    def left(self, session: Session) -> Iterator[None]:
        """Use it no more; who began it waits for the others, and ends it meanwhile, while no other can begin."""
        with self._changed:
            self._users.discard(session)
            self._changed.notify_all()
        while self._first is session:
            with self._changed:
                self._changed.wait_for(lambda: not self._users)
            with self.starting:
                if not self._users:
                    self._first = None
                    yield
                    return
        yield


_ours = _Ours()

_begun: set[Session] = set()
"""Those whose thread lives."""


def _shut_down(ray: Any) -> None:
    with ray_internals.sigterm_kept():
        ray.shutdown()


def _refuse_unreachable(address: str) -> None:
    """Ray waits for minutes where nothing answers; and where it was told 127.0.0.1 it asks at the machine's address.

    Raises:
        ClusterError: nothing answers.
    """
    refuse_unreachable(address)
    joined = ray_internals.as_joined(address)
    if joined is None or joined == address:
        return
    try:
        refuse_unreachable(joined)
    except ClusterError:
        raise ClusterError(
            f"{address}: Ray takes it for {joined}, where nothing answers. To join an embedded Ray, which listens on"
            f" loopback alone, set {ray_internals.LOOPBACK_VARIABLE}=0. Otherwise check that Ray runs there."
        ) from None


def _why(address: str | None, error: Exception) -> str:
    """Why Ray could not be started or joined, and what to do."""
    said = str(error).rstrip(". \n")
    if address is None:
        return f"an embedded Ray: {said}. See --verbose for what Ray says."
    where = _named(address)
    versions = re.findall(r"(Ray|Python): (\S+)", said) if "Version mismatch" in said else []
    if len(versions) == VERSIONS:
        (_, ray), (_, python), (_, our_ray), (_, our_python) = versions
        return (
            f"{where}: has Ray {ray} and Python {python}, here are Ray {our_ray} and Python {our_python}. Who joins a"
            " cluster needs the same; or give --address http://HEAD:8265, and the job runs with the cluster's."
        )
    if "AuthenticationError" in f"{error!r} {error.__cause__!r}":
        return f"{where}: does not let us in, as the token is missing or wrong. {token_remedy()}"
    return f"{where}: {brief(said)}. Check the address, and that Ray runs there; see --verbose for what Ray says."


def _named(address: str) -> str:
    return f"the Ray cluster at {shown(address)}"


def brief(said: str) -> str:
    """The first line of what an error says, without its full stop."""
    return shown(said.strip().partition("\n")[0].rstrip("."))
