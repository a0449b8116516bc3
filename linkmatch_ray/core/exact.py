"""The exact path: reads one record exactly. Slow; it decides if the fast path has a doubt."""

from __future__ import annotations

import codecs
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.keys import KeyPath, NumberText, record_key

DEPTH_MAX: Final = 500
"""Maximum nesting of arrays and objects. Python's own parser stops near 1,000 levels, others at 255 or 1,024. A limit
well below these gives the same verdict on every path, and cannot overflow a C stack."""

DECODED_BYTES: Final = 1 << 20
"""Bytes of a long text that are decoded at a time."""

WHITE_SPACE: Final = b" \t\n\r"

# A string that does not end is one token too. Otherwise each quote in it would begin a new search, in quadratic time.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{]++|[\]}]++', re.DOTALL)
_NOT_WHITE_SPACE = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\n\r]+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The finding of the exact path in one record; `key` is None if it is missing or the record is not an object."""

    is_object: bool
    key: bytes | None


def judge(record: bytes, paths: tuple[KeyPath, ...]) -> Verdict:
    """Reads one record exactly.

    Raises:
        Damage: It is not one valid JSON value of at most `DEPTH_MAX` levels.
    """
    value = parse(record)
    if not isinstance(value, dict):
        return Verdict(is_object=False, key=None)
    return Verdict(is_object=True, key=record_key(value, paths))


def parse(text: bytes) -> Any:
    """Parses one JSON value by RFC 8259, with every number as `NumberText`; the last of duplicate members counts.

    Raises:
        Damage: Its reason is `invalid_utf8`, `too_deep`, `truncated`, `trailing_data` or `invalid_json`: that of the
            first error by byte.
    """
    deep = deeper_than(DEPTH_MAX, text)
    if deep is None:
        with suppress(UnicodeDecodeError):
            return _parse(text.decode("utf-8"), text)
    bad = bad_utf8(text)
    wrong = [too_deep(deep)] if deep is not None else []
    wrong += [invalid_utf8(bad)] if bad is not None else []
    try:  # any byte may stand for a character here
        _parse(text[:deep].decode("latin-1"), text[:deep])
    except Damage as damage:
        wrong.append(damage)
    raise min(wrong, key=lambda damage: (damage.offset, damage.reason == "truncated"))


def _parse(characters: str, text: bytes) -> Any:
    start = len(characters) - len(characters.lstrip(" \t\n\r"))
    if start == len(characters):
        raise Damage("invalid_json", "a JSON value is missing here")
    try:
        value, end = _scan_once(characters, start)
    except StopIteration as error:  # no value begins there
        raise _wrong(characters, error.value, text) from None
    except json.JSONDecodeError as error:
        raise _wrong(characters, error.pos, text, in_string=error.msg.startswith("Unterminated string")) from None
    rest = characters[end:].lstrip(" \t\n\r")
    if rest:
        offset = len(text) - len(rest if len(text) == len(characters) else rest.encode("utf-8"))
        raise Damage("trailing_data", "something follows the JSON value", offset)
    return value


def _wrong(characters: str, place: int, text: bytes, *, in_string: bool = False) -> Damage:
    """Returns the damage of a text that is wrong at a place, or that ends there or in a string that begins there."""
    offset = place if len(text) == len(characters) else len(characters[:place].encode("utf-8"))
    if in_string or not characters[place:].strip(" \t\n\r"):
        return truncated(len(text) if in_string else offset)
    return invalid(offset)


def bad_utf8(text: bytes) -> int | None:
    """Returns the offset of the first byte that is not UTF-8, or None."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None


def is_utf8(text: memoryview) -> bool:
    """Returns whether a text is UTF-8. It may be long, and is not copied at once."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(text), DECODED_BYTES):
            decoder.decode(text[start : start + DECODED_BYTES])
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return False
    return True


def invalid(offset: int) -> Damage:
    """Returns the damage of a text whose grammar is wrong at a byte."""
    return Damage("invalid_json", "not a JSON value", offset)


def truncated(offset: int) -> Damage:
    """Returns the damage of a text that ends too early."""
    return Damage("truncated", "the text ends inside a JSON value", offset)


def invalid_utf8(offset: int) -> Damage:
    """Returns the damage of a text that is not UTF-8."""
    return Damage("invalid_utf8", "bytes that are not UTF-8", offset)


def too_deep(offset: int) -> Damage:
    """Returns the damage of a text that is nested too deep."""
    return Damage("too_deep", f"arrays and objects nested deeper than {DEPTH_MAX} levels", offset)


def too_long(max_bytes: int) -> Damage:
    """Returns the damage of a record that is longer than allowed."""
    return Damage("too_long", f"a record of more than {max_bytes} bytes; --max-record-bytes allows longer ones")


def minify(record: bytes) -> bytes:
    """Returns a record without the white space between its tokens. Tokens stay byte for byte."""
    return _NOT_WHITE_SPACE.sub(rb"\1", record)


def deeper_than(depth_max: int, text: bytes) -> int | None:
    """Returns the offset of the first bracket beyond a depth, or None."""
    if text.count(b"[") + text.count(b"{") <= depth_max:
        return None
    depth = 0
    for token in _TOKEN.finditer(text):
        start, end = token.span()
        if text[start] in b"[{":
            depth += end - start
            if depth > depth_max:
                return end - (depth - depth_max)
        elif text[start] in b"]}":
            depth -= end - start
    return None


def _refuse(constant: str) -> NoReturn:
    raise Damage("invalid_json", f"{constant} is not JSON")


_scan_once = json.JSONDecoder(parse_int=NumberText, parse_float=NumberText, parse_constant=_refuse).scan_once  # type: ignore[attr-defined]
"""Parses the value at a place in a text. `raw_decode`, which wraps it, counts lines for its error."""
