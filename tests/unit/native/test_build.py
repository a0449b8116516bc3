"""The library is built, found, and refused where it is another's; the fuzz target runs under the sanitizers."""

import shutil
import subprocess

import pytest

from linkmatch_ray.native import build as building
from linkmatch_ray.native import library as native
from linkmatch_ray.native.build import LIBRARY, compile_objects, sources_hash
from tests.conftest import REPO
from tests.support.kernel import levels

levels()  # builds the library


def test_it_names_its_sources(tmp_path, monkeypatch):
    """One that was built from others is refused, and says what to do."""
    assert native.load().lm_sources().decode() == sources_hash()
    for path in building.FOLDER.glob("*.[ch]"):
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(building, "FOLDER", tmp_path)
    assert sources_hash() in LIBRARY.read_bytes().decode("latin-1")
    with (tmp_path / "walk.c").open("a") as file:
        file.write("\n")
    with pytest.raises(ImportError, match=r"built from other sources\. Run `python -m linkmatch_ray\.native\.build`"):
        native.load()
    with pytest.raises(ImportError, match="not there"):
        native.load(tmp_path / "none.so")


def test_it_needs_nothing():
    """No libc, and nothing is exported but its interface."""
    symbols = subprocess.run(["nm", "-D", LIBRARY], capture_output=True, text=True, check=True).stdout.split()
    names = {symbol for symbol in symbols if len(symbol) > 1 and not symbol.startswith("0000")}
    assert names == {f"lm_{name}" for name in ("begin", "hash", "hash_many", "levels", "scan", "sizes", "sources")}


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
    with pytest.raises(ImportError, match=r"LINKMATCH_SIMD=mmx: not a level of this processor\. Name one of portable"):
        native.chosen_level(library)


@pytest.mark.slow
def test_the_fuzz_target_under_sanitizers(tmp_path):
    """JSONTestSuite, and some inputs of its own, without a byte read or written that is not the kernel's."""
    flags = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    objects = compile_objects(tmp_path, flags=flags)
    program = tmp_path / "fuzz_kernel"
    source = REPO / "tests/native/fuzz_kernel.c"
    subprocess.run(["cc", "-std=c11", "-Wall", "-Werror", *flags, source, *objects, "-o", program], check=True)
    suite = sorted((REPO / "tests/json_test_suite/test_parsing").iterdir())
    subprocess.run([program, "-p", *suite], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([program, "-n", "2000", "-s", "1", *suite], check=True, stdout=subprocess.DEVNULL)
