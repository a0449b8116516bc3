"""The exact path: reads one record exactly. Slow; it decides if the fast path has a doubt."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.keys import KeyPath, NumberText, record_key

DEPTH_MAX: Final = 500
"""Maximum nesting of arrays and objects. Python's own parser stops near 1,000 levels, others at 255 or 1,024. A limit
well below these gives the same verdict on every path, and cannot overflow a C stack."""

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
        Damage: Its reason is `invalid_utf8`, `too_deep`, `truncated`, `trailing_data` or `invalid_json`.
    """
    try:
        characters = text.decode("utf-8")
    except UnicodeDecodeError as error:
        local = _is_value(text.decode("latin-1"))
        raise Damage("invalid_utf8", "bytes that are not UTF-8", error.start, is_local=local) from None
    if (deep := _too_deep(text)) is not None:
        message = f"arrays and objects nested deeper than {DEPTH_MAX} levels"
        raise Damage("too_deep", message, deep, is_local=True)
    start = len(characters) - len(characters.lstrip(" \t\n\r"))
    if start == len(characters):
        raise Damage("invalid_json", "a JSON value is missing here")
    try:
        value, end = _scan_once(characters, start)
    except StopIteration as error:  # no value begins there
        raise _wrong(characters, error.value) from None
    except json.JSONDecodeError as error:
        raise _wrong(characters, error.pos, in_string=error.msg.startswith("Unterminated string")) from None
    rest = characters[end:].lstrip(" \t\n\r")
    if rest:
        offset = len(text) - len(rest.encode("utf-8"))
        raise Damage("trailing_data", "something follows the JSON value", offset)
    return value


def _wrong(characters: str, place: int, *, in_string: bool = False) -> Damage:
    """Returns the damage of a text that is wrong at a place, or that ends there or in a string that begins there."""
    offset = len(characters[:place].encode("utf-8"))
    if in_string or not characters[place:].strip(" \t\n\r"):
        return Damage("truncated", "the text ends inside a JSON value", offset)
    return Damage("invalid_json", "not a JSON value", offset)


def too_long(max_bytes: int) -> Damage:
    """Returns the damage of a record that is longer than allowed."""
    message = f"a record of more than {max_bytes} bytes; --max-record-bytes allows longer ones"
    return Damage("too_long", message, is_local=True)


def far_white() -> Damage:
    """Returns the damage of a record that is too long only together with the white space behind it."""
    return Damage("too_long", "more white space behind a record than is read; remove it", is_local=True)


def _is_value(characters: str) -> bool:
    """Returns whether a text is one JSON value. Its characters may stand for any bytes."""
    try:
        parse(characters.encode("utf-8"))
    except Damage as damage:
        return damage.reason == "too_deep"
    return True


def minify(record: bytes) -> bytes:
    """Returns a record without the white space between its tokens. Tokens stay byte for byte."""
    return _NOT_WHITE_SPACE.sub(rb"\1", record)


def _too_deep(text: bytes) -> int | None:
    """Returns the offset of the first bracket beyond `DEPTH_MAX`, or None."""
    if text.count(b"[") + text.count(b"{") <= DEPTH_MAX:
        return None
    depth = 0
    for token in _TOKEN.finditer(text):
        start, end = token.span()
        if text[start] in b"[{":
            depth += end - start
            if depth > DEPTH_MAX:
                return end - (depth - DEPTH_MAX)
        elif text[start] in b"]}":
            depth -= end - start
    return None


def _refuse(constant: str) -> NoReturn:
    raise Damage("invalid_json", f"{constant} is not JSON")


_scan_once = json.JSONDecoder(parse_int=NumberText, parse_float=NumberText, parse_constant=_refuse).scan_once  # type: ignore[attr-defined]
"""Parses the value at a place in a text. `raw_decode`, which wraps it, counts lines for its error."""
