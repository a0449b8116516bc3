"""The kernel on generated input, whole, mangled and damaged, and on JSONTestSuite: at every level the same, in any
windows, and what the exact path says of each record."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.native.kernel import LINES, VALUES, Flag, Kind, Status
from linkmatch_ray.native.steps import STAR
from tests.conftest import REPO
from tests.properties.test_any_bytes import mangled
from tests.properties.test_match_bytes import load
from tests.support import strategies
from tests.support.kernel import agree, make_kernel, read
from tests.support.tiers import examples

DOUBTS = Flag.DOUBT_NUMBERS | Flag.DOUBT_CONTAINERS
SEQUENCES = Flag.COMMA_MAY_FOLLOW | Flag.RS_IS_WHITE
CUTS = st.lists(st.integers(0, 400), max_size=6)
SUITE = REPO / "tests/json_test_suite/test_parsing"


def listed_keys(restrictions, keys):
    """The canonical keys of a list, and what the kernel must doubt for its sake."""
    index = load(restrictions, keys).index
    flags = Flag.DOUBT_NUMBERS * index.has_numbers | Flag.DOUBT_CONTAINERS * index.has_containers
    return frozenset(index.key(place) for place in range(len(index.hashes))), flags


@given(case=strategies.cases(repeat=3), cuts=CUTS, capacity=st.integers(1, 5), mode=st.sampled_from((LINES, VALUES)))
@settings(max_examples=examples(200))
def test_records_of_any_input(case, cuts, capacity, mode):
    """Their kinds, spans, keys, and which of them are on the list."""
    listed, flags = listed_keys(case.restrictions, case.keys)
    paths = [KeyPath.parse(own).tokens for own, _ in case.keys]
    agree(case.files[0].plain, paths, listed, flags, cuts, mode=mode, capacity=capacity)


@given(drawn=mangled(), cuts=CUTS, mode=st.sampled_from((LINES, VALUES)), more=st.sampled_from((Flag(0), SEQUENCES)))
@settings(max_examples=examples(300))
def test_mangled_input(drawn, cuts, mode, more):
    """With a few bytes put in, taken out, overwritten or repeated."""
    case, data = drawn
    listed, flags = listed_keys(case.restrictions, case.keys)
    agree(data, [KeyPath.parse(own).tokens for own, _ in case.keys], listed, flags | more, cuts, mode=mode)


@given(damaged=strategies.damaged_lines(), cuts=CUTS, capacity=st.integers(1, 5))
@settings(max_examples=examples(150))
def test_damaged_lines(damaged, cuts, capacity):
    """The good ones among them are what they are alone."""
    data, restrictions = damaged
    listed, flags = listed_keys(restrictions, (("data", "data"),))
    agree(data, [("data",)], listed, flags, cuts, mode=LINES, capacity=capacity)


TOKENS = [*"{}[],:", '"', '"a"', '"b"', '"a":', "1", "-0", "1.5", "true", "nul", "null", " ", "\n", "\r", "\x1e", "\\"]
TOKENS += ["\\u0061", '"\\u0061"', "\x00", "é", '{"a":1}', '{"a":"b"}', '[{"a":', "[1,", "},{", '"a":[', "1e5", "\x7f"]


@given(
    text=st.lists(st.sampled_from(TOKENS), max_size=25).map("".join),
    cuts=CUTS,
    mode=st.sampled_from((LINES, VALUES)),
    flags=st.sampled_from((Flag(0), SEQUENCES, SEQUENCES | DOUBTS, DOUBTS | Flag.ARRAYS_ARE_RECORDS)),
)
@settings(max_examples=examples(600))
def test_tokens_in_any_order(text, cuts, mode, flags):
    """Most of it is no JSON."""
    listed = frozenset([b'"b"', b"true"])
    for data in (text.encode(), b'{"a":' + text.encode() + b"}"):
        agree(data, [("a",)], listed, flags, cuts, mode=mode)


PARTS = st.recursive(
    st.sampled_from(('"x"', "1", "null", '"\\u0079"', "1.5", "[]", "{}")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]"),
        st.lists(st.tuples(st.sampled_from(("a", "b", "\\u0061", "0", "c")), inner), max_size=3).map(
            lambda parts: "{{{}}}".format(",".join(f'"{name}":{part}' for name, part in parts))
        ),
    ),
    max_leaves=8,
)
PATHS = (
    *([("a", STAR)], [("a", STAR, "b")], [("a", STAR, STAR)], [("a", STAR, "b", STAR, "a")]),
    *([("a", STAR, "a"), ("a", STAR, "b")], [("b", 0, STAR, "a")], [("a", "0", "b"), ("b",)], [("a", "b"), ("a",)]),
)


@given(records=st.lists(PARTS, max_size=4), cuts=CUTS, paths=st.sampled_from(PATHS), room=st.integers(1, 40))
@settings(max_examples=examples(500))
def test_paths_of_all_kinds(records, cuts, paths, room):
    """Pointers and `[*]`, in objects with few names, many of them twice."""
    data = "\n".join(f'{{"a":{record}}}' for record in records).encode()
    listed = frozenset([b'"x"', b"1", b'"y"', b'["x",1]', b'["x","x"]', b"null"])
    more = {} if STAR not in paths[0] else {"key_capacity": 1000}
    found, _ = agree(data, paths, listed, DOUBTS, cuts, mode=LINES, capacity=64, **more)
    if more:
        kernel = make_kernel(paths, listed, flags=DOUBTS)
        for one, other in zip(found, read(kernel, data, cuts, key_capacity=room)[0], strict=True):
            assert one == other or other.kind == Kind.DOUBTED


@pytest.mark.parametrize("path", sorted(SUITE.iterdir()), ids=lambda path: path.name)
def test_json_test_suite(path):
    """Each file as lines and as values; what is JSON is one whole record, what is not stops a reading or is damaged."""
    data = path.read_bytes()
    cuts = range(0, len(data), max(1, len(data) // 200))
    agree(data, [("a",)], frozenset([b"1"]), DOUBTS, cuts, mode=LINES)
    for flags in (DOUBTS, DOUBTS | SEQUENCES):
        agree(data, [("a",)], frozenset([b"1"]), flags, cuts, mode=VALUES)
    found, end = agree(data, [("a",)], frozenset(), DOUBTS | Flag.ARRAYS_ARE_RECORDS, cuts, mode=VALUES)
    is_whole = end.status == Status.DONE and [one.kind == Kind.DAMAGED for one in found] == [False]
    if path.name.startswith(("y_", "n_")):
        assert is_whole == path.name.startswith("y_")
