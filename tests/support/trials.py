"""Small inputs as people have them, with what must come of each; where they lie beside the repository."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REPO

TRIALS = REPO.parent / "shared" / "trials"


@dataclass(frozen=True)
class Trial:
    """One of them.

    Attributes:
        inputs, restrictions: Where its files lie.
        args: Further arguments of the command.
        code: Its exit code.
        matched, unmatched: The lines of the outputs.
        entries: Lines of the quarantine; None for any number.
    """

    inputs: Path
    restrictions: Path
    args: list[str]
    code: int
    matched: list[str]
    unmatched: list[str]
    entries: int | None


def trials(needs):
    """The names of the trials that need something; none if they do not lie beside the repository."""
    folders = sorted(TRIALS.glob("*/expected.json"))
    return [path.parent.name for path in folders if json.loads(path.read_text("utf-8"))["needs"] == needs]


def trial(name):
    """The trial of that name. Without it the test is skipped."""
    folder = TRIALS / name
    if not folder.exists():
        pytest.skip("no trials beside the repository")
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    return Trial(
        folder / "links",
        folder / expected["restrictions"],
        expected["args"],
        expected["exit"],
        expected["matched"],
        expected["unmatched"],
        expected["entries"],
    )
