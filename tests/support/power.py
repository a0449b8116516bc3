"""Power cuts: traces what a program does to a directory, and makes the disks that a cut at any moment may leave.

What counts as durable is what POSIX promises, and no more: the content of a file that was synced, and the names of a
directory that was synced. Each change since may be lost by itself: any sector of a write, the size without the data
(zeros come in its place), a truncation, the creation, renaming or removal of a name. File systems with a journal
keep the order of the names: what they leave is among these too. A rename from one directory to another is one change,
durable with the directory that it goes to: no file system leaves half of it.
"""

import os
import re
import subprocess
from itertools import pairwise
from typing import Any, NamedTuple

SECTOR = 512

# Whatever could change a file: `Disk` refuses those it does not know.
_TRACED = (
    *("openat", "close", "lseek", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "mkdir", "mkdirat"),
    *(
        "rename",
        "renameat",
        "renameat2",
        "unlink",
        "unlinkat",
        "rmdir",
        "open",
        "creat",
        "writev",
        "pwritev",
        "pwritev2",
    ),
    *("truncate", "fallocate", "sendfile", "copy_file_range", "dup", "dup2", "dup3", "link", "linkat", "symlink"),
)

_CALL = re.compile(r"(\w+)\((.*)\) += (\d+)$")  # a call that failed is -1
_ARGUMENT = re.compile(r'"([^"]*)"|([^,\s]+)')


class Call(NamedTuple):
    """A system call; its strings are bytes, its numbers ints, and its flags text."""

    name: str
    arguments: list[Any]
    result: int


def can_trace():
    """Whether there is strace, and it may trace."""
    try:
        return not subprocess.run(["strace", "-o", os.devnull, "true"], stderr=subprocess.DEVNULL).returncode
    except OSError:
        return False


def trace(command, log, **how):
    """The system calls of a program's main thread: without -f, as lines of several threads would come in pieces."""
    traced = ",".join("?" + name for name in _TRACED)  # not every machine has all
    strace = ["strace", "-xx", "-s", "9999999", "-e", f"trace={traced}", "-o", log, *command]
    subprocess.run(strace, check=True, stdout=subprocess.DEVNULL, **how)
    calls = []
    with open(log) as lines:
        for name, arguments, result in (found.groups() for found in map(_CALL.match, lines) if found):
            calls.append(Call(name, [_value(*each.groups()) for each in _ARGUMENT.finditer(arguments)], int(result)))
    return calls


def _value(string, other):
    if string is not None:
        return bytes.fromhex(string.replace("\\x", ""))
    return int(other) if other.isdigit() else other


class Node:
    """A file or a directory: what of it is durable, and what programs see."""

    def __init__(self, content=b"", *, directory=False):
        self.directory, self.durable, self.content = directory, content, Content(content)


class Content:
    """Bytes that change."""

    def __init__(self, content):
        self._bytes, self.size = bytearray(content), len(content)

    def data(self, start, data):
        """A sector is written; it is seen if the size is, too."""
        self._bytes.extend(bytes(max(0, start + len(data) - len(self._bytes))))
        self._bytes[start : start + len(data)] = data

    def grow(self, size):
        """The size of a write arrives."""
        self.size = max(self.size, size)

    def truncate(self, size):
        """All beyond is gone."""
        del self._bytes[size:]
        self.size = size

    def __bytes__(self):
        return bytes(self._bytes[: self.size]).ljust(self.size, b"\0")


class Atom(NamedTuple):
    """What arrives wholly or not at all: a change of the content, or of the names in a directory."""

    node: Node
    change: str
    arguments: tuple[Any, ...]


class Disk:
    """A directory while programs change it.

    Attributes:
        told: What a program wrote to its standard output last.
        ignored: A path whose syncs do nothing.
    """

    def __init__(self, root, state, ignored=None):
        self._root, self.told, self.ignored = root, b"", ignored
        self._names = {"": Node(directory=True)}
        for path, content in state.items():
            self._names[path] = Node(content or b"", directory=content is None)
        self._durable_names = dict(self._names)
        self._open: dict[int, list[Any]] = {}  # descriptor -> node, position; None for the end
        self._pending: list[list[Atom]] = []  # changes that are not durable

    def apply(self, call):
        """Follow a call; returns whether a cut after it can leave another disk than before."""
        arguments = call.arguments
        paths = [os.fsdecode(each) for each in arguments if isinstance(each, bytes)]
        paths = [path[len(self._root) + 1 :] for path in paths if path.startswith(self._root + "/")]
        opened = self._open.get(arguments[0])
        match call.name:
            case "write" if arguments[0] == 1:
                self.told = arguments[1]
            case "close":
                self._open.pop(arguments[0], None)
                return False
            case "openat" if paths or os.fsdecode(arguments[1]) == self._root:
                return self._openat(*(paths or [""]), arguments[2], call.result)
            case "lseek" if opened:
                opened[1] = None if opened[1] is None else call.result
                return False
            case "write" | "pwrite64" if opened:
                self._write(opened, arguments[1][: call.result], *arguments[3:])
            case "ftruncate" if opened:
                self._change(Atom(opened[0], "truncate", (arguments[1],)))
            case "fsync" | "fdatasync" if opened:
                if opened[0] is not self._names.get(self.ignored):
                    self._sync(opened[0])
            case "mkdir" | "mkdirat" if paths:
                self._name({paths[0]: Node(directory=True)})
            case "unlink" | "unlinkat" | "rmdir" if paths:
                self._name({paths[0]: None})
            case "rename" | "renameat" | "renameat2" if paths:
                self._name({paths[1]: self._names[paths[0]], paths[0]: None})
            case _:
                assert not paths, call
                assert not opened, call
                return False
        return True

    def _openat(self, path, flags, descriptor):
        created = path not in self._names
        if created:
            self._name({path: Node()})
        node = self._names[path]
        self._open[descriptor] = [node, None if "O_APPEND" in flags else 0]
        if "O_TRUNC" in flags and node.content.size:
            self._change(Atom(node, "truncate", (0,)))
            return True
        return created

    def _write(self, opened, data, offset=None):
        node, position = opened
        start = node.content.size if position is None else position
        if offset is not None:
            start = offset
        elif position is not None:
            opened[1] += len(data)
        end = start + len(data)
        borders = [start, *range(start - start % SECTOR + SECTOR, end, SECTOR), end]
        sectors = [(low, data[low - start : high - start]) for low, high in pairwise(borders)]
        self._change(Atom(node, "grow", (end,)), *(Atom(node, "data", sector) for sector in sectors))

    def _change(self, *atoms):
        self._pending.append(list(atoms))
        for node, change, arguments in atoms:
            getattr(node.content, change)(*arguments)

    def _name(self, names):
        parent = self._names[next(iter(names)).rpartition("/")[0]]
        self._pending.append([Atom(parent, "names", (names,))])
        self._names.update(names)
        self._names = {path: node for path, node in self._names.items() if node}

    def _sync(self, node):
        for atom in self._atoms(change for change in self._pending if change[0].node is node):
            if atom.change == "names":
                self._durable_names.update(*atom.arguments)
        node.durable = bytes(node.content)
        self._pending = [change for change in self._pending if change[0].node is not node]
        if node.directory:  # what has no name any more needs no following
            named = {*self._names.values(), *self._durable_names.values()}
            self._pending = [change for change in self._pending if change[0].node in named]

    def cuts(self, random, draws, *, each=True):
        """Disks that a cut may leave now: nothing of what is pending arrived, all, with `each` all but one and only
        one; and some by chance."""
        yield self._state([])
        yield self.state()
        for one in self._pending if each else []:
            yield self._state(one)
            yield self._state(self._atoms(change for change in self._pending if change is not one))
        for _ in range(draws if self._pending else 0):
            share = random.choice((0.1, 0.5, 0.9))
            yield self._state([atom for atom in self._atoms(self._pending) if random.random() < share])

    def state(self):
        """What programs see: path -> content, None for a directory."""
        return self._state(self._atoms(self._pending))

    @staticmethod
    def _atoms(changes):
        return [atom for change in changes for atom in change]

    def _state(self, arrived):
        names, contents = dict(self._durable_names), {}
        for node, change, arguments in arrived:
            if change == "names":
                names.update(*arguments)
            else:
                content = contents.setdefault(node, Content(node.durable))
                getattr(content, change)(*arguments)
        return {
            path: None if node.directory else bytes(contents.get(node, node.durable))
            for path, node in sorted(names.items())
            if path and node and names.get(path.rpartition("/")[0])  # what is in a lost directory is lost
        }
