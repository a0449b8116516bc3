"""Archives as programs make them, and as nobody should: zips and tars from names and contents."""

import io
import tarfile
import zipfile
import zlib
from struct import pack

import zstandard


def zip_of(members, method=zipfile.ZIP_DEFLATED, *, prefix=b"", comment=b""):
    """A zip of (name, content) pairs. Names may be the same."""
    made = io.BytesIO()
    made.write(prefix)
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in members:
            archive.NameToInfo.clear()  # or it warns of members of one name
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content, method)
        archive.comment = comment
    return made.getvalue()


def streamed_zip(members):
    """A zip whose sizes stand behind the content of each member, as a program writes it that cannot seek."""

    class Pipe(io.RawIOBase):
        content = b""

        def writable(self):
            return True

        def write(self, data):
            self.content += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return pipe.content


def raw_zip(rows, *, end=None, tail=b""):
    """A zip written field by field. A row has `name`, `content`, and what differs from a sound member: `data` (as
    stored), `method`, `flags`, `crc`, `size`, `stored`, `at`, `mode`, `extra`, `local` (nothing is stored if None)."""
    out, directory = b"", b""
    for row in rows:
        name, content = row["name"], row.get("content", b"")
        data, method = row.get("data", content), row.get("method", 0)
        crc, size = row.get("crc", zlib.crc32(content)), row.get("size", len(content))
        stored, flags, at = row.get("stored", len(data)), row.get("flags", 0), row.get("at", len(out))
        extra = row.get("extra", b"")
        numbers = (crc, min(stored, 0xFFFFFFFF), min(size, 0xFFFFFFFF))
        if row.get("local", True):
            out += pack("<4s5H3L2H", b"PK\3\4", 20, flags, method, 0, 33, *numbers, len(name), 0) + name + data
        made_by = 3 << 8 | 20
        mode = row.get("mode", 0o100644) << 16
        head = (made_by, 20, flags, method, 0, 33, *numbers, len(name), len(extra), 0, 0, 0, mode, min(at, 0xFFFFFFFF))
        directory += pack("<4s6H3L5H2L", b"PK\1\2", *head) + name + extra
    numbers = {"members": len(rows), "size": len(directory), "offset": len(out)} | (end or {})
    count = numbers["members"] & 0xFFFF
    ending = pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, numbers["size"], numbers["offset"], len(tail))
    return out + directory + ending + tail


def tar_of(members, format=tarfile.PAX_FORMAT):
    """A tar of (name, content) pairs, or of `TarInfo` without content."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=format) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            name, content = member
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def tar_header(name, size, kind=b"0", *, magic=b"ustar\x0000", **fields):
    """A header by itself; `fields` are bytes that replace those at `size_field`, and so on."""
    size_field = fields.get("size_field", b"%011o\0" % (size & 0o77777777777))
    header = bytearray(512)
    header[: len(name)] = name
    header[100:108], header[124:136], header[156:157] = b"0000644\0", size_field, kind
    header[257 : 257 + len(magic)] = magic
    header[148:156] = b" " * 8
    header[148:156] = fields.get("checksum", b"%06o\0 " % sum(header))
    return bytes(header)


def padded(content):
    return content + bytes(-len(content) % 512)


def zstd_data(content):
    return zstandard.compress(content)
