"""The number of bytes that this process has exchanged with servers, or passed over in an archive. It distinguishes what
is slow from what is silent."""

from __future__ import annotations


class Traffic:
    """A count that only grows.

    Two threads that add at the same moment may lose one of their counts. The count still shows that bytes came.
    """

    def __init__(self) -> None:
        self.nbytes = 0

    def add(self, nbytes: int) -> None:
        """Counts bytes that were received, sent or passed over."""
        self.nbytes += nbytes


traffic = Traffic()
