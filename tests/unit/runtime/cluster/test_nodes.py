"""What nodes report of themselves, and what is said of it."""

import pytest

from linkmatch_ray.errors import KernelError
from linkmatch_ray.native import library as native
from linkmatch_ray.runtime.cluster import nodes
from linkmatch_ray.runtime.cluster.nodes import Node, faults
from tests.support.kernel import levels

levels()  # builds the library


@pytest.fixture
def report():
    """Returns the report of this machine, as a node."""
    return lambda: Node("0123456789", "h", 1.0, 10**9, answered=True, **nodes._examine(["/"]))


def test_a_node_that_is_well(report):
    """There is nothing to say."""
    assert report().kernel == ""
    assert faults([report()]) == []


def test_a_node_without_a_kernel(report, tmp_path, monkeypatch):
    """Its report has the error, which names what to do."""
    monkeypatch.setattr(native, "library", lambda: native.load(tmp_path / "none.so"))
    with pytest.raises(KernelError) as error:
        native.library()
    assert faults([report()]) == [f"node h (01234567): {error.value}"]


def test_a_node_whose_processor_lacks_the_level(report, monkeypatch):
    """The variable that names it is named."""
    monkeypatch.setenv("LINKMATCH_SIMD", "mmx")
    (said,) = faults([report()])
    assert said.startswith("node h (01234567): LINKMATCH_SIMD=mmx: not a level of this processor. Name one of")
