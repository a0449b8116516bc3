"""Lists that are Parquet files. They are read with pyarrow, which the extra `parquet` installs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import orjson

from linkmatch_ray.core.codecs import Plain, decompressed
from linkmatch_ray.core.index import IndexBuilder
from linkmatch_ray.core.raw import Raw
from linkmatch_ray.core.window import fill
from linkmatch_ray.core.wrong_keys import quoted
from linkmatch_ray.io.restrictions.columns import key_columns, refuse_twice
from linkmatch_ray.io.restrictions.wanted import Wanted, place
from linkmatch_ray.words import shown

MAGIC: Final = b"PAR1"
"""The first bytes of a Parquet file."""

ROWS_AT_ONCE: Final = 1 << 16
READ_BYTES: Final = 1 << 20


def read_parquet(raw: Raw, wanted: Wanted, builder: IndexBuilder) -> None:
    """Reads the compared columns of a Parquet file, and gives the keys to the builder. A null is one too, as in JSON.

    Memory is that of the compared columns of one row group; a file that was compressed as a whole is held as well.

    Raises:
        RestrictionsError: The file is damaged, or a column is not there or of another type; or pyarrow is missing.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        wanted.refuse("Parquet is read with pyarrow, which is not installed", "Install linkmatch-ray[parquet]")
    content = _decompressed(raw, wanted)
    head = content.read(len(MAGIC))
    if not head:
        return
    if head != MAGIC:
        wanted.refuse("does not begin as a Parquet file", "Name its format with --restrictions-format")
    content.seek(0)
    with _reading(wanted, pyarrow.ArrowException):
        file = pyarrow.parquet.ParquetFile(content, pre_buffer=False, page_checksum_verification=True)
        schema = file.schema_arrow
        refuse_twice(schema.names, "", wanted)
        names = [schema.names[column] for column in key_columns(schema.names, wanted)]
        for name in names:
            _check_type(name, schema.field(name).type, pyarrow.types, wanted, builder)
        for rows in file.iter_batches(ROWS_AT_ONCE, columns=names, use_threads=False):
            columns = [_values(rows.column(rows.schema.get_field_index(name)), wanted, builder) for name in names]
            builder.add(map(orjson.dumps, columns[0] if len(names) == 1 else zip(*columns, strict=True)))


@contextmanager
def _reading(wanted: Wanted, errors: type[Exception]) -> Iterator[None]:
    """Reports what pyarrow says of a damaged file. An error of the system has a number, and is raised as it is."""
    try:
        yield
    except (OSError, errors) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        wanted.refuse("a Parquet file that is damaged or encrypted", "Restore it")


def _decompressed(raw: Raw, wanted: Wanted) -> Any:
    """Returns the file at its start. One that was compressed as a whole is decompressed, because it is read from its
    end."""
    source = decompressed(raw)
    if isinstance(source, Plain):
        raw.seek(0)
        return raw
    content, buffer = io.BytesIO(), memoryview(bytearray(READ_BYTES))
    count = READ_BYTES
    while count == READ_BYTES:
        count, damage = fill(source, buffer)
        if damage is not None:
            wanted.refuse_corrupt(damage)
        content.write(buffer[:count])
    content.seek(0)
    return content


def _check_type(name: str, found: Any, types: Any, wanted: Wanted, builder: IndexBuilder) -> None:
    value = found.value_type if types.is_dictionary(found) else found
    if types.is_integer(value):
        builder.note_kinds(numbers=True)
        return
    known = (types.is_string, types.is_large_string, types.is_string_view, types.is_boolean, types.is_null)
    if not any(is_known(value) for is_known in known):
        wanted.refuse(
            f"its column {quoted(name)} is of the type {shown(found)}",
            "Convert it to strings, integers or booleans, or name another column with --key",
        )


def _values(column: Any, wanted: Wanted, builder: IndexBuilder) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        wanted.refuse(f"{place(len(builder))} or one behind it has bytes that are not UTF-8", "Correct it")
    return values
