"""UTF-8 of all kinds, at all places of a block: the kernel takes what Python's decoder takes."""

import itertools

import pytest

from linkmatch_ray.native.kernel import VALUES, Kind
from tests.support.kernel import levels, make_kernel, read

LEVELS = pytest.mark.parametrize("level", levels())
FIRST = [0x41, 0x7F, 0x80, 0x8F, 0x90, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF]
FIRST += [0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF7, 0xF8, 0xFF]
NEXT = [0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC2, 0xE0, 0xF0, 0xFF]


def is_utf8(text):
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def sequences():
    """All bytes that matter in all orders, up to four."""
    yield from (bytes([one]) for one in range(0x20, 0x100) if one not in b'"\\')
    for size in (1, 2, 3):
        for first, more in itertools.product(FIRST, itertools.product(NEXT, repeat=size)):
            yield bytes([first, *more])


def kinds(kernel, texts):
    """The kinds of lines, or elements, of one string each."""
    form = b"[%s]" if kernel.config.mode == VALUES else b"%s"
    data = form % (b",\n" if kernel.config.mode == VALUES else b"\n").join(b'"%s"' % text for text in texts)
    found, _ = read(kernel, data, capacity=1 << 16)
    return [one.kind for one in found]


@LEVELS
@pytest.mark.parametrize("mode", [0, VALUES])
def test_sequences(level, mode):
    """Each in a record of its own, whose neighbours are what they are."""
    kernel = make_kernel(["data"], level=level, mode=mode)
    texts = list(sequences())
    wanted = [Kind.NOT_OBJECT if is_utf8(text) else Kind.DAMAGED for text in texts]
    assert kinds(kernel, texts) == wanted


@LEVELS
@pytest.mark.parametrize(
    "text", [b"\xc3\xa9", b"\xc3", b"\xe2\x82\xac", b"\xe2\x82", b"\xf0\x9f\x98\x80", b"\xf0\x9f\x98"]
)
def test_at_every_place(level, text):
    """Whole or cut short at each place of a block and of a run, before ASCII and before other text."""
    kernel = make_kernel(["data"], level=level)
    wanted = Kind.NOT_OBJECT if is_utf8(text) else Kind.DAMAGED
    for before in [*range(130), *range(8192 - 130, 8192 + 10)]:
        for behind in (b"", b"\xc3\xa9"):
            assert kinds(kernel, [b"x" * before + text + behind, b"a"]) == [wanted, Kind.NOT_OBJECT]


@LEVELS
def test_before_and_behind(level):
    """Only the record that has them is damaged by bytes that are not UTF-8, in whichever block these are."""
    kernel = make_kernel(["data"], level=level)
    for place in range(200):
        texts = [b""] * 200
        texts[place] = b"\xff"
        wanted = [Kind.DAMAGED if text else Kind.NOT_OBJECT for text in texts]
        assert kinds(kernel, texts) == wanted


@LEVELS
def test_all_code_points(level):
    """No character is taken for an error."""
    kernel = make_kernel(["data"], level=level)
    text = "".join(
        chr(code) for code in range(0x20, 0x110000, 13) if not 0xD800 <= code < 0xE000 and chr(code) not in '"\\'
    )
    assert kinds(kernel, [text.encode()]) == [Kind.NOT_OBJECT]
