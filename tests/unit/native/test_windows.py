"""The same bytes give the same records at any cut into windows, any room for them, and whatever stands behind; and no
byte outside of a window is read, which the guarded memory of `read` would not allow."""

import pytest

from linkmatch_ray.native.kernel import LINES, VALUES, Flag
from linkmatch_ray.native.steps import STAR
from tests.support.kernel import check_lines, check_values, levels, make_kernel, read, steps_of

LEVELS = pytest.mark.parametrize("level", levels())
LISTED = frozenset([b'"a"', b"1", b"true", b'"\xc3\xa9"', b'["a",1]'])
FLAGS = Flag.COMMA_MAY_FOLLOW | Flag.RS_IS_WHITE | Flag.DOUBT_NUMBERS
STALE = (b'"', b"a", b"1", b"}", b"\\", b"\n", b" ", b"\xc3\xa9", b"rue,", b"\x00", b'":{"data":1}')

SMALL = {
    "lines": (
        LINES,
        b'{"data":"a"}\n\n{"data":true,"b":[1,{"c":null}]}\r\n{"data":"\\u00e9\\\\"}\n{"da\nta"}\n{"data":"\xc3\xa9"}\n'
        b'{"x":"\xc3"}\n{"d\\u0061ta":1} ,\n\x1e-1.5e+3\n{"data":12345678901234567890}\ntru\n"\\ud83d\\ude00"\n[[]]',
    ),
    "values": (
        VALUES,
        b'{"data":"a"}{"data":\n-12}[1,{"data":true} , [],"\\"\xc3\xa9\\u00e9"] "x" 12 ,\n[ ]\x1e{"data":"\xff"}nul',
    ),
    "commas": (VALUES, b'{"a":1}\n,\n{"a":2}'),
    "more commas": (VALUES, b'1 ,\n2\t, \n[3] ,\r\n"x",\n{"data":1}  , \x1e4'),
    "array": (VALUES, b'[{"data":"a","b":{"data":[0.5]}},{"data":"\\u0061"},false,1e5,{"data":1.0},{"a":[}]'),
}


@LEVELS
@pytest.mark.parametrize("name", SMALL)
def test_every_cut_of_a_small_input(level, name):
    """Two windows cut anywhere, all windows of one byte more, and one slot for records."""
    mode, data = SMALL[name]
    kernel = make_kernel(["data"], LISTED, level=level, mode=mode, flags=FLAGS)
    whole = read(kernel, data)
    check = check_lines if mode == LINES else check_values
    check(kernel, [("data",)], LISTED, data, *(whole[:1] if mode == LINES else whole))
    for cut in range(len(data)):
        assert read(kernel, data, [cut]) == whole, cut
        assert read(kernel, data, range(cut, len(data), 7), stale=b'"') == whole, cut
    assert read(kernel, data, range(len(data))) == whole
    assert read(kernel, data, range(len(data)), capacity=1) == whole
    assert read(kernel, data, capacity=1) == whole


@LEVELS
@pytest.mark.parametrize("stale", STALE)
def test_what_stands_behind_a_window(level, stale):
    """It is never a part of it: each beginning of an input is read as if it were all."""
    for mode, data in SMALL.values():
        kernel = make_kernel(["data"], LISTED, level=level, mode=mode, flags=FLAGS)
        for stop in range(len(data)):
            assert read(kernel, data[:stop], stale=stale) == read(kernel, data[:stop]), stop
        assert read(kernel, data, range(0, len(data), 3), stale=stale) == read(kernel, data)


@LEVELS
def test_every_beginning_is_held_to_the_exact_path(level):
    """An input may end anywhere."""
    for mode, data in SMALL.values():
        kernel = make_kernel(["data"], LISTED, level=level, mode=mode, flags=Flag.DOUBT_NUMBERS)
        for stop in range(len(data)):
            found, end = read(kernel, data[:stop])
            check = (found,) if mode == LINES else (found, end)
            (check_lines if mode == LINES else check_values)(kernel, [("data",)], LISTED, data[:stop], *check)


@LEVELS
@pytest.mark.parametrize(
    "paths",
    [["/a/0/b"], ["data", "/a/1"], [("a", STAR, "b")], [("a", STAR, STAR)], [("a", STAR, "b"), ("a", STAR, "c")]],
)
def test_paths_at_every_cut(level, paths):
    """The state has what was found of a key so far; with `[*]` a record is read again instead."""
    data = (
        b'{"a":[{"b":"a","c":1},{"c":1,"b":"a"},["a",1]],"data":"a"}\n{"data":"a","a":[0,1]}\n{"a":[{"b":[2]}],"a":{}}\n'
        b'{"a":[{"b":1}'
    )
    for flags in (0, FLAGS):
        kernel = make_kernel(paths, LISTED, level=level, flags=flags)
        whole = read(kernel, data)
        check_lines(kernel, [steps_of(path) for path in paths], LISTED, data, whole[0]) if flags else None
        for cut in range(len(data)):
            assert read(kernel, data, [cut]) == whole, cut
        assert read(kernel, data, range(len(data)), capacity=1, key_capacity=64) == whole


@LEVELS
@pytest.mark.parametrize("offset", [0, 1, 31, 62, 63])
def test_around_blocks_and_runs(level, offset):
    """Strings, escapes and names that lie across the borders of what stage 1 takes at once."""
    record = b'{"pad":"%s","da\\u0074a":"\\\\\\"\xc3\xa9","data":"\xf0\x9f\x98\x80\\/","n":[%s],"data":"a"}\n'
    sizes = [*range(offset, 300, 64), 8192 - 64 + offset, 8192 + offset, 3 * 8192 + offset]
    data = b"".join(record % (b"x" * size, b"1," * size + b"-0.5") for size in sizes)
    data += b"".join(b'{"data":"%s\\n%s"}\n' % (b"y" * size, b"z" * size) for size in sizes)
    kernel = make_kernel(["data"], LISTED, level=level, flags=FLAGS)
    whole = read(kernel, data)
    check_lines(kernel, [("data",)], LISTED, data, whole[0])
    assert read(kernel, data, range(offset, len(data), 4099)) == whole
    assert read(kernel, data, range(1, len(data), 8192), capacity=2) == whole


@LEVELS
def test_many_damaged_lines(level):
    """Each begins stage 1 afresh; what follows is read as if nothing had been."""
    lines = [b'"', b'{"data":"a"}', b"{", b'"\\', b"\x00", b'{"data":"\xff"}', b'x"x', b'{"data":1}', b"", b'\\"', b"]"]
    data = b"\n".join(lines[i * i % 11] + lines[i % 11] * (i % 3) for i in range(2000))
    kernel = make_kernel(["data"], LISTED, level=level, flags=FLAGS)
    whole = read(kernel, data, capacity=4000)
    check_lines(kernel, [("data",)], LISTED, data, whole[0])
    assert read(kernel, data, range(0, len(data), 501), capacity=100) == whole
