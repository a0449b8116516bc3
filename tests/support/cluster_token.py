"""This user's token goes to the cluster that asks for it, and nowhere else; the environment stays as it is."""

import json
import os
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import grpc
import pytest
import ray

from linkmatch_ray.errors import ClusterError
from linkmatch_ray.runtime.cluster.jobs_api import Cluster
from linkmatch_ray.runtime.session import cluster_token, ray_internals
from linkmatch_ray.runtime.session.address import OVERRIDE

TOKEN = "a-token-of-this-user-0123456789abcdef"
VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_JOB_HEADERS", OVERRIDE)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home directory with a token, and nothing else said."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray/auth_token").write_text(TOKEN)
    ray_internals.read_auth_mode()
    yield tmp_path
    monkeypatch.undo()
    ray_internals.read_auth_mode()


@contextmanager
def http(answer):
    """A server on loopback; gives its URL, and the Authorization of each request. `answer` makes of it a status, and
    where to go instead."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers.get("Authorization"))
            status, location = answer(seen[-1])
            body = json.dumps({"ray_version": ray.__version__}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if location is not None:
                self.send_header("Location", location + self.path)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()


def connect(url):
    """A client of it; which leaves the address in the environment, for Ray's own."""
    try:
        return Cluster(url)
    finally:
        del os.environ[OVERRIDE]


def asks(given):
    """As Ray's dashboard answers: without a token 401, with another 403."""
    return (200 if given == f"Bearer {TOKEN}" else 401 if given is None else 403), None


def test_over_http_it_is_asked_first():
    """One that does not ask gets none; one that asks gets it with the next request and those that follow."""
    with http(lambda _: (200, None)) as (url, seen):
        connect(url)
        assert set(seen) == {None}
    with http(asks) as (url, seen):
        cluster = connect(url)
        before = len(seen)
        cluster._client._do_request("GET", "/api/jobs/")
        assert (seen[0], set(seen[1:]), len(seen)) == (None, {f"Bearer {TOKEN}"}, before + 1)
        assert not cluster.token_was_readable  # it is this machine
    assert not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} & set(os.environ)


@pytest.mark.parametrize(
    ("variables", "sent", "said"),
    [
        ({"RAY_AUTH_MODE": "disabled"}, [None], "got none. Unset RAY_AUTH_MODE, which is disabled here, and put"),
        ({"HOME": "/nowhere"}, [None], "got none. Put the cluster's token"),
        ({"RAY_AUTH_TOKEN_PATH": "/nowhere"}, [None], "RAY_AUTH_TOKEN_PATH is set but .*: /nowhere. Correct or unset"),
        ({"RAY_AUTH_TOKEN": "other"}, [None, "Bearer other"], "refuses this user's token. Put"),
        ({"RAY_JOB_HEADERS": '{"authorization": "Basic Og=="}'}, ["Basic Og=="], "refuses this user's token"),
    ],
    ids=str,
)
def test_what_cannot_be(variables, sent, said, monkeypatch):
    """What was sent, and what is to be done."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ray_internals.read_auth_mode()
    with http(asks) as (url, seen):
        with pytest.raises(ClusterError, match=said):
            connect(url)
        assert seen == sent


def test_another_host_that_is_led_to_gets_none():
    """The user named the first one: where that leads to may ask as it likes."""
    with http(asks) as (other, at_other):
        elsewhere = other.replace("127.0.0.1", "localhost")
        with http(lambda _: (307, elsewhere)) as (url, at_named), pytest.raises(ClusterError, match="got none"):
            connect(url)
    assert at_named == [None, f"Bearer {TOKEN}"]
    assert at_other == [None, None]


def test_that_it_could_be_read_is_said(monkeypatch):
    """Over http to another machine; here one that is called so."""
    monkeypatch.setattr("linkmatch_ray.runtime.cluster.client.LOOPBACK", ())
    with http(asks) as (url, _):
        assert connect(url).token_was_readable
    with http(lambda _: (200, None)) as (url, _):
        assert not connect(url).token_was_readable


@contextmanager
def gcs(*, asking):
    """A gRPC server on loopback; gives its address, and the authorization of each call."""
    seen = []

    class Calls(grpc.GenericRpcHandler):
        def service(self, call):
            given = dict(call.invocation_metadata).get("authorization")
            seen.append(given)

            def answer(_, context):
                if asking and given != f"Bearer {TOKEN}":
                    context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
                return b""

            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.server(futures.ThreadPoolExecutor(2), [Calls()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", seen
    finally:
        server.stop(0).wait()


@pytest.fixture
def as_it_is(monkeypatch):
    """Ray would ask at the machine's address instead of 127.0.0.1."""
    monkeypatch.setattr(ray_internals, "as_joined", lambda address: address)


@pytest.mark.usefixtures("as_it_is")
def test_who_joins_is_asked_first():
    """Ray sends it meanwhile if the cluster asks, and not before nor after."""
    with gcs(asking=False) as (address, seen), cluster_token.let_in(address, "there"):
        assert not ray_internals.sends_the_token()
    assert seen == [None]
    with gcs(asking=True) as (address, seen):
        with cluster_token.let_in(address, "there"):
            assert ray_internals.sends_the_token()
            assert os.environ["RAY_AUTH_MODE"] == "token"
        assert seen == [None, f"Bearer {TOKEN}"]
    assert not ray_internals.sends_the_token()
    assert "RAY_AUTH_MODE" not in os.environ


@pytest.mark.usefixtures("as_it_is")
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"RAY_AUTH_TOKEN": "other"}, "there: refuses this user's token. Put"),
        ({"RAY_AUTH_MODE": "disabled"}, "there: refuses access, because the token is missing or wrong. Unset"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "other"}, "there: refuses access"),
        ({"HOME": "/nowhere"}, "there: refuses access, because the token is missing or wrong. Put"),
    ],
    ids=str,
)
def test_who_cannot_join_is_told_at_once(variables, said, monkeypatch):
    """Ray tries 20 times, a second each."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ray_internals.read_auth_mode()
    with (
        gcs(asking=True) as (address, _),
        pytest.raises(ClusterError, match=said),
        cluster_token.let_in(address, "there"),
    ):
        pass
    assert os.environ.get("RAY_AUTH_MODE") == variables.get("RAY_AUTH_MODE")
