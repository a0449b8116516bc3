"""Objects in one bucket, container or host: what is asked of any store, whatever it is called.

An object is one version of itself: a request names the ETag that is expected, and each answer is compared with it.
Names are bytes, and are asked for as they were given or listed.
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

from linkmatch_ray.io.fingerprint import in_64_bits
from linkmatch_ray.io.storage_errors import Changed, NoRanges
from linkmatch_ray.io.transport import Answer, Unavailable
from linkmatch_ray.words import shown

TRIES: Final = 6
WAIT_SECONDS: Final = 0.2
"""How often a request is made in all, and how long the first wait is; each further one is twice as long."""

TOLD_BYTES_MAX: Final = 1 << 16
"""So much is read of what a store says beside a status."""

PAGE_BYTES_MAX: Final = 64 << 20
"""A page of a listing has 1,000 objects as a rule, and some 400 bytes for each."""

LASTS: Final = (408, 409, 425, 429, 500, 502, 503, 504)
"""With one of these a store says that it cannot now. With others it cannot at all."""

T = TypeVar("T")


class Meta(NamedTuple):
    """What a store says of an object.

    Attributes:
        size: In bytes; -1 if it does not say.
        mtime_ns: When it was made, in whole seconds; 0 if it does not say.
        etag: As the store writes it, with its quotes; None if it gives none. A weak one begins with `W/`.
        moved: The host that it was found at, if that is another.
        fault: Why it cannot be read, if that is known.
    """

    key: bytes
    size: int
    mtime_ns: int = 0
    etag: str | None = None
    moved: str | None = None
    fault: str | None = None

    def is_other_than(self, size: int, mtime_ns: int, etag: str | None) -> bool:
        """Whether it is certainly not the version that has this fingerprint: what is not said is not compared. A strong
        ETag alone says it, of a weak one only that it is another."""
        if etag is not None and self.etag is not None and (etag != self.etag or is_strong(etag)):
            return etag != self.etag
        return size != self.size or (mtime_ns != self.mtime_ns and 0 not in (mtime_ns, self.mtime_ns))


class Page(NamedTuple):
    """A part of a listing.

    Attributes:
        folders: With a delimiter, what objects begin with that are left out.
        following: What to ask for the next page with; None after the last.
    """

    objects: list[Meta]
    folders: list[bytes]
    following: str | None


class ObjectStore(ABC):
    """Objects in one bucket, container or host.

    All methods make one request, or as many as the store needs for it, and raise:
        Unavailable: it failed for a reason that can pass with time.
        FileNotFoundError: there is no such object, or no bucket.
        PermissionError: the store does not let us.
        OSError: it failed otherwise.
    """

    @abstractmethod
    def list_page(self, prefix: bytes, following: str | None = None, *, folders: bool = False) -> Page:
        """Objects whose names begin with `prefix`; with `folders`, only those without a further slash."""

    @abstractmethod
    def head(self, key: bytes) -> Meta:
        """What the store says of an object."""

    @abstractmethod
    def get(self, key: bytes, start: int = 0, end: int | None = None, meta: Meta | None = None) -> Answer:
        """An answer whose body is the bytes `start..end` of an object, or all of it.

        Raises:
            Changed: it is another version than the one that `meta` tells of.
            NoRanges: it is given only as a whole, and that was not asked for.
        """

    @abstractmethod
    def put(self, key: bytes, body: bytes | BinaryIO, *, create: bool = False) -> None:
        """Make an object of bytes, or of a whole file.

        Raises:
            FileExistsError: with `create`, there is one. It may be this very one, if an answer was lost on its way.
        """

    @abstractmethod
    def copy(self, source: bytes, key: bytes) -> None:
        """Give an object's content another name too."""

    @abstractmethod
    def delete(self, key: bytes) -> None:
        """Remove an object; one that is not there is no error."""


class RestStore(ObjectStore):
    """A store that is asked for an object by its path, as HTTP has it: GET gives it, DELETE removes it."""

    @abstractmethod
    def _ask(
        self,
        method: str,
        key: bytes | None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """The answer to a signed request for an object, or without a key for the bucket."""

    def get(self, key: bytes, start: int = 0, end: int | None = None, meta: Meta | None = None) -> Answer:
        return checked(self._ask("GET", key, headers=conditions(start, end, meta)), start, end, meta)

    def delete(self, key: bytes) -> None:
        with self._ask("DELETE", key) as answer:
            if answer.status != 404:
                refuse(answer)


class Tries:
    """Counts failures in a row of something that is done again, and waits between them."""

    def __init__(self) -> None:
        self._failed = 0

    def failed(self, error: Unavailable) -> None:
        """Wait after a failure, each time twice as long.

        Raises:
            OSError: it was the last try.
        """
        self._failed += 1
        if self._failed >= TRIES:
            raise OSError(errno.EIO, f"{error.strerror}, {TRIES} times") from None
        time.sleep(WAIT_SECONDS * 2 ** (self._failed - 1) * random.uniform(0.5, 1.5))

    def got_on(self) -> None:
        """Forget the failures, as something has come."""
        self._failed = 0


def again(do: Callable[..., T], *args: Any) -> T:
    """Do something, again after a while if it failed for a reason that can pass.

    Raises:
        OSError: it failed for another reason, or every time.
    """
    tries = Tries()
    while True:
        try:
            return do(*args)
        except Unavailable as error:
            tries.failed(error)


# What answers say


def refuse(answer: Answer, *, create: bool = False) -> None:
    """Raise what a status other than 2xx means.

    Args:
        create: An object was to be made only if none is there.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    why = _said(answer)
    if 300 <= status < 400 and status != 304:
        host = re.search(r"^\w+://([^/?#]*)", answer.headers.get("Location", ""))
        where = f" to {shown(host[1].rpartition('@')[2])}" if host else ""
        raise OSError(errno.EIO, f"the store redirects{where} ({why}), which is not followed")
    if create and status == 412:
        raise FileExistsError(errno.EEXIST, "there is such an object")
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
    """What a store calls its error: its own code if it gives one."""
    content = answer.read(TOLD_BYTES_MAX)
    if (region := answer.headers.get("x-amz-bucket-region")) and answer.status in (301, 307, 400):
        return f"HTTP status {answer.status}; the bucket is in the region {shown(region)}: set AWS_REGION"
    if told := answer.headers.get("x-ms-error-code"):  # also if there is no body
        return shown(told)
    code = re.search(rb"<Code>([\w.-]{1,100})</Code>|\"(?:reason|code)\": *\"([\w.-]{1,100})\"", content)
    return (code[1] or code[2]).decode() if code else f"HTTP status {answer.status}"


def meta_of(key: bytes, headers: Message, size: int | None = None) -> Meta:
    """What the headers of an answer say of an object; `size` if it is known from elsewhere."""
    if size is None:
        size = size_in(headers.get("Content-Length"))
    return Meta(key, size, time_of(headers.get("Last-Modified")), etag_of(headers.get("ETag")))


def listed(store: ObjectStore, key: bytes) -> Meta:
    """What a listing says of an object that the store cannot be asked for.

    Raises:
        FileNotFoundError: it has none of that name.
    """
    for meta in store.list_page(key).objects:
        if meta.key == key:
            return meta
    raise FileNotFoundError(errno.ENOENT, "no such object or bucket")


def is_wanted(variable: str) -> bool:
    """Whether the environment says yes to something."""
    return os.environ.get(variable, "").lower() in ("1", "true", "yes")


def is_text(name: bytes) -> bool:
    """Whether it is UTF-8, as all names are in some stores."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def size_in(text: str | None) -> int:
    """A size as a store writes it; -1 if it is none."""
    return int(text) if text is not None and re.fullmatch("[0-9]{1,30}", text.strip()) else -1


def size_of(file: BinaryIO) -> int:
    """How long a file is; it is at its beginning then."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def etag_of(etag: str | None) -> str | None:
    """An ETag; None for one that is empty."""
    etag = (etag or "").strip()
    return etag if etag.strip('"') not in ("", 'W/"') else None


def is_strong(etag: str | None) -> bool:
    """Whether an ETag stands for the very bytes; a weak one must not be asked for."""
    return etag is not None and not etag.startswith("W/")


def time_of(date: str | None) -> int:
    """A date, of HTTP or ISO 8601, in ns since 1970 and whole seconds; 0 if it is none."""
    try:
        parsed = datetime.fromisoformat(date) if re.match("[0-9]{4}-", date or "") else parsedate_to_datetime(date)  # type: ignore[arg-type]
        parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return in_64_bits(int(parsed.timestamp()) * 1_000_000_000)
    except (TypeError, ValueError, OverflowError, IndexError):
        return 0


def conditions(start: int, end: int | None, meta: Meta | None) -> dict[str, str]:
    """The headers that ask for a range of a version; all of it needs none."""
    headers = {} if _is_whole(start, end, meta) else {"Range": f"bytes={start}-{(end or 0) - 1}"}
    return headers | ({"If-Match": meta.etag} if meta is not None and meta.etag and is_strong(meta.etag) else {})


def checked(answer: Answer, start: int, end: int | None, meta: Meta | None) -> Answer:
    """An answer to a GET, if it is the bytes that were asked for.

    Raises:
        Changed: it is of another version.
        NoRanges: it is the whole object, and that was not asked for.
        OSError: it is anything else.
    """
    try:
        refuse(answer)
        size = _size_of_all(answer, start, end) if answer.status == 206 else None
        if answer.status not in (200, 206):
            raise OSError(errno.EIO, f"the store answers a request for an object with HTTP status {answer.status}")
        if meta is not None:
            there = meta_of(meta.key, answer.headers, size)
            there = there if there.size >= 0 else there._replace(size=meta.size)  # it is counted when it is read
            if there.is_other_than(meta.size, meta.mtime_ns, meta.etag):
                raise Changed
            if there.size != meta.size:
                raise Unavailable(f"the answer is of {there.size:,} bytes, the object of {meta.size:,}")
        if answer.status == 200 and not _is_whole(start, end, meta):
            raise NoRanges
        return answer
    except BaseException:
        answer.close()
        raise


def _is_whole(start: int, end: int | None, meta: Meta | None) -> bool:
    return start == 0 and (end is None or (meta is not None and end == meta.size))


def _size_of_all(answer: Answer, start: int, end: int | None) -> int | None:
    """The size of an object of which a range has come; None if it is not said.

    Raises:
        Changed: the object ends before.
        OSError: it is another range.
    """
    said = answer.headers.get("Content-Range", "nothing")
    found = re.fullmatch(r"bytes ([0-9]{1,30})-([0-9]{1,30})/([0-9]{1,30}|\*)", said)
    if found is None or int(found[1]) != start or int(found[2]) + 1 != end:
        if found is not None and end is not None and found[3] == str(int(found[2]) + 1) and int(found[3]) < end:
            raise Changed
        raise OSError(errno.EIO, f"bytes {start}-{(end or 0) - 1} were asked for, and the store gives {shown(said)}")
    if (length := size_in(answer.headers.get("Content-Length"))) > end - start:  # all of it, perhaps
        raise OSError(errno.EIO, f"bytes {start}-{end - 1} were asked for, and the store gives {length:,} bytes")
    return None if found[3] == "*" else int(found[3])


def xml_of(answer: Answer, name: str) -> ElementTree.Element:
    """The XML document in an answer, whose root has this name; names are without a namespace.

    Raises:
        Unavailable: it was cut off.
        OSError: it is another document, or none.
    """
    content = answer.read(PAGE_BYTES_MAX)
    if len(content) == PAGE_BYTES_MAX:
        raise OSError(errno.EIO, f"the store gives a {name} of more than {PAGE_BYTES_MAX >> 20} MB")
    if b"<!" in content:  # a DOCTYPE, so that nothing is ever expanded; of HTML as well
        raise OSError(errno.EIO, f"the store gives something that is no {name}: {shown(content[:60])}")
    try:
        root = ElementTree.fromstring(content.strip())  # some send white space first, for as long as it takes
    except ElementTree.ParseError:
        if content.lstrip()[:1] == b"<" and name.encode() in content[:200]:
            raise Unavailable(f"the store gives a {name} that is cut off or damaged") from None
        raise OSError(errno.EIO, f"the store gives something that is no {name}: {shown(content[:60])}") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != name:
        code = root.findtext("Code") if root.tag == "Error" else None
        if code in ("InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout"):
            raise Unavailable(f"the store says {code}")
        what = f"says {shown(code)}" if code else f"gives something that is no {name}: {shown(content[:60])}"
        raise OSError(errno.EIO, f"the store {what}")
    return root
