"""The result of matching one input does not depend on how much of it is scanned at a time."""

from itertools import accumulate, pairwise
from unittest.mock import patch

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linkmatch_ray import MatchOptions, Restrictions
from linkmatch_ray.core import matcher
from linkmatch_ray.core.outcome import SHARE_COLUMNS, Counts
from linkmatch_ray.core.pack import Pack
from tests.properties.test_match_bytes import assert_agrees, load
from tests.support import oracle, strategies
from tests.support.kernel import at_each_level
from tests.support.tiers import examples

windows = st.integers(4, 40) | st.integers(4, 2_000)  # the layout is sniffed from four bytes


def scan(data, restrictions, options, window):
    """`match_bytes` with windows of another size."""
    with patch.object(matcher, "WINDOW_BYTES", window):
        return matcher.match_bytes(data, restrictions, options)


@given(case=strategies.cases(repeat=5), window=windows, provenance=st.booleans())
@settings(max_examples=examples(150))
@at_each_level
def test_any_window_gives_the_same_as_the_oracle(case, window, provenance):
    """Windows of any size cut every layout at every place, and nothing shows of it."""
    restrictions, data = load(case.restrictions, case.keys), case.files[0].data
    asked = {"emit": "both", "provenance": provenance}
    expected = oracle.match(data, case.restrictions, case.keys, **asked)
    got = scan(data, restrictions, MatchOptions(**asked), window)
    assert_agrees(got, expected)


@given(damaged=strategies.damaged_lines(), window=windows)
@example(damaged=(b'\x00\n{"data":\n{"data":\n', b""), window=4)
@settings(max_examples=examples(100))
@at_each_level
def test_any_window_finds_the_same_bad_lines(damaged, window):
    """Entries are the same, word for word, as when the whole input is scanned at once."""
    data, listed = damaged
    restrictions = Restrictions.load(listed)
    options = MatchOptions(emit="both")
    got = scan(data, restrictions, options, window)
    assert_agrees(got, oracle.match(data, listed, emit="both"))
    assert got == scan(data, restrictions, options, 1 << 20)


@given(
    case=strategies.cases(layouts=("array", "array-spaced", "array-pretty"), repeat=5),
    share=st.floats(0, 1),
    window=windows,
)
@settings(max_examples=examples(100))
@at_each_level
def test_any_window_finds_the_same_damage_in_an_array(case, share, window):
    """An array cut short at any place gives the same records and the same entry from windows of any size."""
    plain = case.files[0].plain
    cut = plain[: int(len(plain) * share)]
    restrictions = load(case.restrictions, case.keys)
    options = MatchOptions(emit="both", provenance=True)
    got = scan(cut, restrictions, options, window)
    assert_agrees(got, oracle.match(cut, case.restrictions, case.keys, emit="both", provenance=True))
    assert got == scan(cut, restrictions, options, 1 << 20)


@given(case=strategies.nested_cases(), window=windows)
@at_each_level
def test_any_window_gives_the_same_nested_records(case, window):
    """`records_at` too."""
    restrictions = load(case.restrictions, case.keys)
    asked = {"emit": "both", "provenance": True, "records_at": case.records_at}
    expected = oracle.match(case.files[0].data, case.restrictions, case.keys, **asked)
    got = scan(case.files[0].data, restrictions, MatchOptions(**asked), window)
    assert_agrees(got, expected)


@st.composite
def small_files(draw):
    """Files for one buffer: alike, so that they can be joined, but for some that are cut or damaged."""
    layouts = draw(st.sampled_from((("lines",), ("array", "array-pretty"), ("lines", "object"), strategies.LAYOUTS)))
    alike = draw(st.booleans())
    case = draw(strategies.cases(files=6, layouts=layouts, objects=alike))
    files = [file.plain for file in case.files]
    for number in draw(st.lists(st.integers(0, len(files) - 1), max_size=0 if alike else 2)):
        share = draw(st.floats(0, 1))
        tail = draw(st.sampled_from((b"", b"]", b"}", b"]]", b"],[1]", b"\n}", b"[", b'"')))
        files[number] = files[number][: int(len(files[number]) * share)] + tail
    return case, files


@given(drawn=small_files())
@settings(max_examples=examples(300))
@at_each_level
def test_files_joined_in_one_buffer_give_what_each_gives_alone(drawn):
    """Joining small files for one scan shows nowhere: outputs, counts and entries are each file's own."""
    case, files = drawn
    restrictions = load(case.restrictions, case.keys)
    buffer, starts = bytearray(16), []
    for plain in files:
        starts.append(len(buffer))
        buffer += plain + b"\n"
    pack = Pack(0, np.array(starts), np.array(starts) + [len(plain) for plain in files])
    options = MatchOptions(emit="both")
    paths = [b"%d" % number for number in range(len(files))]
    machine = matcher.Matcher(restrictions.paths, restrictions.index, options)
    parts = list(machine.pack(buffer + bytes(16), pack, paths))
    alone = [matcher.match_bytes(plain, restrictions, options) for plain in files]
    for stream in ("matched", "unmatched"):
        got = b"".join(b"".join(getattr(part, stream)) for part in parts)
        assert got == b"".join(getattr(one, stream) for one in alone)
    pieces = [piece for part in parts for piece in part.pieces]
    shares = [share for piece in pieces for share in shares_of(piece)]
    assert [piece.file for piece in pieces] == [0, *accumulate(piece.files for piece in pieces[:-1])]
    for share, plain, one in zip(shares, files, alone, strict=True):
        counts = one.counts.as_dict() | {"input_bytes": len(plain)}
        counts |= {"matched_bytes": len(one.matched), "unmatched_bytes": len(one.unmatched)}
        assert share["hits"] == hits_of(one, restrictions)
        assert {name: share[name] for name in counts} == counts
    for piece in pieces:
        assert piece.counts == sum_of(alone[piece.file : piece.file + piece.files])
        assert piece.entries == tuple(e for one in alone[piece.file : piece.file + piece.files] for e in one.entries)


def shares_of(piece):
    """What a piece says of each of its files, by name; the hits as pairs."""
    pairs = np.frombuffer(piece.hits, "<i8").reshape(-1, 2).tolist()
    if piece.shares is None:
        share = piece.counts.as_dict() | {"input_bytes": piece.input_bytes, "hits": pairs}
        return [share | {"matched_bytes": piece.matched_bytes, "unmatched_bytes": piece.unmatched_bytes}]
    assert len(piece.shares) == piece.files > 1
    shares = [dict(zip(SHARE_COLUMNS, row, strict=True)) | {"entries": 0} for row in piece.shares.tolist()]
    ends = [0, *accumulate(share["hits"] for share in shares)]
    assert ends[-1] == len(pairs)
    return [share | {"hits": pairs[low:high]} for share, (low, high) in zip(shares, pairwise(ends), strict=True)]


def hits_of(outcome, restrictions):
    """The (distinct key, times) pairs of one file, from the hits of each restriction."""
    index = restrictions.index
    found = {
        distinct: outcome.hits[int(index.restrictions_of(distinct)[0])]
        for distinct in range(len(index.hashes))
        if int(index.restrictions_of(distinct)[0]) in outcome.hits
    }
    return [list(pair) for pair in found.items()]


def sum_of(outcomes):
    """The counts of some files together."""
    total = Counts()
    for outcome in outcomes:
        total.add(outcome.counts)
    return total
