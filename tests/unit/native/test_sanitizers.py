"""The kernel under AddressSanitizer and UBSan: what the fuzzer found worth keeping, and the kernel's own tests."""

import subprocess

import pytest

from tests.support.sanitizers import CORPUS, SUITE, TESTS, compile_kernel, link_library, link_target, missing, run_tests

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """All levels, compiled once."""
    if reason := missing():
        pytest.skip(reason)
    return compile_kernel(tmp_path_factory.mktemp("objects"))


def test_the_fuzz_target(objects, tmp_path):
    """Each input is held to the plain reading at every level, in any windows; no byte is read beside these."""
    program = link_target(tmp_path, objects)
    suite = [path for path in sorted(SUITE.iterdir()) if path.stat().st_size < 10_000]
    subprocess.run([program, *sorted(CORPUS.iterdir()), *suite], check=True)
    subprocess.run([program, "-n", "1000", "-s", "1", *suite], check=True, stdout=subprocess.DEVNULL)


def test_the_tests_of_the_kernel(objects, tmp_path):
    """And JSONTestSuite, at the plainest level and the best; `scripts/sanitize` runs those that take longest too."""
    run_tests(link_library(tmp_path, objects), TESTS)
