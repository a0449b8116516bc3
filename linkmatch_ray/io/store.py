"""Objects below a URL, as results are kept there: written whole, copied, listed, removed. What is written is durable.

`s3:// gs:// az://` are buckets. `file://` is a folder, one that several nodes share: whatever they write at the same
time, each file is there wholly or not at all.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO, Final, Protocol

from linkmatch_ray.errors import UsageError
from linkmatch_ray.io.durable import make_directory, sync_directory
from linkmatch_ray.io.inputs import path_in
from linkmatch_ray.io.object_names import is_ours
from linkmatch_ray.io.objects import Short, again, place_of, store_at
from linkmatch_ray.io.ours import is_there, open_new, open_ours
from linkmatch_ray.io.side_by_side import side_by_side
from linkmatch_ray.words import shown

SCHEMES: Final = ("s3", "gs", "az", "file")

_UNFINISHED: Final = re.compile(r"\.(.+)\.[0-9a-f]{8}\.unfinished", re.DOTALL)

AT_ONCE: Final = 16
"""So many requests of one kind are made at a time."""


class Store(Protocol):
    """Objects by their names, which are relative to a URL.

    Raises, from all methods:
        OSError: the store refuses, or failed again and again.
    """

    def put(self, name: str, content: bytes | BinaryIO) -> None:
        """Write an object, or all of a file as one, in place of one that is there."""

    def create(self, name: str, content: bytes) -> None:
        """Write an object that must not be there; of several who try, one succeeds.

        Raises:
            FileExistsError: it is there. It may be this very one, where an answer was lost on its way.
        """

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """An object, or the bytes `start..end` of it.

        Raises:
            FileNotFoundError: it is not there.
        """

    def copy(self, source: str, name: str) -> None:
        """Give an object's content another name too, without reading it."""

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects; those that are not there are none."""

    def list(self, folder: str) -> dict[str, int]:
        """All objects below a folder, and their sizes in bytes."""

    def is_empty(self) -> bool:
        """Whether there is none, but for empty folders."""

    def sweep(self) -> None:
        """Remove what is not whole, as who wrote it was killed."""


def is_store(output: str) -> bool:
    """Whether results are to be kept at a URL.

    Raises:
        UsageError: it is a URL of a kind that results cannot be written to.
    """
    scheme, found, _ = output.partition("://")
    if not found or not scheme.isalnum():
        return False
    if scheme not in SCHEMES:
        raise UsageError(
            f"{shown(output)}: results cannot be written there. Expected a directory, or {'://, '.join(SCHEMES)}://."
        )
    return True


def store_of(url: str) -> Store:
    """The store behind a URL."""
    if url.startswith("file:"):
        return _Folder(Path(os.fsdecode(path_in(os.fsencode(url)))))
    return _Bucket(url)


class _Bucket:
    def __init__(self, url: str) -> None:
        self._root, path = place_of(os.fsencode(url))
        self._prefix = path.rstrip("/") + "/" if path.strip("/") else ""

    @property
    def _store(self) -> Any:
        return store_at(self._root)

    def put(self, name: str, content: bytes | BinaryIO) -> None:
        def once() -> None:
            if not isinstance(content, bytes):
                content.seek(0)
            try:
                self._store.put(self._prefix + name, content)
            except FileNotFoundError:  # of an upload in parts that was completed, though the answer was lost
                raise Short from None

        again(once)

    def create(self, name: str, content: bytes) -> None:
        again(lambda: self._store.put(self._prefix + name, content, mode="create", use_multipart=False))

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        if end is None:  # the length is asked for, as an answer that is too short looks like any other
            end = again(self._store.head, self._prefix + name)["size"]
        if end <= start:
            return b""

        def once() -> bytes:
            content = bytes(self._store.get_range(self._prefix + name, start=start, end=end))
            if len(content) != end - start:
                raise Short
            return content

        found: bytes = again(once)
        return found

    def copy(self, source: str, name: str) -> None:
        again(lambda: self._store.copy(self._prefix + source, self._prefix + name, overwrite=True))

    def delete(self, names: Sequence[str]) -> None:
        if names:
            with suppress(FileNotFoundError):  # of a store that deletes one by one
                again(self._store.delete, [self._prefix + name for name in names])

    def list(self, folder: str) -> dict[str, int]:
        def listed() -> dict[str, int]:
            pages = self._store.list(self._prefix + folder)
            return {meta["path"][len(self._prefix) :]: meta["size"] for page in pages for meta in page}

        found: dict[str, int] = again(listed)
        return found

    def is_empty(self) -> bool:
        return not again(lambda: next(iter(self._store.list(self._prefix or None)), None))

    def sweep(self) -> None:
        """Nothing to do: an object that is not whole is none."""


class _Folder:
    """Files that appear by a link or a rename, after they and their names were synced. No link below it is followed."""

    def __init__(self, top: Path) -> None:
        self._top = top

    def put(self, name: str, content: bytes | BinaryIO) -> None:
        self._write(name, content, os.replace)

    def create(self, name: str, content: bytes) -> None:
        self._write(name, content, os.link)

    def _write(self, name: str, content: bytes | BinaryIO, give_name: Any) -> None:
        path = self._path_of(name)
        temporary = path.with_name(f".{path.name}.{token_hex(4)}.unfinished")
        try:
            with open_new(temporary) as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    content.seek(0)
                    shutil.copyfileobj(content, file)
                file.flush()
                os.fsync(file.fileno())
            give_name(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(path.parent)

    def _path_of(self, name: str) -> Path:
        """Where to write; the folder is made."""
        path = self._place(name)
        make_directory(path.parent)
        return self._place(name)

    def _place(self, name: str) -> Path:
        """Where an object is, or would be; in no folder but its own."""
        path = self._top / name
        for folder in path.parents:
            if folder == self._top:
                break
            is_there(folder, directory=True)
        return path

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        with os.fdopen(open_ours(self._place(name)), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(start)
            return file.read(max(0, (size if end is None else min(end, size)) - start))

    def copy(self, source: str, name: str) -> None:
        path = self._path_of(name)
        path.unlink(missing_ok=True)
        is_there(self._place(source))
        os.link(self._top / source, path, follow_symlinks=False)
        sync_directory(path.parent)

    def delete(self, names: Sequence[str]) -> None:
        for name in names:
            self._place(name).unlink(missing_ok=True)
        for folder in {(self._top / name).parent for name in names}:
            with suppress(FileNotFoundError):
                sync_directory(folder)

    def list(self, folder: str) -> dict[str, int]:
        top = self._place(folder)
        if folder:
            is_there(top, directory=True)
        found = {}
        for directory, _, names in os.walk(top):
            for path in (Path(directory, name) for name in names if not name.startswith(".")):
                name = path.relative_to(self._top).as_posix()
                with suppress(FileNotFoundError):
                    if is_ours(name):  # else it may be anything, as nobody opens it
                        is_there(path)
                    found[name] = path.lstat().st_size
        return found

    def is_empty(self) -> bool:
        def fail(error: OSError) -> None:
            raise error

        for folder, folders, names in os.walk(self._top, onerror=fail) if self._top.exists() else ():
            if names or any(os.path.islink(os.path.join(folder, name)) for name in folders):
                return False
        return True

    def sweep(self) -> None:
        for path in self._top.rglob(".*.unfinished"):
            whole = _UNFINISHED.fullmatch(path.name)
            if whole is not None and is_ours(path.with_name(whole[1]).relative_to(self._top).as_posix()):
                path.unlink(missing_ok=True)


def get_all(store: Store, sizes: dict[str, int]) -> Iterable[bytes]:
    """Objects, given their sizes, in the order of their names; some at a time, and few that wait to be taken."""
    return side_by_side(lambda name: store.get(name, 0, sizes[name]), sorted(sizes), AT_ONCE)
