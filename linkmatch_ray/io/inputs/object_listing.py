"""The objects that a URL names: one, those below a prefix whose names are read, or those of a glob."""

from __future__ import annotations

import errno
import fnmatch
import os
import re
from collections.abc import Callable
from typing import Final

from linkmatch_ray.errors import InputError
from linkmatch_ray.io.inputs.file import InputFile, Listing, object_file
from linkmatch_ray.io.inputs.names import is_read
from linkmatch_ray.io.names import MARKER
from linkmatch_ray.io.storage.listing import list_below
from linkmatch_ray.io.storage.object_store import Meta, Readable, with_retries
from linkmatch_ray.io.storage.stores import bucket_at, store_at
from linkmatch_ray.io.storage.urls import Url, parse
from linkmatch_ray.words import shown

_MAGIC: Final = re.compile(rb"[*?\[]")


def examine(name: bytes) -> InputFile:
    """Returns one object as an input.

    Raises:
        OSError: It does not exist, or cannot be examined.
        UsageError: `name` is no URL of an object.
    """
    url = parse(name)
    return _as_file(url, _head(store_at(url.root), url.key), name)


def list_url(name: bytes, listing: Listing) -> list[InputFile]:
    """Returns the objects that a URL names, in the order of their names.

    Raises:
        InputError: There are none, or the store refuses or gives no sound listing.
        UsageError: `name` is no URL of an object.
    """
    url = parse(name)
    try:
        found = _at_host(name, url, listing) if url.scheme in ("http", "https") else _in_bucket(url, listing)
    except OSError as error:
        raise InputError(
            f"{shown(name)}: {error.strerror or shown(error)}. Check the URL, the credentials and the endpoint."
        ) from None
    if not found:
        raise InputError(f"{shown(name)}: no such object, and none below it. Check the bucket and the path.")
    return sorted(found, key=lambda file: file.name)


def _at_host(name: bytes, url: Url, listing: Listing) -> list[InputFile]:
    meta = _head(store_at(url.root), url.key)
    if meta.moved is not None:
        listing.moved[name] = meta.moved
    return [_as_file(url, meta, name)]


def _in_bucket(url: Url, listing: Listing) -> list[InputFile]:
    store, key = bucket_at(url.root), url.key
    magic = _MAGIC.search(key)
    if key and not key.endswith(b"/"):
        try:
            return [_as_file(url, _head(store, key))]
        except FileNotFoundError:
            pass
        except PermissionError:  # some stores say this of a missing object
            if magic is None:
                raise
    if magic is not None:
        fits = _pattern(os.fsdecode(key))
        below = list_below(store, key[: key.rfind(b"/", 0, magic.start()) + 1], listing.count)
        return [_as_file(url, meta) for meta in below if fits(os.fsdecode(meta.key))]
    prefix = key if not key or key.endswith(b"/") else key + b"/"
    metas = [meta for meta in list_below(store, prefix, listing.count) if _is_wanted(meta.key[len(prefix) :], listing)]
    return [_as_file(url, meta) for meta in _without_results(metas)]


def _head(store: Readable, key: bytes) -> Meta:
    meta = with_retries(store.head, key)
    if meta.size < 0:
        raise OSError(errno.EIO, "the store does not say how long it is (no Content-Length)")
    return meta


def _as_file(url: Url, meta: Meta, name: bytes | None = None) -> InputFile:
    path = url.name_of(meta.key)
    file = object_file(name or path, path, meta.size, meta.mtime_ns, meta.etag)
    fault = meta.fault or ("the store does not say how long it is" if meta.size < 0 else None)
    return file if fault is None else file._replace(fault=fault)


def _is_wanted(below: bytes, listing: Listing) -> bool:
    """Returns whether an object is read or marks a result directory; counts it if not."""
    hidden = any(part.startswith(b".") and part not in (b".", b"..") for part in below.split(b"/"))
    wanted = not below or (not hidden and is_read(below.rstrip(b"/")))
    is_marker = below.rpartition(b"/")[2] == MARKER
    listing.left_out += not wanted and not is_marker
    return wanted or is_marker


def _without_results(metas: list[Meta]) -> list[Meta]:
    """Drops the content of earlier result directories, which have a marker."""
    markers = [meta.key for meta in metas if meta.key.rpartition(b"/")[2] == MARKER]
    results = tuple(marker.removesuffix(MARKER) for marker in markers)
    return [meta for meta in metas if not meta.key.startswith(results)] if results else metas


_END: Final = fnmatch.translate("")[-2:]
"""The end of every expression of `fnmatch`."""


def _pattern(path: str) -> Callable[[str], object]:
    """Turns a glob into a test of keys, with the rules for files.

    `*`, `?` and `[…]` stay within a folder, `**` crosses folders, and hidden names must be named.
    """
    not_hidden = r"(?:(?<=[^/])|(?!\.))"  # a name must not begin with a dot
    parts = {"**": r"(?:(?!\.)[^/]+/)*(?!\.)[^/]+", "**/": r"(?:(?!\.)[^/]+/)*"}
    parts |= {"*": f"{not_hidden}[^/]*", "?": f"{not_hidden}[^/]"}
    expression = ""
    for token in re.findall(r"(?:(?<=/)|^)\*\*(?:/|$)|\*|\?|\[!?\]?[^\]]*\]|.", path, re.DOTALL):
        if len(token) > 1 and token.startswith("["):
            expression += f"{not_hidden}(?!/){fnmatch.translate(token).removesuffix(_END)}"
        else:
            expression += parts.get(token) or re.escape(token)
    return re.compile(expression, re.DOTALL).fullmatch
