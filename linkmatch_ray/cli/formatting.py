"""Numbers, sizes and times, as text for people."""

from __future__ import annotations

import base64
from typing import Any, Final

from linkmatch_ray.words import plural as plural  # for the other modules of the command line

RATE_SECONDS_MIN: Final = 0.5
"""Less than this says nothing about speed."""


def number(count: int) -> str:
    """1234567 as 1,234,567."""
    return f"{count:,}"


def size(count: float) -> str:
    """A number of bytes for people, in decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """A time for people, in one unit."""
    for unit, length, most in (("second", 1, 100), ("minute", 60, 100), ("hour", 3600, 48)):
        if seconds < most * length:
            return plural(max(1, round(seconds / length)), unit)
    return plural(round(seconds / 86400), "day")


def bytes_of(row: dict[str, Any], name: str) -> bytes:
    """What `core.outcome.as_text` has made a member of."""
    encoded = row.get(f"{name}_base64")
    text: str = row[name]
    return text.encode() if encoded is None else base64.b64decode(encoded)
