"""All objects below a prefix. A listing is not trusted: it must advance, and stay below the prefix."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Final

from linkmatch_ray.io.storage.object_store import Meta, ObjectStore, Page, with_retries
from linkmatch_ray.io.storage.side_by_side import side_by_side
from linkmatch_ray.words import shown

LISTINGS: Final = 16
"""Folders listed at a time."""

EMPTY_PAGES_MAX: Final = 1000
"""Maximum number of pages without objects in a listing."""


def _ignore(_: int) -> None:
    """Reports nothing."""


def list_below(store: ObjectStore, prefix: bytes, on_found: Callable[[int], object] = _ignore) -> Iterator[Meta]:
    """Yields all objects below a prefix, except the empty ones that stand for a folder.

    Args:
        on_found: Called on any thread with the number of objects of a page.

    Raises:
        OSError: The store refuses, or gives no sound listing.
    """
    top = with_retries(lambda: store.list_page(prefix, folders=True))
    if top.following is None:  # its folders are listed side by side
        yield from _checked(top, prefix, on_found)
        for metas in side_by_side(lambda folder: list(pages_below(store, folder, on_found)), top.folders, LISTINGS):
            yield from metas
    else:
        yield from pages_below(store, prefix, on_found)


def pages_below(store: ObjectStore, prefix: bytes, on_found: Callable[[int], object] = _ignore) -> Iterator[Meta]:
    """Yields the same as `list_below`, page by page."""
    following: str | None = None
    found = 0
    begun: set[bytes] = set()  # first objects of pages
    empty = 0
    while True:
        page = with_retries(store.list_page, prefix, following)
        yield from _checked(page, prefix, on_found)
        if page.following is None:
            return
        found += len(page.objects)
        first = page.objects[0].key if page.objects else None
        empty += first is None
        if page.following == following or first in begun or empty > EMPTY_PAGES_MAX:
            raise OSError(errno.EIO, f"the store's listing of {shown(prefix)} repeats itself after {found:,} objects")
        following = page.following
        begun |= {first} if first is not None else set()


def _checked(page: Page, prefix: bytes, on_found: Callable[[int], object]) -> list[Meta]:
    """Returns the objects of a page if all of it is below the prefix."""
    for name in (*(meta.key for meta in page.objects), *page.folders):
        if not name or not name.startswith(prefix):
            what = f"{shown(name)}, which is not below it" if name else "an object without a name"
            raise OSError(errno.EIO, f"the store's listing of {shown(prefix)} has {what}")
    on_found(len(page.objects))
    return [meta for meta in page.objects if meta.size != 0 or not meta.key.endswith(b"/")]
