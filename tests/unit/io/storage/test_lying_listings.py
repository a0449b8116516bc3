"""Listings that lie: what cannot be believed is an error that says so, and what is odd about one key is an entry.

Below `p/` there are the keys `a.json` and `b.json`; the table is how a listing tells of them, and what comes of it.
"""

import json
import re
from hashlib import md5
from itertools import count

import pytest

from linkmatch_ray import MatchOptions
from linkmatch_ray.errors import LinkmatchError
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.runtime.jobs.plan import PlanOptions
from tests.support import whole
from tests.support.hostile import AGAIN, CLOSE, HOLD, answer, ended, serving
from tests.support.hostile_s3 import Bucket, page

pytestmark = pytest.mark.usefixtures("impatient")

A, B = b"p/a.json", b"p/b.json"
CONTENT = b'{"data":"a"}\n'
SIZE = len(CONTENT)
BOTH = {A: SIZE, B: SIZE}
GOOD = page(BOTH)
BOMB = (
    "<!DOCTYPE x [<!ENTITY a0 'ha'>"
    + "".join(f"<!ENTITY a{n + 1} '{f'&a{n};' * 10}'>" for n in range(12))
    + "]><ListBucketResult><Name>&a12;</Name></ListBucketResult>"
)
NO_END = "does not say whether, or where, it continues"
DEEP = b"<ListBucketResult>" + b"<a>" * 200_000 + b"</a>" * 200_000 + b"</ListBucketResult>"
OUTSIDE = "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><ListBucketResult><Name>&a;</Name></ListBucketResult>"


@pytest.fixture
def bucket(s3_at):
    """A bucket, and the server before it."""
    bucket = Bucket({A: CONTENT, B: CONTENT})
    with serving(bucket) as server:
        s3_at(server)
        bucket.server = server
        yield bucket


def ever(body):
    return lambda asked: body


def tokens(*keys):
    """Ever new tokens, and the same keys each time."""
    numbers = count()
    return lambda asked: page(dict.fromkeys(keys, SIZE), token=f"t{next(numbers)}")


def folders():
    """Each folder has a folder."""
    return lambda asked: page({}, [asked["prefix"] + b"x/"] if "delimiter" in asked else [], url=False)


def without_end():
    yield answer(200, b"<ListBucketResult>", {"Content-Length": None})
    while True:
        yield b"<Contents><Key>p/a.json</Key></Contents>" * 20_000


def replaced(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


LIES = {
    "is truncated, without a token": (
        ever(page(BOTH, truncated=True)),
        "does not say whether, or where, it continues",
        1,
    ),
    "is truncated, with an empty token": (ever(page(BOTH, token="")), NO_END, 1),
    "repeats its token": (ever(page(BOTH, token="t")), "repeats itself", 3),
    "repeats its keys": (tokens(A, B), "repeats itself", 3),
    "repeats empty pages": (ever(page({}, token="t")), "repeats itself", 3),
    "has empty pages without end": (tokens(), "repeats itself", 1002),
    "has a key twice": (ever(page([(A, SIZE), (A, SIZE), (B, SIZE)])), [A, B], 1),
    "has no order": (ever(page({B: SIZE, A: SIZE})), [A, B], 1),
    "has a key outside of the prefix": (ever(page({A: SIZE, b"q/x.json": SIZE})), "q/x.json", 1),
    "has a key of a part of the prefix": (ever(page({A: SIZE, b"p": SIZE})), "not below it", 1),
    "has a folder outside of the prefix": (ever(page(BOTH, [b"q/"])), "q/", 1),
    "has white space before it": (ever(b" \n" * 1000 + GOOD), [A, B], 1),
    "has its prefix as a folder": (ever(page(BOTH, [b"p/"])), [A, B], 2),
    "has a folder in each folder": (folders(), "no such object", 2),
    "has an empty key": (ever(page({A: SIZE, b"": SIZE})), "an object without a name", 1),
    "has no key": (ever(replaced(b"<Key>p/a.json</Key>", b"")), "an object without a name", 1),
    "is HTML": (ever(b"<!DOCTYPE html><html><body>Sign in</body></html>"), "no ListBucketResult", 1),
    "is HTML without a doctype": (ever(b"<html><body>Sign in</body></html>"), "no ListBucketResult", 1),
    "is JSON": (ever(b'{"objects": []}'), "no ListBucketResult", 1),
    "is empty": (ever(b""), "no ListBucketResult", 1),
    "is NULs": (ever(b"\0" * 1000), "no ListBucketResult", 1),
    "is an error": (ever(b"<Error><Code>NoSuchThing</Code></Error>"), "NoSuchThing", 1),
    "is an error that passes": (ever(b"<Error><Code>SlowDown</Code></Error>"), "SlowDown, 6 times", AGAIN),
    "is cut off": (ever(GOOD[:-40]), "cut off.*6 times", AGAIN),
    "breaks off": (lambda asked: [answer(200, GOOD)[:-40], CLOSE], "broke off, 6 times|cut off", AGAIN),
    "stops": (lambda asked: [answer(200, GOOD)[:-40], HOLD], "sent nothing for .* 6 times", AGAIN),
    "never ends": (lambda asked: without_end(), "more than 64 MB", 1),
    "is very deep": (ever(DEEP), NO_END, 1),
    "is a bomb": (ever(BOMB.encode()), "no ListBucketResult", 1),
    "is a bomb in UTF-16": (ever(BOMB.encode("utf-16")), "no ListBucketResult", 1),
    "reads a file": (ever(OUTSIDE.encode()), "no ListBucketResult", 1),
    "reads a file in UTF-16": (ever(OUTSIDE.encode("utf-16")), "no ListBucketResult", 1),
    "is another document": (ever(b"<ListAllMyBucketsResult/>"), "no ListBucketResult", 1),
    "does not say whether it is all": (
        ever(replaced(b"<IsTruncated>false</IsTruncated>", b"")),
        "does not say whether, or where, it continues",
        1,
    ),
    "says it in words": (ever(replaced(b">false<", b">perhaps<")), NO_END, 1),
    "403": (lambda asked: [answer(403)], "refuses access", 1),
    "404": (lambda asked: [answer(404)], "no such", 1),
    "503": (lambda asked: [answer(503)], "503, 6 times", AGAIN),
    "has a date in 2400": (ever(page(BOTH, date="2400-01-01T00:00:00.000Z")), [A, B], 1),
    "has a date in words": (ever(page(BOTH, date="yesterday")), [A, B], 1),
    "has a date of 1,000 digits": (ever(page(BOTH, date="9" * 1000)), [A, B], 1),
    "has a 13th month": (ever(page(BOTH, date="2026-13-01T00:00:00.000Z")), [A, B], 1),
    "has no date": (ever(page(BOTH, date="")), [A, B], 1),
}


def listed():
    """The keys that are listed, or what is said instead."""
    try:
        listing = list_inputs(["s3://lake/p/"])
    except LinkmatchError as error:
        return str(error)
    assert all(file.fault is None and abs(file.mtime_ns) < 1 << 63 for file in listing.files)
    return [file.name.removeprefix(b"s3://lake/") for file in listing.files]


@pytest.mark.parametrize("name", LIES)
def test_what_a_listing_gives(bucket, name):
    """Its keys, or what is wrong with it; asked for again only if that can help."""
    bucket.lie, wanted, asked = LIES[name]
    found = ended(listed)
    if isinstance(wanted, str):
        assert isinstance(found, str), "it was believed"
        assert re.match(f"s3://lake/p/: .*({wanted})", found), found
        assert len(found) < 1000
        assert "root:" not in found
    else:
        assert found == wanted
    assert len(bucket.server.requests) == asked


ETAGS = dict.fromkeys((A, B), f'"{md5(CONTENT).hexdigest()}"')
SIZES = {
    "2^50 + 1": ((1 << 50) + 1, "1,125,899,906,842,625"),
    "2^60": (1 << 60, "1,152,921,504,606,846,976"),
    "2^63": (1 << 63, "9,223,372,036,854,775,808"),
    "10^1000": (10**1000, "how long it is"),
    "negative": (-1, "how long it is"),
    "in words": ("ten", "how long it is"),
    "a fraction": ("1.5", "how long it is"),
    "with an exponent": ("1e3", "how long it is"),
    "with an underscore": ("1_0", "how long it is"),
    "in Arabic digits": ("١٣", "how long it is"),
    "empty": ("", "how long it is"),
}


@pytest.mark.parametrize("name", SIZES)
def test_a_size_that_cannot_be(bucket, name, tmp_path):
    """It is an entry that says so, and the other key is matched."""
    size, said = SIZES[name]
    bucket.lie = ever(page({A: size, B: SIZE}, etags=ETAGS))
    listing = ended(list_inputs, ["s3://lake/p/"])
    first, second = listing.files
    assert (first.name, second.name) == (b"s3://lake/" + A, b"s3://lake/" + B)
    assert re.search(said, first.fault), first
    assert second.fault is None
    summary = ended(whole.submit, "s3://lake/p/", tmp_path / "out", MatchOptions(), PlanOptions())
    assert (summary["totals"]["matched"], summary["totals"]["entries"]) == (1, 1)
    quarantine = (tmp_path / "out" / "quarantine.jsonl").read_text()
    assert '"reason":"unreadable"' in quarantine
    assert re.search(said, quarantine)
    assert "s3://lake/p/a.json" in quarantine


@pytest.mark.parametrize("size", [SIZE - 1, SIZE + 1])
def test_a_size_that_an_object_does_not_have(bucket, tmp_path, size):
    """The listing says more, or less, than there is: an entry says so, and the other one is matched."""
    bucket.lie = ever(page({A: size, B: SIZE}, etags=ETAGS))
    summary = ended(whole.submit, "s3://lake/p/", tmp_path / "out", MatchOptions(), PlanOptions())
    assert (summary["totals"]["matched"], summary["totals"]["entries"]) == (1, 1)
    entry = json.loads((tmp_path / "out" / "quarantine.jsonl").read_text())
    assert (entry["file"], entry["reason"]) == ("s3://lake/p/a.json", "unreadable")
    assert entry["message"] == f"the answer has {SIZE:,} bytes, the object {size:,}, 6 times"


def test_a_large_object_that_is_a_small_one(bucket, tmp_path):
    """Of a part of it that is asked for, the store gives the beginning and says that this is all."""
    bucket.lie = ever(page({A: 1 << 49, B: SIZE}, etags=ETAGS))
    summary = ended(whole.submit, "s3://lake/p/", tmp_path / "out", MatchOptions(), PlanOptions())
    assert (summary["totals"]["matched"], summary["totals"]["entries"]) == (1, 1)
    entry = json.loads((tmp_path / "out" / "quarantine.jsonl").read_text())
    assert (entry["file"], entry["reason"]) == ("s3://lake/p/a.json", "changed")
