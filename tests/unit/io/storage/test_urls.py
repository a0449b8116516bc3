"""URLs are taken apart once, byte for byte, and none with a secret in it goes on."""

import os

import pytest

from linkmatch_ray.errors import JobError, UsageError
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.storage.urls import Url, is_url, parse, planned, scheme_of
from linkmatch_ray.words import shown, without_secrets

SECRET = "hunter2"

KEYS = [bytes([byte]) for byte in range(1, 256)]
KEYS += [b"a" + key + b"b" for key in KEYS] + [
    b"",
    b"/",
    b"//a",
    b"a//b",
    b"../a",
    b"./a",
    b"a/",
    b"%41",
    b"%",
    b"\xff/\xfe",
]


@pytest.mark.parametrize("root", ["s3://lake", "gs://a.b-c_d", "az://account/container", "az://account/$web"])
def test_a_key_is_the_bytes_that_follow_the_bucket(root):
    """Every byte, alone and within a name: 520 keys."""
    for key in KEYS:
        url = parse(f"{root}/".encode() + key)
        assert url == planned(url.name_of(key)) == Url(root[:2], root.partition("://")[2], key)


def test_what_is_asked_of_a_host():
    """All that may stand in a path, but for a query and a fragment."""
    kept = [key for key in KEYS if b"?" not in key and b"#" not in key]
    for key in kept:
        url = parse(b"http://h:8000/" + key)
        assert url == planned(url.name_of(key)) == Url("http", "h:8000", key)
    assert len(kept) == len(KEYS) - 4
    assert parse(b"HTTPS://Example.ORG/A") == Url("https", "example.org", b"A")
    assert parse("http://é.org/é".encode()) == Url("http", "xn--9ca.org", "é".encode())
    assert parse(b"http://[::1]:80/a:b@c") == Url("http", "[::1]:80", b"a:b@c")
    assert parse(b"http://h") == Url("http", "h", b"")


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        (b"S3://a", "s3"),
        (b"a+b.c-1://x", "a+b.c-1"),
        (b"1a://x", None),
        (b"a/b://c", None),
        (b"s3:/a", None),
        (b"", None),
    ],
)
def test_scheme(name, scheme):
    """In any case; without one it is a path."""
    assert scheme_of(name) == scheme
    assert is_url(name) == (scheme == "s3")


@pytest.mark.parametrize("scheme", ["s3", "S3", "gs", "az", "http", "HTTPS", "ftp"])
@pytest.mark.parametrize(
    "rest",
    [
        f"me:{SECRET}@host/x",
        f"{SECRET}@host/x",
        f"me:a/{SECRET}@host/x",
        f"me:a {SECRET}@host/x",
        f"me:{SECRET}/x",
        f"host/x?X-Amz-Signature={SECRET}",
        f"host/x?a=b&x-goog-signature={SECRET}",
        f"host/x?sv=1&SIG={SECRET}",
        f"host/x?access_token={SECRET}",
    ],
)
def test_secrets(scheme, rest):
    """Refused, and in no message; what the message says can go through the rest of ours, too."""
    for ask in (lambda name: list_inputs([name]), results_at):
        with pytest.raises(UsageError) as refused:
            ask(f"{scheme}://{rest}")
        assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        f"ftp://me:{SECRET}@host/x: no",
        f"'HTTP://{SECRET}@host' and more",
        f"a s3://KEY:ab/{SECRET}@bucket/x and http://h/x?sig={SECRET}&b=1",
        f'{{"url":"https://me:{SECRET}@host"}}',
    ],
)
def test_messages(text):
    """Whatever is said, no URL in it has a secret."""
    for said in (without_secrets(text), shown(text), str(JobError(text))):
        assert SECRET not in said
        assert "host" in said or "bucket" in said


@pytest.mark.parametrize(
    "text", ["s3://lake/me@x.json", "https://h:80/a@b", "a@b", "s3://b/k?page=2", "http://[::1]:80/x"]
)
def test_what_is_no_secret_stays(text):
    """Names with an @ or a port in them."""
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    "url",
    [
        "http:///x",
        "http://h:99999/x",
        "http://h:0/x",
        "http://h:/x",
        "http://h h/x",
        "http://h/x?a=b",
        "http://h/#b",
        "http://\udcff/x",
        "s3://",
        "s3:///x",
        "s3://a b/x",
        "az://account",
        "az://account//x",
        "az://account/../x",
        "az://../container/x",
        "gs://../x",
    ],
)
def test_urls_of_nothing(url):
    """Named, with what is expected instead."""
    with pytest.raises(UsageError, match=r"\. (Expected|Give|Write) "):
        parse(os.fsencode(url))


def test_a_fragment_is_not_said():
    """It may be a token, as after a login."""
    with pytest.raises(UsageError, match="fragment") as refused:
        parse(b"https://host/x#PASSWORD")
    assert "PASSWORD" not in str(refused.value)
