"""Keys: which member is compared, and the canonical text that makes equal keys equal bytes.

The canonical text of a key is JSON. Two keys are equal, in the sense of the contract, exactly if their canonical texts
are the same bytes. `orjson.dumps` yields it directly for the common types: strings, integers of up to 64 bits, booleans
and null. `canonical` makes it for all others.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any, Final

import orjson

from linkmatch_ray.arguments import refuse_other_than
from linkmatch_ray.errors import UsageError
from linkmatch_ray.words import is_text, shown

MISSING: Final = object()
"""What `find` returns if a record has no such member."""

INTEGER_DIGITS_MAX: Final = 20
"""Integers of up to this many digits (all of 64 bits) are spelt out; longer numbers become digits and an exponent."""

_ARRAY_INDEX = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)  # no array has more elements
_NUMBER = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?", re.ASCII)


class NumberText(str):
    """A JSON number as it was written. Its value is never expanded or rounded."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class KeyPath:
    """The place of one key in a record: a top-level member name, or the tokens of a JSON Pointer."""

    text: str
    tokens: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, argument: str = "key") -> KeyPath:
        """Reads a name, or a JSON Pointer (RFC 6901) if it starts with `/`.

        Args:
            argument: The argument that errors name.

        Raises:
            UsageError: It is empty or not UTF-8, or a `~` in a pointer is not followed by 0 or 1.
            TypeError: It is not text.
        """
        refuse_other_than(argument, text, str, "Give a name, or a JSON Pointer, as a str.")
        if not text:
            raise UsageError(f'{argument}: empty. Name a member; "/" is the one whose name is empty.')
        if not is_text(text):  # a lone surrogate, which simdjson and the ledger cannot hold
            raise UsageError(f'{argument} "{shown(text)}": not UTF-8. Name a member whose name is.')
        if not text.startswith("/"):
            return cls(text, (text,))
        if re.search(r"~(?![01])", text):
            raise UsageError(
                f'{argument} "{shown(text)}": "~" is not followed by 0 or 1. Write ~0 for "~" and ~1 for "/".'
            )
        return cls(text, tuple(t.replace("~1", "/").replace("~0", "~") for t in text[1:].split("/")))

    @property
    def pointer(self) -> str:
        """The path as a JSON Pointer, even if it was written as a name."""
        return "".join("/" + t.replace("~", "~0").replace("/", "~1") for t in self.tokens)

    def find(self, record: dict[str, Any]) -> Any:
        """Returns the value at this path of a parsed record, or `MISSING`."""
        value: Any = record
        for token in self.tokens:
            if isinstance(value, dict):
                if token not in value:
                    return MISSING
                value = value[token]
            elif isinstance(value, list) and (index := array_index(token)) is not None and index < len(value):
                value = value[index]
            else:
                return MISSING
        return value


def array_index(token: str) -> int | None:
    """Returns the index that a token of a JSON Pointer stands for in an array; None if it is not an index."""
    return int(token) if _ARRAY_INDEX.fullmatch(token) else None


@dataclass(frozen=True, slots=True)
class KeyPair:
    """One compared member: its place in a record, and in a restriction."""

    record: KeyPath
    restriction: KeyPath

    @classmethod
    def parse(cls, text: str) -> KeyPair:
        """Reads `KEY` or `RECORD_KEY=RESTRICTION_KEY`, split at the first `=`; raises as `KeyPath.parse` does."""
        refuse_other_than("key", text, str, "Give KEY or RECORD_KEY=RESTRICTION_KEY as a str.")
        record, equals, restriction = text.partition("=")
        return cls(KeyPath.parse(record), KeyPath.parse(restriction if equals else record))

    def __str__(self) -> str:
        if self.record == self.restriction:
            return self.record.text
        return f"{self.record.text}={self.restriction.text}"


def record_key(record: dict[str, Any], paths: tuple[KeyPath, ...]) -> bytes | None:
    """Returns the canonical key of a parsed record, or None if a member of it is missing.

    Several paths make a composite key. Its canonical text is that of the array of its parts.
    """
    values = [path.find(record) for path in paths]
    if any(value is MISSING for value in values):
        return None
    return canonical(values[0]) if len(values) == 1 else canonical(values)


def canonical(value: Any) -> bytes:
    """Returns the canonical text of a parsed JSON value whose numbers are `NumberText` or `int`."""
    if isinstance(value, NumberText):
        return canonical_number(value)
    if isinstance(value, str):
        return canonical_string(value)
    if value is None or value is True or value is False:
        return orjson.dumps(value)
    if isinstance(value, int):
        return canonical_number(str(value))
    # Loops, not generators: they need one call a level, so that 500 levels fit.
    if isinstance(value, dict):
        members = []
        for name, member in value.items():
            members.append((canonical_string(name), canonical(member)))
        members.sort()
        return b"{" + b",".join([name + b":" + member for name, member in members]) + b"}"
    if isinstance(value, (list, tuple)):
        elements = []
        for element in value:
            elements.append(canonical(element))
        return b"[" + b",".join(elements) + b"]"
    raise TypeError(f"{type(value).__name__} is no JSON value with exact numbers")


def canonical_string(text: str) -> bytes:
    r"""Returns the canonical text of a string: UTF-8, or `\uXXXX` throughout if it has a lone surrogate.

    The two forms never coincide: the first escapes no character above U+001F except `"` and `\`.
    """
    try:
        return orjson.dumps(text)
    except TypeError:
        return json.dumps(text, ensure_ascii=True).encode("ascii")


def canonical_number(text: str) -> bytes:
    """Returns the canonical text of a JSON number, from its digits alone: 1, 1.0, 1e0 and 10e-1 are all `1`.

    It takes time linear in the length of `text`, not in its exponent.
    """
    found = _NUMBER.fullmatch(text)
    assert found is not None, text
    sign, whole, fraction, exponent = found.groups(default="")
    digits = (whole + fraction).lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return b"0"
    scale = len(digits) - len(significant) - len(fraction)
    # `int(exponent)` is quadratic in its digits, and fails beyond 4,300 of them. `Decimal` does neither.
    exact = Context(prec=len(exponent) + 20, Emax=MAX_EMAX, Emin=MIN_EMIN)
    power = exact.add(Decimal(exponent or "0"), scale)
    if 0 <= power <= INTEGER_DIGITS_MAX - len(significant):
        return f"{sign}{significant}{'0' * int(power)}".encode()
    return f"{sign}{significant}e{power:f}".encode()
