"""What README and reference show, to be run as it stands there."""

import re

from linkmatch_ray.cli.help import TOPICS, text_of
from tests.conftest import REPO

PAGES = {"README": (REPO / "README.md").read_text("utf-8"), **{topic: text_of(topic) for topic in TOPICS}}
"""README first, then the topics in the order in which one reads them."""

TEXT = "\n".join(PAGES.values())

_BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")


def blocks(text, info):
    """The blocks of code of a page that are called so, in order."""
    return [code for name, code in _BLOCK.findall(text) if name == info]


def block(info):
    """The one block of code that is called so."""
    (found,) = blocks(TEXT, info)
    return found


def commands_after(words):
    """The commands of the first block of a session after some words."""
    session = TEXT.partition(words)[2].partition("```\n")[2].partition("```")[0]
    return re.findall(r"^\$ (.*)$", session, re.MULTILINE)


def without_blocks(text):
    """A page without its blocks of code."""
    return _BLOCK.sub("", text)


def shown_code(text):
    """Every span of code of a page, and every line of its blocks that is a command."""
    lines = [line for _, code in _BLOCK.findall(text) for line in code.splitlines()]
    commands = [line.removeprefix("$ ") for line in lines if line.startswith(("$ ", "linkmatch-ray "))]
    return commands + [span.replace("\\|", "|") for span in _SPAN.findall(without_blocks(text))]


def rows(text, heading):
    """The cells of each row of the table whose first heading is this one."""
    table = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-| :]+\|\n((?:\|.*\n)+)", text + "\n", re.MULTILINE)
    assert table is not None, heading
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in table[1].splitlines()]


def first_columns(text, heading):
    """The spans of code in the first cell of each row of that table."""
    return [span.replace("\\|", "|") for row in rows(text, heading) for span in _SPAN.findall(row[0])]
