"""Google Cloud Storage: a bucket. Credentials are those that google-auth finds.

Source: the reference of the JSON API (v1). A name is one part of the path, with its slashes percent-encoded, so that
`..` in it means nothing. An object's version is its generation, which takes the place of an ETag.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Mapping
from secrets import token_hex
from typing import Any, BinaryIO, Final, Literal, TypeVar
from urllib.parse import quote

import msgspec

from linkmatch_ray.io.storage.endpoint import endpoint_of
from linkmatch_ray.io.storage.object_store import (
    PAGE_BYTES_MAX,
    Meta,
    ObjectStore,
    Page,
    checked,
    conditions,
    content_of,
    is_text,
    is_wanted,
    listed,
    refuse,
    size_in,
    size_of,
    time_of,
)
from linkmatch_ray.io.storage.transport import Answer, Unavailable, ask
from linkmatch_ray.io.storage.urls import Url
from linkmatch_ray.words import shown

ENDPOINT: Final = "https://storage.googleapis.com"
SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_write"

PAGE_OBJECTS: Final = 1000
"""Maximum number of objects in a page of a listing."""

_API: Final = "/storage/v1"
_UPLOAD: Final = "/upload/storage/v1"
_FIELDS: Final = "kind,name,size,generation,timeCreated"
_LISTED: Final = f"kind,prefixes,nextPageToken,items({_FIELDS})"
_BYTES: Final = {"Content-Type": "application/octet-stream"}


class _Object(msgspec.Struct, rename="camel"):
    kind: Literal["storage#object"]
    name: str
    size: str
    generation: str
    time_created: str = ""

    def meta(self) -> Meta:
        key = self.name.encode()
        return Meta(key, size_in(self.size), time_of(self.time_created), f'"{self.generation}"', fault=_fault_of(key))


class _Objects(msgspec.Struct, rename="camel"):
    kind: Literal["storage#objects"]
    items: list[_Object] = []
    prefixes: list[str] = []
    next_page_token: str = ""


class _Rewritten(msgspec.Struct, rename="camel"):
    kind: Literal["storage#rewriteResponse"]
    done: bool
    rewrite_token: str = ""


Said = TypeVar("Said", _Object, _Objects, _Rewritten)


class GCS(ObjectStore):
    """One bucket."""

    def __init__(self, url: Url) -> None:
        emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
        self._endpoint = endpoint_of(emulator if "://" in emulator else f"http://{emulator}" if emulator else ENDPOINT)
        is_public = is_wanted("GOOGLE_SKIP_SIGNATURE")
        self._identity = None if is_public or emulator else _Identity()
        self._objects = f"/b/{quote(url.authority, safe='')}/o"

    def list_page(self, prefix: bytes, following: str | None = None, *, folders: bool = False) -> Page:
        if not is_text(prefix):
            return Page([], [], None)
        query = {"prefix": prefix.decode(), "maxResults": str(PAGE_OBJECTS), "fields": _LISTED}
        if folders:
            query["delimiter"] = "/"
        if following is not None:
            query["pageToken"] = following
        with self._ask("GET", self._objects, query) as answer:
            refuse(answer)
            found = _json_of(answer, _Objects)
        folders_found = [each.encode() for each in found.prefixes]
        return Page([each.meta() for each in found.items], folders_found, found.next_page_token or None)

    def head(self, key: bytes) -> Meta:
        if _fault_of(key):  # it can be listed nevertheless
            return listed(self, key)
        with self._ask("GET", self._path_of(key), {"fields": _FIELDS}) as answer:
            refuse(answer)
            return _json_of(answer, _Object).meta()._replace(key=key)

    def get(self, key: bytes, start: int = 0, end: int | None = None, meta: Meta | None = None) -> Answer:
        query = {"alt": "media"} | ({"ifGenerationMatch": meta.etag.strip('"')} if meta and meta.etag else {})
        headers = conditions(start, end, meta and meta._replace(etag=None))
        headers["Accept-Encoding"] = "gzip"  # what is stored as gzip arrives unchanged, not decompressed by the store
        answer = self._ask("GET", self._path_of(key), query, headers)
        generation = answer.headers.get("X-Goog-Generation")
        del answer.headers["ETag"]
        if generation:
            answer.headers["ETag"] = f'"{generation}"'
        return checked(answer, start, end, meta)

    def put(self, key: bytes, body: bytes | BinaryIO, *, create: bool = False) -> None:
        if create:
            self._create(key, content_of(body))
            return
        query = {"uploadType": "media", "name": _text_of(key), "fields": _FIELDS}
        with self._ask("POST", self._objects, query, _BYTES, body, size_of(body), api=_UPLOAD) as answer:
            refuse(answer)

    def _create(self, key: bytes, content: bytes) -> None:
        name, mark = msgspec.json.encode({"name": _text_of(key)}), token_hex(16).encode()
        parts = ((b"application/json; charset=UTF-8", name), (b"application/octet-stream", content))
        body = b"".join(b"--%b\r\nContent-Type: %b\r\n\r\n%b\r\n" % (mark, *part) for part in parts) + b"--%b--" % mark
        query = {"uploadType": "multipart", "ifGenerationMatch": "0", "fields": _FIELDS}
        headers = {"Content-Type": f"multipart/related; boundary={mark.decode()}"}
        with self._ask("POST", self._objects, query, headers, body, api=_UPLOAD) as answer:
            refuse(answer, create=True)

    def copy(self, source: bytes, key: bytes) -> None:
        path, query = f"{self._path_of(source)}/rewriteTo{self._path_of(key)}", {"fields": "kind,done,rewriteToken"}
        while True:  # the store copies a part at a time
            with self._ask("POST", path, query) as answer:
                refuse(answer)
                said = _json_of(answer, _Rewritten)
            if said.done:
                return
            if not said.rewrite_token or said.rewrite_token == query.get("rewriteToken"):
                raise OSError(errno.EIO, "a copy was not made: the store does not say how it continues")
            query["rewriteToken"] = said.rewrite_token

    def delete(self, key: bytes) -> None:
        with self._ask("DELETE", self._path_of(key)) as answer:
            if answer.status != 404:
                refuse(answer)

    def _path_of(self, key: bytes) -> str:
        return f"{self._objects}/{quote(_text_of(key), safe='')}"

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | BinaryIO = b"",
        size: int | None = None,
        *,
        api: str = _API,
    ) -> Answer:
        target = f"{api}{path}?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in (query or {}).items())
        known = self._identity.headers() if self._identity else {}
        return ask(self._endpoint, method, target, {**known, **(headers or {})}, body, size)


def _fault_of(key: bytes) -> str | None:
    """Returns why a name cannot be requested; None if it can."""
    if not is_text(key):
        return "Google Cloud Storage has no such name: it is not UTF-8"
    return "Google Cloud Storage has no such name" if key in (b".", b"..") else None


def _text_of(key: bytes) -> str:
    if fault := _fault_of(key):
        raise OSError(errno.EINVAL, fault)
    return key.decode()


def _json_of(answer: Answer, kind: type[Said]) -> Said:
    """Reads the JSON of an answer.

    Raises:
        Unavailable: It is cut off.
        OSError: It is something else.
    """
    content = answer.read(PAGE_BYTES_MAX)
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        if not isinstance(error, msgspec.ValidationError) and content[:1] == b"{":
            raise Unavailable("the store sent an answer that is cut off or damaged") from None
        raise OSError(errno.EIO, f"the store sent something else than was requested: {shown(content[:60])}") from None


class _Identity:
    """The identity of this process at Google, as google-auth finds it.

    Raises:
        Unavailable: It finds none, or the service that it asks does not answer now.
        PermissionError: What it finds cannot be used.
    """

    def __init__(self) -> None:
        import google.auth
        from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

        self._lock = threading.Lock()
        self._credentials: Any
        logging.getLogger("google.auth").addHandler(logging.NullHandler())  # our own messages say what matters
        try:
            self._credentials, _ = google.auth.default(scopes=[SCOPE])
        except GoogleAuthError as error:
            named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
            if named or not isinstance(error, DefaultCredentialsError):
                where = f" in {shown(named)}" if named else ""
                raise PermissionError(errno.EACCES, f"the Google credentials{where} cannot be used") from None
            raise Unavailable(
                "no Google credentials were found (GOOGLE_SKIP_SIGNATURE=true reads without them)"
            ) from None

    def headers(self) -> dict[str, str]:
        """Returns the headers that identify this process."""
        headers: dict[str, str] = {}
        with self._lock:
            if not self._credentials.valid:
                self._renew()
            self._credentials.apply(headers)
        return headers

    def _renew(self) -> None:
        from google.auth.exceptions import GoogleAuthError, TransportError
        from google.auth.transport.requests import Request

        try:
            self._credentials.refresh(Request())
        except TransportError:
            raise Unavailable("the service that gives tokens for the Google credentials cannot be reached") from None
        except GoogleAuthError:
            raise PermissionError(errno.EACCES, "the Google credentials are refused; sign in again") from None
