"""What the parser underneath takes and JSON does not, looked for systematically: each of it must be an entry.

Every text is first shown to the parser alone, a microsecond each. What it takes and Python's `json` refuses goes
through `match_bytes`, where a guard must have noticed it.
"""

import itertools
import json

import fastsimdjson
import pytest

from linkmatch_ray import MatchOptions, Restrictions, match_bytes

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


def refuse(constant):
    raise ValueError(constant)


DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=refuse)


def is_json(text):
    try:
        return isinstance(DECODER.decode(text), dict)
    except ValueError:
        return False


def is_taken(line):
    try:
        return len(list(fastsimdjson.loads_many(line, format="lines", fields="/data", default=None))) == 1
    except (ValueError, RecursionError):
        return False


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
def test_what_the_parser_takes_and_json_does_not(kind):
    """Such a line is an entry, alone, among others, and as an element; also where the key is a pointer."""
    form, draw = CASES[kind]
    lines = [line for text in draw() if is_taken((line := form % text).encode()) and not is_json(line)]
    for line in lines:
        for key, restrictions in RESTRICTIONS.items():
            got = match_bytes(line.encode(), restrictions, MatchOptions())
            assert (got.counts.records, got.counts.entries) == (0, 1), (line, key)
        in_array = match_bytes(b'[{"data":1},%s]' % line.encode(), RESTRICTIONS["data"], MatchOptions())
        assert (in_array.counts.matched, in_array.counts.entries) == (1, 1), line
    good = '{"data":1}\n'
    among = match_bytes("\n".join([good, *lines, good]).encode(), RESTRICTIONS["data"], MatchOptions())
    assert (among.counts.records, among.counts.entries) == (2, len(lines))
    if kind in ("tokens", "words", "words in numbers"):
        assert lines, "the parser takes nan, so the search must find something"


@pytest.mark.parametrize("value", ["00nan", "001inf", "-00Infinity", "0000000000000009nan", "07INF", "123nan"])
def test_numbers_before_nan(value):
    """The faults that were found: digits before a word that the parser takes for a number."""
    for line in ('{"b":%s,"data":1}', '{"data":1,"b":[%s]}', '{"data":%s}'):
        got = match_bytes((line % value).encode(), RESTRICTIONS["data"], MatchOptions())
        assert (got.counts.matched, got.counts.entries) == (0, 1)
