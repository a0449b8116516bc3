"""Every token across every border: of windows, blocks, ranges, compressed pieces; tiny ones, and the real ones."""

import random
from itertools import product

import pytest

from linkmatch_ray import MatchOptions, Restrictions, match_bytes
from linkmatch_ray.core.structure import STRIDE_BYTES
from linkmatch_ray.core.window import WINDOW_BYTES
from tests.fuzz import run, straddle
from tests.fuzz.borders import HOSTILE, Borders, matched_in_ranges
from tests.support.tiers import examples, kinds, some

LAYOUTS = ("lines", "crlf", "array", "pretty")


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_tiny_windows_and_blocks(layout, nested):
    """All kinds of tokens at all widths of windows and blocks."""
    made = straddle.systematic(layout, nested=nested, pad=0)
    for window in (*some(range(16, 80)), 4096):
        straddle.assert_gives(made, made.data, Borders(window=window, block=8 * (1 + window % 5)))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_blocks_shifted_byte_by_byte(layout):
    """In a window that holds all, blocks of 8 and 64 bytes begin at each byte of each token."""
    for pad in some(range(64)):
        made = straddle.systematic(layout, nested=pad % 2 == 0, pad=pad)
        for block in (8, 64):
            straddle.assert_gives(made, made.data, Borders(block=block, poison=HOSTILE[pad % len(HOSTILE)]))


@pytest.mark.parametrize("layout", ["lines", "crlf"])
def test_bad_lines_across_borders(layout):
    """A bad line is one entry, whatever it lies across, and its neighbours come out."""
    for window in some(range(16, 60)):
        made = straddle.systematic(layout, nested=True, pad=window, damaged=True)
        straddle.assert_gives(made, made.data, Borders(window=window, block=8))
    for pad in some(range(16)):
        made = straddle.systematic(layout, nested=True, pad=pad, damaged=True)
        straddle.assert_gives(made, made.data, Borders(block=16))


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["no mark", "mark"])
@pytest.mark.parametrize("layout", ["lines", "crlf"])
def test_ranges(layout, mark):
    """A file of lines cut into ranges of any width: each line in one of them."""
    made = straddle.systematic(layout, nested=True, pad=0, damaged=True)
    data = mark + made.data + b"\n\n \r\n" + b" " * 40 + b"\n"
    for unit in (*some(range(16, 70)), 333, len(data) - 1, len(data)):
        borders = Borders(window=16 + unit % 7, tail=1 + unit % 9, block=8)
        with borders.drawn():
            matched, unmatched, counts, entries = matched_in_ranges(
                data, straddle.LIST, straddle.OPTIONS, unit, borders
            )
        assert (matched, unmatched) == (b"".join(made.matched), b"".join(made.unmatched)), unit
        assert (counts.records, entries) == (made.records, made.entries), unit


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_compressed_pieces(kind):
    """Members cut anywhere, given to the decoder a few bytes at a time."""
    rng = random.Random(1)
    for size in kinds((1, 2, 3, 5, 17, 64)):
        for layout in LAYOUTS:
            made = straddle.systematic(layout, nested=True, pad=size)
            data = straddle.compress(b"\xef\xbb\xbf" + made.data, kind, rng)
            straddle.assert_gives(made, data, Borders(window=16 + size, compressed=size))


@pytest.mark.parametrize(("border", "layout"), kinds(product((STRIDE_BYTES, WINDOW_BYTES), LAYOUTS)))
def test_the_real_borders(layout, border):
    """Each kind of token lies across a border of the real size, shifted through it byte by byte."""
    tokens = [
        token for kind, token in straddle.TOKENS.items() if layout in ("array", "pretty") or kind != "white lines"
    ]
    shifts = range(7) if border == STRIDE_BYTES else (3,)
    for shift in shifts:
        texts, at = [], 1 + len(b'{"f":""}')
        for number, token in enumerate(tokens if border == STRIDE_BYTES else tokens[:2]):
            wanted = border * (number + 1) - (shift * len(token) // 7 + 1)  # where the token is to begin
            place = number % len(straddle.KEYS)
            text = straddle.record(token, straddle.KEYS[place][0], nested=True, last=False)
            joint = 5 if layout == "pretty" else 2 if layout == "crlf" else 1
            before = wanted - at - 2 * joint - text.index(token) - len(b'{"f":""}')
            filler = b'{"f":"' + b'\\"' * (before // 2) + b"." * (before % 2) + b'"}'
            texts += [(filler, 1), (text, place)]
            at = wanted - text.index(token) + len(text)
        made = straddle.make(texts, layout)
        straddle.assert_gives(made, made.data, Borders())


def test_the_fault_that_was_found():
    r"""A `\"` whose backslash ends a block and whose quote begins the next, among elements framed by structure."""
    element = b'{"data":"x","n":[{"a":1},{"b":2}],"s":"' + b'\\"' * 1000 + b'"}'
    data = b"[" + b",".join([element] * 400) + b"]"
    got = match_bytes(data, Restrictions.load(b'["x"]'), MatchOptions())
    assert (got.counts.records, got.counts.matched, got.counts.entries) == (400, 400, 0)
    assert len(Restrictions.load(data)) == 400


def test_random_inputs_through_random_borders():
    """The same search as `scripts/fuzz straddle`, from one seed."""
    for seed in range(examples(300)):
        run.straddle(seed)


def test_lists_read_in_any_pieces():
    """The same search as `scripts/fuzz lists`, from one seed."""
    for seed in range(examples(500)):
        run.lists(seed)
