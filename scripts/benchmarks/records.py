"""Seeded records: a pool of distinct blanks into which unique keys are written.

Making every record from scratch would take minutes for gigabytes; a pool of blanks
(a record with its key left out) and a key made from a number take a microsecond.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

POOL_SIZE = 8192
"""Distinct blanks: enough that no parser profits from having seen the record before."""

BASES = 512
"""Distinct starts of a URL (host and path); the rest is the key's number."""

NUMERIC_EVERY = 50
"""In the troubled corpus every so-many-th restriction is a number, not a string."""

COLUMNS = {
    "id": "BIGINT",
    "created": "VARCHAR",
    "updated": "VARCHAR",
    "data": "VARCHAR",
    "title": "VARCHAR",
    "lang": "VARCHAR",
    "size": "BIGINT",
    "score": "DOUBLE",
    "author": "STRUCT(name VARCHAR, karma BIGINT)",
    "tags": "VARCHAR[]",
    "public": "BOOLEAN",
    "parent": "BIGINT",
}
"""The members of a record, with the type DuckDB is told when columns are given."""

TROUBLED_COLUMNS = {**COLUMNS, "meta": "STRUCT(data VARCHAR, source VARCHAR)"}
"""The same for the troubled corpus, where some records nest the key's name."""

_UNUSED = 10**12
"""Numbers from here on are neither a restriction's nor a record's."""

_HOLE = "<<the key goes here>>"
_TEXT = (
    "river stone bridge quiet market harbour winter letter garden signal copper "
    "window evening station paper island mirror valley engine forest orchard lantern "
    "record thunder village journey number history science culture meadow silver"
)
_FOREIGN_TEXT = "rivière naïve Brücke størrelse 東京 привет café señal ξένος żółty"
_WORDS, _FOREIGN = _TEXT.split(), _FOREIGN_TEXT.split()
_NAMES = ["Ada Nyman", "Li Wei", "Tom Okoro", "Eva Lind", "Raj Patel", "Ana Sousa"]
_TOPICS = ["alpha", "beta", "energy", "travel", "music", "health", "law", "sport"]


@dataclass(frozen=True, slots=True)
class Blank:
    """A record's bytes before and after its key, and how the key is written."""

    before: bytes
    after: bytes
    style: str


def scramble(number: int) -> int:
    """Return a 48-bit number that is another one for every number below 2**48."""
    # Odd factors and a shift by half the width can be undone: nothing collides.
    mixed = (number * 0x5DEECE66D + 0xB) & 0xFFFF_FFFF_FFFF
    return ((mixed ^ mixed >> 24) * 0x9E3779B97F4B) & 0xFFFF_FFFF_FFFF


class Keys:
    """Turns numbers into keys: the same number is always the same key."""

    def __init__(self, seed: int, *, troubled: bool) -> None:
        """Make the URL starts, some of them non-ASCII when `troubled`."""
        rng = random.Random(f"keys/{seed}/{troubled}")
        self.plain: list[str] = []
        for i in range(BASES):
            words = rng.sample(_WORDS, 3)
            if troubled and i % 4 == 0:
                words[1] = rng.choice(["café", "größe", "東京"])
            self.plain.append(f"https://www.{words[0]}-{i}.example/{words[1]}/{words[2]}-")
        self.numeric_every = NUMERIC_EVERY if troubled else 0
        ascii_only = [json.dumps(base) for base in self.plain]
        starts = {
            "plain": [json.dumps(b, ensure_ascii=False) for b in self.plain],
            "ascii": ascii_only,
            "slash": [b.replace("/", r"\/") for b in ascii_only],
            "u002f": [b.replace("/", r"\u002f") for b in ascii_only],
        }
        self._bytes = {style: [base[:-1].encode() for base in bases] for style, bases in starts.items()}

    def value(self, number: int) -> str | int:
        """Return the key of a restriction, as the value it has in JSON."""
        if self.numeric_every and number % self.numeric_every == 0:
            return scramble(number)
        mixed = scramble(number)
        return f"{self.plain[mixed % BASES]}{mixed:012x}"

    def written(self, number: int, style: str) -> bytes:
        """Return a record's key as JSON text in the style asked for.

        A number is made to fit its style, so that a record drawn as a match is one.
        """
        if style == "number":
            return b"%d" % scramble(number - number % NUMERIC_EVERY)
        if self.numeric_every and number % self.numeric_every == 0:
            number += 1
        mixed = scramble(number)
        return b'%b%012x"' % (self._bytes[style][mixed % BASES], mixed)


def clean_pool(seed: int) -> list[Blank]:
    """Return the blanks of the clean corpora: compact, ASCII, the key a string."""
    rng = random.Random(f"clean/{seed}")
    return [_blank(_members(rng), "plain", spaced=False) for _ in range(POOL_SIZE)]


def troubled_pool(seed: int, keys: Keys) -> list[Blank]:
    """Return blanks with trouble: escapes, numbers, gaps, nesting, white space."""
    rng = random.Random(f"troubled/{seed}")
    styles = ["plain", "ascii", "slash", "u002f", "number", "missing"]
    pool = []
    for _ in range(POOL_SIZE):
        style = rng.choices(styles, weights=[78, 6, 6, 3, 3, 4])[0]
        members = _members(rng)
        if rng.random() < 0.2:
            members["title"] = " ".join(rng.choices(_FOREIGN + _WORDS, k=6))
        if rng.random() < 0.03:
            members["title"] = 'how "data": "https://" is written'
        if rng.random() < 0.1:
            # A tenth of the nested values are restrictions' keys: whoever finds the
            # name elsewhere than at the top counts too many matches.
            number = rng.randrange(1000) * 100 + 1
            other = 0 if rng.random() < 0.1 else _UNUSED
            nested = {"data": keys.value(other + number), "source": "x"}
            first = rng.random() < 0.5
            meta = {"meta": nested}
            members = {**meta, **members} if first else {**members, **meta}
        if style == "missing":
            del members["data"]
        elif rng.random() < 0.3:
            members["data"] = members.pop("data")
        pool.append(_blank(members, style, spaced=rng.random() < 0.3))
    return pool


def _members(rng: random.Random) -> dict[str, object]:
    """Return the members of one record, with a hole for its key."""
    day = f"2025-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    return {
        "id": rng.randrange(10**7, 10**8),
        "created": f"{day}T{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:07Z",
        "updated": f"{day}T23:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}Z",
        "data": _HOLE,
        "title": " ".join(rng.choices(_WORDS, k=rng.randint(2, 5))),
        "lang": rng.choice(["en", "de", "fr", "pl"]),
        "size": rng.randrange(100_000),
        "score": round(rng.random(), 4),
        "author": {"name": rng.choice(_NAMES), "karma": rng.randrange(5000)},
        "tags": rng.sample(_TOPICS, rng.randint(1, 3)),
        "public": rng.random() < 0.8,
        "parent": None if rng.random() < 0.7 else rng.randrange(10**7, 10**8),
    }


def _blank(members: dict[str, object], style: str, *, spaced: bool) -> Blank:
    """Write a record and cut it at the hole."""
    separators = (", ", ": ") if spaced else (",", ":")
    text = json.dumps(members, ensure_ascii=False, separators=separators)
    before, _, after = text.partition(json.dumps(_HOLE))
    return Blank(before.encode(), after.encode(), style)
