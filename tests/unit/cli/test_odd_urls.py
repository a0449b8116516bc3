"""Odd URLs wherever a path or URL is taken: each command ends at once, with one line that says what to do."""

import os
import time
from http.server import BaseHTTPRequestHandler

import pytest

from linkmatch_ray.io.storage import object_store
from linkmatch_ray.io.storage.stores import store_at
from tests.support.objects import CREDENTIALS, serving
from tests.support.program import program
from tests.support.tiers import some

SECONDS_MAX = 5  # on a machine that does other things

KEYS = (
    "", "/", "//", "x//y", "x/../y", "./z", "../z", "..", "a%00b", "a%zz", "%", "a%2Fb", "%2e%2e/x", "#b", "a#", "?q=1",
    "a?", "a b", "é", b"\xff", "a\nb", "\x1b[2J", "*", "a/*", "[", "[!", "[a", "[]", "[z-a]", "**", "**/x", "x" * 5000,
    "{a}", "|", "\\", "~", ";x", "%F0%28", " ", "\t", "a/", "a/./b/", "linkmatch.lock", "summary.json/",
    "matched/part-0",
)  # fmt: skip

HOSTS = (
    "", "/x", "h:99999/x", "h:0/x", "h:abc/x", "h:-1/x", "[::1/x", "[::1]:x/y", "[zz]/x", "a b/x", "%00/x", "%/x",
    b"\xff/x", "\n/x", "@/x", "@h/x", "h@/x", ":/x", "h:1:2/x", "*", "*/x", "?", "#", "?x", "#x", "h?x", "h#x",
    "127.0.0.1:1/x", "\x1b/x",
)  # fmt: skip
"""None of them is asked for by name."""

BUCKETS = ("h_h/x", "..", "../x", "./x", "é/x", "a" * 300 + "/x", "a..b/x", ".a/x", "-/x", "h/x", "A/B/x")

OTHERS = (
    "s3:/b/x", "s3:b", "s3:", "http:", "http:/x", "://x", "://", "1s3://x", "x://", "x:// ", "ftp://h/x", "ray://h:1",
    "ray://", "s3:///", "s3://b?versionId=1", "+://x", "s3 ://x", " s3://b", "s3://b\\x", "file:", "file:/x",
    "file://localhost", "file://host/x", "FILE:///nowhere", "hdfs://n/x", "s3a://b/x", "abfs://x@y/z", "gcs://b/x",
)  # fmt: skip

NAMED = ("http://127.0.0.1:1/x//y", "x/../y", "./z", "a%00b", "http:///x", "http://h:99999/x")
"""Those of which it is known that they gave a traceback."""

DASHBOARD = ("--address", "http://127.0.0.1:1")

PLACES = {
    "input": lambda url: ("submit", url, "-r", "list", "--dry-run"),
    "list": lambda url: ("submit", "a.json", "-r", url, "-o", "out", "--dry-run"),
    "a line of --files-from": lambda url: ("submit", "--files-from", "names", "-r", "list", "--dry-run"),
    "--files-from": lambda url: ("submit", "--files-from", url, "-r", "list", "--dry-run"),
    "output": lambda url: ("submit", "a.json", "-r", "list", "-o", url, "--dry-run"),
    "explain": lambda url: ("explain", url, "-r", "list"),
    "explain -r": lambda url: ("explain", "a.json", "-r", url),
    "status": lambda url: ("status", url),
    "verify": lambda url: ("verify", url),
    "cancel": lambda url: ("cancel", url),
    "results": lambda url: ("results", url, "-o", "new"),
    "results -o": lambda url: ("results", "file:///nowhere", "-o", url),
    "input on a cluster": lambda url: ("submit", url, "-r", "list", "-o", "/x", *DASHBOARD),
    "output on a cluster": lambda url: ("submit", "/a", "-r", "list", "-o", url, *DASHBOARD),
    "list on a cluster": lambda url: ("submit", "/a", "-r", url, "-o", "/x", *DASHBOARD),
    "--address": lambda url: ("jobs", "--address", url),
    "doctor": lambda url: ("doctor", url, *DASHBOARD),
}


def odd_urls(host):
    """Some hundred, as bytes. Keys at each kind of store, hosts and buckets in each scheme, and what is no URL."""
    roots = ("s3://b", "gs://b", "az://acct/c", "S3://b", "file:///nowhere", f"http://{host}", f"HTTP://{host}")
    yield from (os.fsencode(root) + b"/" + os.fsencode(key) for root in roots for key in KEYS)
    yield from (
        f"{scheme}://".encode() + os.fsencode(rest)
        for scheme in ("s3", "gs", "az", "http", "https", "file")
        for rest in (*HOSTS, *(BUCKETS if scheme in ("s3", "gs", "az") else ()))
        if (scheme, rest) not in (("file", ""), ("file", "/x"))  # all files there are
    )
    yield from map(os.fsencode, OTHERS)


class Nothing(BaseHTTPRequestHandler):
    """A store that has nothing."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - the names that the server asks for

    def log_message(self, *args):
        pass


@pytest.fixture
def host(tmp_path, monkeypatch):
    """An empty store of every kind, asked once; and files beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_text('{"data":"x"}')
    (tmp_path / "list").write_text('["x"]')
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(object_store, "WAIT_SECONDS", 0.0)
    store_at.cache_clear()
    with serving(Nothing) as port:
        endpoints = ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST", "AZURE_STORAGE_ENDPOINT")
        for name, value in (*CREDENTIALS.items(), *((each, f"http://127.0.0.1:{port}") for each in endpoints)):
            monkeypatch.setenv(name, value)
        yield f"127.0.0.1:{port}"
    store_at.cache_clear()


@pytest.mark.parametrize("place", PLACES)
def test_odd_urls(host, place, tmp_path, monkeypatch):
    """Those that are known for it in every place, and each of some hundred in one of them."""
    number, urls = list(PLACES).index(place), list(odd_urls(host))
    assert len(urls) > 400
    chosen = [url for count, url in enumerate(urls) if count % len(PLACES) == number]
    for url in (*map(os.fsencode, NAMED), *some(chosen)):
        (tmp_path / "names").write_bytes(url.replace(b"\n", b"") + b"\n")
        monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)  # as a command leaves it
        began = time.monotonic()
        code, _, error = program(*PLACES[place](url))
        assert time.monotonic() - began < SECONDS_MAX, url
        asks = "cluster" in place or place in ("--address", "doctor")
        assert code in ((0, 2, 3, 5) if asks else (0, 2, 3)), (url, error)
        if code:
            assert error.count("\n") == 1, (url, error)
            assert error.startswith("linkmatch-ray: "), (url, error)
            assert ". " in error.rstrip(), (url, error)  # what is wrong, and what to do
            assert error.endswith(".\n"), (url, error)
