"""The ledger as a journal of objects, `ledger/0000000000` and on. Each records one change.

A record is made only if none has its number. Of two writers that continue from the same record, one succeeds and the
other stops. So the journal is the fence between writers too, and no record is ever removed. A reader replays all
records on a SQLite file of its own.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
import zstandard

from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.ledger.check import damaged, other_version
from linkmatch_ray.io.ledger.ledger import Frontier, Key, Ledger, Settings
from linkmatch_ray.io.ledger.rows import PieceRow
from linkmatch_ray.io.ledger.schema import SCHEMA_VERSION
from linkmatch_ray.io.names import LEDGER
from linkmatch_ray.io.object_names import RECORDS, record_name, record_number
from linkmatch_ray.io.storage.errors import in_use
from linkmatch_ray.io.storage.store import Store, get_all
from linkmatch_ray.words import shown

RECORD_BYTES_MAX: Final = 1 << 30
"""Maximum size of a stored record. The plan of ten million files has a tenth of it."""

INFLATED_BYTES_MAX: Final = 256 << 20
INFLATION_MAX: Final = 200
"""Maximum size of a record's content: this many bytes, or this multiple of its stored size if that is more."""


class Writer(msgspec.Struct, frozen=True):
    """The writer of a ledger: one collector, once."""

    host: str
    pid: int
    since: str
    token: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


def new_writer() -> Writer:
    """Makes this process a writer, as of now."""
    return Writer(shown(socket.gethostname()), os.getpid(), time.strftime("%Y-%m-%d %H:%M:%S %z"), token_hex(8))


class Begun(msgspec.Struct, tag=True):
    """The beginning of a new job, which ends any before."""

    settings: dict[str, str]
    outputs: tuple[str, ...]
    files: list[InputFile]
    ranges: list[int]


class Opened(msgspec.Struct, tag=True):
    """The beginning of another writer, after which no earlier one continues."""


class Committed(msgspec.Struct, tag=True):
    """A call of `Ledger.commit`."""

    rows: list[PieceRow]
    faults: list[tuple[str, int]]
    frontier: Frontier


class RolledBack(msgspec.Struct, tag=True):
    """A call of `Ledger.roll_back_file`."""

    file: int
    frontier: Frontier


class SteppedBack(msgspec.Struct, tag=True):
    """A call of `Ledger.step_back`."""

    key: Key
    frontier: Frontier


class Finished(msgspec.Struct, tag=True):
    """The end of the job: all is committed, and the summary follows."""


class Record(msgspec.Struct):
    """The content of an object, as msgpack in zstd. `begun` is the number of the record that began the job, which
    may be this one; None before the first job."""

    schema: int
    writer: Writer
    begun: int | None
    change: Begun | Opened | Committed | RolledBack | SteppedBack | Finished


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


class _Version(msgspec.Struct):
    """The part that records of all versions have."""

    schema: int


_decode_version = msgspec.msgpack.Decoder(_Version).decode


def _inflated(content: bytes) -> bytes:
    """Decompresses a record.

    Raises:
        ValueError: It cannot be decompressed, or is too large for a record.
    """
    try:
        size = zstandard.get_frame_parameters(content).content_size
        if size > max(INFLATED_BYTES_MAX, INFLATION_MAX * len(content)):  # 2**64 - 1 if unknown
            raise ValueError(f"{size:,} bytes")
        return zstandard.decompress(content)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None


def _record(number: int, content: bytes, where: str) -> Record:
    """Decodes a record.

    Raises:
        JobChanged: Another version wrote it.
        JobError: It is not a record.
    """
    try:
        inflated = _inflated(content)
        if _decode_version(inflated).schema != SCHEMA_VERSION:
            raise other_version(where)
        return _decode(inflated)
    except (ValueError, RecursionError):
        raise damaged(f"{where}/{RECORDS}", f"record {number} is invalid") from None


def settings_at(store: Store, where: str) -> Settings:
    """Returns the settings of the job in a store, from only two of its records; empty before the first job."""
    ledger, records = f"{where}/{RECORDS}", records_at(store)
    if not records:
        return Settings(ledger, {})
    last = len(records) - 1
    begun = _record(last, store.get(record_name(last)), where).begun
    if begun is None:
        return Settings(ledger, {})
    change = _record(begun, store.get(record_name(begun)), where).change
    if not isinstance(change, Begun):
        raise damaged(ledger, f"record {begun} begins no job")
    return Settings(ledger, change.settings)


def records_at(store: Store) -> dict[str, int]:
    """Returns the records in a store, by name, with their sizes in bytes. Other objects are left out."""
    return {name: size for name, size in store.list(RECORDS).items() if record_number(name) is not None}


class LoggedLedger(Ledger):
    """The ledger in a store, as of now. To write to it, call `go_on` first.

    Every change is first a record, and is then made to the copy. If another writer has continued, a change raises
    `DirectoryInUse` and changes nothing.
    """

    def __init__(self, store: Store, where: str, *, writer: Writer | None = None) -> None:
        self._store, self._url, self._writer = store, where, writer or new_writer()
        self._folder = TemporaryDirectory(prefix="linkmatch-")
        self._begun: int | None = None
        self.path = Path(self._folder.name, LEDGER)
        super().__init__(self.path, where=f"{where}/{RECORDS}", create=True)
        self._db.execute("PRAGMA synchronous=OFF")  # it is a copy
        try:
            sizes = records_at(store)
            if missing := set(range(len(sizes))) - set(map(record_number, sizes)):
                found = f"record {min(missing)} is missing, and there are later ones"
                raise damaged(f"{shown(where)}/{RECORDS}", found)
            if max(sizes.values(), default=0) > RECORD_BYTES_MAX:
                raise damaged(self._where, f"it has a record of {max(sizes.values()):,} bytes")
            for number, content in enumerate(get_all(store, sizes)):
                self._replay(number, content)
            self._is_sound = not sizes
        except BaseException:
            self.close()
            raise
        self.number = len(sizes)
        """The number of the next record. A writer's objects are named by the number of its first record, so that the
        highest is the newest."""

    def close(self) -> None:
        """Closes the copy and removes it."""
        super().close()
        self._folder.cleanup()

    def begin_job(
        self, settings: dict[str, str], outputs: Sequence[str], files: Iterable[InputFile], ranges: Iterable[int]
    ) -> None:
        """Ends any earlier job too."""
        change = Begun(settings, tuple(outputs), list(files), list(ranges))
        self._append(change)
        self._begin(change)

    def go_on(self) -> None:
        """Makes this process the one writer, of the job there or of the next one."""
        self._append(Opened())

    def commit(self, rows: list[PieceRow], faults: list[tuple[str, int]], frontier: Frontier) -> None:
        self._append(Committed(rows, faults, frontier))
        super().commit(rows, faults, frontier)

    def roll_back_file(self, file: int, frontier: Frontier) -> None:
        self._append(RolledBack(file, frontier))
        super().roll_back_file(file, frontier)

    def step_back(self, key: Key, frontier: Frontier) -> None:
        self._append(SteppedBack(key, frontier))
        super().step_back(key, frontier)

    def finish(self) -> None:
        """Makes sure, as the last step, that no other writer has continued."""
        self._append(Finished())

    def _append(self, change: Begun | Opened | Committed | RolledBack | SteppedBack | Finished) -> None:
        begun = self.number if isinstance(change, Begun) else self._begun
        content = zstandard.compress(_encode(Record(SCHEMA_VERSION, self._writer, begun, change)))
        name = record_name(self.number)
        try:
            self._store.create(name, content)
        except FileExistsError:
            there = self._store.get(name)
            if there != content:  # otherwise it is this one, and the answer was lost
                raise in_use(self._url, _writer_of(there)) from None
        self._begun = begun
        self.number += 1

    def _replay(self, number: int, content: bytes) -> None:
        record = _record(number, content, self._url)
        self._begun = number if isinstance(record.change, Begun) else self._begun
        try:
            if record.begun != self._begun:
                raise ValueError(record.begun)
            self._do(record.change)
        # A row occurs twice, a number exceeds 64 bits, or a plan has more files than ranges.
        except (sqlite3.IntegrityError, OverflowError, ValueError):
            raise damaged(self._where, f"record {number} is invalid") from None

    def _do(self, change: Begun | Opened | Committed | RolledBack | SteppedBack | Finished) -> None:
        if isinstance(change, Begun):
            self._begin(change)
        elif isinstance(change, Committed):
            super().commit(change.rows, change.faults, change.frontier)
        elif isinstance(change, RolledBack):
            super().roll_back_file(change.file, change.frontier)
        elif isinstance(change, SteppedBack):
            super().step_back(change.key, change.frontier)

    def _begin(self, change: Begun) -> None:
        self.clear()
        super().begin_job(change.settings, change.outputs, change.files, change.ranges)


def _writer_of(content: bytes) -> str:
    try:
        return str(_decode(_inflated(content)).writer)
    except (ValueError, RecursionError):
        return "writer unknown"
