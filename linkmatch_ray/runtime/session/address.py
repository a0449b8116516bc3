"""The meaning of a cluster's address. Loads no Ray, because the command line asks before it knows what to do.

nothing, local              an embedded Ray of this process's own
auto, host:6379             a running cluster, which this process joins and drives jobs on
http://head:8265, https://  a cluster's Jobs API: the driver runs there, as a Ray job
ray://                      refused
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

from linkmatch_ray.errors import ClusterError, UsageError
from linkmatch_ray.io.storage.urls import scheme_of
from linkmatch_ray.words import shown

PACKAGE: Final = Path(__file__).resolve().parents[2]
"""The package's own folder, which is sent to a cluster as one of Ray's `py_modules`."""

NAMESPACE: Final = "linkmatch"
"""Ray's namespace of the collectors; each is the actor `linkmatch:<job id>`."""

LOOPBACK: Final = ("127.0.0.1", "::1")

SUMMARY_MARK: Final = "linkmatch-summary: "
"""Start of the line that holds the summary, as JSON, in the output of a job on a cluster. No name can forge a line."""

MARK_VARIABLE: Final = "LINKMATCH_SUMMARY_LINE"
"""The variable that is set for a job on a cluster, so that it marks its summary."""

OVERRIDE: Final = "RAY_API_SERVER_ADDRESS"
"""The variable that overrides the address of a cluster that is asked, as for Ray's own commands."""

CONNECT_SECONDS_MAX: Final = 10.0


def is_jobs_api(address: str | None) -> bool:
    """Returns whether an address is that of a cluster's Jobs API.

    Raises:
        UsageError: It is an address of Ray Client, which loses a job if the connection is away for 30 seconds. Or it
            is of an unknown kind.
    """
    scheme = scheme_of(os.fsencode(address or ""))
    if scheme == "ray":
        raise UsageError(
            f"{shown(address)}: Ray Client loses a job if the connection is away for 30 seconds. Give --address"
            " http://HEAD:8265 to run the job on the cluster, or HOST:6379 to join it."
        )
    is_joined = is_embedded(address) or address == "auto" or re.fullmatch(r"[^/]+:[0-9]+", address or "") is not None
    if scheme not in (None, "http", "https") or (scheme is None and not is_joined):
        raise no_address(address)
    return scheme is not None


def certificates(address: str | None, tls_verify: bool | str) -> bool | str:
    """Returns whether to check a cluster's certificate, or the path of those to trust.

    Raises:
        UsageError: It is not to be checked as usual, and the address is not https.
    """
    known: dict[str, bool] = {"true": True, "1": True, "false": False, "0": False}
    trusted = tls_verify if isinstance(tls_verify, bool) else known.get(tls_verify.lower(), tls_verify)
    there = os.environ.get(OVERRIDE) or address or ""
    if trusted is not True and scheme_of(os.fsencode(there)) != "https":
        raise UsageError(
            "--tls-verify: only an https cluster has a certificate. Name one with --address https://HEAD:8265, or leave"
            " --tls-verify out."
        )
    return trusted


def no_address(given: object) -> UsageError:
    """Returns the error for an address that is not valid."""
    return UsageError(
        f"{shown(given)}: not the address of a cluster. Give --address http://HEAD:8265, HOST:6379 or auto."
    )


def is_embedded(address: str | None) -> bool:
    """Returns whether an address stands for a Ray of this process's own."""
    return not address or address == "local"


def embedded_cpus(address: str | None) -> int | None:
    """Returns the number of CPUs of the Ray that this process would start; None if it would use another Ray."""
    is_initialized = getattr(sys.modules.get("ray"), "is_initialized", None)  # importing Ray would take long
    if not is_embedded(address) or (is_initialized is not None and is_initialized()):
        return None
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()  # macOS has none


def refuse_unreachable(address: str) -> None:
    """Checks that something listens at `host:port`: Ray itself waits minutes for a cluster that is not there.

    Raises:
        ClusterError: Nothing does.
    """
    host, _, port = address.rpartition(":")
    if not re.fullmatch("[0-9]{1,5}", port):
        return
    import socket

    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS_MAX).close()
    except (OSError, OverflowError) as error:  # no port is above 65,535
        why = getattr(error, "strerror", None) or shown(error)
        raise ClusterError(
            f"{shown(address)}: no Ray cluster answers ({why}). Check the address (usually port 6379 of the"
            " head node), and that Ray runs there."
        ) from None


def job_name(output: str) -> str:
    """Returns the name of a job in Ray's dashboard, made from the place of its results."""
    return f"linkmatch {shown(os.path.basename(os.path.abspath(output)))}"


def is_ray_job() -> bool:
    """Returns whether this process is the driver of a Ray job, started by the Jobs API."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


def marks_its_summary() -> bool:
    """Returns whether this process must print its summary with the `SUMMARY_MARK`."""
    return MARK_VARIABLE in os.environ
