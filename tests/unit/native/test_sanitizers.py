"""The kernel under AddressSanitizer and UBSan: what the fuzzer found worth keeping, and the kernel's own tests."""

import runpy
import sys

import pytest

from tests.conftest import REPO
from tests.support import sanitizers
from tests.support.sanitizers import TESTS, compile_kernel, link_library, missing, run_tests

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """All levels, compiled once."""
    if reason := missing():
        pytest.skip(reason)
    return compile_kernel(tmp_path_factory.mktemp("objects"))


def test_the_fuzz_target(objects, monkeypatch, capfd):
    """`scripts/sanitize` holds each input to the plain reading at every level, in any windows; no byte is read beside
    these."""
    monkeypatch.setattr(sanitizers, "compile_kernel", lambda _: objects)
    monkeypatch.setattr(sys, "argv", ["sanitize", "--cases", "1000", "--first", "1"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(REPO / "scripts/sanitize"), run_name="__main__")
    said, errors = capfd.readouterr()
    assert (ended.value.code, errors) == (0, ""), said + errors
    assert said.endswith("1,000 cases from seed 1, all well\n")


def test_the_tests_of_the_kernel(objects, tmp_path):
    """And JSONTestSuite, at the plainest level and the best; `scripts/sanitize` runs those that take longest too."""
    run_tests(link_library(tmp_path, objects), TESTS)
