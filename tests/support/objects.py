"""A real S3 endpoint over HTTP, and a proxy before it that does what networks do."""

import http.client
import random
import ssl
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from moto.server import ThreadedMotoServer

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": "a-secret", "AWS_REGION": "us-east-1"}


@contextmanager
def serving(handler, certificate=None):
    """An HTTP server in a thread, with TLS if it has a certificate; gives its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # a client that hangs up at the certificate
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)  # it ends as soon
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answering(*answers, asked=None):
    """A server that gives these answers, one after another: status, headers, body. Notes what it was asked."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if asked is not None:
                asked.append(f"{self.command} {self.path}")
            status, headers, body = left.pop(0)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = answer  # noqa: N815 - the names that the server asks for

        def log_message(self, *args):
            pass

    return serving(Handler)


@contextmanager
def s3(bucket):
    """An S3 endpoint with an empty bucket; gives its port."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        port = server.get_host_and_port()[1]
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/{bucket}", method="PUT")).close()
        yield port
    finally:
        server.stop()


def unreliable(port, seed, faults, rate=0.15):
    """A proxy that answers so many GETs with 503, breaks off in the body, gives a short one, or waits.

    With the fault `lost`, requests that change something are done, and then answered as if they had not been.
    """
    rng = random.Random(seed)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            upstream = http.client.HTTPConnection("127.0.0.1", port)
            upstream.request(self.command, self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            content = answer.read()
            struck = self.command == "GET" and len(content) > 1 and rng.random() < rate
            fault = rng.choice(faults) if struck else None
            changes = self.command in ("PUT", "POST", "DELETE")
            if changes and "lost" in faults and rng.random() < rate:
                fault = rng.choice(["503", "reset"])
            if fault == "503":
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if fault == "slow":
                time.sleep(0.3)
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                    self.send_header(name, value)
            length = len(content) if self.command == "GET" or content else int(answer.getheader("Content-Length") or 0)
            short = content[: len(content) // 2]
            self.send_header("Content-Length", str(len(short) if fault == "short" else length))
            self.end_headers()
            self.wfile.write(short if fault in ("short", "reset") else content)
            if fault == "reset":
                self.close_connection = True
            upstream.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward  # noqa: N815 - the names that the server asks for

        def log_message(self, *args):
            pass

    return serving(Handler)


def altering_creates(port, alter):
    """A proxy that passes all on, but for what is to be made only where nothing is: there `alter` is given the
    headers, to change them, and how often this object was to be made before; it returns a status, or None to go on."""
    tried = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self):
            body, headers = self.rfile.read(int(self.headers.get("Content-Length") or 0)), dict(self.headers)
            status, content, answered = None, b"", []
            if "if-none-match" in map(str.lower, headers):
                status = alter(headers, tried[self.path])
                tried[self.path] += 1
            if status is None:
                upstream = http.client.HTTPConnection("127.0.0.1", port)
                upstream.request(self.command, self.path, body, headers)
                answer = upstream.getresponse()
                status, content, answered = answer.status, answer.read(), answer.getheaders()
                upstream.close()
            self.send_response(status)
            for name, value in answered:
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                    self.send_header(name, value)
            length = dict(answered).get("Content-Length", 0) if self.command == "HEAD" else len(content)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward  # noqa: N815 - the names that the server asks for

        def log_message(self, *args):
            pass

    return serving(Handler)
