"""The speed that issue 2 asks for, checked against what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .contenders import OURS
from .race import Result, duckdb_best

AGAINST_DUCKDB = {"lines": 1.0, "arrays": 1.0, "small": 2.0}
"""Times DuckDB's best slope, by corpus."""

AGAINST_POOL = 3.0
TROUBLED_SHARE = 0.5
"""Of the clean lines' slope."""

EMITTED_RATE = 500e6
"""Bytes per second through the collector, where everything is written."""

MEMORY_BYTES = 400e6
"""Anonymous memory of any process on the large lines and arrays, restrictions too."""


def bars(results: Mapping[str, Sequence[Result]]) -> str:
    """Return a line for every bar whose figures were measured in this run."""
    lines = []
    for corpus, rows in results.items():
        ours = _slope(rows, OURS)
        if ours is None:
            continue
        if any(r.wrong for r in rows if r.contender.name == OURS):
            lines.append(f"MISSED: {corpus}: the number of matches is wrong")
        duckdb = duckdb_best(rows)
        if corpus in AGAINST_DUCKDB and duckdb and duckdb.slope:
            against = f"DuckDB's best ({duckdb.variant})"
            factor = AGAINST_DUCKDB[corpus]
            lines.append(_line(corpus, against, ours / duckdb.slope, factor))
        pool = _slope(rows, "pool-returned")
        # Where everything matches the bar is one of bytes written, not of a ratio.
        if pool and corpus != "all":
            against = "Pool + orjson"
            lines.append(_line(corpus, against, ours / pool, AGAINST_POOL))
        clean = _slope(results.get("lines", ()), OURS)
        if corpus == "troubled" and clean:
            share = ours / clean
            lines.append(_line(corpus, "the clean lines", share, TROUBLED_SHARE))
        if corpus == "all":
            lines.append(_line(corpus, "500 MB/s written", ours / EMITTED_RATE, 1.0))
        both = _slope(rows, f"{OURS}-both")
        if both:
            rate = both / EMITTED_RATE
            lines.append(_line(corpus, "500 MB/s with --emit both", rate, 1.0))
        peak = next(r.anonymous_peak for r in rows if r.contender.name == OURS)
        if corpus in ("lines", "arrays"):
            fits = "reached" if peak <= MEMORY_BYTES else "MISSED"
            lines.append(f"{fits}: {corpus}: {peak / 1e6:.0f} MB, bar 400 MB")
    return "\n".join(lines)


def _slope(rows: Sequence[Result], name: str) -> float | None:
    """Return a slope measured at both sizes; an estimate is no evidence for a bar."""
    found = (r.slope for r in rows if r.contender.name == name and not r.estimated)
    return next(found, None)


def _line(corpus: str, against: str, ratio: float, bar: float) -> str:
    verdict = "reached" if ratio >= bar else "MISSED"
    return f"{verdict}: {corpus}: {ratio:.2f} x {against}, bar {bar:g} x"
