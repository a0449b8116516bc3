"""What is to hold of whole readings, at the kernel's other levels too: elsewhere the best one reads. `scripts/fuzz
properties` tries all properties at all levels."""

import pytest

from tests.properties import test_any_bytes, test_any_window
from tests.support.kernel import levels

PROPERTIES = [
    given
    for module in (test_any_bytes, test_any_window)
    for given in vars(module).values()
    if hasattr(given, "hypothesis") and given.__module__ == module.__name__
]


@pytest.mark.slow
@pytest.mark.parametrize("level", levels()[:-1])
@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda holds: holds.__name__)
def test_at_every_level(level, holds, monkeypatch):
    """With the same examples."""
    monkeypatch.setenv("LINKMATCH_SIMD", level)
    holds()
