"""The stores behind URLs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache

from linkmatch_ray.io.storage.object_store import ObjectStore, Readable
from linkmatch_ray.io.storage.urls import Url


class _Once:
    """A cache that makes each store once, for all threads. Each store looks for credentials, and their service may
    refuse some of many requests."""

    def __init__(self, make: Callable[[str], Readable]) -> None:
        self._make, self._lock = cache(make), threading.Lock()
        self.cache_clear = self._make.cache_clear

    def __call__(self, root: str) -> Readable:
        with self._lock:
            return self._make(root)


@_Once
def store_at(root: str) -> Readable:
    """Returns the store behind the root of a URL, one per process."""
    scheme, _, authority = root.partition("://")
    url = Url(scheme, authority, b"")
    if scheme == "s3":
        from linkmatch_ray.io.storage.s3 import S3

        return S3(url)
    if scheme == "gs":
        from linkmatch_ray.io.storage.gcs import GCS

        return GCS(url)
    if scheme == "az":
        from linkmatch_ray.io.storage.azure import Azure

        return Azure(url)
    from linkmatch_ray.io.storage.web import Web

    return Web(url)


def bucket_at(root: str) -> ObjectStore:
    """Returns the store behind the root of an `s3://`, `gs://` or `az://` URL."""
    store = store_at(root)
    assert isinstance(store, ObjectStore)
    return store
