"""One term for one thing: the glossary at the head of `linkmatch_ray.core`, and synonyms that no module uses."""

import re

import pytest

import linkmatch_ray.core
from tests.conftest import REPO

TERMS = ("input", "file", "range", "unit", "window", "record", "part", "piece", "span", "output", "entry")
SYNONYMS = ("chunk", "batch", "shard", "block", "frame", "tile")

FOREIGN = {
    ("cli/signals.py", "block"): "POSIX's: a thread blocks a signal",
    ("core/compressions.py", "frame"): "zstd's and lz4's: a file is made of frames (RFC 8878)",
    ("docs/clusters.md", "block"): "Ray's: `ray start --block`",
    ("core/inflating.py", "frame"): "zstd's, as in `core.compressions`",
    ("docs/inputs.md", "frame"): "zstd's",
    ("docs/quarantine.md", "frame"): "zstd's",
    ("docs/limits.md", "block"): "zstd's: what it compresses, or loses, as a whole",
    ("io/inputs/archives/methods.py", "frame"): "zstandard's: `read_across_frames`",
    ("io/ledger/journal.py", "frame"): "zstandard's: `get_frame_parameters`",
    ("io/restrictions/parquet.py", "batch"): "pyarrow's: `iter_batches`",
    ("io/storage/azure.py", "block"): "Azure's: a blob is made of blocks",
    ("io/storage/side_by_side.py", "frame"): "Python's: an error refers to its stack frames",
    ("io/storage/transport.py", "chunk"): "HTTP's: a body may come in chunks (RFC 9112)",
}
"""By module and word, whose word it is there."""

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""A word of text, or of an identifier in either spelling."""


def words_in(text):
    """All words in lower case, each plural as its singular too."""
    found = {word.lower() for word in WORD.findall(text)}
    return found | {word.removesuffix("s") for word in found} | {word.removesuffix("es") for word in found}


def synonyms_in(path):
    return [(path, word) for word in SYNONYMS if word in words_in((REPO / "linkmatch_ray" / path).read_text("utf-8"))]


def modules():
    top = REPO / "linkmatch_ray"
    found = (path for path in top.rglob("*") if path.suffix in (".py", ".md"))
    return sorted(path.relative_to(top).as_posix() for path in found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("STRIDE_BYTES", {"stride", "bytes"}),
        ("putBlockList", {"put", "block", "list"}),
        ("_Tile, of batches", {"tile", "of", "batch"}),
        ("HTTPChunks", {"http", "chunk"}),
        ("BlockingIOError", {"blocking", "error"}),
    ],
)
def test_words_of_a_text(text, found):
    """Identifiers are split where their spelling says so."""
    assert found <= words_in(text)


def test_the_glossary_has_each_term_in_its_order():
    """A line each, whose first word is the term."""
    rows = re.findall(r"^    (\w+)  ", linkmatch_ray.core.__doc__, re.MULTILINE)
    assert tuple(rows) == TERMS


@pytest.mark.parametrize("path", modules())
def test_no_synonym_stands_for_a_term(path):
    """In identifiers, comments, docstrings and messages; another's word is its name for a thing of its own."""
    assert [found for found in synonyms_in(path) if found not in FOREIGN] == []


@pytest.mark.parametrize(("path", "word"), FOREIGN)
def test_foreign_words_are_there(path, word):
    """An exception that nothing needs is none."""
    assert (path, word) in synonyms_in(path)
