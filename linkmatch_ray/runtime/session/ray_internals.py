"""Everything that uses internal names of Ray. They may be missing in any other version: a test lists them.

If a name is missing, its function does nothing or reports what is missing. `session.py` then checks that an embedded
Ray listens only where it should.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from typing import Any, Final

from linkmatch_ray.errors import ClusterError
from linkmatch_ray.words import is_text, printable

LOOPBACK_VARIABLE: Final = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""With 0 Ray takes 127.0.0.1 as the address of its node, as on Windows, and listens on nothing else. Otherwise it
replaces 127.0.0.1 by the machine's address. It is read when `ray` is imported."""

AUTH_MODE: Final = "RAY_AUTH_MODE"
"""The variable that `ray.init` sets to `token` in this process when it starts a Ray, and does not reset."""

ANSWER_SECONDS_MAX: Final = 10.0

POLL_SECONDS: Final = 0.01

NODE_SECONDS_MAX: Final = 90.0
"""Time limit for the node. Ray's own is 30 s, which a busy machine may need."""

_QUICK_CONNECTION: Final = {
    "RAY_raylet_client_connect_timeout_milliseconds": "10",
    "RAY_raylet_client_num_connect_attempts": "1000",
}
"""Ray's raylet connects to its object store. By default it waits a second if it comes too early."""

_OF_DASHBOARD: Final = (
    "aiohttp",
    "aiohttp_cors",
    "grpc",
    "opencensus",
    "opentelemetry",
    "prometheus_client",
    "pydantic",
)
"""What Ray's `dashboard.optional_deps` imports. It comes with `ray[default]`."""

_SIGACTION_BYTES_MAX: Final = 1024
"""Upper bound: the `struct sigaction` of Linux has 152 bytes."""


@contextmanager
def silent_raylet() -> Iterator[None]:
    """Switches off Ray's "(raylet) A worker died ...", for which it has no option. The log level does not."""
    from ray._private import worker

    with _replaced(worker, "_worker_logs_enabled", False):
        yield


@contextmanager
def sigterm_kept() -> Iterator[None]:
    """Keeps this program's handler of SIGTERM, which Ray replaces.

    Ray's handler prints a stack and aborts 3 s later, and after `ray.shutdown` it ends the program at once. Python's
    `signal.signal` works in the main thread only, and Ray is started on another.
    """
    system, before = ctypes.CDLL(None), ctypes.create_string_buffer(_SIGACTION_BYTES_MAX)
    system.sigaction(signal.SIGTERM, None, before)
    try:
        yield
    finally:
        system.sigaction(signal.SIGTERM, before, None)


@contextmanager
def on_loopback() -> Iterator[None]:
    """Makes a Ray that is started in the meantime listen on loopback alone. A cluster that is joined later is not
    affected.

    The processes of that Ray inherit the variable, and so do their children. This process has imported `ray` already,
    so here the constant counts that Ray has made from it.
    """
    from ray._private import ray_constants

    with _changed(os.environ, LOOPBACK_VARIABLE, "0"), _replaced(ray_constants, "ENABLE_RAY_CLUSTER", False):
        yield


@contextmanager
def quick_start(*, dashboard: bool, verbose: bool) -> Iterator[None]:
    """Makes a Ray that is started in the meantime start only what is used, and waits in small steps.

    Left out are the autoscaler's monitor, a server without a dashboard, and a reader of logs that nobody sees. The
    monitor would also delay the end by a second. And this process does not import what the dashboard needs, which Ray
    does only to know that it could.
    """
    from ray._private import node, services, utils

    unused = {"start_monitor": True, "start_api_server": not dashboard, "start_log_monitor": not verbose}
    with ExitStack() as held:
        for name in (each for each, is_unused in unused.items() if is_unused):
            held.enter_context(_replaced(node.Node, name, _start_nothing))
        held.enter_context(_replaced(services, "get_node", _patient(getattr(services, "get_node", None))))
        if all(map(find_spec, _OF_DASHBOARD)):
            held.enter_context(_replaced(utils, "get_dashboard_dependency_error", lambda: None))
        for name, value in _QUICK_CONNECTION.items():
            held.enter_context(_changed(os.environ, name, value))
        yield


def _start_nothing(node: Any, **_: Any) -> None:
    """Replaces methods of Ray's `Node` that start a process. One of them also sets where the dashboard is."""
    node._webui_url = node._webui_url or ""


def _patient(get_node: Any) -> Any:
    """Returns Ray's `get_node` for a node that is starting. Ray's own looks once a second whether it is there."""
    from ray._private import services, state

    def wait_and_get(gcs_address: str, node_id: str) -> Any:
        with suppress(AttributeError):  # in another version
            known = state.GlobalState()
            known._initialize_global_state(services._get_gcs_client_options(gcs_address))
            deadline = time.monotonic() + NODE_SECONDS_MAX
            while time.monotonic() < deadline and not any(each["NodeID"] == node_id for each in known.node_table()):
                time.sleep(POLL_SECONDS)
        return get_node(gcs_address, node_id)

    return wait_and_get


@contextmanager
def marked(name: str, value: str) -> Iterator[None]:
    """Gives the processes of a Ray that is started in the meantime an environment variable, which all that they start
    inherits. Other processes that this program starts do not have it."""
    from ray._private import services

    start: Any = getattr(services, "start_ray_process", None)

    def start_marked(*args: Any, env_updates: dict[str, str] | None = None, **more: Any) -> Any:
        return start(*args, env_updates={**(env_updates or {}), name: value}, **more)

    with _replaced(services, "start_ray_process", start_marked):
        yield


@contextmanager
def in_utf8() -> Iterator[None]:
    """Makes what Ray records of this program, its command line and its file, encodable for any names."""
    from ray._private import utils

    import __main__

    line = getattr(utils, "get_entrypoint_name", str)
    script = getattr(__main__, "__file__", None)
    with (
        _replaced(utils, "get_entrypoint_name", lambda: printable(line())),
        _replaced(__main__, "__file__", printable(script) if script else script),
    ):
        yield


def job_config(name: str) -> Any:
    """Returns a `JobConfig` with the name for Ray's dashboard. A Ray job has a name already, which Ray prefers.

    The config leaves out folders of the workers' module path whose names are not UTF-8. Ray adds the current folder to
    that path, and could not encode it.
    """
    from ray.job_config import JobConfig

    class EncodableJobConfig(JobConfig):
        def _get_proto_job_config(self) -> Any:
            paths = getattr(self, "_py_driver_sys_path", [])
            self._py_driver_sys_path = [path for path in paths if is_text(path)]
            return super()._get_proto_job_config()  # type: ignore[no-untyped-call]

    return EncodableJobConfig(metadata={"job_name": name})


def as_joined(address: str) -> str | None:
    """Returns the `host:port` that Ray connects to for an address; None if unknown."""
    from ray._private import services

    if not hasattr(services, "canonicalize_bootstrap_address"):
        return None
    found: str | None = services.canonicalize_bootstrap_address(address)
    return found


def token() -> str | None:
    """Returns the token of this user, from the places where Ray looks for it; None without one."""
    from ray import _raylet
    from ray.exceptions import AuthenticationError

    if not hasattr(_raylet, "AuthenticationTokenLoader"):
        return None
    loader = _raylet.AuthenticationTokenLoader.instance()
    loader.reset_cache()
    try:
        return str(loader.get_raw_token(ignore_auth_mode=True)) if loader.has_token(ignore_auth_mode=True) else None
    except AuthenticationError as error:  # RAY_AUTH_TOKEN_PATH names no file
        raise ClusterError(f"{error.message}. Correct or unset it.") from None


def is_refused(gcs: str) -> bool:
    """Returns whether the cluster at `host:port` asks for a token, and refuses what Ray sends now."""
    import grpc
    from ray._private import grpc_utils

    if not hasattr(grpc_utils, "init_grpc_channel"):
        return False
    with grpc_utils.init_grpc_channel(gcs) as channel:
        try:
            channel.unary_unary("/ray.rpc.NodeInfoGcsService/CheckAlive")(b"", timeout=ANSWER_SECONDS_MAX)
        except grpc.RpcError as error:
            return error.code() is grpc.StatusCode.UNAUTHENTICATED  # Ray will report any other error
    return False


@contextmanager
def sending_the_token() -> Iterator[None]:
    """Makes Ray send the token in the meantime. A connection that was made then continues to send it.

    Ray reads the variable when it makes its configuration: on its import, when it connects, and here. A connected Ray
    must not make it again, so at the end it is made only if Ray is not connected.
    """
    try:
        with _changed(os.environ, AUTH_MODE, "token"):
            read_auth_mode()
            yield
    finally:
        read_auth_mode()


def sends_the_token() -> bool:
    """Returns whether Ray sends the token when it connects."""
    from ray._private.authentication import authentication_utils

    return getattr(authentication_utils, "is_token_auth_enabled", bool)() is True


def read_auth_mode() -> None:
    """Makes Ray read RAY_AUTH_MODE again, unless it is connected."""
    import ray
    from ray import _raylet

    if hasattr(_raylet, "Config") and not ray.is_initialized():
        _raylet.Config.initialize("")


def temp_directory() -> str | None:
    """Returns where this process's Ray keeps its files on this machine; None if unknown."""
    from ray._private import worker

    found: str | None = getattr(getattr(worker, "_global_node", None), "temp_dir", None)
    return found


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Gives an attribute another value in the meantime. A missing attribute stays missing."""
    if not hasattr(owner, name):
        yield
        return
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def _changed(variables: Any, name: str, value: str) -> Iterator[None]:
    """Gives an environment variable another value in the meantime."""
    before = variables.get(name)
    variables[name] = value
    try:
        yield
    finally:
        restore(name, before)


def restore(name: str, before: str | None) -> None:
    """Gives an environment variable its earlier value. None removes it."""
    if before is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = before
