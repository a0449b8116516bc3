"""How far a job is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from linkmatch_ray.core.outcome import Counts
from linkmatch_ray.runtime.jobs.receipt import Receipt


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is, as sums over what is written.

    Attributes:
        files, files_done: Files in the plan, and how many of them are durable as a whole.
        bytes_total, bytes_done: Input as stored, and as read (decompressed).
        ends: Durable bytes of each output, by name.
        settled: As `ends`, but of complete files only. These bytes are never taken back.
        needs_memory: Most bytes of memory that a task asks of Ray, for a file that needs them at once.
        doing: What the job does before it matches; empty from then on.
    """

    files: int = 0
    files_done: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    counts: Counts = field(default_factory=Counts)
    ends: dict[str, int] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)
    doing: str = ""
    needs_memory: int = 0

    def needing(self, nbytes: int) -> Progress:
        """Returns the progress of the same job after a task has asked for memory."""
        return replace(self, needs_memory=max(self.needs_memory, nbytes))

    def at(self, receipt: Receipt) -> Progress:
        """Returns the progress of the same job after a receipt of its collector."""
        return replace(
            self,
            files_done=receipt.durable.file,
            bytes_done=receipt.input_bytes,
            counts=receipt.counts,
            ends=receipt.ends._asdict(),
            settled=receipt.settled._asdict(),
        )
