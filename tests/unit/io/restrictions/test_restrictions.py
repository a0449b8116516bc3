"""A list that is not wholly right stops the job before it starts, and the message says where and what to do."""

import gzip
import json
import os
import random
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from linkmatch_ray import Restrictions, match_bytes
from linkmatch_ray.core.index import IndexBuilder
from linkmatch_ray.errors import RestrictionsError, UsageError
from linkmatch_ray.io.restrictions import loader
from linkmatch_ray.io.restrictions.loader import Entries
from linkmatch_ray.io.results.restriction_hits import report_lines

DAMAGED = {
    "no key": (b'[{"data":1},{"x":2}]', 'entry 1 has no key "data"'),
    "no key on a line": (b'{"data":1}\n\n{"x":2}\n', r"entry 1 \(line 3\) has no key"),
    "bad value": (b'["a",{"data":tru}]', r"entry 1 \(line 1\) not a JSON value \(byte 5 of"),
    "bad line": (
        b'{"data":1}\n{"data":\n{"data":2}\n',
        r"entry 1 \(line 2\) the line ends inside .* \(byte 11",
    ),
    "NaN": (b'{"data":1}\n{"data":NaN}\n', r"entry 1 \(line 2\) not a JSON value"),
    "not UTF-8": (b'["a","\xff"]', r"entry 1 \(line 1\) bytes that are not UTF-8 \(byte 5"),
    "too deep": (b'["a",{"data":' + b"[" * 600 + b"]" * 600 + b"}]", "entry 1 .*nested deeper than 500"),
    "array cut short": (b'["a","b', "entry 1 .*ends inside a JSON value"),
    "array without its end": (b'["a"', "entry 0 .*ends inside a JSON value .*Expected JSON"),
    "wrong bracket": (b'["a"}', "entry 0 .*not a JSON value"),
    "comma at the end": (b'["a",]', "entry 1"),
    "something follows": (b'["a"] x', "entry 1 .*not a JSON value"),
    "something behind a value": (b'"a"\n"b" c\n', r"entry 1 \(line 2\) not a JSON value"),
    "UTF-16": ('["a"]'.encode("utf-16-le"), "not UTF-8"),
    "truncated gzip": (gzip.compress(b'["a"]')[:-4], "ends too early.*Restore the file"),
}


@pytest.mark.parametrize(("document", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damage_is_named(document, message):
    """With the entry, the line or the byte."""
    with pytest.raises(RestrictionsError, match=message):
        Restrictions.load(document)


@pytest.mark.parametrize("layout", ["lines", "array"])
def test_one_bad_entry_among_many(layout, tmp_path):
    """Wherever it is; the list is longer than what is read at a time."""
    count, bad = 200_000, random.randrange(200_000)
    print("bad", bad)
    entries = [b'{"data":"https://example.org/%d"}' % n for n in range(count)]
    entries[bad] = b'{"date":"https://example.org/"}'
    path = tmp_path / "list.json"
    path.write_bytes(b"\n".join(entries) if layout == "lines" else b"[" + b",\n".join(entries) + b"]")
    with pytest.raises(RestrictionsError, match=f"list.json: entry {bad} .*has no key"):
        Restrictions.load(path)


def test_a_url_of_a_file_and_of_another_kind(tmp_path):
    """A list at `file://` is read; of a scheme that is not supported nothing of a secret is said."""
    (tmp_path / "a list.json").write_text('["a"]')
    assert len(Restrictions.load(f"file://{tmp_path}/a%20list.json")) == 1
    with pytest.raises(UsageError, match="not supported"):
        Restrictions.load("ftp://host/list.json")
    with pytest.raises(UsageError, match="credentials") as refused:
        Restrictions.load("ftp://user:a PASSWORD@host/list.json")
    assert "PASSWORD" not in str(refused.value)


def test_no_list_and_no_key():
    """A list that is not there, and a key that is none."""
    with pytest.raises(RestrictionsError, match=r"No such file.*-r"):
        Restrictions.load("/nowhere/list.json")
    with pytest.raises(UsageError, match="Write ~0"):
        Restrictions.load(b"[]", "/a~b")


@pytest.mark.parametrize("layout", ["array", "lines"])
@pytest.mark.parametrize(
    ("entry", "kind"),
    [("1", "a number"), ('"a"', "a string"), ("null", "null"), ("true", "a boolean"), ("[1, {}]", "an array")],
)
def test_an_entry_that_is_no_object_is_a_key(entry, kind, layout):
    """In each layout; but a key of several parts needs an object, and the message names what is there."""
    if layout == "lines" and kind == "an array":
        layout = "array"  # on a line of its own it is no entry
    document = f'[{{"data":"z"}},{entry}]' if layout == "array" else f'{{"data":"z"}}\n{entry}\n'
    restrictions = Restrictions.load(document.encode())
    assert len(restrictions) == 2
    outcome = match_bytes(f'{{"data":{entry}}}\n{{"data":"1"}}\n'.encode(), restrictions)
    assert outcome.matched == f'{{"data":{entry}}}\n'.encode()
    assert outcome.hits == {1: 1}
    with pytest.raises(RestrictionsError, match=f"entry 1.* is {kind}, and the key has several parts"):
        Restrictions.load(document.replace('"data":"z"', '"x":1,"y":2').encode(), ["x", "y"])


def test_a_list_of_one_value():
    """A document that is no object is a key as well, if it is said to be one document."""
    for document in (b"5", b'"a"', b"[1, 2]", b"null"):
        restrictions = Restrictions.load(document, restrictions_format="object")
        assert [restrictions.index.key(0)] == [document.replace(b" ", b"")]


INTEGERS = [str(n) for n in (0, 7, -70, 10**19, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1)]
NUMBERS = (*INTEGERS, "-0", "-1.0", "1e2", "1e400", "01", "NaN")
STRINGS = ('"a"', r'"\u0061"', r'"\ud800"', '""', r'"\"\\\n"', '"é"', '"a', '"\x01"')
KEYS = (*NUMBERS, *STRINGS, "true", "false", "null", "[7]", "[]", '{"b":1.0,"a":"x"}', "[" * 500 + "]" * 500, "")
ENTRIES = (
    "%s",
    '{"data":%s}',
    '{"data":%s,"x":7}',
    '{"data":"a","x":%s}',
    '{"data":[],"data":%s}',
    '{"data":%s,"wide":[' + "[]," * 600 + "[]]}",
    '{"data":%s,"long":"' + "-" * 2000 + '"}',
    '{"data":%s,"deep":' + "[" * 500 + "]" * 500 + "}",
)


@pytest.mark.parametrize("how", [{}, {"key": ["data", "x"]}, {"key": "/data/0"}, {"restrictions_format": "object"}])
def test_the_careful_path_gives_the_same(how, monkeypatch):
    """Whichever of the three reads an entry: the keys, what is noted of them, and what is said of a wrong one."""
    lists = [entry.replace("%s", key).encode() for entry in ENTRIES for key in KEYS]
    lists += [b'["z",' + each + b"]" for each in lists] + [b'"z"\n' + each for each in lists]
    lists += [b"\n".join(lists[: len(ENTRIES) * len(KEYS)]), b'["b",%s]' % b",".join([b'{"data":"a"}'] * 40_000)]
    monkeypatch.setattr(loader, "RUN_MIN", 0)  # the first takes what it can
    found = [outcome(each, how) for each in lists]
    monkeypatch.setattr(Entries, "_plain_keys", lambda *_, **__: None)
    assert [outcome(each, how) for each in lists] == found
    monkeypatch.setattr(Entries, "_plain_key", lambda self, text: None)
    assert [outcome(each, how) for each in lists] == found


@pytest.mark.parametrize("layout", [b"%s", b"[%s]"])
@pytest.mark.parametrize(("plain", "runs"), [(1, 0), (6, 0), (99, 11)])
def test_short_runs_of_plain_keys_are_not_taken_apart(plain, runs, layout, monkeypatch):
    """To take each of them alone made a list four times as slow in which every other name has an accent."""
    taken, extend = [], IndexBuilder.extend
    monkeypatch.setattr(IndexBuilder, "extend", lambda *of: taken.append(of) or extend(*of))
    entries = [rb'{"data":"\u00e9"}' if number % (plain + 1) == 0 else b'{"data":"e"}' for number in range(1_100)]
    assert len(Restrictions.load(layout % (b",\n" if b"[" in layout else b"\n").join(entries))) == 1_100
    assert len(taken) == runs


def outcome(document, how):
    try:
        index = Restrictions.load(document, **how).index
    except RestrictionsError as error:
        return document, str(error)
    return document, index.content_hash, index.has_numbers, index.has_containers


GAPS = (b'{"x":1}\n', b'{"data":1}\n', b'"a"\n', b'{"x":2}\n{"x":3}\n', b'{"data":1.0}\n', b'{"x":4}\n')


def test_entries_without_the_key_are_left_out():
    """Where that is asked for; all others keep their places in the list, also in provenance."""
    document = b"".join(GAPS)
    with pytest.raises(RestrictionsError, match=r'entry 0 \(line 1\) has no key "data"\..* with --skip-keyless;'):
        Restrictions.load(document)
    restrictions = Restrictions.load(document, skip_keyless=True)
    assert (len(restrictions), restrictions.left_out) == (3, 4)
    assert repr(restrictions) == "<Restrictions <bytes>: 3 entries, key 'data', 4 without it left out>"
    outcome = match_bytes(b'{"data":1}\n{"data":"a"}\n{"data":2}\n', restrictions, provenance=True)
    assert outcome.hits == {1: 1, 2: 1, 5: 1}
    assert [json.loads(line)["restrictions"] for line in outcome.matched.splitlines()] == [[1, 5], [2]]
    assert list(report_lines(restrictions.index, np.array([1, 0, 2]))) == [
        b'{"index":1,"key":1,"hits":1}\n{"index":2,"key":"a","hits":0}\n{"index":5,"key":1,"hits":2}\n'
    ]


def test_places_are_part_of_the_list():
    """Its hash differs if an entry has another place: a resumed job would report another. Only behind the last key
    nothing has one."""
    hashes = [
        Restrictions.load(document, skip_keyless=True).index.content_hash
        for document in (
            b'"a"\n"b"\n', b'{}\n"a"\n"b"\n', b'"a"\n{}\n"b"\n', b'{}\n{}\n"a"\n"b"\n', b'{}\n"a"\n{}\n"b"\n',
        )
    ]  # fmt: skip
    assert len(set(hashes)) == len(hashes)
    assert Restrictions.load(b'"a"\n"b"\n').index.content_hash == hashes[0]
    assert Restrictions.load(b'"a"\n"b"\n{}\n', skip_keyless=True).index.content_hash == hashes[0]
    nothing = Restrictions.load(b"{}\n{}\n", skip_keyless=True)
    assert (len(nothing), nothing.left_out) == (0, 2)


def test_a_key_of_several_parts_is_skipped_as_one():
    """Where any of them is missing; an entry that is no object is refused all the same."""
    restrictions = Restrictions.load(b'[{"x":1},{"x":1,"y":2},{"y":2}]', ["x", "y"], skip_keyless=True)
    assert (len(restrictions), restrictions.left_out) == (1, 2)
    with pytest.raises(RestrictionsError, match="entry 1 is a number, and"):
        Restrictions.load(b'[{"x":1},5]', ["x", "y"], skip_keyless=True)


def test_text_keeps_all_but_line_ends(tmp_path):
    """Spaces, empty lines and quotes are part of a key."""
    path = tmp_path / "list.txt"
    path.write_bytes(b'\xef\xbb\xbf a \r\n"b"\n\n[1]')
    index = Restrictions.load(path).index
    assert {index.key(distinct) for distinct in range(len(index.hashes))} == {b'" a "', b'"\\"b\\""', b'""', b'"[1]"'}


def test_text_has_one_key_a_line():
    """No member that could be a part of several, and no document that could have the list inside: each was ignored,
    and with several keys nothing could match."""
    with pytest.raises(RestrictionsError, match=r"entry 0 \(line 1\) is a string, and the key has several parts"):
        Restrictions.load(b"a\nb\n", ["x", "y"], restrictions_format="text")
    with pytest.raises(UsageError, match=r"<bytes>: is a list of text, which has no restrictions_at\. Leave it out"):
        Restrictions.load(b"a\nb\n", restrictions_at="/x", restrictions_format="text")


def test_a_pipe_is_read_once(tmp_path, command_environment):
    """`-r -` and `-r <(…)` work, and what is wrong in them is named."""
    read, write = os.pipe()
    os.write(write, b'["a", {"b": 5}]')
    os.close(write)
    command = [sys.executable, "-m", "linkmatch_ray", "explain", "-r", f"/dev/fd/{read}"]
    done = subprocess.run(
        command, input=b'{"data":"a"}', pass_fds=[read], env=command_environment, capture_output=True, check=False
    )
    os.close(read)
    assert done.returncode == 3
    assert b"entry 1 has no key" in done.stderr


@pytest.mark.parametrize("first", [b'["a"]', b'{"url":"a"}\n', b'{"url":\n"a"}', b""])
def test_white_space_before_the_first_value(first):
    """As much as there may be takes no memory; lines and bytes are counted from the beginning all the same."""
    document = b" \n" * (16 << 20) + first
    tracemalloc.start()
    try:
        assert len(Restrictions.load(document, "url")) == bool(first)
        assert tracemalloc.get_traced_memory()[1] < len(document) // 2
    finally:
        tracemalloc.stop()
    with pytest.raises(RestrictionsError, match=r"\(line 4\)"):
        Restrictions.load(b'\n \n{"url":"a"}\n{"a":1}\n', "url")
    with pytest.raises(RestrictionsError, match=r"\(line 3\) .*\(byte 3\)"):
        Restrictions.load(b'\n\n {"url":"a",\n"a":b}\n', "url", restrictions_format="object")
