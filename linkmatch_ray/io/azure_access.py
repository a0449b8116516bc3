"""How an Azure storage account is reached: at which endpoint, and with which of the environment's credentials.

The account is always the one in the URL: what the environment has for another account is not used, and not sent.

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

from linkmatch_ray.io.object_store import is_wanted
from linkmatch_ray.io.transport import Unavailable, endpoint_of

VERSION: Final = "2021-12-02"
"""Of the REST interface. From 2021-02-12 on, a listing encodes the names that XML cannot hold."""

EARLY_SECONDS: Final = 300
"""A token is renewed when it has no more than this to go."""

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
        OSError: what the environment says cannot be used.
    """

    def __init__(self, account: str) -> None:
        if not re.fullmatch("[a-z0-9]+", account):
            raise OSError(errno.EINVAL, "the name of an Azure account has only small letters and digits")
        settings = _settings_of(account)
        self.endpoint = endpoint_of(settings["BlobEndpoint"])
        self._account = account
        is_public = is_wanted("AZURE_SKIP_SIGNATURE")
        self._key = b"" if is_public else _decoded(settings.get("AccountKey", ""))
        self._signature = "" if self._key or is_public else settings.get("SharedAccessSignature", "").lstrip("?")
        self._identity = None
        is_known = is_public or self._key or self._signature
        if not is_known and self.endpoint.secure:  # a token is not for all to read
            self._identity = _Identity()

    def signed(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], size: int
    ) -> tuple[str, dict[str, str]]:
        """The target and the headers of a request.

        Args:
            path: Percent-encoded, without the endpoint's prefix.
            size: Of the body, in bytes.
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
        """The URL of an object that the store itself is to read."""
        return f"{self.endpoint.url}{path}" + (f"?{self._signature}" if self._signature else "")


def string_to_sign(method: str, account: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """What a shared key signs of a request."""
    known = {name.lower(): value for name, value in headers.items()}
    ours = "".join(f"{name}:{known[name]}\n" for name in sorted(known) if name.startswith("x-ms-"))
    parameters = "".join(f"\n{name}:{query[name]}" for name in sorted(query))
    told = [known.get(name, "") for name in _SIGNED_HEADERS]
    return "\n".join([method, *told, f"{ours}/{account}{path}{parameters}"])


def _settings_of(account: str) -> dict[str, str]:
    """What the environment says of an account, in the words of a connection string; `BlobEndpoint` is always there."""
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
    """Whether an endpoint is that of one account: by its host, or by its path as an emulator's is."""
    try:
        parts = urlsplit(endpoint)
        return account in ((parts.hostname or "").split(".")[0], parts.path.rstrip("/").rpartition("/")[2])
    except ValueError:
        return False


def _decoded(key: str) -> bytes:
    try:
        return base64.b64decode(key, validate=True)
    except binascii.Error:
        raise PermissionError(errno.EACCES, "the key of the Azure account is no base64") from None


class _Identity:
    """Who this process is to Azure, as `azure-identity` finds out; nobody without that package."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token, self._expires = "", 0.0
        self._credential: Any = None
        logging.getLogger("azure").addHandler(logging.NullHandler())  # what matters is said by us
        try:
            from azure.identity import DefaultAzureCredential
        except ImportError:
            return
        self._credential = DefaultAzureCredential()

    def token(self) -> str:
        """A bearer token; empty for nobody."""
        with self._lock:
            if self._credential is not None and time.time() > self._expires - EARLY_SECONDS:
                self._renew()
            return self._token

    def _renew(self) -> None:
        from azure.core.exceptions import AzureError

        try:
            found = self._credential.get_token("https://storage.azure.com/.default")
        except AzureError:  # it does not tell an identity that there is not from a service that does not answer now
            raise Unavailable("no Azure identity was found (AZURE_SKIP_SIGNATURE=true reads without one)") from None
        self._token, self._expires = found.token, found.expires_on
