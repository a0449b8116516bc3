"""Corpora on disk: made once, hard-linked into two sizes, reused by their manifest."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import zstandard

from .records import Blank, Keys, clean_pool, troubled_pool

FORMAT = 3
"""Raised whenever the same parameters would give other bytes, so old folders lapse."""

FILES_PER_DIRECTORY = 1000
FILE_BYTES = 60_000_000
"""A large file; a tenth of the small size where that is less, for quick trials."""

SMALL_FILE_BYTES = 8_000
DISTINCT_FILES = 5
"""Large files that really exist; the others are hard links to these."""

NAMES = ("lines", "arrays", "small", "gzip", "zstd", "millions", "troubled", "all", "none")


OF_LIST = {"all": (4_000, 1.0), "none": (100_000, 0.0), "millions": (10_000_000, 0.01)}
"""Number of restrictions, and the share of records that match, where they are not as usual."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """All that the bytes of a corpus depend on."""

    name: str
    seed: int
    file_bytes: int
    files_distinct: int
    files_small: int
    files_large: int
    restrictions: int
    match_rate: float
    version: int = FORMAT

    @property
    def layout(self) -> str:
        """Return `arrays` or `lines`."""
        return "arrays" if self.name in ("arrays", "small") else "lines"

    @property
    def suffix(self) -> str:
        """Return the ending of the corpus's file names."""
        plain = ".json" if self.layout == "arrays" else ".jsonl"
        return plain + {"gzip": ".gz", "zstd": ".zst"}.get(self.name, "")


@dataclass(frozen=True, slots=True)
class Size:
    """One of a corpus's two sizes: where it is and what is in it."""

    path: Path
    files: int
    bytes: int  # before compression
    records: int
    matches: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus that is ready to be read."""

    name: str
    layout: str
    suffix: str
    restrictions: Path
    patterns: Path
    small: Size
    large: Size


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the command line says about sizes."""

    small_gb: float
    large_gb: float
    few_files: int
    many_files: int
    seed: int


def parameters(name: str, sizes: Sizes) -> Parameters:
    """Return the parameters of a corpus; only `small` and `all` are special."""
    if name == "small":
        # Real files, all of them: with hard links the directory would be as long, but
        # the inodes, and so what opening a file costs, would be a tenth.
        few, many = sizes.few_files, sizes.many_files
        return Parameters(name, sizes.seed, SMALL_FILE_BYTES, many, few, many, 100_000, 0.01)
    small, large = sizes.small_gb * 1e9, sizes.large_gb * 1e9
    file_bytes = int(min(FILE_BYTES, small / 10))
    few, many = round(small / file_bytes), round(large / file_bytes)
    restrictions, rate = OF_LIST.get(name, (100_000, 0.01))
    return Parameters(
        name,
        sizes.seed,
        file_bytes,
        min(DISTINCT_FILES, many),
        few,
        many,
        restrictions,
        rate,
    )


def ensure(work: Path, name: str, sizes: Sizes) -> Corpus:
    """Return the corpus, made now unless a manifest says that it is there."""
    wanted = parameters(name, sizes)
    digest = hashlib.sha256(json.dumps(asdict(wanted)).encode()).hexdigest()[:8]
    root = work / f"{name}-{digest}"
    manifest = root / "manifest.json"
    if not manifest.exists():
        print(f"making corpus {root} ...", file=sys.stderr, flush=True)
        # Without a manifest the folder is what an interrupted run left of this corpus.
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        facts = _make(root, wanted)
        draft = root / "manifest.draft"
        draft.write_text(json.dumps(facts, indent=1))
        draft.rename(manifest)
    return reopen(root)


def reopen(root: Path) -> Corpus:
    """Return a corpus that is there, from its manifest."""
    facts = json.loads((root / "manifest.json").read_text())
    made = Parameters(**facts["parameters"])
    small, large = (Size(root / s, **facts[s]) for s in ("small", "large"))
    lists = root / "restrictions.json", root / "patterns.txt"
    return Corpus(made.name, made.layout, made.suffix, *lists, small, large)


def warm(corpus: Corpus) -> None:
    """Read every distinct file once, so that no contender pays for the disk."""
    for path in _real_files(corpus.small.path.parent / "real"):
        with path.open("rb", buffering=0) as file:
            while file.read(1 << 22):
                pass


def _real_files(root: Path) -> Iterator[Path]:
    for directory in sorted(root.iterdir()):
        yield from directory.iterdir()


def _make(root: Path, wanted: Parameters) -> dict[str, object]:
    """Write restrictions, real files and links, and return the manifest."""
    troubled = wanted.name == "troubled"
    keys = Keys(wanted.seed, troubled=troubled)
    pool = troubled_pool(wanted.seed, keys) if troubled else clean_pool(wanted.seed)
    numbers = list(range(wanted.restrictions))
    random.Random(wanted.seed).shuffle(numbers)
    entries = (json.dumps({"data": keys.value(n)}, ensure_ascii=False) for n in numbers)
    with (root / "restrictions.json").open("w") as listed, (root / "patterns.txt").open("w") as patterns:
        for number, entry in enumerate(entries):
            listed.write(("," if number else "[") + entry)
            patterns.write(entry[1:-1].replace(": ", ":", 1) + "\n")
        listed.write("]")

    counts: list[tuple[int, int, int]] = []
    unique = wanted.restrictions
    for index in range(wanted.files_distinct):
        rng = random.Random(f"{wanted.name}/{wanted.seed}/{index}")
        parts, matches, unique = _records(wanted, keys, pool, rng, unique)
        path = _path(root / "real", index, wanted.suffix)
        content = b"[" + b",".join(parts) + b"]" if wanted.layout == "arrays" else b"\n".join(parts) + b"\n"
        path.write_bytes(_compressed(content, wanted.name))
        counts.append((len(content), len(parts), matches))

    facts: dict[str, object] = {"parameters": asdict(wanted)}
    for size, files in (("small", wanted.files_small), ("large", wanted.files_large)):
        for index in range(files):
            real = _path(root / "real", index % len(counts), wanted.suffix)
            os.link(real, _path(root / size, index, wanted.suffix))
        sums = [sum(counts[i % len(counts)][column] for i in range(files)) for column in range(3)]
        names = ("bytes", "records", "matches")
        facts[size] = {"files": files, **dict(zip(names, sums, strict=True))}
    return facts


def _compressed(content: bytes, name: str) -> bytes:
    """Return the content as its corpus has it, compressed as the usual tools do by default."""
    if name == "gzip":
        return gzip.compress(content, 6)
    return zstandard.compress(content, 3) if name == "zstd" else content


def _records(
    wanted: Parameters, keys: Keys, pool: list[Blank], rng: random.Random, unique: int
) -> tuple[list[bytes], int, int]:
    """Return the records of one file, how many match, and the next unused number."""
    parts: list[bytes] = []
    matches = written = 0
    last = len(pool)
    # An unused number is no restriction's, since those have the first numbers.
    while written < wanted.file_bytes:
        blank = pool[int(rng.random() * last)]
        if blank.style == "missing":
            record = blank.before
        else:
            if rng.random() < wanted.match_rate:
                number = int(rng.random() * wanted.restrictions)
                matches += 1
            else:
                number = unique
                unique += 1
            record = blank.before + keys.written(number, blank.style) + blank.after
        parts.append(record)
        written += len(record) + 1
    return parts, matches, unique


def _path(root: Path, index: int, suffix: str) -> Path:
    """Return a file's path; a directory is made with its first file."""
    directory = root / f"d{index // FILES_PER_DIRECTORY:04d}"
    if index % FILES_PER_DIRECTORY == 0:
        directory.mkdir(parents=True, exist_ok=True)
    return directory / f"f{index:06d}{suffix}"
