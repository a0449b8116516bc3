"""An HTTP/1.1 server on loopback that answers with exactly the bytes that a test scripts, and keeps what it was asked.

A script is a function: request -> the steps of the answer, each of them bytes to send, a number of seconds to wait,
`CLOSE`, `RESET` or `HOLD`. After the last step the connection waits for the next request.
"""

import re
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import contextmanager, suppress
from hashlib import md5
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Event, Thread
from typing import NamedTuple

from linkmatch_ray.errors import LinkmatchError
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.opening import open_input
from linkmatch_ray.io.storage.errors import Changed

SILENCE = 0.3
"""Seconds without a byte after which the fixture `impatient` has a server given up."""

AGAIN = 6
"""So often in all something is asked for that can pass with time."""

ENDS_SECONDS = 20

CLOSE, RESET, HOLD = "close", "reset", "hold"
"""The connection is closed, is reset, or stays open without a word until the server ends."""


class Request(NamedTuple):
    """What came in: the request target as it stood in the request line, and headers by their names in lower case."""

    method: str
    target: bytes
    headers: dict[str, str]
    body: bytes


Script = Callable[[Request], Iterable[bytes | float | str]]


class Server:
    """What listens: its port, and all requests so far, in their order."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: list[Request] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[bytes]:
        return [request.target for request in self.requests]


@contextmanager
def serving(script: Script, tls=None):
    """Serve a script in threads; gives the server. With `tls`, a context, it speaks https."""
    ended = Event()

    class Connection(StreamRequestHandler):
        def setup(self):
            if tls is not None:
                self.request = tls.wrap_socket(self.request, server_side=True)
            super().setup()

        def finish(self):
            with suppress(OSError):
                super().finish()
            if tls is not None:  # the server knows only what it is wrapped around
                self.request.close()

        def handle(self):
            with suppress(OSError):
                while request := _received(self.rfile):
                    server.requests.append(request)
                    for step in script(request):
                        if isinstance(step, bytes):
                            self.wfile.write(step)
                        elif isinstance(step, float):
                            ended.wait(step)
                        else:
                            return self.end(step)
            return None

        def end(self, how):
            if how == HOLD:
                ended.wait()
            elif how == RESET:
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    class Listener(ThreadingTCPServer):
        request_queue_size = 64
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_):
            pass  # a client that goes away is none

    with Listener(("127.0.0.1", 0), Connection) as listener:
        server = Server(listener.server_address[1])
        thread = Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            ended.set()
            listener.shutdown()
            thread.join()


def _received(stream) -> Request | None:
    line = stream.readline()
    if not line.strip():
        return None
    method, _, rest = line.rstrip(b"\r\n").partition(b" ")
    headers = {}
    while (header := stream.readline().rstrip(b"\r\n").decode("latin-1")) != "":
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Request(method.decode(), rest.rpartition(b" ")[0], headers, body)


def answer(status: int | str = 200, body: bytes = b"", headers: dict[str, str | None] | None = None) -> bytes:
    """An answer with a Content-Length, unless a header says otherwise; None leaves a header out."""
    given: dict[str, str | None] = {"Content-Length": str(len(body)), **(headers or {})}
    lines = [f"HTTP/1.1 {status} So", *(f"{name}: {value}" for name, value in given.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def file(content: bytes, headers: dict[str, str | None] | None = None, ranges: bool = True) -> Script:
    """One content at every path, as a good server gives it: with ranges, and only if `If-Match` has its ETag."""
    about = {"ETag": f'"{md5(content).hexdigest()}"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    about |= {"Accept-Ranges": "bytes"} if ranges else {}
    about |= headers or {}

    def script(request: Request):
        wanted = request.headers.get("if-match")
        if wanted is not None and (wanted != about["ETag"] or wanted.startswith("W/")):
            yield answer(412)
        elif request.method == "HEAD":
            yield answer(200, b"", {"Content-Length": str(len(content)), **about})
        elif ranges and (span := span_of(request, len(content))):
            yield part(content, *span, about)
        else:
            yield answer(200, content, about)

    return script


def span_of(request: Request, size: int) -> tuple[int, int] | None:
    """The first byte and the one after the last that a request asks for; None if it asks for all."""
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    return found and (int(found[1]), min(int(found[2] or size) + 1, size))


def part(content: bytes, start: int, end: int, headers: dict[str, str | None]) -> bytes:
    """The answer to a request for a range."""
    return answer(206, content[start:end], {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}", **headers})


def given(url: str) -> bytes | str:
    """What is read of a URL, or what is said instead; without the URL, which must stand before it."""
    try:
        (listed,) = list_inputs([url]).files
        if listed.fault is not None:
            return listed.fault
        with open_input(listed) as opened:
            return b"".join(iter(lambda: opened.read(1 << 16), b""))
    except Changed:
        return "changed"
    except LinkmatchError as error:
        if not str(error).startswith(f"{url}: "):
            raise
        return str(error).removeprefix(f"{url}: ")
    except OSError as error:
        return error.strerror


def ended(do, *args):
    """What something returns; a test must not wait for what never ends."""
    results, errors = [], []

    def run():
        try:
            results.append(do(*args))
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(ENDS_SECONDS)
    if errors:
        raise errors[0]
    assert results, "it does not end"
    return results[0]
