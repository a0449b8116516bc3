"""`--records-at`: where the records are inside each value."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.errors import UsageError
from linkmatch_ray.native.steps import STAR, Name, Step
from linkmatch_ray.words import shown

_STEP: Final = re.compile(
    r"""\.(?P<name>[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)"""
    r"""|\[(?:(?P<star>\*)|(?P<index>0|[1-9][0-9]*)|'(?P<single>(?:[^'\\]|\\.)*)'|"(?P<double>(?:[^"\\]|\\.)*)")\]"""
)


@dataclass(frozen=True, slots=True)
class RecordsPath:
    """The place of the records in a value.

    Attributes:
        steps: Of `native.paths`; the last is `STAR`, the elements of an array.
    """

    text: str
    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: str, argument: str = "records_at") -> RecordsPath:
        """Reads a JSON Pointer of an array, or a JSONPath of names, indexes and `[*]` that ends in `[*]`.

        Raises:
            UsageError: It is neither.
            TypeError: It is not text.
        """
        if not isinstance(text, str) or not text.startswith("$"):
            return cls(text, (*KeyPath.parse(text, argument).tokens, STAR))
        steps, at = [], 1
        while at < len(text):
            found = _STEP.match(text, at)
            step = _step(found) if found is not None else None
            if found is None or step is None:
                raise UsageError(
                    f'{argument} "{shown(text)}": not understood from "{shown(text[at:])}" on. Write a JSONPath of'
                    ' names, indexes and [*], such as "$.pages[*].items[*]", or a JSON Pointer.'
                )
            steps.append(step)
            at = found.end()
        if not steps or steps[-1] is not STAR:
            raise UsageError(f'{argument} "{shown(text)}": does not select elements. Write "{shown(text)}[*]".')
        return cls(text, tuple(steps))

    def missed(self) -> Damage:
        """Returns what is wrong with a value that has no records."""
        return Damage("no_records", f"no array at {shown(self.text)}")


def _step(found: re.Match[str]) -> Step | None:
    """Returns a step; None if its name is not spelt as in JSON."""
    if found["star"]:
        return STAR
    if found["index"]:
        return int(found["index"])
    if found["name"]:
        return Name(found["name"])
    quoted = found["double"]
    if quoted is None:
        quoted = re.sub(r"\\(.)|\"", lambda at: "'" if at[1] == "'" else at[0] if at[1] else '\\"', found["single"])
    try:
        return Name(json.loads(f'"{quoted}"'))
    except ValueError:
        return None


def takes_index(step: Step) -> bool:
    """Returns whether a step may take an element of an array."""
    if isinstance(step, str):
        return not isinstance(step, Name) and bool(_INDEX.fullmatch(step))
    return True


def takes_name(step: Step) -> bool:
    """Returns whether a step may take a member of an object."""
    return isinstance(step, str)


_INDEX: Final = re.compile(r"0|[1-9][0-9]*", re.ASCII)
