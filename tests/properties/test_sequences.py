"""Any file of JSON values gives what the plain reading of it gives: records, entries and their positions, in windows of
any size and in ranges."""

import base64
import codecs
import io
import json
import zlib
from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linkmatch_ray import Restrictions
from linkmatch_ray.core import matcher, path_finder
from linkmatch_ray.core.codecs import Plain
from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.emit import one_line
from linkmatch_ray.core.layouts import detection
from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.core.window import Window
from tests.support.sequences import Options, read
from tests.support.tiers import examples
from tests.support.trials import TRIALS

LIST = Restrictions.load(b"[]")

EXAMPLES = TRIALS / "sequences.jsonl"

ONE_WORD = {"truncated_gzip": "truncated"}
"""Reasons that the plain reading does not tell apart."""


class CutShort:
    """A source of data that is cut short at its end."""

    compression = encoding = None

    def __init__(self, text):
        self._raw = io.BytesIO(text)

    def readinto(self, view):
        count = self._raw.readinto(view)
        if len(view) and not count:
            raise Damage("truncated_gzip", "the compressed data ends too early")
        return count


def found(text, options, window):
    """What the program reads: line, place, reason, and the record or the length of the entry."""
    looks_ahead = len(text) % 2
    source = CutShort(text) if options.cut else Plain(matcher._Memory(text) if looks_ahead else io.BytesIO(text))
    with (
        patch.object(matcher, "WINDOW_BYTES", window),
        patch.object(matcher, "_source", lambda *_: source),
        patch.object(detection, "AHEAD_BYTES", window),
    ):
        outcome = matcher.match_bytes(
            text,
            LIST,
            emit="both",
            provenance=True,
            format=options.format,
            records_at=options.records_at,
            max_record_bytes=options.limit,
        )
    items = {entry.index: (entry.line, entry.byte_offset, entry.reason, entry.bytes) for entry in outcome.entries}
    for line in outcome.unmatched.splitlines():
        row = json.loads(line)
        assert row["index"] not in items
        items[row["index"]] = (row["line"], row["byte_offset"], None, line[line.index(b'"record":') + 9 : -1])
    assert sorted(items) == list(range(len(items)))
    return [(*item[:2], ONE_WORD.get(item[2], item[2]), item[3]) for _, item in sorted(items.items())]


def expected(text, options):
    """The same by the plain reading."""
    return [
        (text.count(b"\n", 0, item.start) + 1, item.start, item.reason, shown(text[item.start : item.end], item.reason))
        for item in read(text, options)
    ]


def shown(text, reason):
    if reason:
        return len(text)
    return one_line(text) if b"\n" in text or b"\r" in text else text


# ---- the examples of the rules


def cases():
    if not EXAMPLES.exists():
        return []
    return [json.loads(line) for line in EXAMPLES.read_text("utf-8").splitlines()]


def decoded(content):
    """The text of an example, and whether its compressed data is cut short; None if the rule is one of compression."""
    is_cut = False
    if content.startswith(b"\x1f\x8b"):
        stream = zlib.decompressobj(wbits=31)
        try:
            text = stream.decompress(content)
        except zlib.error:
            return None, False
        if stream.unused_data:
            return None, False
        content, is_cut = text, not stream.eof
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        order = "utf-16-le" if content.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
        units = content.removeprefix(codecs.BOM_UTF16_LE).removeprefix(codecs.BOM_UTF16_BE)
        characters = units.decode(order, "surrogatepass")
        content = b"\xef\xbb\xbf" + b"".join(
            b"\xff" if "\ud800" <= each <= "\udfff" else each.encode() for each in characters
        )
    return content, is_cut


def options_of(case, *, cut=False):
    given_ = case["options"]
    limit = given_.get("max_record_bytes", 64 << 20)
    return Options(given_.get("format", "auto"), given_.get("records_at"), limit, cut)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["rule"])
def test_an_example(case):
    """The program gives what the rule says: the records in order, and what is fixed of the entries."""
    outcome = matcher.match_bytes(base64.b64decode(case["base64"]), LIST, emit="both", **case["options"])
    assert [json.loads(record) for record in outcome.unmatched.splitlines()] == [
        json.loads(record) for record in case["records"]
    ]
    assert len(outcome.entries) == len(case["entries"])
    for entry, wanted in zip(outcome.entries, case["entries"], strict=True):
        is_ = {name: getattr(entry, name) for name in ("index", "line", "byte_offset", "bytes", "reason")}
        fixed = {name: value for name, value in wanted.items() if value is not None}
        assert is_ | fixed == is_


@pytest.mark.parametrize("window", [16, 64, 1 << 20])
@pytest.mark.parametrize("case", cases(), ids=lambda case: case["rule"])
def test_an_example_in_any_window(case, window):
    """And the plain reading gives the same."""
    text, is_cut = decoded(base64.b64decode(case["base64"]))
    if text is None:
        pytest.skip("a rule of compression")
    options = options_of(case, cut=is_cut)
    assert found(text, options, window) == expected(text, options)


# ---- texts of a kind that is hardly ever drawn

DEEPEST = b"[" * 500 + b"]" * 500
TEXTS = {
    "a record of 500 levels in a document on a line": (b'{"i":[1]}\n{"i":[%s]}\n' % DEEPEST, Options("auto", "/i")),
    "records of which one is deeper, on a line": (b'{"i":[%s,[%s]]}\n1\n' % (DEEPEST, DEEPEST), Options("lines", "/i")),
    "501 levels of a document outside of records": (b'{"x":%s,"i":[1]}' % DEEPEST, Options("auto", "/i", 40)),
    "bytes that are not UTF-8 outside of records": (
        b'{"x":"%s\xff%s","i":[1]}' % (b"y" * 30, b"y" * 900),
        Options("auto", "/i", 40),
    ),
    "the same in a name": (b'{"%s\xff\x01":0,"i":[1]}\n{\n"i":[2]}' % (b"y" * 90), Options("auto", "/i", 40)),
    "the same behind a restart": (b'{"b":[\n{"a":"\xff"}', Options()),
    "the same in what touches the cut": (b'{"b":1} {"a":"\xff"}', Options(cut=True)),
    "the same in a long value that touches the cut": (b'{"a":"\xff%s"}' % (b"y" * 90), Options(limit=40, cut=True)),
    "a long value behind a restart that touches the cut": (
        b'x\n{"a":"%s"}' % (b"y" * 300),
        Options(limit=40, cut=True),
    ),
    "an array that is cut off, then a long text after RS": (
        b'[1,\n\x1e{"a":"%s"}\n\x1e{}' % (b"y" * 200_000),
        Options(),
    ),
    "the same, and the text is too long": (b'[1,\n\x1e{"a":"%s"}\n\x1e{}' % (b"y" * 90), Options(limit=40)),
    "the same, and the text is an array": (b"[1,\n\x1e[1" + b",1" * 90, Options(limit=40)),
    "a damaged value that is closed at the cut": (b'{"a":[%s]}' % (b"1," * 12), Options(limit=12, cut=True)),
    "a string without its end, and white space": (b'\n{"a":"%s%s' % (b"y" * 200, b" " * 60), Options(limit=40)),
    "the same behind damage": (b'x\n{"a":"%s%s' % (b"y" * 200, b" " * 600), Options("values", None, 40)),
    "the same outside of records": (b'{"x":"%s%s' % (b"y" * 200, b" " * 60), Options("auto", "/i", 40)),
    "the rest of a document behind an empty array": (b'[{"i":[1]},{"i":[]},{"i":[]', Options("values", "$[*].i[*]")),
    "the same, then damage": (b'[{"i":[1]},{"i":[ ]},{"i":3},x', Options("values", "$[*].i[*]", 40)),
    "a margin before the failure, then more than the limit": (
        b'{"a":\n{"b":["\xff",%s],' % (b"1," * 60),
        Options("values", "/i", 100),
    ),
    "the same, and whole": (b'{"a":\n{"b":["\xff",%s1]}' % (b"1," * 60), Options("values", "/i", 100)),
    "the same, within the limit": (b'{"a":\n{"b":["\xff",%s1]}' % (b"1," * 30), Options("values", "/i", 100)),
    "the same, too deep": (b"[\n" + b'{"i":[' * 30 + b"[\n" * 475 + b"1" * 2000, Options("values", None, 1200)),
    "a path too deep to be reached": (b'{"a":1}{"b":1}\n{"a":[1]}\n', Options("lines", "/a" * 501)),
    "a long number outside of records, passed over at its limit": (
        b'{"x":[%s],"i":[1]}' % (b"1" * 1_200_000),
        Options("values", "/i", (1 << 20) - 7),
    ),
    "a long text without its end": (b'{"a":"' + 3000 * "\u4e2d".encode(), Options(limit=40)),
}


@pytest.mark.parametrize("window", [16, 64, 4096, 1 << 20])
@pytest.mark.parametrize("name", TEXTS)
def test_a_text(name, window):
    """The same of texts that were read wrongly once."""
    text, options = TEXTS[name]
    assert found(text, options, window) == expected(text, options)


@pytest.mark.parametrize("format_", ["lines", "values"])
@pytest.mark.parametrize("count", [499, 500, 501])
def test_records_in_many_brackets(count, format_):
    """The array of the records is the 501st bracket or not."""
    text = b'{"a":' * count + b"[1,[]]" + b"}" * count
    for path in ("/a" * count, "$" + ".a" * count + "[*]"):
        items = found(text, Options(format_, path), 1 << 20)
        assert [item[1:] for item in items] == (
            [(5 * count + 1, None, b"1"), (5 * count + 3, None, b"[]")] if count < 500 else [(0, "too_deep", len(text))]
        )


@pytest.mark.parametrize(
    ("unit", "path", "entries"), [(b"\x1e{" + b"x" * 62, None, 1), (b'{"i":["%s",x]}' % (b"x" * 500), "/i", 4096)]
)
def test_many_short_steps(unit, path, entries, monkeypatch):
    """Neither a margin that is tried nor a document costs more because much of the file is in memory."""
    data, moved, drop = unit * ((1 << 21) // len(unit)), [], Window.drop
    monkeypatch.setattr(Window, "drop", lambda self, upto: (moved.append(self.held), drop(self, upto))[1])
    outcome = matcher.match_bytes(data, LIST, records_at=path)
    assert abs(len(outcome.entries) - entries) < 100
    assert sum(moved) < len(moved) * (9 << 16)


# ---- drawn texts

PIECES = [
    *(b'{"a":1}', b'{"a":"b"}', b"1", b'"x"', b"true", b"null", b"12345", b"1e5", b"{}", b"[]"),
    *(b"[1,2]", b'[{"a":1},{"b":2}]', b"[1,\n2]", b'[\n{"a":1},\n{"b":2}\n]\n', b'{\n"a":1\n}\n', b'{"a":\n{"b":1}}'),
    *(b"\n", b"\n", b"\n", b" ", b",", b",\n", b"\r", b"\t", b"\x1e", b"   " * 20),
    *(b"[", b"]", b"{", b"}", b'"', b":", b'"a":', b"\n{", b"\n[", b"\\", b'\\"', b'"]\n{"', b"[1,\x1e"),
    *(b"x", b"tru", b"# c", b"1.", b"-", b"\x00", b"\xff", b"\xc3\xa9", b"\xe4", b"[1,,2]", b"[1,]", b'"a\\x"'),
    *(
        b'"\xff"',
        b'{"\xff":1}',
        b'"' + "\u4e2d\xe9".encode() * 20,
        b'"\\u12"',
        b'"\\u0041"',
        b'"long %s"' % (b"y" * 45),
        b'{"a":"%s"}' % (b"z" * 45),
        b"9" * 50,
    ),
]
DEEP = [b"[" * 501, b"[" * 500 + b"]" * 500, b'{"a":' * 501, b"]" * 300, b"[" * 250]
LONG = [
    *(b'{"x":"%s"}' % (b"a" * 250), b'{"x":[%s1]}' % (b"1," * 150), b'{"x":"%s' % (b"a" * 210), b"1" * 230, b" " * 250),
    *(b'{"a":1}', b'{"a":1}', b",", b",\n", b"\n", b"[", b"]", b"\n{", b"\x1e", b'"\xff%s"' % (b"c" * 230)),
    *(b'{"i":[{"a":"%s"},{"b":2}]}' % (b"b" * 300), b'"%s"' % (b"\\u00e9" * 40), b"\n" * 220, b"[%s1]" % (b"1," * 400)),
]
"""Values that are longer than what an entry has of them: if they are too long as well, they are not held."""
NESTED = [
    *(b'{"i":[', b"]}", b'"i":', b'{"i":[1,{"a":2}]}', b'[{"i":[1]},{"i":[2]}]', b'{"i":{}}', b'{"i":[]}'),
    *(b'{"a":[{"b":[1]},{"b":[2,3]}]}', b'{"x":1,"i":[1,2],"y":{"i":[3]}}', b'{"\\u0069":[7]}', b'"b":[1,2]'),
    *(b'{"i":[' + b"[" * 500 + b"]" * 500 + b"]}", b'{"x":' + b"[" * 500 + b"]" * 500 + b',"i":[1]}'),
    *(b'\n{\n "i": [\n {"a":1},\n {"a":2}\n ]\n}\n', b'{"i":[1],"i":[2]}', b'{"b":['),
]
DOCUMENTS = [
    *(
        b'{"i":[%s]}' % inner
        for inner in (b"", b" ", b"1", b'1 , 2,\t{"a":3}', b'{"a":"b"},{"b":[1,[2]]}', b'"]","\\ud800"')
    ),
    *(b'{"a":[{"b":[1,2]},{"b":[]},{"c":1},{"b":[{"a":1}]}]}', b'{"i":[1],"\\u0069":[2]}', b'{"i":"[","a":[1.5,-0]}'),
    *(
        b'{"i":7}',
        b"{}",
        b"[[1,2],3]",
        b'[{"i":[1]},{"i":[2,3]}]',
        b"8",
        b'"["',
        b'{"i":[[],{},[[]]]}',
        b'{"i":[1],"i":[]}',
    ),
]
PATHS = ["/i", "$[*].i[*]", "/0/i", "$.a[*].b[*]", "$[*]", "/a"]

windows = st.sampled_from([16, 17, 23, 40, 64, 200, 1 << 20])
limits = st.sampled_from([5, 40, 100, 300, 64 << 20])
marks = st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf"])


def texts(pieces, longest=40):
    return st.tuples(marks, st.lists(st.sampled_from(pieces), min_size=1, max_size=longest)).map(
        lambda drawn: drawn[0] + b"".join(drawn[1])
    )


@given(
    text=texts(PIECES) | texts(PIECES + DEEP, 12) | texts(LONG, 12),
    format_=st.sampled_from(["auto", "auto", "lines", "values", "array", "object"]),
    limit=limits,
    cut=st.booleans(),
    window=windows,
)
@example(text=b']1.\n{"a":1}', format_="values", limit=40, cut=False, window=16)
@example(text=b"[" + b"1" * 210 + b" " * 300, format_="array", limit=16, cut=False, window=17)
@settings(max_examples=examples(400))
def test_any_sequence(text, format_, limit, cut, window):
    """Values in any arrangement and damage of any kind."""
    options = Options(format_, None, limit, cut)
    assert found(text, options, window) == expected(text, options)


@given(
    text=texts(NESTED + PIECES) | texts(LONG, 12),
    format_=st.sampled_from(["auto", "auto", "lines", "values"]),
    path=st.sampled_from(PATHS),
    limit=limits,
    cut=st.booleans(),
    window=windows,
)
@example(text=b'[{"x":"' + b" " * 263, format_="auto", path="$[*]", limit=40, cut=False, window=16)
@example(text=b'[1,\n{"\\u00e":[1]}', format_="auto", path="$[*]", limit=5, cut=False, window=16)
@settings(max_examples=examples(400))
def test_any_sequence_of_documents(text, format_, path, limit, cut, window):
    """With records inside of the values."""
    options = Options(format_, path, limit, cut)
    assert found(text, options, window) == expected(text, options)


@given(
    lines=st.lists(st.sampled_from(DOCUMENTS) | texts(NESTED + PIECES, 6), min_size=1, max_size=40),
    format_=st.sampled_from(["lines", "values"]),
    path=st.sampled_from(PATHS),
    limit=limits,
    window=windows,
    room=st.sampled_from([2, 20, 64, 1 << 18]),
)
@settings(max_examples=examples(400))
def test_any_sound_documents(lines, format_, path, limit, window, room):
    """Most of them are sound: the kernel finds the records in many at a time, as many bytes as there is room for."""
    text, options = b"\n".join(lines), Options(format_, path, limit)
    with patch.object(path_finder, "FIND_BYTES_MAX", room), patch.object(path_finder, "RECORDS_MAX", min(room, 1000)):
        assert found(text, options, window) == expected(text, options)


@given(
    text=texts([*PIECES, b"\n", b"\n"]),
    path=st.none() | st.sampled_from(PATHS),
    limit=limits,
    cuts=st.lists(st.integers(1, 300), max_size=4),
    window=windows,
)
@settings(max_examples=examples(200))
def test_any_lines_in_ranges(text, path, limit, cuts, window):
    """Ranges together give what the whole file does, several values on a line too."""
    options = MatchOptions(emit="both", format="lines", records_at=path, max_record_bytes=limit)
    borders = [0, *sorted({cut for cut in cuts if cut < len(text)}), None]
    whole = matcher.match_bytes(text, LIST, options)
    records, entries = [], []
    with patch.object(matcher, "WINDOW_BYTES", window):
        machine = matcher.Matcher(LIST.paths, LIST.index, options, matcher.Buffers(window))
        for start, stop in pairwise(borders):
            source = io.BytesIO(text)
            source.seek(max(0, start - 1))
            for part in machine.stream(Plain(source), b"", start=start, stop=stop):
                records += part.unmatched
                for piece in part.pieces:
                    entries += piece.entries
    assert b"".join(records) == whole.unmatched
    assert sorted((entry.byte_offset, entry.bytes, entry.reason) for entry in entries) == sorted(
        (entry.byte_offset, entry.bytes, entry.reason) for entry in whole.entries
    )
