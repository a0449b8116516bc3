"""Opens inputs: files, objects, and members of archives."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from linkmatch_ray.io.inputs.archives.content import Content, open_stored
from linkmatch_ray.io.inputs.archives.member import ZIP, archive_of, member_of
from linkmatch_ray.io.inputs.archives.streams import MemberStream, TarMemberStream, ZipMemberStream
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.inputs.reader import FileReader, read_small

if TYPE_CHECKING:
    from linkmatch_ray.io.inputs.object_reader import ObjectReader

InputStream: TypeAlias = "FileReader | ObjectReader | MemberStream"


class Opener:
    """An opener of the inputs of one task. The last archive stays open, because its members follow one another.

    Args:
        salvage: Whether corrupt data of archives is read up to its damage.
    """

    def __init__(self, *, salvage: bool = False) -> None:
        self._salvages = salvage
        self._archive: InputFile | None = None
        self._content: Content | None = None

    def open(self, file: InputFile, stop: int | None = None) -> InputStream:
        """Opens a raw binary stream over an input. Little will be read beyond `stop`.

        Raises:
            Changed, OSError: As the stream does.
        """
        member = member_of(file)
        if member is None:
            return open_stored(file, stop)
        archive = archive_of(file, member)
        if archive != self._archive or self._content is None:
            self.close()
            self._content, self._archive = Content(archive, member.kind, salvage=self._salvages), archive
        if member.kind == ZIP:
            return ZipMemberStream(self._content, member, salvage=self._salvages)
        return TarMemberStream(self._content, member)

    def read_small(self, file: InputFile, view: memoryview) -> None:
        """Reads a whole file or member into `view`, which is as long.

        Raises:
            Changed, OSError, Damage, Corrupt: As the stream does.
        """
        if not file.is_member:
            read_small(file, view)
            return
        with self.open(file) as stream:
            filled = 0
            while filled < len(view):
                filled += stream.readinto(view[filled:])
            stream.readinto(memoryview(bytearray(1)))
            stream.check()

    def close(self) -> None:
        """Closes the archive."""
        if self._content is not None:
            self._content.close()
        self._content = self._archive = None


def open_input(file: InputFile, stop: int | None = None, *, salvage: bool = False) -> InputStream:
    """Opens one input, as `Opener.open` does. Nothing stays open behind the stream."""
    stream = Opener(salvage=salvage).open(file, stop)
    if isinstance(stream, MemberStream):
        stream.owns = True
    return stream
