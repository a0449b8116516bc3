"""The result of matching: counts, quarantine entries, and shares of files. Plain data throughout."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import xxhash

FAULT_PART: Final = 1 << 62
"""The part number of a fault. It comes after every part of its range."""

_Bytes = bytes  # within Entry, `bytes` is the name of a member

ENTRY_TEXT_BYTES_MAX: Final = 200
"""Maximum length of the damaged input that a quarantine entry shows, in bytes."""


@dataclass(slots=True)
class Counts:
    """Sums over records. `records` is counted on its own, by newlines or elements, and must equal matched +
    unmatched."""

    records: int = 0
    matched: int = 0
    unmatched: int = 0
    missing_key: int = 0
    not_object: int = 0
    entries: int = 0

    def add(self, other: Counts) -> None:
        """Adds another's numbers. Spelt out for speed, because it runs for every file."""
        self.records += other.records
        self.matched += other.matched
        self.unmatched += other.unmatched
        self.missing_key += other.missing_key
        self.not_object += other.not_object
        self.entries += other.entries

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the numbers: a quarter of the time that a dataclass with slots takes."""
        numbers = (self.records, self.matched, self.unmatched, self.missing_key, self.not_object, self.entries)
        return Counts, numbers

    def as_dict(self) -> dict[str, int]:
        """Returns the numbers by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True)
class Entry:
    """Input that could not be read.

    Attributes:
        index: Which element or non-blank line of its file, from 0; None for a whole file.
        line: Physical line it starts on, from 1; None if unknown.
        byte_offset: Where it starts, in decompressed bytes.
        bytes: How many bytes it covers.
        reason: Stable code.
        message: Text for people.
        text: Its first `ENTRY_TEXT_BYTES_MAX` bytes.
    """

    index: int | None
    line: int | None
    byte_offset: int
    bytes: int
    reason: str
    message: str
    text: _Bytes = b""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles as `Counts` does: a file that is no JSON has an entry for each of its lines."""
        return Entry, tuple([getattr(self, name) for name in self.__slots__])

    def moved(self, index: int, lines: int) -> Entry:
        """Returns the entry with positions that count from the start of the file instead of the start of a range."""
        return Entry(
            None if self.index is None else self.index + index,
            None if self.line is None else self.line + lines,
            self.byte_offset,
            self.bytes,
            self.reason,
            self.message,
            self.text,
        )

    def as_line(self, path: _Bytes) -> _Bytes:
        """Returns the entry as a line of `quarantine.jsonl`."""
        row: dict[str, Any] = {
            **as_text("file", path),
            "index": self.index,
            "line": self.line,
            "byte_offset": self.byte_offset,
            "bytes": self.bytes,
            "reason": self.reason,
            "message": self.message,
            **as_text("text", self.text),
        }
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def as_text(name: str, value: bytes) -> dict[str, str]:
    """Returns a member for JSON, with `<name>_base64` beside it if the bytes are not UTF-8."""
    try:
        return {name: value.decode("utf-8")}
    except UnicodeDecodeError:
        return {name: value.decode("utf-8", "replace"), name + "_base64": base64.b64encode(value).decode()}


SHARE_COLUMNS: Final = (
    "records",
    "matched",
    "unmatched",
    "missing_key",
    "not_object",
    "input_bytes",
    "matched_bytes",
    "unmatched_bytes",
    "hits",
)
"""The columns of `Piece.shares`. `hits` is the number of the piece's hit pairs that are the file's."""

HIT_PAIR_BYTES: Final = 16
"""Two little-endian int64: a distinct key, and the number of records that have it."""


@dataclass(slots=True)
class Piece:
    """The share of one file in a part, or of several small files in a row: the unit of the ledger.

    Attributes:
        file: Number of the file in the plan, or of the first of them.
        range: Which byte range of the file, from 0.
        part: Which part of that range, from 0.
        last: No further part of this range follows.
        fault: None, or the one entry that stands for the whole file (`changed`, `unreadable`, ...). What was committed
            of the file is then rolled back.
        lines: Newlines in this piece. Positions in later ranges are moved by it.
        indexes: Elements or non-blank lines in this piece. Positions in later ranges are moved by it.
        matched_bytes, unmatched_bytes: Its length in the part's two outputs.
        matched_digest, unmatched_digest: xxh3 of these bytes; made here, while they are still in a cache.
        hits: Pairs (distinct key, times) as little-endian int64; file by file if there are several.
        files: Number of whole files that this is the share of.
        encoding: The encoding of the file; None for UTF-8.
        shares: If `files` is more than one, int64 of shape (files, columns of `SHARE_COLUMNS`).
    """

    file: int
    range: int = 0
    part: int = 0
    last: bool = True
    fault: Entry | None = None
    counts: Counts = field(default_factory=Counts)
    lines: int = 0
    indexes: int = 0
    input_bytes: int = 0
    matched_bytes: int = 0
    unmatched_bytes: int = 0
    matched_digest: bytes | None = None
    unmatched_digest: bytes | None = None
    entries: tuple[Entry, ...] = ()
    hits: bytes = b""
    files: int = 1
    shares: npt.NDArray[np.int64] | None = None
    encoding: str | None = None

    def of_files(self, start: int, stop: int) -> tuple[Piece, int, int]:
        """Returns the share of some of several files, without digests, and where it begins in the two outputs."""
        assert self.shares is not None
        columns = dict(zip(SHARE_COLUMNS, self.shares[start:stop].sum(axis=0).tolist(), strict=True))
        skipped = dict(zip(SHARE_COLUMNS, self.shares[:start].sum(axis=0).tolist(), strict=True))
        names = ("records", "matched", "unmatched", "missing_key", "not_object")
        first_hit = skipped["hits"] * HIT_PAIR_BYTES
        piece = Piece(
            file=self.file + start,
            counts=Counts(*(columns[name] for name in names)),
            input_bytes=columns["input_bytes"],
            matched_bytes=columns["matched_bytes"],
            unmatched_bytes=columns["unmatched_bytes"],
            hits=self.hits[first_hit : first_hit + columns["hits"] * HIT_PAIR_BYTES],
            files=stop - start,
            shares=self.shares[start:stop] if stop - start > 1 else None,
        )
        return piece, skipped["matched_bytes"], skipped["unmatched_bytes"]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles as `Counts` does."""
        return Piece, tuple([getattr(self, name) for name in self.__slots__])


def digest(*contents: bytes | memoryview) -> bytes | None:
    """Returns the xxh3 of bytes, given whole or one after another; None for no bytes."""
    if not any(map(len, contents)):
        return None
    state = xxhash.xxh3_64()
    for content in contents:
        state.update(content)
    return state.digest()


@dataclass(slots=True)
class Outcome:
    """The result of `match_bytes`.

    Attributes:
        matched, unmatched: JSON Lines, as `MatchOptions.emit` asked for.
        entries: What could not be read.
        counts: Sums; `counts.records == counts.matched + counts.unmatched`.
        hits: For each restriction that some record equals, the number of such records.
    """

    matched: bytes
    unmatched: bytes
    entries: tuple[Entry, ...]
    counts: Counts
    hits: dict[int, int]
