"""DuckDB: the records' columns given, or the records kept as text.

`duckdb-columns` parses every record into typed columns and writes it anew;
`duckdb-text` keeps the text and takes the key out of it. The words that follow are
settings: `ordered` keeps the order of the input, `fetch` brings the matches into
Python instead of writing a file.
"""

from __future__ import annotations

import duckdb

from .records import COLUMNS, TROUBLED_COLUMNS
from .ways import Work


def matches(work: Work) -> int:
    """Run the query asked for and return how many records came out."""
    words = work.way.split("-")[1:]
    connection = duckdb.connect()
    connection.execute(f"SET threads = {work.workers}")
    ordered = "true" if "ordered" in words else "false"
    connection.execute(f"SET preserve_insertion_order = {ordered}")
    connection.execute(
        "CREATE TABLE restrictions AS SELECT DISTINCT data FROM "
        f"read_json('{work.restrictions}', columns={{data: 'VARCHAR'}}, format='array')"
    )
    query = _by_text(work) if "text" in words else _by_columns(work)
    if "fetch" in words:
        return len(connection.execute(query).fetchall())
    target = work.out / "matched"
    # Kept as text, a record is one column: CSV without quotes writes it as it is.
    options = (
        r"(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER E'\x01')" if "text" in words else "(FORMAT json)"
    )
    row = connection.execute(f"COPY ({query}) TO '{target}' {options}").fetchone()
    return int(row[0]) if row else 0


def _by_columns(work: Work) -> str:
    columns = TROUBLED_COLUMNS if work.troubled else COLUMNS
    struct = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    form = "newline_delimited" if work.layout == "lines" else "array"
    return (
        f"SELECT record.* FROM read_json('{work.glob}', columns={{{struct}}}, "
        f"format='{form}') record SEMI JOIN restrictions "
        "ON record.data = restrictions.data"
    )


def _by_text(work: Work) -> str:
    source = (
        f"read_ndjson_objects('{work.glob}')"
        if work.layout == "lines"
        else f"read_json_objects('{work.glob}', format='array')"
    )
    return (
        f"SELECT record.json FROM {source} record SEMI JOIN restrictions "
        "ON json_extract_string(record.json, '$.data') = restrictions.data"
    )
