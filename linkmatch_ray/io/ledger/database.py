"""Opens the SQLite file of a ledger, and makes transactions in it."""

from __future__ import annotations

import os
import sqlite3
import struct
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from linkmatch_ray.io.ledger.check import damaged
from linkmatch_ray.io.storage.ours import is_there, may_write, open_ours

_JOURNAL_MAGIC: Final = bytes.fromhex("d9d505f920a163d7")
_SUPERJOURNAL: Final = struct.Struct(">II8s")
"""The end of a journal that names another file (SQLite's super-journal): the length of the name, its sum, the magic."""


def connect(path: Path, *, create: bool, write: bool) -> sqlite3.Connection:
    """Opens the file. SQLite itself would follow links, and would roll back by any journal beside it.

    Nothing else in this process may open the file: closing it would release SQLite's locks.
    """
    if create:
        os.close(open_ours(path, os.O_RDWR | os.O_CREAT))
    writing = create or write or (is_there(path) and may_write(path))
    journal = path.with_name(path.name + "-journal")
    if is_there(path, writing=writing) and is_there(journal, writing=writing):
        _refuse_superjournal(journal)
    for suffix in ("-wal", "-shm"):  # ours never has them, and SQLite would remove or follow them
        if is_there(path.with_name(path.name + suffix), writing=writing):
            raise damaged(path, f"{path.name}{suffix} is beside it, and none of your jobs wrote that")
    uri = f"file:{quote(os.fsencode(path))}?mode={'rw' if writing else 'ro'}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def _refuse_superjournal(journal: Path) -> None:
    """Refuses a journal that ends with the name of another file. SQLite would remove that file. Ours never do.

    Raises:
        JobError: It does.
    """
    try:
        with open(open_ours(journal), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _SUPERJOURNAL.size))
            tail = file.read(_SUPERJOURNAL.size)
    except FileNotFoundError:  # the job has gone on
        return
    if len(tail) == _SUPERJOURNAL.size:
        length, _, magic = _SUPERJOURNAL.unpack(tail)
        if magic == _JOURNAL_MAGIC and 0 < length <= size - len(tail):
            raise damaged(journal, "it names another file, which no journal of ours does")


class Transaction:
    """A transaction, BEGIN IMMEDIATE … COMMIT, rolled back on any error."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: Any, *_: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # SQLite rolls back by itself if the disk is full
                self._db.execute("ROLLBACK")
