"""The kernel under AddressSanitizer and UBSan: what the fuzzer found worth keeping, and the kernel's own tests."""

import subprocess

import pytest

from tests.support.sanitizers import CORPUS, FLAGS, SUITE, TESTS, compile_target, missing, run_tests

if reason := missing():
    pytest.skip(reason, allow_module_level=True)


def test_the_corpus(tmp_path):
    """Every input is held to the plain reading at every level, whole and in windows; no byte is read that is not its."""
    program = compile_target(tmp_path, flags=("-O0", *FLAGS[1:]))  # compiled in half the time
    subprocess.run([program, *sorted(CORPUS.iterdir())], check=True)


@pytest.mark.slow
def test_the_fuzz_target(tmp_path):
    """JSONTestSuite, and inputs that the target makes."""
    program = compile_target(tmp_path)
    suite = [path for path in sorted(SUITE.iterdir()) if path.stat().st_size < 10_000]
    subprocess.run([program, *suite], check=True)
    subprocess.run([program, "-n", "1000", "-s", "1", *suite], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.slow
def test_the_tests_of_the_kernel(tmp_path):
    """And JSONTestSuite, at the plainest level and the best; `scripts/sanitize` runs those that take longest too."""
    run_tests(tmp_path, [test for test in TESTS if "tokens" not in test and "utf8" not in test])
