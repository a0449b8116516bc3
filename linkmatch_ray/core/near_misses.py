"""Near misses: restrictions that would equal a key if a small difference were overlooked.

Nothing here decides a match. It helps people who expected one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from linkmatch_ray.core.exact import parse
from linkmatch_ray.core.index import NOT_FOUND, RestrictionIndex
from linkmatch_ray.core.keys import NumberText, canonical, canonical_number

ALL_KEYS_MAX: Final = 20_000
"""Maximum number of distinct keys of a list of which every key is compared. Of a longer list, only keys are compared
that share a run of letters, if the key has one."""

LOOKED_AT_MAX: Final = 100_000
_RUN_LETTERS_MIN: Final = 3

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_RUN = re.compile(r"[a-z0-9]+", re.ASCII)
_WHITE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A restriction's key that nearly equals a record's.

    Attributes:
        distinct: The key in the index.
        key: Its canonical text.
        differences: What would have to be overlooked, such as `letter case`.
    """

    distinct: int
    key: bytes
    differences: tuple[str, ...]


def near_misses(index: RestrictionIndex, key: bytes, limit: int = 5) -> list[NearMiss]:
    """Returns up to `limit` keys of the index that nearly equal the canonical `key`, those with the fewest differences
    first."""
    wanted, found = parse(key), []
    try:
        folded = _fold(wanted)
        for distinct in _candidates(index, wanted, folded):
            text = index.key(distinct)
            if text != key and _fold(value := parse(text)) == folded:
                found.append(NearMiss(distinct, text, _differences(wanted, value)))
    except RecursionError:  # a key of hundreds of levels, whose near misses help nobody
        return []
    found.sort(key=lambda miss: (len(miss.differences), miss.distinct))
    return found[:limit]


def _candidates(index: RestrictionIndex, wanted: Any, folded: Any) -> Iterable[int]:
    if len(index.hashes) <= ALL_KEYS_MAX:
        return range(len(index.hashes))
    runs = sorted(_RUN.findall(" ".join(_texts(folded))), key=len)
    if not runs:
        return range(len(index.hashes))
    found = {index.find(canonical(other)) for other in _other_types(wanted)} - {NOT_FOUND}
    if len(runs[-1]) >= _RUN_LETTERS_MIN:
        found.update(_with_run(index, runs[-1].encode()))
    return sorted(found)


def _with_run(index: RestrictionIndex, run: bytes) -> Iterator[int]:
    """Yields the keys whose text has a run of letters in it, in any case."""
    blob = bytes(index.blob.data).lower()
    order = np.argsort(index.starts)
    starts, at = index.starts[order], -1
    for _ in range(LOOKED_AT_MAX):
        at = blob.find(run, at + 1)
        if at < 0:
            return
        place = int(np.searchsorted(starts, at, side="right")) - 1
        if place >= 0 and at < index.ends[order[place]]:
            yield int(order[place])


def _other_types(value: Any) -> Iterator[Any]:
    """Yields values of other types with the same text."""
    if isinstance(value, NumberText):
        yield str(value)
    elif isinstance(value, str):
        if _NUMBER.fullmatch(value):
            yield NumberText(value)
        yield from (other for other in (True, False, None) if _text(other) == value)
    elif value is None or isinstance(value, bool):
        yield _text(value)


def _text(value: Any) -> str:
    return {None: "null", True: "true", False: "false"}[value]


def _invisible(text: str) -> str:
    return "".join(char for char in text if unicodedata.category(char) != "Cf")


def _number(text: str) -> str:
    return canonical_number(text).decode() if _NUMBER.fullmatch(text) else text


_FOLDS: Final[dict[str, Callable[[str], str]]] = {
    "invisible characters": _invisible,
    "Unicode form": lambda text: unicodedata.normalize("NFKC", text),
    "letter case": str.casefold,
    "white space": lambda text: _WHITE.sub(" ", text).strip(),
    "trailing slash": lambda text: text.rstrip("/"),
    "spelling of the number": _number,
}
"""What may be overlooked in a text, in the order in which it is removed."""

_TYPE: Final = "type"


def _fold(value: Any, but: frozenset[str] = frozenset()) -> Any:
    """Returns a value without all that may be overlooked, except what `but` names."""
    if isinstance(value, (dict, list)):
        parts = []
        for part in value.items() if isinstance(value, dict) else value:
            parts.append(_fold([*part], but) if isinstance(value, dict) else _fold(part, but))
        return tuple(sorted(parts, key=repr) if isinstance(value, dict) else parts)
    kind = type(value).__name__ if _TYPE in but else ""
    text = value if isinstance(value, str) else _text(value)
    if isinstance(value, NumberText):
        text = canonical_number(value).decode()
    for name, fold in _FOLDS.items():
        if name not in but:
            text = fold(text)
    return kind + text


def _texts(folded: Any) -> Iterator[str]:
    if isinstance(folded, str):
        yield folded
    else:
        for each in folded:
            yield from _texts(each)


def _differences(one: Any, other: Any) -> tuple[str, ...]:
    """Returns what must be overlooked for two values to be equal: no more than is needed."""
    kept: frozenset[str] = frozenset()
    for name in (_TYPE, *_FOLDS):
        if _fold(one, kept | {name}) == _fold(other, kept | {name}):
            kept |= {name}
    return tuple(name for name in (_TYPE, *_FOLDS) if name not in kept)
