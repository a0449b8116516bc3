"""Reads `summary.json`, and accepts only what a job may have written there."""

from __future__ import annotations

import os
from typing import Annotated, Any, Final

import msgspec

from linkmatch_ray.core.outcome import as_text
from linkmatch_ray.errors import ResultsDamaged

SUMMARY_BYTES_MAX: Final = 16 << 20
"""Maximum size of a summary, in bytes. It usually has some kilobytes."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]


class _Totals(msgspec.Struct):
    files: _Count
    input_bytes: _Count
    records: _Count
    matched: _Count
    unmatched: _Count
    missing_key: _Count
    not_object: _Count
    entries: _Count
    restrictions: _Count
    restrictions_hit: _Count


class _Summary(msgspec.Struct):
    """The members that some command reads; there are others."""

    job_id: str
    directory: str
    keys: list[str]
    options: dict[str, Any]
    left_out_by_name: _Count
    resumed: bool
    files_taken_over: _Count
    seconds: _Seconds
    matching_seconds: _Seconds
    hints: list[str]
    totals: _Totals
    faults: dict[str, _Count]
    reasons: dict[str, _Count]
    restrictions_left_out: _Count = 0  # not in the summaries of earlier versions


def placed_at(place: object, summary: dict[str, Any]) -> dict[str, Any]:
    """Returns a summary with this place in it. Results can be copied and moved, so that it may name another one."""
    others = {name: value for name, value in summary.items() if name != "directory_base64"}
    return others | as_text("directory", os.fsencode(str(place)))


def read_summary(where: object, content: bytes) -> dict[str, Any]:
    """Decodes the summary in the file or object `where`.

    Raises:
        JobError: It is not a summary, or something in it is missing or of another type.
    """
    try:
        if len(content) > SUMMARY_BYTES_MAX:
            raise ValueError(f"more than {SUMMARY_BYTES_MAX:,} bytes")
        found: dict[str, Any] = msgspec.json.decode(content)
        totals = msgspec.convert(found, _Summary).totals
        if totals.records != totals.matched + totals.unmatched:
            raise ValueError("its records are not matched + unmatched")
    except (ValueError, RecursionError) as error:  # msgspec's own are ValueErrors
        raise ResultsDamaged(
            f"{where}: is not the summary of a job ({error}). Remove it and run the same command again, or start from"
            " the beginning with --overwrite."
        ) from None
    return found
