"""The paths of a key as the tree that the kernel walks: one node for each prefix, so that one at most is open."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from linkmatch_ray.native.library import DEPTH_MAX, NONE, SLOTS_MAX, Node
from linkmatch_ray.native.steps import STAR, Name, Step

BY_NAME, BY_INDEX, BY_STAR, BINDS, ABOVE_STAR = 1, 2, 4, 8, 16


@dataclass(slots=True)
class _Node:
    step: Step = None
    parent: int = 0
    children: list[int] = field(default_factory=list)
    slot: int = NONE
    slots: int = 0
    flags: int = 0


class PathTree:
    """The nodes and names of some paths, one part of the key each.

    Attributes:
        nodes, names: As the kernel takes them.
        count: Parts of the key.
        has_star: A record may have several keys.

    Raises:
        ValueError: the paths cannot be told apart as they are read: see the messages.
    """

    def __init__(self, paths: Sequence[Sequence[Step]]) -> None:
        if len(paths) > SLOTS_MAX:
            raise ValueError(f"more than {SLOTS_MAX} paths")
        if len(set(map(tuple, paths))) < len(paths):
            raise ValueError("a path occurs twice")
        self._tree = [_Node()]
        self.count = len(paths)
        for slot, path in enumerate(paths):
            self._add(slot, path[: DEPTH_MAX + 1])  # what lies deeper cannot be reached
        stars = {tuple(path[: _last_star(path) + 1]) for path in paths}
        if len(stars) > 1:
            raise ValueError("paths with [*] must share all steps up to it")
        self.has_star = bool(stars and stars.pop())
        if self.has_star:
            self._mark(paths[0][: _last_star(paths[0]) + 1])
        self._refuse_two_for_one()
        self.names, self.nodes = self._packed()

    def _add(self, slot: int, path: Sequence[Step]) -> None:
        at = 0
        self._tree[at].slots |= 1 << slot
        for step in path:
            known = [child for child in self._tree[at].children if _same(self._tree[child].step, step)]
            if not known:
                self._tree.append(_Node(step, at))
                known = [len(self._tree) - 1]
                self._tree[at].children += known
            at = known[0]
            self._tree[at].slots |= 1 << slot
        self._tree[at].slot = slot

    def _mark(self, prefix: Sequence[Step]) -> None:
        at = 0
        for _ in prefix[: DEPTH_MAX + 1]:
            at = self._tree[at].children[0]
            self._tree[at].flags |= ABOVE_STAR
        self._tree[at].flags |= BINDS

    def _refuse_two_for_one(self) -> None:
        """Refuses a tree where one member or element is on two branches."""
        for node in self._tree:
            steps = [self._tree[child].step for child in node.children]
            names = [step for step in steps if isinstance(step, str)]
            indexes = [index for step in steps if (index := _index(step)) is not None]
            if len(set(map(str, names))) < len(names) or len(set(indexes)) < len(indexes) or STAR in steps[1:]:
                raise ValueError("two paths take one step in two ways")

    def _packed(self) -> tuple[bytes, ctypes.Array[Node]]:
        names = bytearray()
        nodes = (Node * len(self._tree))()
        for number, node in enumerate(self._tree):
            packed = nodes[number]
            packed.slots, packed.slot, packed.parent = node.slots, node.slot, node.parent
            packed.token, packed.head = node.flags, 1
            if isinstance(node.step, str):
                text = node.step.encode()
                packed.token |= BY_NAME
                packed.name, packed.size = len(names), len(text)
                packed.head, packed.mask = _head_and_mask(text)
                names += text
            index = _index(node.step)
            if index is not None and index < NONE:
                packed.token |= BY_INDEX
                packed.index = index
            if node.step is STAR:
                packed.token |= BY_STAR
            if node.children:
                packed.first = node.children[0]
            for child, following in pairwise(node.children):
                nodes[child].next = following
        return bytes(names), nodes


def _head_and_mask(name: bytes) -> tuple[int, int]:
    """Returns the first eight bytes of a name in quotes, or all if it has fewer, and all ones for each of them."""
    head = b'"%b"' % name
    return int.from_bytes(head[:8], "little"), (1 << 8 * min(len(head), 8)) - 1


def _last_star(path: Sequence[Step]) -> int:
    return max((place for place, step in enumerate(path) if step is STAR), default=-1)


def _same(one: Step, other: Step) -> bool:
    return type(one) is type(other) and one == other


def _index(step: Step) -> int | None:
    """Finds the index that a step stands for in an array, if any."""
    if isinstance(step, int):
        return step
    if isinstance(step, str) and not isinstance(step, Name) and step.isascii() and step.isdigit():
        return int(step) if step == "0" or (step[0] != "0" and len(step) <= 10) else None
    return None
