"""`match_bytes` gives what the oracle gives: the same bytes, positions, counts and hits."""

import gzip
import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkmatch_ray import MatchOptions, Restrictions, match_bytes
from tests.support import oracle, strategies
from tests.support.tiers import examples

COUNTS = ("records", "matched", "unmatched", "missing_key", "not_object", "entries")
EMITS = ("matched", "unmatched", "both")
LAYOUT_NAMES = {"lines": "lines", "object": "object", "object-pretty": "object"}


def assert_agrees(got, expected):
    assert got.matched == expected.matched
    assert got.unmatched == expected.unmatched
    assert {name: getattr(got.counts, name) for name in COUNTS} == {name: expected.counts[name] for name in COUNTS}
    assert got.counts.records == got.counts.matched + got.counts.unmatched
    assert {index: hits for index, hits in got.hits.items() if hits} == dict(expected.hits)
    assert len(got.entries) == got.counts.entries


def load(restrictions, keys, **options):
    names = strategies.arguments(keys)
    return Restrictions.load(restrictions, names[0] if len(names) == 1 else names, **options)


def verdict(record, restriction):
    """Whether one record, as JSON text, comes out for one restriction."""
    outcome = match_bytes(record.encode(), Restrictions.load(restriction.encode()), MatchOptions(emit="both"))
    assert (outcome.counts.records, outcome.counts.entries) == (1, 0)
    assert (outcome.matched or outcome.unmatched) == record.encode() + b"\n"
    assert outcome.counts.matched == bool(outcome.matched)
    return bool(outcome.matched)


# ---- properties


@given(case=strategies.cases(), emit=st.sampled_from(EMITS))
@settings(max_examples=examples(200))
def test_same_as_the_oracle(case, emit):
    """Any corpus of valid JSON, however it is spelled, laid out and compressed."""
    expected = oracle.match(case.files[0].data, case.restrictions, case.keys, emit=emit)
    got = match_bytes(case.files[0].data, load(case.restrictions, case.keys), MatchOptions(emit=emit))
    assert_agrees(got, expected)


@given(
    case=strategies.cases(),
    emit=st.sampled_from(EMITS),
    name=st.sampled_from(("<bytes>", "a b.json", 'q"\\.x')),
)
def test_same_provenance_as_the_oracle(case, emit, name):
    """Every line says file, index, line, offset and restrictions as the oracle counts them."""
    expected = oracle.match(case.files[0].data, case.restrictions, case.keys, emit=emit, provenance=True, name=name)
    options = MatchOptions(emit=emit, provenance=True, name=name)
    assert_agrees(match_bytes(case.files[0].data, load(case.restrictions, case.keys), options), expected)


@given(case=strategies.nested_cases(), emit=st.sampled_from(EMITS), provenance=st.booleans())
def test_same_as_the_oracle_with_records_at(case, emit, provenance):
    """The array that `records_at` names is looked up like a file of its own; positions are the file's."""
    asked = {"emit": emit, "provenance": provenance, "records_at": case.records_at}
    expected = oracle.match(case.files[0].data, case.restrictions, case.keys, **asked)
    got = match_bytes(case.files[0].data, load(case.restrictions, case.keys), MatchOptions(**asked))
    assert_agrees(got, expected)


@given(case=strategies.cases())
def test_format_given_is_format_found(case):
    """Naming the layout that the file has changes nothing."""
    file, restrictions = case.files[0], load(case.restrictions, case.keys)
    named = MatchOptions(emit="both", format=LAYOUT_NAMES.get(file.layout, "array"))
    assert match_bytes(file.data, restrictions, named) == match_bytes(
        file.data, restrictions, MatchOptions(emit="both")
    )


@given(case=strategies.cases())
def test_emit_chooses_among_the_same_lines(case):
    """`matched` and `unmatched` are the halves of `both`; counts and hits do not depend on `emit`."""
    restrictions = load(case.restrictions, case.keys)
    first, second, both = (match_bytes(case.files[0].data, restrictions, MatchOptions(emit=emit)) for emit in EMITS)
    assert (first.matched, second.unmatched) == (both.matched, both.unmatched)
    assert (first.unmatched, second.matched) == (b"", b"")
    assert first.counts == second.counts == both.counts
    assert first.hits == second.hits == both.hits


@given(damaged=strategies.damaged_lines(), emit=st.sampled_from(EMITS), provenance=st.booleans())
@settings(max_examples=examples(200))
def test_bad_lines_are_entries_and_their_neighbours_come_out(damaged, emit, provenance):
    """Each line that is no JSON value is one entry with its position, and nothing else is lost."""
    data, restrictions = damaged
    expected = oracle.match(data, restrictions, emit=emit, provenance=provenance)
    got = match_bytes(data, Restrictions.load(restrictions), MatchOptions(emit=emit, provenance=provenance))
    assert_agrees(got, expected)
    for entry, known in zip(got.entries, expected.entries, strict=True):
        assert (entry.index, entry.line) == (known.index, known.line)
        assert data[entry.byte_offset : entry.byte_offset + entry.bytes].strip(oracle.SPACE) == known.text
        assert entry.reason
        assert entry.message


@given(
    case=strategies.cases(layouts=("array", "array-spaced", "array-pretty")),
    share=st.floats(0, 1),
    data=st.data(),
)
def test_everything_before_the_damage_in_an_array_comes_out(case, share, data):
    """An array cut short, or with junk behind it, gives its whole elements and one entry for the rest."""
    plain = case.files[0].plain
    damaged = data.draw(st.sampled_from((plain[: int(len(plain) * share)], plain + b"x", plain + b"\n[]")))
    expected = oracle.match(damaged, case.restrictions, case.keys, emit="both")
    got = match_bytes(damaged, load(case.restrictions, case.keys), MatchOptions(emit="both", format="array"))
    if damaged.removeprefix(strategies.BOM).strip(oracle.SPACE)[:1] != b"[":
        return
    assert_agrees(got, expected)
    assert [entry.index for entry in got.entries] == [known.index for known in expected.entries]


@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r")).filter(bool), max_size=6))
def test_text_restrictions_are_one_key_a_line(texts):
    """In text format only line ends are stripped: spaces, quotes and everything else belong to the key."""
    ends = itertools.cycle(("\n", "\r\n"))
    listed = "".join(text + next(ends) for text in texts).encode()
    lines = b"".join(json.dumps({"data": text}).encode() + b"\n" for text in [*texts, "not listed\n", ' "'])
    expected = oracle.match(lines, listed, text=True)
    assert_agrees(match_bytes(lines, Restrictions.load(listed, restrictions_format="text"), MatchOptions()), expected)


# ---- the contract's Equality section, one line an example


@pytest.mark.parametrize("sides", ["record, restriction", "restriction, record"])
@pytest.mark.parametrize("around", ["{}", "[{}]", '{{"x":[{}]}}'], ids=["bare", "in an array", "in an object"])
@pytest.mark.parametrize(
    ("left", "same", "right"),
    [
        ("1", True, "1.0"),
        ("1", True, "1e0"),
        ("1", True, "10e-1"),
        ("1", True, "0.1E+1"),
        ("1", True, "1000000000000000000000000000000e-30"),
        ("100", True, "1e2"),
        ("0", True, "-0"),
        ("0", True, "-0.0"),
        ("0", True, "0e999999999"),
        ("1", False, "-1"),
        ("1", False, "true"),
        ("1.0", False, "true"),
        ("0", False, "false"),
        ("0.0", False, "false"),
        ("0", False, "null"),
        ("1", False, '"1"'),
        ("null", False, '"null"'),
        ("null", False, "false"),
        ("null", True, "null"),
        ("true", True, "true"),
        ("true", False, "false"),
        ("true", False, '"true"'),
        ("18446744073709551617", False, "18446744073709551616"),
        ("18446744073709551617", True, "18446744073709551617.0"),
        ("18446744073709551616", False, "18446744073709551615"),
        ("9223372036854775808", False, "9223372036854775807"),
        ("-9223372036854775809", False, "-9223372036854775808"),
        ("9007199254740993.0", False, "9007199254740992"),
        ("9007199254740993.0", True, "9007199254740993"),
        ("9007199254740993", False, "9007199254740992"),
        ("0.1", False, "0.1000000000000000055511151231257827"),
        ("0.1", True, "1e-1"),
        ("0.30000000000000004", False, "0.3"),
        ("1e400", False, "1e500"),
        ("1e400", True, "10e399"),
        ("-1e400", False, "1e400"),
        ("1e-400", False, "1e-500"),
        ("1e-400", False, "0"),
        ("1e999999999", True, "10e999999998"),
        ("1e999999999", False, "1e999999998"),
        ("1e999999999", False, "0"),
        ("1e18446744073709551616", False, "1e18446744073709551617"),
        ("1e00000000000000000000001", True, "10"),
        ('"\\u0061"', True, '"a"'),
        ('"a"', False, '"A"'),
        ('"a"', False, '"a "'),
        ('"\\/"', True, '"/"'),
        ('"\\u00E9"', True, '"\\u00e9"'),
        ('"\\u00e9"', True, '"é"'),
        ('"é"', False, '"e\u0301"'),
        ('"Å"', False, '"\u212b"'),
        ('"\\ud83d\\ude00"', True, '"😀"'),
        ('"\\ud83d"', True, '"\\uD83D"'),
        ('"\\ud83d"', False, '"\\ude00"'),
        ('"\\ud83d"', False, '"\ufffd"'),
        ('"\\ud83d"', False, '"?"'),
        ('"\\ud83d"', False, '"\\\\ud83d"'),
        ('"\\ud83d "', False, '"\\ud83d"'),
        ('"\\ude00\\ud83d"', False, '"😀"'),
        ('"\\u0000"', False, '""'),
        ('"a\\u0000b"', False, '"a\\u0000c"'),
        ('"a\\u0000"', False, '"a"'),
        ('"\\n"', True, '"\\u000a"'),
        ('"\\n"', False, '"\\\\n"'),
        ('"\\u2028"', True, '"\u2028"'),
        ("[]", False, "{}"),
        ("[]", False, "null"),
        ("[1,2]", True, "[ 1.0 , 2e0 ]"),
        ("[1,2]", False, "[2,1]"),
        ("[1]", False, "[true]"),
        ("[0]", False, "[false]"),
        ("[1]", False, "1"),
        ("[[]]", False, "[]"),
        ("[1,[2]]", False, "[1,2]"),
        ('{"a":1,"b":2}', True, '{"b":2.0,"a":1}'),
        ('{"a":1}', False, '{"a":true}'),
        ('{"a":1}', False, '{"a":1,"b":null}'),
        ('{"a":null}', False, "{}"),
        ('{"a":2,"a":1}', True, '{"a":1}'),
        ('{"a":1,"\\u0061":2}', True, '{"a":2}'),
        ('{"\\u0061":1}', True, '{"a":1}'),
        ('{"é":1}', False, '{"e\u0301":1}'),
        ('{"":1}', True, '{"":1e0}'),
        ('{"\\ud800":1}', True, '{"\\uD800":1}'),
        ('{"\\ud800":1}', False, '{"\\ud801":1}'),
        ('{"a":{"b":[1]}}', False, '{"a":{"b":[true]}}'),
    ],
)
def test_equality(left, same, right, around, sides):
    """Two keys are equal as the contract says, from either side and inside containers."""
    record, restriction = (left, right) if sides == "record, restriction" else (right, left)
    record, restriction = around.format(record), around.format(restriction)
    assert verdict(f'{{"data":{record}}}', f'[{{"data":{restriction}}}]') is same


@pytest.mark.parametrize(
    ("record", "same"),
    [
        ('{"data":2,"data":1}', True),
        ('{"data":1,"data":2}', False),
        ('{"data":2,"d\\u0061ta":1}', True),
        ('{"d\\u0061ta":1,"data":2}', False),
        ('{"\\u0064\\u0061\\u0074\\u0061":1}', True),
        ('{"data":1,"x":{"data":2}}', True),
        ('{"x":{"data":1}}', False),
        ('{"x":"data","y":1}', False),
        ('{"x":"\\"data\\":1"}', False),
        ('{"x":"\\",\\"data\\":1,\\""}', False),
        ('{"Data":1}', False),
        ('{"data ":1}', False),
        ('{"/data":1}', False),
        ('{"data":[1]}', False),
        ('{"x":"},{\\"data\\":1},{"}', False),
        ('{ "data" : 1 }', True),
        ('{"data":1,"x":"\\ud800"}', True),
        ('{"data":1,"x":18446744073709551617}', True),
        ('{"data":1,"x":1e999999999}', True),
        ("{}", False),
        ("1", False),
        ("null", False),
        ('"data"', False),
    ],
)
def test_the_key_is_the_last_member_of_that_name_at_the_top(record, same):
    """Only a member of the record itself counts, under its unescaped name, and of several the last."""
    assert verdict(record, '[{"data":1}]') is same


@pytest.mark.parametrize(
    ("key", "record", "same"),
    [
        ("/a/b", '{"a":{"b":1}}', True),
        ("/a/b", '{"a/b":1}', False),
        ("a/b", '{"a/b":1}', True),
        ("/a/0", '{"a":[1]}', True),
        ("/a/0", '{"a":{"0":1}}', True),
        ("/a/00", '{"a":[1]}', False),
        ("/a/-", '{"a":[1]}', False),
        ("/a/1", '{"a":[1]}', False),
        ("/a/-1", '{"a":[1]}', False),
        ("/a/\u0660", '{"a":[1]}', False),
        ("/a/99999999999999999999", '{"a":[1]}', False),
        ("/a/b", '{"a":"b"}', False),
        ("/a~1b", '{"a/b":1}', True),
        ("/a~0b", '{"a~b":1}', True),
        ("/a~01", '{"a~1":1}', True),
        ("/", '{"":1}', True),
        ("//x", '{"":{"x":1}}', True),
        ("/a", '{"a":2,"a":1}', True),
        ("/a/b", '{"a":{"b":1},"a":{"b":2}}', False),
        ("/a/b", '{"a":{"b":1},"a":{}}', False),
        ("/a/b", '{"a":{"b":1},"a":null}', False),
        ("/a/b", '{"\\u0061":{"\\u0062":1}}', True),
        ("/é", '{"\\u00e9":1}', True),
    ],
)
def test_json_pointers(key, record, same):
    """A key that starts with `/` is a JSON Pointer (RFC 6901); one that leads nowhere is a missing key."""
    restrictions = Restrictions.load(b'[{"k":1}]', f"{key}=k")
    outcome = match_bytes(record.encode(), restrictions, MatchOptions())
    assert bool(outcome.matched) is same
    assert outcome.counts.missing_key == (not same and "2}}" not in record)


@pytest.mark.parametrize(
    ("record", "matched", "missing"),
    [
        ('{"a":1,"b":"x"}', 1, 0),
        ('{"b":"x","a":1.0}', 1, 0),
        ('{"a":"x","b":1}', 0, 0),
        ('{"a":1,"b":"y"}', 0, 0),
        ('{"a":1}', 0, 1),
        ('{"b":"x"}', 0, 1),
        ('{"a":[1,"x"]}', 0, 1),
    ],
)
def test_composite_keys(record, matched, missing):
    """All of several keys must be equal, each to its own; a record that lacks one lacks the key."""
    restrictions = Restrictions.load(b'[{"a":1,"c":"x"},{"a":2,"c":"y"}]', ["a", "b=c"])
    outcome = match_bytes(record.encode(), restrictions, MatchOptions())
    assert (outcome.counts.matched, outcome.counts.missing_key) == (matched, missing)


def test_composite_parts_do_not_run_together():
    """("a", "bc") is not ("ab", "c"), whatever characters the parts hold."""
    parts = ['"a"', '"ab"', '"a\\",\\"b"', '"b"', '"c"', '"bc"', "1", "11", '["a","b"]', '""']
    pairs = [f'{{"x":{left},"y":{right}}}' for left in parts for right in parts]
    for listed in pairs:
        restrictions = Restrictions.load(listed.encode(), ["x", "y"])
        outcome = match_bytes("\n".join(pairs).encode(), restrictions, MatchOptions())
        assert outcome.matched == listed.encode() + b"\n"


# ---- layout, bytes and counts


@pytest.mark.parametrize(
    ("data", "matched"),
    [
        (b"", b""),
        (b" \r\n\t\n", b""),
        (b"\xef\xbb\xbf", b""),
        (b"[]", b""),
        (b"\xef\xbb\xbf \n[ ]\n", b""),
        (b'{"data":1}', b'{"data":1}\n'),
        (b'\xef\xbb\xbf{"data":1}\r\n', b'{"data":1}\n'),
        (b'{"data":1}\n\n  \n\r\n{"data": 1}', b'{"data":1}\n{"data": 1}\n'),
        (b'  {"data":1}\t \r\n', b'{"data":1}\n'),
        (b'{\n "data": 1.0, "x": " a\\n b" }\n', b'{"data":1.0,"x":" a\\n b"}\n'),
        (b'{\r"data": 1}', b'{"data":1}\n'),
        (b'[{"data": 1}, {"data" :1,\n"x": [ ]}]', b'{"data": 1}\n{"data":1,"x":[]}\n'),
        (b'[\n{"data": 1}\n,\n{"data":1 }\n]', b'{"data": 1}\n{"data":1 }\n'),
        (b'[{"data":1,"x":"},{"},{"data":2},{"data":1}]', b'{"data":1,"x":"},{"}\n{"data":1}\n'),
        (b'[{"data":2},{"data":1,"y":"\\"},{"}]', b'{"data":1,"y":"\\"},{"}\n'),
        (b'{"data":1,"x":"\xe2\x80\xa8\xc2\x85"}\n', b'{"data":1,"x":"\xe2\x80\xa8\xc2\x85"}\n'),
        (b'{"x":1}\n[{"data":1}]\n{"data":1}', b'{"data":1}\n{"data":1}\n'),
    ],
)
def test_what_comes_out_byte_for_byte(data, matched):
    """Layout is found from the content; white space goes only where a record spans lines."""
    outcome = match_bytes(data, Restrictions.load(b'[{"data":1}]'), MatchOptions())
    assert outcome.matched == matched
    assert outcome.counts.entries == 0


def test_positions_by_hand():
    """`index` counts non-blank lines, `line` is physical, offsets count decompressed bytes with the BOM."""
    data = b'\xef\xbb\xbf\r\n{"data":1}\n\n {"x":1}\n{"data":1}'
    options = MatchOptions(provenance=True, name="f")
    outcome = match_bytes(gzip.compress(data), Restrictions.load(b'["a",{"data":1}]'), options)
    hits = b'"restrictions":[1],"restrictions_total":1,"record":{"data":1}}\n'
    assert outcome.matched == (
        b'{"file":"f","index":0,"line":2,"byte_offset":5,'
        + hits
        + b'{"file":"f","index":2,"line":5,"byte_offset":26,'
        + hits
    )


def test_a_repeated_restriction_counts_each_hit_and_gives_the_record_once():
    """Eleven equal restrictions: one line, eleven hits, the first ten indexes and the total of eleven."""
    restrictions = Restrictions.load(b"[" + b",".join([b'{"data":null}'] * 11) + b"]")
    outcome = match_bytes(b'{"data":null}', restrictions, MatchOptions(provenance=True))
    line = json.loads(outcome.matched)
    assert (line["restrictions"], line["restrictions_total"]) == (list(range(10)), 11)
    assert {index: hits for index, hits in outcome.hits.items() if hits} == dict.fromkeys(range(11), 1)


def test_nothing_grows_with_records_times_restrictions():
    """20,000 null records by 20,000 null restrictions: 400 million pairs, counted without a loop."""
    restrictions = Restrictions.load(b"[" + b",".join([b'{"data":null}'] * 20_000) + b"]")
    for records in (b'{"data":null}\n' * 20_000, b"[" + b",".join([b'{"data":null}'] * 20_000) + b"]"):
        outcome = match_bytes(records, restrictions, MatchOptions(provenance=True))
        assert outcome.counts.matched == 20_000
        assert sum(outcome.hits.values()) == 20_000 * 20_000


@pytest.mark.parametrize("restrictions", [b"", b"[]", b"\n", b" [ ] "])
def test_an_empty_list_matches_nothing(restrictions):
    """No restrictions is a list like any other."""
    outcome = match_bytes(b'{"data":null}\n{}', Restrictions.load(restrictions), MatchOptions(emit="both"))
    assert (outcome.matched, outcome.unmatched) == (b"", b'{"data":null}\n{}\n')


@pytest.mark.parametrize(
    ("restrictions", "named"),
    [
        (b'[{"data":1},{"x":1}]', "1"),
        (b'{"data":1}\n\n{"x":1}\n', "1"),
        (b'[{"data":1},{"data":1},{}]', "2"),
        (b'[{"data":1},]', "1"),
        (b'[{"data":1}', "0"),
        (b'{"data":1}\n{"data":NaN}', "1"),
        (b'{"data":1}\n{"data":"\xff"}', "1"),
        (b"nope", "0"),
    ],
)
def test_invalid_restrictions_are_refused_by_name_of_the_entry(restrictions, named):
    """A restriction without the key, or a list that is not JSON, raises an error that names the entry."""
    from linkmatch_ray.errors import RestrictionsError

    with pytest.raises(RestrictionsError, match=rf"\b{named}\b"):
        Restrictions.load(restrictions)


@pytest.mark.parametrize("form", ["{}\n{}", "[{},{}]", '{{"x":0}}\n{}\n{}'], ids=["lines", "array", "lines after one"])
@pytest.mark.parametrize("levels", [499, 501, 2_000, 100_000])
def test_depth_is_bounded_on_every_path(form, levels):
    """A record nested a little less than 500 deep comes out; one nested deeper is an entry, and no crash."""
    restrictions = Restrictions.load(b'[{"data":1}]')
    deep = '{"data":1,"x":' + "[" * (levels - 1) + "]" * (levels - 1) + "}"
    outcome = match_bytes(form.format('{"data":1}', deep).encode(), restrictions, MatchOptions())
    shallow = levels < 500
    assert (outcome.counts.matched, outcome.counts.entries) == (1 + shallow, 1 - shallow)


@pytest.mark.parametrize(
    ("bad", "first"),
    [(bad, False) for bad in strategies.BAD_LINES]
    # First, a byte order mark is one, and a NUL among four bytes means UTF-16 or UTF-32.
    + [(bad, True) for bad in strategies.BAD_LINES if not bad.startswith((strategies.BOM, b"\0"))],
)
def test_bad_line(bad, first):
    """A line that is not one JSON value is one entry, in whatever place, and its neighbours come out."""
    good = b'{"data":1}'
    data = b"\n".join((bad, good, good) if first else (good, bad, good))
    outcome = match_bytes(data, Restrictions.load(b'[{"data":1}]'), MatchOptions())
    assert outcome.matched == (good + b"\n") * 2
    (entry,) = outcome.entries
    assert (entry.index, entry.line) == ((0, 1) if first else (1, 2))
    assert data[entry.byte_offset : entry.byte_offset + entry.bytes].strip(oracle.SPACE) == bad


@pytest.mark.parametrize("form", [b"%s\n%s\n%s\n", b"[%s,%s,%s]", b"[%s,\n%s,\n%s\n]"])
def test_a_record_over_the_limit_is_an_entry(form):
    """`max_record_bytes` bounds a record; what is before it comes out, of lines what is behind it too."""
    good, long = b'{"data":1}', b'{"data":1,"x":"' + b"a" * 1000 + b'"}'
    data = form % (good, long, good)
    outcome = match_bytes(data, Restrictions.load(b'[{"data":1}]'), MatchOptions(max_record_bytes=500))
    assert outcome.matched.startswith(good + b"\n")
    assert outcome.matched in ((good + b"\n") * 2, good + b"\n" if form[:1] == b"[" else None)
    assert [entry.index for entry in outcome.entries] == [1]


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["no mark", "mark"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_another_encoding_is_one_entry_a_file(encoding, mark):
    """UTF-16 and UTF-32 are not read without a mark, and that is said once a file; with one they are."""
    data = (mark + '{"data":1}\n{"data":1}\n{"data":1}\n').encode(encoding)
    outcome = match_bytes(data, Restrictions.load(b'[{"data":1}]'), MatchOptions())
    assert (outcome.counts.records, outcome.counts.entries) == ((3, 0) if mark else (0, 1))
