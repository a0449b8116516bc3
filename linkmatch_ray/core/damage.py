"""Why a piece of input is no record: the finding, and every reason that a quarantine entry may have.

The reasons are part of the contract: a code that was published keeps its meaning. `docs/quarantine.md` explains each,
and a test compares the two.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

DamageReason = Literal[
    "corrupt_gzip",
    "corrupt_zstd",
    "inflates_too_far",
    "invalid_json",
    "invalid_utf8",
    "no_records",
    "not_utf8",
    "too_deep",
    "too_long",
    "trailing_data",
    "truncated",
    "truncated_gzip",
    "truncated_zstd",
    "zstd_window",
]
"""What the bytes of an input give. The same bytes give the same reasons."""

FaultReason = Literal["changed", "timed_out", "unreadable", "worker_died"]
"""What the environment gives. Such an entry stands for a whole file."""

FAULTS: Final[tuple[str, ...]] = get_args(FaultReason)
REASONS: Final[tuple[str, ...]] = (*get_args(DamageReason), *FAULTS)


class Damage(Exception):  # noqa: N818 - it is a finding, not a failure of the program
    """A piece of input that is no record.

    Attributes:
        reason: Stable code, as in the quarantine.
        message: For people; ours, never a library's.
        offset: Bytes from the start of the piece to where it was found.
        is_local: Where the piece ends is known all the same, so that what follows it in an array is sound.
    """

    def __init__(self, reason: DamageReason, message: str, offset: int = 0, *, is_local: bool = False) -> None:
        super().__init__(reason, message, offset)
        self.reason, self.message, self.offset, self.is_local = reason, message, offset, is_local
