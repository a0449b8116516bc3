"""UTF-16 and UTF-32 with a byte order mark, decoded to UTF-8 as they are read."""

import bz2
import gzip
import io
import random

import pytest

from linkmatch_ray import MatchOptions, Restrictions, match_bytes
from linkmatch_ray.core import encodings
from linkmatch_ray.core.codecs import open_source
from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.encodings import encoding_of

MARK = "\ufeff"
MARKED = {
    "utf-16-le": b"\xff\xfe",
    "utf-16-be": b"\xfe\xff",
    "utf-32-le": b"\xff\xfe\0\0",
    "utf-32-be": b"\0\0\xfe\xff",
}
RESTRICTIONS = Restrictions.load(b'["a"]')
TEXT = '{"data":"a","t":"é€😀"}\r\n{"data":"\\u0061"}\n{"data":3}'

each_encoding = pytest.mark.parametrize("encoding", MARKED)


def decoded(encoding, data):
    """What must come of data, unit by unit."""
    order, size = ("little" if encoding.endswith("le") else "big"), 4 if "32" in encoding else 2
    out, at = b"", 0
    while at < len(data):
        unit = data[at : at + size]
        number, at = int.from_bytes(unit, order), at + size
        if size == 2 and len(unit) == 2 and 0xD800 <= number < 0xDC00 and at + 2 <= len(data):
            second = int.from_bytes(data[at : at + 2], order)
            if 0xDC00 <= second < 0xE000:
                number, at = 0x10000 + ((number - 0xD800) << 10) + second - 0xDC00, at + 2
        bad = len(unit) < size or number > 0x10FFFF or 0xD800 <= number < 0xE000
        out += b"\xff" if bad else chr(number).encode()
    return out


def ours(data, at_once=1 << 20):
    """What our reading gives."""
    source, view, content = open_source(io.BytesIO(data)), memoryview(bytearray(at_once)), b""
    try:
        while count := source.readinto(view):
            content += view[:count]
    except Damage as damage:
        return content, damage.reason
    return content, source.encoding


@each_encoding
def test_text(encoding):
    """Decoded, with the mark of UTF-8 before it; also where it is nothing but a mark."""
    for text in (TEXT, "", "\n", "\0\0\0x", TEXT * 1000):
        data = MARKED[encoding] + text.encode(encoding)
        if encoding == "utf-16-le" and text.startswith("\0"):
            continue  # it begins as UTF-32 does
        assert ours(data) == ((MARK + text).encode(), encoding)


@each_encoding
def test_any_bytes_in_any_pieces(encoding, monkeypatch):
    """What cannot be decoded is one byte FF, wherever reads end."""
    rng = random.Random(encoding)
    for _ in range(150):
        units = [rng.choice((0x41, 0xE9, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xFFFF, 0, 0x20AC)) for _ in range(12)]
        if "32" in encoding:
            units += [0x10FFFF, 0x110000, 0xFFFFFFFF, 0x1F600]
            rng.shuffle(units)
        size, order = 4 if "32" in encoding else 2, "little" if encoding.endswith("le") else "big"
        data = MARKED[encoding] + b"A\0\0\0"[:size][:: 1 if order == "little" else -1]
        data += b"".join(unit.to_bytes(size, order) for unit in units)
        data = data[: len(data) - rng.randrange(size)]
        for read in (1, 2, 3, 7, 1 << 20):
            monkeypatch.setattr(encodings, "READ_BYTES", read)
            assert ours(data, rng.choice((1, 5, 1000))) == (decoded(encoding, data), encoding)


@each_encoding
def test_compressed_and_cut(encoding):
    """What came before the cut is decoded; half a character at its end is FF, and the cut is told."""
    data = MARKED[encoding] + (TEXT * 3).encode(encoding)
    assert ours(bz2.compress(data)) == (decoded(encoding, data), encoding)
    whole = gzip.compress(data, compresslevel=0)
    for cut in range(20, len(whole) - 8):
        content, reason = ours(whole[:cut])
        assert (content, reason) == (decoded(encoding, data[: cut - 15]), "truncated_gzip")


@each_encoding
def test_half_a_unit_at_the_end(encoding):
    """A unit of which a part is there, at any end of compressed data: sound, with something behind it, cut short."""
    for data in (MARKED[encoding] + b"1", MARKED[encoding] + "1".encode(encoding) + b"2"):
        packed = gzip.compress(data)
        for content in (packed, packed + b"x", packed[:-1]):
            assert ours(content)[0] == decoded(encoding, data)


@each_encoding
def test_records(encoding):
    """In UTF-8, byte for byte but for the encoding, with offsets of the decoded text."""
    data = MARKED[encoding] + TEXT.encode(encoding)
    got = match_bytes(data, RESTRICTIONS, MatchOptions(emit="both"))
    lines = TEXT.splitlines()
    assert got.matched.decode() == f"{lines[0]}\n{lines[1]}\n"
    assert got.unmatched.decode() == f"{lines[2]}\n"
    assert got == match_bytes((MARK + TEXT).encode(), RESTRICTIONS, MatchOptions(emit="both"))


def test_a_lone_surrogate_damages_its_record():
    """And no other."""
    data = b"\xff\xfe" + '{"data":"a"}\n'.encode("utf-16-le") + '{"data":"'.encode("utf-16-le") + b"\0\xd8"
    data += '"}\n{"data":"a"}\n'.encode("utf-16-le")
    got = match_bytes(data, RESTRICTIONS)
    assert got.counts.matched == 2
    assert [(entry.reason, entry.index, entry.line, entry.byte_offset) for entry in got.entries] == [
        ("invalid_utf8", 1, 2, 3 + 13)
    ]


def test_other_encodings():
    """A NUL among the first four bytes, behind a mark if there is one, is text that cannot be read; later it may be."""
    for data in (b"\0", b"1\0", b"\xef\xbb\xbf1\n2\0", '{"data":1}'.encode("utf-16-le"), TEXT.encode("utf-32-be")):
        assert [entry.reason for entry in match_bytes(data, RESTRICTIONS).entries] == ["not_utf8"]
    got = match_bytes(b'{"data":"a"}\n\0\n{"data":"a"}\n', RESTRICTIONS)
    assert (got.counts.matched, [entry.reason for entry in got.entries]) == (2, ["invalid_json"])


@each_encoding
def test_lists(encoding):
    """In any layout, and text."""
    for text, layout in (('["a"]', "auto"), ('"a"\n"b"\n', "auto"), ("a\nb\n", "text")):
        list_ = Restrictions.load(MARKED[encoding] + text.encode(encoding), restrictions_format=layout)
        assert match_bytes(b'{"data":"a"}', list_).counts.matched == 1


def test_marks():
    """Of UTF-32 the longer one; none of UTF-8."""
    assert {encoding: encoding_of(mark + b"xxxx") for encoding, mark in MARKED.items()} == {
        each: each for each in MARKED
    }
    assert encoding_of(b"\xef\xbb\xbfxxxx") is encoding_of(b"") is encoding_of(b"\xff") is None
