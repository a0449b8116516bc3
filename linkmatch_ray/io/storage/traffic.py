"""How many bytes this process has exchanged with servers: by that a slow one is told from one that is silent."""

from __future__ import annotations


class Traffic:
    """A count that only grows.

    Two threads that add at the same moment may lose one of their counts. It is still seen that something came.
    """

    def __init__(self) -> None:
        self.nbytes = 0

    def add(self, nbytes: int) -> None:
        """So many bytes have come, or gone."""
        self.nbytes += nbytes


traffic = Traffic()
