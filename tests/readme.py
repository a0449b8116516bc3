"""What the README shows, to be run as it stands there."""

import re

from tests.conftest import REPO

TEXT = (REPO / "README.md").read_text("utf-8")


def block(info):
    """The one block of code that is called so."""
    (found,) = re.findall(rf"^```{re.escape(info)}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    return found


def commands_after(words):
    """The commands of the first block of a session after some words."""
    session = TEXT.partition(words)[2].partition("```\n")[2].partition("```")[0]
    return re.findall(r"^\$ (.*)$", session, re.MULTILINE)
