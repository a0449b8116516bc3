"""A server that takes every connection and request, and answers none."""

import socket
from contextlib import closing, contextmanager
from threading import Event, Thread

LARGE = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\nAccept-Ranges: bytes\r\n"
    b'ETag: "a"\r\nLast-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\n\r\n'
)
"""What a HEAD of an object gives that is looked at before it is read."""


@contextmanager
def silent(head=None):
    """Gives its port, and what is set once a request came that has no answer; `head` is the one to a HEAD."""
    asked = Event()

    def serve(connection):
        with connection, closing(connection.makefile("rb")) as requests:
            while line := requests.readline():
                while requests.readline().strip():
                    pass
                if head is not None and line.startswith(b"HEAD "):
                    connection.sendall(head)
                else:
                    asked.set()

    def accept():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:  # closed
                return
            Thread(target=serve, args=[connection], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1], asked
