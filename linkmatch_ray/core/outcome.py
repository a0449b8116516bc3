"""What matching gives: counts, quarantine entries, and the records themselves. Plain data throughout."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import orjson
import xxhash

from linkmatch_ray.arguments import refuse_other_than, refuse_unless_one_of, refuse_unless_within
from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.errors import UsageError
from linkmatch_ray.words import shown

Emit = Literal["matched", "unmatched", "both"]
Format = Literal["auto", "lines", "array", "object"]

RECORD_BYTES_MAX: Final = 64 << 20
"""Default limit of one record, in bytes; a longer one is a quarantine entry."""

INFLATION_MAX: Final = 200
"""JSON is seldom compressed to less than a fiftieth; gzip can do a thousandth, and zstd far less."""

LIMIT_MAX: Final = 1 << 53
"""Limits are kept as JSON, in which larger numbers are no longer exact to all who read it."""

FAULT_PART: Final = 1 << 62
"""The part number of a fault: it comes after every part of its range, however many came before it."""

_Bytes = bytes  # within Entry, `bytes` is the name of a member

ENTRY_TEXT_BYTES_MAX: Final = 200
"""How much of a damaged piece a quarantine entry shows, in bytes."""


@dataclass(frozen=True, slots=True)
class MatchOptions:
    """How records are read and what is written of them; part of what makes a job the same job.

    Attributes:
        emit: Which of the two lists is written.
        provenance: Write each record with where it came from and which restrictions it equals.
        records_at: JSON Pointer of an array inside a single document, or None.
        format: The layout of the input, where it is not to be found from the content.
        max_record_bytes: A longer record is an entry.
        max_inflation: How many times its own size a compressed input may decompress to, beyond the first GiB.
        name: What `match_bytes` calls its input in provenance lines; files have their own.

    Raises:
        UsageError: a value is out of range, or none of the known ones.
        TypeError: it is of another type.
    """

    emit: Emit = "matched"
    provenance: bool = False
    records_at: str | None = None
    format: Format = "auto"
    max_record_bytes: int = RECORD_BYTES_MAX
    max_inflation: int = INFLATION_MAX
    name: str = "<bytes>"

    def __post_init__(self) -> None:
        if self.records_at is not None:
            KeyPath.parse(self.records_at)  # refuses what is none before anything begins
        for name in ("max_record_bytes", "max_inflation"):
            refuse_unless_within(name, getattr(self, name), 1, LIMIT_MAX)
        for name, known in (("emit", Emit), ("format", Format)):
            refuse_unless_one_of(name, getattr(self, name), get_args(known))
        refuse_other_than("provenance", self.provenance, bool, "Give True or False.")
        refuse_other_than("name", self.name, str, "Give a str.")
        try:
            self.name.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise UsageError(f"name={shown(self.name)}: not UTF-8. Give a name that is.") from None


@dataclass(slots=True)
class Counts:
    """Sums over records. `records` is counted by framing, on its own: it must equal matched + unmatched."""

    records: int = 0
    matched: int = 0
    unmatched: int = 0
    missing_key: int = 0
    not_object: int = 0
    entries: int = 0

    def add(self, other: Counts) -> None:
        """Add another's numbers to these. Spelt out, as it is done for every file."""
        self.records += other.records
        self.matched += other.matched
        self.unmatched += other.unmatched
        self.missing_key += other.missing_key
        self.not_object += other.not_object
        self.entries += other.entries

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its numbers: a quarter of the time that a dataclass with slots takes."""
        numbers = (self.records, self.matched, self.unmatched, self.missing_key, self.not_object, self.entries)
        return Counts, numbers

    def as_dict(self) -> dict[str, int]:
        """The numbers by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True)
class Entry:
    """A piece of input that could not be read.

    Attributes:
        index: Which element or non-blank line of its file, from 0; None for a whole file.
        line: Physical line it starts on, from 1; None where unknown.
        byte_offset: Where it starts, in decompressed bytes.
        bytes: How many bytes it covers.
        reason: Stable code.
        message: For people.
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
        """As that of `Counts`; a file of another kind has an entry for each of its lines."""
        return Entry, tuple([getattr(self, name) for name in self.__slots__])

    def moved(self, index: int, lines: int) -> Entry:
        """The same entry, counted from the start of the file instead of that of a range."""
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
        """The entry as a line of `quarantine.jsonl`."""
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
    """A member for JSON, and `<name>_base64` beside it where the bytes are not UTF-8."""
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
"""What `Piece.shares` says of each file; `hits` is how many of the piece's hit pairs are the file's."""

HIT_PAIR_BYTES: Final = 16
"""Two little-endian int64: a distinct key, and how many records have it."""


@dataclass(slots=True)
class Piece:
    """The share of one file in a part, or of several small ones in a row: the unit of the ledger.

    Attributes:
        file: Place of the file in the plan, or of the first of them.
        range: Which byte range of the file, from 0.
        part: Which part of that range, from 0.
        last: No further part of this range follows.
        fault: None, or the one entry that stands for the whole file (`changed`, `unreadable`, ...);
            whatever was committed of the file is then rolled back.
        lines: Newlines in this piece; with `counts.records` and entries, what later ranges are moved by.
        indexes: Elements or non-blank lines in this piece.
        matched_bytes, unmatched_bytes: Its length in the part's two outputs.
        matched_digest, unmatched_digest: xxh3 of these bytes; made here, where they are still in a cache.
        hits: Pairs (distinct key, times) as little-endian int64; file by file where there are several.
        files: How many whole files this is the share of.
        shares: Where that is more than one, int64 of shape (files, columns of `SHARE_COLUMNS`).
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

    def of_files(self, start: int, stop: int) -> tuple[Piece, int, int]:
        """The share of some of several files, without digests; and where it begins in the piece's two outputs."""
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
        """As that of `Counts`."""
        return Piece, tuple([getattr(self, name) for name in self.__slots__])


def digest(*chunks: bytes | memoryview) -> bytes | None:
    """xxh3 of bytes, given whole or in chunks; None of no bytes."""
    if not any(map(len, chunks)):
        return None
    state = xxhash.xxh3_64()
    for chunk in chunks:
        state.update(chunk)
    return state.digest()


@dataclass(slots=True)
class Outcome:
    """What `match_bytes` found in one input.

    Attributes:
        matched, unmatched: JSON Lines, as `MatchOptions.emit` asked for.
        entries: What could not be read.
        counts: Sums; `counts.records == counts.matched + counts.unmatched`.
        hits: For each restriction that some record equals, how many records do.
    """

    matched: bytes
    unmatched: bytes
    entries: tuple[Entry, ...]
    counts: Counts
    hits: dict[int, int]
