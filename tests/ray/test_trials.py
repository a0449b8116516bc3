"""Small inputs as people have them, from public reports, through the command."""

import pytest

from tests.support.program import program
from tests.support.trials import trial, trials

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.mark.parametrize("name", trials("inputs"))
def test_a_trial(name, tmp_path):
    """Each gives what is expected of it: exit code, records in order, and the number of entries."""
    of, output = trial(name), tmp_path / "out"
    code, _, error = program("submit", of.inputs, "-r", of.restrictions, *of.args, "--emit", "both", "-o", output)
    assert code == of.code, error
    assert (output / "matched.jsonl").read_text("utf-8").splitlines() == of.matched
    assert (output / "unmatched.jsonl").read_text("utf-8").splitlines() == of.unmatched
    if of.entries is not None:
        assert (output / "quarantine.jsonl").read_bytes().count(b"\n") == of.entries
