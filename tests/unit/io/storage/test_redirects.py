"""Redirects: an object store follows none, and http(s) inputs take nothing of ours along."""

import datetime
import re
import ssl

import pytest

from linkmatch_ray import MatchOptions
from linkmatch_ray.errors import LinkmatchError
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.opening import open_input
from linkmatch_ray.runtime.jobs.plan import PlanOptions
from tests.support import whole
from tests.support.hostile import answer, ended, file, given, serving
from tests.support.hostile_s3 import Bucket
from tests.support.objects import CREDENTIALS

pytestmark = pytest.mark.usefixtures("impatient")

CONTENT = b'{"data":"a"}\n' * 50
STATUSES = [301, 302, 303, 307, 308]
OURS = ("authorization", "cookie", "proxy-authorization", "referer", "origin")


@pytest.fixture(autouse=True)
def credentials(s3_at, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token")


def to(place, status=302):
    return lambda request: [answer(status, b"", {"Location": place})]


def assert_nothing_of_ours(server):
    assert server.requests
    for request in server.requests:
        assert not [name for name in request.headers if name in OURS or name.startswith("x-")]
        assert not [name for name in CREDENTIALS.values() if name in str(request)]
        assert request.headers["host"] == server.host


@pytest.mark.parametrize("status", STATUSES)
def test_to_another_host(status):
    """It is read there, and what is asked there is only what is needed."""
    with serving(file(CONTENT)) as other, serving(to(f"http://{other.host}/b%20c", status)) as server:
        assert given(f"http://{server.host}/a") == CONTENT
    assert set(other.targets) == {b"/b%20c"}
    assert_nothing_of_ours(other)
    assert_nothing_of_ours(server)


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("/x/b", b"/x/b"),
        ("b", b"/a/b"),
        ("../b", b"/b"),
        ("?t=1&u=%2F", b"/a/?t=1&u=%2F"),
        ("/b?t=%2B+", b"/b?t=%2B+"),
        ("/%2525%2F", b"/%2525%2F"),
        ("/é", b"/%C3%A9"),
        ("/b#part", b"/b"),
    ],
)
def test_to_another_path(place, target):
    """As the server wrote it; a query, which may be a secret, is in no name."""

    def script(request):
        if request.target == b"/a/":
            return [answer(302, b"", {"Location": place.encode().decode("latin-1")})]
        return file(CONTENT)(request)

    with serving(script) as server:
        (found,) = list_inputs([f"http://{server.host}/a/"]).files
        with open_input(found) as opened:
            assert opened.read(len(CONTENT)) == CONTENT
    assert found.name == found.path == f"http://{server.host}/a/".encode()
    assert set(server.targets) == {b"/a/", target}


def test_to_bytes_that_are_no_text():
    """They are asked for as they are."""
    with serving(to("/caf\xe9?\xff")) as server:
        given(f"http://{server.host}/a")
    assert server.targets[1] == b"/caf%E9?%FF"


@pytest.mark.parametrize("host", ["a b", "a..b", "a" * 64, "b\xc3\xbccher..x", "<>"])
def test_to_what_is_no_host(host):
    """Said, and not tried."""
    with serving(to(f"http://{host}/b")) as server:
        assert "which is no http:// or https:// URL" in given(f"http://{server.host}/a")


def test_a_summary_names_the_host(tmp_path):
    """As the data came from there, whatever the URL says."""
    with serving(file(CONTENT)) as other, serving(to(f"http://{other.host}/b?token=secret")) as server:
        url = f"http://{server.host}/a"
        summary = whole.submit(url, tmp_path / "out", MatchOptions(), PlanOptions())
    assert summary["totals"]["matched"] == 50
    assert f"{url} redirects to another host, and was read from {other.host}." in summary["hints"]
    for path in (tmp_path / "out").iterdir():
        assert b"secret" not in path.read_bytes()


def test_a_secret_in_a_redirect_is_not_said():
    """Neither of its query nor of its user; the host is."""
    with serving(lambda request: [answer(404)]) as other, serving(to(f"http://{other.host}/b?Signature=abc")) as server:
        found = given(f"http://{server.host}/a")
    assert other.host in found
    assert "abc" not in found
    with serving(to("http://u:secret@127.0.0.1:1/b")) as server:
        found = given(f"http://{server.host}/a")
    assert "secret" not in found


def test_what_was_found_elsewhere_is_bound_to_its_version():
    """If it leads to another content later, that is another version."""
    contents = [CONTENT, CONTENT[::-1]]
    with serving(lambda request: file(contents[0])(request)) as other, serving(to(f"http://{other.host}/b")) as server:
        (found,) = list_inputs([f"http://{server.host}/a"]).files
        contents.pop(0)
        with open_input(found) as opened, pytest.raises(Exception) as failed:  # noqa: PT011 - `Changed`
            opened.read(10)
    assert type(failed.value).__name__ == "Changed"


@pytest.fixture
def secure(tmp_path, monkeypatch):
    """A context for servers that speak https, which clients trust."""
    x509 = pytest.importorskip("cryptography.x509", reason="needs cryptography, which comes with moto")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = serialization.NoEncryption()
    (tmp_path / "cert.pem").write_bytes(pem)
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, private)
    )
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    forget_contexts()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    yield context
    forget_contexts()


def forget_contexts():
    from linkmatch_ray.io.storage import transport

    transport._tls.cache_clear()


def test_between_https_and_http(secure):
    """To https it is followed, from https to http never: who listens there could give anything."""
    with serving(file(CONTENT)) as plain, serving(to(f"http://{plain.host}/b"), secure) as server:
        found = given(f"https://localhost:{server.port}/a")
        assert not plain.requests
        assert re.search(f"{plain.host}.*https|https.*{plain.host}", found), found
    with serving(file(CONTENT), secure) as server, serving(to(f"https://localhost:{server.port}/b")) as plain:
        assert given(f"http://{plain.host}/a") == CONTENT


def test_a_certificate_that_nobody_trusts(secure):
    """Is said, and nothing is asked."""
    with serving(file(CONTENT), secure) as server:
        found = given(f"https://127.0.0.1:{server.port}/a")
    assert "certificate of 127.0.0.1" in found
    assert not server.requests


# Object stores


def refusals(url):
    """What is said when an object is examined, listed and read."""
    yield lambda: list_inputs([f"{url}/a.json"])
    yield lambda: list_inputs([f"{url}/p/"])
    yield lambda: list_inputs([f"{url}/p/*.json"])


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", [b"", b"<Error><Code>PermanentRedirect</Code><Endpoint>elsewhere</Endpoint></Error>"])
def test_an_object_store_is_not_followed(status, body, tmp_path, s3_at):
    """To another host: nothing arrives there, and the message names it."""
    (tmp_path / "in.json").write_bytes(b'{"data":"a"}')
    with serving(file(CONTENT)) as other:
        moved = answer(status, body, {"Location": f"http://{other.host}/lake/a.json?x=secret"})
        with serving(lambda request: [moved]) as server:
            s3_at(server)
            for do in refusals("s3://lake"):
                server.requests.clear()
                with pytest.raises(LinkmatchError, match=f"s3://lake/.*redirect.*{other.host}") as refused:
                    ended(do)
                assert "secret" not in str(refused.value)
                assert len(server.requests) == 1
                assert server.requests[0].headers["x-amz-security-token"] == "a-token"
            with pytest.raises(LinkmatchError, match=f"s3://lake/.*redirect.*{other.host}"):
                whole.submit(tmp_path / "in.json", "s3://lake/out", MatchOptions(), PlanOptions())
        assert not other.requests


def test_an_object_that_moves_before_it_is_read(s3_at):
    """Its content is not taken from elsewhere."""
    bucket = Bucket({b"a.json": CONTENT})
    with serving(file(CONTENT)) as other:

        def script(request):
            return to(f"http://{other.host}/b")(request) if request.method == "GET" else bucket(request)

        with serving(script) as server:
            s3_at(server)
            found = given("s3://lake/a.json")
        assert not other.requests
    assert isinstance(found, str), "it was read"
    assert re.search(f"redirect.*{other.host}", found)
