"""The library is built, found, and refused where it is another's; the fuzz target runs under the sanitizers."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from linkmatch_ray.errors import KernelError
from linkmatch_ray.exit_codes import EXIT_CLUSTER
from linkmatch_ray.native import build as building
from linkmatch_ray.native import library as native
from linkmatch_ray.native.build import LIBRARY, compile_objects, sources_hash
from tests.conftest import REPO
from tests.support.kernel import levels
from tests.support.libraries import ELF, INTERFACE, read_library
from tests.support.program import program

levels()  # builds the library


def test_it_names_its_sources(tmp_path, monkeypatch):
    """One that was built from others is refused, so that nobody uses the old kernel after a pull."""
    assert native.load().lm_sources().decode() == sources_hash()
    for path in building.FOLDER.glob("*.[ch]"):
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(building, "FOLDER", tmp_path)
    assert sources_hash() in LIBRARY.read_bytes().decode("latin-1")
    with (tmp_path / "walk.c").open("a") as file:
        file.write("\n")
    refused(LIBRARY, "built from other sources. Run `python -m linkmatch_ray.native.build`.")


def refused(path, why):
    with pytest.raises(KernelError) as error:
        native.load(path)
    assert str(error.value).startswith(f"{path}: {why}")
    assert (error.value.exit_code, isinstance(error.value, ImportError)) == (EXIT_CLUSTER, True)


def test_one_that_is_missing(tmp_path):
    """It says what to do, here and for a cluster of other machines."""
    refused(tmp_path / "none.so", "not there. Run `python -m linkmatch_ray.native.build`. For a cluster of other")


def test_one_of_another_system(tmp_path):
    """It is refused too, and nothing of the loader's own words is shown."""
    whole = LIBRARY.read_bytes()
    assert whole.startswith(ELF)
    other = {62: 183, 183: 62}[whole[18]]
    for number, data in enumerate((b"not a library " + whole, whole[:18] + bytes([other]) + whole[19:])):
        path = tmp_path / f"{number}.so"
        path.write_bytes(data)
        refused(path, "built for another system. Run `python -m linkmatch_ray.native.build`.")


def test_a_command_without_it(tmp_path, monkeypatch):
    """It says why, and ends with 5."""
    why = KernelError(f"{tmp_path}/a.so: not there.")
    monkeypatch.setattr(native, "library", mock.Mock(side_effect=why))
    (tmp_path / "list.json").write_text('["a"]')
    command = ["explain", "-r", tmp_path / "list.json"]
    assert program(*command, stdin=b"{}") == (EXIT_CLUSTER, "", f"linkmatch-ray: {why}\n")


def test_the_compiler(monkeypatch):
    """The one that is named, else the system's, else Zig's, which builds for no processor in particular."""
    monkeypatch.setenv("CC", "env cc")
    assert building.compiler() == ["env", "cc"]
    monkeypatch.setattr(building, "find_spec", lambda name: None)
    for unfit in ("no-such-compiler", "false"):  # as one without headers, or that does not know the instructions
        monkeypatch.setenv("CC", unfit)
        with pytest.raises(FileNotFoundError, match=r"there is no C compiler that is fit\. Install gcc or clang"):
            building.compiler()
    monkeypatch.setattr(building, "find_spec", lambda name: name)
    assert building.compiler()[:4] == [sys.executable, "-m", "ziglang", "cc"]
    assert "-target" in building.compiler() or platform.system() != "Linux"


def test_a_compiler_that_fails(tmp_path, capfd):
    """Its own messages are shown, and ours; nothing is left, and what was there before stays."""
    before = building.library_of("linux-x86_64", tmp_path)
    before.write_text("before")
    with pytest.raises(ChildProcessError, match=r"^the kernel: the compiler failed\. See its messages, or name"):
        building.build(tmp_path, name="linux-x86_64", cc=["sh", "-c", "echo a fault >&2; false"])
    assert capfd.readouterr().err == "a fault\n"
    assert list(tmp_path.iterdir()) == [before]
    assert before.read_text() == "before"


def test_it_needs_nothing():
    """No libc, and nothing is exported but its interface."""
    library = read_library(LIBRARY)
    assert (library.exported, library.undefined, library.needed) == (INTERFACE, set(), set())
    assert library.platform == building.PLATFORM


def test_levels(monkeypatch):
    """The best one is taken, or the one that is asked for."""
    library = native.library()
    has = native.levels(library)
    assert has[0] == "portable"
    monkeypatch.delenv("LINKMATCH_SIMD", raising=False)
    assert native.chosen_level(library) == has[-1]
    for level in has:
        monkeypatch.setenv("LINKMATCH_SIMD", level)
        assert native.chosen_level(library) == level
    monkeypatch.setenv("LINKMATCH_SIMD", "mmx")
    with pytest.raises(KernelError, match=r"LINKMATCH_SIMD=mmx: not a level of this processor\. Name one of portable"):
        native.chosen_level(library)


SUITE = [path for path in (REPO / "tests/json_test_suite/test_parsing").iterdir() if path.stat().st_size < 10_000]
SOURCE = REPO / "tests/fuzz/kernel/fuzz_kernel.c"


def run_target(program, cases, emulator=()):
    """JSONTestSuite, and inputs that the target makes; what differs or is out of bounds ends it."""
    subprocess.run([*emulator, program, *SUITE], check=True)
    subprocess.run([*emulator, program, "-n", str(cases), "-s", "1", *SUITE], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.slow
def test_the_fuzz_target_under_sanitizers(tmp_path):
    """No byte is read or written that is not the kernel's."""
    flags = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    objects = compile_objects(tmp_path, flags=flags)
    program = tmp_path / "fuzz_kernel"
    subprocess.run(["cc", "-std=c11", "-Wall", "-Werror", *flags, SOURCE, *objects, "-o", program], check=True)
    run_target(program, 1000)


@pytest.mark.slow
def test_neon(tmp_path):
    """On another processor than its own it is tried with an emulator."""
    cc, emulator = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64-static")
    if cc is None or emulator is None:
        pytest.skip("there is no gcc-aarch64-linux-gnu, or no qemu-user-static")
    objects = compile_objects(tmp_path, machine="aarch64", cc=[cc])
    program = tmp_path / "fuzz_kernel"
    subprocess.run([cc, "-static", "-std=c11", "-O1", SOURCE, *objects, "-o", program], check=True)
    run_target(program, 1000, [emulator])


@pytest.mark.slow
def test_avx512(tmp_path):
    """Where the processor has none, its instructions are emulated in C."""
    if not Path("/usr/include/simde").is_dir() or platform.machine() != "x86_64":
        pytest.skip("there is no libsimde-dev")
    emulated = ["-std=gnu11", "-O1", "-w", f"-I{SOURCE.parent / 'emulated'}", '-DLM_SIMD="simd_avx512.h"']
    objects = compile_objects(tmp_path)
    level = next(path for path in objects if path.endswith("avx512.o"))
    subprocess.run(
        ["cc", *emulated, "-DLM_SCAN=lm_scan_avx512", "-c", building.FOLDER / "level.c", "-o", level], check=True
    )
    program = tmp_path / "fuzz_kernel"
    more = f"-DMORE_LEVELS={1 << native.LEVELS.index('avx512')}"
    subprocess.run(["cc", "-std=c11", "-O1", more, SOURCE, *objects, "-o", program], check=True)
    run_target(program, 1000)
