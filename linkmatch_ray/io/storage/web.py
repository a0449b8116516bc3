"""Files at http(s) URLs: read, not listed. Redirects are followed, and no credentials are sent."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import urljoin, urlsplit

from linkmatch_ray.io.storage.endpoint import endpoint_of, in_target
from linkmatch_ray.io.storage.object_store import Meta, Readable, checked, conditions, meta_of, refuse, size_in
from linkmatch_ray.io.storage.transport import Answer, ask
from linkmatch_ray.io.storage.urls import Url
from linkmatch_ray.words import shown

REDIRECTS_MAX: Final = 5

_KEPT: Final = "%:@!$&'()*+,;=[]"
"""Characters of a path that stay as they are, besides letters, digits and `-_.~/`. The rest is percent-encoded."""


class Web(Readable):
    """One host."""

    def __init__(self, url: Url) -> None:
        self._root = url.root

    def head(self, key: bytes) -> Meta:
        with self._ask("HEAD", key) as answer, self._named(answer):
            if answer.status not in (405, 501):
                refuse(answer)
                meta = self._meta(key, answer)
                if meta.size > 0:
                    return meta if meta.etag or meta.mtime_ns else self._with_version(meta)
                if meta.size == 0 and self._is_empty(key):
                    return meta
        return self._meta_by_range(key)

    def _with_version(self, meta: Meta) -> Meta:
        """Adds the date or the ETag that a server sends only together with bytes."""
        with self._ask("GET", meta.key, {"Range": "bytes=0-0"}) as answer, self._named(answer):
            refuse(answer)
            there = self._meta(meta.key, answer)
            return meta._replace(mtime_ns=there.mtime_ns, etag=there.etag)

    def _is_empty(self, key: bytes) -> bool:
        """Returns whether a file is empty: the length in an answer to HEAD may be that of the answer itself."""
        with self._ask("GET", key, {"Range": "bytes=0-0"}) as answer, self._named(answer):
            if answer.status == 416:
                return True
            refuse(answer)
            return not answer.has_more()

    def _meta_by_range(self, key: bytes) -> Meta:
        """Finds the same as `head` for a server that does not answer HEAD, or not with a length."""
        with self._ask("GET", key, {"Range": "bytes=0-0"}) as answer, self._named(answer):
            if answer.status != 416:  # the status for an empty file
                refuse(answer)
            size = re.fullmatch(r"bytes (?:0-0|\*)/([0-9]+)", answer.headers.get("Content-Range", ""))
            meta = self._meta(key, answer, None if answer.status == 200 else size_in(size and size[1]))
            if meta.size < 0 or answer.status not in (200, 206, 416):
                raise OSError(errno.EIO, "the server does not say how long it is (no Content-Length)")
            return meta

    def _meta(self, key: bytes, answer: Answer, size: int | None = None) -> Meta:
        return meta_of(key, answer.headers, size)._replace(moved=self._moved(answer))

    def _moved(self, answer: Answer) -> str | None:
        return answer.host if answer.host != endpoint_of(self._root).authority else None

    @contextmanager
    def _named(self, answer: Answer) -> Iterator[None]:
        """Adds the host that answered to an error, if a redirect led to another one."""
        try:
            yield
        except OSError as error:
            if host := self._moved(answer):
                error.strerror = f"{error.strerror} (from {host}, to which it is redirected)"
            raise

    def get(self, key: bytes, start: int = 0, end: int | None = None, meta: Meta | None = None) -> Answer:
        answer = self._ask("GET", key, conditions(start, end, meta))
        with self._named(answer):
            return checked(answer, start, end, meta)

    def _ask(self, method: str, key: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        endpoint, target = endpoint_of(self._root), "/" + in_target(key, _KEPT)
        for _ in range(1 + REDIRECTS_MAX):
            answer = ask(endpoint, method, target, headers or {})
            if answer.status not in (301, 302, 303, 307, 308) or "Location" not in answer.headers:
                return answer
            answer.close()
            location = answer.headers["Location"].encode("latin-1").decode("utf-8", "surrogateescape")
            before = endpoint
            try:
                url = urljoin(f"{endpoint.url}{target}", location)
                endpoint = endpoint_of(url)
            except (OSError, ValueError):
                where = shown(location.partition("?")[0])
                raise OSError(errno.EIO, f"is redirected to {where}, which is no http:// or https:// URL") from None
            if before.secure and not endpoint.secure:
                raise OSError(
                    errno.EIO, f"is redirected from https to http, at {endpoint.authority}, and that is not followed"
                )
            parts = urlsplit(url)
            endpoint = endpoint._replace(prefix="")
            target = in_target(os.fsencode(parts.path or "/"), _KEPT)
            target += "?" + in_target(os.fsencode(parts.query), _KEPT + "?") if parts.query else ""
        raise OSError(
            errno.EIO, f"is redirected more than {REDIRECTS_MAX} times, finally to {shown(endpoint.authority)}"
        )
