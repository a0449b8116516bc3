"""Raw streams over members of archives, as `FileReader` is one over a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from struct import Struct
from typing import Any, Final, Self

from isal import isal_zlib

from linkmatch_ray.core.damage import Corrupt, Damage
from linkmatch_ray.io.inputs.archives.content import Content
from linkmatch_ray.io.inputs.archives.member import CorruptMember, Member
from linkmatch_ray.io.inputs.archives.methods import METHODS, Stored
from linkmatch_ray.io.storage.errors import Changed

LOCAL_HEADER: Final = Struct("<4s5H3L2H")
LOCAL_MAGIC: Final = b"PK\x03\x04"

READ_BYTES: Final = 1 << 16
"""Bytes of a zip that are read at a time. Most members are smaller, and need one read."""


class MemberStream(ABC):
    """A raw binary stream over a member.

    Attributes:
        owns: Whether to close the archive with the stream.

    Raises (from reading and `check`):
        Changed: The archive is no longer the planned one.
        OSError: It cannot be read.
    """

    def __init__(self, content: Content, member: Member) -> None:
        self._content, self._member, self.owns = content, member, False
        self._at = 0

    @property
    def has_ranges(self) -> bool:
        return self._member.can_be_sought

    def readinto(self, view: Any) -> int:
        """Reads up to the length of `view`; returns 0 at the end.

        Raises:
            Damage: The archive ends within the member, and all that is there was read.
        """
        count = self._fill(memoryview(view))
        if not count and len(view) and self._member.missing:
            raise Damage("truncated_tar", "the archive ends within this member")
        return count

    def read(self, size: int = -1) -> bytes:
        """Reads up to `size` bytes. Where the archive ends is an end, because a decoder finds by itself that its data
        is cut."""
        left = self._member.size - self._at
        data = bytearray(max(1, min(size, left) if size >= 0 else left))
        return bytes(data[: self._fill(memoryview(data))])

    def seek(self, offset: int) -> None:
        """Moves to a byte."""
        self._at = min(offset, self._member.size)

    def head(self, size: int = 4) -> bytes:
        """Returns the first bytes. The stream is then at its beginning."""
        self.seek(0)
        head = self.read(min(size, self._member.size))
        self.seek(0)
        return head

    def check(self) -> None:
        """Compares the archive with the plan."""
        self._content.check()

    def close(self) -> None:
        """Closes the archive if it is only for this stream."""
        if self.owns:
            self._content.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @abstractmethod
    def _fill(self, view: memoryview) -> int:
        """Reads up to the length of `view`."""


class TarMemberStream(MemberStream):
    """A stream over a member of a tar: some bytes in a row."""

    def _fill(self, view: memoryview) -> int:
        wanted = min(len(view), self._member.size - self._at)
        try:
            count = self._content.fill(self._member.offset + self._at, view[:wanted]) if wanted else 0
        except (Damage, Corrupt):  # the listing has read this far
            raise Changed from None
        if count < wanted:
            raise Changed
        self._at += count
        return count


class _Span:
    """Some bytes of an archive in a row, which begin with a local header."""

    def __init__(self, content: Content, member: Member) -> None:
        self._content, self._at, self._stop = content, member.offset, member.stop
        self._buffer = content.bytes_at(self._at, min(READ_BYTES, self._stop - self._at))
        self._at += len(self._buffer)
        if len(self._buffer) < LOCAL_HEADER.size or not self._buffer.startswith(LOCAL_MAGIC):
            raise CorruptMember("no member begins where the archive says")
        *_, name, extra = LOCAL_HEADER.unpack_from(self._buffer)
        begin = LOCAL_HEADER.size + name + extra
        data = member.offset + begin
        if data + member.stored > self._stop:
            raise CorruptMember("it overlaps with what follows it in the archive")
        self._stop = data + member.stored
        if begin > len(self._buffer):
            self._at, begin = data, len(self._buffer)
        self._buffer = self._buffer[begin : begin + member.stored]

    def read(self, size: int) -> bytes:
        if not self._buffer and self._at < self._stop:
            self._buffer = self._content.bytes_at(self._at, min(max(size, READ_BYTES), self._stop - self._at))
            self._at += len(self._buffer)
            if not self._buffer:
                raise Changed
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data


class ZipMemberStream(MemberStream):
    """A stream over the decompressed content of a member of a zip.

    Raises (from reading):
        Corrupt: The content is not what the archive says. This may be found at its end only. To salvage it, it is a
            `Damage` that is raised after all content.
    """

    def __init__(self, content: Content, member: Member, *, salvage: bool) -> None:
        super().__init__(content, member)
        self._source: Stored | None = None
        self._crc, self._salvages = 0, salvage

    def _fill(self, view: memoryview) -> int:
        member, filled = self._member, 0
        wanted = min(len(view), member.size - self._at)
        try:
            source = self._begun()
            while filled < wanted:
                data = source.read(wanted - filled)
                if not data:
                    raise CorruptMember(f"it has {self._at + filled} bytes; the archive says {member.size}")
                view[filled : filled + len(data)] = data
                filled += len(data)
            if not wanted and len(view):
                self._end(source)
        except CorruptMember as found:
            damage = Damage("corrupt_zip", str(found))
            if not self._salvages:
                raise Corrupt(damage, member.size) from None
            if not filled:
                raise damage from None
        self._crc = isal_zlib.crc32(view[:filled], self._crc)
        self._at += filled
        return filled

    def _begun(self) -> Stored:
        if self._source is None:
            member, self._crc = self._member, 0
            self._source = METHODS[member.method](_Span(self._content, member), member.size)
        return self._source

    def _end(self, source: Stored) -> None:
        if source.read(1):
            raise CorruptMember(f"it has more than the {self._member.size} bytes that the archive says")
        if self._crc != self._member.crc:
            raise CorruptMember("its checksum is wrong")

    def seek(self, offset: int) -> None:
        self._source, self._at = None, 0
        while self._at < min(offset, self._member.size):
            self.read(min(READ_BYTES, offset - self._at))
