"""Lists that are CSV or TSV: what is a row, what a key, and what is said of a table that is not sound."""

import bz2
import csv
import gzip
import lzma
import tracemalloc

import lz4.frame
import pytest

from linkmatch_ray import Restrictions, match_bytes
from linkmatch_ray.errors import RestrictionsError, UsageError
from linkmatch_ray.io.restrictions import separated
from linkmatch_ray.io.restrictions.loader import format_of


def keys_of(restrictions):
    index = restrictions.index
    return {
        place: index.key(distinct).decode()
        for distinct in range(len(index.hashes))
        for place in index.restrictions_of(distinct).tolist()
    }


def csv_of(document, key="data", format="csv", **options):
    return Restrictions.load(document, key, restrictions_format=format, **options)


def test_cells_are_strings():
    """A number is one too, and nothing of a cell is stripped; line ends of any kind, quoted ones are the cell's."""
    document = b'\xef\xbb\xbfid,data\r\n1,a\r\n2, b \n\n3,"c\r\n""d"""\r4,5\r\n5,null'
    assert keys_of(csv_of(document)) == {0: '"a"', 1: '" b "', 2: r'"c\r\n\"d\""', 3: '"5"', 4: '"null"'}
    outcome = match_bytes(b'{"data":5}\n{"data":"5"}\n', csv_of(document))
    assert (outcome.matched, outcome.hits) == (b'{"data":"5"}\n', {3: 1})


def test_tabs_and_several_columns():
    """A composite key is made of several cells; a JSON Pointer of one token names a column as well."""
    document = b"a\t/b\tc/d\n1\t2\t3\n"
    assert keys_of(csv_of(document, ["a", "x=/b"], "tsv")) == {0: '["1","2"]'}
    assert keys_of(csv_of(document, "x=/c~1d", "tsv")) == {0: '"3"'}
    assert keys_of(csv_of(document, "/a", "tsv")) == {0: '"1"'}


@pytest.mark.parametrize("document", [b"", b"\xef\xbb\xbf", b"\r\n\n", b"data\n", b'"data"'])
def test_nothing_and_a_header_alone(document):
    """An empty list."""
    assert len(csv_of(document)) == 0


WRONG = {
    "no column": (
        b"title,doi\nx,y\n",
        'has no column "data". Its columns are: "title", "doi". Name one with --key, for example --key data=doi',
    ),
    "a long row": (
        b'data,b\n"a\n",1\n\nx,y,z\n',
        "line 5 has 3 cells, and the header has 2. Correct it; a cell with a separator in it must be quoted",
    ),
    "a short row": (
        b"data,b\nx\n",
        "line 2 has 1 cell, and the header has 2. Correct it; a cell with a separator in it must be quoted",
    ),
    "a column twice": (b"data,b,data\n", 'line 1 names the column "data" twice. Rename one of them'),
    "empty names": (b"data,,\n", 'line 1 names the column "" twice. Rename one of them'),
    "an open quote": (
        b'data\r\na\r\n"b\r\nc\r\n',
        "the row that begins on line 3 has a quote that is not closed, or that is not doubled in a quoted cell."
        " Correct it",
    ),
    "a single quote": (
        b'data\na\n"b" c\n',
        "the row that begins on line 3 has a quote that is not closed, or that is not doubled in a quoted cell."
        " Correct it",
    ),
    "an open quote in the header": (
        b'data,"b\n',
        "the row that begins on line 1 has a quote that is not closed, or that is not doubled in a quoted cell."
        " Correct it",
    ),
    "an empty cell": (
        b'data,b\n1,2\n"",3\n',
        'entry 1 (line 3) has an empty cell in column "data". Fill it in, or leave such entries out with'
        " --skip-keyless",
    ),
    "not UTF-8": (b"data\na\r\rb\xff\n", "line 4 has bytes that are not UTF-8. Convert the list to UTF-8"),
    "tabs": (b"a\tdata\n", 'has only the column "a\\tdata". Name its format with --restrictions-format tsv'),
    "semicolons": (b"a;data\n", 'has only the column "a;data". Separate its columns by commas instead of semicolons'),
    "semicolons, and a comma in a name": (
        b"id;a, b;data\n",
        'has only the columns "id;a", " b;data". Separate its columns by commas instead of semicolons',
    ),
    "semicolons between quotes": (
        b'"id";"data"\n"1";"2"\n',
        'has only the column ""id";"data"". Separate its columns by commas instead of semicolons',
    ),
    "bars": (b"a|data\n", 'has only the column "a|data". Separate its columns by commas instead of bars'),
    "a line for spreadsheets": (
        b"sep=,\na,data\n",
        'line 1 is no header but "sep=,". Remove it, and separate columns by commas or tabs',
    ),
    "no header": (
        b"10.1/x\n10.1/y\n",
        'has no column "data". Its columns are: "10.1/x". Name one with --key, for example --key data=10.1/x, or add'
        " --restrictions-format text if that is a key already",
    ),
    "JSON": (
        b'[{"data":"a"}]',
        'has only the column "[{"data":"a"}]". It looks like JSON. Name its layout with --restrictions-format',
    ),
    "cut short": (gzip.compress(b"data\na\n")[:-3], "the compressed data ends too early. Restore the file"),
    "NUL": (b"d\0a\0t\0a\0", "not UTF-8, but text in another encoding than UTF-8. Convert it"),
}


@pytest.mark.parametrize(("document", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(document, said):
    """With the line, the cell or the column, and what to do."""
    with pytest.raises(RestrictionsError) as refused:
        csv_of(document)
    assert str(refused.value) == f"<bytes>: {said}; nothing was matched."


def test_a_similar_column_is_the_example():
    """Of many columns, the one whose name is most like the key's."""
    with pytest.raises(RestrictionsError, match=r"for example --key /cve/id=cveID; "):
        csv_of(b"vendor,cveID,note\n", "/cve/id=cveId")
    names = ",".join(f"c{n}" for n in range(100))
    with pytest.raises(RestrictionsError, match=r'"c19" …\. Name one'):
        csv_of(names.encode())


def test_a_column_that_would_be_several_is_taken_by_its_name():
    """If the key names it, it is meant."""
    assert keys_of(csv_of(b"a;data\n1;2\n", "x=a;data")) == {0: '"1;2"'}


def test_empty_cells_are_left_out():
    """Where that is asked for; the others keep their places. Of several parts none may be empty."""
    document = b"data,b\n,1\nx,\ny,2\n,\n"
    restrictions = csv_of(document, skip_keyless=True)
    assert (keys_of(restrictions), restrictions.left_out) == ({1: '"x"', 2: '"y"'}, 2)
    restrictions = csv_of(document, ["data", "b"], skip_keyless=True)
    assert (keys_of(restrictions), restrictions.left_out) == ({2: '["y","2"]'}, 3)
    with pytest.raises(RestrictionsError, match=r'entry 3 \(line 5\) has an empty cell in column "data" and "b"\.'):
        csv_of(b"data,b\n1,1\n1,1\n1,1\n,\n", ["data", "b"])


def test_a_long_cell(monkeypatch):
    """It may be longer than the module `csv` allows by itself, whose limit for others stays; but not endless."""
    before = csv.field_size_limit()
    cell = "é" * (before + 1)
    assert keys_of(csv_of(f"data\n{cell}\n".encode())) == {0: f'"{cell}"'}
    monkeypatch.setattr(separated, "CELL_CHARACTERS_MAX", 999)
    with pytest.raises(RestrictionsError) as refused:
        csv_of(b'data\na\n"b\n' + b"c\n" * 1000)
    assert str(refused.value) == (
        "<bytes>: the row that begins on line 3 has a cell of more than 999 characters. Perhaps a quote is not closed."
        " Correct it; nothing was matched."
    )
    assert csv.field_size_limit() == before


def test_a_list_is_read_bit_by_bit():
    """Its memory does not grow with columns that are not compared, nor with rows that are left out."""
    row = b"," + b"x" * 1000 + b"\n"
    document = b"data,b\n" + row * 30_000
    tracemalloc.start()
    try:
        assert csv_of(document, skip_keyless=True).left_out == 30_000
        assert tracemalloc.get_traced_memory()[1] < len(document) // 2
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("list.csv", "csv"), ("LIST.CSV.GZ", "csv"), ("a.tsv.zst", "tsv"), ("a.csv.bz2", "csv"), ("a.csv.xz", "csv"),
        ("a.tsv.lz4", "tsv"), ("a.txt.xz", "text"), ("a.csv.txt", "text"), ("csv", "auto"), ("a.csv.gz.gz", "auto"),
        ("https://host/kev.csv?raw=true#L1", "csv"), ("HTTPS://host/kev?x=.csv", "auto"), ("s3://b/a?.csv", "csv"),
    ],
)  # fmt: skip
def test_the_name_says_the_format(name, format):
    """In any case of letters, with any compression behind it, and in a URL before its query."""
    assert format_of(name) == format


@pytest.mark.parametrize("compress", [bytes, bz2.compress, lzma.compress, lz4.frame.compress])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_encodings_and_compressions(compress, encoding):
    """A spreadsheet's or PowerShell's encoding, in any compression; and something behind compressed data is refused."""
    document = compress("data\r\né\r\n".encode(encoding))
    assert keys_of(csv_of(document)) == {0: '"é"'}
    assert keys_of(Restrictions.load(document, restrictions_format="text")) == {0: '"data"', 1: '"é"'}
    if compress is not bytes:
        with pytest.raises(RestrictionsError, match=r"Restore the file; nothing was matched\.$"):
            csv_of(document + b"x")


def test_a_file_by_its_name(tmp_path):
    """And another format if that is asked for; there is no place inside a table to look for entries."""
    path = tmp_path / "list.csv.gz"
    path.write_bytes(gzip.compress(b"data\r\na\r\n"))
    assert keys_of(Restrictions.load(path)) == {0: '"a"'}
    assert keys_of(Restrictions.load(path, restrictions_format="text")) == {0: '"data"', 1: '"a"'}
    with pytest.raises(UsageError, match=r"is a list of csv, which has no restrictions_at\. Leave it out"):
        Restrictions.load(path, restrictions_at="/x")
