"""What is said of a list whose key, place or format is wrong: the option that helps."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkmatch_ray import Restrictions
from linkmatch_ray.errors import RestrictionsError
from tests.support.archives import tar_of, zip_of

KEV = {"title": "CISA", "count": 2, "vulnerabilities": [{"cveID": "a"}, {"cveID": "b"}]}
SKIP = "or leave such entries out with --skip-keyless"
WRONG_KEYS = {
    "a list in a member": (
        KEV, "cveID", 'entry 0 has no key "cveID", but objects inside it have. Add --restrictions-at /vulnerabilities',
    ),
    "a list in a member, on a line": (
        [KEV, KEV], "cveID",
        'entry 0 has no key "cveID", but objects inside it have. Add --restrictions-at \'$[*].vulnerabilities[*]\'',
    ),
    "further inside": (
        {"a b": {"pages": [{"x": [{"k": 1}, {"k": 2}]}]}}, "k",
        'entry 0 has no key "k", but objects inside it have. Add --restrictions-at \'$["a b"].pages[*].x[*]\'',
    ),
    "a list in a member, and a wrong key": (
        KEV, "cve",
        'entry 0 has no key "cve". Its members are: "title", "count", "vulnerabilities". Name one with --key, for'
        " example --key cve=title, or the array inside with --restrictions-at /vulnerabilities",
    ),
    "another name": (
        [{"title": "x", "doi": "y"}], "data",
        f'entry 0 has no key "data". Its members are: "title", "doi". Name one with --key, for example --key'
        f" data=doi, {SKIP}",
    ),
    "dots": (
        [{"user": {"id": 1}}], "id=user.id",
        'entry 0 has no key "user.id". Its members are: "user". Name one with --key, for example --key id=/user/id,'
        f" {SKIP}",
    ),
    "no members": ([{}], "data", f'entry 0 has no key "data". Its members are: none. Name one with --key, {SKIP}'),
    "not the first entry": (
        ["a", {"date": 1}], "data", f'entry 1 has no key "data". Its members are: "date". Correct it, {SKIP}',
    ),
    "no member that a key could be": (
        {"ids": [1, 2], "meta": {}}, "data",
        'entry 0 has no key "data". Its members are: "ids", "meta". Add --restrictions-at /ids',
    ),
    "names that are keys": (
        {"CVE-1": {"x": 1}, "CVE-2": {}}, "data",
        'entry 0 has no key "data". Its members are: "CVE-1", "CVE-2". If these names are the keys, make an array of'
        " them, for example with jq keys",
    ),
    "names that are keys, of nothing": (
        {"a": None, "b": None}, "data",
        'entry 0 has no key "data". Its members are: "a", "b". If these names are the keys, make an array of them, for'
        " example with jq keys",
    ),
    "values that have it": (
        {"1": {"data": "a"}, "2": {"data": "b"}}, "data",
        'entry 0 has no key "data". Its members are: "1", "2". Make an array of their values, which have it, for'
        " example with jq '[.[]]'",
    ),
    "objects of objects in an array": (
        [{"a": {}, "b": {}}], "data",
        f'entry 0 has no key "data". Its members are: "a", "b". Name one with --key, {SKIP}',
    ),
    "several parts": (
        [{"x": 1, "z": 1}], ["x", "y", "data=w"],
        f'entry 0 has no key "y", "w". Its members are: "x", "z". Name one with --key, for example --key y=z, {SKIP}',
    ),
    "many members": (
        [dict.fromkeys(map(str, range(100)))], "99x",
        f'entry 0 has no key "99x". Its members are: {", ".join(f"{chr(34)}{n}{chr(34)}" for n in range(20))} …. Name'
        f" one with --key, for example --key 99x=99, {SKIP}",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("entries", "key", "said"), WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_a_wrong_key(entries, key, said):
    """What there is, and how to name it."""
    with pytest.raises(RestrictionsError) as refused:
        Restrictions.load(json.dumps(entries).encode(), key)
    assert str(refused.value) == f"<bytes>: {said}; nothing was matched."


def test_a_place_in_lines():
    """The line is named, and an array on each of them has its own place."""
    with pytest.raises(RestrictionsError) as refused:
        Restrictions.load(b'\n{"a":[{"data":1}]}\n{"a":[]}\n')
    assert str(refused.value) == (
        '<bytes>: entry 0 (line 2) has no key "data", but objects inside it have. Add --restrictions-at /a; nothing was'
        " matched."
    )


def test_a_place_inside_a_place():
    """It is named from the beginning of the document."""
    with pytest.raises(RestrictionsError, match=r"Add --restrictions-at '\$\.a\[\*\]\.b\[\*\]';"):
        Restrictions.load(b'{"a":[{"b":[{"data":1}]}]}', restrictions_at="/a")


PLACES = {
    "a member": ({"ids": [1]}, "/idz", 'no array at /idz. Its members are: "ids". Correct --restrictions-at'),
    "another place": (
        {"a": 1, "list": [{"data": 1}]}, "/a",
        'no array at /a. Its members are: "a", "list". Correct --restrictions-at, for example to --restrictions-at'
        " /list",
    ),
    "elements": (
        [{"list": [{"data": 1}]}], "/list",
        'no array at /list. Members of its first element are: "list". Correct --restrictions-at, for example to'
        " --restrictions-at '$[*].list[*]'",
    ),
    "nothing": ([1], "/list", "no array at /list. Correct --restrictions-at"),
}  # fmt: skip


@pytest.mark.parametrize(("document", "at", "said"), PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("more", ["", '{"data":"' + "x" * 5000 + '"}'])
def test_a_wrong_place(document, at, said, more):
    """What there is, from how the document begins."""
    with pytest.raises(RestrictionsError) as refused:
        Restrictions.load((json.dumps(document) + more).encode(), restrictions_at=at)
    assert str(refused.value) == f"<bytes>: {said}; nothing was matched."


ARCHIVES = {
    "zip": zip_of([("list.csv", b"data\na\n")]),
    "tar": tar_of([("list.json", b'["a"]')]),
    "tar.gz": gzip.compress(tar_of([("list.json", b'["a"]')])),
}


@pytest.mark.parametrize("format_", ["auto", "csv", "lines"])
@pytest.mark.parametrize("made", ARCHIVES.values(), ids=ARCHIVES)
def test_an_archive(made, format_):
    """Is no list, and so is a spreadsheet, which is one as well."""
    with pytest.raises(RestrictionsError) as refused:
        Restrictions.load(made, restrictions_format=format_)
    assert str(refused.value) == (
        "<bytes>: an archive, and lists are not read from archives. Unpack it, and name the file with -r; nothing was"
        " matched."
    )
    for name in ("[Content_Types].xml", "mimetypeapplication/vnd.oasis.opendocument.spreadsheet"):
        with pytest.raises(RestrictionsError, match=r"a spreadsheet, which is not read\. Export it as CSV;"):
            Restrictions.load(zip_of([(name, b"")]), restrictions_format=format_)


def parquet():
    file = io.BytesIO()
    pq.write_table(pa.table({"data": ["a"]}), file)
    return file.getvalue()


FORMATS = {
    "csv": b"id,data\n1,a\n",
    "csv, quoted": b'\xef\xbb\xbf"id","data"\r\n"1","a"\r\n',
    "tsv": b"id\tdata\n1,2\ta\n",
    "text": b"https://example.org/\nhttps://example.com/\n",
    "text that begins with a number": b"12\n13a\n",
    "parquet": parquet(),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_another_format(kind):
    """Of a list without a name that says it, what it seems to be is named; and so it can be read."""
    document, name = FORMATS[kind], kind.partition(",")[0].partition(" ")[0]
    with pytest.raises(RestrictionsError, match=rf"\. If it is {name}, add --restrictions-format {name}\.$"):
        Restrictions.load(document)
    assert len(Restrictions.load(document, restrictions_format=name))


@pytest.mark.parametrize(
    "document", [b'["a",', b'{"data":1}\n{"data":', b"[a, b]", b'"a"\n"b\n', b"\xff\n", b"\x1f\x8b"]
)
def test_what_seems_to_be_json(document):
    """And what is no text at all: no other format is named."""
    with pytest.raises(RestrictionsError) as refused:
        Restrictions.load(document)
    assert "If it is" not in str(refused.value)
