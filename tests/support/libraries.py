"""What is in a shared library, for Linux or macOS: read here, because no machine has the tools of all systems."""

import struct
from dataclasses import dataclass, field

ELF, MACH_O = b"\x7fELF", b"\xcf\xfa\xed\xfe"
MACHINES = {(ELF, 62): "x86_64", (ELF, 183): "aarch64", (MACH_O, 0x0100_0007): "x86_64", (MACH_O, 0x0100_000C): "arm64"}
SYSTEMS = {ELF: "linux", MACH_O: "darwin"}

NAMES = ("begin", "copy_many", "hash", "hash_many", "levels", "scan", "sizes", "sources")
INTERFACE = {f"lm_{name}" for name in NAMES}
"""What the kernel exports; on macOS with an underscore before each."""


@dataclass
class Library:
    """A library's platform, and names: what it exports, what it lacks, and in which other libraries it looks."""

    platform: str
    is_signed: bool = False
    exported: set = field(default_factory=set)
    undefined: set = field(default_factory=set)
    needed: set = field(default_factory=set)


def read_library(path):
    """Reads a library of 64 bits that begins with its lowest byte, as all of ours do."""
    data = path.read_bytes()
    return (_read_elf if data.startswith(ELF) else _read_mach_o)(data)


def _library(data, machine):
    return Library(f"{SYSTEMS[data[:4]]}-{MACHINES[data[:4], machine]}")


def _text(data, at):
    return data[at : data.index(0, at)].decode()


def _read_elf(data):
    kind, machine = struct.unpack_from("<HH", data, 16)
    assert (data[4:6], kind) == (b"\2\1", 3)  # 64 bits, lowest byte first, shared
    library = _library(data, machine)
    table = struct.unpack_from("<Q", data, 40)[0]
    size, count = struct.unpack_from("<HH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, table + number * size) for number in range(count)]
    for _, kind, _, _, start, length, link, *_ in sections:
        texts = sections[link][4]
        if kind == 11:  # dynamic symbols
            for name, _, _, section in struct.iter_unpack("<IBBH16x", data[start : start + length]):
                if name:
                    (library.exported if section else library.undefined).add(_text(data, texts + name))
        elif kind == 6:  # dynamic section
            for tag, value in struct.iter_unpack("<qQ", data[start : start + length]):
                if tag == 1:
                    library.needed.add(_text(data, texts + value))
    return library


def _read_mach_o(data):
    machine, _, kind, count = struct.unpack_from("<IIII", data, 4)
    assert kind == 6  # shared
    library = _library(data, machine)
    at = 32
    for _ in range(count):
        command, size = struct.unpack_from("<II", data, at)
        if command == 0xC:
            library.needed.add(_text(data, at + struct.unpack_from("<I", data, at + 8)[0]))
        elif command == 0x1D:
            library.is_signed = True
        elif command == 2:
            symbols, number, texts, _ = struct.unpack_from("<IIII", data, at + 8)
            for name, kind, _, _, _ in struct.iter_unpack("<IBBHQ", data[symbols : symbols + 16 * number]):
                if kind & 0xF1 == 1:  # external, neither private nor for a debugger
                    (library.exported if kind & 0xE else library.undefined).add(_text(data, texts + name))
        at += size
    return library
