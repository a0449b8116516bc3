"""The packages that linkmatch-ray needs where it runs. It is sent to a cluster without them."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from typing import Final

REQUIRED: Final = (
    "botocore>=1.36",
    "certifi>=2024.7.4",
    "google-auth>=2.40",
    "isal>=1.7",
    "lz4>=4.4",
    "msgspec>=0.20",
    "numpy>=2.1",
    "orjson>=3.10",
    "ray[default]>=2.60,<2.61",
    "requests>=2.32",
    "rich>=13.9",
    "typer>=0.19",
    "xxhash>=3.5",
    "zstandard>=0.23",
)
"""The dependencies in pyproject.toml. The name of each is that of its module, with a hyphen for a dot."""


def missing() -> list[str]:
    """Returns the packages that this Python lacks. Imports only the empty parent of `google.auth`."""
    return [each for each in REQUIRED if not _is_there(re.split(r"[^\w-]", each)[0].replace("-", "."))]


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is missing too
        return False


def how_to_install(packages: list[str]) -> str:
    """Returns the command that installs packages."""
    return shlex.join(["pip", "install", *packages])
