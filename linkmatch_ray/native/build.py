"""Compiles the kernel with the system's C compiler: one shared library next to its sources.

The sources' hash is in the library, so that one built from others is never used.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
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


def sources_hash() -> str:
    """Hashes all C sources; the library names the same hash."""
    hash_ = hashlib.sha256()
    for path in sorted([*FOLDER.glob("*.c"), *FOLDER.glob("*.h")]):
        hash_.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return hash_.hexdigest()[:32]


def compiler() -> list[str]:
    """Returns the compiler's command: `CC`, or `cc`."""
    return shlex.split(os.environ.get("CC", "cc"))


def build(target: Path = LIBRARY, *, machine: str = "", cc: Sequence[str] = (), flags: Sequence[str] = ()) -> None:
    """Compiles everything and replaces the library at once: another process sees the old or the new one.

    Args:
        machine, cc, flags: As in `compile_objects`.

    Raises:
        subprocess.CalledProcessError: the compiler refuses; its messages are on standard error.
        FileNotFoundError: there is no compiler.
    """
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as folder:
        objects = compile_objects(Path(folder), machine=machine, cc=cc, flags=flags)
        objects.append(str(Path(folder, "memory.o")))
        run = [*(cc or compiler()), *FLAGS, *flags]
        memory = ("-fno-builtin", "-fno-tree-loop-distribute-patterns", "-c", str(FOLDER / "memory.c"))
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


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else LIBRARY)
