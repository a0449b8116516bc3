"""All short texts of some alphabets: what the kernel takes is what Python's `json` takes, and nothing else."""

import itertools

import pytest

from linkmatch_ray.native.kernel import VALUES, Flag, Kind, Status
from tests.support.kernel import check_lines, check_values, levels, make_kernel, read

LEVELS = pytest.mark.parametrize("level", levels())
WORDS = ("true", "false", "null", "nan", "NaN", "Infinity")


def texts(alphabet, longest, shortest=1):
    for size in range(shortest, longest + 1):
        yield from map("".join, itertools.product(alphabet, repeat=size))


def near(words):
    """Each word with a character more, less or other."""
    for word in words:
        for place in range(len(word) + 1):
            yield word[:place] + word[place + 1 :]
            for letter in 'x0"e, \x00\x7f':
                yield word[:place] + letter + word[place:]
                yield word[:place] + letter + word[place + 1 :]


def long_numbers():
    """Of about as many digits as are their own canonical text, and others."""
    for digits in range(15, 23):
        for before, behind in itertools.product(("", "-", "0", "-1"), ("", ".5", "e1", ".", "-")):
            yield before + "1" * digits + behind


CASES = {
    "numbers": ('{"data":%s}', lambda: texts("01-+.eE", 5)),
    "long numbers": ('{"data":%s}', lambda: long_numbers()),
    "bare numbers": ("%s", lambda: texts("09-.e ", 4)),
    "words": ('{"data":%s}', lambda: near(WORDS)),
    "bare words": ("%s", lambda: near(WORDS)),
    "words in arrays": ('{"data":1,"b":[1,%s]}', lambda: near(WORDS)),
    "structure": ('{"b":%s,"data":1}', lambda: texts('{}[],:"1 ', 4)),
    "bare structure": ("%s", lambda: texts('{}[],:"1', 5)),
    "behind a value": ('{"data":1%s}', lambda: texts('{}[],:"1 \t\r\x0b\x0c', 3)),
    "strings": ('{"data":"%s"}', lambda: texts('\\u0D8"/b\x00\x1f\x7f', 4)),
    "escapes": ('{"data":"\\%s"}', lambda: map(chr, range(128))),
    "code units": ('{"data":"\\u%s"}', lambda: texts("0dDfFgG/:@`", 4, 4)),
    "control characters": ('{"data":"%s"}', lambda: map(chr, range(128))),
    "control characters outside": ('{"data":%s1}', lambda: map(chr, range(128))),
}


@LEVELS
@pytest.mark.parametrize("kind", CASES)
def test_lines_of_all_texts(level, kind):
    """Each is a line, so that what stands around it does not change what it is."""
    form, draw = CASES[kind]
    data = "\n".join(form % text for text in draw() if "\n" not in text).encode()
    listed = frozenset([b"1", b'"a"', b"true"])
    kernel = make_kernel(["data"], listed, level=level, flags=Flag.DOUBT_NUMBERS | Flag.DOUBT_CONTAINERS)
    found, end = read(kernel, data, capacity=1 << 16)
    assert end.status == Status.DONE
    doubted = check_lines(kernel, [("data",)], listed, data, found)
    assert doubted < len(found)
    assert any(one.kind == Kind.DAMAGED for one in found)


@LEVELS
def test_values_of_all_texts(level):
    """Short sequences of values, each by itself."""
    for flags in (0, Flag.COMMA_MAY_FOLLOW | Flag.RS_IS_WHITE):
        kernel = make_kernel(["data"], level=level, flags=flags, mode=VALUES)
        for text in texts('[]{},"1 \n', 4 if level == levels()[-1] else 3):
            data = text.encode()
            check_values(kernel, [("data",)], frozenset(), data, *read(kernel, data))
