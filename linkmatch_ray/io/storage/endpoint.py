"""Where requests go: the root of a server, and the names below it as a request has them."""

from __future__ import annotations

import errno
import re
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from linkmatch_ray.words import shown

_HOST: Final = re.compile(r"[\w.:%-]+")


class Endpoint(NamedTuple):
    """Where requests go. `prefix` comes before every target and is usually empty."""

    secure: bool
    host: str
    port: int
    prefix: str = ""

    @property
    def authority(self) -> str:
        """Host and port, as in the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL of its root, without a slash at its end."""
        return f"http{'s' if self.secure else ''}://{self.authority}{self.prefix}"


def endpoint_of(url: str) -> Endpoint:
    """Returns the endpoint that a URL names.

    Raises:
        OSError: The URL names no host.
    """
    try:
        parts = urlsplit(url)
        port, host = parts.port, (parts.hostname or "").encode("idna").decode()
    except ValueError:
        port, host = None, ""
    if not _HOST.fullmatch(host) or parts.scheme not in ("http", "https"):
        raise OSError(errno.EINVAL, f"the endpoint {shown(url)} is no http:// or https:// URL")
    secure = parts.scheme == "https"
    return Endpoint(secure, host, port or (443 if secure else 80), parts.path.rstrip("/"))


def in_target(name: bytes, keep: str = "") -> str:
    """Returns a name for a request target: everything except letters, digits, `-_.~/` and `keep` percent-encoded."""
    return quote(name, safe="/~" + keep)
