"""Results in a directory: its files, and what an incremental job puts in their place."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from linkmatch_ray.errors import JobError, UsageError
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.ledger.ledger import Ledger
from linkmatch_ray.io.names import LEDGER, OUTPUTS, RESTRICTIONS, SUMMARY
from linkmatch_ray.io.results.directory_lock import CANCEL, LOCK, Lock, holder
from linkmatch_ray.io.results.file_output import FileOutput
from linkmatch_ray.io.results.interface import Output, Results
from linkmatch_ray.io.results.summary import SUMMARY_BYTES_MAX, placed_at, read_summary
from linkmatch_ray.io.storage.durable import make_directory, sync_directory, write_whole
from linkmatch_ray.io.storage.errors import gone
from linkmatch_ray.io.storage.ours import is_there, open_new, open_ours
from linkmatch_ray.words import shown

_UNFINISHED: Final = tuple(f"{name}.new" for name in (RESTRICTIONS, SUMMARY))
_OURS: Final = (*OUTPUTS, RESTRICTIONS, LEDGER, LEDGER + "-journal", SUMMARY, CANCEL, *_UNFINISHED)

NEXT: Final = "next"
"""The folder in which an incremental job writes until it is complete and replaces the earlier one."""

_NEXT_MARK: Final = "linkmatch.next"
"""The file that marks this folder as ours: a directory of that name may be the user's."""


class Directory(Results):
    """A directory of this machine, or one that several machines share."""

    commit_seconds = 0.5
    can_be_updated = True

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self._held: dict[Path, tuple[int, int]] = {}  # what the job needs, and the identity of each

    def __str__(self) -> str:
        return str(self.path)

    @property
    def place(self) -> Path:
        return self.path

    def pending(self) -> Results | None:
        return Directory(self.path / NEXT) if _has_next(self.path) else None

    def is_to_adopt(self) -> bool:
        following = self.path / NEXT
        return _has_next(self.path) and (is_there(following / SUMMARY) or not _has_any_of_ours(following))

    def strays(self) -> list[str]:
        return []  # each output is one file

    def foreign(self) -> list[str]:
        ours = {LOCK, *_OURS, *([NEXT] if _has_next(self.path) else ())}
        found = [self.path / name for name in os.listdir(self.path) if name not in ours]
        if NEXT in ours:
            following = self.path / NEXT
            found += [following / name for name in os.listdir(following) if name not in (_NEXT_MARK, *_OURS)]
        return sorted(map(str, found))

    def ledger(self) -> Ledger | None:
        return Ledger(self.path / LEDGER) if is_there(self.path / LEDGER) else None

    def open(self, name: str) -> BinaryIO:
        try:
            return os.fdopen(open_ours(self.path / name), "rb")
        except FileNotFoundError:
            return open(os.devnull, "rb")

    def summary(self) -> dict[str, Any] | None:
        path = self.path / SUMMARY
        if not is_there(path):
            return None
        with self.open(SUMMARY) as file:
            return placed_at(self, read_summary(path, file.read(SUMMARY_BYTES_MAX + 1)))

    def holder(self) -> str | None:
        return holder(self.path)

    def ask_to_stop(self) -> None:
        fd = open_ours(self.path / CANCEL, os.O_WRONLY | os.O_CREAT)
        os.utime(fd)  # it may be there from an earlier job
        os.close(fd)

    def is_asked_to_stop(self) -> bool:
        return os.path.lexists(self.path / CANCEL)

    def refuse_foreign(self) -> None:
        refuse_foreign(self.path)

    def prepare(self) -> None:
        prepare(self.path)

    def lock(self) -> Callable[[], None]:
        release = Lock(self.path).release
        try:
            self._hold(self.path, self.path / LOCK)
        except BaseException:
            release()
            raise
        return release

    def clear(self) -> None:
        clear(self.path)

    def resume(self, is_wanted: Callable[[dict[str, str]], bool]) -> Ledger | None:
        if not is_there(self.path / LEDGER, writing=True):
            return None
        ledger = Ledger(self.path / LEDGER, write=True)
        try:
            if is_wanted(ledger.settings()):
                self._hold(self.path / LEDGER)
                return ledger
        except BaseException:
            ledger.close()
            raise
        ledger.close()
        return None

    def begin(
        self, settings: dict[str, str], outputs: Sequence[str], files: Iterable[InputFile], ranges: Iterable[int]
    ) -> Ledger:
        self.clear()
        ledger = Ledger(self.path / LEDGER, create=True)
        try:
            ledger.begin_job(settings, outputs, files, ranges)
            self._hold(self.path / LEDGER)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def output(self, name: str) -> Output:
        output = FileOutput(self.path / name)
        try:
            self._hold(self.path / name)
        except BaseException:
            output.close()
            raise
        return output

    def sync(self) -> None:
        sync_directory(self.path)

    def write(self, name: str, write: Callable[[Any], Any]) -> None:
        write_atomically(self.path / name, write)

    def refuse_gone(self) -> None:
        for path, known in self._held.items():
            try:
                found = _identity(path)
            except (FileNotFoundError, NotADirectoryError):
                raise gone(path, self) from None
            if found != known:
                raise gone(path, self, replaced=True)

    def _hold(self, *paths: Path) -> None:
        """Records what must stay. All files are open, so that no other file gets their inodes. The directory is not,
        but it has such files in it."""
        self._held |= {path: _identity(path) for path in paths}

    def staging(self) -> str | None:
        return None  # each output is one file, which the collector writes

    def finish(self, ledger: Ledger) -> None:
        """Does nothing, because every file is complete."""

    def begin_pending(self) -> Results:
        following = self.path / NEXT
        if not _has_next(self.path, writing=True):
            with suppress(FileExistsError):
                os.mkdir(following)
            if names := os.listdir(following):
                raise JobError(
                    f"{shown(following)}: has {shown(names[0])} in it, and is not what a job of yours made. Rename it:"
                    " --incremental needs the name."
                )
            open_new(following / _NEXT_MARK).close()
            sync_directory(following)  # before anything else is in it
        place = Directory(following)
        place._hold(following)
        return place

    def adopt(self) -> None:
        adopt_next(self.path)

    def clear_pending(self) -> None:
        clear_next(self.path)


def _identity(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def prepare(directory: Path) -> None:
    """Makes the directory; refuses one that holds other users' files.

    Raises:
        UsageError: It does, or is not a directory.
        OSError: It cannot be made.
    """
    refuse_foreign(directory)
    try:
        make_directory(directory)
    except (FileExistsError, NotADirectoryError):
        raise _no_directory(directory) from None
    refuse_foreign(directory)  # another process may have made it


def refuse_foreign(directory: Path) -> None:
    """Refuses a directory that holds other users' files. A missing one may be made.

    Raises:
        UsageError: It is neither empty nor a result directory, or it is not a directory.
        OSError: It cannot be read, or is missing and cannot be made.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        if directory.is_symlink():
            raise UsageError(f"{shown(directory)}: is a link to nothing. Name a directory with -o.") from None
        _refuse_unwritable(next(filter(os.path.exists, directory.parents)))
        return
    except NotADirectoryError:
        raise _no_directory(directory) from None
    if names and LOCK not in names:
        raise UsageError(f"{shown(directory)}: has files in it and is no result directory. Name another with -o.")


def _refuse_unwritable(above: Path) -> None:
    """Checks that a directory can be made there, because a job would find that out only once Ray has started."""
    if not os.access(above, os.W_OK | os.X_OK, effective_ids=True):
        code = errno.EROFS if os.statvfs(above).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(code, os.strerror(code), str(above))


def _no_directory(directory: Path) -> UsageError:
    return UsageError(f"{shown(directory)}: is a file, or below one. Name a directory with -o.")


def clear(directory: Path) -> None:
    """Removes what an earlier job left. The lock must be held.

    The summary goes first, and durably: if it exists, the job is complete. This also makes the lock file durable before
    any other file is made, because it marks the directory.
    """
    paths = [directory / name for name in _OURS]
    for path in paths:
        if path.is_dir() and not path.is_symlink():  # it cannot be removed, so nothing is
            is_there(path)
    (directory / SUMMARY).unlink(missing_ok=True)
    sync_directory(directory)
    for path in paths:
        path.unlink(missing_ok=True)
    clear_next(directory)


def clear_next(directory: Path) -> None:
    """Removes what an incomplete incremental job left. The lock must be held."""
    following = directory / NEXT
    if not _has_next(directory, writing=True):
        with suppress(OSError):  # an empty one is what a power cut may leave of ours
            following.rmdir()
        return
    clear(following)
    sync_directory(following)
    _forget_next(following)


def _has_next(directory: Path, *, writing: bool = False) -> bool:
    """Returns whether an incremental job has made its folder there.

    Raises:
        JobError: Something else has the name, or with `writing` something that is not ours.
    """
    following = directory / NEXT
    return is_there(following, writing=writing, directory=True) and is_there(following / _NEXT_MARK, writing=writing)


def _has_any_of_ours(following: Path) -> bool:
    return any(os.path.lexists(following / name) for name in _OURS)


def _forget_next(following: Path) -> None:
    """Removes the folder of an incremental job that has nothing of ours in it. Others' files in it stay."""
    (following / _NEXT_MARK).unlink()
    with suppress(OSError):  # it is not empty
        following.rmdir()


def adopt_next(directory: Path) -> None:
    """Puts a complete incremental job in the place of the earlier one. The lock must be held.

    Its summary records that this must be done. It moves last, and until then the next start does everything again. The
    earlier summary is removed first, so that no summary ever describes other results. Each step is on the disk before
    the next begins.
    """
    following = directory / NEXT
    if not _has_next(directory, writing=True):
        with suppress(OSError):  # an empty one is what a power cut may leave of ours
            following.rmdir()
        return
    if is_there(following / SUMMARY, writing=True):
        names = [name for name in (*OUTPUTS, RESTRICTIONS, LEDGER) if is_there(following / name, writing=True)]
        (directory / SUMMARY).unlink(missing_ok=True)
        sync_directory(directory)
        for name in names:
            os.replace(following / name, directory / name)
        sync_directory(directory)
        sync_directory(following)
        os.replace(following / SUMMARY, directory / SUMMARY)
        sync_directory(directory)
        sync_directory(following)
    if not _has_any_of_ours(following):  # otherwise its job is under way
        _forget_next(following)


def write_atomically(path: Path, write: Callable[[Any], Any]) -> None:
    """Writes a file that appears as a whole or not at all, even after a power cut."""
    write_whole(path, path.with_name(path.name + ".new"), write)
