"""What is said where nothing matched, from a look at the first records."""

import json

import pytest

from linkmatch_ray import MatchOptions, Restrictions
from linkmatch_ray.io.diagnosis.hints import FILE_BYTES_MAX, beginnings_of, hints
from linkmatch_ray.io.inputs.listing import list_inputs


@pytest.mark.parametrize(
    ("listed", "records", "said"),
    [
        (["ABC"], [{"data": "abc"}], 'Hint: "abc" is not on the list, but "ABC" is, which differs in letter case.'),
        (["http://x.org"], [{"data": "http://x.org/"}], "differs in trailing slash"),
        (["12", "13"], [{"data": 12}], "the records' keys are numbers, the restrictions' are strings"),
        (
            ["a"],
            [{"url": "a"}, {"url": "b", "n": 1}],
            'have no key "data". Of the first 2, members are: url (2), n (1).',
        ),
        (["a"], [{"data": "b"}], ""),
        (["a"], [{"data": "b"}, {"x": 1}, {"x": 1}], "x (2), data (1). Name another with --key."),
        (["a"], [], ""),
    ],
)
def test_hints(listed, records, said, tmp_path):
    """A wrong key, another type, another spelling; nothing where there is nothing to say."""
    missing = sum("data" not in record for record in records)
    found = hints_for(lines(records), json.dumps(listed).encode(), tmp_path, len(records), missing)
    assert len(found) == bool(said)
    assert said in "".join(found)


def lines(records):
    return "".join(json.dumps(record) + "\n" for record in records)


def hints_for(content, listed, top, records, missing=None, options=None, **how):
    """What is said of a file with this content, of whose records none matched."""
    path = top / "records.json"
    path.write_text(content)
    missing = records if missing is None else missing
    restrictions = Restrictions.load(listed, **how)
    return hints(beginnings_of(list_inputs([path]).files), restrictions, records, 0, missing, options)


HAVE = 'Hint: most records have no key "{}". Of the first {}, members are: {}. {}.'
PAGE = {"page": 1, "items": [{"data": "a"}, {"data": "b"}]}
WRONG_KEYS = {
    "dots": (
        lines([{"user": {"id": 1}}] * 2), "user.id", {},
        HAVE.format("user.id", 2, "user (2)", "Name another with --key, for example --key /user/id=user.id"),
    ),
    "dots, and a list of text": (
        lines([{"user": {"id": 1}}] * 2), "user.id", {"restrictions_format": "text"},
        HAVE.format("user.id", 2, "user (2)", "Name another with --key, for example --key /user/id"),
    ),
    "objects in a member": (
        lines([PAGE]), "data", {},
        HAVE.format("data", 1, "page (1), items (1)", "Objects inside have it: add --records-at /items"),
    ),
    "in a member of elements": (
        json.dumps([PAGE, PAGE]), "data", {},
        HAVE.format("data", 2, "page (2), items (2)", "Objects inside have it: add --records-at '$[*].items[*]'"),
    ),
    "one level deeper": (
        json.dumps({"pages": [PAGE, PAGE]}), "data", {},
        HAVE.format("data", 1, "pages (1)", "Objects inside have it: add --records-at '$.pages[*].items[*]'"),
    ),
    "another case": (
        lines([{"ID": 1}]), "id", {},
        HAVE.format("id", 1, "ID (1)", "Name another with --key, for example --key ID=id"),
    ),
    "in an object": (
        lines([{"user": {"id": 1}}]), "id", {},
        HAVE.format("id", 1, "user (1)", "Name another with --key, for example --key /user/id=id"),
    ),
    "the name of the list's key": (
        lines([{"ID": 1}]), "id=ID", {},
        HAVE.format("id", 1, "ID (1)", "Name another with --key, for example --key ID"),
    ),
    "dots, in a member": (
        lines([{"features": [{"properties": {"id": 1}}]}]), "properties.id=id", {},
        HAVE.format("properties.id", 1, "features (1)", "Objects inside have it: add --records-at /features, and --key"
                    " /properties/id=id"),
    ),
    "neither": (lines([{"x": 1}]), "user.id", {}, HAVE.format("user.id", 1, "x (1)", "Name another with --key")),
}  # fmt: skip


@pytest.mark.parametrize(("content", "key", "how", "said"), WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_a_wrong_key(content, key, how, said, tmp_path):
    """Members are listed, and what may be meant is named with its option."""
    records = len(json.loads(content)) if content.startswith("[") else content.count("\n") or 1
    assert hints_for(content, b'"z"\n', tmp_path, records, key=key, **how) == [said]


def test_inside_records_at(tmp_path):
    """The place is named from the beginning of the document."""
    content = json.dumps({"pages": [PAGE, PAGE]})
    (said,) = hints_for(content, b'"z"\n', tmp_path, 2, options=MatchOptions(records_at="/pages"))
    assert said.endswith("Objects inside have it: add --records-at '$.pages[*].items[*]'.")


PLACES = {
    "another": (
        {"features": [{"data": "a"}]}, "/feature",
        ["Hint: no record is at /feature, but objects elsewhere have the key. To match these, use --records-at"
         " /features."],
    ),
    "in elements": (
        [{"features": [{"data": "a"}]}], "/features",
        ["Hint: no record is at /features, but objects elsewhere have the key. To match these, use --records-at"
         " '$[*].features[*]'."],
    ),
    "nothing": (
        {"features": [{"x": "a"}], "n": 1}, "/feature",
        ["Hint: there is nothing at /feature. Members of the documents are: features (1), n (1). Correct"
         " --records-at."],
    ),
    "an empty array": ({"features": [], "n": 1}, "/features", []),
    "a JSONPath": ({"features": [{"x": "a"}]}, "$.feature[*]", []),
}  # fmt: skip


@pytest.mark.parametrize(("document", "at", "said"), PLACES.values(), ids=PLACES)
def test_no_record_at_a_place(document, at, said, tmp_path):
    """What there is instead."""
    options = MatchOptions(records_at=at)
    assert hints_for(json.dumps(document), b'"z"\n', tmp_path, 0, options=options) == said


LOOKS = "Hint: the list was read as text, with a key on each line, but it looks like {}. If it is, add {}."


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (b'["a", "b"]\n', LOOKS.format("JSON", "--restrictions-format array")),
        (b'[\n  "x",\n  {"data": 1},\n  "y"\n]\n', LOOKS.format("JSON", "--restrictions-format array")),
        (b'{"data":"a"}\n\n{"data":"b"}\n', LOOKS.format("JSON", "--restrictions-format lines")),
        (b'"x"\n"y"\n', LOOKS.format("JSON", "--restrictions-format lines")),
        (b'n,"data"\n1,x\n', LOOKS.format("CSV", "--restrictions-format csv")),
        (b"Doe, John\nRoe, Jane\n", None),
        (b"data\nx\n", None),
        (b"[x]\ny\n", None),
        (b"", None),
    ],
)
def test_a_list_that_is_no_text(listed, said, tmp_path):
    """The format that it seems to have is named."""
    found = hints_for(lines([{"data": "q"}]), listed, tmp_path, 1, missing=0, restrictions_format="text")
    assert found == ([said] if said else [])


def test_a_list_that_is_one_array(tmp_path):
    """It may be the list, whose place is named."""
    (said,) = hints_for(lines([{"data": "a"}]), b'{"data":["a","b"]}', tmp_path, 1, missing=0)
    assert said == f"{TYPES.format('strings', 'arrays')} If that array is the list, add --restrictions-at /data."


@pytest.mark.parametrize("records", [0, 1])
def test_a_document_longer_than_what_is_looked_at(records, tmp_path):
    """Whether it came out as a record or is an entry for its length: its beginning shows objects that have the key."""
    content = json.dumps({"type": "FeatureCollection", "features": [{"data": "a", "n": n} for n in range(20_000)]})
    assert len(content) > FILE_BYTES_MAX
    said = (
        "Hint: the inputs are documents, and objects inside have the key. To match these, add --records-at /features."
    )
    assert hints_for(content, b'"z"\n', tmp_path, records) == [said]
    assert hints_for(content, b'"z"\n', tmp_path, records, key="other=data") == []
    if records:
        assert hints_for(content, b'"z"\n', tmp_path, records, missing=0) == []


TYPES = "Hint: the records' keys are {}, the restrictions' are {}; values of different types are never equal."


@pytest.mark.parametrize(
    ("record", "listed", "format", "kinds", "action"),
    [
        (12, b"12\n13\n", "text", "numbers, strings",
         " If the list has a number on each line, add --restrictions-format lines."),
        (12, b"data,n\n12,1\n", "csv", "numbers, strings",
         " Cells are strings: for numbers, make it a list of JSON, with one on each line."),
        (12, b'["12"]', "auto", "numbers, strings", " List them as numbers."),
        ("12", b"12\n13\n", "auto", "strings, numbers",
         " List them as strings; with --restrictions-format text each line is one."),
        ("12", b"true", "auto", "strings, booleans", ""),
    ],
)  # fmt: skip
def test_another_type(record, listed, format, kinds, action, tmp_path):
    """With what to do about it, as the list was read."""
    found = hints_for(lines([{"data": record}]), listed, tmp_path, 1, missing=0, restrictions_format=format)
    assert found == [TYPES.format(*kinds.split(", ")) + action]


def test_a_list_of_which_all_was_left_out(tmp_path):
    """It matches nothing, and its key is wrong."""
    found = hints_for(lines([{"data": "a"}]), b'[{"x":1},{"x":2}]', tmp_path, 1, missing=0, skip_keyless=True)
    assert found == ['Hint: no entry of the list has the key "data", so all were left out. Name another with --key.']
