"""ClickHouse in-process: the record as text, the key taken out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import chdb

from .ways import Work


def matches(work: Work) -> Path:
    """Run the query and return the file that it wrote."""
    target = work.out / "matched.jsonl"
    restrictions = f"file('{work.restrictions}', JSONEachRow, 'data String')"
    # JSONAsString reads the elements of an array as rows too.
    query = (
        f"SELECT json FROM file('{work.glob}', JSONAsString, 'json String') "
        "WHERE JSONExtractString(json, 'data') IN "
        f"(SELECT data FROM {restrictions}) "
        f"INTO OUTFILE '{target}' TRUNCATE FORMAT TSVRaw "
        f"SETTINGS max_threads = {work.workers}"
    )
    query_untyped: Any = chdb.query
    query_untyped(query)
    return target
