"""A whole reading at its limits: how long a record is, how many there are, how far into an input, how long a key is and
of how many members; and byte order marks."""

import io

import pytest

from linkmatch_ray import MatchOptions, Restrictions, match_bytes
from linkmatch_ray.core.codecs import Plain
from linkmatch_ray.core.matcher import Matcher
from linkmatch_ray.core.scan import RECORDS_MAX
from linkmatch_ray.native.library import SLOTS_MAX
from tests.fuzz.borders import HOSTILE, Borders
from tests.properties.test_match_bytes import assert_agrees
from tests.support import oracle

FORMS = {"lines": b"%s\n%s\n%s", "array": b"[%s,%s , %s]", "pretty": b"[\n%s,\n%s\n,%s\n]", "object": b"%.0s%s%.0s"}


@pytest.mark.parametrize("layout", FORMS)
@pytest.mark.parametrize("length", [22, 23, 64, 65, 4095, 4096, 4097, 8192])
def test_the_longest_record(layout, length):
    """A record of so many bytes comes out, one of a byte more is an entry, at any window and whatever lies behind."""
    listed, short = Restrictions.load(b'[{"data":1},{"data":2}]'), b'{"data":2}'
    for longer in (-1, 0, 1):
        text = b'{"data":1,\n"x":"%s"}' if layout == "object" else b'{"data":1,"x":"%s"}'
        text %= b"x" * (length + longer - len(text) + 2)
        data = FORMS[layout] % (short, text, short)
        options = MatchOptions(max_record_bytes=length, format="object" if layout == "object" else "auto")
        for window, poison in [(None, None), (16, HOSTILE[0]), (length, HOSTILE[4]), (length + 1, HOSTILE[7])]:
            with Borders(window=window, poison=poison).drawn():
                got = match_bytes(data, listed, options)
            assert [(entry.reason, entry.bytes) for entry in got.entries] == [("too_long", length + 1)] * (longer > 0)
            assert got.counts.matched == (0 if layout == "object" else 2) + (longer <= 0)


@pytest.mark.parametrize("count", [RECORDS_MAX - 1, RECORDS_MAX, RECORDS_MAX + 1])
@pytest.mark.parametrize("form", [b"%s", b"[%s]", b"[%s,"])
def test_more_records_than_the_kernel_gives_at_a_time(count, form):
    """All of them, each once and in order, the last one too."""
    texts = [b'{"data":%d,"n":%d}' % (number % 3, number) for number in range(count)]
    data = form % (b"," if form[:1] == b"[" else b"\n").join(texts)
    got = match_bytes(data, Restrictions.load(b'[{"data":1}]'), MatchOptions(emit="both"))
    assert (got.counts.records, got.counts.entries) == (count, form[-1:] == b",")
    assert got.matched.splitlines() == texts[1::3]
    assert got.unmatched.splitlines() == [text for number, text in enumerate(texts) if number % 3 != 1]


@pytest.mark.parametrize("before", [2**32 - 30, 2**32, 2**33, 2**50])
@pytest.mark.parametrize("window", [16, 40, None])
def test_an_input_of_more_than_four_gigabytes(before, window):
    """Ranges of it say where in the input their records and entries are."""
    listed = Restrictions.load(b'[{"data":1}]')
    lines = [b'{"data":1}', b'{"data":', b'{"data":2}', b'{"data":1}', b'"\xff"', b'{"data":1}']
    data = b"\n" + b"\n".join(lines) + b"\n"
    options = MatchOptions(emit="both", provenance=True)
    wanted = match_bytes(data, listed, options)
    with Borders(window=window).drawn():
        machine = Matcher(listed.paths, listed.index, options)
        source = Plain(io.BytesIO(data))
        parts = list(machine.stream(source, b"<bytes>", start=before + 1))
    entries = [entry for part in parts for piece in part.pieces for entry in piece.entries]
    assert [entry.byte_offset - before for entry in entries] == [entry.byte_offset for entry in wanted.entries]
    matched = b"".join(b"".join(part.matched) for part in parts)
    offset = b'"byte_offset":'
    assert [int(text.partition(b",")[0]) - before for text in matched.split(offset)[1:]] == [
        int(text.partition(b",")[0]) for text in wanted.matched.split(offset)[1:]
    ]
    assert len(entries) == 2
    assert matched.count(b"\n") == 3


@pytest.mark.parametrize("size", [*range(4085, 4100), 8192, 1 << 20])
@pytest.mark.parametrize("spelling", ["%s", "\\u0061%s", "%s\\n"])
def test_long_keys(size, spelling):
    """Found by their bytes, whichever way they are spelt, as parts of a composite key too."""
    text = spelling % ("x" * size)
    other = text[: size // 2] + "y" + text[size // 2 + 1 :]
    listed = f'{{"data":"{text}","b":1}}'.replace("\\u0061", "a").encode()
    records = [f'{{"b":{b},"data":"{one}"}}' for one in (text, other, text + "z") for b in ("1.0", "2")]
    for keys, matched in [("data", 2), (["data", "b"], 1)]:
        got = match_bytes("\n".join(records).encode(), Restrictions.load(b"[%s]" % listed, keys), MatchOptions())
        assert (got.counts.records, got.counts.matched) == (6, matched)


@pytest.mark.parametrize("count", [SLOTS_MAX - 1, SLOTS_MAX, SLOTS_MAX + 1])
def test_keys_of_many_members(count):
    """As many as the kernel has bits for, and one more: the verdicts are the same."""
    names = [f"k{number}" for number in range(count)]
    members = [f'"{name}":"{name}"' for name in names]
    other = [[*members[:place], f'"{names[place]}":"no"', *members[place + 1 :]] for place in range(count)]
    missing = [members[:place] + members[place + 1 :] for place in range(count)]
    data = "\n".join(f"{{{','.join(one)}}}" for one in [members, members[::-1], *other, *missing])
    listed = f"[{{{','.join(members)}}}]".encode()
    got = match_bytes(data.encode(), Restrictions.load(listed, names), MatchOptions(emit="both"))
    assert_agrees(got, oracle.match(data.encode(), listed, [(name, name) for name in names], emit="both"))
    assert (got.counts.matched, got.counts.missing_key) == (2, count)


MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "data",
    [
        MARK + b'{"data":"a"}\n{"data":"a"}',
        MARK + b'[{"data":"a"}]',
        MARK + b' \n[{"data":"a"}]',
        MARK + b'{\n"data":"a"}',
        MARK + MARK + b'{"data":"a"}\n{"data":"a"}',
        MARK + MARK + b'[{"data":"a"}]',
        b" " + MARK + b'{"data":"a"}\n{"data":"a"}',
        b'{"data":"a"}\n' + MARK + b'{"data":"a"}\n{"data":"a"}',
        b'{"data":"a"}' + MARK + b'\n{"data":"a"}',
        b"[" + MARK + b'{"data":"a"}]',
        b'[{"data":"a"},' + MARK + b'{"data":"a"}]',
        b'[{"data":"a"}]' + MARK,
        b'{"' + MARK + b'data":"a","data":"' + MARK + b'a"}\n{"data":"a"}',
        MARK[:2] + b'{"data":"a"}\n{"data":"a"}',
        MARK[1:] + b'{"data":"a"}\n{"data":"a"}',
        MARK,
        MARK + b"\n" + MARK,
    ],
)
@pytest.mark.parametrize("window", [16, 17, None])
def test_byte_order_marks(data, window):
    """One at the beginning is passed over; any other is damage, or a character of a string."""
    listed = b'[{"data":"a"}]'
    with Borders(window=window).drawn():
        got = match_bytes(data, Restrictions.load(listed), MatchOptions(emit="both"))
    assert_agrees(got, oracle.match(data, listed, emit="both"))
