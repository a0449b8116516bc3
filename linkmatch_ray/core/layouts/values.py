"""Elements of an array, window by window; and the two layouts that are held whole.

Damage ends an array: the start of the next element is not known, and the rest of the file is one entry. But an element
that is too long, too deep or has strings that are not UTF-8 is an entry by itself. The next element is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from linkmatch_ray.core.damage import Damage
from linkmatch_ray.core.exact import far_white, parse, too_long
from linkmatch_ray.core.keys import KeyPath
from linkmatch_ray.core.layouts.detection import Beginning
from linkmatch_ray.core.layouts.oversize import FindEnd, is_oversize, mark_far_white, skip_oversize
from linkmatch_ray.core.structure import OPEN_BRACKET, Structure, back_over_white, find_elements, skip_white
from linkmatch_ray.core.verdicts import Judged, locate, whole_elements
from linkmatch_ray.core.window import LOW, Window, held_max
from linkmatch_ray.core.writer import Reading, Writer

NO_ARRAY: Final = Damage("invalid_json", "not an array")
WRONG_BRACKET: Final = Damage("invalid_json", "} where the array may go on with , or end with ]")
TRUNCATED: Final = Damage("truncated", "the array ends inside an element or without its ]")
TRAILING: Final = Damage("trailing_data", "something follows the array")


def looks_like_array(beginning: Beginning) -> bool:
    """Returns whether a text is an array, by its first byte."""
    return beginning.first_byte == OPEN_BRACKET


def walk_array(of: Reading) -> Iterator[None]:
    """Reads all elements of an array; yields after each window, where a part may end."""
    return _Array(of).walk()


class _Array:
    """The elements of an array that reaches to the end of the file; its `[` is in the window."""

    def __init__(self, of: Reading) -> None:
        self._window, self._writer, self._judge = of.window, of.writer, of.judge
        self._max_bytes = of.max_bytes
        self._first = True  # nothing of the array was dropped yet: it may be empty

    def walk(self) -> Iterator[None]:
        """Judges all elements; yields after each window, where a part may end."""
        window, writer = self._window, self._writer
        if window.buffer[LOW] != OPEN_BRACKET:
            writer.rest(NO_ARRAY, LOW)
            return
        window.drop(LOW + 1)
        while True:
            writer.pass_over(skip_white(window.buffer, LOW, window.end))  # before much more must be moved
            if not window.ended:
                window.fill()
            is_far_too_long = window.held > held_max(self._max_bytes) and self._is_oversize()
            consumed = LOW if is_far_too_long else self._judge_window()
            if consumed is None:
                return
            if consumed > LOW:
                self._first = False
                writer.pass_over(consumed)
                yield
            elif self._is_oversize():
                self._first = False
                if not self._skip_element():
                    return

    def _is_oversize(self) -> bool:
        return is_oversize(self._window, self._writer, self._max_bytes, _element_end())

    def _judge_window(self) -> int | None:
        """Judges the whole elements in the window; returns where they end (past the comma), or None if the file is
        finished."""
        window, buffer = self._window, self._window.buffer
        low, is_last = skip_white(buffer, LOW, window.end), window.ended and window.corrupt is None
        run = self._judge.elements(buffer, low, window.end, first=self._first, is_last=is_last)
        is_some = len(run.judged.starts) > 0
        if is_some and not self._write(run.judged):
            return None
        if run.close >= 0:
            self._close(run.close)
            return None
        if run.is_sound and not window.ended:
            return run.rest if is_some else LOW
        return self._judge_framed(run.rest, is_first=not is_some)

    def _judge_framed(self, low: int, *, is_first: bool) -> int | None:
        """Does the same from the position `low` on, by structure: there damage begins, or the end of the file.

        Args:
            is_first: No element of the window was judged.
        """
        window, buffer = self._window, self._window.buffer
        framed = find_elements(window.data, low, window.end)
        starts, ends = whole_elements(framed, first=self._first and is_first)
        mismatch = framed.close >= 0 and buffer[framed.close : framed.close + 1] != b"]"
        whole = len(starts) - mismatch  # an element is whole only where , or ] follows it
        if whole > 0:
            for judged in self._judge.framed(buffer, starts[:whole], ends[:whole]):
                if not self._write(judged):
                    return None
        if mismatch:
            start = int(starts[-1]) if len(starts) else framed.close
            self._writer.rest(WRONG_BRACKET, start)
            return None
        if framed.close >= 0:
            self._close(framed.close)
            return None
        if window.ended:
            self._writer.rest(window.corrupt or TRUNCATED, framed.rest)
            return None
        return framed.rest if len(starts) or not is_first else LOW

    def _write(self, judged: Judged) -> bool:
        mark_far_white(judged, self._window, self._max_bytes)
        return write_elements(judged, self._writer)

    def _skip_element(self) -> bool:
        """Passes over an element that is too long to be held; returns False if the file is finished."""
        window = self._window
        if not skip_oversize(window, self._writer, self._max_bytes, _element_end(), TRUNCATED, WRONG_BRACKET):
            return False
        if window.buffer[LOW : LOW + 1] == b",":
            window.drop(LOW + 1)
            return True
        self._close(LOW)
        return False

    def _close(self, close: int) -> None:
        """Reads to the end of the file. Only white space may follow the bracket that closes the array."""
        window, at = self._window, close + 1
        while True:
            rest = skip_white(window.buffer, at, window.end)
            if rest < window.end:
                self._writer.rest(TRAILING, rest)
                return
            if window.ended:
                if window.corrupt is not None:
                    self._writer.rest(window.corrupt, window.end)
                return
            self._writer.pass_over(window.end)
            window.fill()
            at = LOW


def _element_end() -> FindEnd:
    """Returns a function that finds the comma or bracket behind an element that begins in the first window."""
    structure = Structure()

    def find_end(window: Window) -> int:
        separators, close = structure.feed(window.data, LOW, window.end)
        return int(separators[0]) if len(separators) else close

    return find_end


def walk_document(of: Reading, path: KeyPath) -> None:
    """Reads an array inside the one JSON document that the file is (`--records-at`)."""
    window, writer, max_bytes = of.window, of.writer, of.max_bytes
    if not window.fill_up_to(max_bytes):
        writer.rest(_too_long(window, max_bytes), LOW)
        return
    buffer = window.buffer
    try:
        if window.corrupt is not None:
            raise window.corrupt
        parse(window.text(LOW, window.held))
        low = locate(buffer, skip_white(buffer, LOW, window.end), window.end, path)
    except Damage as damage:
        writer.rest(damage, LOW)
        return
    starts, ends = whole_elements(find_elements(window.data, low, window.end), first=True)
    if len(starts):
        for judged in of.judge.framed(buffer, starts, ends):
            write_elements(judged, writer)


def walk_object(of: Reading) -> Iterator[None]:
    """Reads a file that is one record; yields nothing."""
    yield from ()
    window, writer, max_bytes = of.window, of.writer, of.max_bytes
    if not window.fill_up_to(max_bytes):
        writer.rest(_too_long(window, max_bytes), LOW)
        return
    start = skip_white(window.buffer, LOW, window.end)
    end = back_over_white(window.buffer, start, window.end)
    if start < end:
        for judged in of.judge.framed(window.buffer, np.array([start]), np.array([end])):
            if not write_elements(judged, writer):
                return
    if window.corrupt is not None:
        writer.rest(window.corrupt, window.end)


def _too_long(window: Window, max_bytes: int) -> Damage:
    length = back_over_white(window.buffer, LOW, min(window.end, LOW + held_max(max_bytes) + 1)) - LOW
    return too_long(max_bytes) if length > max_bytes else far_white()


def write_elements(judged: Judged, writer: Writer) -> bool:
    """Writes elements up to one whose damage is not local, and the rest of the file as one entry; returns whether all
    were written."""
    for place, damage in sorted(judged.damages.items()):
        if not damage.is_local:
            before = slice(0, place)
            local = {at: each for at, each in judged.damages.items() if at < place}
            columns = (judged.starts[before], judged.ends[before], None, judged.kinds[before], judged.found[before])
            writer.elements(Judged(*columns, damages=local))
            writer.rest(damage, int(judged.starts[place]))
            return False
    writer.elements(judged)
    return True
