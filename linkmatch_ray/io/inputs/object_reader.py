"""Reads planned objects by ranges, several at a time, and continues where a connection broke off."""

from __future__ import annotations

import errno
import io
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import Any, Final

from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.storage.errors import Changed, NoRanges
from linkmatch_ray.io.storage.object_store import Meta, Tries
from linkmatch_ray.io.storage.side_by_side import Pool
from linkmatch_ray.io.storage.stores import store_at
from linkmatch_ray.io.storage.transport import Answer, Unavailable
from linkmatch_ray.io.storage.urls import planned

REQUEST_BYTES: Final = 4 << 20
REQUESTS_AHEAD: Final = 4
"""Size of the requests for a large object, in bytes, and how many run at a time. One alone does not fill a line."""

SMALL_AHEAD: Final = 32
"""Concurrent requests for small objects."""


def _ask(file: InputFile, start: int, end: int) -> Answer:
    """Requests these bytes of an object, of the planned version."""
    url = planned(file.path)
    return store_at(url.root).get(url.key, start, end, Meta(url.key, file.size, file.mtime_ns, file.etag))


def _pieces(file: InputFile, start: int, end: int, buffer: memoryview) -> Iterator[memoryview]:
    """Yields the bytes `start..end` as they arrive, in `buffer`, and starts over when it is full.

    Raises:
        NoRanges: They are not all of the object, and the store gives only the whole.
        Changed: It is another version, or longer than this one.
    """
    with _ask(file, start, end) as answer:
        place = 0
        while start < end:
            count = answer.readinto(buffer[place : place + end - start])
            if not count:
                raise Unavailable("the answer was shorter than announced")
            start += count
            if start == end and answer.has_more():  # the answer did not announce its length
                if answer.status == 200:
                    raise Changed
                raise OSError(errno.EIO, "the answer has more bytes than were requested")
            yield buffer[place : place + count]
            place = (place + count) % len(buffer)


def _read_range(file: InputFile, start: int, end: int) -> memoryview:
    """Reads the bytes `start..end` of an object. What has arrived is not requested again.

    Raises:
        NoRanges: As `_pieces`.
    """
    view, at, tries = memoryview(bytearray(end - start)), start, Tries()
    while at < end:
        try:
            for piece in _pieces(file, at, end, view[at - start :]):
                at += len(piece)
                tries.got_on()
        except Unavailable as error:
            tries.failed(error)
    return view


def _read_whole(file: InputFile) -> memoryview:
    """Reads all bytes of an object."""
    try:
        return _read_range(file, 0, file.size)
    except NoRanges:  # for the rest after the connection broke
        return memoryview(b"".join(_stream(file, 0)))


def _stream(file: InputFile, start: int) -> Iterator[memoryview]:
    """Yields an object from byte `start` on, if the server gives only the whole.

    If the connection breaks off, it requests the object again, as often as `Tries` allows without anything new.
    """
    buffer, tries = memoryview(bytearray(REQUEST_BYTES)), Tries()
    while start < file.size:
        at = 0
        try:
            for piece in _pieces(file, 0, file.size, buffer):
                at += len(piece)
                if at > start:
                    yield memoryview(bytes(piece[len(piece) - (at - start) :]))
                    start = at
                    tries.got_on()
        except Unavailable as error:
            tries.failed(error)


class ObjectReader(io.RawIOBase):
    """A raw binary stream over a planned object, as `FileReader` is over a file. It reads ahead up to `stop`.

    Attributes:
        has_ranges: Ranges can be requested, as far as is known.

    Raises (from reading):
        Changed: The object is no longer the planned one.
        OSError: It cannot be read, not even after several attempts.
    """

    def __init__(self, file: InputFile, stop: int | None = None) -> None:
        self._file, self._stop = file, file.size if stop is None else min(stop, file.size)
        self._pool = Pool(REQUESTS_AHEAD)
        self._coming: deque[Future[memoryview]] = deque()
        self._current = memoryview(b"")
        self._next = self._read = 0  # first byte that was not requested, and not returned
        self._whole: Iterator[memoryview] | None = None
        self.has_ranges = True

    def head(self, size: int = 4) -> bytes:
        """Returns the first bytes, without moving."""
        try:
            return bytes(_read_range(self._file, 0, min(size, self._file.size)))
        except NoRanges:
            self.has_ranges = False
            head = b""
            for piece in _stream(self._file, 0):
                head += piece
                if len(head) >= size:
                    break
            return head[:size]

    def check(self) -> None:
        """Does nothing, because every answer was compared."""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves to a byte, and drops what was requested."""
        if whence == os.SEEK_CUR and not offset:  # as `tell` calls it
            return self._read
        offset += {os.SEEK_SET: 0, os.SEEK_CUR: self._read, os.SEEK_END: self._file.size}[whence]
        while self._coming:
            self._coming.pop().cancel()
        self._current, self._whole = memoryview(b""), None
        self._next = self._read = offset
        return offset

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def readinto(self, view: Any) -> int:
        """Reads up to the length of `view`; returns 0 at the end."""
        if not self._current:
            self._current = self._following()
        count = min(len(view), len(self._current))
        view[:count] = self._current[:count]
        self._current = self._current[count:]
        self._read += count
        return count

    def _following(self) -> memoryview:
        """Returns the next bytes; none at the end."""
        if self.has_ranges:
            self._ask_ahead()
            if not self._coming:
                return memoryview(b"")
            try:
                content = self._coming.popleft().result()
                self._ask_ahead()
                return content
            except NoRanges:
                self.has_ranges = False
        if self._whole is None:
            self._whole = _stream(self._file, self._read)
        return next(self._whole, memoryview(b""))

    def _ask_ahead(self) -> None:
        """Requests the next bytes ahead; beyond `stop` only what is read at once."""
        while self._next < self._file.size and len(self._coming) < REQUESTS_AHEAD:
            if self._next >= self._stop and self._coming:
                return
            end = min(self._next + REQUEST_BYTES, self._file.size)
            self._coming.append(self._pool.submit(_read_range, self._file, self._next, end))
            self._next = end

    def close(self) -> None:
        """Requests nothing more."""
        self._pool.close()
        super().close()


class SmallObjects:
    """The small objects of one task, in order. Some are requested ahead."""

    def __init__(self, files: Iterable[InputFile]) -> None:
        self._pool = Pool(SMALL_AHEAD)
        self._files = iter(files)
        self._coming: dict[bytes, Future[memoryview]] = {}

    def read(self, file: InputFile, view: memoryview) -> None:
        """Reads a whole object into `view`, which is as long; raises as `ObjectReader` does."""
        while file.path not in self._coming or len(self._coming) < SMALL_AHEAD:
            following = next(self._files, None)
            if following is None:
                break
            self._coming[following.path] = self._pool.submit(_read_whole, following)
        view[:] = self._coming.pop(file.path).result()

    def close(self) -> None:
        """Requests nothing more."""
        self._pool.close()
