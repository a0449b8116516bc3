"""What a contender is given to do, and how it says what came of it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .corpus import reopen


@dataclass(frozen=True, slots=True)
class Work:
    """One run of one contender: what to read, what to look up, where to write."""

    way: str
    source: Path
    restrictions: Path
    patterns: Path
    out: Path
    layout: str
    suffix: str
    workers: int
    troubled: bool

    @property
    def glob(self) -> str:
        """Return the pattern that names every input file."""
        return f"{self.source}/*/*{self.suffix}"

    def files(self) -> list[Path]:
        """Return every input file in the order of its name."""
        return sorted(self.source.glob(f"*/*{self.suffix}"))


def run(arguments: Sequence[str]) -> None:
    """Do one contender's work in this process and print the number of matches."""
    parser = argparse.ArgumentParser(prog="bench run")
    parser.add_argument("way", help="pool-*, duckdb-*, clickhouse-*, polars-* or ripgrep")
    parser.add_argument("source", type=Path, help="a corpus's folder small or large")
    parser.add_argument("out", type=Path, help="folder for what is written")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    corpus = reopen(options.source.parent)
    work = Work(
        way=options.way,
        source=options.source,
        restrictions=corpus.restrictions,
        patterns=corpus.patterns,
        out=options.out,
        layout=corpus.layout,
        suffix=corpus.suffix,
        workers=options.workers,
        troubled=corpus.name == "troubled",
    )
    work.out.mkdir(parents=True, exist_ok=True)
    # Imported here: each contender pays for its own library and for no other.
    matches: Callable[[Work], int | Path]
    if work.way.startswith("pool-"):
        from .pool_ways import matches
    elif work.way.startswith("duckdb-"):
        from .duckdb_ways import matches
    elif work.way.startswith("clickhouse"):
        from .clickhouse_ways import matches
    elif work.way.startswith("polars"):
        from .polars_ways import matches
    elif work.way == "ripgrep":
        from .ripgrep_ways import matches
    else:
        parser.error(f"unknown way {work.way}")
    result = matches(work)
    # A file of matches is counted by the caller, outside the time that is measured.
    key = "matched_file" if isinstance(result, Path) else "matched"
    print(json.dumps({key: result}, default=str))
