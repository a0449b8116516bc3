"""Access to an Azure storage account: its endpoint, and the environment's credentials for it.

The account is always the one in the URL. Credentials of another account are neither used nor sent.

Source: "Authorize with Shared Key" and "Configure Azure Storage connection strings" in Azure's documentation.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
import hmac
import logging
import os
import re
import threading
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import quote, urlsplit

from linkmatch_ray.io.storage.endpoint import endpoint_of
from linkmatch_ray.io.storage.object_store import is_wanted
from linkmatch_ray.io.storage.transport import Unavailable

VERSION: Final = "2021-12-02"
"""Version of the REST interface. From 2021-02-12 on, a listing encodes names that XML cannot hold."""

EARLY_SECONDS: Final = 300
"""A token is renewed this long before it expires."""

_SIGNED_HEADERS: Final = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


class Access:
    """One account, with the first credentials that the environment has for it: a key, a signature, an identity.

    With `AZURE_SKIP_SIGNATURE=true`, or without `azure-identity`, there may be none.

    Raises:
        OSError: The environment's settings cannot be used.
    """

    def __init__(self, account: str) -> None:
        if not re.fullmatch("[a-z0-9]+", account):
            raise OSError(errno.EINVAL, "the name of an Azure account has only lower-case letters and digits")
        settings = _settings_of(account)
        self.endpoint = endpoint_of(settings["BlobEndpoint"])
        self._account = account
        is_public = is_wanted("AZURE_SKIP_SIGNATURE")
        self._key = b"" if is_public else _decoded(settings.get("AccountKey", ""))
        self._signature = "" if self._key or is_public else settings.get("SharedAccessSignature", "").lstrip("?")
        self._identity = None
        is_known = is_public or self._key or self._signature
        if not is_known and self.endpoint.secure:  # over http others could read the token
            self._identity = _Identity()

    def signed(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], size: int
    ) -> tuple[str, dict[str, str]]:
        """Returns the target and the headers of a signed request.

        Args:
            path: Percent-encoded, without the endpoint's prefix.
            size: Length of the body, in bytes.
        """
        everything = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": VERSION, **headers}
        if self._key:
            lengthy = everything | ({"Content-Length": str(size)} if size else {})
            text = string_to_sign(method, self._account, self.endpoint.prefix + path, query, lengthy)
            proof = base64.b64encode(hmac.digest(self._key, text.encode(), hashlib.sha256)).decode()
            everything["Authorization"] = f"SharedKey {self._account}:{proof}"
        elif self._identity and (token := self._identity.token()):
            everything["Authorization"] = f"Bearer {token}"
        parameters = [f"{name}={quote(value, safe='')}" for name, value in query.items()]
        parameters += [self._signature] if self._signature else []
        return path + ("?" + "&".join(parameters) if parameters else ""), everything

    def source(self, path: str) -> str:
        """Returns the URL of an object that the store itself reads."""
        return f"{self.endpoint.url}{path}" + (f"?{self._signature}" if self._signature else "")


def string_to_sign(method: str, account: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """Returns the part of a request that a shared key signs."""
    known = {name.lower(): value for name, value in headers.items()}
    ours = "".join(f"{name}:{known[name]}\n" for name in sorted(known) if name.startswith("x-ms-"))
    parameters = "".join(f"\n{name}:{query[name]}" for name in sorted(query))
    signed = [known.get(name, "") for name in _SIGNED_HEADERS]
    return "\n".join([method, *signed, f"{ours}/{account}{path}{parameters}"])


def _settings_of(account: str) -> dict[str, str]:
    """Returns the environment's settings of an account, as in a connection string; `BlobEndpoint` is always there."""
    text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    settings = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in text.split(";"))}
    endpoint = settings.get("BlobEndpoint", "")
    if settings.get("AccountName") == account or ("AccountName" not in settings and _has(endpoint, account)):
        protocol = settings.get("DefaultEndpointsProtocol", "https")
        suffix = settings.get("EndpointSuffix", "core.windows.net")
        return settings | {"BlobEndpoint": endpoint or f"{protocol}://{account}.blob.{suffix}"}
    endpoint = os.environ.get("AZURE_STORAGE_ENDPOINT", "")
    if not endpoint:
        endpoint = f"https://{account}.blob.core.windows.net"
    elif not _has(endpoint, account):
        endpoint = f"{endpoint.rstrip('/')}/{account}"
    settings = {"BlobEndpoint": endpoint}
    named = os.environ.get("AZURE_STORAGE_ACCOUNT") or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
    if named in (None, account):
        key = os.environ.get("AZURE_STORAGE_KEY") or os.environ.get("AZURE_STORAGE_ACCOUNT_KEY")
        settings["AccountKey"] = key or ""
        settings["SharedAccessSignature"] = os.environ.get("AZURE_STORAGE_SAS_TOKEN", "")
    return settings


def _has(endpoint: str, account: str) -> bool:
    """Returns whether an endpoint is that of one account: by its host or, for an emulator, by its path."""
    try:
        parts = urlsplit(endpoint)
        return account in ((parts.hostname or "").split(".")[0], parts.path.rstrip("/").rpartition("/")[2])
    except ValueError:
        return False


def _decoded(key: str) -> bytes:
    try:
        return base64.b64decode(key, validate=True)
    except binascii.Error:
        raise PermissionError(errno.EACCES, "the key of the Azure account is not base64") from None


class _Identity:
    """The identity of this process at Azure, as `azure-identity` finds it. Without that package it is empty."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token, self._expires = "", 0.0
        self._credential: Any = None
        logging.getLogger("azure").addHandler(logging.NullHandler())  # our own messages say what matters
        try:
            from azure.identity import DefaultAzureCredential
        except ImportError:
            return
        self._credential = DefaultAzureCredential()

    def token(self) -> str:
        """Returns a bearer token; empty without an identity."""
        with self._lock:
            if self._credential is not None and time.time() > self._expires - EARLY_SECONDS:
                self._renew()
            return self._token

    def _renew(self) -> None:
        from azure.core.exceptions import AzureError

        try:
            found = self._credential.get_token("https://storage.azure.com/.default")
        except AzureError:  # a missing identity and a silent service look the same
            raise Unavailable("no Azure identity was found (AZURE_SKIP_SIGNATURE=true reads without one)") from None
        self._token, self._expires = found.token, found.expires_on
