"""Hypothesis strategies for corpora: restrictions and record files, written so that spelling varies.

What is in a case (keys, values, records, layout) is drawn by Hypothesis and shrinks; how it is spelled comes
from a random generator with a drawn seed and a drawn amount of noise, and noise 0 is plain, compact JSON.
"""

import gzip
import random
import unicodedata
from dataclasses import dataclass, field
from functools import cache

import zstandard
from hypothesis import strategies as st

from tests.support.oracle import number

BOM = b"\xef\xbb\xbf"
NAMED_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "/": "\\/",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}
LAYOUTS = ("lines", "array", "array-spaced", "array-pretty", "object", "object-pretty")
COMPRESSIONS = ("plain", "plain", "gzip", "zstd")


# ---- values: None, bool, str, list, and these two


@dataclass(frozen=True)
class Num:
    """A number by one of its spellings; the writer may choose another."""

    text: str


@dataclass
class Obj:
    """An object as its members in order; names may occur twice."""

    members: list = field(default_factory=list)


NUMBERS = (
    *("0", "1", "-1", "2", "10", "0.1", "1.5", "-2.50", "100000", "9007199254740991", "9007199254740992"),
    *("9007199254740993", "-9007199254740993", "9223372036854775807", "9223372036854775808"),
    *(
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551617",
        "1e22",
        "1e23",
        "1e400",
        "1e500",
    ),
    *("-1e400", "1e-400", "1e-500", "1e999999999", "1e999999998", "1e-999999999", "123456789" * 12),
    *("0.1000000000000000055511151231257827", "1e18446744073709551616", "5e-324", "1.7976931348623157e308"),
)
STRINGS = (
    *(
        "",
        "a",
        "A",
        "1",
        "1.0",
        "true",
        "null",
        "data",
        '"data":',
        "},{",
        '{"data":1}',
        "]",
        "\\",
        '"',
        '\\"',
        "/",
    ),
    *("\u0000", "a\u0000b", "\n", "\r\n", "\t", "\u001f", "\u007f", "\u2028", "\ufeff", "\ufffd", "\uffff"),
    *(
        "é",
        "e\u0301",
        "\u00c5",
        "\u212b",
        "ß",
        "爱的厘米",
        "😀",
        "\U0010ffff",
        "\ud800",
        "\udc00",
        "\udc00\ud800",
    ),
    *("x\ud83d", "😀\ud83d", "https://example.org/?a=1&b=2", " a", "a ", "a" * 70),
)
ONE = Num("1")
CONTAINERS = (
    *(
        [],
        Obj(),
        [ONE],
        [True],
        [None],
        [[ONE]],
        [[True]],
        [ONE, Num("2")],
        [Num("2"), ONE],
        ["1"],
        [Obj()],
        [[]],
    ),
    *(Obj([("a", ONE)]), Obj([("a", True)]), Obj([("a", ONE), ("b", "x")]), Obj([("b", "x"), ("a", ONE)])),
    *(
        Obj([("a", Num("2")), ("a", ONE)]),
        Obj([("data", ONE)]),
        Obj([("a", Obj([("a", [ONE])]))]),
        Obj([("", None)]),
    ),
)


# Hypothesis validates each strategy once; one that is made for each draw takes longer than the draw.


@cache
def scalars():
    return st.one_of(
        st.sampled_from((None, True, False)),
        st.sampled_from(NUMBERS).map(Num),
        st.sampled_from(STRINGS),
        st.text(st.characters(), max_size=6),
        st.integers().map(lambda value: Num(str(value))),
        st.floats(allow_nan=False, allow_infinity=False).map(lambda value: Num(repr(value))),
    )


@cache
def values():
    deeper = st.recursive(
        scalars(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.lists(st.tuples(st.sampled_from(("a", "b", "data", "é")), inner), max_size=3).map(Obj)
        ),
        max_leaves=5,
    )
    return st.one_of(scalars(), scalars(), st.sampled_from(CONTAINERS), deeper)


@cache
def pools(most):
    """The values that keys are drawn from."""
    return st.lists(values(), min_size=1, max_size=most)


# ---- keys


KEY_SETS = (
    (("data", "data"),),
    (("data", "data"),),
    (("url", "data"),),
    (("data", "a=b"),),
    (("a/b", "a b"),),
    (("dätä", "dätä"),),
    (("😀", "\u0001"),),
    (('q"\\uote', "x"),),
    (("/data", "/data"),),
    (("/a/b", "data"),),
    (("data", "/a/b/c"),),
    (("/a/0", "/0"),),
    (("/list/1/x", "k"),),
    (("/m~1n/~0t~01", "/m~1n"),),
    (("/", "/"),),
    (("/a//é", "/é"),),
    (("data", "data"), ("kind", "type")),
    (("/a/b", "/a/b"), ("/a/c", "c"), ("data", "data")),
)


def arguments(keys):
    """The keys as `-k` takes them."""
    return [own if own == other and "=" not in own else f"{own}={other}" for own, other in keys]


def tokens(key):
    if not key.startswith("/"):
        return [key]
    return [token.replace("~1", "/").replace("~0", "~") for token in key[1:].split("/")]


def place(members, path, value):
    """Puts `value` where `path` leads, making the objects and arrays on the way."""
    name, *rest = path
    if not rest:
        members.append((name, value))
        return
    inner = next((found for known, found in members if known == name), None)
    if inner is None:
        inner = [] if rest[0].isdigit() else Obj()
        members.append((name, inner))
    if isinstance(inner, Obj):
        place(inner.members, rest, value)
        return
    inner.extend([None] * (int(rest[0]) - len(inner)))
    inner.append(value if len(rest) == 1 else Obj())
    if len(rest) > 1:
        place(inner[-1].members, rest[1:], value)


# ---- the writer


class Writer:
    """Spells values; `noise` from 0 (compact and plain) to 1."""

    def __init__(self, seed, noise):
        self.random = random.Random(seed)
        self.noise = noise

    def chance(self, share=1.0):
        return self.random.random() < self.noise * share

    def space(self, blanks):
        if not blanks or not self.chance(0.5):
            return ""
        return "".join(self.random.choices(blanks, k=self.random.randint(1, 3)))

    def number(self, text):
        if not self.chance():
            return text
        sign, digits, exponent = number(text)
        pick = self.random.choice
        if not digits:
            return pick(("0", "-0", "0.0", "-0.0", "0e0", "0E+7", "-0e-3", "0.000e999999999", "0e-999999999"))
        minus = "-" if sign < 0 else ""
        mark = pick("eE")
        forms = [f"{digits}{mark}{exponent:d}", f"{digits}000{mark}{exponent - 3:d}"]
        forms.append(f"{digits[0]}.{digits[1:] or '0'}{mark}{exponent + len(digits) - 1:d}")
        forms.append(f"0.{digits}{mark}{exponent + len(digits):d}")
        forms.append(f"0.000{digits}00{mark}{exponent + len(digits) + 3:d}")
        if exponent >= 0:
            forms.append(f"{digits}.0{mark}+{exponent:d}")
            forms.append(f"{digits}{mark}+0{exponent:d}")
        if 0 <= exponent < 40:
            whole = digits + "0" * exponent
            forms += [whole, whole, whole + ".0", whole + ".000", f"{whole}{mark}-0", f"{whole}0{mark}-1"]
        if -40 < exponent < 0:
            padded = digits.rjust(1 - exponent, "0")
            forms += [
                f"{padded[:exponent]}.{padded[exponent:]}",
                f"{padded[:exponent]}.{padded[exponent:]}00",
            ]
        return minus + pick(forms)

    def string(self, text, share=0.3):
        return '"' + "".join(self.character(char, share) for char in text) + '"'

    def character(self, char, share):
        point = ord(char)
        must = point < 0x20 or char in '"\\' or 0xD800 <= point <= 0xDFFF
        if not must and not self.chance(share):
            return char
        if char in NAMED_ESCAPES and self.random.random() < 0.7:
            return NAMED_ESCAPES[char]
        units = [point] if point < 0x10000 else [0xD7C0 + (point >> 10), 0xDC00 + (point & 0x3FF)]
        return "".join(f"\\u{unit:{self.random.choice(('04x', '04X'))}}" for unit in units)

    def value(self, value, blanks=(), pretty=None, level=0):
        """`blanks` may come between any two tokens; `pretty` is (line end, indentation)."""
        if isinstance(value, Num):
            return self.number(value.text)
        if isinstance(value, str):
            return self.string(value)
        if value is None or isinstance(value, bool):
            return {None: "null", True: "true", False: "false"}[value]
        colon = ": " if pretty else ":"
        if isinstance(value, Obj):
            inside = [
                self.string(name, 0.15)
                + self.space(blanks)
                + colon
                + self.space(blanks)
                + self.value(inner, blanks, pretty, level + 1)
                for name, inner in value.members
            ]
        else:
            inside = [self.value(inner, blanks, pretty, level + 1) for inner in value]
        opening, closing = "{}" if isinstance(value, Obj) else "[]"
        inside = [self.space(blanks) + one + self.space(blanks) for one in inside]
        if not inside:
            return opening + self.space(blanks) + closing
        if pretty is None:
            return opening + ",".join(inside) + closing
        end, step = pretty
        return opening + end + f",{end}".join(step * (level + 1) + one for one in inside) + end + step * level + closing


# ---- files


@dataclass(frozen=True)
class File:
    """One generated file: its bytes as stored, and what they are made of."""

    data: bytes
    plain: bytes
    layout: str
    compression: str


@dataclass(frozen=True)
class Case:
    """Keys, a restrictions document and files to look up in it."""

    keys: tuple
    restrictions: bytes
    files: tuple
    records_at: str | None = None

    @property
    def arguments(self):
        return arguments(self.keys)


def utf8(text):
    return text.encode("utf-8")


def render(writer, elements, layout, end):
    """The elements as one file's text. Layout `lines` must not begin with `[`, or it would be an array."""
    pick = writer.random.choice
    inline = (" ", "\t", "  ") + (("\r",) if writer.chance(0.3) else ())
    anywhere = (*inline, "\n", "\r\n")
    if layout == "lines":
        if elements and isinstance(elements[0], list):
            elements = [Obj(), *elements]
        text = ""
        for element in elements:
            while writer.chance(0.2):
                text += pick(("", " ", "\t ", "\r")) + end
            text += writer.space((" ", "\t")) + writer.value(element, inline) + writer.space((" ", "\t"))
            text += pick(("\n", "\r\n")) if writer.chance(0.2) else end
        return text.removesuffix("\n").removesuffix("\r") if writer.chance(0.5) else text
    if layout.startswith("object"):
        whole = next((element for element in elements if isinstance(element, Obj)), Obj())
        pretty = (end, pick(("  ", "\t", ""))) if layout.endswith("pretty") else None
        return writer.space(anywhere) + writer.value(whole, anywhere if writer.chance() else (), pretty) + end
    pretty = (end, pick(("  ", "\t", ""))) if layout.endswith("pretty") else None
    blanks = () if layout == "array" else anywhere
    return writer.space(blanks) + writer.value(elements, blanks, pretty) + pick(("", end))


def compress(writer, data, compression):
    cuts = sorted(writer.random.choices(range(len(data) + 1), k=writer.random.randint(0, 3)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    if compression == "gzip":
        return b"".join(gzip.compress(piece, 1, mtime=0) for piece in pieces)
    if compression == "zstd":
        sized = writer.random.choice((True, False))
        return b"".join(zstandard.ZstdCompressor(1, write_content_size=sized).compress(piece) for piece in pieces)
    return data


@cache
@st.composite
def writers(draw):
    return Writer(draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from((0.0, 0.1, 0.4, 1.0))))


def distractors(name, pool):
    """Members that are not the key, though they look like it to a careless reader."""
    other = pool[0]
    return (
        ("note", "},{"),
        ("note", "}\n{"),
        ("text", f'"{name}":'),
        ("text", f'{{"{name}":1}}'),
        ("quote", 'a\\"b"\\'),
        ("nested", Obj([(name, other)])),
        ("nested", [Obj([(name, other), (name, None)]), name]),
        ("nested", Obj([("nested", [[], Obj([("x", [Obj([(name, other)])])])])])),
        ("value", name),
        (name + "x", other),
        (name.upper() + "_", other),
        (unicodedata.normalize("NFD", name) + "\u0301", other),
        ("é😀\ud800", "ü\udfff"),
        ("n", Num("18446744073709551617")),
        ("", Obj()),
    )


@st.composite
def elements_of(draw, own_keys, pool, *, most=10, objects=False):
    """Records with the keys drawn from `pool` for the most part; some lack them, some are no objects unless
    `objects`."""
    found = []
    first = tokens(own_keys[0])[0]
    other = st.sampled_from(distractors(first, pool))
    kinds = ("pool",) * 7 + ("fresh", "missing") + ("not an object",) * (not objects)
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=most)):
        value = st.sampled_from(pool) if kind != "fresh" else values()
        if kind == "not an object":
            drawn = draw(value)
            found.append(None if isinstance(drawn, Obj) else drawn)
            continue
        record = Obj(draw(st.lists(other, max_size=2)))
        for key in own_keys:
            if kind != "missing" or draw(st.booleans()):
                place(record.members, tokens(key), draw(value))
        record.members += draw(st.lists(other, max_size=2))
        if draw(st.integers(0, 6)) == 0:
            twin = (first, draw(st.sampled_from(pool)))
            record.members.insert(draw(st.sampled_from((0, len(record.members)))), twin)
        found.append(record)
    return found


@st.composite
def restriction_lists(draw, writer, keys, pool):
    """A restrictions document that has the key in every entry, or is it; repeats are common."""
    chosen = draw(st.lists(st.tuples(*(st.sampled_from(pool) for _ in keys)), max_size=8))
    plain = len(keys) == 1 and draw(st.booleans())
    layout = draw(st.sampled_from(("lines", "array", "array-spaced", "array-pretty")))
    no_keys = (Obj, list) if layout == "lines" else Obj  # an array on a line stands for its elements
    listed = []
    for parts in chosen:
        if plain and not isinstance(parts[0], no_keys):
            listed.append(parts[0])
            continue
        entry = Obj([("label", "},{"), ("n", Num("1"))][: draw(st.integers(0, 2))])
        for (_, key), part in zip(keys, parts, strict=True):
            place(entry.members, tokens(key), part)
        listed.append(entry)
    data = utf8(render(writer, listed, layout, draw(st.sampled_from(("\n", "\r\n")))))
    return compress(writer, data, draw(st.sampled_from(COMPRESSIONS)))


@st.composite
def keyless_lists(draw, writer, keys, pool):
    """A restrictions document some of whose entries lack the key, or are no objects."""
    listed = draw(elements_of([other for _, other in keys], pool, objects=len(keys) > 1))
    layout = draw(st.sampled_from(("lines", "array", "array-spaced", "array-pretty")))
    if layout == "lines":
        listed = [entry for entry in listed if not isinstance(entry, list)]
    return utf8(render(writer, listed, layout, draw(st.sampled_from(("\n", "\r\n")))))


CELLS = (
    "",
    "a",
    " a ",
    "1",
    "é",
    "😀",
    'q"',
    '"',
    ",",
    "\t",
    ";",
    "\n",
    "a\r\nb",
    "\r",
    "\u0000",
    "\u2028",
    "\x0b",
    "[1]",
)


@st.composite
def tables(draw):
    """A table as text, its separator and its rows with the header: spelled as RFC 4180 has it, and with more ways to
    end a line; blank lines are between some rows."""
    width = draw(st.integers(1, 4))
    header = ["data", *draw(st.permutations([" data", "Data", "é", 'x"y', "a,b", "c\td", "e\nf"]))][:width]
    cells = st.sampled_from(CELLS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
    rows = [draw(st.permutations(header)), *draw(st.lists(st.lists(cells, min_size=width, max_size=width), max_size=6))]
    separator, end = draw(st.sampled_from(",\t")), draw(st.sampled_from(("\n", "\r\n", "\r")))
    text = ""
    for row in rows:
        text += draw(st.sampled_from(("", "", end)))
        spelt = [cell if plain(cell, separator) and draw(st.booleans()) else quoted(cell) for cell in row]
        text += separator.join(['""'] if spelt == [""] else spelt) + end
    text = text if draw(st.booleans()) else text.removesuffix(end)
    return text, separator, rows


def plain(cell, separator):
    """Whether a cell can do without quotes; within, but not at its start, it may have one."""
    return not {separator, "\r", "\n"} & {*cell} and not cell.startswith('"')


def quoted(cell):
    return '"' + cell.replace('"', '""') + '"'


@st.composite
def record_files(draw, writer, elements, layouts=LAYOUTS, bom=True):
    layout = draw(st.sampled_from(layouts))
    compression = draw(st.sampled_from(COMPRESSIONS))
    end = draw(st.sampled_from(("\n", "\r\n")))
    plain = utf8(render(writer, elements, layout, end))
    if bom and draw(st.integers(0, 7)) == 0:
        plain = BOM + plain
    return File(compress(writer, plain, compression), plain, layout, compression)


@st.composite
def cases(draw, *, files=1, repeat=1, layouts=LAYOUTS, objects=False):
    """A case of `files` files at most; the records of each occur up to `repeat` times, spelled anew. With
    `objects`, all are objects, and there is no byte order mark."""
    keys = draw(st.sampled_from(KEY_SETS))
    writer = draw(writers())
    pool = draw(pools(6))
    restrictions = draw(restriction_lists(writer, keys, pool))
    made = []
    for _ in range(draw(st.integers(1, files))):
        elements = draw(elements_of([own for own, _ in keys], pool, objects=objects)) * draw(st.integers(1, repeat))
        made.append(draw(record_files(writer, elements, layouts, bom=not objects)))
    return Case(keys, restrictions, tuple(made))


@st.composite
def nested_cases(draw, *, files=1):
    """Cases whose records are an array inside each file's single document."""
    keys = draw(st.sampled_from(KEY_SETS))
    writer = draw(writers())
    pool = draw(pools(6))
    restrictions = draw(restriction_lists(writer, keys, pool))
    pointer = draw(st.sampled_from(("/items", "/result/items", "/a~1b/é", "/pages/1/items")))
    made = []
    for _ in range(draw(st.integers(1, files))):
        elements = draw(elements_of([own for own, _ in keys], pool))
        document = Obj([("items_", [Obj()]), ("meta", Obj([("items", [ONE]), ("é", "},{")]))])
        document.members = document.members[: draw(st.integers(0, 2))]
        if draw(st.integers(0, 4)) == 0:
            document.members.append((tokens(pointer)[0], [Obj([("data", pool[0])])]))
        placed = Obj()
        place(placed.members, tokens(pointer), elements)
        document.members += placed.members
        document.members += [("next", None), ("result_", [elements[:1]])][: draw(st.integers(0, 2))]
        layout = draw(st.sampled_from(("object", "object-pretty")))
        compression = draw(st.sampled_from(COMPRESSIONS))
        plain = utf8(render(writer, [document], layout, draw(st.sampled_from(("\n", "\r\n")))))
        made.append(File(compress(writer, plain, compression), plain, layout, compression))
    return Case(keys, restrictions, tuple(made), pointer)


BAD_LINES = (
    *(
        b'{"data":',
        b'{"data":1}{"data":1}x',
        b'{"data":1} "x',
        b'{"data":1},{"data":1}',
        b'{"data":1} x',
        b"nope",
        b"tru",
    ),
    *(
        b"NaN",
        b'{"data":NaN}',
        b'{"data":1,"x":Infinity}',
        b'{"data":-Infinity}',
        b'{"data":1,}',
        b"{'data':1}",
    ),
    *(
        b'{"data":01}',
        b'{"data":1.}',
        b'{"data":.5}',
        b'{"data":+1}',
        b'{"data":1e}',
        b'{"data":-}',
        b'{"data":0x1}',
    ),
    *(b'{"data":"\x01"}', b'{"data":"\\x"}', b'{"data":"\\u12"}', b'{"data":"a}', b'{"data":1,"x":"\t"}'),
    *(
        b'{"data" 1}',
        b'{"data":1 "x":2}',
        b"{data:1}",
        b'{"data":1]',
        b"{",
        b"}",
        b"]",
        b'"',
        b"\x00",
        b"\x0c",
        b"1 2x",
    ),
    *(
        b'{"data":1,"x":"\xff"}',
        b'{"data":"\xed\xa0\x80"}',
        b'{"data":"\xc0\xaf"}',
        b'\xef\xbb\xbf{"data":1}',
    ),
    *(b'{"data":1}\xc2\xa0', b'{"data":1,"x":[1,]}', b'{"data":1}//', b'{"data":True}', b'{"x":1,"data":1'),
)


@st.composite
def damaged_lines(draw):
    """JSON Lines with bad lines among the good ones; (data, restrictions) for the key `data`."""
    writer = draw(writers())
    pool = draw(pools(4))
    good = [
        utf8(writer.value(element, (" ", "\t")))
        for element in draw(elements_of(["data"], pool))
        if not isinstance(element, list)
    ]
    mixed = draw(st.permutations(good + draw(st.lists(st.sampled_from(BAD_LINES), min_size=1, max_size=4))))
    data = b"".join(line + draw(st.sampled_from((b"\n", b"\r\n", b"\n\n"))) for line in mixed)
    return data, draw(restriction_lists(writer, (("data", "data"),), pool))
