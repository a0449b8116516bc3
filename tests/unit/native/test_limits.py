"""The kernel at the limits of what it counts and holds, held to the exact path at every level."""

import ctypes
import mmap
from functools import cache

import numpy as np
import pytest

from linkmatch_ray.core.index import IndexBuilder
from linkmatch_ray.native.kernel import LINES, VALUES, Flag, Kernel, Kind, Reading, Status, hash_key, hash_keys
from linkmatch_ray.native.library import SLOTS_MAX
from linkmatch_ray.native.steps import STAR
from tests.support.kernel import check_lines, check_values, levels, make_kernel, read

LEVELS = pytest.mark.parametrize("level", levels())
MODES = pytest.mark.parametrize("mode", [LINES, VALUES])
LISTED = frozenset([b'"a"', b"1"])
DATA = b'{"data":"a"}\n{"b":[0,"\\u0061"],"data":1}\n"\xc3\xa9"\n{"data":"x"}\n\n{"data":true}\n{"data":"\xff"}\n{"da'

WINDOW_MAX = 0xFFFFFFFF - 128
"""As api.c has it: with a block more, a place still has 32 bits."""


@LEVELS
@MODES
@pytest.mark.parametrize("far", [2**32 - 60, 2**32 - 1, 2**32, 2**40, 2**63])
def test_an_input_of_more_than_four_gigabytes(level, mode, far):
    """A place counts from its window. What carries on between windows has 64 bits: where they begin, and lines."""
    for paths in ([("data",)], [("b", STAR)]):
        kernel = make_kernel(paths, LISTED, level=level, mode=mode)
        whole = read(kernel, DATA)
        assert len(whole[0]) >= 5
        for cut in range(0, len(DATA), 3):
            assert read(kernel, DATA, range(cut, len(DATA), 11), far=far, capacity=2, key_capacity=4) == whole


@cache
def four_gigabytes():
    """Memory that takes none where nothing is written."""
    no_reserve = 0x4000
    memory = mmap.mmap(-1, 1 << 32, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve)
    return memory, ctypes.addressof((ctypes.c_char * len(memory)).from_buffer(memory))


@LEVELS
@MODES
def test_the_largest_window(level, mode):
    """Its last places are just below 2**32; one byte more is misuse."""
    memory, address = four_gigabytes()
    at = WINDOW_MAX - len(DATA)
    memory[at:WINDOW_MAX] = DATA
    kernel = make_kernel(["data"], LISTED, level=level, mode=mode)
    reading = Reading(kernel, 10)
    reading.begin(at)
    assert reading.scan(address, 0, WINDOW_MAX + 1, is_last=True) == Status.MISUSE
    status = reading.scan(address, 0, WINDOW_MAX, is_last=True)
    wanted, end = read(kernel, DATA)
    assert status == end.status
    assert [start - at for start in reading["starts"].tolist()] == [one.start for one in wanted]
    assert [end - at for end in reading["ends"].tolist()] == [one.end for one in wanted]
    assert reading["kinds"].tolist() == [one.kind for one in wanted]
    assert len(reading["hit_rows"]) == sum(len(one.hits) for one in wanted) == 2


WRITTEN_MAX = 4095
"""Bytes of a canonical key that the kernel has room for where it must write it itself."""

SIZES = [1, *range(4085, 4100), 8190, 8192, 70_000]
ENDS = {"": "", "\\u0061": "a", "\\/": "/", "\\u00e9": "é", "\\ud83d\\ude00": "\U0001f600"}


@LEVELS
@pytest.mark.parametrize("end", ENDS)
def test_long_keys(level, end):
    """They are found, or doubted where they are too long to be written; never taken for another."""
    texts = [text for size in SIZES for text in ("x" * size + end, end + "x" * size)]
    keys = [f'"{text.replace(end, ENDS[end])}"'.encode() if end else f'"{text}"'.encode() for text in texts]
    data = "\n".join(f'{{"data":"{text}"}}' for text in texts).encode()
    listed = frozenset(keys[::3])
    kernel = make_kernel(["data"], listed, level=level)
    found, _ = read(kernel, data)
    check_lines(kernel, [("data",)], listed, data, found)
    assert [one.kind for one in found] == [
        Kind.DOUBTED if end and len(key) > WRITTEN_MAX else Kind.KEYED for key in keys
    ]


@LEVELS
def test_long_composite_keys(level):
    """Any of the parts may be what there is no room for; those that just fit are found."""
    paths = [("a",), ("b",), ("c",)]
    texts = [["x" * first, "y" * second, "z"] for first in SIZES[:16] for second in (0, 4080)]
    texts += [[second, first, ""] for first, second, _ in texts]
    keys = ['["{}","{}","{}"]'.format(*text).encode() for text in texts] * 2
    plain = "\n".join('{{"c":"{2}","a":"{0}","b":"{1}"}}'.format(*text) for text in texts)
    data = f"{plain}\n{plain.replace('z', chr(92) + 'u007a')}".encode()
    kernel = make_kernel(paths, frozenset(keys[::3]), level=level)
    found, _ = read(kernel, data, capacity=500)
    check_lines(kernel, paths, frozenset(keys[::3]), data, found)
    assert [one.kind for one in found] == [Kind.DOUBTED if len(key) > WRITTEN_MAX else Kind.KEYED for key in keys]


@LEVELS
@MODES
def test_as_many_paths_as_there_are_bits(level, mode):
    """Parts in any order; one that is not there, or in doubt, is noticed whichever it is."""
    names = [f"k{number}" for number in range(SLOTS_MAX)]
    paths = [(name,) for name in names]
    members = [f'"{name}":"v"' for name in names]
    records = [members, members[::-1], [*members, '"k63":"w"'], [*members[:63], '"k\\u00363":"\\u0076"'], members[:63]]
    for place in range(SLOTS_MAX):
        records += [
            members[:place] + members[place + 1 :],
            [*members[:place], f'"k{place}":"\\n"', *members[place + 1 :]],
        ]
    data = "\n".join(f"{{{','.join(record)}}}" for record in records).encode()
    listed = frozenset([b'["v"%s]' % (b',"v"' * 63), b'["v"%s,"w"]' % (b',"v"' * 62)])
    kernel = make_kernel(paths, listed, level=level, mode=mode)
    found, end = read(kernel, data, range(0, len(data), 999), capacity=10)
    if mode == LINES:
        assert check_lines(kernel, paths, listed, data, found) == SLOTS_MAX
    else:
        assert check_values(kernel, paths, listed, data, found, end) == SLOTS_MAX
    assert [len(one.hits) for one in found] == [1] * 4 + [0] * (1 + 2 * SLOTS_MAX)


@cache
def million():
    """An index of a million keys, every other number."""
    builder = IndexBuilder()
    builder.add(b'"https://example.com/%d"' % number for number in range(0, 2_000_000, 2))
    return builder.build()


@LEVELS
def test_a_list_of_a_million_keys(level):
    """Whichever is looked for is found, and its neighbour is not."""
    index = million()
    assert len(index.hashes) == 1_000_000
    kernel = Kernel([("data",)], index, level=level)
    numbers = [*range(100), *range(1_999_900, 2_000_100), *range(7, 2_000_000, 1001)]
    data = b"\n".join(b'{"data":"https://example.com/%d"}' % number for number in numbers)
    found, _ = read(kernel, data, capacity=1000)
    wanted = [b'"https://example.com/%d"' % number for number in numbers]
    is_listed = [number % 2 == 0 and number < 2_000_000 for number in numbers]
    assert [one.hits for one in found] == [
        frozenset([key] if on else []) for key, on in zip(wanted, is_listed, strict=True)
    ]


@cache
def crowd():
    """Keys whose hashes have their first 16 bits in common, in groups of at least 20."""
    keys = [b'"%d"' % number for number in range(1 << 20)]
    hashes = hash_keys(np.frombuffer(b"".join(keys), np.uint8), np.cumsum([len(key) for key in keys], dtype=np.int64))
    order = np.argsort(hashes)
    tops = hashes[order] >> np.uint64(48)
    groups = np.split(order, np.flatnonzero(np.diff(tops)) + 1)
    return [[keys[place] for place in group] for group in groups if len(group) >= 28][:40]


@LEVELS
def test_keys_that_crowd_in_one_bucket(level):
    """Filter and directory say nothing of them, and the search still tells them apart."""
    groups = crowd()
    assert len(groups) == 40
    keys = [key for group in groups for key in group]
    assert len({hash_key(key) >> 48 for key in keys}) == 40
    listed = frozenset(key for group in groups[::2] for key in group[::2])
    kernel = make_kernel(["data"], listed, level=level)
    found, _ = read(kernel, b"\n".join(b'{"data":%s}' % key for key in keys), capacity=2000)
    assert [one.hits for one in found] == [frozenset([key]) & listed for key in keys]
    alone = make_kernel(["data"], frozenset(groups[0][:1]), level=level)
    found, _ = read(alone, b"\n".join(b'{"data":%s}' % key for key in keys), capacity=2000)
    assert [bool(one.hits) for one in found] == [key == groups[0][0] for key in keys]


@LEVELS
@MODES
@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xef\xbb", b"\xef", b"\xff\xfe", b"\xfe\xff"])
def test_byte_order_marks(level, mode, mark):
    """To the kernel they are damage wherever they are but in a string: the core passes over one at the beginning."""
    for data in (
        b'%s{"data":"a"}',
        b'{"data":"a"}\n%s{"data":1}\n1',
        b'{"data":"a"}%s',
        b"[%s1]",
        b'{%s"data":1}',
        b"%s",
    ):
        text = data % mark + b'\n{"data":1}'
        kernel = make_kernel(["data"], LISTED, level=level, mode=mode, flags=Flag.DOUBT_NUMBERS)
        found, end = read(kernel, text, range(len(text)))
        if mode == LINES:
            check_lines(kernel, [("data",)], LISTED, text, found)
            assert Kind.DAMAGED in [one.kind for one in found]
        else:
            check_values(kernel, [("data",)], LISTED, text, found, end)
            assert end.status == Status.DAMAGE
    [only], _ = read(make_kernel(["data"], LISTED, level=level), b'{"\xef\xbb\xbfdata":"a","data":"\xef\xbb\xbfa"}')
    assert (only.kind, only.hits) == (Kind.KEYED, frozenset())
