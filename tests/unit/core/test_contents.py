"""Every kind of content: how many records come out, and which entries stand for the rest."""

import gzip
import io
import tracemalloc

import pytest

from linkmatch_ray import MatchOptions, Restrictions, match_bytes
from linkmatch_ray.core.codecs import Plain
from linkmatch_ray.core.layouts import detection
from linkmatch_ray.core.matcher import Matcher
from linkmatch_ray.core.window import Buffers, Window

GOOD = b'{"data":"a"}'
RESTRICTIONS = Restrictions.load(b'["a"]')

NOTHING = {
    "empty": b"",
    "blank": b" \n\t\r\n ",
    "only a byte order mark": b"\xef\xbb\xbf",
    "empty array": b"[]",
    "empty array with space": b"\n[ \n ]\n",
    "empty gzip": gzip.compress(b""),
}

LONG_BYTES = 50 << 20

READ = {  # content, or what makes it, records, matched, not_object
    "scalar": (b"1", 1, 0, 1),
    "null": (b"null\n", 1, 0, 1),
    "string": (b'"a"\n', 1, 0, 1),
    "two values on a line": (GOOD + GOOD + b"\n" + GOOD, 3, 3, 0),
    "CR only": (GOOD + b"\r" + GOOD, 2, 2, 0),
    "two arrays": (b"[" + GOOD + b"][" + GOOD + b"]", 2, 2, 0),
    "arrays on lines": (b"[" + GOOD + b"]\n\n[1]\n[]\n", 2, 1, 1),
    "a comma behind each": (GOOD + b",\n" + GOOD + b" ,\r\n" + GOOD, 3, 3, 0),
    "RS before each": (b"\x1e" + GOOD + b"\n\x1e" + GOOD + b"\n", 2, 2, 0),
    "pretty": (b'{\n "data":\n "a"\n}\n' * 3, 3, 3, 0),
    "scalars on lines": (b'1\n"a"\nnull\ntrue\n', 4, 0, 4),
    "array of scalars": (b'[1,"a",null,true,[],{}]', 6, 0, 5),
    "mixed array": (b"[1," + GOOD + b",[" + GOOD + b"]," + GOOD + b"]", 4, 2, 2),
    "one object": (b'{\n "data":\n "a"\n}', 1, 1, 0),
    "no newline at the end": (GOOD + b"\n" + GOOD, 2, 2, 0),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD + b"\n" + GOOD, 2, 2, 0),
    "byte order mark and array": (b"\xef\xbb\xbf[" + GOOD + b"]", 1, 1, 0),
    "CRLF and blank lines": (GOOD + b"\r\n\r\n \r\n" + GOOD + b"\r\n", 2, 2, 0),
    "gzip members": (gzip.compress(GOOD + b"\n") + gzip.compress(GOOD), 2, 2, 0),
    "a long line": (lambda: b'{"x":"' + b"y" * LONG_BYTES + b'","data":"a"}\n' + GOOD, 2, 2, 0),
    "a long element": (lambda: b'[{"x":"' + b"y" * LONG_BYTES + b'","data":"a"},' + GOOD + b"]", 2, 2, 0),
}

DEEP = b'{"data":"a","x":' + b"[" * 5000 + b"]" * 5000 + b"}"

DAMAGED = {  # content, matched, entries as (reason, index, byte_offset, bytes)
    "UTF-16 with a mark": (GOOD.decode().encode("utf-16") + b"\0", 1, [("invalid_json", 1, 15, 1)]),
    "UTF-16 little end first": (GOOD.decode().encode("utf-16-le"), 0, [("not_utf8", 0, 0, 24)]),
    "UTF-16 big end first": (GOOD.decode().encode("utf-16-be"), 0, [("not_utf8", 0, 0, 24)]),
    "UTF-32": (GOOD.decode().encode("utf-32-be"), 0, [("not_utf8", 0, 0, 48)]),
    "NUL bytes only": (bytes(100), 0, [("not_utf8", 0, 0, 100)]),
    "NUL bytes on a line": (GOOD + b"\n\0\0\0\n" + GOOD, 2, [("invalid_json", 1, 13, 3)]),
    "Latin-1": (GOOD + b'\n{"data":"\xe9"}\n' + GOOD, 2, [("invalid_utf8", 1, 13, 12)]),
    "a line that is cut off": (
        GOOD + b'\n{"data":\n"a"}\n' + GOOD,
        2,
        [("truncated", 1, 13, 8), ("invalid_json", 2, 22, 4)],
    ),
    "damage behind a value": (GOOD + b"\n" + GOOD + b"x\n" + GOOD, 2, [("invalid_json", 1, 13, 13)]),
    "NaN": (
        b'{"data":NaN}\n{"x":-Infinity,"data":"a"}\n' + GOOD,
        1,
        [("invalid_json", 0, 0, 12), ("invalid_json", 1, 13, 26)],
    ),
    "NaN in an array": (b'[{"x":NaN},' + GOOD + b"]", 1, [("invalid_json", 0, 1, 9)]),
    "a bad line": (GOOD + b"\n{bad}\n" + GOOD, 2, [("invalid_json", 1, 13, 5)]),
    "cut short": (GOOD + b'\n{"data":"', 1, [("truncated", 1, 13, 9)]),
    "array cut short": (b"[" + GOOD + b',{"data', 1, [("truncated", 1, 14, 6)]),
    "array without its end": (b"[" + GOOD, 0, [("truncated", 0, 1, 12)]),
    "array and more": (b"[" + GOOD + b"] x", 1, [("invalid_json", 1, 15, 1)]),
    "comma at the end of an array": (b"[" + GOOD + b",]", 1, [("invalid_json", 1, 14, 0)]),
    "bad element": (b"[" + GOOD + b",{bad}," + GOOD + b"]", 2, [("invalid_json", 1, 14, 5)]),
    "deep line": (GOOD + b"\n" + DEEP + b"\n" + GOOD, 2, [("too_deep", 1, 13, len(DEEP))]),
    "deep element": (b"[" + GOOD + b"," + DEEP + b"," + GOOD + b"]", 2, [("too_deep", 1, 14, len(DEEP))]),
    "deep and never closed": (b"[" * 100_000, 0, [("too_deep", 0, 1, 99_999)]),
    "deep objects never closed": (b'{"a":' * 100_000, 0, [("too_deep", 0, 0, 500_000)]),
}


def entries_of(outcome):
    return [(entry.reason, entry.index, entry.byte_offset, entry.bytes) for entry in outcome.entries]


@pytest.mark.parametrize("data", NOTHING.values(), ids=NOTHING)
def test_nothing_in_it(data):
    """No record and no entry."""
    outcome = match_bytes(data, RESTRICTIONS)
    assert (outcome.counts.records, outcome.entries) == (0, ())


@pytest.mark.parametrize(("data", "records", "matched", "not_object"), READ.values(), ids=READ)
def test_all_of_it_is_read(data, records, matched, not_object):
    """Every value is a record."""
    counts = match_bytes(data() if callable(data) else data, RESTRICTIONS).counts
    assert (counts.records, counts.matched, counts.not_object, counts.entries) == (records, matched, not_object, 0)


@pytest.mark.parametrize(("data", "matched", "entries"), DAMAGED.values(), ids=DAMAGED)
def test_what_is_damaged_is_an_entry(data, matched, entries):
    """With its reason and place; the rest comes out."""
    outcome = match_bytes(data, RESTRICTIONS)
    assert outcome.counts.matched == matched
    assert entries_of(outcome) == entries


LONG = b'{"data":"a","x":"' + b"y" * 1000 + b'"}'


@pytest.mark.parametrize("window", [64, 256, 4096])
@pytest.mark.parametrize("space", [b"", b" \t " * 40])
def test_too_long_is_local_in_both_layouts(window, space, monkeypatch):
    """The same entries whether the record could be held or not, and the neighbours come out."""
    monkeypatch.setattr("linkmatch_ray.core.matcher.WINDOW_BYTES", window)
    monkeypatch.setattr("linkmatch_ray.core.matcher.WINDOW_BYTES_MIN", window)
    options = MatchOptions(max_record_bytes=500)
    padded = space + LONG + space
    lines = match_bytes(GOOD + b"\n" + padded + b"\n" + GOOD + b"\n" + LONG, RESTRICTIONS, options)
    at = len(GOOD) + 1 + len(space)
    last = 2 * (len(GOOD) + 1) + len(padded) + 1
    assert entries_of(lines) == [("too_long", 1, at, len(LONG)), ("too_long", 3, last, len(LONG))]
    array = match_bytes(b"[" + GOOD + b"," + padded + b"," + GOOD + b"," + LONG + b"]", RESTRICTIONS, options)
    assert entries_of(array) == [("too_long", 1, at + 1, len(LONG)), ("too_long", 3, last + 1, len(LONG))]
    assert lines.matched == array.matched == (GOOD + b"\n") * 2
    assert [entry.line for entry in lines.entries] == [2, 4]


def test_too_long_and_cut_short():
    """An array that ends within an element that is too long has one entry for the rest."""
    array = match_bytes(b"[" + GOOD + b"," + LONG[:-5], RESTRICTIONS, MatchOptions(max_record_bytes=500))
    assert entries_of(array) == [("truncated", 1, 14, len(LONG) - 5)]


def test_deep_keys_and_long_exponents_are_compared():
    """Up to the limit of nesting, and however many digits an exponent has."""
    for deep in (b"[" * 498 + b"]" * 498, b'{"a":' * 498 + b"1" + b"}" * 498, b"1e" + b"1" * 1_000_001):
        record = b'{"data":' + deep + b"}"
        outcome = match_bytes(record + b"\n" + GOOD, Restrictions.load(b"[" + record + b"]"))
        assert (outcome.counts.records, outcome.counts.matched) == (2, 1)


@pytest.mark.parametrize("content", [GOOD, b'{"data":\n"a"}'])
def test_an_object_that_touches_the_cut(content):
    """It may go on behind the cut, and is the entry. With a byte behind it, it comes out."""
    cut = match_bytes(gzip.compress(content)[:-3], RESTRICTIONS)
    assert (cut.counts.matched, entries_of(cut)) == (0, [("truncated_gzip", 0, 0, len(content))])
    behind = match_bytes(gzip.compress(content + b"\n")[:-3], RESTRICTIONS)
    assert (behind.counts.matched, entries_of(behind)) == (1, [("truncated_gzip", 1, len(content) + 1, 0)])


@pytest.mark.parametrize("content", [GOOD, b'{"data":\n"a"}'])
def test_an_object_and_other_bytes_behind_it(content):
    """The record comes out, and what is wrong is said."""
    outcome = match_bytes(gzip.compress(content) + b"junk", RESTRICTIONS)
    assert (outcome.counts.matched, entries_of(outcome)) == (1, [("trailing_data", 1, len(content), 0)])


@pytest.mark.parametrize("window", [16, 1 << 16])
def test_blanks_do_not_count_as_records(window, monkeypatch):
    """Neither before nor behind, in any layout."""
    monkeypatch.setattr("linkmatch_ray.core.matcher.WINDOW_BYTES", window)
    monkeypatch.setattr("linkmatch_ray.core.matcher.WINDOW_BYTES_MIN", window)
    options, blanks = MatchOptions(max_record_bytes=20), b" \n" * 100
    for content in (b"[" + GOOD + b"]", b'{"data":\n"a"}', GOOD + b"\n" + GOOD):
        outcome = match_bytes(blanks + content + blanks, RESTRICTIONS, options)
        assert outcome.counts.matched == content.count(b"{")
        assert outcome.entries == ()
    document = blanks + b'{"r":[' + blanks + GOOD + blanks + b"]}"
    exact = MatchOptions(max_record_bytes=len(GOOD), records_at="/r")
    less = MatchOptions(max_record_bytes=len(GOOD) - 1, records_at="/r")
    assert match_bytes(document + blanks, RESTRICTIONS, exact).counts.matched == 1
    assert [entry.reason for entry in match_bytes(document, RESTRICTIONS, less).entries] == ["too_long"]


@pytest.mark.parametrize("window", [16, 1 << 20])
def test_an_overlong_record_and_damage(window, monkeypatch):
    """One entry, the same from any window."""
    monkeypatch.setattr("linkmatch_ray.core.matcher.WINDOW_BYTES", window)
    monkeypatch.setattr("linkmatch_ray.core.matcher.WINDOW_BYTES_MIN", window)
    options = MatchOptions(max_record_bytes=1000)
    cut = gzip.compress(GOOD + b'\n{"data":"' + b"q" * 5000, 1)[:-4]
    assert [entry.reason for entry in match_bytes(cut, RESTRICTIONS, options).entries] == ["truncated_gzip"]
    wrong = b'[{"data":"a"},"' + b"q" * 1200 + b'"}'
    assert entries_of(match_bytes(wrong, RESTRICTIONS, options)) == [("invalid_json", 1, 14, len(wrong) - 14)]


def test_a_line_with_many_blanks_before_it_is_in_one_range():
    """Where the line begins, not where its text does, says whose it is."""
    data = b'{"data":"b"}\n' + b" " * 70_000 + GOOD + b"\n"
    machine = Matcher(RESTRICTIONS.paths, RESTRICTIONS.index, MatchOptions(max_record_bytes=100))

    def matched(start, stop):
        source = io.BytesIO(data)
        source.seek(max(0, start - 1))
        return sum(
            p.counts.matched for part in machine.stream(Plain(source), b"", start=start, stop=stop) for p in part.pieces
        )

    assert [matched(5, 40), matched(40, None), matched(5, None)] == [1, 0, 1]


@pytest.mark.parametrize(
    ("rest", "limit", "is_only"),
    [
        (b"", 99, True),
        (b"1,2]\n \x1e\n\t\r\n", 99, True),
        (b"1,2]\n \n2", 99, False),
        (b"1,2]" + b" " * 50 + b"\n" * 50, 4, True),
        (b"1,2]" + b" " * 50 + b"\n" * 50 + b"1", 4, False),
        (b"1,2]\n1", 3, True),
        (b" " * 50 + b"1]\n1", 20, True),
    ],
)
@pytest.mark.parametrize("ahead", [1, 3, 16, 1 << 18])
def test_a_line_that_is_looked_for_ahead(rest, limit, is_only, ahead, monkeypatch):
    """Follows, unless the first line is longer than the limit or only blank ones come."""
    monkeypatch.setattr(detection, "AHEAD_BYTES", ahead)
    behind = 7

    def read_at(view, offset):
        data = rest[offset - behind :][: len(view)]
        view[: len(data)] = data
        return len(data)

    assert detection.is_only_line(read_at, behind, behind + limit) == is_only


def test_what_is_given_back_is_copied_once():
    """It may be twice the maximum length of a record."""
    window = Window(Plain(io.BytesIO(bytes(1 << 20))), Buffers(1 << 20))
    window.fill()
    tracemalloc.start()
    try:
        window.give_back(16)
        assert tracemalloc.get_traced_memory()[1] < 1.1 * (1 << 20)
    finally:
        tracemalloc.stop()
    assert window.held == 16
