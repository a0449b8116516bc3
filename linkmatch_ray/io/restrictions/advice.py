"""What to do about a list of JSON that cannot be used: another key, a place inside its document, another format."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final, NoReturn

from linkmatch_ray.core.codecs import open_source
from linkmatch_ray.core.damage import Corrupt, Damage
from linkmatch_ray.core.exact import WHITE_SPACE, parse
from linkmatch_ray.core.keys import MISSING
from linkmatch_ray.core.layouts.detection import BOM
from linkmatch_ray.core.options import RestrictionsFormat
from linkmatch_ray.core.raw import Raw
from linkmatch_ray.core.window import fill
from linkmatch_ray.core.wrong_keys import closed, closest, option_at, place_inside, quoted, respelt
from linkmatch_ray.io.inputs.archives.tar_headers import begins_like_tar
from linkmatch_ray.io.inputs.archives.zip_directory import MAGICS as ZIP_MAGICS
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
    problem += f". Its members are: {_listed(entry)}"
    if number:
        wanted.refuse(problem, f"Correct it, or {_SKIP}")
    name = respelt(lacking[0].restriction, [entry])
    if name is None and not in_array and wanted.at is None and _is_map(entry):
        wanted.refuse(problem, _advice_on_map(entry, wanted))
    arrays = [name for name, value in entry.items() if isinstance(value, list)]
    inside = option_at("--restrictions-at", (arrays[0],), at=wanted.at, in_array=in_array) if len(arrays) == 1 else None
    plain = [name for name, value in entry.items() if not isinstance(value, (dict, list))]
    name = name or closest(lacking[0].restriction.tokens[-1], plain)
    if name is None and inside is not None:
        wanted.refuse(problem, f"Add {inside}")
    or_else = _SKIP if inside is None else f"the array inside with {inside}"
    wanted.refuse(problem, f"{name_one(lacking[0], name)}, or {or_else}")


_SKIP: Final = "leave such entries out with --skip-keyless"


def _listed(names: Iterable[str]) -> str:
    first = [*islice(names, MEMBERS_MAX + 1)]
    return (", ".join(map(quoted, first[:MEMBERS_MAX])) + (" …" if len(first) > MEMBERS_MAX else "")) or "none"


def _is_map(entry: dict[str, Any]) -> bool:
    """Returns whether the names of an entry's members are rather keys: it has several, and their values are alike."""
    kinds = {type(value) for value in entry.values()}
    return len(entry) > 1 and (kinds == {dict} or kinds <= {bool, type(None)})


def _advice_on_map(entry: dict[str, Any], wanted: Wanted) -> str:
    if all(
        isinstance(value, dict) and MISSING not in [path.find(value) for path in wanted.paths]
        for value in entry.values()
    ):
        return "Make an array of their values, which have it, for example with jq '[.[]]'"
    return "If these names are the keys, make an array of them, for example with jq keys"


def refuse_place(head: bytes, problem: str, wanted: Wanted) -> NoReturn:
    """Refuses a list that has no array where its entries were said to be.

    Args:
        head: How the list begins.

    Raises:
        RestrictionsError: Always.
    """
    action = "Correct --restrictions-at"
    try:
        value = parse(closed(head))
    except Damage:
        value = None
    in_array = isinstance(value, list)
    values = [each for each in (value if in_array else [value]) if isinstance(each, dict)]
    if values:
        problem += f". {'Members of its first element' if in_array else 'Its members'} are: {_listed(values[0])}"
    if (steps := place_inside(values, wanted.paths)) is not None:
        action += f", for example to {option_at('--restrictions-at', steps, in_array=in_array)}"
    wanted.refuse(problem, action)


def refuse_archive(raw: Raw, wanted: Wanted) -> None:
    """Refuses a list that is an archive, or a spreadsheet, which is one as well. Any other is left alone.

    Raises:
        RestrictionsError: It is one.
    """
    try:
        raw.seek(0)
        buffer = memoryview(bytearray(HEAD_BYTES))
        count, _ = fill(open_source(raw), buffer)
    except (Corrupt, Damage):
        return
    head = bytes(buffer[:count])
    if head.startswith(ZIP_MAGICS) and any(mark in head for mark in _SPREADSHEETS):
        wanted.refuse("a spreadsheet, which is not read", "Export it as CSV")
    if head.startswith(ZIP_MAGICS) or begins_like_tar(head):
        wanted.refuse("an archive, and lists are not read from archives", "Unpack it, and name the file with -r")


_SPREADSHEETS: Final = (b"[Content_Types].xml", b"opendocument.spreadsheet")


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
