"""A member of an archive: where it lies, and how that is written into the path of an `InputFile`."""

from __future__ import annotations

from typing import Final, NamedTuple

from linkmatch_ray.core.damage import DamageReason
from linkmatch_ray.io.inputs.file import MEMBER, InputFile

ZIP: Final = "zip"
TAR: Final = "tar"
PACKED_TAR: Final = "packed-tar"
"""The kinds of archives. A packed tar is compressed as a whole, so that it can only be read from its beginning."""


class CorruptMember(Exception):  # noqa: N818 - a finding, not a failure
    """A member whose content is not what the archive says of it. Its text says what was found."""


class Member(NamedTuple):
    """The place of a member in an archive.

    Attributes:
        kind: Of the archive.
        number: Its position in the archive, from 0. It distinguishes members of one name.
        archive_bytes: Size of the archive, as stored.
        offset: Where it begins: a tar's content, in the archive or what that decompresses to, or a zip's local header.
        size: Bytes of its content.
        stored: Bytes that it takes in a zip, compressed.
        stop: Where something else begins in a zip, at the latest.
        method: How it is compressed in a zip.
        crc: CRC-32 of its content in a zip.
        missing: Bytes of its content that are missing, because the archive ends within it.
    """

    kind: str
    number: int
    archive_bytes: int
    offset: int
    size: int
    stored: int = 0
    stop: int = 0
    method: int = 0
    crc: int = 0
    missing: int = 0

    @property
    def can_be_sought(self) -> bool:
        """Whether any byte of it can be read without those before it."""
        return self.kind == TAR and not self.missing


class Found(NamedTuple):
    """What was found in an archive: a member, or what is wrong with the archive itself.

    Attributes:
        name: Of the member, as the archive has it; None for the archive itself.
        reason, fault: Why it cannot be read.
    """

    name: bytes | None
    member: Member
    reason: DamageReason | None = None
    fault: str | None = None


def member_of(file: InputFile) -> Member | None:
    """Returns the place of a member; None for a file that is none."""
    if not file.is_member:
        return None
    kind, *numbers = file.path.split(MEMBER, 2)[1].decode().split(" ")
    return Member(kind, *map(int, numbers))


_IN_PACKED_TAR: Final = MEMBER + PACKED_TAR.encode()


def packed_in(file: InputFile) -> bytes | None:
    """Returns the packed tar that a file is a member of. All its members are read in one pass."""
    return file.stored_at if file.path.startswith(_IN_PACKED_TAR) else None


def is_near(file: InputFile, nbytes: int) -> bool:
    """Returns whether a file can be read without passing over more than `nbytes`."""
    member = member_of(file) if packed_in(file) else None
    return member is None or member.offset <= nbytes


def archive_of(file: InputFile, member: Member) -> InputFile:
    """Returns the archive of a member, as it was when the plan was made."""
    return InputFile(
        file.stored_at, file.stored_at, member.archive_bytes, file.mtime_ns, file.inode, None, file.etag, file.ctime_ns
    )


def file_of(archive: InputFile, found: Found) -> InputFile:
    """Returns what was found in an archive as a file of the job."""
    if found.name is None:
        return archive._replace(fault=found.fault, reason=found.reason)
    place = " ".join(map(str, found.member)).encode()
    return archive._replace(
        name=archive.name + b"!" + found.name,
        path=MEMBER + place + MEMBER + archive.path,
        size=found.member.size if found.fault is None else min(found.member.size, archive.size),
        fault=found.fault,
        reason=found.reason,
    )
