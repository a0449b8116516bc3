"""A committed piece as rows of the ledger, and back. No other module knows both.

A piece has a row of `spans` only for outputs in which it has bytes. A missing row is noticed, because the spans of an
output follow one another without a gap, up to its row in `ends`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import orjson
import xxhash

from linkmatch_ray.core.outcome import HIT_PAIR_BYTES, SHARE_COLUMNS, Counts, Piece
from linkmatch_ray.io.ledger.check import NUMBER_MAX
from linkmatch_ray.io.names import MATCHED, QUARANTINE, UNMATCHED

_Bytes = bytes  # within Span, `bytes` is the name of a member
_encode = msgspec.msgpack.Encoder().encode


class Span(NamedTuple):
    """A row of `spans` without its key: a piece's bytes in one output. `output` is a place in the job's list."""

    output: int
    start: int
    bytes: int
    digest: _Bytes


class PieceRow(NamedTuple):
    """A row of `pieces`, in the order of its columns, and its rows of `spans`."""

    file: int
    range: int
    part: int
    last: int
    records: int
    matched: int
    unmatched: int
    missing_key: int
    not_object: int
    entries: int
    lines: int
    indexes: int
    input_bytes: int
    hits: bytes
    files: int
    shares: str | None
    encoding: str | None
    digest: bytes
    spans: tuple[Span, ...]

    @property
    def is_sound(self) -> bool:
        """Whether it is as it was made: all numbers, hits, shares and spans."""
        return self.digest == _digest_of(self[:-2], self.spans)


def outputs_of(emit: str) -> tuple[str, ...]:
    """Returns the outputs of a new job, in the order of its list."""
    left_out = {"matched": UNMATCHED, "unmatched": MATCHED}.get(emit)
    return tuple(name for name in (MATCHED, UNMATCHED, QUARANTINE) if name != left_out)


def row_of(piece: Piece, spans: tuple[Span, ...]) -> PieceRow:
    """Returns the rows of a piece that was written there."""
    counts = piece.counts
    columns = (
        piece.file, piece.range, piece.part, int(piece.last),
        counts.records, counts.matched, counts.unmatched, counts.missing_key, counts.not_object, counts.entries,
        piece.lines, piece.indexes, piece.input_bytes, piece.hits, piece.files,
        None if piece.shares is None else orjson.dumps(piece.shares, option=orjson.OPT_SERIALIZE_NUMPY).decode(),
        piece.encoding,
    )  # fmt: skip
    return PieceRow._make((*columns, _digest_of(columns, spans), spans))


def piece_of(row: PieceRow, outputs: Sequence[str]) -> Piece:
    """Returns the piece, without its entries, which are only in the quarantine.

    Raises:
        ValueError: No piece has such rows.
    """
    if not row.is_sound:
        raise ValueError("it is not as it was committed")
    spans = {outputs[span.output]: span for span in row.spans}
    matched, unmatched = spans.get(MATCHED), spans.get(UNMATCHED)
    return Piece(
        file=row.file,
        range=row.range,
        part=row.part,
        last=bool(row.last),
        counts=Counts(row.records, row.matched, row.unmatched, row.missing_key, row.not_object, row.entries),
        lines=row.lines,
        indexes=row.indexes,
        input_bytes=row.input_bytes,
        matched_bytes=0 if matched is None else matched.bytes,
        unmatched_bytes=0 if unmatched is None else unmatched.bytes,
        matched_digest=None if matched is None else matched.digest,
        unmatched_digest=None if unmatched is None else unmatched.digest,
        hits=row.hits,
        files=row.files,
        shares=None if row.shares is None else shares_of(row, outputs),
        encoding=row.encoding,
    )


def shares_of(row: PieceRow, outputs: Sequence[str]) -> npt.NDArray[np.int64]:
    """Returns the share of each file in a piece, of shape (files, columns of `SHARE_COLUMNS`).

    Raises:
        ValueError: It has no such shares, or they do not add up to the piece.
    """
    sizes = {outputs[span.output]: span.bytes for span in row.spans}
    whole = row._asdict() | {"hits": len(row.hits) // HIT_PAIR_BYTES}
    whole |= {"matched_bytes": sizes.get(MATCHED, 0), "unmatched_bytes": sizes.get(UNMATCHED, 0)}
    if row.shares is None:
        return np.array([[whole[name] for name in SHARE_COLUMNS]], np.int64)
    try:
        rows = msgspec.json.decode(row.shares.encode(), type=list[list[int]])
        shares = np.array(rows, np.int64).reshape(row.files, len(SHARE_COLUMNS))
    except (ValueError, OverflowError, RecursionError):
        raise ValueError("its shares are invalid") from None
    if shares.min() < 0 or shares.max() > NUMBER_MAX:
        raise ValueError("its shares have impossible numbers")
    for name, total in zip(SHARE_COLUMNS, shares.sum(axis=0).tolist(), strict=True):
        if total != whole[name]:
            raise ValueError(f"its shares have {total} {name}, not {whole[name]}")
    return shares


def _digest_of(columns: tuple[Any, ...], spans: tuple[Span, ...]) -> bytes:
    return xxhash.xxh3_64_digest(_encode((columns, spans)))
