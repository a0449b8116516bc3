"""The exit codes of the command. Imports nothing that takes time, because the signal handlers use it first."""

from __future__ import annotations

from typing import Final

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INPUT: Final = 3
EXIT_QUARANTINED: Final = 4
EXIT_CLUSTER: Final = 5
EXIT_INTERRUPTED: Final = 130
EXIT_TERMINATED: Final = 143
