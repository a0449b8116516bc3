"""The directory at the end of a zip: its members, in its order, and what is wrong with them (PKWARE's APPNOTE)."""

from __future__ import annotations

import binascii
import stat
from collections.abc import Iterator
from struct import Struct, error
from typing import Final, NamedTuple

from linkmatch_ray.io.inputs.archives.content import Content
from linkmatch_ray.io.inputs.archives.member import ZIP, Found, Member
from linkmatch_ray.io.inputs.archives.methods import METHODS, NAMES
from linkmatch_ray.io.inputs.archives.streams import LOCAL_HEADER, LOCAL_MAGIC

_END: Final = Struct("<4s4H2LH")
_END_MAGIC: Final = b"PK\x05\x06"
_LOCATOR: Final = Struct("<4sLQL")
_LOCATOR_MAGIC: Final = b"PK\x06\x07"
_END_64: Final = Struct("<4sQ2H2L4Q")
_END_64_MAGIC: Final = b"PK\x06\x06"
_HEADER: Final = Struct("<4s6H3L5H2L")
_HEADER_MAGIC: Final = b"PK\x01\x02"

MAGICS: Final = (LOCAL_MAGIC, _END_MAGIC, b"PK\x07\x08" + LOCAL_MAGIC, b"PK00" + LOCAL_MAGIC)
"""How a zip may begin: with a member, or the end if it has none. A mark in front is of one that was to be split."""

COMMENT_BYTES_MAX: Final = (1 << 16) - 1

READ_BYTES: Final = 4 << 20
"""Bytes of the directory that are read at a time. A header takes up to three times 64 KiB."""

_HEADER_BYTES_MAX: Final = _HEADER.size + 3 * COMMENT_BYTES_MAX

_ENCRYPTED, _UTF_8, _ALL_32, _ALL_16 = 1, 1 << 11, (1 << 32) - 1, (1 << 16) - 1
_UNIX: Final = 3
_ZIP_64_EXTRA: Final = 1
_PATH_EXTRA: Final = 0x7075


class _Directory(NamedTuple):
    """The directory as its end describes it.

    Attributes:
        start, end: Where it lies in the file.
        members: How many members it says it has.
        shift: Bytes in front of the archive. All offsets are less by it.
    """

    start: int
    end: int
    members: int
    shift: int


class _Row(NamedTuple):
    """A header of the directory."""

    name: bytes
    start: int
    stored: int
    size: int
    method: int
    crc: int
    is_encrypted: bool
    mode: int


def ends_like_zip(content: Content, size: int) -> bool:
    """Returns whether a file ends with the directory of a zip. What it begins with does not count."""
    return isinstance(_find(content, size), _Directory)


def members_in(content: Content, size: int) -> Iterator[Found]:
    """Yields the members of a zip of `size` bytes in the order of its directory, folders too; and what is wrong."""
    directory = _find(content, size)
    whole = Member(ZIP, 0, size, 0, size)
    if isinstance(directory, str):
        reason = "truncated_zip" if directory == _NO_END else "corrupt_zip"
        yield Found(None, whole, reason, directory)  # type: ignore[arg-type]
        return
    rows, fault = [], None
    try:
        for row in _rows(content, directory):
            rows.append(row)
    except _Wrong as wrong:
        fault = str(wrong)
    stops, overlapping = _stops(rows, directory.start)
    for number, row in enumerate(rows):
        stop = stops[number]
        member = Member(ZIP, number, size, row.start, row.size, row.stored, stop, row.method, row.crc)
        yield _found(row, member, is_overlapping=number in overlapping)
    if fault is None and len(rows) & _ALL_16 != directory.members & _ALL_16:
        fault = f"its directory has {len(rows)} members, its end says {directory.members}"
    if fault is not None:
        yield Found(None, whole, "corrupt_zip", fault)


def _found(row: _Row, member: Member, *, is_overlapping: bool) -> Found:
    if row.is_encrypted or row.method == 99:
        return Found(row.name, member, "encrypted", "encrypted")
    if stat.S_IFMT(row.mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return Found(row.name, member, "not_a_file", "a link or a device in an archive")
    if is_overlapping:
        return Found(row.name, member, "overlapping", "it lies where another member of the archive does")
    if member.stop <= member.offset:
        return Found(row.name, member, "corrupt_zip", "it is said to begin behind the archive's members")
    if member.method not in METHODS:
        name = f" ({NAMES[member.method]})" if member.method in NAMES else ""
        return Found(row.name, member, "unsupported_member", f"compressed with method {member.method}{name}")
    return Found(row.name, member)


_NO_END: Final = "a zip without its end, where the directory is: it was cut short"


def _find(content: Content, size: int) -> _Directory | str:
    """Returns the directory, or what is wrong."""
    low = max(0, size - COMMENT_BYTES_MAX - _END.size - _LOCATOR.size - _END_64.size)
    tail = content.bytes_at(low, size - low)
    places, at = [], len(tail)
    while (at := tail.rfind(_END_MAGIC, 0, at + len(_END_MAGIC) - 1)) >= 0:
        if at + _END.size <= len(tail):
            places.append(at)
    wrong, found = _NO_END, None
    # First those behind whose comment nothing follows. A comment may hold anything, also another zip with its end.
    for at in sorted(places, key=lambda at: not _ends_at(tail, at)):
        if found is not None and not _ends_at(tail, at):
            break
        each = _directory_at(content, tail, low, at)
        if isinstance(each, str):
            wrong = each if wrong == _NO_END else wrong
        elif found is None or each.shift < found.shift:
            found = each
        if found is not None and not found.shift:
            break
    if found is None:
        return wrong
    is_inner = found.shift > 0 and content.bytes_at(0, len(LOCAL_MAGIC)) == LOCAL_MAGIC
    return _NO_END if is_inner else found  # that of a zip which was the last member


def _ends_at(tail: bytes, at: int) -> bool:
    """Returns whether the comment of the end that may begin at a place reaches to the end of the file."""
    return at + _END.size + int(_END.unpack_from(tail, at)[-1]) == len(tail)


def _directory_at(content: Content, tail: bytes, low: int, at: int) -> _Directory | str:
    """Returns the directory whose end may begin at a place of the file's last bytes, or what is wrong."""
    _, disk, first_disk, _, count, size, offset, _ = _END.unpack_from(tail, at)
    end = low + at
    if at >= _LOCATOR.size and tail.startswith(_LOCATOR_MAGIC, at - _LOCATOR.size):
        *_, where, _ = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)
        for place in (where, end - _LOCATOR.size - _END_64.size):  # the second if something precedes the archive
            head = content.bytes_at(place, _END_64.size) if 0 <= place < end else b""
            if len(head) == _END_64.size and head.startswith(_END_64_MAGIC):
                *_, disk, first_disk, _, count, size, offset = _END_64.unpack(head)
                end = place
                break
    elif disk or first_disk:
        return "one of several files of an archive"
    start = end - size
    if start < offset:
        return "its directory does not lie where its end says"
    if size and content.bytes_at(start, len(_HEADER_MAGIC)) != _HEADER_MAGIC:
        return "its directory does not lie where its end says"
    return _Directory(start, end, count, start - offset)


class _Wrong(Exception):  # noqa: N818 - a finding
    """The directory cannot be read on."""


def _rows(content: Content, directory: _Directory) -> Iterator[_Row]:
    at, data = directory.start, b""
    place = 0
    while at + place < directory.end:
        if len(data) - place < _HEADER_BYTES_MAX and at + len(data) < directory.end:
            at, data, place = at + place, data[place:], 0
            data += content.bytes_at(at + len(data), min(READ_BYTES, directory.end - at - len(data)))
        try:
            row, place = _row(data, place, directory.shift)
        except error:
            raise _Wrong("its directory is cut short") from None
        yield row


def _row(data: bytes, at: int, shift: int) -> tuple[_Row, int]:
    (
        magic,
        made_by,
        _,
        flags,
        method,
        _,
        _,
        crc,
        stored,
        size,
        name_size,
        extra_size,
        comment_size,
        _,
        _,
        mode,
        start,
    ) = _HEADER.unpack_from(data, at)
    if magic != _HEADER_MAGIC:
        raise _Wrong("its directory is damaged")
    name_end = at + _HEADER.size + name_size
    end = name_end + extra_size + comment_size
    if end > len(data):
        raise _Wrong("its directory is cut short")
    name = data[name_end - name_size : name_end]
    extra = data[name_end : name_end + extra_size]
    if _ALL_32 in (size, stored, start):
        size, stored, start = _in_64_bits(extra, size, stored, start)
    if not name.isascii() and not flags & _UTF_8:
        name = _name_in(extra, name) or _as_utf_8(name)
    is_unix = made_by >> 8 == _UNIX
    row = _Row(name, start + shift, stored, size, method, crc, bool(flags & _ENCRYPTED), mode >> 16 if is_unix else 0)
    return row, end


def _fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the extra fields of a header."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = int.from_bytes(extra[at : at + 2], "little"), int.from_bytes(extra[at + 2 : at + 4], "little")
        yield kind, extra[at + 4 : at + 4 + size]
        at += 4 + size


def _in_64_bits(extra: bytes, *values: int) -> list[int]:
    """Returns the values, those that did not fit 32 bits from the extra field that has them."""
    field = next((content for kind, content in _fields(extra) if kind == _ZIP_64_EXTRA), b"")
    found, at = [], 0
    for value in values:
        if value == _ALL_32 and at + 8 <= len(field):
            value = int.from_bytes(field[at : at + 8], "little")
            at += 8
        found.append(value)
    return found


def _name_in(extra: bytes, name: bytes) -> bytes | None:
    """Returns the name that an extra field has in UTF-8, if it is for this name (APPNOTE, 4.6.9)."""
    for kind, content in _fields(extra):
        if kind == _PATH_EXTRA and content[:1] == b"\x01":
            return content[5:] if int.from_bytes(content[1:5], "little") == binascii.crc32(name) else None
    return None


def _as_utf_8(name: bytes) -> bytes:
    """Returns a name whose encoding is not given: UTF-8, as many programs write, or else code page 437."""
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("cp437").encode()
    return name


def _stops(rows: list[_Row], end: int) -> tuple[list[int], set[int]]:
    """Returns up to where each member may reach, and which members lie where others do."""
    order = sorted(range(len(rows)), key=lambda number: rows[number].start)
    stops, overlapping = [0] * len(rows), set()
    following = end
    for number in reversed(order):
        stops[number] = following
        following = min(following, rows[number].start)
    furthest, holder = -1, -1
    for number in order:
        row = rows[number]
        if row.start < furthest:
            overlapping |= {number, holder}
        after = row.start + LOCAL_HEADER.size + row.stored  # without the name, which may be another there
        if after > furthest:
            furthest, holder = after, number
        if row.start < end < after:
            overlapping.add(number)
    return stops, overlapping
