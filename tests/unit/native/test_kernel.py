"""What the kernel gives for records and whole inputs, held to the exact path, at every level of this processor."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkmatch_ray.native.kernel import LINES, VALUES, Damage, Flag, Kind, Place, Reading, Status, copy_spans
from linkmatch_ray.native.paths import PathTree
from linkmatch_ray.native.steps import STAR, Name
from tests.support.kernel import (
    End,
    check_lines,
    check_values,
    guarded,
    levels,
    make_kernel,
    read,
    steps_of,
)
from tests.support.tiers import examples

LEVELS = pytest.mark.parametrize("level", levels())
LISTED = frozenset([b'"a"', b"1", b"null", b'"\xc3\xa9"', b'"/"', b'["a",1]', b'[null,"a"]', b"true"])
WORDS = frozenset([b'"a"', b"null"])
NUMBERS = Flag.DOUBT_NUMBERS | Flag.DOUBT_CONTAINERS


def kinds(data, paths=("data",), *, level=None, flags=NUMBERS, mode=LINES, listed=LISTED, **more):
    """The kinds of the records of an input, which is held to the exact path on the way."""
    kernel = make_kernel(paths, listed, level=level, flags=flags, mode=mode)
    found, end = read(kernel, data, **more)
    steps = [steps_of(path) for path in paths]
    if mode == LINES:
        assert end == End(Status.DONE)
        check_lines(kernel, steps, listed, data, found)
    else:
        check_values(kernel, steps, listed, data, found, end)
    return [one.kind for one in found]


def kind(record, paths=("data",), **more):
    """The kind of one record."""
    [only] = kinds(record, paths, **more)
    return only


@LEVELS
@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        (b'{"data":"a"}', Kind.KEYED),
        (b'{"data":"b"}', Kind.KEYED),
        (b'{"data":1}', Kind.KEYED),
        (b'{"data":-1}', Kind.KEYED),
        (b'{"data":123456789012345678}', Kind.KEYED),
        (b'{"data":null}', Kind.KEYED),
        (b'{"data":false}', Kind.KEYED),
        (b'{"data":"\\u0061"}', Kind.KEYED),
        (b'{"data":"\\u00e9"}', Kind.KEYED),
        (b'{"data":"\\/"}', Kind.KEYED),
        (b'{"data":"\\ud83d\\ude00"}', Kind.KEYED),
        (b'{"d\\u0061ta":"a"}', Kind.KEYED),
        (b"{}", Kind.MISSING),
        (b'{"dat":"a"}', Kind.MISSING),
        (b'{"data ":"a"}', Kind.MISSING),
        (b'{"Data":"a"}', Kind.MISSING),
        (b'{"d\\u0062ta":"a"}', Kind.MISSING),
        (b'{"b":{"data":"a"}}', Kind.MISSING),
        (b'{"b":["data","a"]}', Kind.MISSING),
        (b'{"b":"data"}', Kind.MISSING),
        (b"1", Kind.NOT_OBJECT),
        (b'"a"', Kind.NOT_OBJECT),
        (b"null", Kind.NOT_OBJECT),
        (b'[{"data":"a"}]', Kind.NOT_OBJECT),
        (b'{"data":1.0}', Kind.DOUBTED),
        (b'{"data":1e0}', Kind.DOUBTED),
        (b'{"data":-0}', Kind.DOUBTED),
        (b'{"data":1234567890123456789}', Kind.DOUBTED),
        (b'{"data":[]}', Kind.DOUBTED),
        (b'{"data":{"data":"a"}}', Kind.DOUBTED),
        (b'{"data":"\\ud800"}', Kind.DOUBTED),
        (b'{"data":"\\n"}', Kind.DOUBTED),
        (b'{"data":"\\""}', Kind.DOUBTED),
        (b'{"data":"\xff"}', Kind.DAMAGED),
        (b'{"data":"a"', Kind.DAMAGED),
        (b'{"data":"a"}}', Kind.DAMAGED),
        (b'{"data":"a"} {"data":"a"}', Kind.DAMAGED),
        (b'{"data":"a",}', Kind.DAMAGED),
        (b'{"data" "a"}', Kind.DAMAGED),
        (b"{1:1}", Kind.DAMAGED),
        (b'{"data":NaN}', Kind.DAMAGED),
        (b'{"data":"a\tb"}', Kind.DAMAGED),
        (b'{"data":"\\x"}', Kind.DAMAGED),
        (b"\x00", Kind.DAMAGED),
        (b"\\", Kind.DAMAGED),
        (b'"a', Kind.DAMAGED),
        (b"]", Kind.DAMAGED),
    ],
)
def test_kinds(level, record, wanted):
    """Sure where it can be, in doubt where the key may have another spelling, damaged where it is no JSON."""
    assert kind(record, level=level) == wanted


@LEVELS
def test_no_doubt_without_need(level):
    """Where the list has no number with another spelling and no container, none is looked for."""
    for record in (b'{"data":1.0}', b'{"data":[1]}', b'{"data":{"data":1}}', b'{"data":-0}'):
        assert kind(record, level=level, flags=0, listed=WORDS) == Kind.KEYED


@LEVELS
def test_the_last_of_twice_named_members_counts(level):
    """Also where the name is spelt with escapes, and where the first one is what is doubted."""
    kernel = make_kernel(["data"], LISTED, level=level, flags=NUMBERS)
    for record, hit in [
        (b'{"data":"a","data":"b"}', False),
        (b'{"data":"b","data":"a"}', True),
        (b'{"data":1.5,"d\\u0061ta":"a"}', True),
        (b'{"data":"\\n","data":"a"}', True),
        (b'{"data":{"data":1},"data":"a"}', True),
    ]:
        [found], _ = read(kernel, record)
        assert (found.kind, bool(found.hits)) == (Kind.KEYED, hit)
    assert kind(b'{"data":"a","data":1.0}', level=level) == Kind.DOUBTED


@LEVELS
@pytest.mark.parametrize(
    ("path", "record", "wanted"),
    [
        ("/a/b", b'{"a":{"b":"a"}}', Kind.KEYED),
        ("/a/b", b'{"a":{"b":"a"},"a":{"c":1}}', Kind.MISSING),
        ("/a/b", b'{"a":{"b":"a"},"a":1}', Kind.MISSING),
        ("/a/b", b'{"a":{"c":1},"a":{"b":"a"}}', Kind.KEYED),
        ("/a/b", b'{"b":"a"}', Kind.MISSING),
        ("/a/b", b'{"a":{"a":{"b":"a"}}}', Kind.MISSING),
        ("/a/b", b'{"c":{"b":1},"a":{"b":"a"}}', Kind.KEYED),
        ("/a/b", b'{"a":[{"b":1}]}', Kind.MISSING),
        ("/a/0", b'{"a":["a","b"]}', Kind.KEYED),
        ("/a/1", b'{"a":[["b"],"a",{"c":["a"]}]}', Kind.KEYED),
        ("/a/1", b'{"a":[1]}', Kind.MISSING),
        ("/a/1", b'{"a":{"0":1,"1":"a"}}', Kind.KEYED),
        ("/a/01", b'{"a":[1,"a"]}', Kind.MISSING),
        ("/a/-", b'{"a":[1,"a"]}', Kind.MISSING),
        ("/a/1/b/0", b'{"a":[{"b":[1]},{"b":["a",2]},{"b":[3]}]}', Kind.KEYED),
        ("/", b'{"":"a"}', Kind.KEYED),
        ("/a~1b", b'{"a/b":"a"}', Kind.KEYED),
        (("0",), b'{"0":"a"}', Kind.KEYED),
        (("a", Name("0")), b'{"a":["a"]}', Kind.MISSING),
        (("a", 0), b'{"a":{"0":"a"}}', Kind.MISSING),
        (("a", 0), b'{"a":["a"]}', Kind.KEYED),
        (("\u00e9",), '{"\u00e9":"a"}'.encode(), Kind.KEYED),
        (("\u00e9",), b'{"\\u00E9":"a"}', Kind.KEYED),
        (("\U0001f600",), b'{"\\ud83d\\ude00":"a"}', Kind.KEYED),
    ],
)
def test_pointers(level, path, record, wanted):
    """Names, indexes, members that occur twice on the way."""
    assert kind(record, [path], level=level) == wanted


@LEVELS
@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        (b'{"a":"a","b":1}', Kind.KEYED),
        (b'{"b":1,"a":"a"}', Kind.KEYED),
        (b'{"b":1,"a":"b"}', Kind.KEYED),
        (b'{"b":1,"x":{"a":"a"}}', Kind.MISSING),
        (b'{"b":1.0,"a":"a"}', Kind.DOUBTED),
        (b'{"b":1.0}', Kind.MISSING),
        (b'{"a":"\\u0061","b":1}', Kind.KEYED),
    ],
)
def test_composite_keys(level, record, wanted):
    """All parts must be there; any may be in doubt."""
    assert kind(record, ["a", "b"], level=level) == wanted


@LEVELS
def test_paths_that_share_steps(level):
    """A member may be a part of the key itself and lead to another."""
    paths = ["/a/b", "/a/c", "/a"]
    assert kind(b'{"a":{"b":1,"c":2}}', paths, level=level, flags=0) == Kind.KEYED
    assert kind(b'{"a":{"b":1},"a":{"c":2}}', paths, level=level, flags=0) == Kind.MISSING
    assert kind(b'{"a":{"b":1,"c":2}}', paths, level=level) == Kind.DOUBTED


URLS = ("urls", STAR, "url")


@LEVELS
@pytest.mark.parametrize(
    ("paths", "record", "wanted"),
    [
        ([URLS], b'{"urls":[{"url":"a"},{"url":"b"},{"url":1}]}', Kind.KEYED),
        ([URLS], b'{"urls":[{"x":[{"url":"a"}]},{"url":"b","url":"a"}]}', Kind.KEYED),
        ([URLS], b'{"urls":[]}', Kind.MISSING),
        ([URLS], b'{"urls":[1,"url",null,{"x":1}]}', Kind.MISSING),
        ([URLS], b'{"urls":{"url":"a"}}', Kind.DOUBTED),
        ([URLS], b'{"urls":[{"url":"a"}],"urls":[{"url":"b"}]}', Kind.DOUBTED),
        ([URLS], b'{"urls":[{"url":"a"},{"url":1.5}]}', Kind.DOUBTED),
        ([URLS], b'{"urls":[{"url":"a"},{"url":"\xff"}]}', Kind.DAMAGED),
        ([URLS], b'{"urls":[{"url":"a"},{"url":"a"]}', Kind.DAMAGED),
        ([("tags", STAR)], b'{"tags":["a","b",null,true]}', Kind.KEYED),
        ([("tags", STAR)], b'{"tags":"a"}', Kind.MISSING),
        ([("a", STAR, "b", STAR)], b'{"a":[{"b":["a",1]},{"b":[]},{"c":["a"]},{"b":[2]}]}', Kind.KEYED),
        ([("a", STAR, STAR)], b'{"a":[["a",1],[],2,["b"]]}', Kind.KEYED),
        ([("a", STAR, "u"), ("a", STAR, "v")], b'{"a":[{"u":"a"},{"u":"a","v":1},{"v":1}]}', Kind.KEYED),
        ([("a", STAR, "u"), ("a", STAR, "v")], b'{"a":[{"u":"a"},{"v":1}]}', Kind.MISSING),
        ([("a", STAR, "u", 1)], b'{"a":[{"u":[1,"a"]},{"u":[2]},{"u":[3,4]}]}', Kind.KEYED),
    ],
)
def test_all_elements(level, paths, record, wanted):
    """With `[*]` each element has a key of its own; composite keys bind to one element."""
    assert kind(record, paths, level=level, key_capacity=16) == wanted


@LEVELS
def test_more_keys_than_there_is_room_for(level):
    """A record that has more is doubted, and the next one begins with all the room."""
    kernel = make_kernel([URLS], LISTED, level=level)
    data = b'{"urls":[{"url":"a"},{"url":"b"}]}\n{"urls":[{"url":"a"}]}\n'
    for room, wanted in [(1, [Kind.DOUBTED, Kind.KEYED]), (2, [Kind.KEYED, Kind.KEYED])]:
        found, _ = read(kernel, data, key_capacity=room)
        assert [one.kind for one in found] == wanted


def test_paths_that_cannot_be_told_apart():
    """They are refused by name."""
    for paths in (
        [("a",), ("a",)],
        [("a", STAR), ("b",)],
        [("a", STAR), ("a", 0)],
        [("a", Name("b")), ("a", "b", "c")],
        [("a", 0), ("a", "0", "c")],
        [(str(number),) for number in range(65)],
    ):
        with pytest.raises(ValueError, match=r"path|step"):
            PathTree(paths)


def test_indexes():
    """A token that may be one is one up to 32 bits; no array has more elements."""
    for token, index in [("0", 0), ("10", 10), ("1000000000", 10**9), ("4294967294", 2**32 - 2), (7, 7)]:
        node = PathTree([(token,)]).nodes[1]
        assert (node.token & ~1, node.index) == (2, index), token
    for token in ("4294967295", "9999999999", "9" * 5000, "01", "-", "-1", "", "\u0661", 2**32 - 1):
        assert not PathTree([(token,)]).nodes[1].token & 2, token


@LEVELS
def test_lines(level):
    """Blank lines, carriage returns, a last line without its end; a bad line is damaged alone."""
    data = b'\n \r\n{"data":"a"}\r\n"x\n{"data":1} \n\t\n{"data":"\\\n{"data":"a"}'
    assert kinds(data, level=level) == [Kind.KEYED, Kind.DAMAGED, Kind.KEYED, Kind.DAMAGED, Kind.KEYED]


@LEVELS
def test_commas_and_record_separators(level):
    """A comma may end a line, RS may stand between values, if the flags say so."""
    data = b'\x1e{"data":"a"} ,\r\n\x1e{"data":1}\x1e\n2,\n3 , 4\n'
    flags = Flag.COMMA_MAY_FOLLOW | Flag.RS_IS_WHITE
    for mode in (LINES, VALUES):
        kernel = make_kernel(["data"], LISTED, level=level, flags=flags, mode=mode)
        found, end = read(kernel, data)
        wanted = [Kind.KEYED, Kind.KEYED, Kind.NOT_OBJECT]
        assert [one.kind for one in found] == [*wanted, Kind.NOT_OBJECT if mode == VALUES else Kind.DAMAGED]
        assert end.status == (Status.DAMAGE if mode == VALUES else Status.DONE)
        found, end = read(make_kernel(["data"], LISTED, level=level, mode=mode), data)
        assert Kind.KEYED not in [one.kind for one in found]


@LEVELS
@pytest.mark.parametrize("flags", [0, Flag.COMMA_MAY_FOLLOW | Flag.RS_IS_WHITE, Flag.ARRAYS_ARE_RECORDS])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" \n",
        b"[]",
        b"[ ]\n[]",
        b'[{"data":"a"},{"data":1} ]',
        b'{"data":"a"}{"data":\n1}[2,[3]]"x"4 true',
        b'[1,2] [3]\n{"data":"a"}',
        b"[1,]",
        b"[,1]",
        b"[1,,2]",
        b"[1 2]",
        b"[1",
        b"[1,",
        b"[",
        b'[{"data":"a"}',
        b'[{"data":"a"}}',
        b'{"data":',
        b'"x',
        b"1,",
        b"1,2",
        b"1 ,\n2",
        b'1"a"',
        b"1[2]",
        b'{"a":1},\n{"a":2},',
        b'{"a":1}\n,\n{"a":2}',
        b'{"a":1},{"a":2}',
        b"1\x1e2",
        b'\x1e{"a":1}\n',
        b"[\x1e1]",
        b"]",
        b"}",
        b",",
        b":",
        b'["\xff",1]',
        b'["a\nb"]',
        b"[nul]",
        b"[01]",
        b"-",
        b'[{"a":1}1]',
        b'{"a" 1}',
        b'{"a":1 "b":2}',
        b"[" * 502 + b"]" * 502,
        b"[" * 501 + b"]" * 501,
        b"[" * 500 + b"]" * 500,
    ],
)
def test_values(level, flags, data):
    """Records, and where damage begins, as a plain reading says."""
    kinds(data, level=level, flags=flags, mode=VALUES)


@LEVELS
@pytest.mark.parametrize(
    ("place", "rest", "status", "count"),
    [
        (Place.TOP, b"1 2", Status.DONE, 2),
        (Place.ELEMENT_FIRST, b"]", Status.DONE, 0),
        (Place.ELEMENT_FIRST, b"1,2]", Status.DONE, 2),
        (Place.ELEMENT, b"]", Status.DAMAGE, 0),
        (Place.ELEMENT, b"1,2] 3", Status.DONE, 3),
        (Place.ELEMENT_NEXT, b" ,1]", Status.DONE, 1),
        (Place.ELEMENT_NEXT, b"] 1", Status.DONE, 1),
        (Place.ELEMENT_NEXT, b"1]", Status.DAMAGE, 0),
    ],
)
def test_a_reading_begins_anywhere(level, place, rest, status, count):
    """At the top, or within an array: after its bracket, after a comma, behind an element."""
    kernel = make_kernel(["data"], mode=VALUES, level=level)
    found, end = read(kernel, b'[{"' + rest, at=3, place=place)
    assert (end.status, len(found)) == (status, count)


@LEVELS
def test_what_was_damage(level):
    """Grammar, depth or the end; said again until a reading is begun anew."""
    kernel = make_kernel(["data"], mode=VALUES, level=level)
    for data, damage, at in [
        (b"[1,2 3]", Damage.GRAMMAR, 5),
        (b"[1," + b"[" * 501, Damage.TOO_DEEP, 3 + 500),
        (b'[1,{"a":', Damage.TRUNCATED, 8),
    ]:
        _, end = read(kernel, data)
        assert (end.damage, end.damage_at) == (damage, at)
    reading = Reading(kernel, 4)
    address = guarded(4096).put(b"[1}")
    for _ in range(2):
        assert reading.scan(address, 0, 3, is_last=True) == Status.DAMAGE
        assert reading.state.damage_at == 2


@LEVELS
@pytest.mark.parametrize(
    ("place", "rest", "status", "count", "at"),
    [
        (Place.TOP, b" [1,2] 3", Status.DONE, 2, 6),
        (Place.TOP, b"1 [2]", Status.DONE, 2, 5),
        (Place.ELEMENT_FIRST, b" ] x", Status.DONE, 0, 2),
        (Place.ELEMENT, b"[1],2]]", Status.DONE, 2, 6),
        (Place.ELEMENT, b"[1],2", Status.DAMAGE, 1, 5),
        (Place.ELEMENT, b"[1]}]", Status.DAMAGE, 0, 3),
    ],
)
def test_one_array(level, place, rest, status, count, at):
    """With this flag a reading ends behind the bracket that closes the array, and looks at nothing there."""
    kernel = make_kernel(["data"], mode=VALUES, level=level, flags=Flag.ONE_ARRAY)
    for capacity in (1, 4):
        reading = Reading(kernel, capacity)
        reading.begin(0, place)
        address, found = guarded(4096).put(rest), 0
        while (got := reading.scan(address, 0, len(rest), is_last=True)) == Status.FULL:
            found += len(reading["starts"])
        assert (got, found + len(reading["starts"]), reading.state.at) == (status, count, at)


@LEVELS
def test_misuse(level):
    """Arguments that do not fit one another change nothing."""
    kernel = make_kernel(["data"], level=level)
    reading = Reading(kernel, 2)
    address = guarded(4096).put(b"[1}")
    reading.begin(10)
    for base, length in [(11, 100), (0, 9), (0, 1 << 32)]:
        assert reading.scan(address, base, length, is_last=True) == Status.MISUSE
    assert reading.state.at == 10
    assert Reading(kernel, 0).scan(address, 0, 3, is_last=True) == Status.MISUSE
    assert Reading(kernel, 2, 1).scan(address, 0, 3, is_last=True) == Status.MISUSE
    kernel.config.level = 17
    assert Reading(kernel, 2).scan(address, 0, 3, is_last=True) == Status.MISUSE


@LEVELS
def test_without_keys(level):
    """Who only wants to know where records are gives no path."""
    kernel = make_kernel([], level=level)
    found, _ = read(kernel, b'{"a":1}\n2\n{"a":}\n')
    assert [one.kind for one in found] == [Kind.KEYED, Kind.NOT_OBJECT, Kind.DAMAGED]


@given(data=st.binary(max_size=99), cuts=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=9))
@settings(max_examples=examples(300))
def test_copies_of_spans(data, cuts):
    """Lie one behind the other; a span outside of the data is refused."""
    starts, ends = np.array(cuts, np.int64).reshape(-1, 2).T
    buffer = np.frombuffer(data, np.uint8)
    if all(start <= end <= len(data) for start, end in cuts):
        assert copy_spans(buffer, starts, ends).tobytes() == b"".join(data[start:end] for start, end in cuts)
    else:
        with pytest.raises(ValueError, match="a span is not in the data"):
            copy_spans(buffer, starts, ends)
