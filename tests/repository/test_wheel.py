"""The wheel of scripts/build-wheel: what its libraries need, and a job where there is no compiler and no index."""

import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

from linkmatch_ray.native.build import PLATFORM, ZIG_TARGETS, library_of, sources_hash
from tests.conftest import REPO
from tests.support.libraries import INTERFACE, read_library

pytestmark = pytest.mark.slow

SAMPLE = REPO / "tests/sample/cve"
ZIGS_OWN = {"___dso_handle", "__mh_dylib_header"}
"""What its linker adds to a library for macOS."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, command_environment):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, REPO / "scripts/build-wheel", folder]
    done = subprocess.run(command, env=command_environment, capture_output=True, text=True, check=False, timeout=600)
    if "No matching distribution found" in done.stderr:
        pytest.skip("there is no package index from which pip gets hatchling and ziglang")
    assert done.returncode == 0, done.stderr
    (path,) = folder.iterdir()
    return path


def test_its_libraries(wheel, tmp_path):
    """One for each platform, of these sources. It exports our interface, and needs no libc: on macOS it names it."""
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path)
    folder = tmp_path / "linkmatch_ray/native"
    paths = {library_of(name, folder): name for name in ZIG_TARGETS}
    assert set(folder.glob("*.so")) == set(paths)
    for path, name in paths.items():
        library = read_library(path)
        assert library.platform == name
        assert sources_hash().encode() in path.read_bytes()
        if name.startswith("linux"):
            assert (library.exported, library.undefined, library.needed) == (INTERFACE, set(), set())
        else:
            assert library.exported - ZIGS_OWN == {f"_{each}" for each in INTERFACE}
            assert library.undefined == {"dyld_stub_binder"}  # the loader's, not called
            assert library.needed == {"/usr/lib/libSystem.B.dylib"}
            assert library.is_signed or name == "darwin-x86_64"  # Apple's own processors run nothing unsigned


def test_a_job_with_it(wheel, tmp_path, command_environment):
    """It is installed as it is into an empty environment, whose program matches the sample."""
    home, empty = tmp_path / "venv", tmp_path / "empty"
    empty.mkdir()
    venv.create(home, symlinks=True)
    (folder,) = home.glob("lib/python*/site-packages")
    bare = {name: value for name, value in command_environment.items() if name not in ("PYTHONPATH", "CC")}
    bare["PATH"] = str(empty)

    def run(*command):
        done = subprocess.run(command, env=bare, cwd=empty, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, "-m", "pip", "--python", home, "install", "-q", "--no-index", "--no-deps", wheel)
    before = {path: path.read_bytes() for path in folder.glob("linkmatch_ray/native/*.so")}
    assert len(before) == len(ZIG_TARGETS)
    # What it depends on is this environment's; its own .pth files, with which we are here, are not read there.
    (folder / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    which = "import linkmatch_ray.native.library as native; native.load(); print(native.LIBRARY)"
    assert run(home / "bin/python", "-c", which) == f"{library_of(PLATFORM, folder / 'linkmatch_ray/native')}\n"
    inputs = [SAMPLE / "links", "-r", SAMPLE / "restrictions.json", "-k", "cveID"]
    said = run(home / "bin/linkmatch-ray", "submit", *inputs, "-o", tmp_path / "out")
    assert said.startswith("62 of 778 records matched")
    assert {path: path.read_bytes() for path in before} == before
