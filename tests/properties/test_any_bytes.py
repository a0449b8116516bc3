"""Any bytes at all: no crash, and the oracle's verdicts on whatever can still be read."""

from hypothesis import given, settings
from hypothesis import strategies as st

from linkmatch_ray import MatchOptions
from linkmatch_ray.core import matcher
from tests.properties.test_match_bytes import assert_agrees, load
from tests.support import oracle, strategies
from tests.support.kernel import at_each_level
from tests.support.tiers import examples

SNIPPETS = (
    *(bytes([byte]) for byte in b'{}[],:"\\/ \n\r\t0123456789-+.eEtfnNuIaxX\0\x1f\x7f\x80\xbf\xc3\xe9\xff'),
    b"},{",
    b"}\n{",
    b'"data":',
    b'"data"',
    b"null",
    b"NaN",
    b"Infinity",
    b"-",
    b"1e5",
    b"\\u00",
    b"\\ud800",
    b'\\"',
    b"\xef\xbb\xbf",
    b"]]",
    b"[[",
    b"//",
    b"{}",
    b"\xed\xa0\x80",
)


@st.composite
def mangled(draw):
    """A valid input with a few bytes put in, taken out, overwritten or repeated."""
    case = draw(strategies.cases(objects=draw(st.booleans())))
    data = bytearray(case.files[0].plain)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        end = min(len(data), place + draw(st.integers(0, 6)))
        kind = draw(st.sampled_from(("insert", "overwrite", "delete", "repeat", "cut")))
        if kind == "insert":
            data[place:place] = draw(st.sampled_from(SNIPPETS))
        elif kind == "overwrite":
            data[place:end] = draw(st.sampled_from(SNIPPETS))
        elif kind == "delete":
            del data[place:end]
        elif kind == "repeat":
            data[place:place] = data[max(0, place - 40) : end]
        elif draw(st.booleans()):
            del data[place:]
    return case, bytes(data)


@given(drawn=mangled())
@settings(max_examples=examples(1500), deadline=None)
@at_each_level
def test_mangled_input_gives_what_the_oracle_reads(drawn):
    """The same records, the same bytes, as many entries."""
    case, data = drawn
    if data[:2] == b"\x1f\x8b" or data[:4] == b"\x28\xb5\x2f\xfd":
        return
    expected = oracle.match(data, case.restrictions, case.keys, emit="both")
    got = matcher.match_bytes(data, load(case.restrictions, case.keys), MatchOptions(emit="both"))
    assert_agrees(got, expected)
    assert [entry.index for entry in got.entries] == [entry.index for entry in expected.entries]
    assert [entry.byte_offset for entry in got.entries] == [entry.byte_offset for entry in expected.entries]


@given(data=st.binary(max_size=200), window=st.integers(16, 64))
@settings(max_examples=examples(500), deadline=None)
@at_each_level
def test_any_bytes_are_taken(data, window):
    """Records are counted, and everything else is an entry with a reason; from any windows the same."""
    restrictions = load(b'["a"]', (("data", "data"),))
    got = matcher.match_bytes(data, restrictions, MatchOptions(emit="both"))
    assert got.counts.records == got.counts.matched + got.counts.unmatched
    assert all(entry.reason and entry.message for entry in got.entries)
