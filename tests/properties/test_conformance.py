"""JSONTestSuite (github.com/nst/JSONTestSuite, MIT, in tests/json_test_suite): what must be read is, and what must
not is an entry. What may be either is listed with what we do."""

import pytest

from linkmatch_ray import Restrictions, match_bytes
from tests.conftest import REPO

SUITE = REPO / "tests/json_test_suite"
RESTRICTIONS = Restrictions.load(b'["a"]')

WHOLE = {  # sequences of values
    "n_array_comma_after_close.json",
    "n_structure_double_array.json",
    "n_structure_object_with_trailing_garbage.json",
}

NO_RECORDS = {"n_single_space.json", "n_structure_no_data.json", "n_structure_UTF8_BOM_no_data.json"}
"""These hold nothing: no record, and no entry either."""

EITHER = dict(line.split("\t") for line in (SUITE / "implementation_defined.tsv").read_text().splitlines())
"""`read`, or the reason of the entry, by name."""

pytestmark = pytest.mark.usefixtures("every_level")


def files(kind):
    found = sorted(path for path in (SUITE / "test_parsing").iterdir() if path.name.startswith(kind))
    assert found
    return pytest.mark.parametrize("path", found, ids=[path.name for path in found])


@files("y_")
def test_what_is_json_is_read(path):
    """No entry."""
    assert match_bytes(path.read_bytes(), RESTRICTIONS).entries == ()


@files("n_")
def test_what_is_not_json_is_an_entry(path):
    """One or more."""
    outcome = match_bytes(path.read_bytes(), RESTRICTIONS)
    assert bool(outcome.entries) == (path.name not in NO_RECORDS | WHOLE)
    if path.name in NO_RECORDS:
        assert outcome.counts.records == 0


@files("i_")
def test_what_may_be_either_is_as_listed(path):
    """And no other."""
    outcome = match_bytes(path.read_bytes(), RESTRICTIONS)
    assert ",".join(sorted({entry.reason for entry in outcome.entries})) or EITHER[path.name] == "read"
