"""Checks whether a result directory agrees with itself: outputs, ledger, reverse report and summary, read from the
start.

What the outputs have is counted in them, for each piece and each file of it: lines, bytes, entries by reason. The rest
is taken from the ledger: the input's bytes and lines, and the number of records of an output that was not written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from io import SEEK_END
from typing import Any, BinaryIO, Final

import msgspec
import numpy as np
import xxhash

from linkmatch_ray.core.damage import FAULTS
from linkmatch_ray.core.index import IndexBuilder, Int64s, RestrictionIndex
from linkmatch_ray.core.outcome import SHARE_COLUMNS, as_text
from linkmatch_ray.errors import InputError
from linkmatch_ray.io.inputs.file import InputFile, inputs_digest
from linkmatch_ray.io.ledger.check import NUMBER_MAX
from linkmatch_ray.io.ledger.ledger import Frontier, Key, Ledger
from linkmatch_ray.io.ledger.rows import PieceRow, Span, outputs_of
from linkmatch_ray.io.names import OUTPUTS, QUARANTINE, RESTRICTIONS, SUMMARY
from linkmatch_ray.io.results.interface import Results
from linkmatch_ray.io.results.restriction_hits import count_hits, report_lines
from linkmatch_ray.io.storage.system_errors import reported_as_job_errors
from linkmatch_ray.words import plural, shown

_REPORT_LINE: Final = re.compile(rb'\{"index":(0|[1-9][0-9]{0,17}),"key":(.*),"hits":', re.DOTALL)
_READ_BYTES: Final = 8 << 20

LOOKS: Final = 3
"""Maximum number of checks. If something does not agree and the job has progressed meanwhile, all is checked again."""


@dataclass(slots=True)
class Checked:
    """The amount that was compared: rows of the ledger, and bytes of the outputs; and what is not the job's."""

    pieces: int = 0
    nbytes: int = 0
    foreign: list[str] = field(default_factory=list)


def verify(results: Results, checked: Checked) -> Iterator[str]:
    """Yields what does not agree, a sentence each. Counts into `checked`.

    Everything before the durable frontier is compared, even if the job is not complete. Of a running job, the file at
    the frontier is left out, because it may be rolled back.

    Raises:
        InputError: There are no results.
        JobError: They cannot be read, or the ledger or the summary is not one.
    """
    problems: list[str] = []
    with reported_as_job_errors(results):
        for _ in range(LOOKS):
            checked.pieces = checked.nbytes = 0
            problems, state = _look(results, checked)
            if not problems or _state(results) == state:
                break
        checked.foreign = results.foreign()
    yield from problems


def _look(results: Results, checked: Checked) -> tuple[list[str], Any]:
    """Returns what does not agree now, and the state that was checked."""
    with ExitStack() as held:
        ledger = results.ledger()
        if ledger is not None:
            held.callback(ledger.close)
        if ledger is None or not ledger.settings():
            raise InputError(f"{shown(results)}: no result directory. Name the one that submit printed.")
        files = {name: held.enter_context(results.open(name)) for name in OUTPUTS}
        state = dict(ledger.settings()), ledger.frontier()
        return list(_Verifier(results, ledger, files, checked).problems()), state


def _state(results: Results) -> Any:
    ledger = results.ledger()
    if ledger is None:
        return None
    with closing(ledger):
        return dict(ledger.settings()), ledger.frontier()


class _Entry(msgspec.Struct):
    """The members of a line of the quarantine that are checked."""

    file: str
    reason: str


@dataclass(slots=True)
class _Share:
    """The share of one output in a piece: the expected lines, and where each of its files ends, from the beginning
    of the piece."""

    name: str
    span: Span
    lines: Int64s
    ends: Int64s


class _Verifier:
    def __init__(self, results: Results, ledger: Ledger, files: dict[str, BinaryIO], checked: Checked) -> None:
        self._results, self._ledger, self._files, self._checked = results, ledger, files, checked
        self._settings = ledger.settings()
        self._emit = self._settings["emit"]
        self._summary = results.summary()
        self._outputs = ledger.outputs()
        self._ends = [0] * len(self._outputs)  # of what was checked
        self._reasons: Counter[str] = Counter()
        self._plan = ledger.files()
        self._next_file = 0

    def problems(self) -> Iterator[str]:
        pending = self._results.pending()
        if pending is not None and pending.summary() is not None:
            yield "an incremental job was stopped in its last step; its command again ends it in a moment"
            return
        runs = self._summary is None and self._results.holder() is not None
        frontier = self._ledger.settled() if runs else self._ledger.frontier()
        files = self._ledger.count_files()
        if self._summary is not None and frontier.next != Key(files, 0, 0):
            yield f"{SUMMARY} is there, but the ledger ends before file {frontier.next.file} of {files}"
        if self._outputs != outputs_of(self._emit):
            yield f"the ledger lists {', '.join(map(shown, self._outputs))} as outputs, which are not those of its job"
            return
        ends = dict.fromkeys(OUTPUTS, 0) | self._ledger.by_name(frontier.ends)
        for name, end in ends.items():
            size = self._files[name].seek(0, SEEK_END)
            if size < end or (self._summary is not None and size != end):
                yield f"{name} has {plural(size, 'byte')}; the ledger says {end:,}"
        yield from self._check_plan(frontier)
        for row in self._ledger.pieces():
            if row[:3] >= frontier.next:
                break
            yield from self._check_piece(row)
        if tuple(self._ends) != frontier.ends:
            yield f"the ledger's rows end at {tuple(self._ends)}, its frontier at {frontier.ends}"
        if self._summary is not None:
            yield from (f"{shown(name)} does not belong to the results" for name in self._results.strays())
            yield from self._check_report(self._summary["totals"])
            yield from self._check_summary(self._summary)

    def _check_plan(self, frontier: Frontier) -> Iterator[str]:
        expected = self._settings.get("inputs")
        if expected is not None and inputs_digest(file for file, _ in self._ledger.files()) != expected:
            yield "the ledger lists other files than the job had"
        for number, (file, _) in enumerate(self._ledger.files()):
            if file.fault is not None and number >= frontier.next.file:
                yield f"file {number}: the ledger says {file.fault}, but the job has not come to it"

    def _file(self, number: int) -> tuple[InputFile, int]:
        """Returns a file of the plan and its number of ranges. The numbers must come in order."""
        while self._next_file <= number:
            self._at = next(self._plan)
            self._next_file += 1
        return self._at

    def _check_piece(self, row: PieceRow) -> Iterator[str]:
        where = f"file {row.file}" + (f" to {row.file + row.files - 1}" if row.files > 1 else "")
        where += f" range {row.range} part {row.part}" if row.range or row.part or not row.last else ""
        columns = dict(zip(SHARE_COLUMNS, self._ledger.shares(row).T, strict=True))
        if not row.is_sound:
            yield f"{where}: its row in the ledger is not the one that was committed"
        yield from (f"{where}: {problem}" for problem in _wrong_counts(row, columns))
        file, ranges = self._file(row.file)
        if file.fault is not None and (row.records, row.entries) != (0, 1):
            found = f"{plural(row.records, 'record')} and {plural(row.entries, 'entry')}"
            yield f"{where}: the ledger says {file.fault}, but has {found}"
        is_whole = row.last and (row.range, row.part) == (0, 0) and (ranges == 1 or file.fault is not None)
        if row.indexes != row.records + row.entries and not (is_whole and row.indexes == 0):
            yield f"{where}: {row.indexes} indexes are not {row.records} records and {row.entries} entries"
        for share in self._shares(row, columns):
            span, end = share.span, self._ends[share.span.output]
            if span.start != end:
                yield f"{where}: begins at byte {span.start:,} of {share.name}; what comes before ends at {end:,}"
            problem = self._wrong_span(share)
            if problem is None and share.name == QUARANTINE:
                problem = self._wrong_entries(share, file)
            if problem is not None:
                yield f"{where}: {problem}"
            self._ends[span.output] = span.start + span.bytes
            self._checked.nbytes += span.bytes
        self._checked.pieces += 1

    def _shares(self, row: PieceRow, columns: dict[str, Int64s]) -> Iterator[_Share]:
        spans = {span.output: span for span in row.spans}
        for output, name in enumerate(self._outputs):
            span = spans.get(output) or Span(output, self._ends[output], 0, b"")
            if name == QUARANTINE:
                yield _Share(name, span, np.array([row.entries]), np.array([span.bytes]))
            else:
                kind = name.removesuffix(".jsonl")
                yield _Share(name, span, columns[kind], np.cumsum(columns[f"{kind}_bytes"]))

    def _wrong_span(self, share: _Share) -> str | None:
        """Reads a span, some at a time, and compares it."""
        span, file, state, at = share.span, self._files[share.name], xxhash.xxh3_64(), 0
        lines, ends_with_line = np.zeros(len(share.ends), np.int64), True
        last_bytes = np.unique(share.ends[share.ends > 0]) - 1
        file.seek(span.start)
        while at < span.bytes and (content := file.read(min(span.bytes - at, _READ_BYTES))):
            state.update(content)
            is_newline = np.frombuffer(content, np.uint8) == 10
            if len(lines) == 1:
                lines += np.count_nonzero(is_newline)
            else:
                places = np.searchsorted(share.ends, np.flatnonzero(is_newline) + at, side="right")
                lines += np.bincount(places, minlength=len(lines))
            here = last_bytes[(last_bytes >= at) & (last_bytes < at + len(content))] - at
            ends_with_line = ends_with_line and bool(is_newline[here].all())
            at += len(content)
        if at != span.bytes or (state.digest() if at else b"") != span.digest:
            end = span.start + span.bytes
            return f"bytes {span.start:,} to {end:,} of {share.name} are not those that were written"
        if not ends_with_line or not (lines == share.lines).all():
            of_files = " for its files" if len(lines) > 1 and lines.sum() == share.lines.sum() else ""
            return f"{lines.sum()} lines in {share.name}; the ledger says {share.lines.sum()}, or other lines{of_files}"
        return None

    def _wrong_entries(self, share: _Share, file: InputFile) -> str | None:
        """Checks the lines of a piece in the quarantine."""
        name = as_text("file", file.name)["file"]
        self._files[QUARANTINE].seek(share.span.start)
        for _ in range(int(share.lines[0])):
            try:
                entry = msgspec.json.decode(self._files[QUARANTINE].readline(), type=_Entry)
            except (ValueError, RecursionError):
                return f"{QUARANTINE} has a line that is not an entry"
            self._reasons[entry.reason] += 1
            if entry.file != name:
                return f"{QUARANTINE} names another file"
            if file.fault != (entry.reason if entry.reason in (*FAULTS, file.fault) else None):
                return f"{QUARANTINE} says {entry.reason}; the ledger says {file.fault or 'no fault'}"
        return None

    def _check_report(self, totals: dict[str, int]) -> Iterator[str]:
        with self._results.open(RESTRICTIONS) as file:
            if totals["restrictions"] and not file.read(1):
                yield f"{RESTRICTIONS} is missing"
                return
        try:
            index = self._index()
        except (KeyError, ValueError, RecursionError):
            yield f"{RESTRICTIONS} has a line of another kind"
            return
        if index.content_hash != self._settings["restrictions"]:
            yield f"{RESTRICTIONS} lists other restrictions than the job had"
            return
        hits = count_hits(index, self._ledger)
        for name, value in (("restrictions", index.restrictions), ("restrictions_hit", np.count_nonzero(hits))):
            if totals[name] != value:
                yield f"{SUMMARY} says {totals[name]:,} {name}; {RESTRICTIONS} says {value:,}"
        with self._results.open(RESTRICTIONS) as file:
            for lines in report_lines(index, hits):
                if file.read(len(lines)) != lines:
                    yield f"{RESTRICTIONS} has other hits than the ledger"
                    return

    def _index(self) -> RestrictionIndex:
        """Builds the index from the keys in the report."""
        builder = IndexBuilder()
        with self._results.open(RESTRICTIONS) as file:
            for line in file:
                found = _REPORT_LINE.match(line)
                if found is None or (number := int(found[1])) < len(builder):
                    raise ValueError(line)
                if number > len(builder):
                    builder.leave_out(number - len(builder))
                builder.push(found[2])
        return builder.build()

    def _check_summary(self, summary: dict[str, Any]) -> Iterator[str]:
        counts, input_bytes = self._ledger.totals()
        totals = {**counts.as_dict(), "input_bytes": input_bytes, "files": self._ledger.count_files()}
        for name, value in totals.items():
            if summary["totals"][name] != value:
                yield f"{SUMMARY} says {summary['totals'][name]:,} {name}; the ledger says {value:,}"
        if summary["faults"] != self._ledger.faults():
            yield f"{SUMMARY} has other faults than the ledger"
        if summary["reasons"] != dict(self._reasons):
            yield f"{SUMMARY} has other reasons than {QUARANTINE}"
        if summary["job_id"] != self._settings.get("job_id", summary["job_id"]):
            yield f"{SUMMARY} is that of another job than the ledger"
        if "options" in self._settings:
            try:
                known = msgspec.json.decode(self._settings["options"], type=dict[str, Any])
            except (ValueError, RecursionError):
                known = {"": None}
            options = {**summary["options"], "keys": summary["keys"]}
            if any((name, value) not in options.items() for name, value in known.items() if name != "name"):
                yield f"{SUMMARY} has other options than the ledger"


def _wrong_counts(row: PieceRow, columns: dict[str, Int64s]) -> Iterator[str]:
    """Yields numbers of a piece, or of a file in it, that contradict each other."""
    records, matched, unmatched = (columns[name] for name in ("records", "matched", "unmatched"))
    if row.records != row.matched + row.unmatched or (records != matched + unmatched).any():
        yield f"{row.records} records are not {row.matched} matched and {row.unmatched} unmatched"
    if (columns["missing_key"] + columns["not_object"] > unmatched).any():
        yield f"{row.missing_key} records without the key and {row.not_object} that are not objects are not unmatched"
    if row.files > 1 and (row.entries, row.lines, row.indexes) != (0, 0, 0):
        yield f"a piece of several files has {plural(row.entries, 'entry')}"
    pairs = np.frombuffer(row.hits, "<i8").reshape(-1, 2)
    if len(pairs) and (pairs.min() < 0 or pairs[:, 1].min() < 1 or pairs.max() > NUMBER_MAX):
        yield "its hits have impossible numbers"
        return
    times = np.concatenate((np.zeros(1, np.int64), np.cumsum(pairs[:, 1])))
    stops = np.cumsum(columns["hits"])
    if (times[stops] - times[stops - columns["hits"]] != matched).any():
        yield f"{times[-1]} hits are not {row.matched} matched, or not for each file"
