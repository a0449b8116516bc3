"""Google Cloud Storage: what fake-gcs-server makes of our requests, whose they are, and what servers may do amiss."""

import gzip
import io
import json
import os
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from linkmatch_ray.errors import InputError
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.object_reader import ObjectReader
from linkmatch_ray.io.storage import gcs
from linkmatch_ray.io.storage.errors import Changed
from linkmatch_ray.io.storage.object_store import Meta
from linkmatch_ray.io.storage.stores import store_at
from linkmatch_ray.io.storage.transport import Unavailable
from tests.support.clouds import ODD, fake_gcs
from tests.support.objects import answering

pytestmark = pytest.mark.slow

NUMBERS = count()


@pytest.fixture(scope="module")
def service():
    """The URL of a service with the bucket `lake`."""
    with fake_gcs("lake") as url:
        yield url


@pytest.fixture
def bare(monkeypatch):
    """An environment that says nothing of Google, and has no machine to ask."""
    for name in os.environ:
        if name.startswith(("GOOGLE_", "STORAGE_EMULATOR_", "CLOUDSDK_")):
            monkeypatch.delenv(name)
    store_at.cache_clear()
    yield monkeypatch
    store_at.cache_clear()


@pytest.fixture
def top(service, bare):
    """A folder of the bucket that is empty."""
    bare.setenv("STORAGE_EMULATOR_HOST", service)
    return b"top%d/" % next(NUMBERS)


@pytest.fixture
def store(top):
    """The bucket."""
    return store_at("gs://lake")


def content(store, key, *place):
    with store.get(key, *place) as answer:
        return answer.read()


def test_listing_and_reading(top, store, monkeypatch):
    """Page by page and folder by folder; an object by ranges, from anywhere."""
    monkeypatch.setattr(gcs, "PAGE_OBJECTS", 3)
    names = [top + name.encode() for name in [*(f"{n}.jsonl" for n in range(10)), "deep/er/é &.json", "z/0.json"]]
    for name in names:
        store.put(name, name)
    files = list_inputs([b"gs://lake/" + top]).files
    assert [file.name for file in files] == [b"gs://lake/" + name for name in names]
    assert [file.size for file in files] == [len(name) for name in names]
    with ObjectReader(files[-2]) as reader:
        reader.seek(3)
        assert reader.read() == names[-2][3:]
    assert content(store, names[0], 1, 4) == names[0][1:4]


def test_names_are_asked_for_as_they_are(top, store):
    """Each is put, created, listed, found, read, copied and removed under its own bytes."""
    odd = (*ODD[:-1], b"p/../b", b"p/./b", b"p/.", b"a\\b", b"../x", b"o/x/rewriteTo/b/y")
    odd = [top + key[:1000] for key in odd]
    for number, key in enumerate(odd):
        store.put(key, b"of " + key, create=number % 2 == 0)
    assert sorted(meta.key for meta in store.list_page(top).objects) == sorted(odd)
    for key in odd:
        meta = store.head(key)
        assert content(store, key, 0, meta.size, meta) == b"of " + key
        store.copy(key, top + b"copy")
        assert content(store, top + b"copy") == b"of " + key
        store.delete(key)
    assert [meta.key for meta in store.list_page(top).objects] == [top + b"copy"]


def test_names_that_are_none(store):
    """They are never asked for, as on its way a path would become another."""
    for key in (b".", b"..", b"\xff"):
        for do in (store.get, store.delete, lambda key: store.put(key, b""), lambda key: store.copy(key, b"c")):
            with pytest.raises(OSError, match="Google Cloud Storage has no such name"):
                do(key)
        with pytest.raises(FileNotFoundError):
            store.head(key)
    assert store.list_page(b"\xff").objects == []


def test_another_version(top, store):
    """It is told from the one that was listed by its generation, also by a store that ignores `ifGenerationMatch`."""
    key = top + b"a"
    store.put(key, b"one")
    (meta,) = store.list_page(key).objects
    assert meta == store.head(key)
    assert content(store, key, 1, 3, meta) == b"ne"
    store.put(key, b"two")
    for end in (2, 3):
        with pytest.raises(Changed):
            store.get(key, 0, end, meta)
    store.delete(key)
    store.delete(key)
    with pytest.raises(FileNotFoundError):
        store.get(key)


def test_of_those_who_create_one_succeeds(top, store):
    """And what it wrote is there."""

    def create(number):
        try:
            store.put(top + b"lock", b"%d" % number, create=True)
        except FileExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        (winner,) = [number for number in pool.map(create, range(8)) if number is not None]
    assert content(store, top + b"lock") == b"%d" % winner


def test_a_file_is_sent_as_it_is(top, store):
    """In one request; from its beginning, wherever it is."""
    data = os.urandom(3_000_000)
    file = io.BytesIO(data)
    file.seek(1000)
    store.put(top + b"large", file)
    assert content(store, top + b"large") == data


def test_stored_gzip_comes_as_it_is(top, store, service):
    """Not inflated on its way, so that its size is the one that is listed, and ranges are of those bytes."""
    data, key = gzip.compress(b"hello " * 100, mtime=0), (top + b"z").decode()
    target = f"{service}/upload/storage/v1/b/lake/o?uploadType=media&contentEncoding=gzip&name={key}"
    urllib.request.urlopen(urllib.request.Request(target, data, {"Content-Type": "text/plain"}, method="POST")).close()
    (meta,) = store.list_page(key.encode()).objects
    assert meta.size == len(data)
    assert content(store, meta.key, 0, meta.size, meta) == data
    assert content(store, meta.key, 5, 9, meta) == data[5:9]


def test_a_bucket_that_is_none(top):
    """Said in one line."""
    with pytest.raises(
        InputError,
        match=r"^gs://nowhere/x/: no such object or bucket\. Check the URL, the credentials and the endpoint\.$",
    ):
        list_inputs(["gs://nowhere/x/"])


# Whose requests they are


@pytest.fixture
def google(bare):
    """google-auth, with credentials of a test's own."""
    import google.auth

    def use(credentials):
        bare.setattr(google.auth, "default", lambda scopes: (credentials, None))

    return use


class Credentials:
    """As google-auth's: valid until they are used so often."""

    def __init__(self, error=None):
        self.left, self.renewed, self.error = 0, 0, error

    @property
    def valid(self):
        return self.left > 0

    def refresh(self, request):
        if self.error is not None:
            raise self.error
        self.left, self.renewed = 3, self.renewed + 1

    def apply(self, headers):
        self.left -= 1
        headers["authorization"] = f"Bearer token-{self.renewed}"


def test_a_token_goes_with_every_request(google):
    """It is renewed when it is not valid any more."""
    google(Credentials())
    identity = gcs._Identity()
    assert [identity.headers()["authorization"] for _ in range(4)] == ["Bearer token-1"] * 3 + ["Bearer token-2"]


def test_a_token_that_cannot_be_had(google):
    """A moment without the service passes; credentials that are refused do not."""
    from google.auth import exceptions

    google(Credentials(exceptions.TransportError("a long story")))
    with pytest.raises(Unavailable, match=r"cannot be reached$"):
        gcs._Identity().headers()
    google(Credentials(exceptions.RefreshError("a long story")))
    with pytest.raises(PermissionError, match=r"refused; sign in again$"):
        gcs._Identity().headers()


def test_without_credentials(bare, tmp_path):
    """It is said that there are none, and how to do without; of a file that cannot be used it is said which."""
    bare.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    bare.setenv("HOME", str(tmp_path))
    bare.setattr("google.auth.compute_engine._metadata.is_on_gce", lambda request: False)
    with pytest.raises(Unavailable, match=r"no Google credentials were found \(GOOGLE_SKIP_SIGNATURE=true"):
        gcs._Identity()
    bare.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(InputError, match=r"^gs://lake/x: the Google credentials in .*/none.json cannot be used. Check"):
        list_inputs(["gs://lake/x"])
    bare.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    assert store_at("gs://lake")._identity is None
    bare.delenv("GOOGLE_SKIP_SIGNATURE")
    store_at.cache_clear()
    bare.setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:9")
    assert store_at("gs://lake")._identity is None


# What servers may do amiss


def told(status, **answer):
    return status, {"Content-Type": "application/json"}, json.dumps(answer).encode()


REWRITTEN = {"kind": "storage#rewriteResponse"}


def test_a_copy_in_several_steps(bare):
    """It goes on where the store says; one that does not get on is an error."""
    asked = []
    steps = [told(200, **REWRITTEN, done=False, rewriteToken=f"t/{n}") for n in range(3)]
    with answering(*steps, told(200, **REWRITTEN, done=True), asked=asked) as port:
        bare.setenv("STORAGE_EMULATOR_HOST", f"127.0.0.1:{port}")
        store_at("gs://lake").copy(b"a/b", b"c d")
    assert asked[0] == "POST /storage/v1/b/lake/o/a%2Fb/rewriteTo/b/lake/o/c%20d?fields=kind%2Cdone%2CrewriteToken"
    assert [each.rpartition("&")[2] for each in asked[1:]] == [f"rewriteToken=t%2F{n}" for n in range(3)]
    for last in (steps[0], told(200, **REWRITTEN, done=False)):
        store_at.cache_clear()
        with answering(steps[0], last) as port:
            bare.setenv("STORAGE_EMULATOR_HOST", f"127.0.0.1:{port}")
            with pytest.raises(OSError, match="a copy was not made"):
                store_at("gs://lake").copy(b"a", b"b")


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ((200, {}, b"<html>sign in</html>"), OSError, "something else than was requested: <html>"),
        (told(200, kind="storage#bucket"), OSError, "something else than was requested"),
        (told(200, kind="storage#objects", items=[{"kind": "storage#object"}]), OSError, "something else than was"),
        ((200, {}, b'{"kind": "storage#objects", "items": ['), Unavailable, "cut off or damaged"),
        (told(403, error={"errors": [{"reason": "forbidden"}]}), PermissionError, "refuses access .forbidden"),
        (told(429, error={"errors": [{"reason": "rateLimitExceeded"}]}), Unavailable, "says rateLimitExceeded"),
        ((302, {"Location": "http://elsewhere.example/x"}, b""), OSError, "redirects to elsewhere.example"),
    ],
)
def test_listings_that_are_none(bare, answer, error, message):
    """An error that says what came, after one request."""
    with answering(answer) as port:
        bare.setenv("STORAGE_EMULATOR_HOST", f"127.0.0.1:{port}")
        with pytest.raises(error, match=message) as raised:
            store_at("gs://lake").list_page(b"")
    assert type(raised.value) is error


def test_a_store_that_keeps_the_condition(bare):
    """412 is another version for who reads, and an object that is there for who creates."""
    asked = []
    refused = told(412, error={"errors": [{"reason": "conditionNotMet"}]})
    meta = Meta(b"a", 3, 0, '"17"')
    with answering(refused, refused, asked=asked) as port:
        bare.setenv("STORAGE_EMULATOR_HOST", f"127.0.0.1:{port}")
        with pytest.raises(Changed):
            store_at("gs://lake").get(b"a", 0, 3, meta)
        with pytest.raises(FileExistsError):
            store_at("gs://lake").put(b"a", b"", create=True)
    assert "ifGenerationMatch=17" in asked[0]
    assert "ifGenerationMatch=0" in asked[1]
