"""What is said where nothing matched, from a look at the first records."""

import json

import pytest

from linkmatch_ray import Restrictions
from linkmatch_ray.io.diagnosis.hints import beginnings_of, hints
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
        (["a"], [], ""),
    ],
)
def test_hints(listed, records, said, tmp_path):
    """A wrong key, another type, another spelling; nothing where there is nothing to say."""
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    missing = sum("data" not in record for record in records)
    restrictions = Restrictions.load(json.dumps(listed).encode())
    found = hints(beginnings_of(list_inputs([path]).files), restrictions, len(records), 0, missing)
    assert len(found) == bool(said)
    assert said in "".join(found)
