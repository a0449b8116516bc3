"""Lists as they come give what the oracle gives: entries without the key, and tables."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkmatch_ray import Restrictions
from linkmatch_ray.errors import RestrictionsError
from linkmatch_ray.io.restrictions import text as list_text
from tests.support import oracle, strategies
from tests.support.tiers import examples

FORMATS = {",": "csv", "\t": "tsv"}


def places(restrictions):
    """Key -> the places of the entries that have it, as the oracle gives them; for keys of one part."""
    index = restrictions.index
    return {
        (oracle.frozen(oracle.parse(index.key(distinct))),): index.restrictions_of(distinct).tolist()
        for distinct in range(len(index.hashes))
    }


@given(data=st.data())
@settings(max_examples=examples(100))
def test_entries_without_the_key(data):
    """They are left out where that is asked for, and refuse the list otherwise."""
    keys = data.draw(st.sampled_from([keys for keys in strategies.KEY_SETS if len(keys) == 1]))
    writer, pool = data.draw(strategies.writers()), data.draw(st.lists(strategies.values(), min_size=1, max_size=6))
    document = data.draw(strategies.keyless_lists(writer, keys, pool))
    (key,) = strategies.arguments(keys)
    expected = oracle.build(document, keys, skip_keyless=True)
    found = Restrictions.load(document, key, skip_keyless=True)
    assert places(found) == expected
    assert len(found) == sum(map(len, expected.values()))
    try:
        oracle.build(document, keys)
    except ValueError:
        assert found.left_out
        with pytest.raises(RestrictionsError, match="has no key"):
            Restrictions.load(document, key)
    else:
        assert found.left_out == 0
        assert Restrictions.load(document, key).index.content_hash == found.index.content_hash


@given(table=strategies.tables(), nbytes=st.integers(8, 40), bom=st.booleans(), data=st.data())
@settings(max_examples=examples(300))
def test_tables(table, nbytes, bom, data):
    """With quotes, separators and line ends in cells, however they are spelled and wherever a reading ends."""
    text, separator, rows = table
    document = strategies.compress(
        strategies.Writer(nbytes, 0.5),
        strategies.BOM * bom + text.encode("utf-8"),
        data.draw(st.sampled_from(strategies.COMPRESSIONS)),
    )
    keys = tuple(("data", name) for name in data.draw(st.lists(st.sampled_from(rows[0]), min_size=1, max_size=2)))
    expected = oracle.build(document, keys, separator=separator, skip_keyless=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(list_text, "READ_BYTES", nbytes)
        found = Restrictions.load(
            document, strategies.arguments(keys), restrictions_format=FORMATS[separator], skip_keyless=True
        )
    assert (len(found), len(found) + found.left_out) == (sum(map(len, expected.values())), len(rows) - 1)
    if len(keys) == 1:
        assert places(found) == expected


@given(text=st.text(st.sampled_from('a "\r\n\té\ufeff\0'), max_size=30), nbytes=st.integers(8, 20), bom=st.booleans())
@settings(max_examples=examples(200))
def test_text(text, nbytes, bom):
    """A key a line, of which only the line end is taken off, wherever a reading ends."""
    document = strategies.BOM * bom + b"line\n" + text.encode("utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(list_text, "READ_BYTES", nbytes)
        found = Restrictions.load(document, restrictions_format="text")
    assert places(found) == oracle.build(document, (("data", "data"),), text=True)


KINDS = (
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**64 - 1),
    st.booleans(),
)


@given(values=st.one_of([st.lists(kind | st.none(), min_size=1) for kind in KINDS]), rows=st.integers(1, 5))
@settings(max_examples=examples(100))
def test_parquet(values, rows):
    """The same list as one of JSON, in row groups of any length."""
    file = io.BytesIO()
    pq.write_table(pa.table({"n": range(len(values)), "data": pa.array(values)}), file, row_group_size=rows)
    wanted = Restrictions.load(json.dumps(values).encode())
    found = Restrictions.load(file.getvalue(), restrictions_format="parquet")
    assert (found.index.content_hash, places(found)) == (wanted.index.content_hash, places(wanted))


@given(document=st.text(st.sampled_from('a,"\r\n\té'), max_size=12), separator=st.sampled_from(",\t"))
@settings(max_examples=examples(500))
def test_any_table(document, separator):
    """Any text is refused, or read as the module `csv` reads it."""
    data = document.encode("utf-8")
    try:
        rows = [row for row in csv.reader(io.StringIO(document, newline=""), delimiter=separator, strict=True) if row]
        keys = (("data", rows[0][0] if rows else "data"),)
        expected = oracle.build(data, keys, separator=separator, skip_keyless=True)
    except (ValueError, csv.Error):
        with pytest.raises(RestrictionsError):
            Restrictions.load(data, "data=a", restrictions_format=FORMATS[separator], skip_keyless=True)
        return
    key = f"data={keys[0][1] or '/'}"
    found = Restrictions.load(data, key, restrictions_format=FORMATS[separator], skip_keyless=True)
    assert places(found) == expected
