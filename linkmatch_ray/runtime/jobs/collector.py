"""The collector: the only writer of a job. A plain class here; `collector_actor.py` makes an actor of it.

It accepts the next piece of the plan and nothing else. Any other call returns the durable frontier and changes nothing.
So calls may come twice, late or out of order, and each record is still written once.

`PROTOCOL.md` describes what a crash leaves at each step, and how the next start repairs it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np
import orjson

from linkmatch_ray.core.damage import FAULTS
from linkmatch_ray.core.emit import move_provenance, provenance_prefix
from linkmatch_ray.core.index import RestrictionIndex
from linkmatch_ray.core.outcome import Counts, Entry, Piece, as_text, digest
from linkmatch_ray.errors import JobChanged, JobError
from linkmatch_ray.io.inputs.file import unpack_files
from linkmatch_ray.io.ledger.ledger import Frontier, Key
from linkmatch_ray.io.ledger.rows import PieceRow, Span, outputs_of, row_of
from linkmatch_ray.io.names import MATCHED, QUARANTINE, RESTRICTIONS, SUMMARY, UNMATCHED
from linkmatch_ray.io.results.interface import Output
from linkmatch_ray.io.results.matches import matches
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.restriction_hits import count_hits, count_reasons, report_lines
from linkmatch_ray.io.results.reuse import ReusedResults, ReusePlan
from linkmatch_ray.io.storage.system_errors import reported_as_job_errors
from linkmatch_ray.runtime.jobs.receipt import Ends, Receipt
from linkmatch_ray.runtime.jobs.slices import Slice, Slices, bytes_of, skip
from linkmatch_ray.runtime.jobs.worker import PartBody
from linkmatch_ray.words import shown

COMMIT_BYTES: Final = 64 << 20
"""Bytes of output after which pieces are made durable together, unless `Results.commit_seconds` are over before."""


class Collector:
    """The collector of one job, which writes its results into one place, exactly once and in order.

    Args:
        output: A directory or URL.
        reuse: For an incremental job, what it takes from the earlier one.

    Guarantees: Pieces before the frontier that `commit` has reported survive any crash. The outputs hold the pieces of
    the plan in its order, each once.
    """

    def __init__(
        self,
        output: str,
        packed_files: bytes,
        ranges: list[int],
        settings: dict[str, str],
        reuse: ReusePlan | None = None,
    ) -> None:
        self._results = results_at(output)
        self._place = self._results  # for an incremental job another place, until it is complete
        self._reuse = reuse
        self._earlier: ReusedResults | None = None
        self._files = unpack_files(packed_files)
        self._ranges, self._settings = ranges, settings
        self._provenance = settings["provenance"] == "1"
        self._held = ExitStack()
        self._counts, self._input_bytes = Counts(), 0
        self._reading = threading.Lock()
        self._state = "starting"

    def __repr__(self) -> str:
        return f"Collector({shown(self._results)})"

    # Life

    def open(self, *, overwrite: bool = False) -> Receipt:
        """Locks the place, and begins the job or resumes it.

        Raises:
            DirectoryInUse: Another job writes there.
            JobChanged: The place holds a job with other settings.
            JobError: It cannot be written.
            UsageError: It holds other files.
        """
        with self._as_job_errors(), ExitStack() as held:
            self._results.prepare()
            held.callback(self._results.lock())
            receipt = self._begin(overwrite, held)
            self._held = held.pop_all()
        return receipt

    def _begin(self, overwrite: bool, held: ExitStack) -> Receipt:
        if not overwrite:
            self._take_pending(held)
        outputs = outputs_of(self._settings["emit"])
        ledger = None if overwrite else self._place.resume(self._is_this_job)
        self._ledger = ledger or self._place.begin(self._settings, outputs, self._files, self._ranges)
        held.callback(self._ledger.close)
        if ledger is not None and (ledger.ranges(), ledger.outputs()) != (self._ranges, outputs):
            raise JobError(
                f"{shown(self._results)}: the inputs were cut in another way when the job began. Run the same command"
                " again, or start from the beginning with --overwrite."
            )
        self._outputs: dict[str, Output] = {}
        for name in outputs:
            self._outputs[name] = self._place.output(name)
            held.callback(self._outputs[name].close)
        self._place.sync()
        self._results.sync()
        self._frontier = self._recover()
        self._durable, self._settled = self._frontier, self._ledger.settled().ends
        self._rows: list[PieceRow] = []
        self._faults: list[tuple[str, int]] = []
        self._committed_at = time.monotonic()
        self._state = "running"
        return self._receipt()

    def _is_this_job(self, begun: dict[str, str]) -> bool:
        """Returns whether these are the settings of this job. Unless the job is incremental, others are refused."""
        same = begun.get("fingerprint") == self._settings["fingerprint"]
        if begun and not same and self._reuse is None:
            raise JobChanged(
                f"{shown(self._results)}: holds a job with other inputs, restrictions or options. Name another"
                " directory with -o, or start from the beginning with --overwrite."
            )
        return same

    def _take_pending(self, held: ExitStack) -> None:
        """Completes or removes what an interrupted incremental job has left, and prepares this one if it is one."""
        self._results.adopt()
        if self._reuse is None:
            self._results.clear_pending()
        else:
            self._earlier = ReusedResults(self._results, self._reuse)
            held.callback(self._earlier.close)
            self._place = self._results.begin_pending()

    def _recover(self) -> Frontier:
        """Cuts the outputs to the ledger's ends. If they are shorter (a power cut), it steps back to what is whole."""
        outputs, frontier = list(self._outputs.values()), self._ledger.frontier()
        is_whole = all(output.size() >= end for output, end in zip(outputs, frontier.ends, strict=True))
        while not is_whole and (row := self._ledger.last_piece()) is not None:
            starts = {span.output: span.start for span in row.spans}
            ends = tuple(starts.get(output, end) for output, end in enumerate(frontier.ends))
            frontier = Frontier(Key(*row[:3]), ends)
            self._ledger.step_back(frontier.next, frontier)
            before = self._ledger.last_piece()
            is_whole = before is None or (
                all(output.size() >= end for output, end in zip(outputs, ends, strict=True))
                and all(
                    digest(outputs[each.output].read(each.start, each.bytes)) == each.digest for each in before.spans
                )
            )
        for output, end in zip(outputs, frontier.ends, strict=True):
            output.truncate(end)
        self._file_start = self._ledger.settled().ends
        progress = self._ledger.progress_in_file(frontier.next.file, frontier.next.range)
        self._base, self._in_range = list(progress[:2]), list(progress[2:])
        self._counts, self._input_bytes = self._ledger.totals()
        return frontier

    def close(self) -> None:
        """Makes everything durable and unlocks the place. The job can be resumed."""
        try:
            if self._state == "running":
                self.flush()
        finally:
            self._held.close()
            self._state = "stopped"

    # Writing

    def commit(self, *parts: PartBody) -> Receipt:
        """Takes the next parts, in order.

        Pieces before the frontier were taken already and are skipped. The first piece that is not the next one ends
        the call. Pieces of an earlier job that come next are taken in between.

        Raises:
            JobError: The parts cannot be written. What is durable stays so, and nothing more is made durable.
        """
        with self._writing():
            for part in parts:
                if self._take_reused() or not self._take(part):
                    break
            self._take_reused()
            if self._is_due():
                self._flush()
        return self._receipt()

    def _is_due(self) -> bool:
        late = time.monotonic() - self._committed_at >= self._place.commit_seconds
        return late or sum(output.unsynced for output in self._outputs.values()) >= COMMIT_BYTES

    def flush(self) -> Receipt:
        """Makes everything that was taken durable."""
        with self._writing():
            self._flush()
        return self._receipt()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Allows no further write after one that failed.

        The system may have dropped the data that it could not write, and a second sync then succeeds.
        """
        if self._state == "failed":
            raise JobError(f"{shown(self._results)}: an earlier write failed. Run the same command again.")
        try:
            with self._as_job_errors():
                yield
        except BaseException:
            self._state = "failed"
            raise

    @contextmanager
    def _as_job_errors(self) -> Iterator[None]:
        """Turns errors in the place into our own. If the place is gone, that is the error."""
        with reported_as_job_errors(self._results):
            try:
                yield
            except Exception:
                self._refuse_gone()
                raise

    def _refuse_gone(self) -> None:
        self._results.refuse_gone()
        if self._place is not self._results:
            self._place.refuse_gone()

    def _receipt(self) -> Receipt:
        counts, following = replace(self._counts), self._frontier.next
        more = self._earlier is not None and self._earlier.at(following) is not None
        durable, settled = self._durable.next, self._named(self._settled)
        return Receipt(durable, following, self._named(self._durable.ends), settled, counts, self._input_bytes, more)

    def _named(self, ends: tuple[int, ...]) -> Ends:
        return Ends(**{name.removesuffix(".jsonl"): end for name, end in zip(self._outputs, ends, strict=True)})

    def _take_reused(self) -> bool:
        """Takes pieces of an earlier job at the frontier, as many as are committed together; returns whether there are
        more."""
        while self._earlier is not None and (found := self._earlier.at(self._frontier.next)) is not None:
            if self._is_due():
                return True
            self._add(found.piece, [found.matched], [found.unmatched], found.quarantine)
        return False

    def _take(self, part: PartBody) -> bool:
        matched, unmatched = Slices(part.matched), Slices(part.unmatched)
        for piece in part.pieces:
            key = Key(piece.file, piece.range, piece.part)
            mine, others = matched.take(piece.matched_bytes), unmatched.take(piece.unmatched_bytes)
            begun = self._frontier.next.file - piece.file
            if piece.shares is not None and 0 < begun < piece.files and self._frontier.next[1:] == (0, 0):
                # Some of its files came in an earlier piece, because a retried unit may be packed in another way.
                rest, skipped_matched, skipped_unmatched = piece.of_files(begun, piece.files)
                left, left_others = bytes_of(skip(mine, skipped_matched)), bytes_of(skip(others, skipped_unmatched))
                rest.matched_digest, rest.unmatched_digest = digest(*left), digest(*left_others)
                self._take_piece(rest, left, left_others)
                continue
            if key < self._frontier.next:
                continue
            if piece.fault is not None and (piece.file, piece.range) == self._frontier.next[:2]:
                self._take_fault(piece.file, piece.fault)
            elif key == self._frontier.next:
                self._take_piece(piece, mine, others)
            else:
                return False
        return True

    def _take_piece(self, piece: Piece, matched: Sequence[Slice], unmatched: Sequence[Slice]) -> None:
        file = self._files[piece.file]
        indexes, lines = self._base if piece.range else (0, 0)
        if self._provenance and indexes + lines:
            prefix = provenance_prefix(file.name)
            moved_matched = move_provenance(b"".join(bytes_of(matched)), prefix, indexes, lines)
            moved_unmatched = move_provenance(b"".join(bytes_of(unmatched)), prefix, indexes, lines)
            piece.matched_digest, piece.unmatched_digest = digest(moved_matched), digest(moved_unmatched)
            matched, unmatched = [memoryview(moved_matched)], [memoryview(moved_unmatched)]
        entries = [entry.moved(indexes, lines).as_line(file.name) for entry in piece.entries]
        self._add(piece, matched, unmatched, b"".join(entries))

    def _add(self, piece: Piece, matched: Sequence[Slice], unmatched: Sequence[Slice], quarantine: bytes) -> None:
        """Writes the next piece, whose positions are those in its file, and moves the frontier behind it."""
        if piece.range == 0 and piece.part == 0:
            self._file_start, self._base, self._in_range = self._frontier.ends, [0, 0], [0, 0]
        self._in_range[0] += piece.indexes
        self._in_range[1] += piece.lines
        if not piece.last:
            following = Key(piece.file, piece.range, piece.part + 1)
        else:
            self._base = [a + b for a, b in zip(self._base, self._in_range, strict=True)]
            self._in_range = [0, 0]
            more = piece.range + 1 < self._ranges[piece.file]
            following = Key(piece.file, piece.range + 1, 0) if more else Key(piece.file + piece.files, 0, 0)
        self._write(piece, matched, unmatched, quarantine, following)

    def _take_fault(self, number: int, entry: Entry) -> None:
        """Takes the one entry that stands for a whole file.

        The earlier pieces of the file are rolled back, durably, before its bytes are overwritten.
        """
        if self._frontier.next != Key(number, 0, 0):
            self._flush()
            self._frontier = Frontier(Key(number, 0, 0), self._file_start)
            self._ledger.roll_back_file(number, self._frontier)
            for output, end in zip(self._outputs.values(), self._frontier.ends, strict=True):
                output.truncate(end)
            self._durable = self._frontier
            self._counts, self._input_bytes = self._ledger.totals()
        piece = Piece(file=number, fault=entry, entries=(entry,), counts=Counts(entries=1))
        self._write(piece, [], [], entry.as_line(self._files[number].name), Key(number + 1, 0, 0))
        if entry.reason in FAULTS:
            self._faults.append((entry.reason, number))

    def _write(
        self, piece: Piece, matched: Sequence[Slice], unmatched: Sequence[Slice], quarantine: bytes, following: Key
    ) -> None:
        contents: dict[str, tuple[Sequence[Slice], bytes | None]] = {
            MATCHED: (matched, piece.matched_digest),
            UNMATCHED: (unmatched, piece.unmatched_digest),
            QUARANTINE: ([memoryview(quarantine)], digest(quarantine)) if quarantine else ([], None),
        }
        spans, ends = [], list(self._frontier.ends)
        for place, name in enumerate(self._outputs):
            slices, found = contents[name]
            if slices:
                start, ends[place] = ends[place], self._outputs[name].write(slices, ends[place])
                if ends[place] > start:
                    assert found is not None  # bytes come with their digest
                    spans.append(Span(place, start, ends[place] - start, found))
        self._rows.append(row_of(piece, tuple(spans)))
        self._counts.add(piece.counts)
        self._input_bytes += piece.input_bytes
        self._frontier = Frontier(following, tuple(ends))

    def _flush(self) -> None:
        self._refuse_gone()
        if self._rows:
            for output in self._outputs.values():
                output.sync()
            with self._reading:
                self._ledger.commit(self._rows, self._faults, self._frontier)
                begins = self._frontier.next[1:] == (0, 0)
                self._settled = self._frontier.ends if begins else self._file_start
            self._rows, self._faults = [], []
            self._durable = self._frontier
        self._committed_at = time.monotonic()

    def finish(self, index: RestrictionIndex, details: dict[str, Any]) -> dict[str, Any]:
        """Writes the report of the restrictions, then the summary, after the last piece; returns the summary.

        Args:
            details: Members of the summary that only the driver knows.
        """
        with self._writing():
            return self._finish(index, details)

    def _finish(self, index: RestrictionIndex, details: dict[str, Any]) -> dict[str, Any]:
        self._flush()
        for output, end in zip(self._outputs.values(), self._frontier.ends, strict=True):
            output.truncate(end)
            output.sync()
        hits = self._write_report(index)
        totals, input_bytes = self._ledger.totals()
        summary = {
            **details,
            "totals": {"files": len(self._files), "input_bytes": input_bytes, **totals.as_dict(), **hits},
            "faults": self._ledger.faults(),
            "reasons": count_reasons(self._place.open(QUARANTINE)),
        }
        self._place.finish(self._ledger)
        self._refuse_gone()  # because a summary must not exist without the results
        text = orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        self._place.write(SUMMARY, lambda file: file.write(text))
        self._refuse_gone()
        if self._place is not self._results:
            with self._reading:
                self._place = self._results  # before `adopt`, which empties the other place
                self._results.adopt()
        self._state = "complete"
        return summary

    def _write_report(self, index: RestrictionIndex) -> dict[str, int]:
        """Writes `restrictions.jsonl`: for each restriction the number of records that equal it."""
        hits = count_hits(index, self._ledger)
        self._place.write(RESTRICTIONS, lambda file: file.writelines(report_lines(index, hits)))
        return {"restrictions": index.restrictions, "restrictions_hit": int(np.count_nonzero(hits))}

    # Reading, for other programs; may be called at any time

    def progress(self) -> dict[str, Any]:
        """Returns what was taken so far, as plain numbers. They are at most a moment old."""
        return {
            "state": self._state,
            **as_text("directory", os.fsencode(str(self._results))),
            "files": len(self._files),
            "files_done": self._frontier.next.file if self._state != "starting" else 0,
            "input_bytes": self._input_bytes,
            **self._counts.as_dict(),
        }

    def matches(self, start: int = 0, limit: int = 100) -> list[bytes]:
        """Returns a page of the matched output, as `io.results.matches.matches` does."""
        if self._state == "starting":
            return []
        with self._reading:
            page = matches(self._place, self._ledger, start, limit)  # the file may be moved once the lock is free
        return list(page)

    def cancel(self) -> None:
        """Asks the job to stop. What was committed is safe, and the job can be resumed."""
        self._results.ask_to_stop()

    def summary(self) -> dict[str, Any] | None:
        """Returns the summary; None before the job is complete."""
        return self._place.summary() if self._state == "complete" else None
