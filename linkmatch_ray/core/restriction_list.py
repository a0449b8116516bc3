"""`RestrictionList`: the list that records are looked up against, as matching needs it."""

from __future__ import annotations

from dataclasses import dataclass

from linkmatch_ray.core.index import RestrictionIndex
from linkmatch_ray.core.keys import KeyPair, KeyPath
from linkmatch_ray.core.options import RestrictionsFormat
from linkmatch_ray.words import shown


@dataclass(frozen=True, slots=True, repr=False)
class RestrictionList:
    """A loaded list.

    Attributes:
        index: The list as an index.
        pairs: Which members are compared.
        name: Where it was loaded from, for messages.
        format: How it is laid out, for messages.
    """

    index: RestrictionIndex
    pairs: tuple[KeyPair, ...]
    name: str
    format: RestrictionsFormat = "auto"

    def __len__(self) -> int:
        return self.index.restrictions

    def __repr__(self) -> str:
        keys = [str(pair) for pair in self.pairs]
        key = repr(keys[0] if len(keys) == 1 else keys)
        left_out = f", {self.left_out:,} without it left out" if self.left_out else ""
        return f"<Restrictions {shown(self.name)}: {self.index.restrictions:,} entries, key {shown(key)}{left_out}>"

    @property
    def left_out(self) -> int:
        """Number of entries without the key, which are not among those that are counted."""
        return self.index.left_out

    @property
    def paths(self) -> tuple[KeyPath, ...]:
        """The paths of the keys in a record."""
        return tuple(pair.record for pair in self.pairs)
