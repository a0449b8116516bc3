"""`linkmatch-ray explain`, as a user runs it."""

import gzip
import json

import pytest

from tests.support.program import program


@pytest.fixture
def explain(tmp_path, monkeypatch):
    """Runs the command in a directory with a list and a file of records."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.json").write_text('["ABC", "x", {"data": 7}, "x"]')
    records = '[{"data":"abc"},\n {"other":1}, {"data":"x"}, {"data":7.0}, 5, {"data":tru}]'
    (tmp_path / "records.json").write_text(records)

    def run(*arguments, record=b""):
        return program("explain", "-r", "list.json", *arguments, stdin=record)

    return run


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, ["unmatched", '"ABC" (entry 0)', "letter case"]),
        (1, ["unmatched", 'no key "data"', '"other"']),
        (2, ["matched: 2 restrictions have its key", "entries 1, 3"]),
        (3, ["key      7\n", "matched: one restriction", "entry 2"]),
        (4, ["unmatched", "not an object"]),
    ],
)
def test_each_record_of_a_file(explain, index, expected):
    """By its index, as a job numbers them."""
    code, out, error = explain("records.json", str(index))
    assert (code, error) == (0, "")
    for text in expected:
        assert text in out


def test_a_key_with_dots(explain):
    """The JSON Pointer that it stands for is named, and tables take options of their own."""
    code, out, _ = explain("-k", "user.id=data", record=b'{"user":{"id":7}}')
    assert code == 0
    assert 'it has no key "user.id" (counted as missing_key); its members are: "user"; it has /user/id\n' in out
    with open("table.csv", "w") as file:
        file.write("n,data\n1,\n2,7\n")
    code, out, _ = explain("-r", "table.csv", "--skip-keyless", record=b'{"data":"7"}')
    assert code == 0
    assert "entry 1 of the list" in out


def test_a_damaged_one_and_none(explain):
    """What is in quarantine is said to be, and an index that is not there too."""
    code, out, error = explain("records.json", "5")
    assert (code, out) == (3, "")
    assert "record 5 is in quarantine" in error
    assert "invalid_json" in error
    code, _, error = explain("records.json", "9")
    assert code == 3
    assert "no index 9" in error


def test_a_record_on_standard_input(explain):
    """As JSON for machines."""
    code, out, _ = explain("--json", record=b'{"data":"7"}\n')
    assert code == 0
    assert json.loads(out) == {
        "verdict": "unmatched",
        "key": '"7"',
        "why": "none of the 4 restrictions has its key",
        "restrictions": [],
        "restrictions_total": 0,
        "near": [{"index": 2, "key": "7", "differs_in": ["type"]}],
    }
    code, out, error = explain(record=b'{"data":')
    assert (code, out) == (3, "")
    assert "record 0 is in quarantine" in error
    assert "truncated" in error


@pytest.mark.parametrize(
    "content", [b'\xef\xbb\xbf{"data":"x"}\n', gzip.compress(b'{"data":"x"}\n{"data":"y"}', mtime=0)]
)
def test_standard_input_is_read_as_a_file_is(explain, content):
    """Byte order marks, compression, more than one record."""
    assert "matched: 2 restrictions" in explain(record=content)[1]


def test_not_one_file(explain, tmp_path):
    """A folder, or a pattern for several."""
    for name in (".", "*.json", f"file://{tmp_path}"):
        code, _, error = explain(name, "0")
        assert code == 2
        assert "not one file" in error


def test_keys_that_differ_in_names_alone(explain):
    """Members whose names are the same in another case are compared all the same."""
    code, out, _ = explain(record=b'{"data":{"A":[1],"a":"x"}}')
    assert code == 0
    assert "unmatched" in out
