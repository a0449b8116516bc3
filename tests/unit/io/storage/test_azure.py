"""Azure Blob Storage: what Azurite makes of our requests, how they are signed, and what servers may do amiss."""

import base64
import hashlib
import hmac
import io
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from types import ModuleType, SimpleNamespace
from urllib.parse import quote

import pytest

from linkmatch_ray.errors import InputError
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.object_reader import ObjectReader
from linkmatch_ray.io.storage import azure, azure_access
from linkmatch_ray.io.storage.azure_access import Access, string_to_sign
from linkmatch_ray.io.storage.endpoint import in_target
from linkmatch_ray.io.storage.errors import Changed
from linkmatch_ray.io.storage.object_store import Meta
from linkmatch_ray.io.storage.stores import store_at
from linkmatch_ray.io.storage.transport import Unavailable, ask
from tests.support.clouds import ACCOUNTS, ODD, REPO, azurite, make_container
from tests.support.objects import answering

pytestmark = pytest.mark.slow

TAKEN_FOR_OTHERS = (b"p/../b", b"p/./b", b"p/.", b"v1./b", b"p/b.")
"""What Azure itself makes of them is another name; Azurite takes them as they are, but for a backslash."""

NUMBERS = count()


@pytest.fixture(scope="module")
def service():
    """The URL of a Blob service."""
    with azurite() as url:
        yield url


@pytest.fixture
def bare(monkeypatch):
    """An environment that says nothing of Azure."""
    for name in os.environ:
        if name.startswith("AZURE_"):
            monkeypatch.delenv(name)
    store_at.cache_clear()
    yield monkeypatch
    store_at.cache_clear()


@pytest.fixture
def url(service, bare):
    """The URL of a new container."""
    bare.setenv("AZURE_STORAGE_ENDPOINT", service)
    bare.setenv("AZURE_STORAGE_KEY", ACCOUNTS["lakes"])
    container = f"con{next(NUMBERS)}"
    make_container("lakes", container)
    return f"az://lakes/{container}"


def content(store, key, *place):
    with store.get(key, *place) as answer:
        return answer.read()


def test_listing_and_reading(url, monkeypatch):
    """Page by page and folder by folder; an object by ranges, from anywhere."""
    monkeypatch.setattr(azure, "PAGE_OBJECTS", 3)
    store, names = store_at(url), [f"in/{n}.jsonl" for n in range(10)] + ["in/deep/er/é &.json", "in/z/0.json"]
    for name in names:
        store.put(name.encode(), name.encode())
    files = list_inputs([f"{url}/in"]).files
    assert [file.name.decode() for file in files] == [f"{url}/{name}" for name in names]
    assert [file.size for file in files] == [len(name.encode()) for name in names]
    with ObjectReader(files[-2]) as reader:
        reader.seek(3)
        assert reader.read() == names[-2].encode()[3:]
    assert content(store, b"in/0.jsonl", 1, 4) == b"n/0"


def test_names_are_asked_for_as_they_are(url):
    """Each is put, listed, found, read and copied under its own bytes."""
    store = store_at(url)
    for key in ODD:
        store.put(key, b"of " + key)
    assert sorted(meta.key for meta in store.list_page(b"").objects) == sorted(ODD)
    for key in ODD:
        meta = store.head(key)
        assert content(store, key, 0, meta.size, meta) == b"of " + key
        store.copy(key, b"copy")
        assert content(store, b"copy") == b"of " + key


def test_names_that_azure_takes_for_others(url):
    """They are entries that say so, and no request is made for them."""
    account, _, container = url.removeprefix("az://").partition("/")
    access, store = Access(account), store_at(url)
    for key in TAKEN_FOR_OTHERS:
        path = f"/{container}/{in_target(key)}"
        target, headers = access.signed("PUT", path, {}, {"x-ms-blob-type": "BlockBlob"}, 0)
        ask(access.endpoint, "PUT", target, headers).close()
    store.put(b"p/b", b"another")
    listed = {meta.key: meta.fault for meta in store.list_page(b"").objects}
    assert listed.pop(b"p/b") is None
    assert sorted(listed) == sorted(TAKEN_FOR_OTHERS)
    for key, fault in listed.items():
        assert fault == store.head(key).fault
        assert "takes this name for another" in fault
        (file,) = list_inputs([f"{url}/".encode() + key]).files
        assert file.fault == fault
        for do in (
            lambda key=key: store.get(key),
            lambda key=key: store.put(key, b""),
            lambda key=key: store.delete(key),
        ):
            with pytest.raises(OSError, match="takes this name for another"):
                do()
    with pytest.raises(FileNotFoundError):
        store.head(b"\xff")
    with pytest.raises(OSError, match="not UTF-8"):
        store.put(b"\xff", b"")


def test_another_version(url):
    """It is told from the one that was listed, by its ETag: of a listing as of a request for it."""
    store = store_at(url)
    store.put(b"a", b"one")
    (meta,) = store.list_page(b"a").objects
    assert meta == store.head(b"a")
    assert content(store, b"a", 1, 3, meta) == b"ne"
    store.put(b"a", b"two")
    for end in (2, 3):
        with pytest.raises(Changed):
            store.get(b"a", 0, end, meta)
    store.delete(b"a")
    store.delete(b"a")
    with pytest.raises(FileNotFoundError):
        store.get(b"a")


def test_of_those_who_create_one_succeeds(url):
    """And what it wrote is there."""

    def create(number):
        try:
            store_at(url).put(b"lock", b"%d" % number, create=True)
        except FileExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        (winner,) = [number for number in pool.map(create, range(8)) if number is not None]
    assert content(store_at(url), b"lock") == b"%d" % winner


def test_a_large_file_is_sent_in_blocks(url, monkeypatch):
    """In their order."""
    monkeypatch.setattr(azure, "BLOCK_BYTES", 1000)
    store, data = store_at(url), os.urandom(12_345)
    store.put(b"large", io.BytesIO(data))
    assert content(store, b"large") == data
    with pytest.raises(FileExistsError):
        store.put(b"large", io.BytesIO(data), create=True)


def test_two_who_send_blocks(url, monkeypatch):
    """What is there is one file or the other, never of both; whose blocks are gone is to try again."""
    monkeypatch.setattr(azure, "BLOCK_BYTES", 1000)
    store, others = store_at(url), os.urandom(3000)

    class Interrupted(io.BytesIO):
        """In whose middle another file is sent, as a whole or all but its end."""

        def read(self, size=-1):
            if self.tell() == 1000:
                act()
            return super().read(size)

    class Unfinished(io.BytesIO):
        def read(self, size=-1):
            if self.tell() == 3000:
                raise InterruptedError
            return super().read(size)

    def all_but_its_end():
        with suppress(InterruptedError):
            store.put(b"large", Unfinished(others))

    data, act = os.urandom(3000), all_but_its_end
    store.put(b"large", Interrupted(data))
    assert content(store, b"large") == data
    act = lambda: store.put(b"large", io.BytesIO(others))  # noqa: E731 - it is another one now
    with pytest.raises(Unavailable, match="another writer makes it"):
        store.put(b"large", Interrupted(data))
    assert content(store, b"large") == others


def test_the_account_in_the_url_is_asked(service, bare):
    """By its own name, with its own key: what the environment has for another account is not used for it."""
    bare.setenv("AZURE_STORAGE_ENDPOINT", service)
    for account in ACCOUNTS:
        bare.setenv("AZURE_STORAGE_KEY", ACCOUNTS[account])
        store_at.cache_clear()
        make_container(account, "same")
        store_at(f"az://{account}/same").put(b"who.json", account.encode())
    text = f"AccountName=lakes;AccountKey={ACCOUNTS['lakes']};BlobEndpoint={service}/lakes"
    bare.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    bare.setenv("AZURE_STORAGE_KEY", ACCOUNTS["rivers"])
    store_at.cache_clear()
    for account in ACCOUNTS:
        assert content(store_at(f"az://{account}/same"), b"who.json") == account.encode()


@pytest.mark.parametrize(
    ("environment", "endpoint"),
    [
        ({}, "https://lakes.blob.core.windows.net"),
        ({"ENDPOINT": "http://127.0.0.1:10000"}, "http://127.0.0.1:10000/lakes"),
        ({"ENDPOINT": "http://127.0.0.1:10000/lakes/"}, "http://127.0.0.1:10000/lakes"),
        ({"ENDPOINT": "https://lakes.blob.core.chinacloudapi.cn"}, "https://lakes.blob.core.chinacloudapi.cn"),
        ({"ENDPOINT": "https://rivers.blob.core.windows.net"}, "https://rivers.blob.core.windows.net/lakes"),
        ({"CONNECTION_STRING": "AccountName=lakes;EndpointSuffix=x.cn"}, "https://lakes.blob.x.cn"),
        ({"CONNECTION_STRING": "AccountName=rivers;EndpointSuffix=x.cn"}, "https://lakes.blob.core.windows.net"),
        ({"CONNECTION_STRING": "AccountName=lakes;BlobEndpoint=https://own.example"}, "https://own.example"),
        (
            {"CONNECTION_STRING": "BlobEndpoint=https://lakes.blob.x.cn/;SharedAccessSignature=a=b"},
            "https://lakes.blob.x.cn",
        ),
        ({"CONNECTION_STRING": "BlobEndpoint=https://rivers.blob.x.cn/"}, "https://lakes.blob.core.windows.net"),
    ],
)
def test_where_an_account_is(bare, environment, endpoint):
    """As the environment says, if it says so of this account."""
    for name, value in environment.items():
        bare.setenv(f"AZURE_STORAGE_{name}", value)
    assert Access("lakes").endpoint.url == endpoint


def test_a_signature_goes_with_every_request(service, bare, url):
    """A shared access signature is enough to list, read, write and copy; for another account it is not sent."""
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    told = ["lakes", "rwdlac", "b", "sco", "", until, "", "", azure_access.VERSION, "", ""]
    proof = hmac.digest(base64.b64decode(ACCOUNTS["lakes"]), "\n".join(told).encode(), hashlib.sha256)
    signature = quote(base64.b64encode(proof), safe="")
    bare.delenv("AZURE_STORAGE_KEY")
    token = f"?sv={azure_access.VERSION}&ss=b&srt=sco&sp=rwdlac&se={quote(until)}&sig={signature}"
    bare.setenv("AZURE_STORAGE_SAS_TOKEN", token)
    store_at.cache_clear()
    store = store_at(url)
    store.put(b"a b", b"one")
    store.copy(b"a b", b"c")
    assert [meta.key for meta in store.list_page(b"").objects] == [b"a b", b"c"]
    assert content(store, b"c") == b"one"
    bare.setenv("AZURE_STORAGE_ACCOUNT", "rivers")
    assert Access("lakes").signed("GET", "/c", {}, {}, 0)[0] == "/c"


def test_without_credentials(url, bare):
    """It says what the store says, in one line."""
    bare.delenv("AZURE_STORAGE_KEY")
    store_at.cache_clear()
    message = f"^{url}/in: the store refuses access \\(AuthorizationFailure\\). Check the URL, the credentials and .*$"
    with pytest.raises(InputError, match=message):
        list_inputs([f"{url}/in"])


@pytest.mark.parametrize(
    ("environment", "url", "message"),
    [
        ({"KEY": "no base64!"}, "az://lakes/con/x", "the key of the Azure account is not base64"),
        ({}, "az://Lakes_/con/x", "has only lower-case letters and digits"),
        ({"ENDPOINT": "ftp://x"}, "az://lakes/con/x", "no http:// or https:// URL"),
    ],
)
def test_what_cannot_be_used(bare, environment, url, message):
    """Said before any request."""
    for name, value in environment.items():
        bare.setenv(f"AZURE_STORAGE_{name}", value)
    with pytest.raises(InputError, match=message):
        list_inputs([url])


def test_what_is_signed():
    """As in the example of Azure's documentation."""
    headers = {"x-ms-version": "2015-02-21", "x-ms-date": "Fri, 26 Jun 2015 23:39:12 GMT"}
    query = {"timeout": "20", "restype": "container", "comp": "metadata"}
    assert string_to_sign("GET", "myaccount", "/mycontainer", query, headers) == (
        "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
        "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
    )


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "size", "proof"),
    [
        (
            "GET",
            "/con",
            {"restype": "container", "comp": "list", "prefix": "a/b é", "marker": "x&y"},
            {},
            0,
            "1ZrYNWbU8i2Tf8Vz61CoGXC0viOSvaf3vbSPMAieIsQ=",
        ),
        (
            "PUT",
            "/con/a%20b/%C3%A9%25",
            {},
            {"x-ms-blob-type": "BlockBlob", "If-None-Match": "*"},
            5,
            "VlxwJkdkcK3dJlVj20c4l8zZ6UssiWjHTt3klK+XQdg=",
        ),
        (
            "PUT",
            "/con/b",
            {},
            {"x-ms-copy-source": "https://lakes.blob.core.windows.net/con/a"},
            0,
            "3x7yg2TseFfoNS7ZWicufhoov+vBmh8LOHUsS9USzvo=",
        ),
    ],
)
def test_signatures(bare, method, path, query, headers, size, proof):
    """They are those that Microsoft's own client makes (azure-storage-blob 12, its SharedKeyCredentialPolicy)."""
    bare.setenv("AZURE_STORAGE_KEY", ACCOUNTS["lakes"])
    headers = {"x-ms-date": "Fri, 26 Jun 2026 23:39:12 GMT", "x-ms-version": "2021-12-02", **headers}
    _, signed = Access("lakes").signed(method, path, query, headers, size)
    assert signed["Authorization"] == f"SharedKey lakes:{proof}"


@pytest.fixture
def identity(bare):
    """What `azure-identity` gives: tokens of an hour, and what was asked for; or an error of its own."""
    asked, errors = [], []

    class AzureError(Exception):
        pass

    class Credential:
        def get_token(self, scope):
            asked.append(scope)
            if errors:
                raise errors.pop()
            return SimpleNamespace(token=f"token-{len(asked)}", expires_on=time.time() + 3600)

    modules = {name: ModuleType(name) for name in ("azure", "azure.core", "azure.core.exceptions", "azure.identity")}
    modules["azure.identity"].DefaultAzureCredential = Credential
    modules["azure.core.exceptions"].AzureError = AzureError
    for name, module in modules.items():
        bare.setitem(sys.modules, name, module)
    return SimpleNamespace(asked=asked, errors=errors, error=AzureError)


def proof_of(access):
    return access.signed("GET", "/con", {}, {}, 0)[1].get("Authorization")


def test_a_token_of_an_identity(identity, monkeypatch):
    """It is asked for once, and again when it is about to expire; a moment without the service passes."""
    access = Access("lakes")
    assert [proof_of(access) for _ in range(3)] == ["Bearer token-1"] * 3
    assert identity.asked == ["https://storage.azure.com/.default"]
    monkeypatch.setattr(azure_access, "EARLY_SECONDS", 3601)
    identity.errors.append(identity.error())
    with pytest.raises(Unavailable, match="no Azure identity was found"):
        proof_of(access)
    assert proof_of(access) == "Bearer token-3"


def test_a_library_that_talks(bare, tmp_path):
    """What `azure-identity` logs when it finds nothing is not printed; it is a screenful."""
    (tmp_path / "azure" / "core").mkdir(parents=True)
    (tmp_path / "azure" / "core" / "exceptions.py").write_text("class AzureError(Exception): pass\n")
    (tmp_path / "azure" / "identity.py").write_text(
        "import logging\n"
        "from azure.core.exceptions import AzureError\n"
        "class DefaultAzureCredential:\n"
        "    def get_token(self, scope):\n"
        "        logging.getLogger(__name__).warning('Attempted credentials: ...')\n"
        "        raise AzureError\n"
    )
    program = (
        "from linkmatch_ray.io.storage.azure_access import Access\n"
        "try: Access('lakes').signed('GET', '/c', {}, {}, 0)\n"
        "except OSError as error: print(error.strerror)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{REPO}"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    said = "no Azure identity was found (AZURE_SKIP_SIGNATURE=true reads without one)\n"
    assert (done.stdout, done.stderr) == (said, "")


def test_no_token(identity, bare):
    """Nothing is asked for as nobody, unless that is wanted; over http, and with a key, no identity is asked for."""
    identity.errors.append(identity.error())
    access = Access("lakes")
    with pytest.raises(Unavailable):
        proof_of(access)
    assert proof_of(access).startswith("Bearer ")
    asked = len(identity.asked)
    bare.setenv("AZURE_SKIP_SIGNATURE", "true")
    assert proof_of(Access("lakes")) is None
    bare.delenv("AZURE_SKIP_SIGNATURE")
    bare.setenv("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:10000")
    assert proof_of(Access("lakes")) is None
    bare.setenv("AZURE_STORAGE_KEY", ACCOUNTS["lakes"])
    assert proof_of(Access("lakes")).startswith("SharedKey lakes:")
    assert len(identity.asked) == asked


def ask_of(bare, port, do):
    bare.setenv("AZURE_STORAGE_ENDPOINT", f"http://127.0.0.1:{port}")
    store_at.cache_clear()
    return do(store_at("az://lakes/con"))


def copying(status, progress="0/9"):
    return {"x-ms-copy-status": status, "x-ms-copy-progress": progress}


def test_a_copy_that_takes_its_time(bare, monkeypatch):
    """It is waited for as long as it gets on, and is an error if it fails or stands still."""
    monkeypatch.setattr(azure.time, "sleep", lambda _: None)
    pending, going = (202, copying("pending"), b""), (200, copying("pending", "5/9"), b"")
    with answering(pending, pending, going, going, (200, copying("success"), b"")) as port:
        ask_of(bare, port, lambda store: store.copy(b"a", b"b"))
    with (
        answering(pending, (200, copying("failed"), b"")) as port,
        pytest.raises(OSError, match="a copy was not made: the store says failed"),
    ):
        ask_of(bare, port, lambda store: store.copy(b"a", b"b"))
    monkeypatch.setattr(azure, "COPY_SECONDS", 0)
    with (
        answering(pending) as port,
        pytest.raises(OSError, match="a copy was not made: the store says pending"),
    ):
        ask_of(bare, port, lambda store: store.copy(b"a", b"b"))


BLOB = (
    "<Blob><Name{}>{}</Name><Properties><Content-Length>{}</Content-Length><Etag>0x1</Etag>"
    "<Last-Modified>Thu, 25 Jun 2026 00:00:00 GMT</Last-Modified>{}</Properties></Blob>"
)


def listing(*blobs, marker="<NextMarker/>"):
    text = f"<?xml version='1.0'?><EnumerationResults><Blobs>{''.join(blobs)}</Blobs>{marker}</EnumerationResults>"
    return 200, {"Content-Type": "application/xml"}, b"\xef\xbb\xbf" + text.encode()


def test_what_a_listing_may_have(bare):
    """Names that XML cannot hold, folders that are none of the objects, sizes that are none."""
    folder = "<ResourceType>directory</ResourceType>"
    blobs = [BLOB.format(' Encoded="true"', "a%01%25b", 3, ""), BLOB.format("", "x.json", 0, folder)]
    with answering(listing(*blobs, BLOB.format("", "a%01", "-7", ""))) as port:
        page = ask_of(bare, port, lambda store: store.list_page(b""))
    seconds = 1782345600 * 1_000_000_000
    assert page.objects == [Meta(b"a\x01%b", 3, seconds, '"0x1"'), Meta(b"a%01", -1, seconds, '"0x1"')]
    assert page.following is None


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (listing(marker=""), "does not say whether it continues"),
        ((200, {}, b"<html>sign in</html>"), "something that is no EnumerationResults"),
        ((409, {"x-ms-error-code": "PublicAccessNotPermitted"}, b""), "without credentials .PublicAccessNotPermitted"),
        ((409, {"x-ms-error-code": "ContainerBeingDisabled"}, b""), "the store says ContainerBeingDisabled"),
        ((412, {"x-ms-error-code": "LeaseIdMissing"}, b""), "the store says LeaseIdMissing"),
        ((302, {"Location": "http://elsewhere.example/x"}, b""), "redirects to elsewhere.example"),
    ],
)
def test_listings_that_are_none(bare, answer, message):
    """An error that says what came, after one request."""
    with answering(answer) as port, pytest.raises(OSError, match=message):
        ask_of(bare, port, lambda store: store.list_page(b""))
