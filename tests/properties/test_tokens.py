"""What is nearly JSON, gone through systematically: what the plain reading says of each."""

import itertools
from random import Random

import pytest

from linkmatch_ray import MatchOptions, Restrictions, match_bytes
from tests.support import sequences
from tests.support.tiers import some

RESTRICTIONS = {"data": Restrictions.load(b'[{"data":1}]'), "/data": Restrictions.load(b'[{"data":1}]', "/data=data")}
PRINTABLE = [chr(code) for code in range(0x20, 0x7F)]
WORDS = ("true", "false", "null", "nan", "NaN", "inf", "Infinity", "-Infinity")
LITERALS = ("true", "false", "null")


def texts(alphabet, longest, shortest=1):
    for size in range(shortest, longest + 1):
        yield from map("".join, itertools.product(alphabet, repeat=size))


def around(words, few):
    """Each word with up to two characters before it, behind it, or instead of one of its own."""
    for word in words:
        for more in texts(PRINTABLE, few):
            yield more + word
            yield word + more
        for place in range(len(word)):
            yield word[:place]
            for more in texts(PRINTABLE, 1):
                yield word[:place] + more + word[place:]
                yield word[:place] + more + word[place + 1 :]


def in_numbers():
    """Up to four characters of numbers before and behind each word."""
    for word in ("nan", "inf", "Infinity", "null", "0", "1e5"):
        for more in texts("01-+.eEn", 4):
            yield more + word
            yield word + more


def read(text, format_="lines"):
    """Numbers of records and entries."""
    items = sequences.read(text.encode(), sequences.Options(format_))
    return sum(item.reason is None for item in items), sum(item.reason is not None for item in items)


CASES = {
    "tokens": ('{"b":%s,"data":1}', lambda: texts('01-+.eEnNaAiIfFtT"', 4)),
    "numbers": ('{"b":%s,"data":1}', lambda: texts("019-+.eE", 5)),
    "words": ('{"b":%s,"data":1}', lambda: around(WORDS, 2)),
    "words in arrays": ('{"data":1,"b":[1, %s]}', lambda: around(WORDS, 1)),
    "words in numbers": ('{"data":1,"b":%s}', in_numbers),
    "strings": ('{"b":"%s","data":1}', lambda: texts('\\u0dD8"/bx\x00\x1f\x7fé', 4)),
    "structure": ('{"b":%s,"data":1}', lambda: texts('{}[],:"1 ', 5)),
    "behind a value": ('{"data":1%s}', lambda: texts('{}[],:"1 \t\r\x0b\x0c', 4)),
    "behind the record": ('{"data":1}%s', lambda: texts('{}[],:"1 \t\r\x0b\x0c', 3)),
}


@pytest.mark.parametrize("kind", CASES)
def test_what_is_nearly_json(kind):
    """As a line among others; some also where the key is a pointer, alone, and as an element."""
    form, draw = CASES[kind]
    every = [form % text for text in draw()]
    Random(0).shuffle(every)  # a stride through products would meet some characters only
    lines = some(every)
    read_ = [read(line) for line in lines]
    wrong = [place for place, (_, entries) in enumerate(read_) if entries]
    assert 0 < len(wrong) < len(lines)
    options = MatchOptions(format="lines")
    got = match_bytes("\n".join(lines).encode(), RESTRICTIONS["data"], options)
    assert (got.counts.records, got.counts.entries) == tuple(map(sum, zip(*read_, strict=True)))
    assert [entry.line - 1 for entry in got.entries] == wrong
    tried = some(lines)
    got = match_bytes("\n".join(tried).encode(), RESTRICTIONS["/data"], options)
    assert [entry.line - 1 for entry in got.entries] == [n for n, line in enumerate(tried) if read(line)[1]]
    for line in (lines[place] for place in wrong[::20]):
        for text in (line, f'[{{"data":1}},{line}]'):
            got = match_bytes(text.encode(), RESTRICTIONS["data"])
            assert (got.counts.records, got.counts.entries) == read(text, "auto"), text


@pytest.mark.parametrize("value", ["00nan", "001inf", "-00Infinity", "0000000000000009nan", "07INF", "123nan"])
def test_numbers_before_nan(value):
    """The faults that were found: digits before a word that the parser takes for a number."""
    for line in ('{"b":%s,"data":1}', '{"data":1,"b":[%s]}', '{"data":%s}'):
        got = match_bytes((line % value).encode(), RESTRICTIONS["data"], MatchOptions())
        assert (got.counts.matched, got.counts.entries) == (0, 1)
