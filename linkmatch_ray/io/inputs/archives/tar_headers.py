"""The headers of a tar: its members, and what is wrong with them (POSIX's pax, with what GNU and others add)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.structure import NEWLINE
from linkmatch_ray.io.inputs.archives.content import Content
from linkmatch_ray.io.inputs.archives.member import TAR, Found, Member

HEADER_BYTES: Final = 512

EXTENSION_BYTES_MAX: Final = 16 << 20
"""Maximum size of a long name or of pax records, in bytes. Real ones have some hundred."""

_ZEROS: Final = bytes(HEADER_BYTES)
_MAGIC: Final = slice(257, 263)
_CHECKSUM: Final = slice(148, 156)

_EXTENSIONS: Final = b"xgLKX"
_FILES: Final = b"\x0007"
_LINKS: Final = b"123456"
_FOLDERS: Final = b"5D"
_WITHOUT_DATA: Final = _LINKS + b"5"
_SPARSE: Final = b"S"
_OTHERS: Final = {b"S": "a sparse file", b"M": "a file that began in another archive"}
_NO_MEMBERS: Final = b"VN"

_RECORD: Final = re.compile(rb"([0-9]{1,20}) ([^=]+)=")
_OCTAL: Final = re.compile(rb"[ \0]*([0-7]*)(?:[ \0]|$)")


class _Wrong(Exception):  # noqa: N818 - a finding
    """Nothing behind this place can be found."""


def begins_like_tar(head: bytes) -> bool:
    """Returns whether content that begins with `head` is a tar: its first header has the right checksum.

    A header that is marked as one may have another, or be cut short, if it cannot be text.
    """
    header = head[:HEADER_BYTES]
    if b"\0" not in header[: _MAGIC.start]:
        return False
    is_whole = len(header) == HEADER_BYTES
    return (is_whole and _is_sound(header)) or header[_MAGIC] in (b"ustar\0", b"ustar ")


def members_in(content: Content, kind: str, archive_bytes: int) -> Iterator[Found]:
    """Yields the members of a tar in their order, folders too; and what is wrong.

    Zeros between members are passed over, so that several archives one after another are one.
    """
    reader = _Reader(content, kind, archive_bytes)
    try:
        yield from reader.members()
    except _Wrong as wrong:
        yield Found(None, reader.whole, "corrupt_tar", str(wrong))
    except Damage as damage:
        yield Found(None, reader.whole, damage.reason, damage.message)


class _Extension(NamedTuple):
    """What extension headers say of the member behind them."""

    name: bytes | None = None
    size: int | None = None
    is_sparse: bool = False


class _Reader:
    def __init__(self, content: Content, kind: str, archive_bytes: int) -> None:
        self._content, self._kind, self._archive_bytes = content, kind, archive_bytes
        self.whole = Member(kind, 0, archive_bytes, 0, archive_bytes)
        self._everywhere = _Extension()

    def members(self) -> Iterator[Found]:
        at, number, has_end = 0, 0, False
        own = _Extension()
        while header := self._content.bytes_at(at, HEADER_BYTES):
            if len(header) < HEADER_BYTES:
                yield self._cut("a tar that ends within a header")
                return
            if header == _ZEROS:
                has_end, at = True, at + HEADER_BYTES  # not many at once: no step back is cheap everywhere
                continue
            if not _is_sound(header):
                raise _Wrong("no member begins where the one before it ends" if at else "its first header is damaged")
            has_end, kind, at = False, header[156:157], at + HEADER_BYTES
            size = self._size(header, own)
            if kind in _EXTENSIONS:
                own = self._extended(kind, at, size, own)
                at = _behind(at, size)
                continue
            if kind in _SPARSE:
                at = self._behind_map(header, at)
            found = self._found(header, kind, at, size, own, number)
            at, number, own = _behind(at, 0 if kind in _WITHOUT_DATA else size), number + 1, _Extension()
            if found is not None:
                yield found
                if found.member.missing:
                    return
        if not has_end:
            yield self._cut("a tar without its end: members may be missing")

    def _cut(self, fault: str) -> Found:
        return Found(None, self.whole, "truncated_tar", fault)

    def _size(self, header: bytes, own: _Extension) -> int:
        size = _number(header[124:136])
        for extension in (own, self._everywhere):
            if extension.size is not None:
                size = extension.size
                break
        if size is None or size < 0:
            raise _Wrong("a member's size is impossible")
        return size

    def _found(self, header: bytes, kind: bytes, at: int, size: int, own: _Extension, number: int) -> Found | None:
        """Returns a member, or None for what is none."""
        name = next((each.name for each in (own, self._everywhere) if each.name is not None), None)
        if name is None:
            name = _name(header)
        if kind in _WITHOUT_DATA:
            size = 0
        there = self._there(at, size)
        member = Member(self._kind, number, self._archive_bytes, at, there, missing=size - there)
        if kind in _FOLDERS or (kind in _FILES and name.endswith(b"/")):
            return Found(name.rstrip(b"/") + b"/", member)
        if kind in _NO_MEMBERS:
            return Found(b"/", member)
        if kind in _LINKS:
            return Found(name, member, "not_a_file", "a link or a device in an archive")
        if kind in _OTHERS or own.is_sparse:
            what = _OTHERS.get(kind, "a sparse file")
            return Found(name, member, "unsupported_member", f"{what}, which is not read from archives")
        return Found(name, member)

    def _there(self, at: int, size: int) -> int:
        """Returns how many of a member's bytes are there."""
        if self._kind == TAR:
            return max(0, min(size, self._archive_bytes - at))
        try:
            if not size or self._content.bytes_at(at + size - 1, 1):
                return size
        except Damage as damage:
            if not damage.reason.startswith(("truncated_", "corrupt_")):  # corrupt data may be salvaged
                raise
        return max(0, self._content.at - at)

    def _extended(self, kind: bytes, at: int, size: int, own: _Extension) -> _Extension:
        """Returns what is known of the next member, with what an extension header adds."""
        if size > EXTENSION_BYTES_MAX:
            raise _Wrong(f"a name or a list of attributes of {size} bytes")
        content = self._content.bytes_at(at, size)
        if len(content) < size:
            return own  # the next header is not there either
        if kind == b"L":
            return own._replace(name=content.rstrip(b"\0"))
        if kind == b"K":
            return own
        if kind == b"g":
            self._everywhere = _with_records(self._everywhere, content)
            return own
        return _with_records(own, content)

    def _behind_map(self, header: bytes, at: int) -> int:
        """Returns where the data of GNU's old sparse files begins, behind the map of their holes."""
        is_more = header[482]
        while is_more:
            more = self._content.bytes_at(at, HEADER_BYTES)
            is_more = more[504] if len(more) == HEADER_BYTES else 0
            at += HEADER_BYTES
        return at


def _with_records(known: _Extension, content: bytes) -> _Extension:
    """Adds pax records: each is its own length, a name and a value."""
    at = 0
    while at < len(content) and content[at]:
        head = _RECORD.match(content, at)
        end = at + int(head[1]) if head else 0
        if head is None or not head.end() < end <= len(content) or content[end - 1] != NEWLINE:
            raise _Wrong("a member's list of attributes is damaged")
        value = content[head.end() : end - 1]
        if head[2] in (b"path", b"GNU.sparse.name"):
            known = known._replace(name=value or None)
        elif head[2] == b"size":
            known = known._replace(size=_decimal(value))
        if head[2].startswith(b"GNU.sparse."):
            known = known._replace(is_sparse=True)
        at = end
    return known


def _decimal(value: bytes) -> int | None:
    """Returns a size of pax records: none if it is empty, below 0 if it is no number."""
    return (int(value) if value.isdigit() and len(value) < 20 else -1) if value else None


def _behind(at: int, size: int) -> int:
    return at + -(-size // HEADER_BYTES) * HEADER_BYTES


def _name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0] if header[_MAGIC] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _number(field: bytes) -> int | None:
    """Returns a number: in octal digits, or in the field's bits if the first of them is set. None if it is none."""
    if field[0] == 0xFF:
        return int.from_bytes(field, "big", signed=True)
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    found = _OCTAL.match(field)
    return int(found[1] or b"0", 8) if found else None


def _is_sound(header: bytes) -> bool:
    """Returns whether a header has its checksum: the sum of its bytes, which some programs take as signed."""
    field = header[_CHECKSUM]
    total = sum(header) - sum(field) + len(field) * ord(" ")
    return _number(field) in (
        total,
        total - 256 * sum(map((0x80).__le__, header[: _CHECKSUM.start] + header[_CHECKSUM.stop :])),
    )
