"""Borders of files: nothing but white space, marks, more white space than a window has, records cut off at the end."""

import gzip

import pytest

from linkmatch_ray import MatchOptions, Restrictions, match_bytes
from linkmatch_ray.core.layouts import detection
from linkmatch_ray.core.layouts.detection import text_start
from linkmatch_ray.core.layouts.table import LINES, VALUES, layout_of
from linkmatch_ray.core.outcome import Counts
from linkmatch_ray.errors import UsageError
from tests.fuzz.borders import HOSTILE, Borders

RESTRICTIONS = Restrictions.load(b'[{"data":1}]')
RECORD = b'{"data":1}'
BLANK = (b"", b" ", b"\n", b" \r\n\t\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n", b" " * 100, b"\n" * 100)


def outcomes(data, **options):
    """What an input gives at several windows, each through poisoned buffers."""
    for window, poison in zip((None, 16, 17, 23, 64, 200, 4096, *([16] * 5)), HOSTILE, strict=True):
        with Borders(window=window, block=8, poison=poison).drawn():
            yield match_bytes(data, RESTRICTIONS, MatchOptions(emit="both", **options))


def outcome(data, **options):
    """The one that all of them are."""
    first, *others = outcomes(data, **options)
    assert all(other == first for other in others)
    return first


@pytest.mark.parametrize("records_at", [None, "/a"])
@pytest.mark.parametrize("format_", ["auto", "lines", "array", "object"])
@pytest.mark.parametrize("data", BLANK)
def test_a_blank_file_has_nothing(data, format_, records_at):
    """No record and no entry, whatever the options are, and whatever lay in the buffer before."""
    got = outcome(data, format=format_, records_at=records_at)
    assert (got.counts, got.entries) == (Counts(), ())


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("white", [b" ", b"\n", b"\r\n", b" \t\r\n "])
@pytest.mark.parametrize(("format_", "text"), [("auto", RECORD), ("array", b"[%s]" % RECORD), ("lines", RECORD)])
def test_white_space_before_the_first_value(format_, text, white, end):
    """However much there is: it is passed over, and counts for positions only."""
    data = white * 500 + text + end
    got = outcome(data, format=format_, provenance=True)
    place = data.index(RECORD)
    head = b'"line":%d,"byte_offset":%d,' % (1 + data.count(b"\n", 0, place), place)
    assert head in got.matched
    assert (got.counts.matched, got.entries) == (1, ())


@pytest.mark.slow
def test_white_space_before_the_first_value_is_not_held():
    """Nor is it looked at twice: 200 MB of it."""
    data = b" " * (200 << 20) + b"[%s]" % RECORD
    got = match_bytes(data, RESTRICTIONS, MatchOptions(format="array"))
    assert (got.counts.matched, got.entries) == (1, ())


@pytest.mark.parametrize("limit", [5, 40, 150, 199, 250])
@pytest.mark.parametrize(("before", "between", "behind"), [(b"[", b" , ", b" ]"), (b"", b"  \n ", b"\n")])
def test_the_text_of_an_overlong_record(before, between, behind, limit):
    """It is the record's first bytes, 200 at most, and none of what follows it."""
    long, longer = b'{"x":"%s"}' % (b"a" * limit), b'{"x":"%s"}' % (b"b" * 300)
    got = outcome(before + between.join([long, RECORD, longer]) + behind, max_record_bytes=limit)
    wanted = [long, RECORD, longer] if limit < len(RECORD) else [long, longer]
    assert [entry.text for entry in got.entries] == [text[:200] for text in wanted]
    assert [entry.bytes for entry in got.entries] == [len(text) for text in wanted]


@pytest.mark.parametrize("size", range(200, 1_200, 33))
@pytest.mark.parametrize(("before", "between", "behind"), [(b"[", b",", b"]"), (b"", b"", b""), (b"", b" \n", b"\n")])
def test_what_follows_an_overlong_record(before, between, behind, size):
    """Is read where it is, also if the end of that record and other ones are found at once."""
    long = b'{"x":"%s"}' % (b"a" * size)
    got = outcome(before + between.join([long, RECORD, RECORD, long, RECORD]) + behind, max_record_bytes=40)
    assert [entry.bytes for entry in got.entries] == [len(long)] * 2
    assert got.matched == (RECORD + b"\n") * 3


@pytest.mark.slow
@pytest.mark.parametrize("form", [b"%s%s", b"[%s%s]", b"%s%s\n{}", b'{"x":1}%s%s{}'])
def test_white_space_behind_a_record(form):
    """It is no part of it, however much there is."""
    data = form % (RECORD, b" " * (80 << 20))
    for window in (1 << 20, None):
        with Borders(window=window).drawn():
            got = match_bytes(data, RESTRICTIONS)
        assert (got.counts.matched, got.counts.entries) == (1, 0)


def test_many_bad_elements_take_linear_time():
    """Each asks for its line, and none counts from the window's beginning: 60,000 in well under a minute."""
    data = b"[" + b",\n".join([b'{"data":"\xff"}'] * 60_000) + b"]"
    got = match_bytes(data, RESTRICTIONS, MatchOptions(provenance=True))
    assert [entry.line for entry in got.entries] == list(range(1, 60_001))


def test_where_the_rest_of_a_gzip_that_is_cut_short_begins():
    """At its first byte that is not white space: the fault that was found, and its like."""
    for white in (b" ", b"\n", b" \n  "):
        data = gzip.compress(white + b"x" * 60, 0, mtime=0)
        for cut in range(4, 30):
            got = outcome(data[:-cut], max_record_bytes=40)
            (entry,) = got.entries
            assert entry.byte_offset == len(white)
            assert entry.text == b"x" * entry.bytes


@pytest.mark.parametrize("digits", [19, 4_300, 4_301, 100_000])
@pytest.mark.parametrize("record", [b'{"a":["x","y"]}', b'{"a":{"b":1}}', b'{"a":["\\ud800"],"a":["x"]}'])
def test_an_index_of_many_digits_leads_nowhere(record, digits):
    """No array has so many elements, and Python refuses to read such a number."""
    restrictions = Restrictions.load(b'["x"]', f"/a/{'9' * digits}=k")
    got = match_bytes(record, restrictions, MatchOptions())
    assert (got.counts.missing_key, got.entries) == (1, ())
    got = match_bytes(record, restrictions, MatchOptions(records_at=f"/a/{'1' * digits}"))
    assert [entry.reason for entry in got.entries] == ["no_records"]


def test_a_nul_behind_a_mark_is_another_encoding():
    """To the plan as to the reader, which then read the same layout."""
    data = b"\xef\xbb\xbf{\0\n" + (RECORD + b"\n") * 100
    assert layout_of(data, MatchOptions()) is None
    assert [entry.reason for entry in outcome(data).entries] == ["not_utf8"]
    assert text_start(b"\xef\xbb\xbf{") == 3


@pytest.mark.parametrize("text", [RECORD + b"\n", b"[1]", b'{"a":\n1}', b"x\n" + RECORD, b"\n\n\n1\n2", b"nope", b"{"])
def test_what_is_said_of_a_beginning_is_said_of_the_whole(text):
    """The plan sees the beginning only. Where it knows the layout, it is the reader's."""
    data = text + b"\n" + RECORD
    known = [layout_of(data[:size], MatchOptions()) for size in range(len(data) + 1)]
    said = [layout for layout in known if layout is not None]
    assert len(set(said)) <= 1
    assert known[len(known) - len(said) :] == said


@pytest.mark.parametrize("line", [b"[", b'{"a":', b'{"a":1}[', b"[x", b'[1,"x'])
def test_a_first_line_that_decides_alone(line):
    """Does so whatever follows, so that blank lines behind it are not held."""
    for blank in (b"\n", b"\n\n \r\n\x1e\n"):
        assert layout_of(line + blank, MatchOptions()) is VALUES


def test_many_blank_lines_before_the_line_that_decides(monkeypatch):
    """Cost one step, not one each."""
    steps, back = [], detection.back_over_space
    monkeypatch.setattr(detection, "back_over_space", lambda *where: (steps.append(where), back(*where))[1])
    assert layout_of(b"# x\n" + b"\n" * 10_000 + b"# y\n" + b"\n \r" * 10_000 + b"[1]\n", MatchOptions()) is LINES
    assert len(steps) < 10


@pytest.mark.parametrize("name", ["max_record_bytes", "max_inflation"])
@pytest.mark.parametrize("value", [0, -1, 1 << 64, 10**30])
def test_limits_that_are_none(name, value):
    """They would end in a library's error, or in a ledger that nobody can read."""
    with pytest.raises(UsageError, match=name):
        MatchOptions(**{name: value})
