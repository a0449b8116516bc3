"""What the collector answers: how far it has come."""

from __future__ import annotations

from typing import NamedTuple

from linkmatch_ray.core.outcome import Counts
from linkmatch_ray.io.ledger.ledger import Key


class Ends(NamedTuple):
    """Bytes in each output; 0 in one that the job does not write."""

    matched: int = 0
    unmatched: int = 0
    quarantine: int = 0


class Receipt(NamedTuple):
    """The state of the collector after a call.

    Attributes:
        durable: The first piece that is not durable.
        taken: The first piece that is not written.
        ends: Ends of the durable outputs.
        settled: Ends of the durable outputs of complete files, which are never taken back.
        counts, input_bytes: Sums over what is written.
        more: Whether pieces of an earlier job come next. Another call takes them.
    """

    durable: Key
    taken: Key
    ends: Ends
    settled: Ends
    counts: Counts
    input_bytes: int
    more: bool = False
