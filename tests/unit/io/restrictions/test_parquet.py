"""Lists that are Parquet files: which types can be keys, and what is said of files that cannot be read."""

import errno
import gzip
import io
import sys
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkmatch_ray import Restrictions, match_bytes
from linkmatch_ray.errors import RestrictionsError
from linkmatch_ray.io.restrictions.loader import load_index
from linkmatch_ray.io.restrictions.restrictions import pairs_of
from linkmatch_ray.io.restrictions.wanted import Wanted
from tests.unit.io.restrictions.test_separated import keys_of


def parquet(columns, **options):
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


def load(document, key="data", **options):
    return Restrictions.load(document, key, restrictions_format="parquet", **options)


STRINGS = ["a", 'q"\n', "é😀", "", None]
KINDS = {
    "string": (pa.array(STRINGS), ['"a"', r'"q\"\n"', '"é😀"', '""', "null"]),
    "large string": (pa.array(STRINGS, pa.large_string()), ['"a"', r'"q\"\n"', '"é😀"', '""', "null"]),
    "view": (pa.array(["a", None], pa.string_view()), ['"a"', "null"]),
    "dictionary": (pa.array(["a", None, "b", "a"]).dictionary_encode(), ['"a"', "null", '"b"', '"a"']),
    "int64": (pa.array([1, None, -(2**63)]), ["1", "null", str(-(2**63))]),
    "uint64": (pa.array([0, 2**64 - 1], pa.uint64()), ["0", str(2**64 - 1)]),
    "int8": (pa.array([-7], pa.int8()), ["-7"]),
    "boolean": (pa.array([True, False, None]), ["true", "false", "null"]),
    "null": (pa.nulls(2), ["null", "null"]),
}


@pytest.mark.parametrize(("column", "keys"), KINDS.values(), ids=KINDS)
def test_types_of_keys(column, keys):
    """Strings, integers, booleans and null are what they are in JSON."""
    restrictions = load(parquet({"other": pa.nulls(len(column)), "data": column}))
    assert keys_of(restrictions) == dict(enumerate(keys))
    outcome = match_bytes("".join(f'{{"data":{key}}}\n' for key in keys).encode(), restrictions)
    assert (outcome.counts.matched, set(outcome.hits)) == (len(keys), set(range(len(keys))))
    assert match_bytes(b'{"data":1.0}', load(parquet({"data": pa.array([1])}))).counts.matched == 1


@pytest.mark.parametrize(
    ("column", "type"),
    [
        (pa.array([1.0]), "double"),
        (pa.array([b"a"]), "binary"),
        (pa.array([["a"]]), "list<element: string>"),
        (pa.array([{"a": 1}]), "struct<a: int64>"),
        (pa.array([0], pa.timestamp("s")), "timestamp\\[ms\\]"),
        (pa.array([0], pa.date32()), "date32\\[day\\]"),
        (pa.array([1]).cast(pa.decimal128(20)), "decimal128\\(20, 0\\)"),
        (pa.array([b"a"]).dictionary_encode(), "dictionary<.*"),
    ],
)
def test_another_type_is_refused(column, type):
    """By name; other columns may have any."""
    document = parquet({"x": column, "data": pa.array(["a"])})
    assert len(load(document)) == 1
    with pytest.raises(RestrictionsError, match=rf'^<bytes>: its column "x" is of the type {type}\. Convert it to '):
        load(document, "x")


def test_several_columns_and_row_groups():
    """A composite key has its parts in the order of the keys; a name with a dot is a name."""
    count = 200_000
    document = parquet(
        {"b": pa.array(map(str, range(count))), "c.d": pa.array(range(count)), "e": pa.nulls(count)},
        row_group_size=70_000,
    )
    index = load(document, ["x=c.d", "y=b"]).index
    for number in (0, 69_999, 70_000, count - 1):
        distinct = index.find(f'[{number},"{number}"]'.encode())
        assert index.restrictions_of(distinct).tolist() == [number]
    assert len(load(document, "data=/b")) == count


def test_files_by_their_names(tmp_path):
    """In a directory, in memory and through a pipe alike; one that was compressed as a whole too."""
    document = parquet({"data": pa.array(["a", "b"])})
    for name, content in {"list.parquet": document, "LIST.Parquet.GZ": gzip.compress(document)}.items():
        (tmp_path / name).write_bytes(content)
        assert keys_of(Restrictions.load(tmp_path / name)) == {0: '"a"', 1: '"b"'}
    (tmp_path / "empty.parquet").write_bytes(b"")
    assert len(Restrictions.load(tmp_path / "empty.parquet")) == 0
    assert len(load(parquet({"data": pa.array([], pa.string())}))) == 0


DOCUMENT = parquet({"data": pa.array(["a", "b"] * 1000), "n": pa.array(range(2000))})
DAMAGED = {
    "no column": (DOCUMENT, 'has no column "x". Its columns are: "data", "n". Name one with --key, for example'),
    "no Parquet": (b'[{"data":1}]', "does not begin as a Parquet file. Name its format with --restrictions-format;"),
    "cut short": (DOCUMENT[:-20], "a Parquet file that is damaged or encrypted. Restore it;"),
    "the first bytes alone": (b"PAR1", "a Parquet file that is damaged or encrypted. Restore it;"),
    "compressed data that is cut short": (gzip.compress(DOCUMENT)[:-1], "the compressed data ends too early. Restore"),
    "no columns": (parquet({}), 'has no column "x". Its columns are: none. Name one with --key;'),
}


@pytest.mark.parametrize(("document", "said"), DAMAGED.values(), ids=DAMAGED)
def test_what_is_wrong_is_named(document, said):
    """In our words, not in pyarrow's."""
    with pytest.raises(RestrictionsError) as refused:
        load(document, "x")
    assert str(refused.value).startswith(f"<bytes>: {said}")


def test_strings_that_are_no_text():
    """pyarrow does not check them as it reads them."""
    bad = pa.array([b"a", b"\xff"]).cast(pa.binary()).view(pa.string())
    with pytest.raises(RestrictionsError, match=r"entry 0 or one behind it has bytes that are not UTF-8\. Correct it"):
        load(parquet({"data": bad}))


def test_every_byte_damaged():
    """The file is read or refused; nothing else is raised, and no other error is taken for damage."""
    for place in range(0, len(DOCUMENT), 7):
        damaged = bytearray(DOCUMENT)
        damaged[place] ^= 0xFF
        with suppress(RestrictionsError):
            load(bytes(damaged))


def test_an_error_of_the_system_is_reported_as_such():
    """What the file's reader raises comes through pyarrow unchanged."""

    class Broken(io.BytesIO):
        def read(self, size=-1):
            if size > 4:
                raise OSError(errno.EIO, "the disk is on fire")
            return super().read(size)

    wanted = Wanted("x", pairs_of("data"), None, "parquet", skip_keyless=False)
    with pytest.raises(OSError, match="the disk is on fire"):
        load_index(Broken(DOCUMENT), wanted)


def test_without_pyarrow(monkeypatch):
    """The message names what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RestrictionsError) as refused:
        load(DOCUMENT)
    assert str(refused.value) == (
        "<bytes>: Parquet is read with pyarrow, which is not installed. Install linkmatch-ray[parquet]; nothing was"
        " matched."
    )
