"""The oracle is held to the shared reference, to Python's json, and to examples worked out by hand."""

import importlib.util
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import REPO
from tests.support import oracle, strategies

SHARED = REPO.parent / "shared" / "data"


def reference():
    """The shared reference_match.py as a module."""
    path = SHARED / "reference_match.py"
    if not path.exists():
        pytest.skip("no shared data beside the repository")
    spec = importlib.util.spec_from_file_location("reference_match", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@given(
    pool=st.lists(st.text(max_size=2) | st.integers(2, 5) | st.none() | st.lists(st.integers(2, 3)), min_size=1),
    data=st.data(),
)
def test_agrees_with_the_shared_reference(pool, data):
    """On keys that Python compares as the contract does, the oracle is the shared reference's double loop."""
    keyed = st.sampled_from(pool).map(lambda key: {"data": key})
    links = data.draw(st.lists(keyed | st.just({"x": 1}) | st.sampled_from(pool)))
    others = data.draw(st.lists(keyed))
    expected = list(reference().match(links, others, "data"))
    got = oracle.match(json.dumps(links).encode(), json.dumps(others).encode())
    assert [len(position.hits) for position in got.positions] == [len(hits) for _, hits in expected]
    matched = [json.loads(line) for line in got.matched.splitlines()]
    assert matched == [link for link, hits in expected if hits]


@given(case=strategies.cases())
def test_is_the_plain_double_loop(case):
    """Without an index, comparing every pair, the oracle's hits come out again."""
    got = oracle.match(case.files[0].data, case.restrictions, case.keys)
    records = oracle.decompress(case.files[0].data)
    listed = oracle.decompress(case.restrictions)
    others = [oracle.parse(listed[span.start : span.end]) for span in oracle.spans(listed)]
    for (start, end, good), position in zip(oracle.spans(records), got.positions, strict=True):
        assert good
        link = oracle.parse(records[start:end])
        assert position.hits == tuple(i for i, other in enumerate(others) if same(link, other, case.keys))


def same(link, other, keys):
    if not isinstance(link, dict):
        return False
    for own, theirs in keys:
        left = oracle.look(link, own)
        right = oracle.look(other, theirs) if isinstance(other, dict) else other
        if left is oracle.MISSING or not equal(left, right):
            return False
    return True


def equal(left, right):
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal(left[name], right[name]) for name in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return left == right


@given(case=strategies.cases())
def test_spans_hold_what_python_json_reads(case):
    """The values of the spans are those that `json.loads` finds in the file as a whole."""
    file = case.files[0]
    text = file.plain.removeprefix(strategies.BOM).decode()
    if file.layout == "lines":
        expected = [json.loads(line, parse_float=str) for line in text.split("\n") if line.strip(" \t\r")]
    else:
        whole = json.loads(text, parse_float=str)
        expected = [whole] if file.layout.startswith("object") else whole
    found = [file.plain[span.start : span.end].decode() for span in oracle.spans(file.plain)]
    assert [json.loads(one, parse_float=str) for one in found] == expected


@given(case=strategies.nested_cases())
def test_nested_records_are_found_where_the_pointer_leads(case):
    """`records_at` gives the elements of the array that the pointer names; that of the last member at least."""
    plain = case.files[0].plain
    expected = oracle.look(oracle.parse(plain), case.records_at)
    found = oracle.spans(plain, records_at=case.records_at)
    records = [oracle.parse(plain[span.start : span.end]) for span in found]
    assert records[len(records) - len(expected) :] == expected


@given(case=strategies.cases())
def test_output_lines_mean_what_the_records_mean(case):
    """Dropping white space changes no token: every output line parses to the record itself."""
    got = oracle.match(case.files[0].data, case.restrictions, case.keys, emit="both")
    for lines, hit in ((got.matched, True), (got.unmatched, False)):
        records = [position for position in got.positions if bool(position.hits) is hit]
        assert lines.count(b"\n") == len(records)
        for line, position in zip(lines.split(b"\n"), records, strict=False):
            whole = case.files[0].plain[position.byte_offset :].decode("latin-1")
            slice_ = whole[: oracle.BOUNDS.raw_decode(whole)[1]].encode("latin-1")
            assert b"\r" not in line
            assert oracle.parse(line) == oracle.parse(slice_)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", (0, "", 0)),
        ("-0.00e5", (0, "", 0)),
        ("1", (1, "1", 0)),
        ("10e-1", (1, "1", 0)),
        ("-1.20E+3", (-1, "12", 2)),
        ("0.001", (1, "1", -3)),
        ("1e999999999", (1, "1", 999999999)),
        ("1e" + "9" * 5000, (1, "1", 10**5000 - 1)),
    ],
)
def test_number_normalises(text, expected):
    """A number becomes sign, digits and exponent, whatever its spelling."""
    assert oracle.number(text) == expected


def test_small_example_by_hand():
    """Positions, counts, hits, entries and bytes of a small file with everything in it."""
    data = (
        b'\xef\xbb\xbf{"data": 1.0}\r\n\r\n'
        b' {"d\\u0061ta":"\\u0061"} \n'
        b"nope\n"
        b'{"data":true}\n'
        b'[1]\n{"x":1}\n'
        b'{"data":2,"data":\r1}'
    )
    got = oracle.match(data, b'[{"data":1},"a",{"data":10e-1}]', emit="both")
    assert got.matched == b'{"data": 1.0}\n{"d\\u0061ta":"\\u0061"}\n{"data":2,"data":1}\n'
    assert got.unmatched == b'{"data":true}\n1\n{"x":1}\n'
    assert [position.hits for position in got.positions] == [(0, 2), (1,), (), (), (), (0, 2)]
    assert [position.line for position in got.positions] == [1, 3, 5, 6, 7, 8]
    assert [position.index for position in got.positions] == [0, 1, 3, 4, 5, 6]
    assert [position.byte_offset for position in got.positions][:2] == [3, 21]
    assert got.entries == [(2, 4, data.index(b"nope"), b"nope")]
    counts = {"records": 6, "matched": 3, "unmatched": 3}
    assert dict(got.counts) == {**counts, "missing_key": 1, "not_object": 1, "entries": 1}
    assert got.hits == {0: 2, 2: 2, 1: 1}


@pytest.mark.parametrize("restrictions", [b"[1,{}]", b"[{}]", b'[{"data":1},]', b'{"x":1}', b"nope", b'["a"'])
def test_invalid_restrictions_are_refused(restrictions):
    """A restriction without the key, or a list that is not JSON, is an error and not an empty list."""
    with pytest.raises(ValueError, match=r"no key|not valid"):
        oracle.build(restrictions, [("data", "data")])
