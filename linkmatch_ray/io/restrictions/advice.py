"""What to do about a list of JSON that cannot be used: another key, a place inside its document, another format."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from linkmatch_ray.core.codecs import open_source
from linkmatch_ray.core.exact import WHITE_SPACE
from linkmatch_ray.core.keys import MISSING
from linkmatch_ray.core.layouts.detection import BOM
from linkmatch_ray.core.options import RestrictionsFormat
from linkmatch_ray.core.raw import Raw
from linkmatch_ray.core.window import fill
from linkmatch_ray.core.wrong_keys import closest, option_at, place_inside, quoted, respelt
from linkmatch_ray.io.restrictions.parquet import MAGIC
from linkmatch_ray.io.restrictions.wanted import Wanted, name_one, place

MEMBERS_MAX: Final = 20
"""Maximum number of members that a message names."""

HEAD_BYTES: Final = 4096
"""Bytes of a list from which its format is guessed."""


def head_of(raw: Raw) -> bytes:
    """Reads how a list begins, behind a byte order mark and white space, once more."""
    raw.seek(0)
    buffer = memoryview(bytearray(HEAD_BYTES))
    count, _ = fill(open_source(raw), buffer)
    return bytes(buffer[:count]).removeprefix(BOM).lstrip(WHITE_SPACE)


def refuse_keyless(entry: dict[str, Any], number: int, line: int | None, head: bytes, wanted: Wanted) -> NoReturn:
    """Refuses a list because of an entry without the key.

    If it is the first entry, the key is wrong, or the entries are inside it. Otherwise the entry is wrong.

    Args:
        head: How the list begins.

    Raises:
        RestrictionsError: Always.
    """
    lacking = [pair for pair in wanted.pairs if pair.restriction.find(entry) is MISSING]
    problem = f"{place(number, line)} has no key {', '.join(quoted(pair.restriction.text) for pair in lacking)}"
    in_array = head.startswith(b"[") and wanted.format not in ("lines", "object")
    if (steps := place_inside([entry], wanted.paths)) is not None:
        option = option_at("--restrictions-at", steps, at=wanted.at, in_array=in_array)
        wanted.refuse(f"{problem}, but objects inside it have", f"Add {option}")
    members = ", ".join(map(quoted, list(entry)[:MEMBERS_MAX])) + (" …" if len(entry) > MEMBERS_MAX else "")
    arrays = [name for name, value in entry.items() if isinstance(value, list)]
    action, or_else = "Correct it", "leave such entries out with --skip-keyless"
    if not number:
        name = respelt(lacking[0].restriction, [entry]) or closest(lacking[0].restriction.tokens[-1], entry)
        action = name_one(lacking[0], name)
        if len(arrays) == 1:
            option = option_at("--restrictions-at", (arrays[0],), at=wanted.at, in_array=in_array)
            or_else = f"the array inside with {option}"
    wanted.refuse(f"{problem}. Its members are: {members or 'none'}", f"{action}, or {or_else}")


def looks_like(head: bytes) -> RestrictionsFormat | None:
    """Guesses the format of a list that begins with `head` and is not JSON; None if it seems to be JSON."""
    if head.startswith(MAGIC):
        return "parquet"
    first = head.partition(b"\n")[0]
    if not first or first.startswith((b"[", b"{")):
        return None
    text = first.decode("utf-8", "replace")
    text = text.rstrip("\ufffd") if first == head else text  # its last character may be cut
    if "\ufffd" in text or "\0" in text:
        return None
    if b"\t" in first or b"," in first:
        return "tsv" if b"\t" in first else "csv"
    return None if first.startswith(b'"') else "text"
