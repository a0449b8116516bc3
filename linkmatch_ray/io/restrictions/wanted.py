"""What is wanted of a list, and the words for what is wrong with it, in any format."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import NoReturn

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.keys import KeyPair, KeyPath
from linkmatch_ray.core.options import RestrictionsFormat
from linkmatch_ray.core.wrong_keys import NAME_MAX
from linkmatch_ray.errors import RestrictionsError
from linkmatch_ray.words import shown


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of a list.

    Attributes:
        name: Its name in messages.
        pairs: Which members are compared.
        at: Where its entries are inside the document, or None.
        format: How it is laid out.
        skip_keyless: Leave out entries without the key.
    """

    name: str
    pairs: tuple[KeyPair, ...]
    at: str | None
    format: RestrictionsFormat
    skip_keyless: bool

    @property
    def paths(self) -> tuple[KeyPath, ...]:
        """The paths of the keys in an entry."""
        return tuple(pair.restriction for pair in self.pairs)

    def refuse(self, problem: str, action: str) -> NoReturn:
        """Refuses the list.

        Raises:
            RestrictionsError: Always.
        """
        raise RestrictionsError(f"{self.name}: {problem}. {action}; nothing was matched.")

    def refuse_corrupt(self, damage: Damage) -> NoReturn:
        """Refuses a list that cannot be decompressed: nothing of it is certain, not even what came before."""
        self.refuse(damage.message, "Restore the file")

    def refuse_not_utf8(self, found: str) -> NoReturn:
        """Refuses a list in an unknown encoding."""
        self.refuse(f"not UTF-8, but {found}", "Convert it")


def name_one(pair: KeyPair, name: str | None) -> str:
    """Returns the action that names another key of the list, for example `name`."""
    if name is None:
        return "Name one with --key"
    return f"Name one with --key, for example {name_key(pair, name)}"


def name_key(pair: KeyPair, name: str) -> str:
    """Returns the option, as one types it, that names another key of the list."""
    return f"--key {shown(shlex.quote(f'{pair.record.text}={name}'), NAME_MAX)}"


def place(entry: int, line: int | None = None) -> str:
    """Returns the name of an entry in messages, with the line on which it begins if that is known."""
    return f"entry {entry}" + (f" (line {line})" if line is not None else "")
