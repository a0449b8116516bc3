"""Inputs on object storage: `s3:// gs:// az:// http(s)://`. Listed, and read by ranges, several at a time.

An object is one version of itself: every request asks for the ETag that the plan has, and each answer's size, ETag
and date are compared with it. Credentials come from the environment, a profile or the machine itself; they are in no
name, message or record of ours.
"""

from __future__ import annotations

import configparser
import errno
import io
import os
import random
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

from linkmatch_ray.errors import InputError, UsageError
from linkmatch_ray.io.inputs import MARKER, SUFFIXES, InputFile, Listing, object_file
from linkmatch_ray.io.reader import Changed
from linkmatch_ray.words import shown

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ObjectStore

CHUNK_BYTES: Final = 4 << 20
CHUNKS_AHEAD: Final = 4
"""A large object is read in requests of this size, so many at a time: one alone does not fill a line."""

SMALL_AHEAD: Final = 32
"""So many small objects are asked for at a time."""

LISTINGS: Final = 16
"""So many prefixes are listed at a time."""

TRIES: Final = 6
WAIT_SECONDS: Final = 0.2
"""How often a request is made in all, and how long the first wait is; each further one is twice as long."""

_T = TypeVar("_T")


class Place(NamedTuple):
    """Where an object, or a prefix, is: the URL of its bucket or host, and its path there."""

    root: str
    path: str


def place_of(name: bytes) -> Place:
    """Take a URL apart.

    Raises:
        UsageError: it has credentials or a query in it, or no bucket.
    """
    try:
        url = name.decode("utf-8")
        parts = urlsplit(url)
    except ValueError:
        raise UsageError(f"{shown(name)}: not a URL. Expected, for example, s3://bucket/folder/.") from None
    if parts.scheme in ("http", "https"):
        if parts.username is not None or parts.query:
            bare = f"{parts.scheme}://{parts.hostname}{parts.path}"
            raise UsageError(
                f"{shown(bare)}: has credentials or a query, which would be in every record of the job. Give the bare"
                " URL; for signed ones use the store's own scheme (s3://, gs://, az://)."
            )
        return Place(f"{parts.scheme}://{parts.netloc}", unquote(parts.path).lstrip("/"))
    segments = url.partition("://")[2].split("/")
    count = 2 if parts.scheme == "az" else 1  # an account, and a container
    if len(segments) < count or not all(segments[:count]):
        raise UsageError(f"{shown(url)}: no bucket. Expected {parts.scheme}://{'ACCOUNT/' * (count - 1)}BUCKET/PATH.")
    return Place(f"{parts.scheme}://{'/'.join(segments[:count])}", "/".join(segments[count:]))


@cache
def store_at(root: str) -> ObjectStore:
    """The store behind a bucket's or host's URL; one a process."""
    from obstore.store import from_url

    config: dict[str, Any] = {}
    endpoint = ""
    if root.startswith("s3:"):
        config = _profile()
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        endpoint = endpoint or config.get("endpoint_url", "")
        config |= {"endpoint_url": endpoint} if endpoint else {}
    plain = root.startswith("http:") or endpoint.startswith("http:")
    options: dict[str, Any] = {
        "config": config,
        "client_options": {"allow_http": plain, "connect_timeout": "10s"},
        "retry_config": {"max_retries": 3, "retry_timeout": timedelta(seconds=60)},
    }
    store: ObjectStore = from_url(root, **options)
    return store


def _profile() -> dict[str, Any]:
    """What the profile in `~/.aws` says (`AWS_PROFILE`), where the environment has no key; nothing without one."""
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return {}
    name = os.environ.get("AWS_PROFILE", "default")
    found: dict[str, str] = {}
    for variable, default, section in (
        ("AWS_CONFIG_FILE", "~/.aws/config", name if name == "default" else f"profile {name}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", name),
    ):
        parser = configparser.RawConfigParser()
        parser.read(Path(os.environ.get(variable, default)).expanduser())
        found |= dict(parser.items(section)) if parser.has_section(section) else {}
    known = {
        "aws_access_key_id": "access_key_id",
        "aws_secret_access_key": "secret_access_key",
        "aws_session_token": "session_token",
        "region": "region",
        "endpoint_url": "endpoint_url",
    }
    return {known[key]: value for key, value in found.items() if key in known}


def again(do: Any, *args: Any) -> Any:
    """Do something at the store, again after a while where it failed for a reason that may pass.

    Raises:
        Changed: the object is not the one that was asked for.
        OSError: it is not there, not allowed, or failed too often.
    """
    from obstore import exceptions

    for attempt in range(TRIES):
        try:
            return do(*args)
        except exceptions.PreconditionError:
            raise Changed from None
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, "no such object or bucket") from None
        except (FileExistsError, exceptions.AlreadyExistsError):
            raise FileExistsError(errno.EEXIST, "there is such an object") from None
        except exceptions.NotSupportedError:
            raise NoRanges from None
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
            raise PermissionError(errno.EACCES, "the store refuses access; check the credentials") from None
        except (exceptions.BaseError, OSError, Short) as error:
            status, why = _answer_in(error)
            if 400 <= status < 500 and status not in (408, 409, 429):
                raise OSError(errno.EIO, f"the store says {why}") from None
        time.sleep(WAIT_SECONDS * 2**attempt * random.uniform(0.5, 1.5))
    raise OSError(errno.EIO, f"the store failed {TRIES} times ({why})")


def _answer_in(error: Exception) -> tuple[int, str]:
    """The HTTP status that an error tells of (0 without one), and what to call it: the store's own code, if any."""
    text = str(error)
    status = re.search(r"status code: (\d{3})", text)
    code = re.search(r"<Code>(\w+)</Code>", text)
    if status is None:
        return 0, "the connection broke off"
    return int(status[1]), code[1] if code else f"HTTP status {status[1]}"


class Short(Exception):  # noqa: N818 - an answer, not yet a failure
    """An answer had fewer bytes than it should."""


class NoRanges(Exception):  # noqa: N818 - says what is found
    """A server gives objects only as a whole, as simple ones over HTTP do."""


def _request(file: InputFile, **options: Any) -> GetResult:
    """The store's answer, of the version that was planned; the bytes are still to come."""
    root, path = place_of(file.path)
    if file.etag:
        options["if_match"] = file.etag
    answer: GetResult = store_at(root).get(path, options=options)  # type: ignore[arg-type]
    size, mtime_ns, etag = _fingerprint(answer.meta)
    if etag != file.etag or (etag is None and (size, mtime_ns) != (file.size, file.mtime_ns)):
        raise Changed
    if size != file.size:
        raise Short
    return answer


def _get(file: InputFile, start: int, end: int) -> Any:
    """The bytes `start..end` of an object, as a buffer; all of them, and of the version that was planned.

    Raises:
        NoRanges: they are not all of it, and it is given only as a whole.
    """
    whole = (start, end) == (0, file.size)

    def once() -> Any:
        content = _request(file, **({} if whole else {"range": (start, end)})).bytes()
        if len(content) != end - start:
            raise Short
        return content

    return again(once) if end > start else b""


def _stream(file: InputFile, start: int) -> Iterator[Any]:
    """An object from byte `start` on, in chunks, of a server that gives all of it or nothing; asked again from the
    beginning where the connection breaks off, as often as `again` does without anything new."""
    from obstore import exceptions

    tries = 0
    while start < file.size:
        tries, at = tries + 1, 0
        if tries > TRIES:
            raise OSError(errno.EIO, f"the store failed {TRIES} times (the connection broke off)")
        answer = again(_request, file)
        with suppress(exceptions.BaseError, OSError):
            for chunk in answer.stream(min_chunk_size=CHUNK_BYTES):
                at += len(chunk)
                if at > start:
                    yield memoryview(chunk)[len(chunk) - (at - start) :]
                    start, tries = at, 0


def _fingerprint(meta: Any) -> tuple[int, int, str | None]:
    found = _as_file("", meta)
    return found.size, found.mtime_ns, found.etag


class ObjectReader(io.RawIOBase):
    """A raw binary stream over a planned object, as `FileReader` is over a file; reads ahead up to `stop`.

    Attributes:
        has_ranges: Parts of it can be asked for, as far as is known.

    Raises (from reading):
        Changed: the object is not the planned one any more.
        OSError: it cannot be read, also not after several tries.
    """

    def __init__(self, file: InputFile, stop: int | None = None) -> None:
        self._file, self._stop = file, file.size if stop is None else min(stop, file.size)
        self._pool = ThreadPoolExecutor(CHUNKS_AHEAD)
        self._coming: deque[Future[Any]] = deque()
        self._current = memoryview(b"")
        self._next = self._read = 0  # the first byte that was not asked for, and that was not given
        self._whole: Iterator[Any] | None = None
        self.has_ranges = True

    def head(self, size: int = 4) -> bytes:
        """The first bytes; does not move."""
        try:
            return bytes(_get(self._file, 0, min(size, self._file.size)))
        except NoRanges:
            self.has_ranges = False
            return bytes(next(_stream(self._file, 0))[:size])

    def check(self) -> None:
        """Nothing to do: every answer was compared."""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a byte; what was asked for is forgotten."""
        if whence == os.SEEK_CUR and not offset:  # as `tell` asks
            return self._read
        while self._coming:
            self._coming.pop().cancel()
        self._current, self._whole = memoryview(b""), None
        self._next = self._read = offset
        return offset

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, view: Any) -> int:
        """Read up to the length of `view`; 0 at the end."""
        if not self._current:
            self._current = self._following()
        count = min(len(view), len(self._current))
        view[:count] = self._current[:count]
        self._current = self._current[count:]
        self._read += count
        return count

    def _following(self) -> memoryview:
        """The next chunk; none at the end."""
        if self.has_ranges:
            self._ask()
            if not self._coming:
                return memoryview(b"")
            try:
                chunk = memoryview(self._coming.popleft().result())
                self._ask()
                return chunk
            except NoRanges:
                self.has_ranges = False
        if self._whole is None:
            self._whole = _stream(self._file, self._read)
        return memoryview(next(self._whole, b""))

    def _ask(self) -> None:
        """Have the next chunks come; beyond `stop` only what is read at once."""
        while self._next < self._file.size and len(self._coming) < CHUNKS_AHEAD:
            if self._next >= self._stop and self._coming:
                return
            end = min(self._next + CHUNK_BYTES, self._file.size)
            self._coming.append(self._pool.submit(_get, self._file, self._next, end))
            self._next = end

    def close(self) -> None:
        """Ask for nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        super().close()


class SmallObjects:
    """Small objects of one task, in their order; some are asked for ahead."""

    def __init__(self, files: Iterable[InputFile]) -> None:
        self._pool = ThreadPoolExecutor(SMALL_AHEAD)
        self._files = iter(files)
        self._coming: dict[bytes, Future[Any]] = {}

    def read(self, file: InputFile, view: memoryview) -> None:
        """Read a whole object into `view`, which is as long; raises as `ObjectReader` does."""
        while file.path not in self._coming or len(self._coming) < SMALL_AHEAD:
            following = next(self._files, None)
            if following is None:
                break
            self._coming[following.path] = self._pool.submit(_get, following, 0, following.size)
        view[:] = self._coming.pop(file.path).result()

    def close(self) -> None:
        """Ask for nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def examine(name: bytes) -> InputFile:
    """One object.

    Raises:
        OSError: it is not there, or cannot be examined.
    """
    root, path = place_of(name)
    return _as_file(root, again(store_at(root).head, path))


def list_url(name: bytes, listing: Listing) -> list[InputFile]:
    """The objects that a URL names: one, all below a prefix that are to be read by their names, or those of a glob.

    Raises:
        InputError: there is none, or the store refuses.
    """
    root, path = place_of(name)
    url = os.fsdecode(name)
    try:
        if root.startswith("http"):
            return [examine(name)]
        magic = re.search(r"[*?\[]", path)
        if magic is None:
            if path and not path.endswith("/"):
                try:
                    return [examine(name)]
                except FileNotFoundError:
                    pass
            prefix = path.rstrip("/")
            metas = [meta for meta in _list(root, prefix) if _is_wanted(meta["path"][len(prefix) :], listing)]
            metas = _without_results(metas)
        else:
            pattern = _pattern(path)
            metas = [
                meta for meta in _list(root, path[: path.rfind("/", 0, magic.start()) + 1]) if pattern(meta["path"])
            ]
    except OSError as error:
        raise InputError(f"{shown(url)}: {error.strerror}. Check the URL, the credentials and the endpoint.") from None
    if not metas:
        raise InputError(f"{shown(url)}: no such object, and none below it. Check the bucket and the path.")
    return sorted((_as_file(root, meta) for meta in metas), key=lambda file: file.name)


def _list(root: str, prefix: str) -> Iterator[dict[str, Any]]:
    """All objects below a prefix; its first level of folders is listed side by side."""
    store = store_at(root)
    top = again(store.list_with_delimiter, prefix or None)
    yield from top["objects"]

    def below(folder: str) -> list[Any]:
        return [meta for page in store.list(folder) for meta in page]

    with ThreadPoolExecutor(LISTINGS) as pool:
        for metas in pool.map(lambda folder: again(below, folder), top["common_prefixes"]):
            yield from metas


def _is_wanted(below: str, listing: Listing) -> bool:
    wanted = below.lower().encode().endswith(SUFFIXES) and not re.search(r"(^|/)\.", below)
    listing.count()
    listing.left_out += not wanted and not below.endswith(f"/{MARKER.decode()}")
    return wanted or below.endswith(f"/{MARKER.decode()}")


def _without_results(metas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what lies in earlier result directories, which are known by their marker."""
    marker = f"/{MARKER.decode()}"
    results = tuple(meta["path"].removesuffix(marker[1:]) for meta in metas if meta["path"].endswith(marker))
    return [meta for meta in metas if not meta["path"].startswith(results)] if results else metas


def _pattern(path: str) -> Any:
    """A glob as a test of keys: `*` and `?` within a folder, `**` across; hidden ones only where it says so."""
    parts = {"**/": "(?:(?!\\.)[^/]+/)*", "*": "(?:(?<!/)|(?!\\.))[^/]*", "?": "[^/]"}
    expression = "".join(
        parts.get(token) or (token if token.startswith("[") else re.escape(token))
        for token in re.findall(r"\*\*/|\*|\?|\[[^\]]+\]|.", path, re.DOTALL)
    )
    return re.compile(expression.replace("[!", "[^"), re.DOTALL).fullmatch


def _as_file(root: str, meta: dict[str, Any]) -> InputFile:
    url = f"{root}/{meta['path']}".encode()
    mtime_ns = round(meta["last_modified"].timestamp()) * 1_000_000_000
    return object_file(url, url, meta["size"], mtime_ns, meta["e_tag"])
