"""What a key may have meant that records, or entries of a list, do not have: another spelling, or objects inside them.

Nothing here decides a match. It helps people whose key is wrong.
"""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final

from linkmatch_ray.core.exact import DEPTH_MAX
from linkmatch_ray.core.keys import MISSING, KeyPath
from linkmatch_ray.words import shown

STEPS_MAX: Final = 6
"""Maximum number of steps to the objects inside a record."""

VALUES_MAX: Final = 20_000
"""Maximum number of values that are looked at."""

NAMES_MAX: Final = 1000
"""Maximum number of names that are compared."""

NAME_MAX: Final = 200
"""Maximum length of a name in a message, in characters."""

Steps = tuple[str | None, ...]
"""Names of members, and None for every element of an array."""

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PART: Final = re.compile(r"[^.\[\]]+")
_NO_LETTER: Final = re.compile(r"[\W_]+")

# A string that does not end reaches to the end, as in `exact`.
_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
_CLOSING: Final = {b"[": b"]", b"{": b"}"}


def respelt(path: KeyPath, values: Sequence[dict[str, Any]]) -> str | None:
    """Returns the key that was meant, if some value has it.

    It is the JSON Pointer that a path such as `user.id`, `$.user.id`, `.urls[0]` or `user/id` stands for. Or it is a
    name that differs only in case and punctuation. Or it is the JSON Pointer of a member of an object inside.
    """
    for other in _spellings(path):
        if any(other.find(value) is not MISSING for value in values):
            return other.pointer
    return _nearly(path, values) or _deeper(path, values)


def _spellings(path: KeyPath) -> Iterator[KeyPath]:
    in_parts = [part for token in path.tokens for part in _PART.findall(token.removeprefix("$"))]
    for tokens in (in_parts, path.text.split("/"), [path.text]):
        other = KeyPath("", tuple(tokens))
        if other.tokens not in ((), path.tokens):
            yield other


def _nearly(path: KeyPath, values: Sequence[dict[str, Any]]) -> str | None:
    """Returns the name of a member that differs from the path only in case and punctuation."""
    letters = _letters(path.tokens[0]) if len(path.tokens) == 1 else ""
    names = {name: None for value in values for name in islice(value, NAMES_MAX)} if letters else {}
    others = (name for name in names if name != path.tokens[0] and "=" not in name)
    return next((name for name in others if _letters(name) == letters), None)


def _letters(name: str) -> str:
    return _NO_LETTER.sub("", name).casefold()


def _deeper(path: KeyPath, values: Sequence[dict[str, Any]]) -> str | None:
    """Returns the pointer of a member that the path names in the nearest object inside some value. Where two are as
    near, the names of these objects are rather keys."""
    for record in values:
        level: list[tuple[dict[str, Any], tuple[str, ...]]] = [(record, ())]
        while level and len(level) < NAMES_MAX and len(level[0][1]) < STEPS_MAX:
            level = [
                (each, (*names, name))
                for value, names in level
                for name, each in islice(value.items(), NAMES_MAX)
                if isinstance(each, dict)
            ]
            found = [names for value, names in level if path.find(value) is not MISSING]
            if len(found) == 1:
                return KeyPath("", (*found[0], *path.tokens)).pointer
            if found:
                break
    return None


def place_respelt(values: Sequence[Any], path: KeyPath) -> tuple[Steps, str] | None:
    """Returns where an array lies most of whose elements have what a path stands for in another spelling, and the JSON
    Pointer of that."""
    for other in _spellings(path):
        if (steps := place_inside(values, (other,))) is not None:
            return steps, other.pointer
    return None


def closest(name: str, names: Iterable[str]) -> str | None:
    """Returns the name that is most like another one in any case, of the first `NAMES_MAX`."""
    folded: dict[str, str] = {}
    for each in islice(names, NAMES_MAX):
        folded.setdefault(each.casefold(), each)
    found = get_close_matches(name.casefold(), folded, 1, 0.0)
    return folded[found[0]] if found else None


def place_inside(values: Iterable[Any], paths: tuple[KeyPath, ...]) -> Steps | None:
    """Returns where an array lies inside the values most of whose elements are objects that have a key. Of several, it
    is one with the fewest steps, and then the one with the most elements."""
    found: Counter[Steps] = Counter()
    pending: list[tuple[Any, Steps]] = [(value, ()) for value in values]
    for value, steps in pending:  # which grows meanwhile: from the outside to the inside
        if len(pending) > VALUES_MAX:
            break
        if isinstance(value, list):
            having = sum(isinstance(each, dict) and _has(each, paths) for each in value)
            if steps and having * 2 > len(value):
                found[steps] += having
        if len(steps) < STEPS_MAX:
            pending += _inside(value, steps)
    return min(found, key=lambda steps: (len(steps), -found[steps]), default=None)


def _inside(value: Any, steps: Steps) -> list[tuple[Any, Steps]]:
    if isinstance(value, dict):
        return [(each, (*steps, name)) for name, each in value.items() if isinstance(each, (dict, list))]
    if isinstance(value, list):
        return [(each, (*steps, None)) for each in value if isinstance(each, (dict, list))]
    return []


def _has(value: dict[str, Any], paths: tuple[KeyPath, ...]) -> bool:
    return all(path.find(value) is not MISSING for path in paths)


def option_at(option: str, steps: Steps, *, at: str | None = None, in_array: bool = False) -> str:
    """Returns the option, as one types it, that names the elements of the array at `steps`.

    Args:
        option: Its name, such as `--records-at`.
        at: The value of the option with which the values were read, inside which it is.
        in_array: They are the elements of a top-level array.
    """
    if at is None:
        before: Steps | str = (None,) if in_array else ()
    elif at.startswith("/"):
        before = (*KeyPath.parse(at).tokens, None)
    else:
        before = at
    if not isinstance(before, str):
        steps, before = before + steps, "$"
    names = [name for name in steps if name is not None]
    if before == "$" and len(names) == len(steps):
        value = KeyPath("", tuple(names)).pointer
    else:
        value = before + "".join(map(_step, steps)) + "[*]"
    return f"{option} {shown(shlex.quote(value), NAME_MAX)}"


def _step(name: str | None) -> str:
    if name is None:
        return "[*]"
    if _PLAIN_NAME.fullmatch(name):
        return f".{name}"
    return f"[{json.dumps(name, ensure_ascii=False)}]"


def closed(beginning: bytes) -> bytes:
    """Returns the first array or object of a JSON text. One that does not end is cut at the last place where
    all that is open can be closed, and closed."""
    closing: list[bytes] = []
    end, behind = 0, b""
    for token in _TOKEN.finditer(beginning):
        char = token[0]
        if char in _CLOSING:
            closing.append(_CLOSING[char])
            end, behind = token.end(), b"".join(reversed(closing))
        elif char == b",":
            end, behind = token.start(), b"".join(reversed(closing))
        elif char in b"]}" and closing:
            closing.pop()
            if not closing:
                return beginning[: token.end()]
        if len(closing) > DEPTH_MAX:
            break
    return beginning[:end] + behind


def quoted(name: str) -> str:
    """Returns a name for a message. A lone surrogate in it stands for no byte, as it does in the name of a file."""
    return f'"{shown(name.encode("utf-8", "backslashreplace"), NAME_MAX)}"'
