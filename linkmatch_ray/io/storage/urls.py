"""URLs as the user gives them, parsed once. What follows the bucket or the host stays the bytes that were given.

A URL with a secret is refused before anything is read, written or printed: it would be in every record of the job.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from linkmatch_ray.errors import UsageError
from linkmatch_ray.words import SECRET_PARAMETERS, shown

SCHEMES: Final = ("s3", "gs", "az", "http", "https")
"""Schemes of inputs and lists, besides files."""

_SCHEME: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://")
_SIGNED: Final = re.compile(rb"(?i)[?&#](?:%s)=" % SECRET_PARAMETERS.encode())
_BUCKET: Final = re.compile(r"(?a)\$?\w[\w.-]*")  # `$web` is one of Azure's; `..` would be another in a path
_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::([0-9]{1,5}))?")


class Url(NamedTuple):
    """A URL in its parts.

    Attributes:
        scheme: In lower case.
        authority: A bucket, `ACCOUNT/CONTAINER`, or a host with its port if one was given.
        key: What follows the slash after it, byte for byte: the name of an object or a prefix, or the rest of the
            request target.
    """

    scheme: str
    authority: str
    key: bytes

    @property
    def root(self) -> str:
        """URL of the bucket or the host."""
        return f"{self.scheme}://{self.authority}"

    def name_of(self, key: bytes) -> bytes:
        """Returns the URL of another object there. It identifies an input."""
        return f"{self.root}/".encode() + key


def scheme_of(name: bytes) -> str | None:
    """Returns the scheme of a URL in lower case; None for a path."""
    found = _SCHEME.match(name)
    return found[1].decode().lower() if found else None


def is_url(name: bytes) -> bool:
    """Returns whether an input is one or several objects in a store."""
    return scheme_of(name) in SCHEMES


def parse(name: bytes) -> Url:
    """Parses a URL of one of the `SCHEMES`.

    Raises:
        UsageError: It has credentials, a signature, a query or a fragment in it, or no bucket or host. The message
            shows no part of a secret.
    """
    refuse_secrets(name)
    scheme = scheme_of(name) or ""
    rest = name[len(scheme) + len("://") :]
    return _web(scheme, rest) if scheme in ("http", "https") else _bucket(scheme, rest)


def planned(path: bytes) -> Url:
    """Parses what `Url.name_of` has made. Its key may look like anything, because it was listed."""
    scheme, _, rest = path.partition(b"://")
    names = rest.split(b"/", 2 if scheme == b"az" else 1)
    return Url(scheme.decode(), b"/".join(names[:-1]).decode(), names[-1])


def refuse_secrets(name: bytes) -> None:
    """Refuses the URL of an input, a list or a result that carries a secret.

    Raises:
        UsageError: It has a user, a password, a signature or a token in it.
    """
    scheme = scheme_of(name)
    if scheme is None or scheme == "file":
        return
    rest = name[len(scheme) + len("://") :]
    authority = re.split(rb"[/?#]", rest, maxsplit=1)[0]
    may_have_port = scheme in ("http", "https")
    host = re.sub(rb"^\[[^\]@]*\]|:[0-9]*$", b"", authority) if may_have_port else authority
    has_user = b"@" in unquote_to_bytes(authority) or b":" in host
    if has_user or _SIGNED.search(rest):
        bare = rest.rpartition(b"@")[2] if b"@" in rest or not has_user else "…".encode()
        raise UsageError(
            f"{without_query(scheme.encode() + b'://' + bare)}: has credentials or a signature, which would be in every"
            " record of the job. Give the bare URL; credentials come from the environment, a profile or the machine."
        )


def without_query(name: bytes) -> str:
    """Returns a URL fit to be shown: up to its query or fragment, which may hold a secret of any name."""
    return shown(re.split(rb"[?#]", name, maxsplit=1)[0])


def _web(scheme: str, rest: bytes) -> Url:
    authority, _, key = rest.partition(b"/")
    bare = without_query(scheme.encode() + b"://" + rest)
    if b"?" in rest:
        raise UsageError(
            f"{bare}: has a query, which may hold a secret and would be in every record of the job. Give the"
            " bare URL, or write %3F for a question mark in a name; for signed ones use the store's own scheme (s3://,"
            " gs://, az://)."
        )
    if b"#" in rest:
        raise UsageError(f"{bare}: has a fragment, which is never sent. Write %23 for a # in a name.")
    try:
        host = authority.decode("utf-8")
        host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        host = ""
    found = _HOST.fullmatch(host)
    if found is None or not 0 < int(found[1] or 1) < 1 << 16:
        raise UsageError(
            f"{bare}: {shown(authority) or 'nothing'} is not a valid host and port. Expected {scheme}://HOST[:PORT]/PATH."
        )
    return Url(scheme, host.lower(), key)


def _bucket(scheme: str, rest: bytes) -> Url:
    count = 2 if scheme == "az" else 1  # an account, and a container
    *names, key = [*rest.split(b"/", count), *[b""] * count][: count + 1]
    bucket = b"/".join(names).decode("utf-8", "replace")
    if not all(_BUCKET.fullmatch(each) for each in bucket.split("/")):
        raise UsageError(
            f"{scheme}://{shown(rest)}: no bucket. Expected {scheme}://{'ACCOUNT/' * (count - 1)}BUCKET/PATH."
        )
    return Url(scheme, bucket, key)
