"""Inputs in which every kind of token lies across a border, at every place in it; and what they must give.

What an input gives is known from how it was made, so long ones need no oracle.
"""

from dataclasses import dataclass, field

from linkmatch_ray import MatchOptions, Restrictions, match_bytes
from tests.support.compressed import compressed

LIST = Restrictions.load(b'["x", "d\\u00e4ta", {"data": 12}, "a\\"b\\\\"]')
OPTIONS = MatchOptions(emit="both")

NESTED = b'"n":[{"a":1},{"b":2}],'
"""With this the places that look like a border between two elements are more than there are elements."""

TOKENS = {
    "escaped quotes": b'"' + b'\\"' * 20 + b'"',
    "escaped backslashes": b'"' + b"\\\\" * 20 + b'"',
    "both": b'"' + b'\\\\\\"' * 11 + b'"',
    "u pair": rb'"\ud83d\ude00\ud83d\ude00\uD83D\uDE00"',
    "lone surrogates": rb'"\ud83d\ud83d\ude00\ude00"',
    "u quote": rb'"\u0022\u005c\u0022\u005C\\\u0022"',
    "utf-8": '"é爱😀é爱😀\u2028\ufeff"'.encode(),
    "number": b"-1234567890.1234567890e+1234567890",
    "integer": b"12345678901234567890123456789",
    "literals": b"[true,false,null,true,false,null]",
    "name": rb'{"data":1,"d\u0061ta":2,"data":{"data":3}}',
    "brackets": b'[[[{"a":[{}]}]],[],{},[[]]]',
    "structure in a string": b'"},{ ][ }\\n{ \\",\\" [{]}"',
    "white space": b"[ \t 1 \t , \t 2 \t ]",
    "white lines": b"[\r\n\r\n1\n,\r\n\n2\r\n]",
    "long white space": b"[" + b" " * 90 + b"1" + b"\t" * 90 + b"]",
    "nan in strings": b'["nan","Infinity 1inf",":nan",",-inf"]',
}
"""Valid values, by kind."""

DAMAGED = {
    "nan": b"nan",
    "zeros before nan": b"00nan",
    "zeros before inf": b"001inf",
    "minus infinity": b"-00Infinity",
    "half a literal": b"tru",
    "half a number": b"-",
    "point": b"1.",
    "exponent": b"1e+",
    "wrong escape": rb'"\x"',
    "half an escape": rb'"\u12"',
    "control character": b'"\x01"',
    "not utf-8": b'"\xed\xa0\x80"',
    "half a character": b'"\xf0\x9f\x98"',
}
"""Values that are none, of which none makes the structure around it another."""

KEYS = ((b'"x"', True), (b'"y"', False), (b"12", True), (b"1.2e1", True), (rb'"d\u00e4ta"', True), (b"null", False))

SPANNING = ("white lines",)
"""Kinds that lines cannot have."""


@dataclass
class Made:
    """An input, and what it must give."""

    data: bytes = b""
    matched: list = field(default_factory=list)
    unmatched: list = field(default_factory=list)
    records: int = 0
    entries: int = 0


def record(token, key, *, nested, last):
    """A record whose value `token` stands before or behind its key, and nested objects if wanted."""
    members = [b'"data":' + key, b'"s":' + token]
    return b"{" + (NESTED if nested else b"") + b",".join(members[:: -1 if last else 1]) + b"}"


def make(texts, layout, *, pad=0, good=None):
    """An input of records `(text, key's place in KEYS)`, with `pad` bytes of filler before them.

    Args:
        layout: `lines`, `crlf`, `array`, `pretty` (elements over several lines).
        good: Which of them are valid; all, if None.
    """
    made = Made()
    filler = b'{"f":"' + b"." * pad + b'"}'
    pieces = [(filler, False, True)]
    pieces += [(text, KEYS[place][1], good is None or good[n]) for n, (text, place) in enumerate(texts)]
    for text, is_matched, is_good in pieces:
        made.records += is_good
        made.entries += not is_good
        if is_good:
            (made.matched if is_matched else made.unmatched).append(one_line(text) + b"\n")
    joints = {"lines": b"\n", "crlf": b"\r\n", "array": b",", "pretty": b" \r\n,\n\t"}
    joined = joints[layout].join(text for text, *_ in pieces)
    made.data = b"[" + joined + b"]" if layout in ("array", "pretty") else joined
    return made


def one_line(text):
    """A record of ours as it comes out: the white space of those that span lines is between tokens only."""
    if b"\n" not in text and b"\r" not in text:
        return text
    return b"".join(text.split())


def systematic(layout, *, nested, pad, damaged=False):
    """All kinds of tokens in one input, each before and behind a key."""
    texts, good = [], []
    kinds = {**TOKENS, **DAMAGED} if damaged else TOKENS
    for number, (kind, token) in enumerate(kinds.items()):
        if layout in ("lines", "crlf") and kind in SPANNING:
            continue
        for last in (False, True):
            place = (number + last) % len(KEYS)
            texts.append((record(token, KEYS[place][0], nested=nested, last=last), place))
            good.append(kind in TOKENS)
    return make(texts, layout, pad=pad, good=good)


def compress(data, kind, rng):
    """In members cut anywhere, or as one."""
    cuts = sorted(rng.choices(range(len(data) + 1), k=rng.randint(0, 3)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return compressed(kind, *pieces)


def assert_gives(made, data, borders, options=OPTIONS):
    """`data`, which is `made.data` perhaps compressed, gives what it must, looked at through these borders."""
    with borders.drawn():
        got = match_bytes(data, LIST, options)
    assert got.matched == b"".join(made.matched), borders
    assert got.unmatched == b"".join(made.unmatched), borders
    assert (got.counts.records, got.counts.entries) == (made.records, made.entries), borders


def drawn(rng):
    """A random input: kinds, order, layout, filler, white space between, a mark before."""
    layout = rng.choice(("lines", "crlf", "array", "pretty"))
    damaged = layout in ("lines", "crlf") and rng.random() < 0.3
    texts, good = [], []
    for _ in range(rng.randint(1, 8)):
        kind = rng.choice([*TOKENS, *(DAMAGED if damaged else ())])
        if layout in ("lines", "crlf") and kind in SPANNING:
            continue
        place = rng.randrange(len(KEYS))
        token = {**TOKENS, **DAMAGED}[kind]
        texts.append((record(token, KEYS[place][0], nested=rng.random() < 0.5, last=rng.random() < 0.5), place))
        good.append(kind in TOKENS)
    made = make(texts, layout, pad=rng.randint(0, 100), good=good)
    if rng.random() < 0.3:
        made.data = rng.choice((b" ", b"\n", b"\r\n", b"\t \n ")) * rng.randint(1, 60) + made.data
    if rng.random() < 0.3:
        made.data = b"\xef\xbb\xbf" + made.data
    made.data += rng.choice((b"", b"\n", b" \r\n ", b" " * 80))
    return made
