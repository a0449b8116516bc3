"""Amazon S3 and stores with its interface. Credentials and signatures are botocore's.

Source: the Amazon S3 API reference (2006-03-01); paths in the style `ENDPOINT/BUCKET/KEY`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

from linkmatch_ray.io.storage.endpoint import endpoint_of, in_target
from linkmatch_ray.io.storage.object_store import (
    Meta,
    Page,
    RestStore,
    content_of,
    etag_of,
    is_wanted,
    refuse,
    size_in,
    size_of,
    time_of,
    xml_of,
)
from linkmatch_ray.io.storage.transport import Answer, Unavailable, ask
from linkmatch_ray.io.storage.urls import Url
from linkmatch_ray.words import shown

if TYPE_CHECKING:
    from botocore.session import Session

UPLOAD_BYTES: Final = 64 << 20
"""A larger body is sent in parts of this size. A store takes 5 GiB at once, or 10,000 parts."""


class S3(RestStore):
    """One bucket."""

    def __init__(self, url: Url) -> None:
        from botocore.session import Session

        session = Session()
        with _credential_errors():
            self._region = os.environ.get("AWS_REGION") or session.get_config_variable("region") or "us-east-1"
            self._endpoint = endpoint_of(_endpoint_url(session, self._region))
            is_public = is_wanted("AWS_SKIP_SIGNATURE")
            self._credentials = None if is_public else session.get_credentials()
        if self._credentials is None and not is_public:  # or their service is silent: botocore tells neither
            raise Unavailable("no credentials were found (AWS_SKIP_SIGNATURE=true reads without them)")
        self._bucket = f"/{url.authority}"

    def list_page(self, prefix: bytes, following: str | None = None, *, folders: bool = False) -> Page:
        named = prefix.decode("utf-8", "surrogateescape")
        query = {"list-type": "2", "encoding-type": "url", "prefix": named}
        if folders:
            query["delimiter"] = "/"
        if following is not None:
            query["continuation-token"] = following
        return _page_of(self._listing(query, "ListBucketResult"))

    def put(self, key: bytes, body: bytes | BinaryIO, *, create: bool = False) -> None:
        if size_of(body) > UPLOAD_BYTES and not isinstance(body, bytes):
            self._put_parts(key, body)
            return
        headers = {"If-None-Match": "*"} if create else {}
        with self._ask("PUT", key, headers=headers, body=content_of(body)) as answer:
            if create and answer.status == 409:  # another writer makes it at this moment
                raise Unavailable("the store says that another writer makes it")
            refuse(answer, create=create)

    def _put_parts(self, key: bytes, body: BinaryIO) -> None:
        with self._ask("POST", key, {"uploads": ""}) as answer:
            refuse(answer)
            upload = {"uploadId": xml_of(answer, "InitiateMultipartUploadResult").findtext("UploadId") or ""}
        try:
            parts = ""
            for number, part in enumerate(iter(lambda: body.read(UPLOAD_BYTES), b""), 1):
                with self._ask("PUT", key, {"partNumber": str(number), **upload}, body=part) as answer:
                    refuse(answer)
                    etag = answer.headers.get("ETag", "")
                parts += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            done = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
            with self._ask("POST", key, upload, body=done) as answer:
                refuse(answer)
                xml_of(answer, "CompleteMultipartUploadResult")  # it may report an error after its status
        except BaseException as error:
            with suppress(OSError):  # the first error is the one to report; leftovers cost only space
                self._ask("DELETE", key, upload).close()
            if isinstance(error, FileNotFoundError):  # completed before a lost answer, or by another writer
                raise Unavailable("the upload no longer exists in the store") from None
            raise

    def copy(self, source: bytes, key: bytes) -> None:
        with self._ask("PUT", key, headers={"x-amz-copy-source": f"{self._bucket}/{in_target(source)}"}) as answer:
            refuse(answer)
            xml_of(answer, "CopyObjectResult")  # it may report an error after its status

    def _ask(
        self,
        method: str,
        key: bytes | None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        target = self._bucket if key is None else f"{self._bucket}/{in_target(key)}"
        if query:
            target += "?" + "&".join(f"{name}={_quoted(value)}" for name, value in sorted(query.items()))
        return ask(self._endpoint, method, target, self._signed(method, target, headers or {}, body), body)

    def _signed(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
        """Returns the headers with those that sign the request; unchanged without credentials."""
        if self._credentials is None:
            return dict(headers)
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest

        request = AWSRequest(method, f"{self._endpoint.url}{target}", dict(headers), body)
        with _credential_errors():
            S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self._region).add_auth(request)
        return dict(request.headers.items())


def _page_of(root: ElementTree.Element) -> Page:
    """Reads a page of a listing.

    Raises:
        OSError: It does not say whether, or where, the listing continues.
    """
    quoted = root.findtext("EncodingType") == "url"

    def name(element: ElementTree.Element, tag: str) -> bytes:
        text = (element.findtext(tag) or "").encode()
        return unquote_to_bytes(text.replace(b"+", b" ")) if quoted else text

    objects = [
        Meta(
            name(each, "Key"),
            size_in(each.findtext("Size")),
            time_of(each.findtext("LastModified")),
            etag_of(each.findtext("ETag")),
        )
        for each in root.iter("Contents")
    ]
    more, following = root.findtext("IsTruncated"), root.findtext("NextContinuationToken")
    if more not in ("true", "false") or (more == "true" and not following):
        raise OSError(errno.EIO, "the store sent a listing that does not say whether, or where, it continues")
    folders = [name(each, "Prefix") for each in root.iter("CommonPrefixes")]
    return Page(objects, folders, following if more == "true" else None)


def _quoted(value: str) -> str:
    return in_target(value.encode("utf-8", "surrogateescape")).replace("/", "%2F")


def _endpoint_url(session: Session, region: str) -> str:
    """Returns the endpoint: that of the environment, of a profile, or Amazon's."""
    found = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    found = found or session.get_scoped_config().get("endpoint_url")
    return found or f"https://s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


@contextmanager
def _credential_errors() -> Iterator[None]:
    """Turns what botocore cannot find or get into our own error."""
    from botocore.exceptions import BotoCoreError

    try:
        yield
    except BotoCoreError as error:
        raise PermissionError(errno.EACCES, f"no credentials could be obtained ({shown(error)})") from None
