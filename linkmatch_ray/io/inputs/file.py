"""A file of the plan, with its fingerprint from when the plan was made; and the list of all files."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec
import xxhash

from linkmatch_ray.io.storage.fingerprint import in_64_bits

SIZE_MAX: Final = 1 << 50
"""A longer file is an entry. No disk or store holds one, but a sparse file or a header may claim it."""

MEMBER: Final = b"\0"
"""Stands before and behind the place of a member. No resolved path and no URL begins with it."""

PROGRESS_SECONDS: Final = 0.2
"""Seconds between two reports of a listing's progress."""


class InputFile(NamedTuple):
    """One file of the plan.

    Attributes:
        name: The path or URL as the user named it; the file's name in outputs.
        path: The resolved path, or the URL; its identity, and what is opened. That of a member of an archive has its
            place in there in front, between two NULs (`archives/member.py`).
        size, mtime_ns, inode, etag, ctime_ns: Its fingerprint; size in bytes. A file has inode and ctime (0 otherwise),
            an object the ETag, a member those of its archive, but a size of its own. All of them fit 64 bits. Size,
            mtime and inode are -1 if it cannot be read.
        fault: None, or why it cannot be read: an error's text, or what it is instead of a file.
        reason: The code of a fault that lies in the bytes of an archive; else None.
    """

    name: bytes
    path: bytes
    size: int
    mtime_ns: int
    inode: int
    fault: str | None = None
    etag: str | None = None
    ctime_ns: int = 0
    reason: str | None = None

    def is_same(self, other: InputFile) -> bool:
        """Returns whether it has the name, path and fingerprint of the other."""
        return self._replace(fault=None, reason=None) == other._replace(fault=None, reason=None)

    @property
    def stored_at(self) -> bytes:
        """The path or URL of the file or object that it is, or is in."""
        return self.path.split(MEMBER, 2)[2] if self.is_member else self.path

    @property
    def is_member(self) -> bool:
        """Whether it is a member of an archive."""
        return self.path.startswith(MEMBER)

    @property
    def has_validator(self) -> bool:
        """Whether other content would give it another fingerprint: a file has its ctime, an object a strong ETag."""
        if self.stored_at.startswith(b"/"):  # resolved, while an object's path is its URL
            return True
        return self.etag is not None and not self.etag.startswith("W/") and self.etag.strip('"') != ""


_decoder = msgspec.msgpack.Decoder(list[InputFile])


def pack_files(files: list[InputFile]) -> bytes:
    """Packs files for transport, in a tenth of the time of pickling. There may be millions."""
    return msgspec.msgpack.encode(files)


def unpack_files(packed: bytes) -> list[InputFile]:
    """Unpacks what `pack_files` has packed."""
    return _decoder.decode(packed)


def inputs_digest(files: Iterable[InputFile]) -> str:
    """Returns a digest that changes if any input is another file, another version of it, or in another place."""
    digest = xxhash.xxh3_128()
    for file in files:
        etag = (file.etag or "").encode()
        fingerprint = (len(file.name), len(etag), file.size, file.mtime_ns, file.ctime_ns, file.inode)
        digest.update(b"%d %d %d %d %d %d %s%s" % (*fingerprint, file.name, etag))
    return digest.hexdigest()


def local_file(name: bytes, path: bytes, status: os.stat_result) -> InputFile:
    """Returns a file as the system describes it."""
    if not stat.S_ISREG(status.st_mode):
        return InputFile(name, path, -1, -1, -1, "not a regular file")
    mtime_ns, inode, ctime_ns = map(in_64_bits, (status.st_mtime_ns, status.st_ino, status.st_ctime_ns))
    return _of_a_size(InputFile(name, path, status.st_size, mtime_ns, inode, ctime_ns=ctime_ns))


def object_file(name: bytes, path: bytes, size: int, mtime_ns: int, etag: str | None) -> InputFile:
    """Returns an object as its store describes it; `mtime_ns` is 0 if the store gives no date."""
    return _of_a_size(InputFile(name, path, size, in_64_bits(mtime_ns), 0, etag=etag))


def _of_a_size(file: InputFile) -> InputFile:
    """Returns the file, or a faulty one if no file can have its size."""
    if 0 <= file.size <= SIZE_MAX:
        return file
    found = "larger than any file can be" if file.size > 0 else "smaller than any file can be"
    fault = f"{file.size:,} bytes: {found} (0 to {SIZE_MAX:,})"
    return InputFile(file.name, file.path, -1, -1, -1, fault)


@dataclass(slots=True)
class Listing:
    """All files of a job, in order, each once; and the number of files that were left out by name.

    Attributes:
        found: Files found so far, some of them perhaps twice.
        on_progress, next_progress: Called with `found` now and then, and the time of the next call.
        moved: For each URL that redirects to another host, that host.
    """

    files: list[InputFile] = field(default_factory=list)
    left_out: int = 0
    found: int = 0
    on_progress: Callable[[int], None] | None = None
    next_progress: float = 0.0
    moved: dict[bytes, str] = field(default_factory=dict)

    def count(self, more: int = 1) -> None:
        """Counts further files."""
        self.found += more
        if self.on_progress is not None and (now := time.monotonic()) >= self.next_progress:
            self.next_progress = now + PROGRESS_SECONDS
            self.on_progress(self.found)
