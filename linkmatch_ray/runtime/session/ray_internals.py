"""Everything that uses names of Ray's own, which may be gone in any other version: a test says which are.

If one is gone, its function does nothing, or says what is missing; `session.py` looks afterwards whether an embedded
Ray listens where it should.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from linkmatch_ray.errors import ClusterError
from linkmatch_ray.words import is_text, printable

LOOPBACK_VARIABLE: Final = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""With 0 Ray takes 127.0.0.1 for its node's address, as on Windows, where it listens on nothing else. Otherwise it
replaces 127.0.0.1 by the machine's address. Read when `ray` is imported."""

AUTH_MODE: Final = "RAY_AUTH_MODE"
"""`ray.init` sets it to `token` when it starts a Ray, in this process and for good."""

ANSWER_SECONDS_MAX: Final = 10.0

_SIGACTION_BYTES_MAX: Final = 1024
"""The `struct sigaction` of Linux has 152."""


@contextmanager
def silent_raylet() -> Iterator[None]:
    """Ray prints "(raylet) A worker died ..." whatever the log level; it has a switch for it, but no option."""
    from ray._private import worker

    with _replaced(worker, "_worker_logs_enabled", False):
        yield


@contextmanager
def sigterm_kept() -> Iterator[None]:
    """What SIGTERM does in this program stays so: Ray's core has it print a stack first, and abort 3 s later; and once
    it is shut down, end the program at once.

    Python's own `signal.signal` is for the main thread alone, and Ray is started on another.
    """
    system, before = ctypes.CDLL(None), ctypes.create_string_buffer(_SIGACTION_BYTES_MAX)
    system.sigaction(signal.SIGTERM, None, before)
    try:
        yield
    finally:
        system.sigaction(signal.SIGTERM, before, None)


@contextmanager
def on_loopback() -> Iterator[None]:
    """A Ray that is started meanwhile listens on loopback alone; what is joined later is not touched.

    The processes of that Ray inherit the variable, and so does what they start. This process has imported `ray`, so
    here the constant counts that was made of it.
    """
    from ray._private import ray_constants

    with _changed(os.environ, LOOPBACK_VARIABLE, "0"), _replaced(ray_constants, "ENABLE_RAY_CLUSTER", False):
        yield


@contextmanager
def in_utf8() -> Iterator[None]:
    """What Ray is told of this program meanwhile, its command line and its file, can be encoded whatever the names."""
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
    """A `JobConfig` with the name that Ray's dashboard shows; a Ray job has one already, which goes before.

    It leaves folders out of the workers' module path whose names are not UTF-8: Ray adds the current folder to it, and
    then cannot encode it.
    """
    from ray.job_config import JobConfig

    class EncodableJobConfig(JobConfig):
        def _get_proto_job_config(self) -> Any:
            paths = getattr(self, "_py_driver_sys_path", [])
            self._py_driver_sys_path = [path for path in paths if is_text(path)]
            return super()._get_proto_job_config()  # type: ignore[no-untyped-call]

    return EncodableJobConfig(metadata={"job_name": name})


def as_joined(address: str) -> str | None:
    """The `host:port` that Ray connects to for an address; None if that cannot be known."""
    from ray._private import services

    if not hasattr(services, "canonicalize_bootstrap_address"):
        return None
    found: str | None = services.canonicalize_bootstrap_address(address)
    return found


def token() -> str | None:
    """The token of this user, from where Ray looks for it; None if there is none."""
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
    """Whether the cluster at `host:port` asks for a token, and is not satisfied with what Ray sends now."""
    import grpc
    from ray._private import grpc_utils

    if not hasattr(grpc_utils, "init_grpc_channel"):
        return False
    with grpc_utils.init_grpc_channel(gcs) as channel:
        try:
            channel.unary_unary("/ray.rpc.NodeInfoGcsService/CheckAlive")(b"", timeout=ANSWER_SECONDS_MAX)
        except grpc.RpcError as error:
            return error.code() is grpc.StatusCode.UNAUTHENTICATED  # whatever else is wrong, Ray will say
    return False


@contextmanager
def sending_the_token() -> Iterator[None]:
    """Ray sends the token to what it connects to meanwhile; a connection that was made goes on sending it.

    Ray reads the variable when its configuration is made: on its import, when it connects, and here. While it is
    connected it must not be made anew, so at the end it is only if Ray is not.
    """
    try:
        with _changed(os.environ, AUTH_MODE, "token"):
            read_auth_mode()
            yield
    finally:
        read_auth_mode()


def sends_the_token() -> bool:
    """Whether Ray sends the token to what it connects to."""
    from ray._private.authentication import authentication_utils

    return getattr(authentication_utils, "is_token_auth_enabled", bool)() is True


def read_auth_mode() -> None:
    """Have Ray, unless it is connected, look anew at RAY_AUTH_MODE."""
    import ray
    from ray import _raylet

    if hasattr(_raylet, "Config") and not ray.is_initialized():
        _raylet.Config.initialize("")


def temp_directory() -> str | None:
    """Where the Ray that this process uses keeps its files on this machine; None if that cannot be known."""
    from ray._private import worker

    found: str | None = getattr(getattr(worker, "_global_node", None), "temp_dir", None)
    return found


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute has another value meanwhile; one that is missing stays so."""
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
    """An environment variable has another value meanwhile."""
    before = variables.get(name)
    variables[name] = value
    try:
        yield
    finally:
        restore(name, before)


def restore(name: str, before: str | None) -> None:
    """Give an environment variable the value it had; None for none."""
    if before is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = before
