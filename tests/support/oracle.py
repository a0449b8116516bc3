"""The contract as a slow, plain loop: what `linkmatch_ray` must give, written without it.

Python's `json` parses, one dictionary looks up. Where a value begins and ends is found by `raw_decode` on
the bytes read as Latin-1, in which a character is a byte and every JSON token is what it is in UTF-8; what a
value means is then parsed from its slice as UTF-8. Numbers never become floats or ints: they are compared
as (sign, digits, exponent), taken from their text, so `1e999999999` costs nothing.
"""

import csv
import gzip
import io
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

import zstandard

from tests.support import sequences

SPACE = b" \t\r\n\x1e"
DEPTH_MAX = 500
PROVENANCE_RESTRICTIONS_MAX = 10
MISSING = object()


# ---- values


class Number(NamedTuple):
    """sign * digits * 10^exponent, with no zeros at either end of the digits; zero is (0, "", 0)."""

    sign: int
    digits: str
    exponent: int


def number(text):
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return Number(0, "", 0)
    shift = int(Decimal(exponent or "0")) - len(fraction) + len(digits) - len(digits.rstrip("0"))
    return Number(-1 if text[0] == "-" else 1, digits.rstrip("0"), shift)


def refuse(constant):
    raise ValueError(f"{constant} is not JSON")


BOUNDS = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=refuse)
VALUES = json.JSONDecoder(parse_int=number, parse_float=number, parse_constant=refuse)


def parse(slice_):
    if depth(slice_) > DEPTH_MAX:
        raise ValueError("nested too deeply")
    return VALUES.decode(slice_.decode("utf-8"))


def depth(slice_):
    deepest = now = 0
    for char in re.sub(rb'"(?:[^"\\]|\\.)*"', b"", slice_, flags=re.DOTALL):
        now += (char in b"[{") - (char in b"]}")
        deepest = max(deepest, now)
    return deepest


def frozen(value):
    """A hashable form: two values are equal, in the contract's sense, exactly when their forms are."""
    if isinstance(value, Number):
        return ("number", *value)
    if isinstance(value, dict):
        return ("object", frozenset((name, frozen(inner)) for name, inner in value.items()))
    if isinstance(value, list):
        return ("array", tuple(frozen(inner) for inner in value))
    return (type(value).__name__, value)


def look(value, key):
    """The member a key names: a plain name at the top level, or a JSON Pointer (RFC 6901)."""
    if not key.startswith("/"):
        return value.get(key, MISSING)
    for token in key[1:].split("/"):
        token = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and re.fullmatch("0|[1-9][0-9]*", token) and Decimal(token) < len(value):
            value = value[int(token)]
        else:
            return MISSING
    return value


def composite(value, keys):
    parts = [look(value, key) for key in keys]
    return MISSING if MISSING in parts else tuple(frozen(part) for part in parts)


# ---- where values are


class Span(NamedTuple):
    """A record; `good` is false for what could not be read."""

    start: int
    end: int
    good: bool


def decompress(data):
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()
    return data


def spans(data, *, layout="auto", records_at=None, limit=64 << 20):
    """Every record and entry of one decompressed file."""
    items = sequences.read(data, sequences.Options(layout, records_at, limit))
    return [Span(item.start, item.end, item.reason is None) for item in items]


def verbatim(slice_):
    """The record's own bytes; where they span lines, without the white space between tokens."""
    if b"\n" not in slice_ and b"\r" not in slice_:
        return slice_
    return re.sub(rb'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+', lambda found: found[1] or b"", slice_)


# ---- the loop


class Position(NamedTuple):
    """Where a record is, and the restrictions that it equals."""

    index: int
    line: int
    byte_offset: int
    hits: tuple


class Damage(NamedTuple):
    """A piece of input that is no record: `text` without the white space around it."""

    index: int
    line: int
    byte_offset: int
    text: bytes


@dataclass
class Result:
    """What one file gives."""

    matched: bytes = b""
    unmatched: bytes = b""
    positions: list = field(default_factory=list)
    entries: list = field(default_factory=list)
    counts: Counter = field(default_factory=Counter)
    hits: Counter = field(default_factory=Counter)


def build(document, keys, *, text=False, restrictions_at=None, separator=None, skip_keyless=False):
    """Key -> the indexes of the restrictions that have it; ValueError where the list is not valid."""
    data = decompress(document)
    index = {}
    if separator is not None:
        lines = io.StringIO(data.removeprefix(b"\xef\xbb\xbf").decode("utf-8"), newline="")
        header, *rows = [row for row in csv.reader(lines, delimiter=separator, strict=True) if row] or [[]]
        if len({*header}) < len(header) or any(len(row) != len(header) for row in rows):
            raise ValueError("a column is there twice, or a row is ragged")
        values = [{name: cell for name, cell in zip(header, row, strict=True) if cell} for row in rows]
    elif text:
        body = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
        values = [line.removesuffix("\r") for line in body.removesuffix("\n").split("\n")] if body else []
    else:
        found = spans(data, records_at=restrictions_at)
        if not all(span.good for span in found):
            raise ValueError("the restrictions are not valid JSON")
        values = [parse(data[span.start : span.end]) for span in found]
    for number_, value in enumerate(values):
        if not isinstance(value, dict) and len(keys) == 1:
            key = (frozen(value),)
        else:
            key = composite(value, [other for _, other in keys]) if isinstance(value, dict) else MISSING
        if key is MISSING and skip_keyless:
            continue
        if key is MISSING:
            raise ValueError(f"entry {number_} has no key")
        index.setdefault(key, []).append(number_)
    return index


def match(
    data,
    restrictions,
    keys=(("data", "data"),),
    *,
    emit="matched",
    provenance=False,
    records_at=None,
    layout="auto",
    name="<bytes>",
    text=False,
):
    """Looks up every record of one file, plain or compressed, in a restrictions document or built index."""
    index = restrictions if isinstance(restrictions, dict) else build(restrictions, keys, text=text)
    data = decompress(data)
    result = Result()
    line, counted_to = 1, 0
    for number_, (start, end, good) in enumerate(spans(data, layout=layout, records_at=records_at)):
        line, counted_to = line + data.count(b"\n", counted_to, start), start
        slice_ = data[start:end]
        if not good:
            result.entries.append(Damage(number_, line, start, slice_.strip(SPACE)))
            result.counts["entries"] += 1
            continue
        value = parse(slice_)
        key = composite(value, [own for own, _ in keys]) if isinstance(value, dict) else MISSING
        hits = tuple(index.get(key, ()))
        result.positions.append(Position(number_, line, start, hits))
        result.hits.update(hits)
        result.counts["records"] += 1
        result.counts["matched" if hits else "unmatched"] += 1
        result.counts["not_object"] += not isinstance(value, dict)
        result.counts["missing_key"] += isinstance(value, dict) and key is MISSING
        out = verbatim(slice_)
        if provenance:
            out = with_provenance(out, name, result.positions[-1])
        if hits and emit != "unmatched":
            result.matched += out + b"\n"
        if not hits and emit != "matched":
            result.unmatched += out + b"\n"
    return result


def with_provenance(record, name, position):
    head = {
        "file": name,
        "index": position.index,
        "line": position.line,
        "byte_offset": position.byte_offset,
        "restrictions": position.hits[:PROVENANCE_RESTRICTIONS_MAX],
        "restrictions_total": len(position.hits),
    }
    return json.dumps(head, separators=(",", ":")).encode()[:-1] + b',"record":' + record + b"}"


def match_all(files, restrictions, keys, **options):
    """The results of several (name, bytes) in order, and their sum."""
    index = build(restrictions, keys)
    results = [match(data, index, keys, name=name, **options) for name, data in files]
    total = Result(b"".join(one.matched for one in results), b"".join(one.unmatched for one in results))
    for one in results:
        total.counts.update(one.counts)
        total.hits.update(one.hits)
        total.entries += one.entries
    return results, total
