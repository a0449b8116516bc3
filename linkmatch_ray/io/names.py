"""The files of a result directory, and of a place at a URL, by their names."""

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
"""The file by which a result directory is known, and left out when it lies among the inputs."""
