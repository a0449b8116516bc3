"""What a key may have meant, and where objects that have it lie."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.core.wrong_keys import closed, closest, option_at, place_inside, place_respelt, respelt

USERS = [{"x": 1}, {"user": {"id": 1, "urls": [{"u": 1}], "a.b": 2}, "/p/q": 3}]


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("user.id", "/user/id"),
        (".user.id", "/user/id"),
        ("$.user.id", "/user/id"),
        ("user/id", "/user/id"),
        ("/user.id", "/user/id"),
        ("user.urls[0].u", "/user/urls/0/u"),
        ("user.urls.0.u", "/user/urls/0/u"),
        (".x", "/x"),
        ("/p/q", "/~1p~1q"),
        ("user.id.x", None),
        ("X", "x"),
        ("_x ", "x"),
        ("id", "/user/id"),
        ("/urls/0/u", "/user/urls/0/u"),
        ("Id", None),
        ("u", None),
        ("=", None),
        (".", None),
        ("x", None),
    ],
)
def test_respelt(text, pointer):
    """The pointer is given only if some record has a member there."""
    assert respelt(KeyPath.parse(text), USERS) == pointer


def test_a_name_inside_several_objects():
    """Is not proposed where one record has it twice as near: the names of the objects are keys."""
    assert respelt(KeyPath.parse("id"), [{"a": {"id": 1}, "b": {"id": 2}, "c": {"d": {"id": 3}}}]) is None
    assert respelt(KeyPath.parse("id"), [{}, {"c": {"d": {"id": 3}}, "b": {}}]) == "/c/d/id"
    deep = {"id": 1}
    for _ in range(400):
        deep = {"a": deep, "b": {str(n): {} for n in range(1000)}}
    assert respelt(KeyPath.parse("id"), [deep] * 10) is None


def test_closest_in_any_case():
    """The name as it is written; the first of equals."""
    assert closest("doi", ["Title", "RetractionDOI", "Doi", "DOI"]) == "Doi"
    assert closest("doi", ["Title", "RetractionDOI"]) == "RetractionDOI"
    assert closest("doi", []) is None


def test_place_respelt():
    """The pointer is inside the elements of the array."""
    assert place_respelt([{"a": [{"p": {"id": 1}}]}], KeyPath.parse("p.id")) == (("a",), "/p/id")
    assert place_respelt([{"a": [{"p": {"id": 1}}]}], KeyPath.parse("id")) is None


DATA = (KeyPath.parse("data"),)


@pytest.mark.parametrize(
    ("value", "steps"),
    [
        ({"a": [{"data": 1}]}, ("a",)),
        ({"a": {"b": [{"data": 1}, {"data": 1}, {}]}}, ("a", "b")),
        ({"a": [{"b": [{"data": 1}]}, {"b": []}, {}]}, ("a", None, "b")),
        ({"a": [[{"data": 1}]]}, ("a", None)),
        ({"a": [{"data": 1}], "b": [{"data": 1}] * 2, "c": {"d": [{"data": 1}] * 3}}, ("b",)),
        ({"a": [{"data": 1}, {}, 1]}, None),
        ({"a": {"data": 1}}, None),
        ([{"data": 1}], None),
        ({"a": []}, None),
    ],
)
def test_place_inside(value, steps):
    """Most of the elements have the key; nearer ones come first, then longer ones."""
    assert place_inside([value], DATA) == steps


def test_a_large_value_takes_no_time():
    """Only so much of it is looked at."""
    deep = [{"data": 1}]
    for _ in range(400):
        deep = {"a": deep, "b": [{"c": []}] * 1000}
    assert place_inside([deep], DATA) is None


@pytest.mark.parametrize(
    ("steps", "how", "option"),
    [
        (("a",), {}, "--x /a"),
        (("a b", "c~/d"), {}, "--x '/a b/c~0~1d'"),
        (("a", None, "b"), {}, "--x '$.a[*].b[*]'"),
        (("a",), {"in_array": True}, "--x '$[*].a[*]'"),
        (("a", "b c"), {"at": "/x/0"}, """--x '$.x["0"][*].a["b c"][*]'"""),
        (("b",), {"at": "$.a[*]"}, "--x '$.a[*].b[*]'"),
        (('é"\\',), {"in_array": True}, r"""--x '$[*]["é\"\\"][*]'"""),
    ],
)
def test_option_at(steps, how, option):
    """A JSON Pointer if that is enough, and otherwise a JSONPath; as a shell takes it."""
    assert option_at("--x", steps, **how) == option


@given(
    value=st.recursive(
        st.none() | st.integers() | st.text('a,]}{["\\'),
        lambda inner: st.lists(inner) | st.dictionaries(st.text('a,"\\'), inner),
        max_leaves=20,
    ),
    share=st.floats(0, 1),
)
def test_closed(value, share):
    """The beginning of an object or array is one, whose members are the first of the whole."""
    text = json.dumps({"a": value}).encode()
    beginning = json.loads(closed(text[: max(1, int(len(text) * share))]))
    assert is_beginning(beginning, {"a": value})


def is_beginning(part, whole):
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) <= len(whole) and all(map(is_beginning, part, whole))
    if isinstance(part, dict) and isinstance(whole, dict):
        return list(part) == list(whole)[: len(part)] and all(is_beginning(part[name], whole[name]) for name in part)
    return part == whole


def test_closed_is_the_first_value():
    """What follows it is not of it."""
    assert closed(b' {"a":[1,{}]} {"b":1}\n') == b' {"a":[1,{}]}'
    assert closed(b"[[],[1]][") == b"[[],[1]]"


def test_closed_in_linear_time():
    """Deep or broken text is left at some place; nothing is raised."""
    for text in (b"[," * 10**6, b"[" * 10**6, b"]" * 10**6, b'"', b"", b'{"a":"' + b"\\" * 10**6):
        assert len(closed(text)) < 10**6 + 1000
