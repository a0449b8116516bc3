"""Polars: a lazy scan of lines, or arrays read file by file, and a semi-join.

`polars-key` parses and keeps only the key, which is less than was asked: it is there
to show how much of the time the other members take.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .ways import Work

GROUP_BYTES = 64_000_000
"""Files that are joined at once: a join builds its table anew every time."""


def matches(work: Work) -> Path:
    """Run the query asked for and return the file of the records kept."""
    # Read once, when the library is loaded.
    os.environ["POLARS_MAX_THREADS"] = str(work.workers)
    import polars as pl

    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "id": pl.Int64,
        "created": pl.String,
        "updated": pl.String,
        "data": pl.String,
        "title": pl.String,
        "lang": pl.String,
        "size": pl.Int64,
        "score": pl.Float64,
        "author": pl.Struct({"name": pl.String, "karma": pl.Int64}),
        "tags": pl.List(pl.String),
        "public": pl.Boolean,
        "parent": pl.Int64,
    }
    if work.troubled:
        schema["meta"] = pl.Struct({"data": pl.String, "source": pl.String})
    if work.way == "polars-key":
        schema = {"data": pl.String}
    wanted = pl.read_json(work.restrictions, schema={"data": pl.String}).unique()
    target = work.out / "matched.jsonl"
    if work.layout == "lines":
        records = pl.scan_ndjson(work.glob, schema=schema)
        kept = records.join(wanted.lazy(), on="data", how="semi")
        kept.sink_ndjson(target)
        return target
    with target.open("wb") as output:
        for paths in _groups(work.files()):
            frame = pl.concat([pl.read_json(path, schema=schema) for path in paths])
            frame.join(wanted, on="data", how="semi").write_ndjson(output)
    return target


def _groups(paths: list[Path]) -> Iterator[list[Path]]:
    """Yield the files in groups of about 64 MB, so that memory stays bounded."""
    group: list[Path] = []
    size = 0
    for path in paths:
        group.append(path)
        size += path.stat().st_size
        if size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
