"""Results as tables, for a terminal or in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from .contenders import OURS
from .race import Result, best_of

_HEADERS = (
    "contender",
    "matches",
    "small s",
    "large s",
    "GB/s",
    f"{OURS} ÷ it",
    "core-s a GB",
    "largest process MB",
)


def report(results: Sequence[Result], *, markdown: bool) -> str:
    """Return one corpus's table, what is to be said about it, and the commands."""
    corpus = results[0].corpus
    sizes = "; ".join(
        f"{name}: {size.bytes / 1e9:.3g} GB, {size.files:,} files, {size.records:,} records, {size.matches:,} matches"
        for name, size in (("small", corpus.small), ("large", corpus.large))
    )
    ours = next((r.slope for r in results if r.contender.name == OURS), None)
    rows = [_row(result, ours) for result in results]
    heading = f"### Corpus `{corpus.name}`" if markdown else f"== corpus {corpus.name}"
    table = _markdown(rows) if markdown else _aligned(rows)
    parts = [heading, sizes, table]
    if remarks := _remarks(results, ours):
        parts.append("\n".join(remarks))
    if commands := _commands(results):
        # Commands with their paths are too long for a column of a table.
        fence = ["```console", "```"] if markdown else ["commands:", ""]
        parts.append("\n".join([fence[0], *commands, fence[1]]).rstrip())
    return "\n\n".join(parts) + "\n"


def _row(result: Result, ours: float | None) -> list[str]:
    """Return a result's cells; `~` marks what comes from the small size alone."""
    mark = "~" if result.estimated else ""
    slope, ratio = result.slope, "-"
    if slope and ours:
        ratio = f"{mark}{ours / slope:.2f}"
    count = _count(result)
    return [
        f"{result.contender.name} ({result.contender.what})",
        f"WRONG {count}" if result.wrong else count,
        f"{statistics.median(result.small_s):.2f}" if result.small_s else "-",
        f"{statistics.median(result.large_s):.2f}" if result.large_s else "-",
        f"{mark}{slope / 1e9:.3f}" if slope else "-",
        ratio,
        f"{result.core_seconds:.2f}" if result.core_seconds else "-",
        f"{result.anonymous_peak / 1e6:.0f}" if result.small_s else "-",
    ]


def _count(result: Result) -> str:
    """Return the number of matches at the largest size that was run."""
    for size in ("large", "small"):
        if (size, result.variant) in result.matched:
            return f"{result.matched[size, result.variant]:,}"
    return "-"


def _remarks(results: Sequence[Result], ours: float | None) -> list[str]:
    """Return a line for everything that a number alone would hide."""
    remarks = []
    if any(result.estimated for result in results):
        remarks.append("- `~`: from the small size alone, with start-up in it.")
    best = best_of(results, "duckdb")
    if best and best.slope:
        rate = f"{best.slope / 1e9:.3f} GB/s"
        ratio = f", {OURS} ÷ it {ours / best.slope:.2f}" if ours else ""
        remarks.append(f"- DuckDB's best: {best.variant}, {rate}{ratio}")
    for result in results:
        name = result.contender.name
        if result.reason:
            remarks.append(f"- {name}: NOT RUN: {result.reason}")
        remarks.extend(f"- {name}: {note}" for note in dict.fromkeys(result.notes))
    return remarks


def _commands(results: Sequence[Result]) -> list[str]:
    """Return the command behind every row, at the largest size that was run."""
    lines = []
    for result in results:
        keys = [("large", result.variant), ("small", result.variant)]
        found = next((k for k in keys if k in result.commands), None)
        if found:
            lines.append(f"$ {result.commands[found]}")
    return lines


def _markdown(rows: list[list[str]]) -> str:
    lines = [list(_HEADERS), ["---", *["---:"] * (len(_HEADERS) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _aligned(rows: list[list[str]]) -> str:
    lines = [list(_HEADERS), *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_HEADERS))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
