"""The place of a job's results, a directory or a URL: what both have in common."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol

from linkmatch_ray.errors import InputError, JobError
from linkmatch_ray.words import shown

if TYPE_CHECKING:
    from linkmatch_ray.io.inputs.file import InputFile
    from linkmatch_ray.io.ledger.ledger import Ledger

CANCEL_SECONDS: Final = 30.0
"""A job that is told to stop does so within seconds; this long is waited for it."""

_POLL_SECONDS: Final = 0.1


class Output(Protocol):
    """One list of lines, written at offsets that the ledger records; what lies beyond them does not count."""

    @property
    def unsynced(self) -> int:
        """Bytes held in this process, or by the system, that `sync` has yet to make durable."""

    def write(self, chunks: Sequence[Any], offset: int) -> int:
        """Write all of the chunks, one after another, at `offset`; returns the offset after them."""

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes at `offset`, of what was synced."""

    def size(self) -> int:
        """Bytes in it, of what was synced."""

    def truncate(self, size: int) -> None:
        """Cut off what lies beyond `size`."""

    def sync(self) -> None:
        """Wait until everything written survives a crash."""

    def close(self) -> None:
        """Let go of it."""


class Results(ABC):
    """A place for the results of one job at a time. `str` of it is what the user has called it.

    All methods may raise `OSError` and `sqlite3.Error`, which `io.storage.system_errors.told` puts into our words.
    """

    commit_seconds: float
    """How often what was taken is made durable."""

    can_be_updated: bool
    """Whether an incremental job can bring results there up to date."""

    @property
    @abstractmethod
    def place(self) -> Path | str:
        """Where it is: a path, or a URL."""

    # Looking, without the lock

    @abstractmethod
    def ledger(self) -> Ledger | None:
        """The ledger, to be read and closed; None where no job was ever begun."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """One of the outputs, or another file, from its beginning; an empty one where it was not written."""

    @abstractmethod
    def summary(self) -> dict[str, Any] | None:
        """The summary of a complete job, with this place as its `directory`: it may have been written elsewhere."""

    @abstractmethod
    def holder(self) -> str | None:
        """Who writes there now; None where nobody does."""

    @abstractmethod
    def ask_to_stop(self) -> None:
        """Ask the job that writes there to stop."""

    @abstractmethod
    def is_asked_to_stop(self) -> bool:
        """Whether someone wants the job there to stop."""

    @abstractmethod
    def pending(self) -> Results | None:
        """Where an incremental job writes until it is complete; None if there is none, as always at a URL.

        Raises:
            JobError: something else is in its place.
        """

    @abstractmethod
    def is_to_adopt(self) -> bool:
        """Returns whether an incremental job there is complete, and `adopt` has not ended."""

    @abstractmethod
    def strays(self) -> list[str]:
        """What the job wrote among the outputs and does not belong to them; nothing is left of it in the end."""

    @abstractmethod
    def foreign(self) -> list[str]:
        """What is there and is not the job's, as whole paths or URLs. No command reads or removes it."""

    def settings(self) -> dict[str, str]:
        """The settings of the job there; empty where none was ever begun."""
        ledger = self.ledger()
        if ledger is None:
            return {}
        try:
            return ledger.settings()
        finally:
            ledger.close()

    def cancel(self, wait_seconds: float = CANCEL_SECONDS) -> None:
        """Stop the job that writes there; returns once it has let go. It can be resumed.

        Raises:
            InputError: no job runs there.
            JobError: it still runs after `wait_seconds`.
        """
        who = self.holder()
        if who is None:
            raise InputError(f"{shown(self)}: no job runs here. See `status` for one that ran.")
        self.ask_to_stop()
        deadline = time.monotonic() + wait_seconds
        while self.holder() == who:
            if time.monotonic() > deadline:
                raise JobError(
                    f"{shown(self)}: {shown(who)} was told to stop, and still runs after {wait_seconds:g} s."
                )
            time.sleep(_POLL_SECONDS)

    @abstractmethod
    def refuse_foreign(self) -> None:
        """Refuse a place that has other people's files, or is no place for results. Makes nothing.

        Raises:
            UsageError: it is one.
        """

    # Writing, by the collector

    @abstractmethod
    def prepare(self) -> None:
        """Make the place; refuses what `refuse_foreign` does."""

    @abstractmethod
    def lock(self) -> Callable[[], None]:
        """Become the one writer; returns what lets others in again.

        Raises:
            DirectoryInUse: another writes there, for longer than an orphan would.
        """

    @abstractmethod
    def adopt(self) -> None:
        """Put a complete incremental job in the place of the earlier one; call with the lock held."""

    @abstractmethod
    def clear_pending(self) -> None:
        """Remove what an incremental job left that is not complete; call with the lock held."""

    @abstractmethod
    def begin_pending(self) -> Results:
        """Make the place of an incremental job, which may be there; call with the lock held.

        Raises:
            JobError: something else is in its place.
            UsageError: results there cannot be brought up to date.
        """

    @abstractmethod
    def clear(self) -> None:
        """Remove what an earlier job left, its summary first of all."""

    @abstractmethod
    def resume(self, is_wanted: Callable[[dict[str, str]], bool]) -> Ledger | None:
        """The ledger of the job there, to go on with it; None if its settings (empty ones, where none was ever begun)
        are not wanted. Call with the lock held; at a URL the journal is read here, and not again by `begin`."""

    @abstractmethod
    def begin(
        self, settings: dict[str, str], outputs: Sequence[str], files: Iterable[InputFile], ranges: Iterable[int]
    ) -> Ledger:
        """The ledger of a new job; what an earlier one left is removed. Call with the lock held.

        Raises:
            DirectoryInUse: another job began or went on since `resume` looked; nothing was removed.
        """

    @abstractmethod
    def output(self, name: str) -> Output:
        """One of the outputs, to write to."""

    @abstractmethod
    def sync(self) -> None:
        """Make all names there durable."""

    @abstractmethod
    def write(self, name: str, write: Callable[[Any], Any]) -> None:
        """Write a file that is there wholly or not at all."""

    @abstractmethod
    def refuse_gone(self) -> None:
        """Make sure that what this writer has there is still there, and still his.

        Raises:
            ResultsGone: it is not.
        """

    @abstractmethod
    def staging(self) -> str | None:
        """Where tasks write large parts of the outputs themselves, as a URL; None where they do not."""

    @abstractmethod
    def finish(self, ledger: Ledger) -> None:
        """All is committed: complete what is there but for the summary."""
