"""Decompression of members of one kind, one after another.

Of data that is cut short comes out what the format's reference library gives. Of corrupt data nothing may come out. If
it is to be salvaged, it counts as cut short where it is damaged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from linkmatch_ray.core.compressions import (
    COMPRESSIONS,
    HEADER_BYTES_MAX,
    MEMORY_BYTES_FREE,
    WINDOW_BYTES_MAX,
    Compression,
)
from linkmatch_ray.core.damage import Behind, Corrupt, Damage, NeedsMemory
from linkmatch_ray.core.raw import Raw, read_wholly

BEGINNING_BYTES: Final = 512
"""The first bytes of a member that the decoder gets. A decoder copies what it does not use, and one read of the input
may hold many short members."""

READ_PIECES: Final = 16
"""Pieces for a decoder that are read at once."""

OUTPUT_BYTES: Final = 1 << 16
"""Members are decompressed one after another until they have given this many bytes."""


class Inflating:
    """A source of decompressed content.

    Args:
        head: Bytes that were read from `raw` already.
        size: Bytes in `raw`.
        limit: Maximum length of the content; None for no limit.
        salvage: Whether corrupt data is read up to its damage.
        memory: Bytes that may be held at once for a wide window of zstd data; None for no limit.

    Raises (from `readinto`):
        Damage: After all content that came before: why there is no more. `Behind` if other bytes follow.
        Corrupt: Nothing of it is certain.
        NeedsMemory: It needs more than it may have.
    """

    def __init__(
        self,
        raw: Raw,
        head: bytes,
        compression: Compression,
        *,
        size: int = 0,
        limit: int | None = None,
        salvage: bool = False,
        memory: int | None = None,
    ) -> None:
        self._raw, self._head, self._nbytes = raw, head, size
        self._limit, self._salvages, self._memory = limit, salvage, memory
        self._is(compression)
        self._input, self._at = b"", 0  # what was read last, and how much of it was used
        self._read = 0  # bytes read in all
        self._skipped = 0  # bytes to pass over before the next member
        self._decoder: Any = None
        self._members = 0
        self._start = self._end = 0  # where in the file the last member begins, and ends if it has ended
        self._header = 0  # length of the next member's header, if it is known
        self._needs = 0  # bytes that the member holds at once, if they are many
        self._given = 0  # bytes that the member has given
        self._size = 0
        self._pending = memoryview(b"")
        self._damage: Damage | None = None
        self._last = b""  # content that comes out before the damage is raised

    def _is(self, compression: Compression) -> None:
        self._how, self._new_decoder = compression, compression.decoders()

    @property
    def compression(self) -> str:
        """How the data is compressed."""
        return self._how.name

    def readinto(self, view: memoryview) -> int:
        filled = 0
        while filled < len(view):
            if not len(self._pending) and self._damage is None:
                self._pending = memoryview(self._limited(self._more()))
            if not len(self._pending):
                if self._damage is not None and not filled:
                    raise self._damage
                break
            count = min(len(view) - filled, len(self._pending))
            view[filled : filled + count] = self._pending[:count]
            self._pending = self._pending[count:]
            filled += count
        return filled

    def _limited(self, more: bytes) -> bytes:
        self._size += len(more)
        if self._limit is None or self._size <= self._limit:
            return more
        self._damage = Damage(
            "inflates_too_far",
            f"compressed data that is longer than {self._limit} bytes; --max-inflation allows more",
        )
        return more[: len(more) - (self._size - self._limit)]

    def _more(self) -> bytes:
        """Returns the next bytes; none at the end, or if `_damage` says why there are no more."""
        contents, size = [], 0
        while size < OUTPUT_BYTES and self._is_ready():
            if more := self._decompress():
                contents.append(more)
                size += len(more)
        if self._damage is not None:
            contents.append(self._last)
        return b"".join(contents)  # no copy of only one

    def _is_ready(self) -> bool:
        """Reads on until there is input for a decoder; returns False at the end, or if `_damage` says why not."""
        if self._damage is not None:
            return False
        if self._decoder is None:
            return self._begin_member()
        if self._at < len(self._input) or self._how.is_full(self._decoder) or self._read_on():
            return True
        self._cut_short()
        return False

    def _read_on(self) -> bool:
        """Reads the next piece of the input behind what is not used; returns whether there was one."""
        more = self._read_wholly(READ_PIECES * self._how.input_bytes)
        self._read += len(more)
        self._input, self._at = self._input[self._at :] + more, 0
        return bool(more)

    @property
    def _place(self) -> int:
        """Where in the file the unused input begins."""
        return self._read - len(self._input) + self._at

    # Members

    def _begin_member(self) -> bool:
        """Reads on until a member begins; returns False at the end, or if `_damage` says why none begins."""
        while not self._is_decided():
            if not self._read_on():
                self._finish()
                return False
        if not self._how.begins(self._input, self._at) or self._is_misplaced:
            self._other_bytes()
            return False
        self._members, self._start, self._given, self._needs = self._members + 1, self._place, 0, 0
        if self._header and not self._is_sound(self._input[self._at : self._at + self._header]):
            return False
        self._decoder = self._new_decoder()
        return True

    def _is_decided(self) -> bool:
        """Passes over what may be between members; returns whether the input is enough to begin one, or is not one."""
        step = min(self._skipped, len(self._input) - self._at)
        self._at, self._skipped = self._at + step, self._skipped - step
        if not self._skipped:
            self._at, self._skipped = self._how.skip(self._input, self._at)
        left = len(self._input) - self._at
        if left < self._how.magic_bytes:
            return False
        if not self._members:  # what began with a skippable frame may be zstd or lz4
            self._is(next((row for row in COMPRESSIONS if row.begins(self._input, self._at)), self._how))
        begins = self._how.begins(self._input, self._at)
        self._header = self._how.header_bytes(self._input, self._at) if begins else 0
        return not begins or self._header > 0 or left >= HEADER_BYTES_MAX

    def _is_sound(self, header: bytes) -> bool:
        """Returns whether the member with this header can be decoded. If not, `_damage` says why."""
        lacks = ""
        try:
            is_sound, self._needs = self._how.is_sound(header), self._how.memory(header)
            lacks = self._how.lacks(header)
        except self._how.errors:
            is_sound = False
        if not is_sound or lacks:
            self._corrupt(lacks)
        elif self._needs > WINDOW_BYTES_MAX:
            self._too_wide()
        return self._damage is None

    @property
    def _is_misplaced(self) -> bool:
        return (self._place - self._end) % self._how.padding != 0

    def _finish(self) -> None:
        """Finds what is wrong at the end of the file, where no member begins."""
        left, how = self._input[self._at :], self._how
        if self._skipped or how.begins(left) or how.begins_partly(left):
            self._cut_short()
        elif left or self._is_misplaced:
            self._other_bytes()

    # Decoding

    def _decompress(self) -> bytes:
        """Decompresses a piece of the input; at the beginning of a member only its first bytes, as it may be short."""
        how = self._how
        most = max(BEGINNING_BYTES, self._header) if self._place == self._start else how.input_bytes
        size = min(len(self._input) - self._at, most)
        if how.is_full(self._decoder):
            size = 0
        try:
            out = how.feed(self._decoder, memoryview(self._input)[self._at : self._at + size])
        except how.errors as error:
            if "memory" in str(error):  # zstandard says no more
                self._too_wide()
            else:
                self._corrupt()
            return b""
        self._at += size
        self._given += len(out)
        if self._decoder.eof:
            self._at -= len(self._decoder.unused_data or b"")
            self._decoder, self._end = None, self._place
        elif self._memory is not None and self._needs > self._memory and self._given > MEMORY_BYTES_FREE:
            raise NeedsMemory(self._needs)  # until now no more was held, however wide the window is
        return out

    # Damage

    def _other_bytes(self) -> None:
        found = f"something that is no {self._how.name} follows the compressed data"
        self._damage = Behind("trailing_data", f"{found}, at byte {self._place:,} of the file")

    def _too_wide(self) -> None:
        found = f"zstd data with a window of {self._needs:,} bytes, which is more than can be held"
        self._damage = Damage("zstd_window", found)

    def _cut_short(self) -> None:
        """Notes that the data is cut short. What a decoder held back comes out before."""
        how = self._how
        self._damage = Damage(how.truncated, "the compressed data ends too early")
        if self._decoder is not None and how.reference is not None:
            try:
                self._last = self._read_again(None)
            except how.errors:
                self._corrupt()

    def _corrupt(self, lacks: str = "") -> None:
        """Notes that the data is damaged, or lacks something, and salvages what comes before the damage."""
        how = self._how
        wrong = f"{how.name} data that needs {lacks}" if lacks else f"damaged {how.name} data"
        found = f"{wrong}: {how.member} {self._members:,}, from byte {self._start:,} of the file on"
        if not self._salvages:
            action = "decompress it yourself" if lacks else "--salvage brings out what comes before the damage"
            raise Corrupt(Damage(how.corrupt, f"{found}; {action}"), self._nbytes)
        self._damage = Damage(how.corrupt, found)
        if self._decoder is not None:
            self._last = self._read_again(self._sound_bytes())

    def _sound_bytes(self) -> int:
        """Returns where in the member the piece begins in which decoding fails."""
        decoder, sound = self._new_reference(), 0
        with suppress(*self._how.errors):
            for piece in self._pieces():
                for _ in self._outputs(decoder, piece):
                    pass
                sound += len(piece)
        return sound

    def _read_again(self, sound: int | None) -> bytes:
        """Returns the content of the member that was not given yet.

        Args:
            sound: Where the member is damaged: from here on it is decoded byte by byte, until that fails.
        """
        decoder, saved, given = self._new_reference(), bytearray(), self._given
        done = 0
        with suppress(*self._how.errors if sound is not None else ()):
            for piece in self._pieces():
                step = 1 if sound is not None and done >= sound else len(piece)
                for start in range(0, len(piece), step):
                    for out in self._outputs(decoder, piece[start : start + step]):
                        saved += out[given:]
                        given -= min(given, len(out))
                done += len(piece)
        return bytes(saved)

    def _new_reference(self) -> Any:
        return (self._how.reference or self._new_decoder)()

    def _outputs(self, decoder: Any, data: bytes) -> Iterator[bytes]:
        """Yields what a decoder gives of some data; nothing behind the end of the member."""
        if decoder.eof:
            return
        yield self._how.feed(decoder, data)
        while not decoder.eof and self._how.is_full(decoder):
            yield self._how.feed(decoder, b"")

    def _pieces(self) -> Iterator[bytes]:
        """Yields the member, and what follows it, in pieces of one length."""
        self._raw.seek(self._start)
        self._head = b""
        while piece := self._read_wholly(self._how.input_bytes):
            yield piece

    def _read_wholly(self, size: int) -> bytes:
        """Returns the next bytes. Pieces have one length, because what is salvaged must not depend on how reads come
        in."""
        head, self._head = self._head, b""
        return head + read_wholly(self._raw, size - len(head))
