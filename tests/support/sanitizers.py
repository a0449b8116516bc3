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
    *(f"tests/unit/native/test_{name}.py" for name in ("kernel", "windows", "depth", "tokens", "utf8")),
    "tests/properties/test_kernel.py::test_json_test_suite",
)
"""The kernel's own tests, and JSONTestSuite."""


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


def compile_target(folder, cc=(), *, libfuzzer=False, flags=FLAGS):
    """Compiles the fuzz target with all levels; returns the program."""
    cc = list(cc or system_compiler())
    objects = compile_objects(folder, cc=cc, flags=(*flags, *(["-fsanitize=fuzzer-no-link"] if libfuzzer else [])))
    program = folder / "fuzz_kernel"
    fuzzer = ("-DLIBFUZZER", "-fsanitize=fuzzer") if libfuzzer else ()
    warnings = ("-Wall", "-Wextra", "-Werror")
    subprocess.run([*cc, "-std=c11", *warnings, *flags, *fuzzer, TARGET, *objects, "-o", program], check=True)
    return program


def run_tests(folder, tests=TESTS):
    """Runs tests of the kernel with a sanitized library; what is written past an array of NumPy's is found too."""
    library = folder / "libkernel.so"
    cc = system_compiler()
    objects = compile_objects(folder, cc=cc, flags=FLAGS)
    subprocess.run([*cc, "-shared", *FLAGS, *objects, "-o", library], check=True)
    found = subprocess.run([*cc, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("LINKMATCH_SIMD", "LINKMATCH_TESTS")},
        "LD_PRELOAD": found.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own
        "PYTHONMALLOC": "malloc",
        "LINKMATCH_SANITIZED": str(library),
    }
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.sanitized", "-p", "no:cacheprovider", "-n", "0"]
    done = subprocess.run(
        [*command, "-q", *tests], cwd=REPO, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
