"""What the scan gives where the kernel may not be asked, or does not know the key."""

import pytest

from linkmatch_ray import MatchOptions, Restrictions, match_bytes
from tests.fuzz.borders import Borders

RECORDS = [b'{"data":%d,"b":"x"}' % number for number in range(200)]
LIST = Restrictions.load(b"[%s]" % b",".join(RECORDS[::50]))
LAYOUTS = (b"\n".join(RECORDS), b"[%s]" % b",\n".join(RECORDS), b"[%s" % b",".join(RECORDS), b'{"data":\n1}')


@pytest.mark.parametrize("data", LAYOUTS)
def test_few_records_at_a_time(data):
    """It is nowhere seen how many calls of the kernel a window takes."""
    options = MatchOptions(emit="both", provenance=True)
    wanted = match_bytes(data, LIST, options)
    for records in (1, 7, 199, 200):
        with Borders(records=records).drawn():
            assert match_bytes(data, LIST, options) == wanted


def test_a_member_that_is_compared_twice():
    """With two members of an entry: the kernel does not take such keys, and the exact path reads every record."""
    listed = Restrictions.load(b'[{"a":1,"b":1},{"a":2,"b":3}]', ["data=a", "data=b"])
    got = match_bytes(LAYOUTS[0], listed, MatchOptions(emit="both"))
    assert (got.matched, got.counts.unmatched) == (RECORDS[1] + b"\n", 199)


def test_a_key_of_more_members_than_the_kernel_has_bits_for():
    """As above."""
    names = [f"k{number}" for number in range(70)]
    listed = Restrictions.load(b"[{%s}]" % b",".join(b'"%s":1' % name.encode() for name in names), names)
    record = b"{%s}" % b",".join(b'"%s":1.0' % name.encode() for name in names)
    got = match_bytes(b"[%s,%s]" % (record, record.replace(b"1.0", b"2", 1)), listed, MatchOptions())
    assert (got.matched, got.counts.unmatched) == (record + b"\n", 1)
