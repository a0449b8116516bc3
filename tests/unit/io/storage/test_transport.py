"""One request on the line: kept connections, TLS, a proxy, and what is said if it fails."""

import datetime
import ipaddress
import os
import socket
import ssl
import threading
from base64 import b64encode
from contextlib import ExitStack, closing, suppress
from http.server import BaseHTTPRequestHandler
from threading import Barrier

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from linkmatch_ray.io.storage import transport
from linkmatch_ray.io.storage.endpoint import endpoint_of, in_target
from linkmatch_ray.io.storage.side_by_side import side_by_side
from linkmatch_ray.io.storage.transport import Unavailable, ask
from tests.support import hostile
from tests.support.hostile import answer
from tests.support.objects import serving

BODY = bytes(range(256)) * 1000


class Plain(BaseHTTPRequestHandler):
    """Gives `BODY`, keeps connections, and counts them."""

    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.connections = getattr(self.server, "connections", 0) + 1

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.send_header("Connections", str(self.server.connections))
        self.send_header("Target", self.path)
        self.end_headers()
        self.wfile.write(BODY)
        self.close_connection = self.path == "/closes"  # and nothing says so

    def handle(self):
        with suppress(ConnectionError):  # of a client that leaves the rest
            super().handle()

    def log_message(self, *args):
        pass


def get(endpoint, target="/"):
    """The answer's headers and body."""
    with ask(endpoint, "GET", target, {}) as answer:
        return answer.headers, answer.read()


def test_connections_are_used_again():
    """If the server keeps them; one that was closed meanwhile is replaced without a word."""
    with serving(Plain) as port:
        endpoint = endpoint_of(f"http://127.0.0.1:{port}")
        counts = [int(get(endpoint, target)[0]["Connections"]) for target in ("/", "/", "/closes", "/", "/")]
        assert counts == [1, 1, 1, 2, 2]
        with ask(endpoint, "GET", "/", {}) as answer:
            answer.read(10)  # and leaves the rest
        headers, body = get(endpoint)
        assert (headers["Connections"], body) == ("3", BODY)


def kept(endpoint):
    return [each for each in transport._idle if each.endpoint == endpoint]


def test_connections_are_kept_in_number(monkeypatch):
    """Of many hosts too, or a job would have no file descriptor left."""
    monkeypatch.setattr(transport, "IDLE_MAX", 3)
    monkeypatch.setattr(transport, "_idle", [])
    with ExitStack() as servers:
        ports = [servers.enter_context(serving(Plain)) for _ in range(5)]
        endpoints = [endpoint_of(f"http://127.0.0.1:{port}") for port in ports]
        for endpoint in endpoints:
            get(endpoint)
        assert [len(kept(endpoint)) for endpoint in endpoints] == [0, 0, 1, 1, 1]
        assert len(transport._idle) == 3
        for endpoint in endpoints:
            transport._let_go_of(endpoint)


def test_connections_that_went_silent(monkeypatch):
    """As a router may leave them: one of them is waited for, and not each."""
    monkeypatch.setattr(transport, "SILENCE_SECONDS", 0.2)
    together, silent = Barrier(8), threading.local()

    def script(request):
        if request.target == b"/first":
            silent.is_it = True
            together.wait(10)
            return [answer(200)]
        return [hostile.HOLD] if getattr(silent, "is_it", False) else [answer(200, b"here")]

    with hostile.serving(script) as server:
        endpoint = endpoint_of(f"http://{server.host}")
        for _ in side_by_side(lambda target: get(endpoint, target), ["/first"] * 8, 8):
            pass
        assert len(kept(endpoint)) == 8
        assert get(endpoint)[1] == b"here"
    assert len(server.requests) == 8 + 2


def test_a_connection_on_which_something_failed():
    """Is not used again, whatever else comes on it: that would be the answer to the next request."""
    chunked = {"Content-Length": None, "Transfer-Encoding": "chunked"}

    def script(request):
        if request.target == b"/":
            return [answer(200, b"", chunked) + b"zz\r\n", 0.1, answer(200, b"of before")]
        return [answer(200, b"of this")]

    with hostile.serving(script) as server:
        endpoint = endpoint_of(f"http://{server.host}")
        with pytest.raises(Unavailable):
            get(endpoint)
        assert not kept(endpoint)
        assert get(endpoint, "/next")[1] == b"of this"


def test_more_than_was_asked_for_in_tls(certificate, monkeypatch):
    """What came with the answer is no answer to the next request, though it lies in the layer of TLS already."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    first = answer(200, b"x" * 30_000) + answer(200, b"of before")
    script = lambda request: [first if request.target == b"/" else answer(200, b"of this")]  # noqa: E731
    monkeypatch.setenv("AWS_CA_BUNDLE", os.fspath(certificate))
    transport._tls.cache_clear()
    try:
        with hostile.serving(script, tls=context) as server:
            endpoint = endpoint_of(f"https://{server.host}")
            get(endpoint)
            assert get(endpoint, "/next")[1] == b"of this"
    finally:
        transport._tls.cache_clear()


@pytest.mark.parametrize("prefix", ["", "/below"])
def test_the_target_is_what_is_given(prefix):
    """Byte for byte, whatever it looks like; an endpoint's own path stands before it."""
    with serving(Plain) as port:
        endpoint = endpoint_of(f"http://127.0.0.1:{port}{prefix}")
        for target in ("/a%2fb", "/a%2Fb", "/%2525", "/../x", "/./x", "/x//y", "/x/", "/%zz", "/+&=;:@!$'()*,[]~"):
            assert get(endpoint, target)[0]["Target"] == prefix + target
    assert in_target(bytes(range(256))).count("%") == 256 - len("/-_.~") - 62


@pytest.fixture
def certificate(tmp_path):
    """A certificate of 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = made.add_extension(here, critical=False).sign(key, hashes.SHA256())
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_certificates(certificate, monkeypatch):
    """One that nobody vouches for is refused and said so; with AWS_CA_BUNDLE it is known."""
    with serving(Plain, certificate) as port:
        endpoint = endpoint_of(f"https://127.0.0.1:{port}")
        transport._tls.cache_clear()
        with pytest.raises(OSError, match=r"the certificate of 127\.0\.0\.1:\d+ is not valid \(self-signed") as refused:
            get(endpoint)
        assert not isinstance(refused.value, Unavailable)
        monkeypatch.setenv("AWS_CA_BUNDLE", os.fspath(certificate))
        transport._tls.cache_clear()
        try:
            assert get(endpoint)[1] == BODY
        finally:
            transport._tls.cache_clear()
        with pytest.raises(Unavailable, match="broke off"):  # plain words to a server that expects TLS
            get(endpoint_of(f"http://127.0.0.1:{port}"))
    with serving(Plain) as port, pytest.raises(OSError, match="offers no usable TLS"):
        get(endpoint_of(f"https://127.0.0.1:{port}"))


def test_a_proxy(monkeypatch):
    """That the environment names is asked for the whole URL, but not for a host that needs none."""
    with serving(Plain) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert get(endpoint_of("http://nowhere.invalid/a"), "/b")[0]["Target"] == "http://nowhere.invalid/a/b"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert get(endpoint_of(f"http://127.0.0.1:{port}"), "/b")[0]["Target"] == "/b"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_with_a_user(scheme, monkeypatch):
    """Is told who asks; the server behind it is not."""
    asked = []

    def script(request):
        asked.append((request.method, request.headers.get("proxy-authorization")))
        return [answer(407)]

    with hostile.serving(script) as server:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://user:p%40w@{server.host}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with suppress(Unavailable):
            get(endpoint_of(f"{scheme}://nowhere.invalid"))
    method = "GET" if scheme == "http" else "CONNECT"
    assert asked == [(method, "Basic " + b64encode(b"user:p@w").decode())]


@pytest.mark.parametrize("content", [None, "nothing"])
def test_certificates_that_are_none(content, tmp_path, monkeypatch):
    """It is said; no object is missing because of that."""
    if content is not None:
        (tmp_path / "bundle.pem").write_text(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", os.fspath(tmp_path / "bundle.pem"))
    transport._tls.cache_clear()
    with pytest.raises(OSError, match="AWS_CA_BUNDLE names no certificates") as failed:
        get(endpoint_of("https://127.0.0.1:1"))
    assert type(failed.value) is OSError
    transport._tls.cache_clear()


def test_failures(monkeypatch):
    """Each says what it was, and whether it can pass."""
    with closing(socket.socket()) as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="refused the connection"):
            get(endpoint_of(f"http://127.0.0.1:{closed.getsockname()[1]}"))
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.05)
    monkeypatch.setattr(transport, "SILENCE_SECONDS", 0.1)
    silent = socket.create_server(("127.0.0.1", 0))
    with closing(silent), pytest.raises(Unavailable, match=r"sent nothing for 0\.1 s"):
        get(endpoint_of(f"http://127.0.0.1:{silent.getsockname()[1]}"))
    for url in ("ftp://a", "a", "http://", "http://a:b", "http://a b", "http://a..b"):
        with pytest.raises(OSError, match="is no http"):
            endpoint_of(url)


def test_a_file_descriptor_too_few(monkeypatch):
    """Is this machine's fault, and stays what it is: no input is to blame."""
    from tests.support.limits import files_left

    with serving(Plain) as port, files_left(0), pytest.raises(OSError, match="Too many open files"):
        get(endpoint_of(f"http://127.0.0.1:{port}"))


def test_tls_of_the_default_is_checked():
    """Names and chains."""
    context = transport._tls()
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
