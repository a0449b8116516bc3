"""The speed that is aimed at, checked against what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .contenders import OURS
from .race import Result, best_of

AGAINST_ENGINES = {"lines": 1.5, "arrays": 2.0, "gzip": 2.0, "zstd": 2.0}
"""Times the better of DuckDB's and ClickHouse's slopes, by corpus."""

AGAINST_POOL = {"small": 1.3}
"""Times the slope of `Pool.map` and orjson."""

OF_LINES = {"troubled": 0.5, "millions": 0.6}
"""Of the slope on lines."""

EMITTED_RATE = 0.5e9
"""Bytes a second where everything is written, if the disk allows."""

CORE_SECONDS = 0.7
"""A GB of lines, in all processes."""

MEMORY_BYTES = 400e6
"""Anonymous memory of any process."""


def bars(results: Mapping[str, Sequence[Result]]) -> str:
    """Return a line for every bar whose figures were measured in this run."""
    return "\n".join(line for corpus, rows in results.items() for line in _of_corpus(corpus, rows, results))


def _of_corpus(corpus: str, rows: Sequence[Result], results: Mapping[str, Sequence[Result]]) -> Iterator[str]:
    mine = next((row for row in rows if row.contender.name == OURS), None)
    ours, lines = _slope(rows, OURS), _slope(results.get("lines", ()), OURS)
    if mine is None or ours is None:
        return
    if mine.wrong:
        yield f"MISSED: {corpus}: the number of matches is wrong"
    engine, pool = best_of(rows, "duckdb", "clickhouse"), _slope(rows, "pool-returned")
    if corpus in AGAINST_ENGINES and engine and engine.slope:
        yield _at_least(corpus, f"x {engine.contender.name}", ours / engine.slope, AGAINST_ENGINES[corpus])
    if corpus in AGAINST_POOL and pool:
        yield _at_least(corpus, "x Pool.map and orjson", ours / pool, AGAINST_POOL[corpus])
    if corpus in OF_LINES and lines:
        yield _at_least(corpus, "x lines", ours / lines, OF_LINES[corpus])
    if both := _slope(rows, f"{OURS}-both"):
        yield _at_least(corpus, "GB/s with --emit both", both / 1e9, EMITTED_RATE / 1e9)
    if corpus == "lines" and mine.core_seconds:
        yield _at_most(corpus, "core-seconds a GB", mine.core_seconds, CORE_SECONDS)
    yield _at_most(corpus, "MB in the largest process", mine.anonymous_peak / 1e6, MEMORY_BYTES / 1e6)


def _slope(rows: Sequence[Result], name: str) -> float | None:
    """Return a slope measured at both sizes; an estimate is no evidence for a bar."""
    found = (r.slope for r in rows if r.contender.name == name and not r.estimated)
    return next(found, None)


def _at_least(corpus: str, what: str, found: float, bar: float) -> str:
    return f"{'reached' if found >= bar else 'MISSED'}: {corpus}: {found:.2f} {what}, at least {bar:g}"


def _at_most(corpus: str, what: str, found: float, bar: float) -> str:
    return f"{'reached' if found <= bar else 'MISSED'}: {corpus}: {found:.2f} {what}, at most {bar:g}"
