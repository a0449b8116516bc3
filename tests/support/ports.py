"""Ports for servers that are yet to start."""

import contextlib
import secrets
import socket


def free_port():
    """A port that no server has: at random, and below those that the system gives to connections.

    One of those would be taken by another before the server comes. Ray's agent then goes on without its port, and its
    cluster starts no job.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("", port))
            return port
