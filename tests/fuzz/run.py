"""One case of each search, drawn from its seed alone; raises AssertionError where something is not as it must be."""

import random
import tempfile
from dataclasses import replace
from pathlib import Path

from linkmatch_ray import MatchOptions, Restrictions, match_bytes
from linkmatch_ray.core.compressions import compression_of
from linkmatch_ray.core.layouts.table import LINES, layout_of
from linkmatch_ray.errors import RestrictionsError, UsageError
from linkmatch_ray.native.kernel import LINES as LINES_OF_VALUES
from linkmatch_ray.native.kernel import VALUES, Flag
from linkmatch_ray.native.steps import STAR
from linkmatch_ray.runtime.jobs.plan import PlanOptions
from tests.fuzz import bytes_
from tests.fuzz import jobs as whole
from tests.fuzz import straddle as straddling
from tests.fuzz.borders import HOSTILE, Borders, matched_in_ranges
from tests.support import oracle
from tests.support.compressed import KINDS
from tests.support.kernel import agree

MEMORY = Path("/dev/shm")
"""Where a file system in memory is: thousands of jobs sync much."""


def straddle(seed):
    """One input of known content, looked at through random borders: whole, compressed, in ranges."""
    rng = random.Random(f"straddle {seed}")
    made = straddling.drawn(rng)
    borders = _borders(rng)
    kind = rng.choice(("plain", "plain", *KINDS))
    data = made.data if kind == "plain" else straddling.compress(made.data, kind, rng)
    straddling.assert_gives(made, data, borders)
    if layout_of(made.data, straddling.OPTIONS) is LINES:  # else it would not be cut
        unit = rng.randint(16, 200)
        with borders.drawn():
            matched, unmatched, counts, entries = matched_in_ranges(
                made.data, straddling.LIST, straddling.OPTIONS, unit, borders
            )
        assert (matched, unmatched) == (b"".join(made.matched), b"".join(made.unmatched)), (borders, unit)
        assert (counts.records, entries) == (made.records, made.entries), (borders, unit)


def windows(seed):
    """Any bytes, damaged or not, with any options: the same outcome, to the last word, through any borders."""
    rng = random.Random(f"windows {seed}")
    data = bytes_.drawn(rng)
    options = MatchOptions(
        emit="both",
        provenance=rng.random() < 0.3,
        format=rng.choice(("auto", "auto", "auto", "lines", "array", "object")),
        records_at=rng.choice((None, None, None, None, "/n", "/a/0")),
        max_record_bytes=rng.choice((1, 5, 40, 100, 250, 64 << 20)),
    )
    wanted = match_bytes(data, straddling.LIST, options)
    for _ in range(3):
        borders = _borders(rng)
        with borders.drawn():
            assert match_bytes(data, straddling.LIST, options) == wanted, (borders, options, data)


def lists(seed):
    """Any bytes as a list: the same index or the same refusal, whole and read piece by piece."""
    rng = random.Random(f"lists {seed}")
    data = bytes_.mangled(rng, bytes_.text(rng)) if rng.random() < 0.5 else straddling.drawn(rng).data
    how = {
        "key": rng.choice(("data", "/data", "f")),
        "restrictions_at": rng.choice((None, None, None, "/n", "/a/0")),
        "restrictions_format": rng.choice(("auto", "auto", "auto", "lines", "array", "object", "text", "csv", "tsv")),
        "skip_keyless": rng.random() < 0.3,
    }
    wanted = _loaded(data, how)
    for _ in range(3):
        borders = replace(_borders(rng), window=None, compressed=None, listed=rng.randint(16, 100))
        with borders.drawn():
            assert _loaded(data, how) == wanted, (borders, how, data)


def _loaded(data, how):
    try:
        restrictions = Restrictions.load(data, **how)
    except (RestrictionsError, UsageError) as error:
        return str(error)
    return len(restrictions), restrictions.index.content_hash


def _borders(rng):
    return Borders(
        window=rng.choice((None, rng.randint(16, 40), rng.randint(16, 400))),
        block=rng.choice((None, 8, 8 * rng.randint(1, 20))),
        tail=rng.choice((None, 1, rng.randint(1, 50))),
        compressed=rng.choice((None, 1, rng.randint(1, 50))),
        poison=rng.choice((None, *HOSTILE)),
        records=rng.choice((None, 1, rng.randint(1, 9))),
    )


def jobs(seed):
    """One job several times, cut otherwise each time: the same bytes, the same summary, and what the oracle reads."""
    rng = random.Random(f"jobs {seed}")
    with tempfile.TemporaryDirectory(prefix="linkmatch-fuzz-", dir=MEMORY if MEMORY.exists() else None) as folder:
        top = Path(folder)
        job = whole.drawn(rng, top / "in")
        wanted = whole.run(job, top / "out", PlanOptions(one_file_per_task=True), rng)
        for number in range(3):
            how, borders = whole.cuts(rng), replace(_borders(rng), window=None, compressed=None)
            with borders.drawn():
                assert whole.run(job, top / f"out-{number}", how, rng) == wanted, (how, borders, job.options)
        _assert_as_the_oracle(job, wanted)


def _assert_as_the_oracle(job, got):
    """Where the oracle knows what is right: whole files that are not compressed, with the usual options."""
    files = list(whole.files_of(job))
    plain = job.options == replace(MatchOptions(), emit=job.options.emit)
    if not plain or any(compression_of(data) for _, data in files):
        return
    contents, summary = got
    keys = [("data", "data")]
    _, total = oracle.match_all(files, job.source, keys, emit=job.options.emit)
    assert contents.get("matched.jsonl", b"") == total.matched
    assert contents.get("unmatched.jsonl", b"") == total.unmatched
    for name in ("records", "matched", "unmatched", "missing_key", "not_object", "entries"):
        assert summary["totals"][name] == total.counts[name], name


def kernel(seed):
    """Any bytes, read by the kernel at every level in any windows: what the exact path says of each record."""
    rng = random.Random(f"kernel {seed}")
    data = bytes_.drawn(rng)[:5000]
    paths = rng.choice(
        ([("data",)], [("a", "0")], [("f",), ("n",)], [("a", STAR)], [("a", STAR, "f"), ("a", STAR, "n")])
    )
    flags = Flag(rng.randrange(32)) | Flag.DOUBT_NUMBERS | Flag.DOUBT_CONTAINERS
    cuts = [rng.randrange(len(data) + 1) for _ in range(rng.randrange(20))]
    room = {"key_capacity": 5000} if STAR in paths[0] else {"capacity": rng.randint(1, 20)}
    listed = frozenset([b'"a"', b"1", b"null", b'["a",1]', b"[1,1]"])
    agree(data, paths, listed, flags, cuts, mode=rng.choice((LINES_OF_VALUES, VALUES)), **room)
