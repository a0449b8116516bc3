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
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypeAlias

FOLDER: Final = Path(__file__).resolve().parent
LIBRARY: Final = FOLDER / "libkernel.so"

FLAGS: Final = (
    *("-std=c11", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-stack-protector", "-fno-math-errno"),
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

_ZIG_TARGETS: Final = {
    ("Linux", "x86_64"): "x86_64-linux-gnu.2.17",
    ("Linux", "aarch64"): "aarch64-linux-gnu.2.17",
}
"""Without a target, Zig builds for the very processor that it runs on."""


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
    """Returns the command of the C compiler that `CC` names, or of `cc`; empty if it is missing."""
    command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    return command if shutil.which(command[0]) else []


def compiler() -> list[str]:
    """Returns the command of the system's C compiler, else of Zig's.

    Raises:
        FileNotFoundError: There is neither.
    """
    if command := system_compiler():
        return command
    if find_spec("ziglang") is None:
        raise FileNotFoundError("No C compiler. Install gcc or clang, or `pip install ziglang`, or name one in CC.")
    command = [sys.executable, "-m", "ziglang", "cc"]
    target = _ZIG_TARGETS.get((platform.system(), platform.machine()))
    return [*command, "-target", target] if target else command


def build(target: Path = LIBRARY, *, machine: str = "", cc: Sequence[str] = (), flags: Sequence[str] = ()) -> None:
    """Compiles everything and replaces the library at once: another process sees the old or the new one.

    Args:
        machine, cc, flags: As in `compile_objects`.

    Raises:
        subprocess.CalledProcessError: The compiler refuses; its messages are on standard error.
        FileNotFoundError: There is no compiler.
    """
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as folder:
        cc = cc or compiler()
        objects = compile_objects(Path(folder), machine=machine, cc=cc, flags=flags)
        objects.append(str(Path(folder, "memory.o")))
        run = [*cc, *FLAGS, *flags]
        memory = ("-fno-builtin", "-c", str(FOLDER / "memory.c"))
        subprocess.run([*run, *memory, "-o", objects[-1]], check=True)
        built = Path(folder, target.name)
        subprocess.run([*run, "-shared", "-nostdlib", *objects, "-o", str(built)], check=True)
        os.replace(built, target)


def compile_objects(folder: Path, *, machine: str = "", cc: Sequence[str] = (), flags: Sequence[str] = ()) -> list[str]:
    """Compiles the entry and all levels, without what stands for libc; returns the paths of the objects.

    Args:
        machine: What it is for, as `platform.machine` says it; this one if it is empty.
        cc: The compiler's command; that of `compiler` if it is empty.
        flags: More of them, behind ours.
    """
    run = [*(cc or compiler()), *FLAGS, *flags]
    of_machine = LEVELS.get((machine or platform.machine()).lower(), _ANY)
    sources: dict[str, tuple[str, ...]] = {"api": ("api.c", f'-DLM_SOURCES="{sources_hash()}"')}
    for level, instructions in of_machine.items():
        simd = (f'-DLM_SIMD="simd_{level}.h"', f"-DLM_SCAN=lm_scan_{level}")
        sources[level] = ("level.c", *simd, *instructions)
    for name, (source, *more) in sources.items():
        subprocess.run([*run, *more, "-c", str(FOLDER / source), "-o", str(folder / f"{name}.o")], check=True)
    return [str(folder / f"{name}.o") for name in sources]


if __name__ == "__main__" and not ("--if-changed" in sys.argv and is_current()):
    build()
