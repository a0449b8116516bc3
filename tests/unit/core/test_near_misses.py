"""Near misses: what people overlook is found and named, and nothing else is."""

import json
import random
import unicodedata
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkmatch_ray import Restrictions
from linkmatch_ray.core import near_misses
from linkmatch_ray.core.exact import parse
from linkmatch_ray.core.keys import canonical


def misses(listed, key, **how):
    restrictions = Restrictions.load(json.dumps([{"data": value} for value in listed]).encode())
    found = near_misses.near_misses(restrictions.index, canonical(parse(json.dumps(key).encode())), **how)
    return [(json.loads(miss.key), set(miss.differences)) for miss in found]


ASCII = [
    ("abc", "ABC", {"letter case"}),
    ("abc", "abc ", {"white space"}),
    ("http://x.org/a/", "http://x.org/a", {"trailing slash"}),
    ("\uff41bc", "abc", {"Unicode form"}),
    (12, "12", {"type"}),
    ("12.0", 12, {"type", "spelling of the number"}),
    (True, "true", {"type"}),
    ("null", None, {"type"}),
    ("ABC/", "abc", {"letter case", "trailing slash"}),
    (["abc", 1], ["ABC", 1], {"letter case"}),
    ({"a": "xyz "}, {"a": "xyz"}, {"white space"}),
]
OTHER = [
    ("STRASSE", "stra\u00dfe", {"letter case"}),
    ("a\u00a0b", "a b", {"white space"}),
    ("\u00e9t\u00e9", unicodedata.normalize("NFD", "\u00e9t\u00e9"), {"Unicode form"}),
    ("ab\u200bc", "abc", {"invisible characters"}),
    ("\u65e5\u672c ", "\u65e5\u672c", {"white space"}),
]


@pytest.mark.parametrize(("key", "listed", "differences"), ASCII + OTHER)
def test_what_differs_is_named(key, listed, differences):
    """In a list that is looked through as a whole."""
    assert (listed, differences) in misses(["other", 5, "unrelated text", listed], key)


@pytest.mark.parametrize(("key", "listed", "differences"), ASCII)
def test_a_long_list_gives_the_same(key, listed, differences):
    """In one that is searched for a run of letters, or for the same text as another type."""
    with patch.object(near_misses, "ALL_KEYS_MAX", 0):
        assert (listed, differences) in misses(["other", 5, "unrelated text", listed], key)


def test_the_nearest_come_first_and_no_more_than_asked_for():
    """Fewer differences before more."""
    found = misses(["ABC/", "abc/", " ABC/ ", "zzz"], "abc", limit=2)
    assert found == [("abc/", {"trailing slash"}), ("ABC/", {"letter case", "trailing slash"})]


def test_the_key_itself_and_strangers_are_no_misses():
    """What is equal is no near miss, and what is something else neither."""
    assert misses(["abc", "abd", 1, None, "ab"], "abc") == []


@given(st.text(min_size=1), st.randoms(use_true_random=False))
def test_any_text_is_found_in_another_case(text, chance):
    """Whatever the letters are."""
    other = "".join(chance.choice((char.upper(), char.lower())) for char in text)
    if not text.isprintable() or other == text or other.casefold() != text.casefold():
        return
    assert (other, {"letter case"}) in misses(["x" + text, other], text)


def test_a_long_list_is_searched_quickly():
    """A hundred thousand keys: only those with the same run of letters are read."""
    keys = [f"https://example.org/{random.Random(n).getrandbits(64):x}" for n in range(100_000)]
    restrictions = Restrictions.load(json.dumps(keys).encode())
    with patch.object(near_misses, "parse", wraps=parse) as read:
        found = near_misses.near_misses(restrictions.index, canonical(keys[777].upper()))
    assert [json.loads(miss.key) for miss in found] == [keys[777]]
    assert read.call_count < 100
