"""`Restrictions`: the list that records are looked up against, found and loaded."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from linkmatch_ray.arguments import refuse_other_than, refuse_unless_one_of, standard_input, wrong_type
from linkmatch_ray.core.keys import KeyPair
from linkmatch_ray.core.options import KEY, RestrictionsFormat
from linkmatch_ray.core.records_path import RecordsPath
from linkmatch_ray.core.restriction_list import RestrictionList
from linkmatch_ray.errors import RestrictionsError, UsageError
from linkmatch_ray.io.inputs.names import refuse_no_input
from linkmatch_ray.io.restrictions.loader import LIST_FORMATS, format_of, load_index
from linkmatch_ray.io.restrictions.wanted import Wanted
from linkmatch_ray.io.storage.errors import Changed
from linkmatch_ray.io.storage.paths import path_in, path_of
from linkmatch_ray.io.storage.urls import is_url, scheme_of
from linkmatch_ray.words import shown

_LIKE_JSON: Final = re.compile(r"\s*[\[{\"]|.*\n", re.DOTALL)
_AS_BYTES: Final = "the list itself as bytes, such as json.dumps(keys).encode()"


@dataclass(frozen=True, slots=True, repr=False)
class Restrictions(RestrictionList):
    """A loaded list."""

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str] | bytes,
        key: str | Sequence[str] = KEY,
        *,
        restrictions_at: str | None = None,
        restrictions_format: RestrictionsFormat = "auto",
        skip_keyless: bool = False,
        name: str = "<bytes>",
    ) -> Restrictions:
        """Loads a list and builds its index.

        Args:
            source: A path or URL, `-` for standard input, or the list itself as bytes. What is compressed is
                decompressed.
            key: `KEY` or `RECORD_KEY=RESTRICTION_KEY`; several make a composite key.
            restrictions_at: Where the entries are inside the document: a JSON Pointer of an array, or a JSONPath.
            restrictions_format: The layout; `auto` finds it from the content, `text` is a key a line.
            skip_keyless: Leave out entries without the key, instead of refusing the list. `left_out` counts them.
            name: What messages and the summary call a list that is given as bytes. The others have their own name.

        Raises:
            RestrictionsError: The list cannot be read, or an entry is damaged or has no key; it names the entry.
            UsageError: `key` cannot be read as one, or another argument has no such value.
            TypeError: An argument is of another type.
        """
        pairs = pairs_of(key)
        refuse_unless_one_of("restrictions_format", restrictions_format, get_args(RestrictionsFormat))
        if restrictions_at is not None:
            RecordsPath.parse(restrictions_at, "restrictions_at")
        refuse_other_than("skip_keyless", skip_keyless, bool, "Give True or False.")
        if not isinstance(source, (str, bytes, os.PathLike)):
            raise wrong_type("restrictions", source, f"Give a path or URL, or {_AS_BYTES}.")
        if not isinstance(source, bytes):
            name = os.fsdecode(source)
        if not name:
            raise UsageError("the restrictions: their name is empty. Name a file with -r.")
        where = shown(name)
        format_ = format_of(name) if restrictions_format == "auto" else restrictions_format
        if restrictions_at is not None and format_ in LIST_FORMATS:
            raise UsageError(
                f"{where}: is a list of {format_}, which has no restrictions_at. Leave it out, or name the layout with"
                " --restrictions-format."
            )
        try:
            with _open(source, ahead=format_ != "parquet") as raw:
                index = load_index(raw, Wanted(where, pairs, restrictions_at, format_, skip_keyless))
        except Changed:
            raise RestrictionsError(f"{where}: was replaced while it was read. Run the same command again.") from None
        except OSError as error:
            if isinstance(source, str) and _LIKE_JSON.match(source):
                raise RestrictionsError(
                    f"{where}: no such file; it looks like the list itself. Name a file, or in Python give {_AS_BYTES}."
                ) from None
            raise RestrictionsError(
                f"{where}: {error.strerror or shown(error)}. Name a readable restrictions file with -r."
            ) from None
        return cls(index, pairs, name, format_)


def loaded(
    source: Restrictions | str | os.PathLike[str] | bytes,
    key: str | Sequence[str] | None,
    restrictions_at: str | None,
    restrictions_format: RestrictionsFormat,
    skip_keyless: bool,
) -> Restrictions:
    """Returns a list that is loaded already, or loads it; `key` is None for the default.

    Raises:
        RestrictionsError, UsageError: As `Restrictions.load`.
        TypeError: The list is loaded, and an argument says how to load it. Or an argument is of the wrong type.
    """
    how: dict[str, Any] = {
        "key": key,
        "restrictions_at": restrictions_at,
        "restrictions_format": restrictions_format,
        "skip_keyless": skip_keyless,
    }
    given = {name: value for name, value in how.items() if value not in (None, "auto") and value is not False}
    if not isinstance(source, Restrictions):
        return Restrictions.load(source, **given)
    for name in given:
        raise TypeError(
            f"{name}: {source!r} is loaded and has its own. Give {name} to Restrictions.load, or give the path of the"
            " list."
        )
    return source


def pairs_of(key: str | Sequence[str]) -> tuple[KeyPair, ...]:
    """Returns what is compared.

    Raises:
        UsageError: There is no key, or one cannot be read.
        TypeError: It is not text, nor a list of texts.
    """
    if not isinstance(key, (str, list, tuple)):
        raise wrong_type("key", key, "Give KEY or RECORD_KEY=RESTRICTION_KEY as a str; several in a list.")
    pairs = tuple(KeyPair.parse(text) for text in ([key] if isinstance(key, str) else key))
    if not pairs:
        raise UsageError("no key was given. Name the member to compare, for example --key data.")
    return pairs


class _File(io.FileIO):
    """An open list."""

    def read_at(self, view: memoryview, offset: int) -> int:
        """Fills a view from an offset, without moving; returns how much, 0 at the end."""
        return os.preadv(self.fileno(), [view], offset)


def _open(source: str | os.PathLike[str] | bytes, *, ahead: bool) -> io.BytesIO | io.BufferedReader | _File:
    """Opens a list; with `ahead` a URL is requested ahead, because it is read from its first byte to its last."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    name = path_of(source)
    refuse_no_input(name)
    if is_url(name):
        from linkmatch_ray.io.inputs.object_listing import examine
        from linkmatch_ray.io.inputs.object_reader import ObjectReader

        return io.BufferedReader(ObjectReader(examine(name), None if ahead else 0))
    name = path_in(name) if scheme_of(name) == "file" else name
    file = _File(os.dup(standard_input().fileno()) if name == b"-" else name)
    if file.seekable():
        return file
    with file:  # a pipe is read once, but the head of a list is read before all of it, and a damaged one again
        return io.BytesIO(file.read())
