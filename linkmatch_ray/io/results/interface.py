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
"""Seconds to wait for a job that was asked to stop. It usually stops within a few."""

_POLL_SECONDS: Final = 0.1


class Output(Protocol):
    """One list of lines, written at offsets that the ledger records. Bytes beyond them do not count."""

    @property
    def unsynced(self) -> int:
        """Bytes held in this process, or by the system, that `sync` has yet to make durable."""

    def write(self, contents: Sequence[Any], offset: int) -> int:
        """Writes all contents, one after another, at `offset`; returns the offset after them."""

    def read(self, offset: int, size: int) -> bytes:
        """Returns up to `size` bytes at `offset`, of what was synced."""

    def size(self) -> int:
        """Returns the size in bytes, of what was synced."""

    def truncate(self, size: int) -> None:
        """Cuts off what lies beyond `size`."""

    def sync(self) -> None:
        """Makes everything written survive a crash; returns after that."""

    def close(self) -> None:
        """Releases it."""


class Results(ABC):
    """A place for the results of one job at a time. `str` of it is the user's name for it.

    All methods may raise `OSError` and `sqlite3.Error`. `io.storage.system_errors` turns them into our own errors.
    """

    commit_seconds: float
    """Seconds between two commits."""

    can_be_updated: bool
    """Whether an incremental job can update results there."""

    @property
    @abstractmethod
    def place(self) -> Path | str:
        """The path, or the URL."""

    # Looking, without the lock

    @abstractmethod
    def ledger(self) -> Ledger | None:
        """Returns the ledger, to be read and closed; None before the first job."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """Opens one of the outputs, or another file, at its beginning; an empty one if it was not written."""

    @abstractmethod
    def summary(self) -> dict[str, Any] | None:
        """Returns the summary of a complete job, with this place as its `directory`: it may have been written
        elsewhere."""

    @abstractmethod
    def holder(self) -> str | None:
        """Returns who writes there now, or None."""

    @abstractmethod
    def ask_to_stop(self) -> None:
        """Asks the job that writes there to stop."""

    @abstractmethod
    def is_asked_to_stop(self) -> bool:
        """Returns whether the job there was asked to stop."""

    @abstractmethod
    def pending(self) -> Results | None:
        """Returns where an incremental job writes until it is complete; None without one, as always at a URL.

        Raises:
            JobError: Something else is in its place.
        """

    @abstractmethod
    def is_to_adopt(self) -> bool:
        """Returns whether an incremental job there is complete, and `adopt` has not ended."""

    @abstractmethod
    def strays(self) -> list[str]:
        """Returns what the job wrote among the outputs and does not belong to them. The end of the job removes it."""

    @abstractmethod
    def foreign(self) -> list[str]:
        """Returns what is there and is not the job's, as whole paths or URLs. No command reads or removes it."""

    def settings(self) -> dict[str, str]:
        """Returns the settings of the job there; empty before the first job."""
        ledger = self.ledger()
        if ledger is None:
            return {}
        try:
            return ledger.settings()
        finally:
            ledger.close()

    def cancel(self, wait_seconds: float = CANCEL_SECONDS) -> None:
        """Stops the job that writes there; returns once it has released the place. The job can be resumed.

        Raises:
            InputError: No job runs there.
            JobError: It still runs after `wait_seconds`.
        """
        who = self.holder()
        if who is None:
            raise InputError(f"{shown(self)}: no job runs here. See `status` for one that ran.")
        self.ask_to_stop()
        deadline = time.monotonic() + wait_seconds
        while (now := self.holder()) == who or (now is not None and self.is_asked_to_stop()):  # it may just have begun
            if time.monotonic() > deadline:
                raise JobError(
                    f"{shown(self)}: {shown(who)} was asked to stop, and still runs after {wait_seconds:g} s. Try"
                    " again."
                )
            time.sleep(_POLL_SECONDS)

    @abstractmethod
    def refuse_foreign(self) -> None:
        """Refuses a place that has other users' files, or is not a place for results. Makes nothing.

        Raises:
            UsageError: It is one.
        """

    # Writing, by the collector

    @abstractmethod
    def prepare(self) -> None:
        """Makes the place; refuses what `refuse_foreign` does."""

    @abstractmethod
    def lock(self) -> Callable[[], None]:
        """Makes this process the one writer; returns a function that releases the place.

        Raises:
            DirectoryInUse: Another process writes there, for longer than one would whose driver was killed.
        """

    @abstractmethod
    def adopt(self) -> None:
        """Puts a complete incremental job in the place of the earlier one. The lock must be held."""

    @abstractmethod
    def clear_pending(self) -> None:
        """Removes what an incomplete incremental job left. The lock must be held."""

    @abstractmethod
    def begin_pending(self) -> Results:
        """Makes the place of an incremental job, which may exist. The lock must be held.

        Raises:
            JobError: Something else is in its place.
            UsageError: Results there cannot be updated.
        """

    @abstractmethod
    def clear(self) -> None:
        """Removes what an earlier job left, its summary first."""

    @abstractmethod
    def resume(self, is_wanted: Callable[[dict[str, str]], bool]) -> Ledger | None:
        """Returns the ledger of the job there, to continue it; None if its settings are not wanted.

        Before the first job the settings are empty. The lock must be held. At a URL this reads the journal, which
        `begin` then does not read.
        """

    @abstractmethod
    def begin(
        self, settings: dict[str, str], outputs: Sequence[str], files: Iterable[InputFile], ranges: Iterable[int]
    ) -> Ledger:
        """Makes the ledger of a new job, and removes what an earlier one left. The lock must be held.

        Raises:
            DirectoryInUse: Another job began or continued since `resume` looked; nothing was removed.
        """

    @abstractmethod
    def output(self, name: str) -> Output:
        """Opens one of the outputs for writing."""

    @abstractmethod
    def sync(self) -> None:
        """Makes all names there durable."""

    @abstractmethod
    def write(self, name: str, write: Callable[[Any], Any]) -> None:
        """Writes a file that appears as a whole or not at all."""

    @abstractmethod
    def refuse_gone(self) -> None:
        """Checks that what this writer has there still exists, and is still its own.

        Raises:
            ResultsGone: It does not, or is not.
        """

    @abstractmethod
    def staging(self) -> str | None:
        """Returns the URL where tasks write large parts of the outputs themselves; None if they do not."""

    @abstractmethod
    def finish(self, ledger: Ledger) -> None:
        """Writes everything except the summary. Called after the last commit."""
