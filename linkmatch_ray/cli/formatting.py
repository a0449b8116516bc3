"""Numbers, sizes and times, as text for people."""

from __future__ import annotations

import base64
from typing import Any, Final

from linkmatch_ray.words import plural as plural  # for the other modules of the command line

RATE_SECONDS_MIN: Final = 0.5
"""Less time says nothing about speed."""


def number(count: int) -> str:
    """Returns a number with separators: 1,234,567."""
    return f"{count:,}"


def size(count: float) -> str:
    """Returns a number of bytes in decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """Returns a time in one unit: 90 seconds, 2 minutes."""
    for unit, length, most in (("second", 1, 100), ("minute", 60, 100), ("hour", 3600, 48)):
        if seconds < most * length:
            return plural(max(1, round(seconds / length)), unit)
    return plural(round(seconds / 86400), "day")


def bytes_of(row: dict[str, Any], name: str) -> bytes:
    """Returns the bytes that `core.outcome.as_text` has written as a member of `row`."""
    encoded = row.get(f"{name}_base64")
    text: str = row[name]
    return text.encode() if encoded is None else base64.b64decode(encoded)
