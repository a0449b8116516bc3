"""The comparison of a job with the results in its place: it is begun, resumed, complete, an update, or refused."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from secrets import token_hex
from typing import Any, Final

import msgspec
import orjson
import xxhash

from linkmatch_ray._version import __version__
from linkmatch_ray.core.options import JobOptions
from linkmatch_ray.core.outcome import Counts, as_text
from linkmatch_ray.errors import InputError, JobChanged, UsageError
from linkmatch_ray.io.diagnosis.hints import beginnings_of, hints
from linkmatch_ray.io.inputs.file import InputFile, Listing, inputs_digest
from linkmatch_ray.io.ledger.check import damaged
from linkmatch_ray.io.names import LEDGER
from linkmatch_ray.io.restrictions.restrictions import Restrictions
from linkmatch_ray.io.results.interface import Results
from linkmatch_ray.io.results.reuse import ReusePlan, plan_reuse
from linkmatch_ray.io.storage.system_errors import reported_as_job_errors
from linkmatch_ray.runtime.jobs.plan import PlanOptions
from linkmatch_ray.words import shown

GONE_SHOWN: Final = 5
"""Maximum number of missing files that a message names."""

MOVED_SHOWN: Final = 5
"""Maximum number of redirected inputs that a summary names."""


class Request:
    """A job, and how it relates to the results in its place.

    Args:
        cpus: As of `PlanOptions.of`.
        is_dry: Nothing is written: the last step of an earlier job is not completed if it was interrupted.

    Attributes:
        finished: The summary, if the place holds the complete job.
        resumes: Whether the place holds the beginning of the job.
        reuse: What is reused of another job in the place; None if nothing is.
        settings: The job's settings in the ledger. The `fingerprint` identifies the same job.

    Raises:
        InputError, JobChanged, UsageError: As `submit`.
    """

    def __init__(
        self,
        listing: Listing,
        restrictions: Restrictions,
        results: Results,
        options: JobOptions,
        *,
        cpus: int | None = None,
        is_dry: bool = False,
    ) -> None:
        self.files, self.left_out, self.moved = listing.files, listing.left_out, listing.moved
        self.restrictions, self.options = restrictions, options.matching
        self.plan = PlanOptions.of(options, self.files, cpus)
        self.results = results
        self.overwrite = options.overwrite
        self.job_id = options.job_id or f"{time.strftime('%Y%m%d-%H%M%S')}-{token_hex(3)}"
        self.finished: dict[str, Any] | None = None
        self.resumes = False
        self.reuse: ReusePlan | None = None
        self.settings = {
            "inputs": inputs_digest(self.files),
            "restrictions": restrictions.index.content_hash,
            "options": orjson.dumps(self._options()).decode(),
        }
        self.settings["fingerprint"] = xxhash.xxh3_128_hexdigest("\n".join(self.settings.values()).encode())
        with reported_as_job_errors(results):
            results.refuse_foreign()
            if not options.overwrite:
                self._compare(self._adopted(is_dry), options.incremental, options.drop_missing)
        self.settings |= {
            "plan": orjson.dumps(asdict(self.plan)).decode(),
            "emit": options.emit,
            "provenance": "1" if options.provenance else "0",
            "job_id": self.job_id,
        }

    def _options(self) -> dict[str, Any]:
        """Returns the options that are part of the job's identity."""
        name = self.options.name.encode("utf-8", "surrogateescape")
        return {**asdict(self.options), **as_text("name", name), "keys": [str(p) for p in self.restrictions.pairs]}

    def _adopted(self, is_dry: bool) -> Results:
        """Completes an incremental job whose last step was interrupted. Returns the place that has its results."""
        results = self.results
        if not results.is_to_adopt():
            return results
        if is_dry:
            pending = results.pending()
            return results if pending is None or not pending.settings() else pending
        release = results.lock()
        try:
            results.adopt()
        finally:
            release()
        return results

    def _compare(self, results: Results, incremental: bool, drop_missing: bool) -> None:
        """Resumes or reuses an earlier job, or refuses it."""
        before = results.settings()
        if not before:
            return
        differs = [name for name in ("inputs", "restrictions", "options") if before[name] != self.settings[name]]
        reuse = _reuse(results, self.files) if differs == ["inputs"] or (incremental and not differs) else None
        if differs and not (incremental and reuse):
            raise JobChanged(_what_differs(self.results, differs, before, self.settings, reuse))
        self.job_id = before["job_id"]
        self.plan = _plan_of(results, before["plan"])
        if reuse is not None and (differs or reuse.faults or reuse.unproven):
            self._refuse_gone(reuse.gone, drop_missing)
            self.reuse = reuse
            pending = results.pending()
            before = {} if pending is None else pending.settings()
            self.resumes = before.get("fingerprint") == self.settings["fingerprint"]
            return
        self.resumes = True
        pending = self.results.pending()  # of a dry run between two renames of the exchange: the summary moves last
        self.finished = results.summary() or (None if pending is None else pending.summary())

    def _refuse_gone(self, gone: list[bytes], drop_missing: bool) -> None:
        if gone and not drop_missing:
            names = ", ".join(map(shown, gone[:GONE_SHOWN]))
            more = f" and {len(gone) - GONE_SHOWN:,} more" if len(gone) > GONE_SHOWN else ""
            raise InputError(
                f"{shown(self.results)}: has results of files that are no longer among the inputs: {names}{more}."
                " Restore the files, or remove their results with --drop-missing."
            )

    def details(
        self, counts: Counts, started: time.struct_time, began: float, matching: float, workers: int, units: int
    ) -> dict[str, Any]:
        """Returns the members of the summary that the collector cannot know.

        Args:
            started: The date.
            began, matching: Times of the monotonic clock, which nobody can set.
        """
        import ray

        return {
            "job_id": self.job_id,
            **as_text("directory", os.fsencode(str(self.results))),
            **as_text("restrictions", os.fsencode(self.restrictions.name)),
            "restrictions_left_out": self.restrictions.left_out,
            "keys": [str(pair) for pair in self.restrictions.pairs],
            "options": {name: value for name, value in asdict(self.options).items() if name != "name"},
            "left_out_by_name": self.left_out,
            "resumed": self.resumes or self.reuse is not None,
            "files_taken_over": 0 if self.reuse is None else self.reuse.files,
            "units": units,
            "workers": workers,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", started),
            "seconds": round(time.monotonic() - began, 3),
            "matching_seconds": round(time.monotonic() - matching, 3),
            "versions": {
                "linkmatch_ray": __version__,
                "ray": ray.__version__,
                "python": platform.python_version(),
            },
            "hints": [
                *hints(
                    beginnings_of(self.files),
                    self.restrictions,
                    counts.records,
                    counts.matched,
                    counts.missing_key,
                    self.options,
                ),
                *self._where_from(),
            ],
        }

    def _where_from(self) -> Iterator[str]:
        """Yields where inputs were read whose host redirects to another one."""
        for name, host in islice(self.moved.items(), MOVED_SHOWN):
            yield f"{shown(name)} redirects to another host, and was read from {shown(host)}."
        if len(self.moved) > MOVED_SHOWN:
            yield f"Redirected inputs that are not listed here: {len(self.moved) - MOVED_SHOWN:,}."


def _reuse(results: Results, files: list[InputFile]) -> ReusePlan:
    ledger = results.ledger()
    assert ledger is not None  # its settings were read
    try:
        return plan_reuse(files, ledger)
    finally:
        ledger.close()


def _plan_of(results: Results, text: str) -> PlanOptions:
    """Returns how the earlier job was planned.

    Raises:
        JobError: The text is not a plan.
    """
    try:
        return msgspec.json.decode(text, type=PlanOptions)
    except (ValueError, RecursionError, UsageError):
        raise damaged(f"{results}/{LEDGER}", "its plan is not valid") from None


def _what_differs(
    results: Results, differs: list[str], before: dict[str, str], now: dict[str, str], reuse: ReusePlan | None
) -> str:
    """Returns why the results in a place are not those of this job, and what to do."""
    said = []
    for name in differs:
        said.append(f"other {name}")
        if name == "options":
            new = orjson.loads(now[name])
            try:
                old = msgspec.json.decode(before[name], type=dict[str, Any])
            except (ValueError, RecursionError):
                raise damaged(f"{results}/{LEDGER}", "its options are not valid") from None
            changes = [
                f"{member} was {shown(old.get(member))}, is {shown(new[member])}"
                for member in new
                if old.get(member) != new[member]
            ]
            said[-1] += f" ({'; '.join(changes)})"
    if reuse is not None:
        numbers = {"changed": reuse.changed, "new": reuse.new, "gone": len(reuse.gone)}
        said = [
            "other inputs (" + (", ".join(f"{n:,} {what}" for what, n in numbers.items() if n) or "another order") + ")"
        ]
    update = "" if reuse is None or not results.can_be_updated else "Update them with --incremental, name"
    return (
        f"{shown(results)}: holds the results of a job with {' and '.join(said)}. {update or 'Name'} another"
        " directory with -o, or start from the beginning with --overwrite."
    )
