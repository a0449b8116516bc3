"""A Ray to run on: an embedded one of the session's own, a cluster that it joins, or the Ray that this program has.

Ray's own messages do not reach the user, unless `verbose` is given.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Final

from linkmatch_ray.errors import ClusterError, LinkmatchError
from linkmatch_ray.runtime.session import ray_internals
from linkmatch_ray.runtime.session.address import (
    LOOPBACK,
    NAMESPACE,
    PACKAGE,
    embedded_cpus,
    is_embedded,
    is_jobs_api,
    is_ray_job,
    refuse_unreachable,
)
from linkmatch_ray.runtime.session.auth_token import keep_token, place_of_token
from linkmatch_ray.runtime.session.cluster_token import let_in, token_remedy
from linkmatch_ray.runtime.session.preflight import check_disk, check_room
from linkmatch_ray.runtime.session.ray_directory import RayDirectory
from linkmatch_ray.runtime.session.reaper import MARK, Reaper
from linkmatch_ray.words import shown

POLL_SECONDS: Final = 0.1

VERSIONS: Final = 4
"""Number of versions in Ray's message on a mismatch: Ray and Python, there and here."""


class Session:
    """A Ray that is started in the background. Use it as a context manager, or `close` it.

        new -> begun -> starting -> ready -> closed

    `begin` announces that Ray is needed, now or soon. A session that ends by `close` or `leave` before Ray starts has
    cost nothing.

    Args:
        address: A cluster's address; None for an embedded Ray of this session's own.
        workers: CPUs of the embedded Ray; None for all.
        dashboard: Start the embedded Ray's dashboard.
        verbose: Show Ray's own messages.
        name: The name of this program in Ray's dashboard, if it has no other name there.

    Attributes:
        address: As given; None for an embedded Ray.
        dashboard, verbose: As given.
        cpus: Number of CPUs of an embedded Ray; None if the session uses another one.
        joins: Whether the session joins a cluster.
        dashboard_url: `host:port` of the dashboard when Ray is ready; None without a dashboard.
        variables: The environment variables that another program needs to join the same Ray. Empty until Ray is ready.
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
        self.address = None if is_embedded(address) else address
        self.dashboard, self.verbose = dashboard, verbose
        self._workers, self._name = workers, name
        self.cpus = None if (cpus := embedded_cpus(address)) is None else workers or cpus
        self.joins = self.address is not None
        self._error: Exception | None = None
        self.dashboard_url: str | None = None
        self.variables: dict[str, str] = {}
        self._started, self._closing = threading.Event(), threading.Event()
        self._now = threading.Event()
        self._thread: threading.Thread | None = None
        self._beginning = threading.Lock()

    def begin(self, after_seconds: float = 0.0) -> None:
        """Starts Ray in the background, now or after a delay. A later call may shorten the delay."""
        if not after_seconds:
            self._now.set()
        with self._beginning:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(
                    target=self._start, args=(after_seconds,), name="start-ray", daemon=True
                )
                _begun.add(self)
                self._thread.start()
                atexit.register(self.close)  # for a program that does not close it

    @classmethod
    def abandon_all(cls) -> None:
        """Closes all sessions without waiting, for a process that exits at once. Their reapers do the rest."""
        for session in list(_begun):
            session.leave()

    @property
    def token_place(self) -> str | None:
        """Place of the token that other programs need to join the same Ray; None if they need no token."""
        return str(place_of_token()) if ray_internals.AUTH_MODE in self.variables else None

    @property
    def is_starting(self) -> bool:
        """Whether parts of Ray may be running, but not all."""
        is_begun = self._thread is not None and self._thread.is_alive() and self._now.is_set()
        return is_begun and (self._closing.is_set() or not self._started.is_set())

    def ready(self) -> Any:
        """Waits for Ray, and returns the `ray` module.

        Raises:
            ClusterError: Ray could not be started or joined.
            JobError: The machine has too little room to start Ray.
        """
        self.begin()
        if self._thread is None:
            self._refuse_closed()
        self._started.wait()
        if isinstance(self._error, LinkmatchError):
            raise self._error
        if self._error is not None:
            raise ClusterError(_why(self.address, self._error)) from self._error
        import ray

        return ray

    def close(self) -> None:
        """Shuts down the Ray that this session started, or leaves the cluster. Waits until no other session uses it."""
        self.leave()
        atexit.unregister(self.close)
        while self._thread is not None and self._thread.is_alive() and not _ours.others(self):
            self._thread.join(POLL_SECONDS)
        _ours.wait_for_end()

    def leave(self) -> None:
        """Closes the session without waiting. A start that has begun is undone in the background when it is over."""
        with self._beginning:
            self._closing.set()
        _ours.leave(self)
        self._now.set()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, after_seconds: float) -> None:
        """Starts Ray and waits for the session's end, in one thread.

        The kernel kills Ray's processes when the *thread* that started them ends.
        """
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
            raise ClusterError("Ray: was not started, because its session is closed. Use a new session.")

    def _init(self, held: ExitStack) -> bool:
        """Starts or joins Ray, and puts what undoes it on `held`. Returns whether the Ray is a session's."""
        import ray

        self._refuse_closed()
        with _ours.starting:  # the second of two sessions finds the first one's Ray
            if ray.is_initialized():
                return _ours.use(self)
            self._init_ray(ray, held)
            _ours.begin(self)
        return True

    def _init_ray(self, ray: Any, held: ExitStack) -> None:
        if self.address is not None:
            _refuse_unreachable(self.address)
        if not self.verbose:
            logger = logging.getLogger("ray")
            held.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)  # after the import, which sets it too
        options: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": self.verbose}
        if not self.verbose:
            options |= {"logging_level": logging.CRITICAL, "configure_logging": False}
            held.enter_context(ray_internals.silent_raylet())
        starting: AbstractContextManager[None] = nullcontext()
        marked: AbstractContextManager[None] = nullcontext()
        if self.address is None:
            options |= self._embedded(held)
            starting = ray_internals.quick_start(dashboard=self.dashboard, verbose=self.verbose)
            marked = ray_internals.marked(MARK, options["_temp_dir"])
        elif not is_ray_job():  # which got the package when it was submitted
            options |= {"runtime_env": {"py_modules": [str(PACKAGE)]}}
        held.callback(ray_internals.read_auth_mode)
        to_it = ray_internals.on_loopback() if self.address is None else let_in(self.address, _named(self.address))
        config = ray_internals.job_config(self._name)
        with ray_internals.in_utf8(), ray_internals.sigterm_kept(), to_it, starting, marked:
            context: Any = ray.init(address=self.address or "local", job_config=config, **options)
        held.callback(_shut_down, ray)
        if self.address is None and (node := context.address_info["node_ip_address"]) not in LOOPBACK:
            raise ClusterError(f"the embedded Ray: listens on {node}, expected loopback alone. Install Ray 2.60.")
        self.dashboard_url = context.dashboard_url or None
        self.variables = {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
        if ray_internals.sends_the_token():
            self.variables[ray_internals.AUTH_MODE] = "token"
        if self.address is None:
            self.variables[ray_internals.LOOPBACK_VARIABLE] = "0"

    def _embedded(self, held: ExitStack) -> dict[str, Any]:
        """Prepares an embedded Ray: checks for room, makes a token and a directory. Returns its options."""
        check_room(self._workers)
        keep_token()
        with self._beginning:  # whoever closes the session finds its reaper, or there will be no directory
            self._refuse_closed()
            directory = RayDirectory(dashboard=self.dashboard, kept=self.verbose)
            reaper = Reaper(directory.path, directory.to_remove)
        held.callback(reaper.reap)
        held.callback(directory.remove)
        check_disk(directory.path)
        held.callback(ray_internals.restore, ray_internals.AUTH_MODE, os.environ.get(ray_internals.AUTH_MODE))
        return {"num_cpus": self._workers, "include_dashboard": self.dashboard, "_temp_dir": directory.path}


class _Ours:
    """The Ray that a session of this process has started or joined, and the sessions that use it.

    The session that began it also ends it, because Ray's processes end with the thread that started them. It waits
    until no other session uses it.
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
        """Registers a user. Returns whether a session began this Ray, which then does not end while it is used."""
        with self._changed:
            if self._first is not None:
                self._users.add(session)
            return self._first is not None

    def others(self, session: Session) -> bool:
        """Returns whether the session began this Ray and others use it."""
        with self._changed:
            return self._first is session and bool(self._users - {session})

    def leave(self, session: Session) -> None:
        """Removes a user."""
        with self._changed:
            self._users.discard(session)
            self._changed.notify_all()

    def wait_for_end(self) -> None:
        """Waits until this Ray has ended, unless a session uses it. The last user need not be the one that began it."""
        with self._changed:
            self._changed.wait_for(lambda: self._first is None or bool(self._users))

    @contextmanager
    def left(self, session: Session) -> Iterator[None]:
        """Removes a user. The session that began this Ray waits for the others, and then ends it within this context,
        while no other session can begin."""
        self.leave(session)  # again: it may have been closed before it became a user
        while self._first is session:
            with self._changed:
                self._changed.wait_for(lambda: not self._users)
            with self.starting:
                if not self._users:
                    try:
                        yield
                    finally:
                        with self._changed:
                            self._first = None
                            self._changed.notify_all()
                    return
        yield


_ours = _Ours()

_begun: set[Session] = set()
"""The sessions whose thread is running."""


def _shut_down(ray: Any) -> None:
    with ray_internals.sigterm_kept():
        ray.shutdown()


def _refuse_unreachable(address: str) -> None:
    """Checks that Ray answers at an address, because Ray itself waits for minutes.

    Ray replaces 127.0.0.1 by the machine's address, so that one is checked as well.

    Raises:
        ClusterError: Nothing answers.
    """
    refuse_unreachable(address)
    joined = ray_internals.as_joined(address)
    if joined is None or joined == address:
        return
    try:
        refuse_unreachable(joined)
    except ClusterError:
        raise ClusterError(
            f"{shown(address)}: Ray replaces it by {joined}, where nothing answers. To join an embedded Ray, which"
            f" listens on loopback alone, set {ray_internals.LOOPBACK_VARIABLE}=0. Otherwise check that Ray runs there."
        ) from None


def _why(address: str | None, error: Exception) -> str:
    """Returns why Ray could not be started or joined, and what to do."""
    said = str(error).rstrip(". \n")
    if address is None:
        return f"the embedded Ray: {said}. See Ray's messages with --verbose."
    where = _named(address)
    versions = re.findall(r"(Ray|Python): (\S+)", said) if "Version mismatch" in said else []
    if len(versions) == VERSIONS:
        (_, ray), (_, python), (_, our_ray), (_, our_python) = versions
        return (
            f"{where}: has Ray {ray} and Python {python}, but this machine has Ray {our_ray} and Python {our_python}."
            " Install the same versions here, or give --address http://HEAD:8265 to run the job with the cluster's."
        )
    if "AuthenticationError" in f"{error!r} {error.__cause__!r}":
        return f"{where}: refuses access, because the token is missing or wrong. {token_remedy()}"
    return f"{where}: {brief(said)}. Check the address, and that Ray runs there. See Ray's messages with --verbose."


def _named(address: str) -> str:
    return f"the Ray cluster at {shown(address)}"


def brief(said: str) -> str:
    """Returns the first line of an error's text, without its full stop."""
    return shown(said.strip().partition("\n")[0].rstrip("."))
