"""Ray's client of the Jobs API: its connection, and its errors as our own."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from linkmatch_ray.errors import ClusterError, InputError, Unreachable
from linkmatch_ray.runtime.session.address import LOOPBACK
from linkmatch_ray.runtime.session.cluster_token import token_remedy, token_to_lend
from linkmatch_ray.words import shown

TIMEOUT_SECONDS: Final = 30.0


def is_readable(url: str) -> bool:
    """Returns whether others can read what is sent to a URL."""
    there = urlsplit(url)
    return there.scheme == "http" and there.hostname not in ("localhost", *LOOPBACK)


def connect(address: str, verify: bool | str) -> Any:
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    class Client(JobSubmissionClient):
        """Ray's client, with a time limit, and with the token only for a cluster that asks for it."""

        has_lent = False

        def _do_request(self, *args: Any, **options: Any) -> Any:
            options = {"timeout": TIMEOUT_SECONDS} | options
            try:
                return super()._do_request(*args, **options)
            except AuthenticationError:
                token = token_to_lend()
                if token is None or any(name.lower() == "authorization" for name in self._headers):
                    raise
            self._headers["Authorization"] = f"Bearer {token}"
            self.has_lent = True
            return super()._do_request(*args, **options)

    _silence()
    return Client(address, headers=_headers(), verify=verify)


@contextmanager
def answering(address: str) -> Iterator[None]:
    """Turns errors of Ray's client into our own."""
    import requests
    from ray.exceptions import AuthenticationError, RpcError

    where = shown(address)
    try:
        yield
    except AuthenticationError as error:
        raise ClusterError(f"{where}: {_refusal(str(error))}. {token_remedy()}") from error
    except FileNotFoundError as error:  # of `verify`
        raise ClusterError(
            f"{where}: {shown(error).rstrip('.')}. Name a file or directory of certificates with --tls-verify."
        ) from error
    except (requests.exceptions.RequestException, RpcError, ConnectionError, TimeoutError) as error:
        if _has(error, requests.exceptions.SSLError):
            raise ClusterError(
                f"{where}: its certificate is not trusted. Name the certificate of its authority with --tls-verify"
                " FILE, or trust any with --tls-verify false."
            ) from error
        if _has(error, requests.exceptions.HTTPError, ValueError) and not _has(error, ConnectionError):
            raise ClusterError(
                f"{where}: answers, but is no Ray dashboard. Give the address of the head node's, usually at port 8265."
            ) from error
        raise Unreachable(
            f"{where}: no Ray dashboard answers. Check the address (usually port 8265 of the head node), and that Ray"
            " runs there with its dashboard."
        ) from error
    except RuntimeError as error:
        if "does not exist" in str(error):
            raise InputError(f"{where}: {shown(str(error).partition('code 404: ')[2] or error)}") from None
        raise ClusterError(f"{where}: {shown(error)}") from error


def _refusal(said: str) -> str:
    """Returns whether a token is missing or wrong, from Ray's message."""
    if "Forbidden" in said or "failed" in said.partition(":")[0]:
        return "refuses this user's token"
    return "asks for a token, and got none"


def _has(error: BaseException | None, *kinds: type[BaseException]) -> bool:
    """Returns whether an error, or one of its causes, is of a kind."""
    while error is not None:
        if isinstance(error, kinds):
            return True
        error = error.__cause__ or error.__context__
    return False


def _headers() -> dict[str, Any] | None:
    """Returns the headers that `ray job` sends, from the same variable. A command line would not keep them secret."""
    text = os.environ.get("RAY_JOB_HEADERS")
    if not text:
        return None
    try:
        headers: dict[str, Any] = json.loads(text)
    except ValueError:
        raise ClusterError('RAY_JOB_HEADERS: not JSON. Expected {"name": "value"}; correct or unset it.') from None
    return headers


def _silence() -> None:
    """Silences Ray's client, which logs to standard error. Each of its loggers has a level of its own."""
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.partition(".")[0] == "ray" and isinstance(logger, logging.Logger):
            logger.setLevel(logging.CRITICAL)
