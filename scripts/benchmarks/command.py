"""The command line of `scripts/bench`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .bars import bars
from .contenders import CONTENDERS, OURS, Contender, linkmatch_command
from .corpus import NAMES, Sizes, ensure, warm
from .measure import Limits, adopt_orphans
from .race import Result, Terms, race
from .report import report
from .ways import run

_DESCRIPTION = """\
Compare linkmatch-ray with other ways to keep the records whose key is in a list:
multiprocessing five ways, DuckDB two ways, ClickHouse in-process, Polars, ripgrep.

Each contender runs as a process of its own with two workers on a small and a large
corpus. The slope, GB/s between the two sizes, leaves its start-up out. Match counts
are checked against the corpus generator's own. Of a contender's variants the fastest
on the small size goes on to the large one.
"""

_EPILOG = """\
examples:
  scripts/bench                                    everything, full size (half an hour)
  scripts/bench --small-gb 0.02 --large-gb 0.1 --few-files 200 --many-files 1000
  scripts/bench --corpora lines --contenders linkmatch-ray,duckdb --rounds 3

corpora:
  lines     300-byte records, 1 % match 100,000 restrictions, files of 60 MB
  arrays    the same as arrays of objects
  small     arrays in files of 8 KB
  gzip      lines in files of 60 MB, compressed by gzip -6
  zstd      the same by zstd -3
  millions  lines, with 10,000,000 restrictions
  troubled  lines with escaped, numeric and missing keys, the key's name nested
            elsewhere, white space, non-ASCII text
  all       lines that all match
  none      lines of which none matches

Contenders beyond linkmatch-ray and orjson need: pip install duckdb chdb polars
and the program rg.
"""

_MEMORY_SHARE = 0.7
"""Of the machine's memory: a contender that takes more is ended, not the machine."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 1 if linkmatch-ray failed or counted wrong."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["run"]:
        # What the contenders that live in this folder are started with.
        run(words[1:])
        return 0
    options = _parse(words)
    # Every contender gets the same processors, on a larger machine too.
    processors = sorted(os.sched_getaffinity(0))[: options.workers]
    os.sched_setaffinity(0, processors)
    adopt_orphans()
    # Ended by a signal, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.work.mkdir(parents=True, exist_ok=True)
    sizes = Sizes(
        options.small_gb,
        options.large_gb,
        options.few_files,
        options.many_files,
        options.seed,
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = Limits(options.timeout, int(memory * _MEMORY_SHARE))
    terms = Terms(options.work, options.rounds, options.workers, limits, options.linkmatch)
    results: dict[str, list[Result]] = {}
    for name in options.corpora:
        corpus = ensure(options.work, name, sizes)
        warm(corpus)
        results[name] = race(corpus, options.contenders, terms)
        print(report(results[name], markdown=options.markdown), flush=True)
    if verdicts := bars(results):
        print(f"bars:\n{verdicts}", flush=True)
    return int(any(_failed(row) for rows in results.values() for row in rows))


def _failed(result: Result) -> bool:
    """Return whether this is linkmatch-ray and its result is not what it should be."""
    if not result.contender.name.startswith(OURS):
        return False
    return result.wrong or not result.large_s


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--corpora",
        type=_corpora,
        default=list(NAMES),
        metavar="A,B",
        help=f"of {', '.join(NAMES)} (default: all of them)",
    )
    add(
        "--contenders",
        type=_contenders,
        default=list(CONTENDERS),
        metavar="A,B",
        help="names or beginnings of names, of " + ", ".join(c.name for c in CONTENDERS) + " (default: all of them)",
    )
    add("--rounds", type=int, default=1, metavar="N", help="median of N (default: 1)")
    add("--workers", type=int, default=2, help="processes or threads (default: 2)")
    add("--small-gb", type=float, default=0.6, metavar="GB", help="default: 0.6")
    add("--large-gb", type=float, default=6.0, metavar="GB", help="default: 6")
    add("--few-files", type=int, default=20_000, help="corpus small: default 20000")
    add("--many-files", type=int, default=200_000, help="corpus small: default 200000")
    add("--seed", type=int, default=1, help="of the corpora (default: 1)")
    add(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "linkmatch-bench",
        metavar="DIR",
        help="where corpora are kept and reused (default: %(default)s)",
    )
    add(
        "--timeout",
        type=float,
        default=180.0,
        metavar="S",
        help="seconds for a run; who needs more at the large size gets a slope "
        "estimated from the small one, marked ~ (default: 180)",
    )
    add(
        "--linkmatch",
        default=linkmatch_command(),
        metavar="COMMAND",
        help="the command of linkmatch-ray (default: %(default)s)",
    )
    add("--markdown", action="store_true", help="print Markdown tables")
    options = parser.parse_args(words)
    options.work = options.work.resolve()
    return options


def _corpora(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(NAMES):
        raise argparse.ArgumentTypeError(f"no such corpus: {', '.join(unknown)}")
    return names


def _contenders(text: str) -> list[Contender]:
    wanted = text.split(",")
    found = [c for c in CONTENDERS if any(c.name.startswith(w) for w in wanted)]
    for word in wanted:
        if not any(c.name.startswith(word) for c in CONTENDERS):
            raise argparse.ArgumentTypeError(f"no such contender: {word}")
    return found
