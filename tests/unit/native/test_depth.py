"""Nesting: 500 levels are read, one more is damage, and however many follow cost nothing."""

import pytest

from linkmatch_ray.native.kernel import VALUES, Kind
from tests.support.kernel import check_lines, check_values, levels, make_kernel, read

LEVELS = pytest.mark.parametrize("level", levels())


def nested(depth, opening, closing, inner=b"1"):
    return opening * depth + inner + closing * depth


@LEVELS
@pytest.mark.parametrize("depth", [499, 500, 501, 502, 1000, 100_000])
def test_depth(level, depth):
    """Of arrays, objects and both, as records and as elements."""
    for text in (
        nested(depth, b"[", b"]"),
        nested(depth, b'{"data":', b"}"),
        nested(depth // 2, b'[{"data":', b"}]"),
        b'{"b":' + nested(depth - 1, b"[", b"]") + b',"data":"a"}',
    ):
        is_deep = min(text.count(b"[") + text.count(b"{"), depth) > 500
        for mode, data in [(0, text + b"\n1"), (VALUES, b"[" + text + b",1]"), (VALUES, b'{"a":' + text + b"}")]:
            kernel = make_kernel(["data"], frozenset([b'"a"']), level=level, mode=mode)
            found, end = read(kernel, data, [len(data) // 2, len(data) // 3])
            if mode:
                check_values(kernel, [("data",)], frozenset([b'"a"']), data, found, end)
            elif depth < 1000:
                check_lines(kernel, [("data",)], frozenset([b'"a"']), data, found)
            else:
                assert [one.kind for one in found] == [Kind.DAMAGED if is_deep else found[0].kind, Kind.NOT_OBJECT]


@LEVELS
def test_a_long_pointer(level):
    """Paths may be as long as records are deep, and longer ones lead nowhere."""
    for depth in (100, 500, 501, 800):
        kernel = make_kernel(["/a" * depth], frozenset([b"1"]), level=level)
        [found] = read(kernel, nested(depth, b'{"a":', b"}"))[0]
        assert found.kind == (Kind.KEYED if depth <= 500 else Kind.DAMAGED)
        [found] = read(kernel, nested(min(depth, 500) - 1, b'{"a":', b"}"))[0]
        assert found.kind == Kind.MISSING
