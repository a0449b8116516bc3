"""Who takes part, with which commands, and what each needs."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from .corpus import Corpus, Size

BENCH = Path(__file__).resolve().parent.parent / "bench"
OURS = "linkmatch-ray"


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the job; its fastest variant goes on to the large size.

    Attributes:
        variants: Options of linkmatch-ray, or ways that `bench run` knows.
        package, program: What has to be installed.
        only: The corpora that it is for; empty for all of them.
    """

    name: str
    what: str
    variants: tuple[str, ...]
    package: str = ""
    program: str = ""
    only: tuple[str, ...] = ()

    def obstacle(self, linkmatch: str) -> str:
        """Return why this contender cannot run, or nothing."""
        if self.package and importlib.util.find_spec(self.package) is None:
            return f"not installed: pip install {self.package}"
        if self.program and shutil.which(self.program) is None:
            return f"no program {self.program}: install {self.name}"
        if self.name.startswith(OURS):
            program = shlex.split(linkmatch)[0]
            if shutil.which(program) is None:
                return f"no program {program}: give its command with --linkmatch"
        return ""


CONTENDERS = (
    Contender(OURS, "this program", ("",)),
    Contender(f"{OURS}-both", "all records written", ("--emit both",), only=("lines",)),
    Contender(
        "pool-manager-list",
        "shared Manager().list()",
        ("pool-manager-list",),
        "orjson",
    ),
    Contender("pool-returned", "Pool.map, lists flattened", ("pool-returned",), "orjson"),
    Contender("pool-queue", "multiprocessing.Queue", ("pool-queue",), "orjson"),
    Contender("pool-files", "files, read afterwards", ("pool-files",), "orjson"),
    Contender("pool-threads", "ThreadPool", ("pool-threads",), "orjson"),
    Contender(
        "duckdb-columns",
        "DuckDB, columns given",
        ("duckdb-columns", "duckdb-columns-ordered", "duckdb-columns-fetch"),
        "duckdb",
    ),
    Contender(
        "duckdb-text",
        "DuckDB, records as text",
        ("duckdb-text", "duckdb-text-ordered", "duckdb-text-fetch"),
        "duckdb",
    ),
    Contender("clickhouse", "chdb, JSONAsString", ("clickhouse",), "chdb"),
    Contender(
        "ripgrep",
        "rg -F -f, parses nothing",
        ("ripgrep",),
        program="rg",
        only=("lines", "gzip", "zstd", "all", "none"),
    ),
    Contender("polars", "Polars, all columns", ("polars",), "polars"),
    Contender("polars-key", "Polars, keeps only keys", ("polars-key",), "polars"),
)


def linkmatch_command() -> str:
    """Return the command of linkmatch-ray: the one installed with this Python."""
    installed = Path(sys.executable).parent / "linkmatch-ray"
    if installed.exists():
        return shlex.quote(str(installed))
    return f"{shlex.quote(sys.executable)} -m linkmatch_ray"


def command(
    variant: str,
    contender: Contender,
    corpus: Corpus,
    size: Size,
    out: Path,
    workers: int,
    linkmatch: str,
) -> list[str]:
    """Return the command that runs one variant of a contender on one size."""
    if contender.name.startswith(OURS):
        words = [*shlex.split(linkmatch), "submit", str(size.path)]
        words += ["-r", str(corpus.restrictions), "-o", str(out)]
        return [*words, "--overwrite", "--quiet", "--json", *variant.split()]
    words = [sys.executable, str(BENCH), "run", variant]
    return [*words, str(size.path), str(out), "--workers", str(workers)]
