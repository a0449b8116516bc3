"""The kernel's levels, for properties that are to hold at each of them."""

import pytest

from tests.support.kernel import levels


@pytest.fixture(params=levels())
def every_level(request, monkeypatch):
    """Has the kernel take each level of this processor, one after another."""
    monkeypatch.setenv("LINKMATCH_SIMD", request.param)
