"""Docstrings and comments read as CONTRIBUTING.md says: short sentences, a verb first, terms instead of moods."""

import ast
import inspect
import re
import tokenize

import pytest

from tests.conftest import REPO

PACKAGE = REPO / "linkmatch_ray"
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

HELP = ("app.command", "app.callback")
"""The decorators of functions whose docstring is the help of a command, which is written in the imperative."""

SENTENCE_WORDS_MAX = 25

PHRASES = re.compile(
    r"\b(so (?:many|much|often|long)|anew|whatever|but for|there is none|is told|are told|was told|in the way of"
    r"|lives?|dies?)\b",
    re.IGNORECASE,
)
"""Phrases that read as translated, or give a process a life."""


def walk(path):
    return ast.walk(ast.parse((PACKAGE / path).read_text("utf-8")))


def docstrings(path):
    """Of modules, classes, functions and constants."""
    constants = (
        node.value for node in walk(path) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )
    return [inspect.cleandoc(node.value) for node in constants if isinstance(node.value, str)]


def comments(path):
    """Runs of lines that are one comment."""
    runs, end = [], (0, 0)
    with tokenize.open(PACKAGE / path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type != tokenize.COMMENT or token.string.startswith(("# type:", "# fmt:", "# noqa")):
                continue
            text = token.string.lstrip("# ")
            if token.start == (end[0] + 1, end[1]):
                runs[-1] += f" {text}"
            else:
                runs.append(text)
            end = token.start
    return runs


def sentences(text):
    """Sentences and items of a docstring. A table and an example are none, a span of code is one word."""
    text = re.sub(r"`[^`]+`", "code", text)
    for paragraph in re.split(r"\n\s*\n", text):
        if re.search(r"^ *\S.*?  +\S", paragraph, re.MULTILINE) or paragraph.startswith("\b"):
            continue
        items = re.split(r"\n(?=(?:Args|Attributes|Raises|Returns)\b|    \S+(?:, \S+)*: )", paragraph)
        for item in items:
            item = re.sub(r"^    \S+(?:, \S+)*: ", "", item)
            yield from re.split(r"(?<=[.!?])\s+", " ".join(item.split()))


def prose(path):
    return [sentence for text in (*docstrings(path), *comments(path)) for sentence in sentences(text)]


def is_property(function):
    return any(getattr(each, "id", None) == "property" for each in function.decorator_list)


def is_help(function):
    return function.name == "help_" or any(ast.unparse(each).startswith(HELP) for each in function.decorator_list)


@pytest.mark.parametrize("path", MODULES)
def test_sentences_are_short(path):
    """At most 25 words, and one semicolon; a span of code is one word."""
    assert [each for each in prose(path) if len(re.findall(r"\w[\w'.,/-]*", each)) > SENTENCE_WORDS_MAX] == []
    assert [each for each in prose(path) if each.count(";") > 1] == []


@pytest.mark.parametrize("path", MODULES)
def test_a_function_begins_with_a_verb(path):
    """In the third person. A property is a noun phrase."""
    functions = [
        node for node in walk(path) if isinstance(node, ast.FunctionDef) and not (is_property(node) or is_help(node))
    ]
    first = [(node.name, text.split()[0]) for node in functions if (text := ast.get_docstring(node))]
    assert [each for each in first if not re.fullmatch(r"[A-Z][a-z]+s", each[1])] == []


@pytest.mark.parametrize("path", MODULES)
def test_no_phrase_reads_as_translated(path):
    """In docstrings, comments and messages."""
    constants = [node.value for node in walk(path) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert [text for text in (*constants, *comments(path)) if PHRASES.search(text)] == []
