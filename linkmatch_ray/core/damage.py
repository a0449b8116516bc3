"""Why some input is not a record: the finding, and every reason that a quarantine entry may have.

The reasons are part of the contract: a published code keeps its meaning. `docs/quarantine.md` explains each, and a test
compares the two.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

DamageReason = Literal[
    "corrupt_bz2",
    "corrupt_gzip",
    "corrupt_lz4",
    "corrupt_tar",
    "corrupt_xz",
    "corrupt_zip",
    "corrupt_zstd",
    "encrypted",
    "inflates_too_far",
    "invalid_json",
    "invalid_utf8",
    "no_records",
    "not_a_file",
    "not_array",
    "not_utf8",
    "overlapping",
    "too_deep",
    "too_long",
    "trailing_data",
    "truncated",
    "truncated_bz2",
    "truncated_gzip",
    "truncated_lz4",
    "truncated_tar",
    "truncated_xz",
    "truncated_zip",
    "truncated_zstd",
    "unsupported_member",
    "zstd_window",
]
"""Reasons in the bytes of an input. The same bytes give the same reasons."""

FaultReason = Literal["changed", "timed_out", "unreadable", "worker_died"]
"""Reasons in the environment. Such an entry stands for a whole file."""

FAULTS: Final[tuple[str, ...]] = get_args(FaultReason)


class Damage(Exception):  # noqa: N818 - a finding, not a failure of the program
    """Input that is not a record.

    Attributes:
        reason: Stable code, as in the quarantine.
        message: Text for people; ours, never a library's.
        offset: Where the damage was found, in bytes from the start of the input in question.
    """

    def __init__(self, reason: DamageReason, message: str, offset: int = 0) -> None:
        super().__init__(reason, message, offset)
        self.reason, self.message, self.offset = reason, message, offset


class Behind(Damage):
    """Other bytes behind the sound end of compressed data. The data is whole."""


class Corrupt(Exception):  # noqa: N818 - a finding too, but not of one place in the input
    """Compressed data of which nothing is certain, because a checksum or a code is wrong. None of its records may come
    out.

    Attributes:
        damage: What was found.
        nbytes: Bytes of the data, as stored.
    """

    def __init__(self, damage: Damage, nbytes: int) -> None:
        super().__init__(damage, nbytes)
        self.damage, self.nbytes = damage, nbytes


class NeedsMemory(Exception):  # noqa: N818 - a request, not a failure of the program
    """A request for memory that the reading of an input was not given.

    Attributes:
        nbytes: Bytes that it needs at once.
        file: Number of the file in the plan.
    """

    def __init__(self, nbytes: int, file: int = 0) -> None:
        super().__init__(nbytes, file)
        self.nbytes, self.file = nbytes, file
