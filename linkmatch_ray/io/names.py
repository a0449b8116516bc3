"""The names of the files of a result directory, and of a place at a URL."""

from __future__ import annotations

from typing import Final

MATCHED: Final = "matched.jsonl"
UNMATCHED: Final = "unmatched.jsonl"
QUARANTINE: Final = "quarantine.jsonl"
RESTRICTIONS: Final = "restrictions.jsonl"
OUTPUTS: Final = (MATCHED, UNMATCHED, QUARANTINE)
LEDGER: Final = "ledger.sqlite"
SUMMARY: Final = "summary.json"

MARKER: Final = b"linkmatch.lock"
"""The file that marks a result directory. A marked directory is left out of the inputs."""
