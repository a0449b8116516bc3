"""Results at a URL: outputs as objects, the ledger as a journal of records, and the summary last."""

from __future__ import annotations

import io
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, Final

import msgspec

from linkmatch_ray.errors import UsageError
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.ledger.journal import LoggedLedger, Writer, new_writer, records_at, settings_at
from linkmatch_ray.io.ledger.ledger import Ledger
from linkmatch_ray.io.names import LEDGER, OUTPUTS, RESTRICTIONS, SUMMARY
from linkmatch_ray.io.object_names import (
    CANCEL,
    LOCK,
    RECORDS,
    STAGING,
    folder_of,
    is_ours,
    is_staged,
    record_name,
    segment_of,
)
from linkmatch_ray.io.results.interface import Output, Results
from linkmatch_ray.io.results.segments import SegmentedOutput, Segments, SegmentsReader
from linkmatch_ray.io.results.summary import placed_at, read_summary
from linkmatch_ray.io.storage.errors import gone, in_use
from linkmatch_ray.io.storage.side_by_side import Pool
from linkmatch_ray.io.storage.store import store_of
from linkmatch_ray.words import shown

BEAT_SECONDS: Final = 3.0
"""Seconds between two beats, by which a writer shows that it runs."""

SILENCE_SECONDS: Final = 10.0
"""A writer without a beat for this long has ended, or will find that another one has continued."""

ASK_SECONDS: Final = 1.0
"""Seconds between two checks whether a job was asked to stop."""

ANSWER_SECONDS: Final = 0.25
"""Seconds to wait for the answer. The next check sees a later one."""

_POLL_SECONDS: Final = 0.5
_READ_BYTES: Final = 1 << 20


class LockState(msgspec.Struct):
    """The content of the lock object: the writer, if any, and a number that grows with each beat."""

    writer: Writer | None
    beat: int


class Bucket(Results):
    """A URL that stands for a folder of objects. `file://` is one that several nodes share."""

    commit_seconds = 2.0
    can_be_updated = False

    def __init__(self, url: str) -> None:
        self._url = re.sub(r"([^/])/$", r"\1", url)  # with one slash more it names another place
        self._store = store_of(self._url)
        self._writer = new_writer()
        self._ledger: LoggedLedger | None = None  # as this writer found it and has written since
        self._number: int | None = None  # this writer's, once it has one
        self._asked, self._asked_at = False, 0.0
        self._asking: Future[bool] | None = None

    def __str__(self) -> str:
        return self._url

    @property
    def place(self) -> str:
        return self._url

    # Looking

    def ledger(self) -> Ledger | None:
        """Returns a copy of the ledger as of now."""
        with suppress(FileNotFoundError):  # there is no bucket
            ledger = LoggedLedger(self._store, self._url)
            if ledger.settings():
                return ledger
            ledger.close()
        return None

    def settings(self) -> dict[str, str]:
        """Reads only two records, because there may be many."""
        with suppress(FileNotFoundError):  # there is no bucket
            return settings_at(self._store, self._url)
        return {}

    def open(self, name: str) -> BinaryIO:
        if name in OUTPUTS:
            return io.BufferedReader(SegmentsReader(self._segments(name)), _READ_BYTES)
        with suppress(FileNotFoundError):
            return io.BytesIO(self._store.get(name))
        return io.BytesIO()

    def pending(self) -> Results | None:
        return None

    def is_to_adopt(self) -> bool:
        return False

    def strays(self) -> list[str]:
        return [name for output in OUTPUTS for name in self._segments(output).strays]

    def foreign(self) -> list[str]:
        """Finds also segments whose writer has no record in the ledger."""
        names, writers = self._store.list(""), self._writers()
        segments = {name: segment_of(name) for name in names}
        known = [name for name, each in segments.items() if is_ours(name) and (each is None or each.writer < writers)]
        return [f"{self}/{name}" for name in sorted(names.keys() - known)]

    def _segments(self, output: str) -> Segments:
        sizes = self._store.list(folder_of(output))  # before the ledger, in which a writer has a record first
        return Segments(self._store, sizes, self._writers())

    def _writers(self) -> int:
        """Returns a number above those of all writers, up to this one if it is one."""
        return len(records_at(self._store)) if self._number is None else self._number + 1

    def summary(self) -> dict[str, Any] | None:
        with suppress(FileNotFoundError):
            return placed_at(self, read_summary(f"{self}/{SUMMARY}", self._store.get(SUMMARY)))
        return None

    def holder(self) -> str | None:
        """Waits some seconds for a beat if the lock names a writer."""
        held = self._held()
        return str(held.writer) if held.writer is not None and self._beats(held) else None

    def ask_to_stop(self) -> None:
        self._store.put(CANCEL, b"")

    def is_asked_to_stop(self) -> bool:
        """Asks the store now and then, and waits only briefly for its answer."""
        if self._asking is None and time.monotonic() - self._asked_at > ASK_SECONDS:
            self._asking, self._asked_at = Pool(1).submit(self._exists, CANCEL), time.monotonic()
            wait([self._asking], ANSWER_SECONDS)
        if self._asking is not None and self._asking.done():
            with suppress(OSError):
                self._asked = self._asking.result()
            self._asking = None
        return self._asked

    def _exists(self, name: str) -> bool:
        try:
            self._store.get(name)
        except FileNotFoundError:
            return False
        return True

    def _held(self) -> LockState:
        try:
            return msgspec.json.decode(self._store.get(LOCK), type=LockState)
        except (FileNotFoundError, msgspec.MsgspecError, RecursionError):  # it keeps nobody out, so it may be garbage
            return LockState(None, 0)

    def _beats(self, held: LockState) -> bool:
        """Waits for a change of the lock; returns whether a writer then holds it."""
        deadline = time.monotonic() + SILENCE_SECONDS
        while time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            now = self._held()
            if now != held:
                return now.writer is not None
        return False

    def refuse_foreign(self) -> None:
        self._is_known()

    def _is_known(self) -> bool:
        """Returns whether this is a place for results; if not, it is empty.

        Raises:
            UsageError: It has something else in it, or the bucket does not exist.
        """
        if self._exists(LOCK):
            return True
        try:
            if self._store.is_empty():
                return False
        except FileNotFoundError:
            raise UsageError(
                f"{shown(self)}: the store has no such bucket or container. Make it, or name another URL with -o."
            ) from None
        raise UsageError(f"{shown(self)}: has objects in it and is no place of results. Name another URL with -o.")

    # Writing

    def prepare(self) -> None:
        """Makes the lock object, which marks the place: tasks may write there before the lock is held."""
        made = False
        if not self._is_known():
            with suppress(FileExistsError):
                self._store.create(LOCK, msgspec.json.encode(LockState(None, 0)))
                made = True
        try:
            self._store.create(LOCK, self._store.get(LOCK))  # the same content, so that nothing is lost if it succeeds
        except FileExistsError:
            return
        if made:
            self._store.delete([LOCK])
        raise UsageError(
            f"{shown(self)}: this store makes an object though one is there (it ignores If-None-Match), so two jobs"
            " could overwrite one another. Name a directory with -o, or another store."
        )

    def lock(self) -> Callable[[], None]:
        """Warns other jobs. The records of the ledger are what keeps them out."""
        held = self._held()
        if held.writer is not None and self._beats(held):
            raise in_use(self, str(held.writer))
        self._store.delete([CANCEL])
        beating = threading.Event()
        self._beat(0)

        def beat() -> None:
            number = 1
            while not beating.wait(BEAT_SECONDS):
                with suppress(OSError):  # the next one may succeed
                    self._beat(number)
                number += 1

        thread = threading.Thread(target=beat, name="linkmatch-beat", daemon=True)
        thread.start()

        def release() -> None:
            beating.set()
            thread.join()
            with suppress(OSError):  # then the missing beats show it
                self._store.delete([CANCEL])
                if self._held().writer == self._writer:
                    self._store.put(LOCK, msgspec.json.encode(LockState(None, 0)))

        return release

    def _beat(self, number: int) -> None:
        self._store.put(LOCK, msgspec.json.encode(LockState(self._writer, number)))

    def clear(self) -> None:
        """Removes the summary, the report and the ledger as a file. The outputs are cut off once the new job is
        begun."""
        self._store.delete([SUMMARY])
        self._store.delete([RESTRICTIONS, LEDGER])

    def adopt(self) -> None:
        """Does nothing, because nothing is pending."""

    def clear_pending(self) -> None:
        """Does nothing, because nothing is pending."""

    def begin_pending(self) -> Results:
        raise UsageError(f"{shown(self)}: --incremental needs a directory. Name one with -o.")

    def resume(self, is_wanted: Callable[[dict[str, str]], bool]) -> Ledger | None:
        ledger = self._ledger_as_found()
        with _closed_if_it_fails(ledger):
            if not is_wanted(ledger.settings()):
                return None
            self._go_on(ledger)
            self._clear_others(ledger)
        return ledger

    def begin(
        self, settings: dict[str, str], outputs: Sequence[str], files: Iterable[InputFile], ranges: Iterable[int]
    ) -> Ledger:
        """Writes the record that keeps others out first, so that a job that began or ended meanwhile is safe."""
        ledger = self._ledger_as_found()
        with _closed_if_it_fails(ledger):
            self._go_on(ledger)
            self.clear()
            ledger.begin_job(settings, outputs, files, ranges)
            self._clear_others(ledger)
        return ledger

    def _ledger_as_found(self) -> LoggedLedger:
        if self._ledger is None:
            self._ledger = LoggedLedger(self._store, self._url, writer=self._writer)
        return self._ledger

    def _go_on(self, ledger: LoggedLedger) -> None:
        number = ledger.number
        ledger.go_on()
        self._number = number

    def _clear_others(self, ledger: LoggedLedger) -> None:
        """Removes what an earlier job has in outputs that this one does not write."""
        for name in set(OUTPUTS) - set(ledger.outputs()):
            self.output(name).truncate(0)

    def output(self, name: str) -> Output:
        assert self._number is not None  # the ledger comes first
        return SegmentedOutput(self._store, folder_of(name), self._number)

    def sync(self) -> None:
        """Does nothing, because all that was written is durable."""

    def write(self, name: str, write: Callable[[Any], Any]) -> None:
        with tempfile.TemporaryFile() as file:
            write(file)
            file.seek(0)
            self._store.put(name, file)

    def refuse_gone(self) -> None:
        """Checks the ledger's newest record. `finish` checks all of them."""
        if self._number is None or self._ledger is None:
            return
        try:
            self._store.get(record_name(self._ledger.number - 1), 0, 1)
        except FileNotFoundError:
            raise gone(f"{self}/{RECORDS}", self) from None

    def staging(self) -> str | None:
        return self._url

    def finish(self, ledger: Ledger) -> None:
        """Writes the ledger as one file, and removes the job's objects that are not part of the results."""
        assert isinstance(ledger, LoggedLedger)
        self._refuse_incomplete(ledger)
        with open(ledger.path, "rb") as file:
            self._store.put(LEDGER, file)
        self._store.delete([*filter(is_staged, self._store.list(STAGING)), *self.strays()])
        self._store.sweep()
        ledger.finish()

    def _refuse_incomplete(self, ledger: LoggedLedger) -> None:
        """Checks that every record, and every byte of the outputs, exists."""
        records = len(records_at(self._store))
        if records > ledger.number:  # another writer has continued, as `ledger.finish` finds
            return
        if records < ledger.number:
            raise gone(f"{self}/{RECORDS}", self)
        for name, end in ledger.by_name(ledger.frontier().ends).items():
            if self._segments(name).end != end:
                raise gone(f"{self}/{folder_of(name)}", self)


@contextmanager
def _closed_if_it_fails(ledger: LoggedLedger) -> Iterator[None]:
    try:
        yield
    except BaseException:
        ledger.close()
        raise
