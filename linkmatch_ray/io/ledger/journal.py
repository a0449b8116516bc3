"""A ledger as a row of objects, `ledger/0000000000` and on: each says one thing that was done to it.

A record is made only where none of its number is: of two writers who go on from the same record one succeeds, and the
other stops. So the row is the fence between writers too, and no record is ever removed. Whoever wants the ledger does
all of it again on a SQLite file of his own.
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
from linkmatch_ray.io.ledger.ledger import SCHEMA_VERSION, Frontier, Key, Ledger, Settings
from linkmatch_ray.io.ledger.rows import PieceRow
from linkmatch_ray.io.names import LEDGER
from linkmatch_ray.io.object_names import RECORDS, record_name, record_number
from linkmatch_ray.io.storage.errors import in_use
from linkmatch_ray.io.storage.store import Store, get_all
from linkmatch_ray.words import shown

RECORD_BYTES_MAX: Final = 1 << 30
"""As it is stored: the plan of ten million files has a tenth of that."""

INFLATED_BYTES_MAX: Final = 256 << 20
INFLATION_MAX: Final = 200
"""A record has no more than this, or no more than so many times what is stored."""


class Writer(msgspec.Struct, frozen=True):
    """Who writes: one collector, once."""

    host: str
    pid: int
    since: str
    token: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


def new_writer() -> Writer:
    """This process, as from now."""
    return Writer(shown(socket.gethostname()), os.getpid(), time.strftime("%Y-%m-%d %H:%M:%S %z"), token_hex(8))


class Begun(msgspec.Struct, tag=True):
    """A new job; whatever was before is over."""

    settings: dict[str, str]
    outputs: tuple[str, ...]
    files: list[InputFile]
    ranges: list[int]


class Opened(msgspec.Struct, tag=True):
    """Another writer: no earlier one goes on."""


class Committed(msgspec.Struct, tag=True):
    """As `Ledger.commit`."""

    rows: list[PieceRow]
    faults: list[tuple[str, int]]
    frontier: Frontier


class RolledBack(msgspec.Struct, tag=True):
    """As `Ledger.roll_back_file`."""

    file: int
    frontier: Frontier


class SteppedBack(msgspec.Struct, tag=True):
    """As `Ledger.step_back`."""

    key: Key
    frontier: Frontier


class Finished(msgspec.Struct, tag=True):
    """All is committed; the summary follows."""


class Record(msgspec.Struct):
    """What an object holds, as msgpack in zstd. `begun` is the number of the record that began the job, which may be
    this one; None where none did yet."""

    schema: int
    writer: Writer
    begun: int | None
    change: Begun | Opened | Committed | RolledBack | SteppedBack | Finished


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


class _Version(msgspec.Struct):
    """What records of all versions have."""

    schema: int


_decode_version = msgspec.msgpack.Decoder(_Version).decode


def _inflated(content: bytes) -> bytes:
    """What is in a record.

    Raises:
        ValueError: it cannot be, or is too much to be a record.
    """
    try:
        size = zstandard.get_frame_parameters(content).content_size
        if size > max(INFLATED_BYTES_MAX, INFLATION_MAX * len(content)):  # 2**64 - 1 where it is not said
            raise ValueError(f"{size:,} bytes")
        return zstandard.decompress(content)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None


def _record(number: int, content: bytes, where: str) -> Record:
    """What is in a record.

    Raises:
        JobChanged: another version wrote it.
        JobError: it is none.
    """
    try:
        inflated = _inflated(content)
        if _decode_version(inflated).schema != SCHEMA_VERSION:
            raise other_version(where)
        return _decode(inflated)
    except (ValueError, RecursionError):
        raise damaged(f"{where}/{RECORDS}", f"record {number} is none") from None


def settings_at(store: Store, where: str) -> Settings:
    """The settings of the job in a store, from two records however many there are; empty where none was ever begun."""
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
    """The records in a store, by name, and their sizes in bytes; nothing of what others put beside them."""
    return {name: size for name, size in store.list(RECORDS).items() if record_number(name) is not None}


class LoggedLedger(Ledger):
    """The ledger in a store, as of now; to write to it, `go_on` with it first.

    Every change is a record first, and then done to the copy. A change raises `DirectoryInUse` where another writer
    has gone on meanwhile; nothing was changed then.
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
        """The number of the next record. What a writer makes is named by that of its first: the highest is newest."""

    def close(self) -> None:
        """Close the copy and remove it."""
        super().close()
        self._folder.cleanup()

    def begin_job(
        self, settings: dict[str, str], outputs: Sequence[str], files: Iterable[InputFile], ranges: Iterable[int]
    ) -> None:
        """As `Ledger`; an earlier job is over by that."""
        change = Begun(settings, tuple(outputs), list(files), list(ranges))
        self._append(change)
        self._begin(change)

    def go_on(self) -> None:
        """Become the one writer, of the job there or of one that is begun next."""
        self._append(Opened())

    def commit(self, rows: list[PieceRow], faults: list[tuple[str, int]], frontier: Frontier) -> None:
        """As `Ledger`."""
        self._append(Committed(rows, faults, frontier))
        super().commit(rows, faults, frontier)

    def roll_back_file(self, file: int, frontier: Frontier) -> None:
        """As `Ledger`."""
        self._append(RolledBack(file, frontier))
        super().roll_back_file(file, frontier)

    def step_back(self, key: Key, frontier: Frontier) -> None:
        """As `Ledger`."""
        self._append(SteppedBack(key, frontier))
        super().step_back(key, frontier)

    def finish(self) -> None:
        """Make sure, last of all, that no other writer has gone on."""
        self._append(Finished())

    def _append(self, change: Begun | Opened | Committed | RolledBack | SteppedBack | Finished) -> None:
        begun = self.number if isinstance(change, Begun) else self._begun
        content = zstandard.compress(_encode(Record(SCHEMA_VERSION, self._writer, begun, change)))
        name = record_name(self.number)
        try:
            self._store.create(name, content)
        except FileExistsError:
            there = self._store.get(name)
            if there != content:  # else it is this one, and the answer was lost
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
        # Of a row that is there twice, of numbers beyond 64 bits, of a plan with more files than ranges.
        except (sqlite3.IntegrityError, OverflowError, ValueError):
            raise damaged(self._where, f"record {number} is none") from None

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
