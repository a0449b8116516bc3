"""The kernel compiled under AddressSanitizer and UBSan: its fuzz target, and its own tests in a Python of their own."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from linkmatch_ray.native.build import compile_objects, system_compiler
from tests.conftest import REPO

FLAGS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
TARGET = REPO / "tests/fuzz/kernel/fuzz_kernel.c"
CORPUS = REPO / "tests/fuzz/kernel/corpus"
SUITE = REPO / "tests/json_test_suite/test_parsing"

TESTS = (
    *(f"tests/unit/native/test_{name}.py" for name in ("kernel", "windows", "depth")),
    *(f"tests/unit/native/test_limits.py::test_{name}" for name in ("the_largest_window", "long_keys")),
    "tests/properties/test_kernel.py::test_json_test_suite",
    "tests/properties/test_conformance.py",
)
"""The kernel's own tests, and JSONTestSuite."""

LONG_TESTS = (
    *(f"tests/unit/native/test_{name}.py" for name in ("limits", "tokens", "utf8")),
    "tests/properties/test_kernel.py",
)
"""Those that take minutes, besides."""


def missing():
    """Why nothing can be compiled under the sanitizers here, or None."""
    if not system_compiler():
        return "there is no C compiler of the system's own"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "empty.c")
        source.write_text("int main(void) { return 0; }\n")
        command = [*system_compiler(), *FLAGS, source, "-o", source.with_suffix("")]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return f"{shutil.which(system_compiler()[0])} has no AddressSanitizer or no UBSan: libasan, libubsan"
    return None


def compile_kernel(folder):
    """Compiles all levels; returns the objects for `link_target` and `link_library`."""
    return compile_objects(folder, cc=system_compiler(), flags=FLAGS)


def link_target(folder, objects, cc=(), flags=()):
    """Compiles the fuzz target; returns the program."""
    program = folder / "fuzz_kernel"
    command = [*(cc or system_compiler()), "-std=c11", "-Wall", "-Wextra", "-Werror", *FLAGS, *flags]
    subprocess.run([*command, TARGET, *objects, "-o", program], check=True)
    return program


def libfuzzer_target(folder):
    """Compiles the target with clang's libFuzzer; returns the program."""
    objects = compile_objects(folder, cc=["clang"], flags=[*FLAGS, "-fsanitize=fuzzer-no-link"])
    return link_target(folder, objects, ["clang"], ["-DLIBFUZZER", "-fsanitize=fuzzer"])


def link_library(folder, objects):
    """Links the library for `run_tests`; returns its path."""
    library = folder / "libkernel.so"
    subprocess.run([*system_compiler(), "-shared", *FLAGS, *objects, "-o", library], check=True)
    return library


def run_tests(library, tests):
    """Runs tests with a sanitized library, at two levels; what is written past an array of NumPy's is found too."""
    command = [*system_compiler(), "-print-file-name=libasan.so"]
    runtime = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("LINKMATCH_SIMD", "LINKMATCH_TESTS")},
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own
        "PYTHONMALLOC": "malloc",
        "LINKMATCH_SANITIZED": str(library),
    }
    plugins = ["-p", "tests.support.sanitized", "-p", "no:cacheprovider"]
    options = ["-n", "0", "-q", "--capture=no"]  # what ends the process is not kept from being said
    command = [sys.executable, "-m", "pytest", *plugins, *options, *tests]
    done = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
