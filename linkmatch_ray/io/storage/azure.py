"""Azure Blob Storage: a container of an account.

Source: the REST reference of the Blob service. Azure takes some names for others, even if they are encoded. It reads a
backslash as a slash, and ignores a dot at the end of a path component. Such names are never requested.
"""

from __future__ import annotations

import base64
import errno
import re
import secrets
import time
from collections.abc import Mapping
from email.message import Message
from typing import BinaryIO, Final
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

from linkmatch_ray.io.storage.azure_access import Access
from linkmatch_ray.io.storage.endpoint import in_target
from linkmatch_ray.io.storage.object_store import (
    Meta,
    Page,
    RestStore,
    content_of,
    etag_of,
    is_text,
    listed,
    refuse,
    size_in,
    size_of,
    time_of,
)
from linkmatch_ray.io.storage.transport import Answer, Unavailable, ask
from linkmatch_ray.io.storage.urls import Url
from linkmatch_ray.words import shown

BLOCK_BYTES: Final = 64 << 20
"""A larger file is sent in blocks of this size. A blob may have 50,000 of them."""

PAGE_OBJECTS: Final = 5000
"""Maximum number of objects in a page of a listing."""

COPY_SECONDS: Final = 300.0
"""A copy fails if it makes no progress for this long."""


class Azure(RestStore):
    """One container."""

    def __init__(self, url: Url) -> None:
        account, _, container = url.authority.partition("/")
        self._access = Access(account)
        self._container = f"/{in_target(container.encode())}"

    def list_page(self, prefix: bytes, following: str | None = None, *, folders: bool = False) -> Page:
        if not is_text(prefix):
            return Page([], [], None)
        query = {"restype": "container", "comp": "list", "prefix": prefix.decode(), "maxresults": str(PAGE_OBJECTS)}
        if folders:
            query["delimiter"] = "/"
        if following is not None:
            query["marker"] = following
        return _page_of(self._listing(query, "EnumerationResults"))

    def head(self, key: bytes) -> Meta:
        return listed(self, key) if _fault_of(key) else super().head(key)  # such an object can be listed

    def put(self, key: bytes, body: bytes | BinaryIO, *, create: bool = False) -> None:
        headers = {"If-None-Match": "*"} if create else {}
        if size_of(body) > BLOCK_BYTES and not isinstance(body, bytes):
            self._put_blocks(key, body, headers)
            return
        headers["x-ms-blob-type"] = "BlockBlob"
        self._done("PUT", key, headers=headers, body=content_of(body))

    def _put_blocks(self, key: bytes, body: BinaryIO, headers: Mapping[str, str]) -> None:
        upload, blocks = secrets.token_hex(8), ""  # another writer's blocks of this name are not taken for ours
        for number, block in enumerate(iter(lambda: body.read(BLOCK_BYTES), b"")):
            name = base64.b64encode(f"{upload}{number:06}".encode()).decode()
            self._done("PUT", key, {"comp": "block", "blockid": name}, body=block)
            blocks += f"<Uncommitted>{name}</Uncommitted>"
        content = f"<?xml version='1.0' encoding='utf-8'?><BlockList>{blocks}</BlockList>".encode()
        self._done("PUT", key, {"comp": "blocklist"}, headers, content)

    def copy(self, source: bytes, key: bytes) -> None:
        said = self._done("PUT", key, headers={"x-ms-copy-source": self._access.source(self._path_of(source))})
        progress, deadline, pause = "", time.monotonic() + COPY_SECONDS, 0.1
        while said.get("x-ms-copy-status") == "pending" and time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(2 * pause, 5.0)
            said = self._done("HEAD", key)
            if (now := said.get("x-ms-copy-progress", "")) != progress:
                progress, deadline = now, time.monotonic() + COPY_SECONDS
        if (status := said.get("x-ms-copy-status", "nothing of it")) != "success":
            raise OSError(errno.EIO, f"a copy was not made: the store says {shown(status)}")

    def _done(
        self,
        method: str,
        key: bytes,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Message:
        """Makes a request that must succeed; returns the headers of the answer."""
        with self._ask(method, key, query, headers, body) as answer:
            refuse(answer)
            return answer.headers

    def _ask(
        self,
        method: str,
        key: bytes | None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        path = self._container if key is None else self._path_of(key)
        target, signed = self._access.signed(method, path, query or {}, headers or {}, len(body))
        answer = ask(self._access.endpoint, method, target, signed, body)
        if error := _conflict(answer):
            answer.close()
            raise error
        return answer

    def _path_of(self, key: bytes) -> str:
        if fault := _fault_of(key):
            raise OSError(errno.EINVAL, fault)
        return f"{self._container}/{in_target(key)}"


def _fault_of(key: bytes) -> str | None:
    """Returns why a name cannot be requested; None if it can."""
    if not is_text(key):
        return "Azure has no such name: it is not UTF-8"
    if re.search(rb"\\|\.(?:/|\Z)", key):
        return "Azure takes this name for another: it has a \\, or a part that ends in a dot"
    return None


def _conflict(answer: Answer) -> OSError | None:
    """Returns the error for a status that means something else in other stores."""
    code = answer.headers.get("x-ms-error-code", "")
    if code == "BlobAlreadyExists":
        return FileExistsError(errno.EEXIST, "such an object exists")
    if code == "PublicAccessNotPermitted":
        return PermissionError(errno.EACCES, f"the store refuses access without credentials ({code})")
    if code == "InvalidBlockList":  # another writer's blob was completed meanwhile
        return Unavailable("the store says that another writer makes it")
    if answer.status == 409 or (answer.status == 412 and code not in ("", "ConditionNotMet")):
        return OSError(errno.EIO, f"the store says {shown(code) or 'HTTP status 409'}")
    return None


def _page_of(root: ElementTree.Element) -> Page:
    """Reads a page of a listing, without the folders of an account that has real ones.

    Raises:
        OSError: It does not say whether more follows.
    """
    objects = []
    for blob in root.iter("Blob"):
        key, of = _name_of(blob), blob.find("Properties")
        if of is not None and of.findtext("ResourceType") != "directory":
            etag = etag_of(of.findtext("Etag"))
            quoted = f'"{etag}"' if etag and '"' not in etag else etag  # a listing has it without quotes
            size, mtime_ns = size_in(of.findtext("Content-Length")), time_of(of.findtext("Last-Modified"))
            objects.append(Meta(key, size, mtime_ns, quoted, fault=_fault_of(key)))
    if root.find("NextMarker") is None:
        raise OSError(errno.EIO, "the store sent a listing that does not say whether it continues")
    return Page(objects, [_name_of(each) for each in root.iter("BlobPrefix")], root.findtext("NextMarker") or None)


def _name_of(element: ElementTree.Element) -> bytes:
    """Returns a name from a listing, which percent-encodes names that XML cannot hold."""
    name = element.find("Name")
    text = "" if name is None else name.text or ""
    return unquote_to_bytes(text) if name is not None and name.get("Encoded") == "true" else text.encode()
