"""Compiles the kernel: one shared library next to its sources. `python -m linkmatch_ray.native.build` does it by hand.

The sources' hash is in the library, so that one built from others is never used. It imports nothing that must be
installed, because installing the package runs it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypeAlias

FOLDER: Final = Path(__file__).resolve().parent
PLATFORM: Final = f"{platform.system()}-{platform.machine()}".lower()

FLAGS: Final = (
    *("-std=c11", "-O3", "-g0", "-fPIC", "-fvisibility=hidden", "-fno-stack-protector", "-fno-math-errno"),
    *("-Wall", "-Wextra", "-Wshadow"),
)

Levels: TypeAlias = dict[str, tuple[str, ...]]

_X86_LEVELS: Final[Levels] = {
    "portable": (),
    "sse": ("-mssse3", "-mpopcnt"),
    "avx2": ("-mavx2", "-mbmi", "-mbmi2", "-mpopcnt", "-mpclmul"),
    "avx512": (
        *("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vbmi", "-mavx512vbmi2"),
        *("-mavx2", "-mbmi", "-mbmi2", "-mpopcnt", "-mpclmul"),
    ),
}
_ARM_LEVELS: Final[Levels] = {"portable": (), "neon": ()}
_ANY: Final[Levels] = {"portable": ()}
LEVELS: Final = {"x86_64": _X86_LEVELS, "amd64": _X86_LEVELS, "aarch64": _ARM_LEVELS, "arm64": _ARM_LEVELS}
"""By machine: the levels and the instructions that the compiler may use for each."""

ZIG_TARGETS: Final = {
    "linux-x86_64": "x86_64-linux-gnu.2.17",
    "linux-aarch64": "aarch64-linux-gnu.2.17",
    "darwin-x86_64": "x86_64-macos.11.0",
    "darwin-arm64": "aarch64-macos.11.0",
}
"""The platforms of a wheel for all. Without a target, Zig builds for the very processor that it runs on."""


def library_of(name: str, folder: Path = FOLDER) -> Path:
    """Returns where the library for a platform is; one folder can have those of several."""
    return folder / f"libkernel-{name}.so"


LIBRARY: Final = library_of(PLATFORM)


def sources_hash() -> str:
    """Hashes all C sources; the library names the same hash."""
    hash_ = hashlib.sha256()
    for path in sorted([*FOLDER.glob("*.c"), *FOLDER.glob("*.h")]):
        hash_.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return hash_.hexdigest()[:32]


def is_current(target: Path = LIBRARY) -> bool:
    """Returns whether a library is there that was built from these sources."""
    return target.exists() and sources_hash().encode() in target.read_bytes()


def system_compiler() -> list[str]:
    """Returns the command of the C compiler that `CC` names, or of `cc`; empty if it is missing or not fit."""
    command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    return command if shutil.which(command[0]) and _is_fit(*command) else []


@cache
def _is_fit(*command: str) -> bool:
    """Returns whether a compiler has the headers, and knows the instructions of the best level."""
    instructions = list(_levels(platform.machine()).values())[-1]
    check = [*command, *FLAGS, *instructions, "-fsyntax-only", "-x", "c", "-"]
    return not subprocess.run(check, input=b"#include <stdint.h>\n", capture_output=True, check=False).returncode


def compiler() -> list[str]:
    """Returns the command of the system's C compiler, else of Zig's for this platform.

    Raises:
        FileNotFoundError: There is neither.
    """
    return system_compiler() or zig()


def zig(name: str = PLATFORM) -> list[str]:
    """Returns the command of Zig's C compiler for a platform.

    Raises:
        FileNotFoundError: It is not installed.
    """
    if find_spec("ziglang") is None:
        raise FileNotFoundError(
            "the kernel: there is no C compiler that is fit. Install gcc or clang, or `pip install ziglang`, or name"
            " one in CC."
        )
    target = ZIG_TARGETS.get(name)
    return [sys.executable, "-m", "ziglang", "cc", *(["-target", target] if target else [])]


def build(folder: Path = FOLDER, *, name: str = PLATFORM, cc: Sequence[str] = ()) -> Path:
    """Compiles everything and replaces the library at once: another process sees the old or the new one.

    Args:
        folder: Where the library is made.
        name: The platform that it is for.
        cc: The compiler's command; that of `compiler` if it is empty.

    Raises:
        FileNotFoundError: There is no compiler.
        ChildProcessError: The compiler refuses; its messages are on standard error.
    """
    system, _, machine = name.partition("-")
    target = library_of(name, folder)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as building:
        run = [*(cc or compiler()), *FLAGS]
        objects = compile_objects(Path(building), machine=machine, cc=cc)
        objects.append(str(Path(building, "memory.o")))
        _run(*run, "-fno-builtin", "-c", str(FOLDER / "memory.c"), "-o", objects[-1])
        built = Path(building, target.name)
        # macOS loads only what names its libc, though nothing of it is used; and it keeps a name, else our path here.
        apple = ("-lSystem", f"-Wl,-install_name,@rpath/{target.name}") if system == "darwin" else ()
        _run(*run, "-shared", "-nostdlib", *objects, *apple, "-o", str(built))
        os.replace(built, target)
    return target


def _run(*command: str) -> None:
    """Runs a compiler, the last word of whose command is what it makes."""
    # Zig keeps what it has compiled, by default at home: a build may have no home, and nobody would clean up there.
    environment = os.environ | {"ZIG_GLOBAL_CACHE_DIR": f"{command[-1]}.cache"}
    if subprocess.run(command, check=False, env=environment).returncode:
        raise ChildProcessError("the kernel: the compiler failed. See its messages, or name another one in CC.")


def _levels(machine: str) -> Levels:
    return LEVELS.get(machine.lower(), _ANY)


def compile_objects(folder: Path, *, machine: str = "", cc: Sequence[str] = (), flags: Sequence[str] = ()) -> list[str]:
    """Compiles the entry and all levels, without what stands for libc; returns the paths of the objects.

    Args:
        machine: What it is for, as `platform.machine` says it; this one if it is empty.
        cc: The compiler's command; that of `compiler` if it is empty.
        flags: More of them, behind ours.
    """
    run = [*(cc or compiler()), *FLAGS, *flags]
    sources: dict[str, tuple[str, ...]] = {"api": ("api.c", f'-DLM_SOURCES="{sources_hash()}"')}
    for level, instructions in _levels(machine or platform.machine()).items():
        simd = (f'-DLM_SIMD="simd_{level}.h"', f"-DLM_SCAN=lm_scan_{level}")
        sources[level] = ("level.c", *simd, *instructions)
    for name, (source, *more) in sources.items():
        _run(*run, *more, "-c", str(FOLDER / source), "-o", str(folder / f"{name}.o"))
    return [str(folder / f"{name}.o") for name in sources]


if __name__ == "__main__" and not ("--if-changed" in sys.argv and is_current()):
    try:
        build()
    except OSError as error:
        sys.exit(str(error))
