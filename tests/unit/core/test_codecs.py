"""Damaged compression: what comes before the damage comes out to the last whole record, the rest is one entry."""

import gzip
import io
import zlib
from unittest.mock import patch

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from linkmatch_ray import MatchOptions, Restrictions, match_bytes
from linkmatch_ray.core import codecs
from linkmatch_ray.errors import RestrictionsError
from tests.support.tiers import examples

RESTRICTIONS = Restrictions.load(b'["a"]')
OPTIONS = MatchOptions(emit="both")
LOOKAHEAD_BYTES = 8
LINES = b"".join(b'{"n":%d,"data":"%s"}\n' % (n * n, b"a" if n % 3 else b"b") for n in range(3000))


def compressed(kind, *texts):
    """Members or frames, one a text."""
    if kind == "gzip":
        return b"".join(gzip.compress(text, mtime=0) for text in texts)
    return b"".join(zstandard.ZstdCompressor(write_checksum=True).compress(text) for text in texts)


def readable(kind, data):
    """What can be decompressed, by the standard library or one byte at a time, and whether that is all."""
    out = []
    while data:
        decoder = zlib.decompressobj(31) if kind == "gzip" else zstandard.ZstdDecompressor().decompressobj()
        try:
            for place in range(len(data)):
                out.append(decoder.decompress(data[place : place + 1]))
                if decoder.eof:
                    break
        except (zlib.error, zstandard.ZstdError):
            return b"".join(out), False
        if not decoder.eof:
            return b"".join(out), False
        data = data[place + 1 :]
    return b"".join(out), True


def assert_salvaged(kind, data):
    """The whole lines that can be had come out, and one entry says what follows them."""
    plain, whole = readable(kind, data)
    got = match_bytes(data, RESTRICTIONS, OPTIONS)
    if got.entries and got.entries[-1].reason == "truncated_gzip":  # isal keeps the last bytes until it sees more
        end = got.entries[-1].byte_offset + got.entries[-1].bytes
        assert len(plain) - LOOKAHEAD_BYTES <= end <= len(plain)
        plain = plain[:end]
    cut = len(plain) if whole else plain.rfind(b"\n") + 1
    expected = match_bytes(plain[:cut], RESTRICTIONS, OPTIONS)
    assert (got.matched, got.unmatched, got.hits) == (expected.matched, expected.unmatched, expected.hits)
    bad_lines = len(expected.entries)
    assert got.entries[:bad_lines] == expected.entries
    rest = got.entries[bad_lines:]
    assert len(rest) == (not whole)
    for entry in rest:
        assert entry.reason in (f"truncated_{kind}", f"corrupt_{kind}", f"{kind}_window")  # of a changed header
        assert (entry.byte_offset, entry.bytes) == (cut, len(plain) - cut)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
@given(share=st.floats(0, 1))
@settings(max_examples=examples(40), deadline=None)
def test_cut_short_anywhere(kind, share):
    """Of one member or several."""
    data = compressed(kind, LINES[:20_000], LINES[20_000:])
    assert_salvaged(kind, data[: max(4, int(len(data) * share))])


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
@given(share=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@settings(max_examples=examples(60), deadline=None)
def test_a_byte_changed_anywhere(kind, share, flip):
    """Whether it is found at once or by the checksum at the end."""
    data = bytearray(compressed(kind, LINES))
    place = max(4, int(len(data) * share))
    data[place] ^= flip
    if kind == "gzip" and place < 10:
        return  # the standard library and isal differ in which flags of a header they mind
    assert_salvaged(kind, bytes(data))


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
@pytest.mark.parametrize("follows", [b"garbage", b"x", b"\x1f", b"[1]"])
def test_something_follows(kind, follows):
    """All records come out, and what follows is an entry."""
    got = match_bytes(compressed(kind, LINES) + follows, RESTRICTIONS, OPTIONS)
    assert got.counts.records == 3000
    assert [(entry.reason, entry.byte_offset, entry.bytes) for entry in got.entries] == [
        (f"corrupt_{kind}", len(LINES), 0)
    ]


def test_padding_with_zeros_is_no_garbage():
    """As gzip itself sees it; between members too."""
    got = match_bytes(compressed("gzip", LINES) + bytes(512) + compressed("gzip", LINES), RESTRICTIONS, OPTIONS)
    assert (got.counts.records, got.entries) == (6000, ())


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_an_array_is_salvaged_too(kind):
    """Elements before the damage come out."""
    data = compressed(kind, b"[" + b",".join(LINES.splitlines()) + b"]")
    got = match_bytes(data[: len(data) // 2], RESTRICTIONS, OPTIONS)
    plain, _ = readable(kind, data[: len(data) // 2])
    whole = plain[: plain.rfind(b"},") + 1].count(b"{")
    assert (got.counts.records, [entry.reason for entry in got.entries]) == (whole, [f"truncated_{kind}"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_is_stopped(kind):
    """At so many times its size; what came before comes out."""
    bomb = compressed(kind, b'{"data":"a"}\n' * 2_000_000)
    with patch.object(codecs, "INFLATED_BYTES_MIN", 1 << 20):
        got = match_bytes(bomb, RESTRICTIONS, MatchOptions(max_inflation=20))
        allowed = match_bytes(bomb, RESTRICTIONS, MatchOptions(max_inflation=100_000))
    limit = max(1 << 20, 20 * len(bomb))
    assert got.counts.records == limit // 13
    assert [entry.reason for entry in got.entries] == ["inflates_too_far"]
    assert (allowed.counts.records, allowed.entries) == (2_000_000, ())


@pytest.mark.slow
def test_little_is_held_of_what_inflates_most():
    """No call gives more than a bounded number of bytes, however much the data inflates."""
    for kind, codec in (("gzip", codecs._GZIP), ("zstd", codecs._ZSTD)):
        bomb = compressed(kind, bytes(300 << 20))
        source = codecs.open_source(io.BytesIO(bomb))
        largest = 0
        view = memoryview(bytearray(1 << 20))
        while source.readinto(view):
            largest = max(largest, len(source._pending))
        assert largest <= 130 << 20, codec.name


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_damaged_list_is_refused(kind):
    """A list that is not whole is no list."""
    data = compressed(kind, b'["a","b"]')
    for broken in (data[:-3], data[:-1] + bytes([data[-1] ^ 1]), data + b"x"):
        with pytest.raises(RestrictionsError, match="Restore the file"):
            Restrictions.load(broken)


def gzip_member(text, flags, fields):
    """One with optional fields in its header."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = deflate.compress(text) + deflate.flush()
    sums = zlib.crc32(text).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    return b"\x1f\x8b\x08" + bytes([flags]) + bytes(6) + fields + body + sums


@pytest.mark.parametrize(
    ("flags", "fields"),
    [(8, b"name\0"), (24, b"name\0comment\0"), (12, b"\x06\0BC\x02\0\x1b\0name\0"), (4, b"\x02\0xx")],
)
def test_headers_with_fields(flags, fields):
    """Wherever reads end in them, and where the member is damaged."""
    first = compressed("gzip", LINES)
    member = gzip_member(LINES[:5000], flags, fields)
    for padding in range(40):
        gap = (1 << 15) - len(first) % (1 << 15) - padding
        data = first + bytes(gap) + member + compressed("gzip", LINES[5000:])
        got = match_bytes(data, RESTRICTIONS, OPTIONS)
        assert (got.counts.records, got.entries) == (6000, ()), padding
    assert_salvaged("gzip", member[:-5] + bytes([member[-5] ^ 1]) + member[-4:])
