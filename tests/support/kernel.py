"""What the tests of the kernel share: the library, a list, memory that ends at a page that must not be read, a reading
in any windows, and what it must give."""

import ctypes
import mmap
import os
from dataclasses import dataclass
from functools import cache, wraps
from unittest.mock import patch

import numpy as np

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.exact import parse
from linkmatch_ray.core.keys import NumberText, canonical
from linkmatch_ray.native import library as native
from linkmatch_ray.native.build import build
from linkmatch_ray.native.kernel import (
    LINES,
    Flag,
    Kernel,
    KeyIndex,
    Kind,
    Place,
    Reading,
    Status,
    directory_of,
    filter_of,
    hash_keys,
)
from linkmatch_ray.native.steps import STAR, Name
from tests.support.oracle import BOUNDS, DEPTH_MAX, depth
from tests.support.tiers import kinds

PAGE = mmap.PAGESIZE
WHITE = b" \t\r\n"


@cache
def levels():
    """This processor's levels; builds the library first, if it is not that of the sources."""
    try:
        library = native.load()
    except ImportError:
        build()
        library = native.load()
    return native.levels(library)


def at_each_level(test):
    """Has each example read at all levels, as to draw one takes longer; by `scripts/test` at the best one alone."""

    @wraps(test)
    def read(*arguments, **named):
        given = os.environ.get("LINKMATCH_SIMD")
        for level in kinds(reversed(levels())) if given is None else [given]:
            with patch.dict(os.environ, LINKMATCH_SIMD=level):
                test(*arguments, **named)

    return read


def make_index(keys):
    """A list of canonical keys as the kernel takes it."""
    keys = list(dict.fromkeys(keys))
    blob = np.frombuffer(b"".join(keys) + b"\0", np.uint8)
    ends = np.cumsum([len(key) for key in keys], dtype=np.int64)
    hashes = hash_keys(blob, ends)
    order = np.argsort(hashes, kind="stable")
    starts = np.append(0, ends[:-1]).astype(np.int64)[: len(keys)]
    hashes = hashes[order]
    return KeyIndex(*filter_of(hashes), *directory_of(hashes), hashes, starts[order], ends[order], blob)


class Guarded:
    """Memory before and behind which nothing can be read: a window is put at its very end, or its beginning."""

    def __init__(self, size):
        self.size = -(-size // PAGE) * PAGE
        self._map = mmap.mmap(-1, self.size + 2 * PAGE)
        whole = (ctypes.c_char * len(self._map)).from_buffer(self._map)
        self.start = ctypes.addressof(whole) + PAGE
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        for page in (self.start - PAGE, self.start + self.size):
            assert protect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 0) == 0

    def put(self, data, *, at_end=True, stale=b""):
        """The address of `data`; with `stale`, that is what stands behind it up to the end."""
        room = self.size - len(data)
        if stale:
            ctypes.memmove(self.start, data, len(data))
            behind = (stale * (room // len(stale) + 1))[:room]
            ctypes.memmove(self.start + len(data), behind, room)
            return self.start
        address = self.start + (room if at_end else 0)
        ctypes.memmove(address, data, len(data))
        return address


@cache
def guarded(size):
    return Guarded(size)


@dataclass(frozen=True)
class Found:
    """A record as the kernel gives it.

    Attributes:
        keys: The texts of each row's parts.
        hits: The canonical keys that it equals.
    """

    start: int
    end: int
    kind: int
    line: int
    keys: tuple = ()
    hits: frozenset = frozenset()


@dataclass(frozen=True)
class End:
    """How a reading ended."""

    status: int
    damage: int = 0
    damage_at: int = 0
    record: int | None = None


def read(kernel, data, cuts=(), *, capacity=64, key_capacity=None, stale=b"", place=Place.TOP, at=0, far=0):
    """All records of `data`, and how the reading ended; in windows that end at `cuts` and begin where they may.

    `data` is read as what lies behind `far` bytes and as many lines; what is found is as if it did not.
    """
    reading = Reading(kernel, capacity, key_capacity)
    memory = guarded(max(PAGE, 1 << (len(data) + 64).bit_length()))
    reading.begin(far + at, place)
    reading.state.line = far
    found = []
    line = 0
    stops = [*sorted({cut for cut in cuts if at <= cut < len(data)}), len(data)]
    for stop in stops:
        while True:
            base, before = reading.state.keep - far, reading.state.at
            assert base <= before - far <= stop
            window = data[base:stop]
            address = memory.put(window, stale=stale, at_end=bool(base % 2))
            status = reading.scan(address, far + base, len(window), is_last=stop == len(data))
            assert status != Status.MISUSE
            found += gathered(kernel, reading, data, base, line)
            line = reading.state.line - far
            assert before <= reading.state.at or kernel.tree.has_star
            if status != Status.FULL:
                break
            assert len(reading["starts"]), "a call that only says that it is full goes on for ever"
        if status != Status.MORE:
            break
    state = reading.state
    if status == Status.DAMAGE:
        return found, End(status, state.damage, state.damage_at - far, state.record - far if state.is_open else None)
    assert status == (Status.DONE if stops[-1] == len(data) else Status.MORE)
    return found, End(status)


def gathered(kernel, reading, data, base, line):
    """What a call wrote, in places of the input."""
    starts, ends, lines, kinds, key_starts, key_ends, hit_rows, hit_places = (
        reading[name].tolist()
        for name in ("starts", "ends", "lines", "kinds", "key_starts", "key_ends", "hit_rows", "hit_places")
    )
    rows = {record: [] for record in range(len(starts))}
    hits = {record: set() for record in range(len(starts))}
    owners = reading["key_records"].tolist() if kernel.tree.has_star else list(rows)
    for row, owner in enumerate(owners if kernel.tree.count else ()):
        if kinds[owner] == Kind.KEYED:
            spans = zip(key_starts[row], key_ends[row], strict=True)
            rows[owner].append(tuple(data[base + start : base + end] for start, end in spans))
    assert sorted(set(hit_rows)) == hit_rows
    for row, place in zip(hit_rows, hit_places, strict=True):
        index = kernel._index
        hits[owners[row]].add(index.blob[index.starts[place] : index.ends[place]].tobytes())
    return [
        Found(
            base + starts[i],
            base + ends[i],
            Kind(kinds[i]),
            line + lines[i],
            tuple(rows[i]),
            frozenset(hits[i]),
        )
        for i in range(len(starts))
    ]


# ---- what must be given


def steps_of(text):
    """The steps of a test's path: a tuple as it is, or a name or pointer as in core."""
    from linkmatch_ray.core.keys import KeyPath

    return text if isinstance(text, tuple) else KeyPath.parse(text).tokens


def selected(value, path):
    """All values that a path selects: (value, where it is), the last of twice-named members only."""
    if not path:
        return [value]
    step, rest = path[0], path[1:]
    if step is STAR:
        return [found for inner in value for found in selected(inner, rest)] if isinstance(value, list) else []
    if isinstance(value, dict) and isinstance(step, str):
        return selected(value[step], rest) if step in value else []
    if isinstance(value, list) and not isinstance(step, Name):
        index = step if isinstance(step, int) else int(step) if step.isascii() and step.isdigit() else -1
        is_index = isinstance(step, int) or str(index) == step
        return selected(value[index], rest) if is_index and 0 <= index < len(value) else []
    return []


def keys_of(value, paths):
    """The canonical keys of a record: none if it is missing, several only with `[*]`."""
    star = max((place for place, step in enumerate(paths[0]) if step is STAR), default=-1)
    keys = []
    for element in selected(value, paths[0][: star + 1]):
        parts = [selected(element, path[star + 1 :]) for path in paths]
        if all(parts):
            values = [part[0] for part in parts]
            keys.append(canonical(values[0]) if len(values) == 1 else canonical(values))
    return keys


def is_plain(value, *, numbers, containers):
    """Whether the kernel must not doubt a part of a key."""
    if isinstance(value, NumberText):
        return not numbers or (value.lstrip("-").isdigit() and len(value.lstrip("-")) <= 18 and value != "-0")
    if isinstance(value, str):
        return True
    return not (containers and isinstance(value, (dict, list)))


def judged(text, paths, listed):
    """Kind, canonical keys and hits of a record, or the kind DAMAGED."""
    try:
        value = parse(text)
    except Damage:
        return Kind.DAMAGED, [], frozenset()
    if not isinstance(value, dict):
        return Kind.NOT_OBJECT, [], frozenset()
    keys = keys_of(value, paths) if paths else [b""]
    return (Kind.KEYED if keys else Kind.MISSING), keys, frozenset(keys) & listed


def lines_of(data, flags=0):
    """Start, end and number of each line that is not blank, without the white space around it; where flags say so, also
    without RS around a value that is whole and the comma behind it."""
    at = 0
    around = WHITE + b"\x1e" if flags & Flag.RS_IS_WHITE else WHITE
    for number, line in enumerate(data.split(b"\n")):
        start, end = at + len(line) - len(line.lstrip(around)), at + len(line.rstrip(WHITE))
        if start < end:
            text = data[start:end]
            ends = b"," * bool(flags & Flag.COMMA_MAY_FOLLOW) + b"\x1e" * bool(flags & Flag.RS_IS_WHITE)
            if text[-1] in ends:
                text = text[:-1]
            text = text.rstrip(WHITE)
            is_whole = text and whole_value(text.decode("latin-1"), 0) == len(text)
            yield start, start + len(text) if is_whole else end, number
        at += len(line) + 1


def check_lines(kernel, paths, listed, data, found):
    """Holds what was found in lines to the exact path; returns how many records were doubted."""
    expected = list(lines_of(data, kernel.config.flags))
    assert [(one.start, one.end, one.line) for one in found] == expected, data
    return sum(check_record(kernel, paths, listed, data, one) for one in found)


def check_record(kernel, paths, listed, data, one):
    """Holds a record to the exact path; returns whether it was doubted."""
    text = data[one.start : one.end]
    kind, keys, hits = judged(text, paths, listed)
    if one.kind == Kind.DOUBTED:
        assert kind in (Kind.KEYED, Kind.MISSING), text
        assert not one.hits, text
        return True
    assert one.kind == kind, (text, one.kind, kind)
    assert one.hits == hits, (text, one.hits, hits)
    if one.kind == Kind.KEYED and paths:
        assert len(one.keys) == len(keys), (text, one.keys, keys)
        for row, key in zip(one.keys, keys, strict=True):
            values = [parse(part) for part in row]
            assert (canonical(values[0]) if len(values) == 1 else canonical(values)) == key, (text, row, key)
    return False


def check_values(kernel, paths, listed, data, found, end):
    """Holds what was found in values, and how they ended, to `expected_values`; returns how many were doubted."""
    spans, failed_at = expected_values(data, kernel.config.flags)
    assert [(one.start, one.end) for one in found] == spans, data
    if failed_at is None:
        assert end.status == Status.DONE, data
    else:
        assert end.status == Status.DAMAGE, data
        assert (end.damage_at if end.record is None else end.record) == failed_at, (data, end, failed_at)
        assert failed_at <= end.damage_at <= len(data)
    return sum(check_record(kernel, paths, listed, data, one) for one in found)


def expected_values(data, flags=0):
    """Spans of the records of a sequence of values, and where what stops it begins, or None."""
    text, spans, at = data.decode("latin-1"), [], 0
    space = " \t\r\n\x1e" if flags & Flag.RS_IS_WHITE else " \t\r\n"
    while True:
        at = skip(text, at, space)
        if at == len(text):
            return spans, None
        start, at = at, value_or_array(text, at, spans, flags)
        if at < 0:
            return spans, ~at
        if spans and spans[-1][0] == start and text[start] in "-0123456789tfn":
            comma = comma_behind(text, at, flags)
            if text[at : at + 1] not in tuple(space) and at < len(text) and (comma is None or text[at] != ","):
                spans.pop()
                return spans, start
        comma = comma_behind(text, at, flags)
        at = at if comma is None else comma


def value_or_array(text, at, spans, flags):
    """Appends the records of the top-level value at `at`; where it ends, or ~(where what is damaged begins)."""
    if text[at] != "[" or flags & Flag.ARRAYS_ARE_RECORDS:
        end = whole_value(text, at)
        if end is None:
            return ~at
        spans.append((at, end))
        return end
    at = skip(text, at + 1)
    if text[at : at + 1] == "]":
        return at + 1
    while True:
        start, end = at, whole_value(text, at)
        if end is None:
            return ~start
        at = skip(text, end)
        if text[at : at + 1] not in (",", "]"):
            return ~start
        spans.append((start, end))
        if text[at] == "]":
            return at + 1
        at = skip(text, at + 1)


def whole_value(text, at):
    """Where the value at `at` ends, or None where it is damaged or too deep."""
    try:
        end = BOUNDS.raw_decode(text, at)[1]
    except (ValueError, RecursionError):
        return None
    return end if depth(text[at:end].encode("latin-1")) <= DEPTH_MAX else None


def comma_behind(text, at, flags):
    """Behind the comma that ends the line on which a value ends at `at`, or None."""
    comma = skip(text, at, " \t\r")
    if not flags & Flag.COMMA_MAY_FOLLOW or text[comma : comma + 1] != ",":
        return None
    behind = skip(text, comma + 1, " \t\r")
    return comma + 1 if text[behind : behind + 1] in ("", "\n") else None


def skip(text, at, space=" \t\r\n"):
    while at < len(text) and text[at] in space:
        at += 1
    return at


def make_kernel(paths, listed=frozenset(), *, level=None, **more):
    """A kernel for paths as `steps_of` takes them."""
    return Kernel([steps_of(path) for path in paths], make_index(sorted(listed)), level=level or levels()[-1], **more)


def agree(data, paths, listed, flags, cuts, *, mode, capacity=64, **more):
    """Holds every level to the exact path, and any windows to the whole; returns what was found and how it ended."""
    results = []
    for level in levels():
        kernel = make_kernel(paths, listed, level=level, mode=mode, flags=flags)
        whole = read(kernel, data, capacity=1000, **more)
        if mode == LINES:
            check_lines(kernel, paths, listed, data, whole[0])
        else:
            check_values(kernel, paths, listed, data, *whole)
        assert read(kernel, data, cuts, capacity=capacity, stale=data[:50], **more) == whole
        results.append(whole)
    assert all(result == results[0] for result in results)
    return results[0]
