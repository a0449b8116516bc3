"""ripgrep: the lines that contain a key anywhere, as its own member or deeper. It parses nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .ways import Work


def matches(work: Work) -> Path:
    """Search for all keys at once and return the file of the lines found."""
    target = work.out / "matched.jsonl"
    command = ["rg", "--fixed-strings", "--file", str(work.patterns), "--no-filename", "--no-config", "--search-zip"]
    with target.open("wb") as output:
        found = subprocess.run([*command, "--threads", str(work.workers), str(work.source)], stdout=output, check=False)
    if found.returncode > 1:  # 1: no line was found
        found.check_returncode()
    return target
