"""Whether a result directory agrees with itself: outputs, ledger, reverse report and summary, read anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import SEEK_END
from typing import Any, BinaryIO, Final

import numpy as np
import orjson

from linkmatch_ray.core.index import IndexBuilder, RestrictionIndex
from linkmatch_ray.core.outcome import SHARE_COLUMNS, digest
from linkmatch_ray.errors import InputError
from linkmatch_ray.io.bucket import Bucket
from linkmatch_ray.io.directory import Directory
from linkmatch_ray.io.ledger import Ends, Key, Ledger, PieceRow
from linkmatch_ray.io.report import count_hits, count_reasons, report_lines
from linkmatch_ray.io.results import MATCHED, OUTPUTS, QUARANTINE, RESTRICTIONS, SUMMARY, UNMATCHED, Results
from linkmatch_ray.io.trouble import told
from linkmatch_ray.words import shown

_KEYS_AT_ONCE: Final = 1 << 16


@dataclass(slots=True)
class Checked:
    """How much was compared: rows of the ledger, and bytes of the outputs."""

    pieces: int = 0
    nbytes: int = 0


def verify(results: Results, checked: Checked) -> Iterator[str]:
    """What does not agree, a sentence each; nothing where all is well. Counts into `checked`.

    Everything before the durable frontier is compared, of a job that is not complete too.

    Raises:
        InputError: there are no results.
        JobError: it cannot be read.
    """
    with told(results), ExitStack() as held:
        ledger = results.ledger()
        if ledger is not None:
            held.callback(ledger.close)
        if ledger is None or not ledger.settings():
            raise InputError(f"{shown(results)}: no result directory. Name the one that submit printed.")
        files = {name: held.enter_context(results.open(name)) for name in OUTPUTS}
        yield from _Verifier(results, ledger, files, checked).problems()


class _Verifier:
    def __init__(self, results: Results, ledger: Ledger, files: dict[str, BinaryIO], checked: Checked) -> None:
        self._results, self._ledger, self._files, self._checked = results, ledger, files, checked
        self._emit = ledger.settings()["emit"]
        self._summary = results.summary()
        self._ends = Ends(0, 0, 0)  # of what was checked

    def problems(self) -> Iterator[str]:
        if isinstance(self._results, Directory) and self._results.next.summary() is not None:
            yield "an incremental job was stopped in its last step; its command again ends it in a moment"
            return
        frontier = self._ledger.frontier()
        files = self._ledger.count_files()
        if self._summary is not None and frontier.next != Key(files, 0, 0):
            yield f"{SUMMARY} is there, but the ledger ends before file {frontier.next.file} of {files}"
        for name, end in zip(OUTPUTS, frontier.ends, strict=True):
            size = self._files[name].seek(0, SEEK_END)
            if size < end or (self._summary is not None and size != end):
                yield f"{name} has {size:,} bytes; the ledger says {end:,}"
        for row in self._ledger.pieces():
            yield from self._check_piece(row)
        if self._ends != frontier.ends:
            yield f"the ledger's rows end at {tuple(self._ends)}, its frontier at {tuple(frontier.ends)}"
        if self._summary is not None:
            if isinstance(self._results, Bucket):
                yield from (f"{shown(name)} is no part of the results" for name in self._results.strays())
            yield from self._check_report(self._summary["totals"]["restrictions"])
            yield from self._check_summary(self._summary)

    def _check_piece(self, row: PieceRow) -> Iterator[str]:
        where = f"file {row.file}" + (f" to {row.file + row.files - 1}" if row.files > 1 else "")
        where += f" range {row.range} part {row.part}" if row.range or row.part or not row.last else ""
        if row.records != row.matched + row.unmatched:
            yield f"{where}: {row.records} records are not {row.matched} matched and {row.unmatched} unmatched"
        if row.shares is not None:
            sums = dict(zip(SHARE_COLUMNS, np.array(orjson.loads(row.shares)).sum(axis=0).tolist(), strict=True))
            for name in ("records", "matched", "unmatched", "matched_bytes", "unmatched_bytes"):
                if sums[name] != getattr(row, name):
                    yield f"{where}: the shares of its files have {sums[name]} {name}, not {getattr(row, name)}"
        matched, unmatched = self._emit != "unmatched", self._emit != "matched"
        spans = (
            (MATCHED, row.matched_start, row.matched_bytes, row.matched_digest, row.matched * matched),
            (UNMATCHED, row.unmatched_start, row.unmatched_bytes, row.unmatched_digest, row.unmatched * unmatched),
            (QUARANTINE, row.quarantine_start, row.quarantine_bytes, row.quarantine_digest, row.entries),
        )
        for (name, start, size, expected_digest, lines), end in zip(spans, self._ends, strict=True):
            if start != end:
                yield f"{where}: begins at byte {start:,} of {name}; what comes before ends at {end:,}"
            content = self._read(name, start, size)
            if len(content) != size or digest(content) != expected_digest:
                yield f"{where}: bytes {start:,} to {start + size:,} of {name} are not those that were written"
            elif content.count(b"\n") != lines:
                yield f"{where}: {content.count(10)} lines in {name}; the ledger says {lines}"
        self._checked.pieces += 1
        self._checked.nbytes += row.matched_bytes + row.unmatched_bytes + row.quarantine_bytes
        self._ends = Ends(
            row.matched_start + row.matched_bytes,
            row.unmatched_start + row.unmatched_bytes,
            row.quarantine_start + row.quarantine_bytes,
        )

    def _read(self, name: str, start: int, size: int) -> bytes:
        if not size:
            return b""
        self._files[name].seek(start)
        return self._files[name].read(size)

    def _check_report(self, restrictions: int) -> Iterator[str]:
        with self._results.open(RESTRICTIONS) as file:
            if restrictions and not file.read(1):
                yield f"{RESTRICTIONS} is missing"
                return
        try:
            index = self._index()
        except (orjson.JSONDecodeError, KeyError, ValueError):
            yield f"{RESTRICTIONS} has a line that is no line of it"
            return
        if index.content_hash != self._ledger.settings()["restrictions"]:
            yield f"{RESTRICTIONS} lists other restrictions than the job had"
            return
        with self._results.open(RESTRICTIONS) as file:
            for lines in report_lines(index, count_hits(index, self._ledger.hits())):
                if file.read(len(lines)) != lines:
                    yield f"{RESTRICTIONS} has other hits than the ledger"
                    return

    def _index(self) -> RestrictionIndex:
        """The index again, from the keys in the report."""
        builder, keys = IndexBuilder(), []
        with self._results.open(RESTRICTIONS) as file:
            for number, line in enumerate(file):
                head = b'{"index":%d,"key":' % number
                if not line.startswith(head):
                    raise ValueError(number)
                keys.append(line[len(head) : line.rindex(b',"hits":')])
                if len(keys) == _KEYS_AT_ONCE:
                    builder.add(keys)
                    keys = []
        builder.add(keys)
        return builder.build()

    def _check_summary(self, summary: dict[str, Any]) -> Iterator[str]:
        counts, input_bytes = self._ledger.totals()
        totals = {**counts.as_dict(), "input_bytes": input_bytes, "files": self._ledger.count_files()}
        for name, value in totals.items():
            if summary["totals"][name] != value:
                yield f"{SUMMARY} says {summary['totals'][name]:,} {name}; the ledger says {value:,}"
        try:
            reasons = count_reasons(self._results.open(QUARANTINE))
        except (orjson.JSONDecodeError, KeyError, TypeError):
            yield f"{QUARANTINE} has a line that is no entry"
            return
        if summary["reasons"] != reasons:
            yield f"{SUMMARY} has other reasons than {QUARANTINE}"
