"""Objects in one bucket, container or host: what every store can do.

An object is one version of itself: a request names the expected ETag, and each answer is compared with it. Names are
bytes, and are requested as they were given or listed.
"""

from __future__ import annotations

import errno
import os
import random
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO, Final, NamedTuple, TypeVar
from xml.etree import ElementTree

from linkmatch_ray.io.storage.errors import Changed, NoRanges
from linkmatch_ray.io.storage.fingerprint import in_64_bits
from linkmatch_ray.io.storage.transport import Answer, Unavailable
from linkmatch_ray.words import shown

TRIES: Final = 6
WAIT_SECONDS: Final = 0.2
"""Number of attempts, and the wait after the first. Each further wait is twice as long."""

ERROR_BYTES_MAX: Final = 1 << 16
"""Maximum size of an error's body, in bytes. The rest is not read."""

PAGE_BYTES_MAX: Final = 64 << 20
"""Maximum size of a page of a listing. It usually has 1,000 objects, of some 400 bytes each."""

LASTS: Final = (408, 409, 425, 429, 500, 502, 503, 504)
"""Statuses that can pass with time. All others last."""

T = TypeVar("T")


_jitter = random.Random()  # not the one of the program, which may have seeded it


class Meta(NamedTuple):
    """What a store says of an object.

    Attributes:
        size: In bytes; -1 if the store does not say.
        mtime_ns: When it was made, in ns and whole seconds; 0 if the store does not say.
        etag: As the store writes it, with its quotes; None if the store gives none. A weak one begins with `W/`.
        moved: The host at which it was found, if that is another.
        fault: Why it cannot be read, if that is known.
    """

    key: bytes
    size: int
    mtime_ns: int = 0
    etag: str | None = None
    moved: str | None = None
    fault: str | None = None

    def is_other_than(self, size: int, mtime_ns: int, etag: str | None) -> bool:
        """Returns whether it is certainly another version than the one with this fingerprint.

        Unknown values are not compared. A strong ETag decides alone; a weak one only if it differs.
        """
        if etag is not None and self.etag is not None and (etag != self.etag or is_strong(etag)):
            return etag != self.etag
        return size != self.size or (mtime_ns != self.mtime_ns and 0 not in (mtime_ns, self.mtime_ns))


class Page(NamedTuple):
    """A part of a listing.

    Attributes:
        folders: With a delimiter, the prefixes of the objects that are left out.
        following: The token for the next page; None after the last.
    """

    objects: list[Meta]
    folders: list[bytes]
    following: str | None


class Readable(ABC):
    """Objects that can be read by name.

    All methods make one request, or as many as the store needs for it, and raise:
        Unavailable: The request failed for a reason that can pass with time.
        FileNotFoundError: No such object or bucket exists.
        PermissionError: The store refuses access.
        OSError: The request failed for another reason.
    """

    @abstractmethod
    def head(self, key: bytes) -> Meta:
        """Returns what the store says of an object."""

    @abstractmethod
    def get(self, key: bytes, start: int = 0, end: int | None = None, meta: Meta | None = None) -> Answer:
        """Requests the bytes `start..end` of an object, or all of it; returns the answer with that body.

        Raises:
            Changed: It is another version than that of `meta`.
            NoRanges: The store gives only the whole object, and a range was requested.
        """


class ObjectStore(Readable):
    """Objects in one bucket or container, which can also be listed and written."""

    @abstractmethod
    def list_page(self, prefix: bytes, following: str | None = None, *, folders: bool = False) -> Page:
        """Lists objects whose names begin with `prefix`; with `folders`, only those without a further slash."""

    @abstractmethod
    def put(self, key: bytes, body: bytes | BinaryIO, *, create: bool = False) -> None:
        """Makes an object of bytes, or of a whole file.

        Raises:
            FileExistsError: With `create`, one exists. It may be this very one, if an answer was lost on its way.
        """

    @abstractmethod
    def copy(self, source: bytes, key: bytes) -> None:
        """Copies an object's content to another name."""

    @abstractmethod
    def delete(self, key: bytes) -> None:
        """Removes an object. A missing one is no error."""


class RestStore(ObjectStore):
    """A store with a path for each object: HEAD describes it, GET reads it, DELETE removes it."""

    @abstractmethod
    def _ask(
        self,
        method: str,
        key: bytes | None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Makes a signed request for an object, or without a key for the bucket; returns the answer."""

    def _listing(self, query: Mapping[str, str], name: str) -> ElementTree.Element:
        """Requests a page of a listing: an XML document whose root has this name."""
        with self._ask("GET", None, query) as answer:
            refuse(answer)
            return xml_of(answer, name)

    def head(self, key: bytes) -> Meta:
        with self._ask("HEAD", key) as answer:
            refuse(answer)
            return meta_of(key, answer.headers)

    def get(self, key: bytes, start: int = 0, end: int | None = None, meta: Meta | None = None) -> Answer:
        return checked(self._ask("GET", key, headers=conditions(start, end, meta)), start, end, meta)

    def delete(self, key: bytes) -> None:
        with self._ask("DELETE", key) as answer:
            if answer.status != 404:
                refuse(answer)


class Tries:
    """A count of failures in a row of something that is retried, with waits between them."""

    def __init__(self) -> None:
        self._failed = 0

    def failed(self, error: Unavailable) -> None:
        """Waits after a failure, each time twice as long.

        Raises:
            OSError: It was the last attempt.
        """
        self._failed += 1
        if self._failed >= TRIES:
            raise OSError(errno.EIO, f"{error.strerror}, {TRIES} times") from None
        time.sleep(WAIT_SECONDS * 2 ** (self._failed - 1) * _jitter.uniform(0.5, 1.5))

    def got_on(self) -> None:
        """Forgets the failures, because something has arrived."""
        self._failed = 0


def with_retries(do: Callable[..., T], *args: Any) -> T:
    """Calls `do`, and retries it after a while if it failed for a reason that can pass.

    Raises:
        OSError: It failed for another reason, or every time.
    """
    tries = Tries()
    while True:
        try:
            return do(*args)
        except Unavailable as error:
            tries.failed(error)


# What answers say


def refuse(answer: Answer, *, create: bool = False) -> None:
    """Raises what a status other than 2xx means.

    Args:
        create: An object was to be made only if none exists.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    why = _said(answer)
    if 300 <= status < 400 and status != 304:
        host = re.search(r"^\w+://([^/?#]*)", answer.headers.get("Location", ""))
        where = f" to {shown(host[1].rpartition('@')[2])}" if host else ""
        raise OSError(errno.EIO, f"the store redirects{where} ({why}), and redirects of a store are not followed")
    if create and status == 412:
        raise FileExistsError(errno.EEXIST, "such an object exists")
    if status in (412, 416):
        raise Changed
    if status == 404:
        raise FileNotFoundError(errno.ENOENT, "no such object or bucket")
    if status in (401, 403):
        raise PermissionError(errno.EACCES, f"the store refuses access ({why})")
    if status in LASTS:
        raise Unavailable(f"the store says {why}")
    raise OSError(errno.EIO, f"the store says {why}")


def _said(answer: Answer) -> str:
    """Returns what a store calls its error: its own code if it gives one."""
    content = answer.read(ERROR_BYTES_MAX)
    if (region := answer.headers.get("x-amz-bucket-region")) and answer.status in (301, 307, 400):
        return f"HTTP status {answer.status}; the bucket is in the region {shown(region)}: set AWS_REGION"
    if azures := answer.headers.get("x-ms-error-code"):  # also without a body
        return shown(azures)
    code = re.search(rb"<Code>([\w.-]{1,100})</Code>|\"(?:reason|code)\": *\"([\w.-]{1,100})\"", content)
    return (code[1] or code[2]).decode() if code else f"HTTP status {answer.status}"


def meta_of(key: bytes, headers: Message, size: int | None = None) -> Meta:
    """Returns what the headers of an answer say of an object; `size` if it is known from elsewhere."""
    if size is None:
        size = size_in(headers.get("Content-Length"))
    return Meta(key, size, time_of(headers.get("Last-Modified")), etag_of(headers.get("ETag")))


def listed(store: ObjectStore, key: bytes) -> Meta:
    """Returns what a listing says of an object that cannot be requested by name.

    Raises:
        FileNotFoundError: The listing has none of that name.
    """
    for meta in store.list_page(key).objects:
        if meta.key == key:
            return meta
    raise FileNotFoundError(errno.ENOENT, "no such object or bucket")


def is_wanted(variable: str) -> bool:
    """Returns whether a variable of the environment says yes."""
    return os.environ.get(variable, "").lower() in ("1", "true", "yes")


def is_text(name: bytes) -> bool:
    """Returns whether a name is UTF-8, as all names are in some stores."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def size_in(text: str | None) -> int:
    """Reads a size as a store writes it; returns -1 if it is none."""
    return int(text) if text is not None and re.fullmatch("[0-9]{1,30}", text.strip()) else -1


def size_of(body: bytes | BinaryIO) -> int:
    """Returns the length of bytes, or of a file, and leaves the file at its beginning."""
    if isinstance(body, bytes):
        return len(body)
    size = body.seek(0, os.SEEK_END)
    body.seek(0)
    return size


def content_of(body: bytes | BinaryIO) -> bytes:
    """Returns bytes, or all that is left of a file."""
    return body if isinstance(body, bytes) else body.read()


def etag_of(etag: str | None) -> str | None:
    """Returns an ETag, or None for an empty one."""
    etag = (etag or "").strip()
    return etag if etag.strip('"') not in ("", 'W/"') else None


def is_strong(etag: str | None) -> bool:
    """Returns whether an ETag stands for the very bytes. A weak one must not be used as a condition."""
    return etag is not None and not etag.startswith("W/")


def time_of(date: str | None) -> int:
    """Reads a date of HTTP or ISO 8601; returns ns since 1970 in whole seconds, or 0 if it is none."""
    try:
        parsed = datetime.fromisoformat(date) if re.match("[0-9]{4}-", date or "") else parsedate_to_datetime(date)  # type: ignore[arg-type]
        parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return in_64_bits(int(parsed.timestamp()) * 1_000_000_000)
    except (TypeError, ValueError, OverflowError, IndexError):
        return 0


def conditions(start: int, end: int | None, meta: Meta | None) -> dict[str, str]:
    """Returns the headers that request a range of a version. All of it needs none."""
    headers = {} if _is_whole(start, end, meta) else {"Range": f"bytes={start}-{(end or 0) - 1}"}
    return headers | ({"If-Match": meta.etag} if meta is not None and meta.etag and is_strong(meta.etag) else {})


def checked(answer: Answer, start: int, end: int | None, meta: Meta | None) -> Answer:
    """Returns the answer to a GET if it has the requested bytes.

    Raises:
        Changed: It is of another version.
        NoRanges: It is the whole object, and a range was requested.
        OSError: It is anything else.
    """
    try:
        refuse(answer)
        size = _size_of_all(answer, start, end) if answer.status == 206 else None
        if answer.status not in (200, 206):
            raise OSError(errno.EIO, f"the store answers a request for an object with HTTP status {answer.status}")
        if meta is not None:
            there = meta_of(meta.key, answer.headers, size)
            there = there if there.size >= 0 else there._replace(size=meta.size)  # the reader counts it
            if there.is_other_than(meta.size, meta.mtime_ns, meta.etag):
                raise Changed
            if there.size != meta.size:
                raise Unavailable(f"the answer has {there.size:,} bytes, the object {meta.size:,}")
        if answer.status == 200 and not _is_whole(start, end, meta):
            raise NoRanges
        return answer
    except BaseException:
        answer.close()
        raise


def _is_whole(start: int, end: int | None, meta: Meta | None) -> bool:
    return start == 0 and (end is None or (meta is not None and end == meta.size))


def _size_of_all(answer: Answer, start: int, end: int | None) -> int | None:
    """Returns the size of an object of which a range was answered; None if the store does not say.

    Raises:
        Changed: The object ends before the range.
        OSError: It is another range.
    """
    said = answer.headers.get("Content-Range", "nothing")
    found = re.fullmatch(r"bytes ([0-9]{1,30})-([0-9]{1,30})/([0-9]{1,30}|\*)", said)
    if found is None or int(found[1]) != start or int(found[2]) + 1 != end:
        if found is not None and end is not None and found[3] == str(int(found[2]) + 1) and int(found[3]) < end:
            raise Changed
        raise OSError(errno.EIO, f"bytes {start}-{(end or 0) - 1} were requested, and the store sent {shown(said)}")
    if (length := size_in(answer.headers.get("Content-Length"))) > end - start:  # all of it, perhaps
        raise OSError(errno.EIO, f"bytes {start}-{end - 1} were requested, and the store sent {length:,} bytes")
    return None if found[3] == "*" else int(found[3])


def xml_of(answer: Answer, name: str) -> ElementTree.Element:
    """Returns the XML document in an answer, whose root has this name. Names are without a namespace.

    Raises:
        Unavailable: The document is cut off.
        OSError: It is another document, or none.
    """
    content = answer.read(PAGE_BYTES_MAX)
    if len(content) == PAGE_BYTES_MAX:
        raise OSError(errno.EIO, f"the store sent a {name} of more than {PAGE_BYTES_MAX >> 20} MB")
    if b"<!" in content:  # a DOCTYPE, also that of HTML: nothing is ever expanded
        raise OSError(errno.EIO, f"the store sent something that is no {name}: {shown(content[:60])}")
    try:
        root = ElementTree.fromstring(content.strip())  # some stores send white space until they are ready
    except ElementTree.ParseError:
        if content.lstrip()[:1] == b"<" and name.encode() in content[:200]:
            raise Unavailable(f"the store sent a {name} that is cut off or damaged") from None
        raise OSError(errno.EIO, f"the store sent something that is no {name}: {shown(content[:60])}") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != name:
        code = root.findtext("Code") if root.tag == "Error" else None
        if code in ("InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout"):
            raise Unavailable(f"the store says {code}")
        what = f"says {shown(code)}" if code else f"sent something that is no {name}: {shown(content[:60])}"
        raise OSError(errno.EIO, f"the store {what}")
    return root
