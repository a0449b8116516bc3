"""Compressed data: what comes out of it whole, cut short, corrupt, and with other bytes behind."""

import io
import random
import zlib
from unittest.mock import patch

import lz4.frame
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from linkmatch_ray import MatchOptions, Restrictions, match_bytes
from linkmatch_ray.core import codecs, inflating
from linkmatch_ray.core.compressions import COMPRESSIONS
from linkmatch_ray.core.damage import Behind, Corrupt, Damage, NeedsMemory
from linkmatch_ray.errors import RestrictionsError
from tests.support.compressed import KINDS, MAGICS, compressed, reading, salvageable
from tests.support.tiers import examples

RESTRICTIONS = Restrictions.load(b'["a"]')
OPTIONS = MatchOptions(emit="both")
LINES = b"".join(b'{"n":%d,"data":"%s"}\n' % (n * n, b"a" if n % 3 else b"b") for n in range(3000))
SMALL = b"".join(b'{"n":%d,"data":"%s"}\n' % (n * n, b"a" if n % 3 else b"b") for n in range(30))

ENDS = {("truncated", Damage): "cut", ("corrupt", Damage): "corrupt", ("trailing", Behind): "behind"}

each_kind = pytest.mark.parametrize("kind", KINDS)


class Trickle(io.BytesIO):
    """A raw stream whose reads give only so many bytes."""

    def __init__(self, data, most):
        super().__init__(data)
        self.most = most

    def read(self, size=-1):
        return super().read(min(size, self.most))


def ours(data, *, at_once=1 << 20, most=1 << 20, **options):
    """What our reading gives: the content, and how it ended."""
    content, view = b"", memoryview(bytearray(at_once))
    try:
        source = codecs.open_source(Trickle(data, most), len(data), **options)
        while count := source.readinto(view):
            content += view[:count]
    except Damage as damage:
        return content, ENDS[damage.reason.partition("_")[0], type(damage)]
    except Corrupt as corrupt:
        return content, corrupt.damage.reason.partition("_")[0]
    return content, "whole"


def assert_like_the_library(kind, data, **how):
    """The same content and end, but for the content of corrupt data, none of which counts."""
    content, end = ours(data, **how)
    expected, expected_end = reading(kind, data)
    assert end == expected_end
    if end != "corrupt":
        assert content == expected


@each_kind
def test_any_number_of_members(kind):
    """One, several, empty ones, at any size of reads."""
    for texts in ([b""], [SMALL], [SMALL, b"", SMALL], [b"1\n"] * 300):
        data = compressed(kind, *texts)
        for at_once, most in ((1 << 20, 1 << 20), (1, 1 << 20), (1 << 20, 1), (7, 3)):
            assert ours(data, at_once=at_once, most=most) == (b"".join(texts), "whole")


@each_kind
def test_cut_short_at_every_byte(kind):
    """What the library gives comes out, whatever was cut: a header, a block, a checksum, a magic number, padding."""
    data = compressed(kind, SMALL, b"", SMALL[:300])
    data += {"gzip": bytes(3) + b" \n", "xz": bytes(8)}.get(kind, b"") + compressed(kind, b"1\n")
    for end in range(len(MAGICS[kind][0]), len(data)):
        assert_like_the_library(kind, data[:end])
        assert_like_the_library(kind, data[:end], at_once=13, most=5)


@each_kind
def test_cut_short_in_many_blocks(kind):
    """Of more than is read at a time, and not made smaller by much."""
    text = random.Random(7).randbytes(600_000).hex().encode()
    data = compressed(kind, text[:1000], text)
    for end in random.Random(8).sample(range(1000, len(data)), 12):
        assert_like_the_library(kind, data[:end])


@each_kind
def test_a_flipped_bit_anywhere(kind):
    """Nothing comes out as if it were certain, or what the library takes for certain."""
    data = compressed(kind, SMALL[:200], SMALL[:100])
    for bit in range(8 * len(MAGICS[kind][0]), 8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        if not flipped.startswith(tuple(MAGICS[kind])):
            continue
        assert_like_the_library(kind, bytes(flipped))


@each_kind
@given(place=st.integers(0, 10_000), flip=st.integers(1, 255), cut=st.integers(0, 10_000))
@settings(max_examples=examples(60), deadline=None)
def test_damaged_and_cut(kind, place, flip, cut):
    """Both at once, in more than one member."""
    data = bytearray(compressed(kind, LINES[:20_000], LINES[20_000:30_000]))
    data[6 + place % (len(data) - 6)] ^= flip
    assert_like_the_library(kind, bytes(data[: max(6, len(data) - cut)]), most=997)


@each_kind
def test_a_corrupt_file_gives_nothing(kind):
    """Not even of sound members before; its one entry says which one it was."""
    data = bytearray(compressed(kind, LINES, LINES))
    second = len(data) // 2
    data[-5 if kind != "xz" else second + 100] ^= 1
    got = match_bytes(bytes(data), RESTRICTIONS, OPTIONS)
    assert (got.matched, got.unmatched, got.hits, got.counts.records, got.counts.entries) == (b"", b"", {}, 0, 1)
    (entry,) = got.entries
    assert (entry.index, entry.line, entry.byte_offset, entry.reason) == (0, None, 0, f"corrupt_{kind}")
    name = {"gzip": "member", "zstd": "frame", "lz4": "frame"}.get(kind, "stream")
    assert f"{name} 2, from byte {second:,} of the file on" in entry.message
    assert "--salvage" in entry.message


@each_kind
@given(share=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@settings(max_examples=examples(60), deadline=None)
def test_salvaged(kind, share, flip):
    """What can be decompressed before the damage comes out, then one entry; the same at any size of reads."""
    data = bytearray(compressed(kind, LINES[:10_000], LINES[10_000:]))
    data[max(6, int(len(data) * share))] ^= flip
    data = bytes(data)
    content, end = ours(data, salvage=True)
    assert ours(data, salvage=True, at_once=1000, most=77) == (content, end)
    library, expected_end = reading(kind, data)
    assert end == expected_end
    if end != "corrupt":
        assert content == library
        return
    if kind in ("gzip", "zstd"):
        assert content == salvageable(kind, data)
    got = match_bytes(data, RESTRICTIONS, OPTIONS, salvage=True)
    cut = content.rfind(b"\n") + 1
    expected = match_bytes(content[:cut], RESTRICTIONS, OPTIONS)
    assert (got.matched, got.unmatched, got.hits) == (expected.matched, expected.unmatched, expected.hits)
    *bad_lines, rest = got.entries
    assert bad_lines == [*expected.entries]
    assert (rest.reason, rest.byte_offset, rest.bytes) == (f"corrupt_{kind}", cut, len(content) - cut)


@each_kind
def test_cut_short_in_a_line(kind):
    """The whole lines come out, and one entry says what follows them."""
    data = compressed(kind, LINES[:20_000], LINES[20_000:])[:-30]
    content, end = ours(data)
    cut = content.rfind(b"\n") + 1
    got, expected = match_bytes(data, RESTRICTIONS, OPTIONS), match_bytes(content[:cut], RESTRICTIONS, OPTIONS)
    assert (end, got.matched, got.unmatched) == ("cut", expected.matched, expected.unmatched)
    (entry,) = got.entries
    assert (entry.reason, entry.byte_offset, entry.bytes) == (f"truncated_{kind}", cut, len(content) - cut)


@each_kind
@pytest.mark.parametrize("follows", [b"garbage", b"x", b"\x1f\x8c", b"[1]", b"\0\0\0x", b"\xff" * 100_000])
def test_something_follows(kind, follows):
    """All records come out, and what follows is an entry of no bytes at the end."""
    got = match_bytes(compressed(kind, LINES) + follows, RESTRICTIONS, OPTIONS)
    assert got.counts.records == 3000
    (entry,) = got.entries
    assert (entry.reason, entry.index, entry.line) == ("trailing_data", 3000, 3001)
    assert (entry.byte_offset, entry.bytes) == (len(LINES), 0)


@each_kind
def test_what_follows_does_not_cut_the_last_line(kind):
    """A line without its line end is whole at a sound end, in any layout, and whatever white space is behind it."""
    for text, records in ((b'1\n{"data":"a"}', 2), (b'[1,\n{"data":"a"}]\n \n', 2), (b" \n", 0), (b"", 0)):
        got = match_bytes(compressed(kind, text) + b"x", RESTRICTIONS, OPTIONS)
        assert (got.counts.records, len(got.entries)) == (records, 1)
        (entry,) = got.entries
        assert (entry.index, entry.line, entry.byte_offset) == (records, 1 + text.count(b"\n"), len(text))


@each_kind
def test_a_part_of_a_magic_number(kind):
    """The file was cut there; alone it is no text either, and one entry."""
    for magic in MAGICS[kind]:
        for size in range(1, len(magic)):
            assert ours(compressed(kind, SMALL) + magic[:size]) == (SMALL, "cut")
            got = match_bytes(magic[:size], RESTRICTIONS, OPTIONS)
            assert (got.counts.records, len(got.entries)) == (0, 1)


def test_zeros_and_white_space_between_gzip_members():
    """Any number of them, also behind; more than is read at a time too."""
    for gap in (b"\0", b" ", bytes(512), b"\r\n\t \0", bytes(70_000) + b"\n", b" " * 70_000):
        data = compressed("gzip", SMALL) + gap + compressed("gzip", SMALL) + gap
        assert ours(data) == ours(data, at_once=100, most=11) == (SMALL + SMALL, "whole")


def test_padding_of_xz():
    """Four zeros, or any multiple, between streams and behind them; others are no padding."""
    one = compressed("xz", SMALL)
    for size in (4, 8, 400, 100_000):
        assert ours(one + bytes(size) + one + bytes(size)) == (SMALL * 2, "whole")
    for size in (1, 2, 3, 5, 99_999):
        assert ours(one + bytes(size) + one) == ours(one + bytes(size)) == (SMALL, "behind")


def skippable(number, content):
    """A skippable frame."""
    return bytes([0x50 + number]) + b"\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content


@pytest.mark.parametrize("kind", ["zstd", "lz4"])
def test_skippable_frames(kind):
    """Anywhere, of any length, with anything inside; also before the first frame that has content."""
    gap = skippable(0, b"") + skippable(15, b"\x28\xb5\x2f\xfd") + skippable(7, b"x" * 200_000) + skippable(1, b"1")
    one = compressed(kind, SMALL)
    for data, content in ((gap, b""), (gap + one, SMALL), (one + gap, SMALL), (gap + one + gap + one + gap, SMALL * 2)):
        for at_once, most in ((1 << 20, 1 << 20), (10, 1 << 20), (1 << 20, 97)):
            assert ours(data, at_once=at_once, most=most) == (content, "whole")
        for cut in (1, 5):
            assert ours(data[:-cut])[1] == "cut"
    other = compressed("lz4" if kind == "zstd" else "zstd", SMALL)
    assert ours(gap + one + other) == (SMALL, "behind")


def test_options_of_lz4():
    """Blocks that depend on one another, that are stored, and that have checksums; sizes that are known."""
    text = random.Random(3).randbytes(100_000) + LINES
    for linked in (True, False):
        for size in (0, 4, 5, 6, 7):
            data = lz4.frame.compress(
                text, block_linked=linked, block_size=size, block_checksum=True, store_size=linked
            )
            assert ours(data + data) == (text + text, "whole")


@pytest.mark.slow
@each_kind
def test_a_bomb_is_stopped(kind):
    """At so many times its size; what came before comes out."""
    bomb = compressed(kind, b'{"data":"a"}\n' * 400_000)
    with patch.object(codecs, "INFLATED_BYTES_MIN", 1 << 20):
        got = match_bytes(bomb, RESTRICTIONS, MatchOptions(max_inflation=20))
        allowed = match_bytes(bomb, RESTRICTIONS, MatchOptions(max_inflation=100_000))
    limit = max(1 << 20, 20 * len(bomb))
    assert got.counts.records == limit // 13
    assert [entry.reason for entry in got.entries] == ["inflates_too_far"]
    assert (allowed.counts.records, allowed.entries) == (400_000, ())


@pytest.mark.slow
@each_kind
def test_little_is_held_of_what_inflates_most(kind):
    """No call gives more than a bounded number of bytes, however much the data inflates."""
    most = 130 << 20 if kind in ("gzip", "zstd", "lz4") else 2 << 20
    bomb = compressed(kind, bytes(300 << 20 if kind in ("gzip", "zstd", "lz4") else 30 << 20))
    source = codecs.open_source(io.BytesIO(bomb))
    largest = 0
    view = memoryview(bytearray(1 << 20))
    while source.readinto(view):
        largest = max(largest, len(source._source._pending))
    assert largest <= most


@each_kind
def test_a_damaged_list_is_refused(kind):
    """A list that is not whole is no list."""
    data = compressed(kind, b'["a","b"]')
    assert len(Restrictions.load(data)) == 2
    for broken in (data[:-3], data[:-3] + bytes([data[-3] ^ 1]) + data[-2:], data + b"x"):
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
        assert ours(data) == (LINES + LINES, "whole"), padding
    assert ours(member[:-5] + bytes([member[-5] ^ 1]) + member[-4:], salvage=True) == (LINES[:5000], "corrupt")


def test_a_long_header():
    """Longer than a decoder gets at once, than is read at once, and than is held."""
    for size in (40_000, 600_000, 2_000_000):
        member = gzip_member(SMALL, 8, b"n" * size + b"\0")
        assert ours(member * 2) == ours(member * 2, most=10_007) == (SMALL * 2, "whole")
        assert ours(member[: size // 2]) == (b"", "cut")


def test_checked_headers_of_gzip():
    """What zlib refuses in a header is damage: reserved flags, another method, a wrong checksum of it."""
    for flags in (0x20, 0x40, 0x80, 0xE0):
        assert ours(gzip_member(SMALL, flags, b""))[1] == "corrupt"
    assert ours(b"\x1f\x8b\x07" + gzip_member(SMALL, 0, b"")[3:])[1] == "corrupt"
    head = b"\x1f\x8b\x08\x02" + bytes(6)
    sums = (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little")
    assert ours(gzip_member(SMALL, 2, sums)) == (SMALL, "whole")
    assert ours(gzip_member(SMALL, 2, bytes([sums[0] ^ 1, sums[1]])))[1] == "corrupt"


def test_every_row_is_told_by_its_first_bytes():
    """None by those of another, but for skippable frames."""
    heads = [(row.name, magic) for row in COMPRESSIONS for magic in row.magics if magic[1:] != b"\x2a\x4d\x18"]
    for name, magic in heads:
        assert [row.name for row in COMPRESSIONS if row.begins(magic + bytes(6))] == [name]


def wide(text, log=31, **known):
    """A frame with a wide window."""
    how = zstandard.ZstdCompressionParameters.from_level(1, window_log=log)
    compressor = zstandard.ZstdCompressor(compression_params=how).compressobj(**known)
    return compressor.compress(text) + compressor.flush()


def test_wide_windows_of_zstd(monkeypatch):
    """Up to 2 GiB. More memory than any may hold must be given, once a file has so much content."""
    for log in (27, 28, 30, 31):
        assert ours(wide(SMALL, log)) == ours(wide(SMALL, log), memory=0) == (SMALL, "whole")
    monkeypatch.setattr(inflating, "MEMORY_BYTES_FREE", 50_000)
    text = random.Random(5).randbytes(200_000).hex().encode()
    data = wide(SMALL) + wide(text)
    for memory in (0, (1 << 31) - 1):
        with pytest.raises(NeedsMemory) as caught:
            ours(data, memory=memory)
        assert caught.value.nbytes == 1 << 31
    assert ours(data, memory=1 << 31) == ours(data, memory=None) == (SMALL + text, "whole")
    assert ours(wide(text, size=len(text)), memory=0) == (text, "whole")  # then less is held


def test_windows_that_nothing_can_hold():
    """Of more than 2 GiB; what comes before comes out."""
    data = bytearray(wide(SMALL))
    assert data[5] == (31 - 10) << 3
    data[5] += 1
    got = match_bytes(compressed("zstd", SMALL) + bytes(data), RESTRICTIONS)
    assert got.counts.records == 30
    assert [(entry.reason, entry.byte_offset) for entry in got.entries] == [("zstd_window", len(SMALL))]
    assert f"{(1 << 31) + (1 << 28):,} bytes" in got.entries[0].message


def test_a_frame_with_a_dictionary_is_corrupt():
    """It cannot be read without it, and the message says so."""
    samples = [b'{"n":%d,"data":"%d"}' % (n, n * n) for n in range(2000)]
    trained = zstandard.train_dictionary(2000, samples)
    data = zstandard.ZstdCompressor(dict_data=trained).compress(SMALL)
    assert ours(data) == (b"", "corrupt")
    (entry,) = match_bytes(data, Restrictions.load(b"[]")).entries
    assert f"zstd data that needs the dictionary {trained.dict_id():,}: frame 1" in entry.message
