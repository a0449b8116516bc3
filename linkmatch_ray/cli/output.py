"""What commands print, as lines of text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from linkmatch_ray.cli.formatting import RATE_SECONDS_MIN, bytes_of, duration, number, plural, size
from linkmatch_ray.words import shown

if TYPE_CHECKING:
    from linkmatch_ray import DryRun, Explanation, Preview, Verification

RECORD_CHARACTERS_MAX: Final = 300
"""Maximum length of a record in the output of `explain`."""

FOREIGN_SHOWN: Final = 5
"""Maximum number of foreign files that `verify` names."""

RATE_BYTES_MIN: Final = 50_000_000
"""Fewer bytes say nothing about speed."""


def summary_lines(summary: dict[str, Any], *, resumable: bool = True) -> Iterator[str]:
    """Describes a complete job: what was read, what was found, what went wrong, where the results are."""
    totals = summary["totals"]
    seconds = summary["matching_seconds"]
    enough = seconds >= RATE_SECONDS_MIN and totals["input_bytes"] >= RATE_BYTES_MIN and not summary["resumed"]
    rate = f" ({size(totals['input_bytes'] / seconds)}/s)" if enough else ""
    share = f" ({totals['matched'] / totals['records']:.2%})" if totals["matched"] else ""
    yield (
        f"{number(totals['matched'])} of {plural(totals['records'], 'record')} matched{share},"
        f" by {number(totals['restrictions_hit'])} of {plural(totals['restrictions'], 'restriction')}"
    )
    start = summary["seconds"] - seconds
    before = f" ({number(summary['files_taken_over'])} as before)" if summary["files_taken_over"] else ""
    read = f"{plural(totals['files'], 'file')}{before}, {size(totals['input_bytes'])} in {seconds:.1f} s{rate}"
    read += f" after {start:.1f} s of starting Ray" if start >= RATE_SECONDS_MIN else ""
    left = summary["left_out_by_name"]
    yield read + (f"; {plural(left, 'file')} left out by name" if left else "")
    if left := summary.get("restrictions_left_out", 0):
        yield left_out_line(left)
    if totals["missing_key"]:
        keys = ", ".join(key.partition("=")[0] for key in summary["keys"])
        yield f"{plural(totals['missing_key'], 'record')} without the key {shown(keys)}"
    if totals["not_object"]:
        count = totals["not_object"]
        yield f"{plural(count, 'record')} that {'is no object' if count == 1 else 'are no objects'}"
    if totals["entries"]:
        reasons = ", ".join(f"{shown(reason)} {number(count)}" for reason, count in summary["reasons"].items())
        yield f"{plural(totals['entries'], 'entry')} in quarantine: {reasons} (quarantine.jsonl says where)"
    yield from (shown(hint, len(hint)) for hint in summary.get("hints", ()))
    if resumable:
        yield f"Results: {shown(bytes_of(summary, 'directory'))}/"


def left_out_line(entries: int) -> str:
    """Describes the entries of a list that were left out."""
    return f"{plural(entries, 'entry')} of the list without the key left out"


def preview_lines(preview: Preview, files: int, nbytes: int, keys: list[str], cores: int | None) -> Iterator[str]:
    """Describes a preview: how much was read, what the inputs are, what matched, how long the job may take.

    Args:
        files, nbytes: Files and bytes of the whole job.
        cores: CPUs of the job; None if unknown.
    """
    counts = preview.counts
    of = f"{number(preview.files)} of {plural(files, 'file')}, {size(preview.bytes_read)} of {size(nbytes)}"
    yield f"Looked at {of}, for {preview.seconds:.1f} s"
    if preview.shapes:
        yield "Shapes: " + "; ".join(f"{shape} ({number(count)})" for shape, count in preview.shapes.most_common())
    if preview.files:
        share = f" ({counts.matched / counts.records:.2%})" if counts.matched else ""
        key = f"{number(preview.with_key)} with the key {shown(', '.join(keys))}"
        yield f"{plural(counts.records, 'record')}, {key}, {number(counts.matched)} matched{share}"
    if counts.entries:
        reasons = ", ".join(f"{reason} {number(count)}" for reason, count in sorted(preview.reasons.items()))
        yield f"{plural(counts.entries, 'entry')} for the quarantine: {reasons}"
    yield from (shown(hint, len(hint)) for hint in preview.hints)
    if preview.seconds_about is None:
        yield "How long the job takes is not known, because nothing was read"
        return
    where = "one core" if cores is None else plural(cores, "core")
    start = "" if cores is None else ", after some seconds of starting Ray"
    yield f"At this rate the job takes about {duration(preview.seconds_about)} on {where}{start}"


def explanation_lines(explanation: Explanation) -> Iterator[str]:
    """Describes why a record matches or does not."""
    yield f"record   {shown(explanation.record.strip(), RECORD_CHARACTERS_MAX)}"
    if explanation.key is not None:
        yield f"key      {shown(explanation.key)}"
    yield f"verdict  {explanation.verdict}: {explanation.why}"
    if explanation.restrictions:
        more = " …" if explanation.restrictions_total > len(explanation.restrictions) else ""
        entries = "entry" if explanation.restrictions_total == 1 else "entries"
        yield f"         {entries} {', '.join(map(str, explanation.restrictions))}{more} of the list, counted from 0"
    for miss in explanation.near:
        yield (
            f"nearly   {shown(miss['key'])} (entry {miss['index']}), which differs in"
            f" {' and '.join(miss['differs_in'])}"
        )


def status_lines(status: dict[str, Any], target: str) -> Iterator[str]:
    """Describes how far a job is, from its results, its collector, or its output on a cluster."""
    if "submission_id" in status:
        where = f"results in {shown(status['directory'])} on the cluster"
        yield f"{shown(status['job_id'])}: {status['state']}, attempt {status['attempt']}, {where}"
        if status["summary"] is not None:
            yield from summary_lines(status["summary"])
        elif status["said"]:
            yield shown(status["said"])
        return
    holder = status.get("holder")
    state = status["state"] + (f" by {shown(holder)}" if holder else "")
    yield f"{shown(target)}: {state}" + (" (update with --incremental)" if status.get("incremental") else "")
    left = f", {size(status['bytes_left'])} left" if status.get("bytes_left") else ""
    so_far = "" if status["state"] == "complete" else " so far"
    yield f"{number(status['files_done'])} of {plural(status['files'], 'file')} done{left}"
    yield (
        f"{number(status['matched'])} of {plural(status['records'], 'record')} matched{so_far},"
        f" {plural(status['entries'], 'entry')} in quarantine"
    )
    if status["state"] == "interrupted":
        yield "To resume it, run the same submit command again."


def job_lines(jobs: list[dict[str, Any]]) -> Iterator[str]:
    """Describes the jobs of a cluster, one line each."""
    width = max((len(shown(job["job_id"])) for job in jobs), default=0)
    for job in jobs:
        name = f"{shown(job['job_id']):<{width}}"
        if "submission_id" not in job:
            yield f"{name}  {job['state']:<8}  driven by a process that joined the cluster"
            continue
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job["started"]))
        yield f"{name}  {job['state']:<8}  {began}  {shown(job['directory'])}"


def verification_lines(found: Verification, directory: str) -> Iterator[str]:
    """Describes what does not agree, what does not belong to the job, and how much was compared."""
    where = shown(directory)
    yield from (f"{where}: {shown(difference)}" for difference in found.differences)
    if foreign := found.foreign:
        names = ", ".join(map(shown, foreign[:FOREIGN_SHOWN]))
        more = f" and {len(foreign) - FOREIGN_SHOWN:,} more" if len(foreign) > FOREIGN_SHOWN else ""
        yield f"{where}: does not belong to the job, and is left alone: {names}{more}"
    if found.differences:
        yield (
            f"{where}: {plural(len(found.differences), 'difference')}. Do not rely on these results: run the job again"
            " with another -o."
        )
    else:
        yield f"{where}: {plural(found.pieces, 'piece')}, {size(found.nbytes)} of output: everything agrees."


def plan_lines(plan: DryRun) -> Iterator[str]:
    """Describes the plan of a job."""
    left = f"; {plural(plan.left_out, 'file')} left out by name" if plan.left_out else ""
    yield f"{plural(plan.files, 'file')}, {size(plan.nbytes)}, in {plural(len(plan), 'task')}{left}"
    if plan.files_not_looked_at:
        late = plural(plan.files_not_looked_at, "large file")
        yield f"{late} sent no byte in time: each counts as one task"
    if plan.is_incremental:
        gone = (
            f"; {plural(plan.files_dropped, 'missing file')}, whose results are removed" if plan.files_dropped else ""
        )
        yield f"{plural(plan.files_kept, 'file')} unchanged, with the earlier results{gone}"


def unit_line(row: dict[str, Any]) -> str:
    """Describes what one task would do."""
    where = f" … {shown(bytes_of(row, 'last'))}" if "last" in row else ""
    where += f" from byte {row['from']:,}" if "from" in row else ""
    what = f"{plural(row['files'], 'file')}, {size(row['bytes'])}"
    return f"unit {row['unit']}: {what}: {shown(bytes_of(row, 'first'))}{where}"
