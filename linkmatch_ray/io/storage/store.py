"""Objects below a URL, for results: written whole, copied, listed, removed. What is written is durable.

`s3:// gs:// az://` are buckets. `file://` is a folder that several nodes share. Even if they write at the same time,
each file appears as a whole or not at all.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Final, Protocol

from linkmatch_ray.errors import UsageError
from linkmatch_ray.io.object_names import is_ours
from linkmatch_ray.io.storage.durable import make_directory, sync_directory, write_whole
from linkmatch_ray.io.storage.errors import Changed, NoRanges
from linkmatch_ray.io.storage.listing import list_below, pages_below
from linkmatch_ray.io.storage.object_store import ObjectStore, with_retries
from linkmatch_ray.io.storage.ours import is_there, open_ours
from linkmatch_ray.io.storage.paths import path_in
from linkmatch_ray.io.storage.side_by_side import side_by_side
from linkmatch_ray.io.storage.stores import bucket_at
from linkmatch_ray.io.storage.transport import Unavailable
from linkmatch_ray.io.storage.urls import parse, refuse_secrets, scheme_of, without_query
from linkmatch_ray.words import shown

SCHEMES: Final = ("s3", "gs", "az", "file")

_UNFINISHED: Final = re.compile(r"\.(.+)\.[0-9a-f]{8}\.unfinished", re.DOTALL)

AT_ONCE: Final = 16
"""Concurrent requests of one kind."""


class Store(Protocol):
    """Objects by their names, which are relative to a URL.

    Raises, from all methods:
        OSError: The store refuses, or failed every time.
    """

    def put(self, name: str, content: bytes | BinaryIO) -> None:
        """Writes an object, or all of a file as one; replaces an existing one."""

    def create(self, name: str, content: bytes) -> None:
        """Writes an object that must not exist. Of several writers, one succeeds.

        Raises:
            FileExistsError: It exists. It may be this very one, if an answer was lost on its way.
        """

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """Returns an object, or the bytes `start..end` of it.

        Raises:
            FileNotFoundError: It does not exist.
        """

    def copy(self, source: str, name: str) -> None:
        """Copies an object's content to another name, without reading it."""

    def delete(self, names: Sequence[str]) -> None:
        """Removes objects. A missing one is no error."""

    def list(self, folder: str) -> dict[str, int]:
        """Returns all objects below a folder, with their sizes in bytes."""

    def is_empty(self) -> bool:
        """Returns whether there is nothing except empty folders."""

    def sweep(self) -> None:
        """Removes what is not whole because its writer was killed."""


def is_store(output: str) -> bool:
    """Returns whether results are to be kept at a URL.

    Raises:
        UsageError: It is a URL of a kind that results cannot be written to.
    """
    scheme = scheme_of(os.fsencode(output))
    if scheme is None:
        return False
    refuse_secrets(os.fsencode(output))
    if scheme not in SCHEMES:
        raise UsageError(
            f"{without_query(os.fsencode(output))}: results cannot be written there. Expected a directory, or"
            f" {'://, '.join(SCHEMES)}://."
        )
    return True


def store_of(url: str) -> Store:
    """Returns the store behind a URL."""
    if scheme_of(os.fsencode(url)) == "file":
        return _Folder(Path(os.fsdecode(path_in(os.fsencode(url)))))
    return _Bucket(url)


class _Bucket:
    """Objects below a prefix of a bucket. Folders of ours end in a slash, as is usual."""

    def __init__(self, url: str) -> None:
        place = parse(os.fsencode(url))
        self._root = place.root
        self._prefix = place.key + b"/" if place.key and not place.key.endswith(b"/") else place.key

    @property
    def _store(self) -> ObjectStore:
        return bucket_at(self._root)

    def _key(self, name: str) -> bytes:
        return self._prefix + os.fsencode(name)

    def put(self, name: str, content: bytes | BinaryIO) -> None:
        def once() -> None:
            if not isinstance(content, bytes):
                content.seek(0)
            self._store.put(self._key(name), content)

        with_retries(once)

    def create(self, name: str, content: bytes) -> None:
        with_retries(lambda: self._store.put(self._key(name), content, create=True))

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        return with_retries(self._get, self._key(name), start, end)

    def _get(self, key: bytes, start: int, end: int | None) -> bytes:
        if end is None:
            return self._get_whole(key)
        if end <= start:
            return b""
        try:
            with self._store.get(key, start, end) as answer:
                return answer.read_exactly(end - start)
        except NoRanges:
            with self._store.get(key) as answer:
                return answer.read()[start:end]
        except Changed:
            raise OSError(errno.EIO, f"{shown(key)} is shorter than was listed") from None

    def _get_whole(self, key: bytes) -> bytes:
        size = self._store.head(key).size  # an answer that was cut short looks like any other
        with self._store.get(key) as answer:
            content = answer.read()
        if len(content) != size:
            raise Unavailable(f"the answer has {len(content):,} bytes, the object {size:,}")
        return content

    def copy(self, source: str, name: str) -> None:
        with_retries(self._store.copy, self._key(source), self._key(name))

    def delete(self, names: Sequence[str]) -> None:
        for _ in side_by_side(lambda name: with_retries(self._store.delete, self._key(name)), names, AT_ONCE):
            pass

    def list(self, folder: str) -> dict[str, int]:
        metas = list_below(self._store, self._key(f"{folder}/" if folder else ""))
        return {os.fsdecode(meta.key[len(self._prefix) :]): meta.size for meta in metas}

    def is_empty(self) -> bool:
        return next(pages_below(self._store, self._prefix), None) is None

    def sweep(self) -> None:
        """Does nothing, because an object is always whole."""


class _Folder:
    """Files that appear by a link or a rename, after they and their names were synced. No link below the folder is
    followed."""

    def __init__(self, top: Path) -> None:
        self._top = top

    def put(self, name: str, content: bytes | BinaryIO) -> None:
        self._write(name, content, new=False)

    def create(self, name: str, content: bytes) -> None:
        self._write(name, content, new=True)

    def _write(self, name: str, content: bytes | BinaryIO, *, new: bool) -> None:
        def write(file: BinaryIO) -> None:
            if isinstance(content, bytes):
                file.write(content)
            else:
                content.seek(0)
                shutil.copyfileobj(content, file)

        path = self._path_of(name)
        write_whole(path, path.with_name(f".{path.name}.{token_hex(4)}.unfinished"), write, new=new)

    def _path_of(self, name: str) -> Path:
        """Returns the path to write to; makes its folder."""
        path = self._place(name)
        make_directory(path.parent)
        return self._place(name)

    def _place(self, name: str) -> Path:
        """Returns the path of an object; refuses folders that are links."""
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
                    if is_ours(name):  # others' files may be anything, because they are never opened
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
    """Returns the content of objects, given their sizes, in the order of their names. Few of them are held at a
    time."""
    return side_by_side(lambda name: store.get(name, 0, sizes[name]), sorted(sizes), AT_ONCE)
