"""One HTTP request: exactly the given target, no redirect, and a time limit on silence instead of on the whole.

Connections are kept and reused. A request is retried here only if it went over a kept connection that had broken.
"""

from __future__ import annotations

import atexit
import errno
import http.client
import io
import os
import select
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import BinaryIO, Final
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import getproxies, proxy_bypass

from linkmatch_ray._version import __version__
from linkmatch_ray.io.storage.endpoint import Endpoint, endpoint_of
from linkmatch_ray.io.storage.traffic import traffic
from linkmatch_ray.words import shown

CONNECT_SECONDS: Final = 10.0
"""Time limit for making a connection."""

SILENCE_SECONDS: Final = 30.0
"""A request fails if the server sends no byte for this long. A slow server is read to the end."""

READ_BYTES: Final = 1 << 16
"""A body is received in pieces of this size. If the connection breaks, earlier pieces are not requested again."""

SEND_BYTES: Final = 1 << 16
"""A body is sent in pieces of this size, each within `SILENCE_SECONDS`: a socket's time limit is for all that one call
sends."""

INTERIM_MAX: Final = 100
"""Maximum number of `100 Continue` and `103 Early Hints` before an answer."""

IDLE_MAX: Final = 64
"""Maximum number of kept connections, over all hosts. The oldest is closed for one more."""

DRAIN_BYTES: Final = 1 << 16
"""If no more than this is left of an answer, it is read to the end, so that its connection can be reused."""

_OF_THIS_MACHINE: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class Unavailable(OSError):  # noqa: N818 - says what is found
    """A request failed for a reason that can pass with time."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EIO, why)


class Answer:
    """A server's answer, whose body has not been read yet. Close it, or read all of it.

    Attributes:
        status, reason: From the first line.
        headers: By name, in any case.
        host: The host that answered.
    """

    def __init__(self, connection: _Connection, raw: http.client.HTTPResponse) -> None:
        self._connection, self._raw, self._is_broken = connection, raw, False
        self.status, self.reason, self.headers = raw.status, raw.reason, raw.headers
        self.host = connection.endpoint.authority

    def readinto(self, view: memoryview) -> int:
        """Reads between 1 and `READ_BYTES` bytes into `view`; returns how many, 0 at the end.

        Raises:
            Unavailable: The connection broke, or nothing came for `SILENCE_SECONDS`.
        """
        try:
            with _said(self.host, SILENCE_SECONDS):
                count = self._read_once(view[:READ_BYTES])
                traffic.add(count)
                if not count and len(view) and self._raw.length:
                    raise Unavailable("the connection broke off")
        except BaseException:
            self._is_broken = True
            raise
        return count

    def has_more(self) -> bool:
        """Returns whether anything is left of the body; consumes one byte."""
        return self.readinto(memoryview(bytearray(1))) > 0

    def _read_once(self, view: memoryview) -> int:
        """Reads what comes next. The response's own `readinto` waits until `view` is full, and a break loses what
        came."""
        raw = self._raw
        if raw.chunked:
            piece = raw.read1(len(view))
            view[: len(piece)] = piece
            return len(piece)
        view = view if raw.length is None else view[: raw.length]
        if raw.isclosed() or not len(view):
            return 0
        count: int = raw.fp.readinto1(view)
        if raw.length is not None:
            raw.length -= count
            if not raw.length:
                raw.close()
        return count

    def read(self, limit: int | None = None) -> bytes:
        """Returns the rest of the body, or up to `limit` bytes of it."""
        pieces, left = [], READ_BYTES if limit is None else limit
        while left and (count := self.readinto(view := memoryview(bytearray(min(left, READ_BYTES))))):
            pieces.append(view[:count])
            left -= count if limit is not None else 0
        return b"".join(pieces)

    def read_exactly(self, size: int) -> bytes:
        """Returns exactly `size` bytes of the body.

        Raises:
            Unavailable: There are fewer.
        """
        content = self.read(size)
        if len(content) < size:
            raise Unavailable("the answer was shorter than announced")
        return content

    def close(self) -> None:
        """Closes the answer; keeps the connection for reuse if little of the body is left."""
        length = self._raw.length
        if length is not None and length <= DRAIN_BYTES and not self._raw.will_close:
            try:
                self._raw.read()
            except (OSError, http.client.HTTPException):
                self._is_broken = True
        if self._raw.isclosed() and not self._raw.will_close and not self._is_broken:
            self._connection.keep()
        else:
            self._raw.close()
            self._connection.close()

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def ask(
    endpoint: Endpoint,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes | BinaryIO = b"",
    size: int | None = None,
) -> Answer:
    """Makes one request, and returns the answer of any status.

    Args:
        target: The target of the request line, without the endpoint's prefix; sent unchanged.
        body, size: Bytes; or a file, from its current position, and the number of bytes.

    Raises:
        Unavailable: The request failed for a reason that can pass with time.
        OSError: It failed for another reason: no such host, an invalid certificate, no HTTP.
    """
    length = len(body) if isinstance(body, bytes) else size
    everything = {
        "Host": endpoint.authority,
        "User-Agent": f"linkmatch-ray/{__version__}",
        "Accept-Encoding": "identity",
        **({"Content-Length": str(length)} if length or method in ("PUT", "POST") else {}),
        **headers,
    }
    while True:
        connection = _kept(endpoint) or _Connection(endpoint)
        start = None if isinstance(body, bytes) else body.tell()
        try:
            with _said(endpoint.authority, CONNECT_SECONDS):
                connection.connect()
            with _said(endpoint.authority, SILENCE_SECONDS):
                return connection.request(method, endpoint.prefix + target, everything, body, length or 0)
        except BaseException as error:
            connection.close()
            if not (connection.is_used and isinstance(error, OSError)):  # perhaps of an earlier request on it
                raise
            _let_go_of(endpoint)  # the others may have broken too, and each would take as long to fail
            if start is not None and not isinstance(body, bytes):  # the server had closed the connection
                body.seek(start)


class OddCoding(http.client.HTTPException):
    """A body has a transfer coding other than chunked, so its bytes are not the content."""


class InterimWithoutEnd(http.client.HTTPException):
    """A server announces an answer without end."""


class _Response(http.client.HTTPResponse):
    """An answer that skips interim responses (status 1xx), up to `INTERIM_MAX` of them."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(INTERIM_MAX):
            try:
                version, status, reason = super()._read_status()  # type: ignore[misc]
            except http.client.BadStatusLine as error:
                if error.args[0].endswith("\n"):
                    raise
                raise ConnectionResetError from None  # only the beginning of a line came
            if not 100 <= status < 200:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise InterimWithoutEnd


class _Connection:
    """A connection to an endpoint, directly or through a proxy."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint, self.is_used = endpoint, False
        proxy = _proxy_of(endpoint)
        _, host, port, _ = endpoint_of(proxy) if proxy else endpoint
        login = _login_in(proxy) if proxy else {}
        self._by_proxy = proxy is not None and not endpoint.secure  # a proxy needs the whole URL
        self._login = login if self._by_proxy else {}
        self._raw = (
            http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=_tls())
            if endpoint.secure
            else http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        )
        self._raw.response_class = _Response
        if proxy and endpoint.secure:
            self._raw.set_tunnel(endpoint.host, endpoint.port, login)

    def connect(self) -> None:
        """Opens the connection, unless it is a kept one."""
        if self._raw.sock is None:
            self._raw.connect()
            assert self._raw.sock is not None
            self._raw.sock.settimeout(SILENCE_SECONDS)

    def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | BinaryIO, length: int
    ) -> Answer:
        raw = self._raw
        absolute = f"http://{self.endpoint.authority}{target}" if self._by_proxy else target
        raw.putrequest(method, absolute, skip_host=True, skip_accept_encoding=True)
        for name, value in {**headers, **self._login}.items():
            raw.putheader(name, value)
        with suppress(BrokenPipeError, ConnectionResetError):  # the server may answer before it has read all
            raw.endheaders()
            content = io.BytesIO(body) if isinstance(body, bytes) else body
            while length > 0 and (piece := content.read(min(length, SEND_BYTES))):
                raw.send(piece)
                traffic.add(len(piece))
                length -= len(piece)
        response = raw.getresponse()
        if not response.chunked and response.headers.get("Transfer-Encoding", "identity").lower() != "identity":
            raise OddCoding
        return Answer(self, response)

    def keep(self) -> None:
        """Keeps the connection for reuse."""
        self.is_used = True
        with _lock:
            _idle.append(self)
            oldest = _idle.pop(0) if len(_idle) > IDLE_MAX else None
        if oldest is not None:
            oldest.close()

    def is_alive(self) -> bool:
        """Returns whether the other side has neither closed the connection nor sent anything unasked."""
        line = self._raw.sock
        if line is None or (isinstance(line, ssl.SSLSocket) and line.pending()):
            return False
        poll = select.poll()
        poll.register(line, select.POLLIN | select.POLLHUP | select.POLLERR)
        return not poll.poll(0)

    def close(self) -> None:
        self._raw.close()


_idle: list[_Connection] = []
_lock = threading.Lock()


def _kept(endpoint: Endpoint) -> _Connection | None:
    """Returns a kept connection to the endpoint; closes those that have broken."""
    while True:
        with _lock:
            connection = next((each for each in reversed(_idle) if each.endpoint == endpoint), None)
            if connection is None:
                return None
            _idle.remove(connection)
        if connection.is_alive():
            return connection
        connection.close()


@atexit.register
def _close_idle() -> None:
    """Closes what is kept, so that Python does not complain about each of them at its exit."""
    while _idle:
        _idle.pop().close()


def _let_go_of(endpoint: Endpoint) -> None:
    with _lock:
        those = [each for each in _idle if each.endpoint == endpoint]
        _idle[:] = [each for each in _idle if each.endpoint != endpoint]
    for connection in those:
        connection.close()


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    if bundle := os.environ.get("AWS_CA_BUNDLE"):
        try:
            context.load_verify_locations(bundle)
        except OSError as error:
            if error.errno in _OF_THIS_MACHINE:
                raise
            raise OSError(errno.EINVAL, f"AWS_CA_BUNDLE names no certificates ({shown(bundle)})") from None
    if not context.get_ca_certs() and not ssl.get_default_verify_paths().capath:  # a system without certificates
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def _proxy_of(endpoint: Endpoint) -> str | None:
    """Returns the URL of the proxy that the environment names (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`)."""
    proxy = getproxies().get("https" if endpoint.secure else "http")
    if not proxy or proxy_bypass(endpoint.authority):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _login_in(proxy: str) -> dict[str, str]:
    """Returns the header for a proxy whose URL has a user in it."""
    user, at, _ = urlsplit(proxy).netloc.rpartition("@")
    return {"Proxy-Authorization": f"Basic {b64encode(unquote_to_bytes(user)).decode()}"} if at else {}


_WRONG: Final[dict[type[Exception], str]] = {
    http.client.BadStatusLine: "its first line",
    http.client.LineTooLong: "a line is too long",
    InterimWithoutEnd: "it is announced without end",
    OddCoding: "its Transfer-Encoding",
}


@contextmanager
def _said(host: str, seconds: float) -> Iterator[None]:
    """Turns errors of a connection into our own messages; `Unavailable` if the reason can pass with time."""
    try:
        yield
    except TimeoutError:
        raise Unavailable(f"{host} sent nothing for {seconds:g} s") from None
    except ConnectionRefusedError:
        raise Unavailable(f"{host} refused the connection") from None
    except (ConnectionError, http.client.RemoteDisconnected, http.client.IncompleteRead, ssl.SSLEOFError):
        raise Unavailable("the connection broke off") from None
    except socket.gaierror as error:
        if error.errno in (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM):
            raise Unavailable(f"the address of {host} could not be resolved") from None
        raise OSError(errno.EHOSTUNREACH, f"no host is called {host}") from None
    except ssl.SSLCertVerificationError as error:
        raise OSError(errno.EPROTO, f"the certificate of {host} is not valid ({shown(error.verify_message)})") from None
    except ssl.SSLError as error:
        raise OSError(errno.EPROTO, f"{host} offers no usable TLS ({shown(error.reason)})") from None
    except (http.client.HTTPException, UnicodeError, ValueError) as error:
        what = _WRONG.get(type(error), "its headers or chunks")
        raise OSError(errno.EPROTO, f"{host} sent an answer that is not HTTP ({what})") from None
    except OSError as error:
        if isinstance(error, Unavailable) or error.errno in _OF_THIS_MACHINE:
            raise
        raise Unavailable(f"{host} cannot be reached ({error.strerror or shown(error)})") from None
