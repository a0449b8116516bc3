"""Limits of time count time without a byte: a slow server is read, and one that stops is given up."""

import re
import time

import pytest

from linkmatch_ray.io.inputs.listing import list_inputs
from tests.support.hostile import CLOSE, HOLD, SILENCE, answer, ended, file, given, part, serving, span_of
from tests.support.hostile_s3 import Bucket

pytestmark = pytest.mark.usefixtures("impatient")

CONTENT = b"".join(b'{"data":"k%d"}\n' % number for number in range(200))
PIECES = 20
PAUSE = SILENCE / 4
"""All of an answer takes five times as long as a server may say nothing."""


def slowly(script, pieces=PIECES):
    """The same answers, dripping: all of each takes many times `SILENCE`."""

    def drip(request):
        for step in script(request):
            size = -(-len(step) // pieces)
            for start in range(0, len(step), size):
                yield step[start : start + size]
                yield PAUSE

    return drip


@pytest.mark.parametrize("ranges", [True, False])
def test_a_slow_server_is_read(ranges):
    """With one request each for what it is, and for its content."""
    with serving(slowly(file(CONTENT, ranges=ranges))) as server:
        assert ended(given, f"http://{server.host}/a.jsonl") == CONTENT
    assert [request.method for request in server.requests] == ["HEAD", "GET"]


def test_a_slow_listing_is_read(s3_at):
    with serving(slowly(Bucket({b"p/a.jsonl": CONTENT}))) as server:
        s3_at(server)
        (found,) = ended(list_inputs, ["s3://lake/p/"]).files
    assert (found.name, found.size) == (b"s3://lake/p/a.jsonl", len(CONTENT))


@pytest.mark.parametrize("ranges", [True, False])
def test_one_that_stops_is_given_up(ranges):
    """In time, and with words that say so."""
    good = file(CONTENT, ranges=ranges)

    def stops(request):
        if request.method == "HEAD":
            yield from good(request)
        elif len(server.requests) == 2:
            (whole,) = good(request)
            yield whole[:-500]
            yield HOLD
        else:
            yield HOLD

    with serving(stops) as server:
        began = time.monotonic()
        found = ended(given, f"http://{server.host}/a.jsonl")
        took = time.monotonic() - began
    assert re.search(f"{server.host} sent nothing for .* s, 6 times", found)
    assert 6 * SILENCE < took < 12 * SILENCE + 2


@pytest.mark.parametrize("how", [CLOSE, HOLD])
def test_what_came_is_not_asked_for_again(how):
    """A server that breaks off after some bytes of each answer is read to the end, and gives each byte once."""
    etag = {"ETag": '"e"'}
    sent = []

    def breaks(request):
        if request.method == "HEAD":
            yield answer(200, b"", {"Content-Length": str(len(CONTENT)), **etag})
            return
        start, end = span_of(request, len(CONTENT)) or (0, len(CONTENT))
        whole = answer(200, CONTENT, etag) if "range" not in request.headers else part(CONTENT, start, end, etag)
        stop = min(start + 300, end)
        sent.append((start, stop))
        yield whole[: len(whole) - (end - stop)]
        if stop < end:
            yield how

    with serving(breaks) as server:
        assert ended(given, f"http://{server.host}/a.jsonl") == CONTENT
    assert sent == [(start, min(start + 300, len(CONTENT))) for start in range(0, len(CONTENT), 300)]
    assert len(sent) > 6


def test_without_ranges_it_is_read_from_the_beginning():
    """As often as it comes further than before."""
    etag = {"ETag": '"e"', "Accept-Ranges": "none"}
    lengths = [300, 200, 600, 0, 900, 1200, 1100, 1500, 1800, 2100, 2400, 2700, len(CONTENT)]

    def breaks(request):
        if request.method == "HEAD":
            yield answer(200, b"", {"Content-Length": str(len(CONTENT)), **etag})
            return
        length = lengths.pop(0)
        yield answer(200, CONTENT, etag)[: length - len(CONTENT) or None]
        if length < len(CONTENT):
            yield CLOSE

    with serving(breaks) as server:
        assert ended(given, f"http://{server.host}/a.jsonl") == CONTENT
    assert not lengths
