"""Contenders in turn on one corpus: small size, then large, as often as asked."""

from __future__ import annotations

import json
import shlex
import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .contenders import Contender, command
from .corpus import Corpus, Size
from .measure import Limits, Outcome, measure

_warmed: set[str] = set()
"""Contenders that have run before; only their later runs are timed."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every run."""

    work: Path
    rounds: int
    workers: int
    limits: Limits
    linkmatch: str


@dataclass(slots=True)
class Result:
    """All that is known of one contender on one corpus."""

    contender: Contender
    corpus: Corpus
    variant: str = ""
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    commands: dict[tuple[str, str], str] = field(default_factory=dict)
    small_s: list[float] = field(default_factory=list)
    large_s: list[float] = field(default_factory=list)
    core_s: dict[tuple[str, str], float] = field(default_factory=dict)
    matched: dict[tuple[str, str], int] = field(default_factory=dict)
    anonymous_peak: int = 0
    peak_process: str = ""

    @property
    def wrong(self) -> bool:
        """Return whether a count differs from what the generator wrote."""
        truth = {"small": self.corpus.small.matches, "large": self.corpus.large.matches}
        return any(n != truth[size] for (size, _), n in self.matched.items())

    @property
    def estimated(self) -> bool:
        """Return whether the slope is of the small size alone, start-up and all."""
        return bool(self.small_s) and not self.large_s

    @property
    def slope(self) -> float | None:
        """Return bytes per second between the two sizes, start-up taken out."""
        if not self.small_s:
            return None
        small = statistics.median(self.small_s)
        if not self.large_s:
            return self.corpus.small.bytes / small
        seconds = statistics.median(self.large_s) - small
        size = self.corpus.large.bytes - self.corpus.small.bytes
        return size / seconds if seconds > 0 else None

    @property
    def core_seconds(self) -> float | None:
        """Return processor seconds a GB between the two sizes, all processes together."""
        small, large = (self.core_s.get((size, self.variant)) for size in ("small", "large"))
        if small is None or large is None:
            return None
        return (large - small) / (self.corpus.large.bytes - self.corpus.small.bytes) * 1e9


def best_of(results: Sequence[Result], *names: str) -> Result | None:
    """Return the fastest of the contenders whose names begin so, of those measured at both sizes."""
    ways = [r for r in results if r.contender.name.startswith(names)]
    measured = [way for way in ways if way.slope and not way.estimated]
    return max(measured, key=lambda way: way.slope or 0.0, default=None)


def race(corpus: Corpus, contenders: list[Contender], terms: Terms) -> list[Result]:
    """Run every contender in turn, `rounds` times over."""
    results = [
        Result(contender, corpus) for contender in contenders if corpus.name in (contender.only or (corpus.name,))
    ]
    for number in range(terms.rounds):
        for result in results:
            if number == 0:
                result.reason = result.contender.obstacle(terms.linkmatch)
            if result.reason:
                continue
            if number == 0:
                _choose_variant(result, terms)
            else:
                _run(result, "small", result.variant, terms)
            _run_large(result, terms)
    return results


def _choose_variant(result: Result, terms: Terms) -> None:
    """Run the small size with each variant and keep the fastest."""
    times: dict[str, float] = {}
    name = result.contender.name
    if not name.startswith("pool-") and name not in _warmed:
        # The first run of all reads the program and its libraries from the disk.
        _warmed.add(name)
        if _run(result, "small", result.contender.variants[0], terms):
            result.small_s.clear()
    for variant in result.contender.variants:
        if _run(result, "small", variant, terms):
            times[variant] = result.small_s.pop()
    if times:
        # One variant's failure is no reason against the others.
        result.reason = ""
        result.variant = min(times, key=times.__getitem__)
        result.small_s.append(times[result.variant])
        if len(times) > 1:
            tried = ", ".join(f"{name} {t:.2f} s" for name, t in times.items())
            result.notes.append(f"small size: {tried}")


def _run_large(result: Result, terms: Terms) -> None:
    """Run the large size, unless the small one says that it would take too long."""
    if result.reason or not result.small_s:
        return
    corpus = result.corpus
    foreseen = result.small_s[-1] * corpus.large.bytes / corpus.small.bytes
    if foreseen > 2 * terms.limits.seconds:
        result.notes.append(f"large size not run: {foreseen:.0f} s foreseen")
        return
    if not _run(result, "large", result.variant, terms):
        result.notes.append(f"large size: {result.reason}")
        result.reason = ""


def _run(result: Result, size_name: str, variant: str, terms: Terms) -> bool:
    """Run once and note what came of it; return whether it counts."""
    corpus = result.corpus
    size: Size = getattr(corpus, size_name)
    out = terms.work / "out"
    # A folder of the benchmark's own, in its work folder: the last contender's output.
    shutil.rmtree(out, ignore_errors=True)
    words = command(variant, result.contender, corpus, size, out, terms.workers, terms.linkmatch)
    print(f"$ {shlex.join(words)}", file=sys.stderr, flush=True)
    outcome = measure(words, terms.work, terms.limits)
    matched, problem = _read(outcome)
    shutil.rmtree(out, ignore_errors=True)
    if outcome.left_behind:
        result.notes.append(f"left {outcome.left_behind} processes behind")
    if outcome.stopped and size_name == "small":
        rate = size.bytes / outcome.seconds / 1e9
        problem += f" at the small size already: under {rate:.3f} GB/s"
    if problem:
        result.reason = problem
        print(f"  {problem}", file=sys.stderr, flush=True)
        return False
    assert matched is not None
    print(
        f"  {outcome.seconds:.2f} s, {matched} matches, largest process "
        f"{outcome.anonymous_peak / 1e6:.0f} MB ({outcome.peak_process}), all "
        f"{outcome.total_peak / 1e6:.0f} MB, {outcome.core_seconds:.1f} core-seconds",
        file=sys.stderr,
        flush=True,
    )
    if matched != size.matches:
        message = f"WRONG: {matched} matches, not {size.matches} ({size_name} size)"
        print(f"  {message}", file=sys.stderr, flush=True)
        result.notes.append(message)
    result.commands[size_name, variant] = shlex.join(words)
    result.matched[size_name, variant] = matched
    result.core_s[size_name, variant] = outcome.core_seconds
    (result.small_s if size_name == "small" else result.large_s).append(outcome.seconds)
    if outcome.anonymous_peak > result.anonymous_peak:
        result.anonymous_peak = outcome.anonymous_peak
        result.peak_process = outcome.peak_process
    return True


def _read(outcome: Outcome) -> tuple[int | None, str]:
    """Return the number of matches that a run reported, or what went wrong."""
    if outcome.stopped:
        return None, outcome.stopped
    if outcome.code:
        lines = outcome.stderr.strip().splitlines() or ["nothing on standard error"]
        return None, f"exit code {outcome.code}: {lines[-1][:160]}"
    try:
        report = json.loads(outcome.stdout)
        if "matched_file" in report:
            return _count_lines(Path(report["matched_file"])), ""
        return int(report["totals"]["matched"] if "totals" in report else report["matched"]), ""
    except (ValueError, KeyError, TypeError, OSError) as error:
        return None, f"no count in its output: {error!r}"


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
