"""Hostile servers over http: what each of them gives is the content, or one sentence that says what it did.

The tables are the list of them. The number is how often the same request comes: `AGAIN` if what is wrong can pass with
time, and once more if something came that had not come before.
"""

import re
from collections import Counter
from itertools import count

import pytest

from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.opening import open_input
from linkmatch_ray.io.storage.errors import Changed
from tests.support.hostile import AGAIN, CLOSE, HOLD, RESET, answer, ended, file, given, part, serving, span_of

pytestmark = pytest.mark.usefixtures("impatient")

CONTENT = b"".join(b'{"data":"k%d"}\n' % number for number in range(100))
SIZE = len(CONTENT)
ABOUT = {"ETag": '"e"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}


def assert_gives(script, wanted, asked):
    with serving(script) as server:
        found = ended(given, f"http://{server.host}/a.jsonl")
    if isinstance(wanted, bytes):
        assert found == wanted
    else:
        assert isinstance(found, str), "it was read"
        assert re.search(wanted, found), found
        assert not re.search("Error|Exception", found)
    requests = Counter((each.method, each.target, each.headers.get("range")) for each in server.requests)
    assert max(requests.values()) == asked
    return server


def heads(**headers):
    """A good server, but for these headers of its HEAD; a header that is None is missing."""
    good = file(CONTENT, ABOUT)
    changed = {name.replace("_", "-"): value for name, value in headers.items()}

    def script(request):
        if request.method != "HEAD":
            return good(request)
        return [answer(200, b"", {"Content-Length": str(SIZE), **ABOUT, **changed}), CLOSE]

    return script


def says(length, **headers):
    """Says this of the length, whatever is asked."""
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: [answer(200, b"", {**ABOUT, "Content-Length": length, **changed}), CLOSE]


def gets(*steps, head=None):
    """A good HEAD, and these steps for each GET."""
    about = {"Content-Length": str(SIZE), **ABOUT, **(head or {})}
    return lambda request: [answer(200, b"", about)] if request.method == "HEAD" else steps


def empty(step):
    """An empty object, and this for a GET."""
    return lambda request: [answer(200) if request.method == "HEAD" else step]


def whole(**headers):
    return answer(200, CONTENT, ABOUT | {name.replace("_", "-"): value for name, value in headers.items()})


def ever(*steps):
    """Whatever is asked."""
    return lambda request: steps


def endless(first, step):
    """Begins, and goes on for as long as the client listens."""

    def script(request):
        yield first
        while True:
            yield step

    return script


def moves(*places):
    """Redirects on a path each to the next of these, and the last to itself."""

    def script(request):
        name = request.target.decode("latin-1")
        place = places[min(places.index(name) + 1, len(places) - 1)] if name in places else places[0]
        return [answer(302, b"", {"Location": place})]

    return script


def ever_elsewhere():
    numbers = count()
    return lambda request: [answer(302, b"", {"Location": f"/{next(numbers)}"})]


CHUNKED = {"Content-Length": None, "Transfer-Encoding": "chunked"}
ENDLESS = endless(answer(200, b"", ABOUT | CHUNKED), b"%x\r\n%s\r\n" % (SIZE, CONTENT))
IN_CHUNKS = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (CONTENT[:700], CONTENT[700:], b""))

TWICE = b"%x\r\n%s\r\n0\r\n\r\n" % (2 * SIZE, 2 * CONTENT)

EXAMINED = {
    "closes without an answer": (ever(CLOSE), "broke off, 6 times", AGAIN),
    "resets": (ever(RESET), "broke off, 6 times", AGAIN),
    "says nothing": (ever(HOLD), "sent nothing for", AGAIN),
    "breaks off in the status line": (ever(b"HTTP/1.1 2", CLOSE), "broke off, 6 times", AGAIN),
    "breaks off in the headers": (ever(b"HTTP/1.1 200 OK\r\nContent-Le", CLOSE), "how long", 1),
    "stops in the headers": (ever(b"HTTP/1.1 200 OK\r\nA: b\r\n", HOLD), "sent nothing for", AGAIN),
    "speaks another protocol": (ever(b"220 mail ESMTP\r\n", CLOSE), "not HTTP .*first line", 1),
    "gives words for a status": (ever(b"HTTP/1.1 fine OK\r\n\r\n", CLOSE), "not HTTP .*first line", 1),
    "gives NULs": (ever(b"\0" * 100_000, CLOSE), "not HTTP .*line is too long", 1),
    "has a header of 1 MB": (heads(X="y" * (1 << 20)), "not HTTP .*line is too long", 1),
    "has 10,000 headers": (heads(**{f"X{number}": "y" for number in range(10_000)}), "not HTTP .*its headers", 1),
    "has headers without end": (endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000), "not HTTP .*its headers", 1),
    "has a status line without end": (endless(b"HTTP/1.1 200 ", b"O" * 1000), "not HTTP .*line is too long", 1),
    "says 100 Continue for ever": (
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        "announced without end",
        1,
    ),
    "400": (ever(answer(400)), "HTTP status 400", 1),
    "401": (ever(answer(401)), "refuses access", 1),
    "403": (ever(answer(403)), "refuses access", 1),
    "404": (ever(answer(404)), "no such object", 1),
    "405": (ever(answer(405)), "HTTP status 405", 1),
    "410": (ever(answer(410)), "HTTP status 410", 1),
    "429": (ever(answer(429)), "HTTP status 429, 6 times", AGAIN),
    "500": (ever(answer(500)), "HTTP status 500, 6 times", AGAIN),
    "501": (ever(answer(501)), "HTTP status 501", 1),
    "503": (ever(answer(503)), "HTTP status 503, 6 times", AGAIN),
    "999": (ever(answer(999)), "HTTP status 999", 1),
    "204": (ever(answer(204, b"", {"Content-Length": None})), "how long it is", 1),
    "304": (ever(answer(304, b"", {"Content-Length": None})), "the store says HTTP status 304", 1),
    "says no length": (says(None), "how long it is", 1),
    "answers in chunks only": (says(None, Transfer_Encoding="chunked"), "how long it is", 1),
    "has a length in words": (says("ten"), "how long it is", 1),
    "has a length with a sign": (says("-5"), "how long it is", 1),
    "has a length with an underscore": (says("1_0"), "how long it is", 1),
    "has two lengths": (says("5, 6"), "how long it is", 1),
    "has a length of 1,000 digits": (says("9" * 1000), "how long it is", 1),
    "has a length of 2^50 + 1": (says(str((1 << 50) + 1)), "^1,125,899,906,842,625 bytes", 1),
    "has a length of 2^60": (says(str(1 << 60)), "^1,152,921,504,606,846,976 bytes", 1),
    "has a length of 2^64": (says(str(1 << 64)), "^18,446,744,073,709,551,616 bytes", 1),
    "gives one byte without saying of what": (
        lambda request: [answer(206, b"1", ABOUT) if request.method == "GET" else answer(405)],
        "how long it is",
        1,
    ),
    "redirects to itself": (moves("/a.jsonl"), "redirected more than 5 times", 6),
    "redirects in a circle": (moves("/b", "/c", "/b"), "redirected more than 5 times", 3),
    "redirects for ever": (ever_elsewhere(), "redirected more than 5 times", 1),
    "redirects to nowhere": (ever(answer(302)), "redirect", 1),
    "redirects to a file": (moves("file:///etc/passwd"), "redirected to file:///etc/passwd, which is no http", 1),
    "redirects to ftp": (moves("ftp://127.0.0.1/x"), "redirected to ftp://127.0.0.1/x, which is no http", 1),
    "redirects to no URL": (moves("http://[::1"), "redirected to http://.*, which is no http", 1),
    "redirects to a bad port": (moves("http://127.0.0.1:99999/"), "redirected to http://.*, which is no http", 1),
}
"""Servers that are found out when an object is examined; what is said, and how often each request came."""

READ = {
    "is good": (file(CONTENT), CONTENT, 1),
    "has no ranges": (file(CONTENT, ranges=False), CONTENT, 1),
    "has a date in words": (heads(Last_Modified="yesterday"), CONTENT, 1),
    "has an empty date": (file(CONTENT, {"Last-Modified": ""}), CONTENT, 1),
    "has a date in 2400": (file(CONTENT, {"Last-Modified": "Sat, 01 Jan 2400 00:00:00 GMT"}), CONTENT, 1),
    "has a date in 1600": (file(CONTENT, {"Last-Modified": "Sat, 01 Jan 1600 00:00:00 GMT"}), CONTENT, 1),
    "has a date in 99999": (file(CONTENT, {"Last-Modified": "Sat, 01 Jan 99999 00:00:00 GMT"}), CONTENT, 1),
    "has no date": (file(CONTENT, {"Last-Modified": None}), CONTENT, 1),
    "has no ETag": (file(CONTENT, {"ETag": None}), CONTENT, 1),
    "has an empty ETag": (file(CONTENT, {"ETag": '""'}), CONTENT, 1),
    "has an ETag without quotes": (file(CONTENT, {"ETag": "e"}), CONTENT, 1),
    "has a weak ETag": (file(CONTENT, {"ETag": 'W/"e"'}), CONTENT, 1),
    "has no validator": (file(CONTENT, {"ETag": None, "Last-Modified": None}), CONTENT, 1),
    "closes after each answer": (lambda request: [*file(CONTENT)(request), CLOSE], CONTENT, 1),
    "speaks HTTP/1.0": (
        lambda request: [*(step.replace(b"HTTP/1.1", b"HTTP/1.0", 1) for step in file(CONTENT)(request)), CLOSE],
        CONTENT,
        1,
    ),
    "answers HEAD with a body": (
        lambda request: [whole()] if request.method == "HEAD" else file(CONTENT, ABOUT)(request),
        CONTENT,
        1,
    ),
    "gives it in chunks": (gets(answer(200, b"", ABOUT | CHUNKED) + IN_CHUNKS), CONTENT, 1),
    "gives it until it closes": (gets(answer(200, CONTENT, ABOUT | {"Content-Length": None}), CLOSE), CONTENT, 1),
    "gives it byte by byte": (gets(whole()[:-SIZE], *(bytes([byte]) for byte in CONTENT)), CONTENT, 1),
    "gives more than it said": (gets(whole() + b"more", CLOSE), CONTENT, 1),
    "says 100 Continue first": (gets(b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + whole()), CONTENT, 1),
    "says 103 first": (gets(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + whole()), CONTENT, 1),
    "says no length for HEAD": (heads(Content_Length=None), CONTENT, 1),
    "says a wrong length for HEAD": (heads(Content_Length="ten"), CONTENT, 1),
    "refuses HEAD": (lambda request: [answer(405)] if request.method == "HEAD" else file(CONTENT)(request), CONTENT, 1),
    "gives chunks without end": (
        lambda request: heads()(request) if request.method == "HEAD" else ENDLESS(request),
        "changed",
        1,
    ),
    "says 0 for HEAD": (heads(Content_Length="0"), CONTENT, 2),
    "is empty, and has ranges": (empty(answer(416, b"", {"Content-Range": "bytes */0"})), b"", 1),
    "is empty, and says no more": (empty(answer(416)), b"", 1),
    "is empty, and has no ranges": (empty(answer(200)), b"", 1),
    "is empty, and comes in chunks": (empty(answer(200, b"", CHUNKED) + b"0\r\n\r\n"), b"", 1),
    "is longer, in chunks": (gets(answer(200, b"", ABOUT | CHUNKED) + TWICE), "changed", 1),
    "is longer, in chunks, with no validator": (
        gets(answer(200, b"", CHUNKED) + TWICE, head={"ETag": None, "Last-Modified": None}),
        "changed",
        1,
    ),
    "is longer, until it closes": (
        gets(answer(200, CONTENT * 2, {"Content-Length": None}), CLOSE, head={"ETag": None, "Last-Modified": None}),
        "changed",
        1,
    ),
    "has chunks, and a blank after the word": (
        gets(answer(200, b"", ABOUT | CHUNKED | {"Transfer-Encoding": "chunked "}) + IN_CHUNKS),
        "not HTTP .*Transfer-Encoding",
        2,
    ),
    "has chunks that are packed": (
        gets(answer(200, b"", ABOUT | CHUNKED | {"Transfer-Encoding": "gzip, chunked"}) + IN_CHUNKS),
        "not HTTP .*Transfer-Encoding",
        2,
    ),
    "has a plain Transfer-Encoding": (gets(whole(Transfer_Encoding="identity")), CONTENT, 1),
    "is longer, with the same ETag": (gets(answer(200, CONTENT * 2, ABOUT)), "2,980 bytes.*6 times", AGAIN),
    "is shorter, with the same ETag": (gets(answer(200, CONTENT[:-1], ABOUT)), "1,489 bytes.*6 times", AGAIN),
    "has another ETag when it is read": (gets(whole(ETag='"f"')), "changed", 1),
    "has another weak ETag when it is read": (gets(whole(ETag='W/"f"'), head={"ETag": 'W/"e"'}), "changed", 1),
    "has a later date, and no ETag": (
        gets(
            whole(ETag=None, Last_Modified="Thu, 01 Jan 2026 00:00:01 GMT"),
            head={"ETag": None},
        ),
        "changed",
        1,
    ),
    "says 412": (gets(answer(412)), "changed", 1),
    "says 404 when it is read": (gets(answer(404)), "no such object", 1),
    "says 403 when it is read": (gets(answer(403)), "refuses access", 1),
    "says 503 when it is read": (gets(answer(503)), "HTTP status 503, 6 times", AGAIN),
    "says 204 when it is read": (gets(answer(204, b"", {"Content-Length": None})), "HTTP status 204", 1),
    "says 304 when it is read": (gets(answer(304, b"", {"Content-Length": None})), "the store says HTTP status 304", 1),
    "breaks off in the body": (gets(whole()[:-100], CLOSE), "broke off, 6 times", 1 + AGAIN),
    "resets in the body": (gets(whole()[:-100], RESET), "broke off, 6 times", 1 + AGAIN),
    "stops in the body": (gets(whole()[:-100], HOLD), "sent nothing for .* 6 times", 1 + AGAIN),
    "breaks off in a chunk": (
        gets(answer(200, b"", ABOUT | CHUNKED) + IN_CHUNKS[:-50], CLOSE),
        "broke off, 6 times",
        1 + AGAIN,
    ),
    "ends its chunks too early": (
        gets(answer(200, b"", ABOUT | CHUNKED) + b"2bc\r\n%s\r\n0\r\n\r\n" % CONTENT[:700]),
        "shorter than announced, 6 times",
        1 + AGAIN,
    ),
    "has a chunk in words": (gets(answer(200, b"", ABOUT | CHUNKED) + b"ten\r\n"), "broke off, 6 times", AGAIN),
    "redirects when it is read": (gets(answer(302, b"", {"Location": "/a.jsonl"})), "redirected more than 5 times", 6),
}
"""Servers that are found out when an object is read, or that are no worse than others."""


@pytest.mark.parametrize("name", [*EXAMINED, *READ])
def test_what_a_server_gives(name):
    """The content, or what it was; asked again only if that can help."""
    assert_gives(*(EXAMINED | READ)[name])


def test_a_body_that_comes_late():
    """What answers an earlier request on a kept connection is not taken for the answer to this one."""
    late = [whole()[:-SIZE], 0.1, CONTENT]
    with serving(lambda request: late if request.method == "HEAD" else file(CONTENT, ABOUT)(request)) as server:
        assert given(f"http://{server.host}/a") == CONTENT


def test_nobody_listens():
    """Named with its port."""
    with serving(ever(CLOSE)) as server:
        pass
    assert re.search(f"{server.host} refused the connection, 6 times", given(f"http://{server.host}/a"))


def test_no_such_host():
    """It is not asked for again."""
    assert "no host is called" in given("http://no-such-host.invalid/a")


# Ranges


def ranged(do, good=None):
    """A good server for HEAD; a GET with a range gets `do(start, end)`."""
    good = good or file(CONTENT)

    def script(request):
        span = span_of(request, SIZE)
        return good(request) if span is None else do(*span)

    return script


RANGES = {
    "without a Content-Range": (None, "nothing"),
    "of other bytes": (f"bytes 5-14/{SIZE}", "bytes 5-14"),
    "of fewer bytes": (f"bytes 0-4/{SIZE}", "bytes 0-4"),
    "in words": ("bytes some", "bytes some"),
    "without a unit": (f"0-9/{SIZE}", "0-9/"),
    "in other units": (f"lines 0-9/{SIZE}", "lines 0-9"),
    "of 5,000 digits": (f"bytes 0-9/{'9' * 5000}", "bytes 0-9/999"),
}


@pytest.mark.parametrize("name", RANGES)
def test_a_wrong_range(name):
    """An answer of other bytes than were asked for says so, and is not asked for again."""
    text, wanted = RANGES[name]
    script = ranged(lambda start, end: [part(CONTENT, start, end, {"ETag": '"e"', "Content-Range": text})])
    with serving(lambda request: heads()(request) if request.method == "HEAD" else script(request)) as server:
        (listed,) = list_inputs([f"http://{server.host}/a.json"]).files
        with open_input(listed) as opened, pytest.raises(OSError, match="requested") as failed:
            opened.head(10)
    assert wanted in str(failed.value)
    assert len(str(failed.value)) < 2000
    assert [each.method for each in server.requests] == ["HEAD", "GET"]


@pytest.mark.parametrize("in_chunks", [False, True])
def test_a_right_range_of_a_whole_body(in_chunks, monkeypatch):
    """All of an object is not taken for a part of it, whatever its Content-Range says."""
    monkeypatch.setattr("linkmatch_ray.io.inputs.object_reader.REQUEST_BYTES", 500)

    def range_of_all(start, end):
        about = {"Content-Range": f"bytes {start}-{end - 1}/{SIZE}", **ABOUT}
        return [answer(206, b"", about | CHUNKED) + IN_CHUNKS if in_chunks else answer(206, CONTENT, about)]

    assert_gives(ranged(range_of_all, heads()), "more bytes than were requested|requested, and the store sent 1,490", 1)


# What tells versions apart


VALIDATORS = {
    "a strong ETag": lambda version: {"ETag": f'"{version}"', "Last-Modified": None},
    "a weak ETag": lambda version: {"ETag": f'W/"{version}"', "Last-Modified": None},
    "a date": lambda version: {"ETag": None, "Last-Modified": f"Thu, 01 Jan 2026 00:00:{version:02} GMT"},
    "a date, and the same ETag": lambda version: {
        "ETag": 'W/"e"',
        "Last-Modified": f"Thu, 01 Jan 2026 00:00:{version:02} GMT",
    },
}


@pytest.mark.parametrize("name", VALIDATORS)
def test_never_a_mix_of_versions(name, monkeypatch):
    """An object that is replaced between two ranges is `changed`; a weak ETag is compared, and never asked for."""
    monkeypatch.setattr("linkmatch_ray.io.inputs.object_reader.REQUEST_BYTES", 500)
    versions = [file(content, VALIDATORS[name](number)) for number, content in enumerate((CONTENT, CONTENT[::-1]))]
    with serving(lambda request: versions["500" in request.headers.get("range", "")](request)) as server:
        (listed,) = list_inputs([f"http://{server.host}/a"]).files
        with open_input(listed, 1) as opened:
            assert opened.read(100) == CONTENT[:100]
            with pytest.raises(Changed):
                assert list(iter(lambda: opened.read(SIZE), b""))
    conditions = [request.headers.get("if-match") for request in server.requests[1:]]
    assert set(conditions) == {'"0"' if name == "a strong ETag" else None}
