"""A bucket in memory behind the requests of S3 that we make: it serves exactly the key that it is asked for.

Keys are bytes; the path of a request is percent-decoded once. Every signature is checked as S3 does it, so that a
client cannot sign one key and ask for another. What a listing says can be scripted: a test sets `lie`.
"""

import hmac
import re
from collections.abc import Callable, Iterable
from hashlib import md5, sha256
from urllib.parse import quote, unquote_to_bytes
from xml.sax.saxutils import escape

from tests.support.hostile import Request, answer, part, span_of
from tests.support.objects import CREDENTIALS

DATE = "2026-01-01T00:00:00.000Z"


class Bucket:
    """The script of a server: `with serving(Bucket({b"key": b"content"})) as server`.

    Attributes:
        objects: What is in it.
        lie: Query of a listing -> the body of the answer, or the steps of one, or None for the truth.
        encodes: Does `encoding-type=url`, as S3 does. Others give keys as they are.
        page_keys: Keys on a page.
    """

    def __init__(self, objects: dict[bytes, bytes], encodes: bool = True, page_keys: int = 1000) -> None:
        self.objects = objects
        self.lie: Callable[[dict[str, bytes]], bytes | Iterable | None] = lambda query: None
        self.encodes, self.page_keys = encodes, page_keys

    def __call__(self, request: Request):
        path, _, query = request.target.partition(b"?")
        asked = {
            unquote_to_bytes(name).decode(): unquote_to_bytes(value)
            for name, _, value in (pair.partition(b"=") for pair in query.split(b"&"))
            if name
        }
        key = unquote_to_bytes(path).partition(b"/lake/")[2]
        if not is_signed(request):
            return [_refused(403, "SignatureDoesNotMatch")]
        if request.method == "GET" and not key:
            told = self.lie(asked)
            told = self._listed(asked) if told is None else told
            return [answer(200, told, {"Content-Type": "application/xml"})] if isinstance(told, bytes) else told
        if request.method == "POST" and "delete" in asked:
            keys = re.findall(rb"<Key>(.*?)</Key>", request.body, re.DOTALL)
            for each in keys:
                self.objects.pop(each, None)
            deleted = b"".join(b"<Deleted><Key>%s</Key></Deleted>" % each for each in keys)
            return [answer(200, b"<DeleteResult>%s</DeleteResult>" % deleted)]
        return [getattr(self, request.method.lower())(key, request)]

    def head(self, key: bytes, request: Request) -> bytes:
        if key not in self.objects:
            return answer(404)
        return answer(200, b"", _about(self.objects[key]) | {"Content-Length": str(len(self.objects[key]))})

    def get(self, key: bytes, request: Request) -> bytes:
        if key not in self.objects:
            return _refused(404, "NoSuchKey")
        content = self.objects[key]
        about = _about(content)
        if request.headers.get("if-match", about["ETag"]) != about["ETag"]:
            return _refused(412, "PreconditionFailed")
        span = span_of(request, len(content))
        return part(content, *span, about) if span else answer(200, content, about)

    def put(self, key: bytes, request: Request) -> bytes:
        if request.headers.get("if-none-match") == "*" and key in self.objects:
            return _refused(412, "PreconditionFailed")
        source = request.headers.get("x-amz-copy-source")
        if source is not None:
            content = self.objects[unquote_to_bytes(source.removeprefix("/")).partition(b"/")[2]]
        else:
            content = request.body
        self.objects[key] = content
        etag = _about(content)["ETag"]
        copied = f"<CopyObjectResult><ETag>{escape(etag)}</ETag><LastModified>{DATE}</LastModified></CopyObjectResult>"
        return answer(200, b"" if source is None else copied.encode(), {"ETag": etag})

    def delete(self, key: bytes, request: Request) -> bytes:
        self.objects.pop(key, None)
        return answer(204, b"", {"Content-Length": None})

    def _listed(self, asked: dict[str, bytes]) -> bytes:
        prefix, delimiter = asked.get("prefix", b""), asked.get("delimiter", b"")
        after = bytes.fromhex(asked.get("continuation-token", b"").decode())
        found = {}
        for key in sorted(self.objects):
            if key.startswith(prefix):
                folder, cut, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, b"", b"")
                found[prefix + folder + cut if cut else key] = None if cut else self.objects[key]
        left = [name for name in sorted(found) if name > after]
        names = left[: min(self.page_keys, int(asked.get("max-keys", 1000)))]
        more = len(left) > len(names)
        url = self.encodes and asked.get("encoding-type") == b"url"
        return page(
            {name: len(found[name]) for name in names if found[name] is not None},
            [name for name in names if found[name] is None],
            token=names[-1].hex() if more else None,
            url=url,
            etags={name: _about(found[name])["ETag"] for name in names if found[name] is not None},
        )


def page(keys, folders=(), token=None, url=True, etags=None, truncated=None, date=DATE) -> bytes:
    """The body of a listing: the sizes of keys, what is said to be folders, and where the next page begins."""

    def written(key: bytes) -> bytes:
        if url:  # as S3 does it: a space is a plus
            return quote(key, safe="/*-._ ").replace("~", "%7E").replace(" ", "+").encode()
        return key.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;").replace(b"\r", b"&#13;")

    truncated = token is not None if truncated is None else truncated
    parts = [
        b'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    ]
    parts += [b"<Name>lake</Name>", b"<EncodingType>url</EncodingType>" if url else b""]
    parts += [b"<IsTruncated>%s</IsTruncated>" % str(truncated).lower().encode()]
    if token is not None:
        parts += [b"<NextContinuationToken>%s</NextContinuationToken>" % token.encode()]
    for key, size in keys.items() if isinstance(keys, dict) else keys:
        etag = escape((etags or {}).get(key, '"e"')).encode()
        parts += [b"<Contents><Key>%s</Key><LastModified>%s</LastModified>" % (written(key), date.encode())]
        parts += [b"<ETag>%s</ETag><Size>%s</Size></Contents>" % (etag, str(size).encode())]
    parts += [b"<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>" % written(folder) for folder in folders]
    return b"".join(parts) + b"</ListBucketResult>"


def is_signed(request: Request) -> bool:
    """Whether the signature is that of the request as it came in (AWS Signature Version 4)."""
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=[^/]+/((\d+)/([^/]+)/s3/aws4_request), ?SignedHeaders=([^,]+), ?Signature=(\w+)",
        request.headers.get("authorization", ""),
    )
    if found is None:
        return False
    scope, day, region, signed, given = found.groups()
    path, _, query = request.target.decode("latin-1").partition("?")
    pairs = sorted(
        tuple(quote(unquote_to_bytes(word), safe="") for word in (name, value))
        for name, _, value in (pair.partition("=") for pair in query.split("&"))
        if name
    )
    payload = request.headers["x-amz-content-sha256"]
    if re.fullmatch(r"[0-9a-f]{64}", payload) and payload != sha256(request.body).hexdigest():
        return False
    canonical = "\n".join(
        [
            request.method,
            quote(unquote_to_bytes(path), safe="/"),
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{' '.join(request.headers[name].split())}" for name in signed.split(";")),
            "",
            signed,
            payload,
        ]
    )
    digest = sha256(canonical.encode()).hexdigest()
    key = b"AWS4" + CREDENTIALS["AWS_SECRET_ACCESS_KEY"].encode()
    for word in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    text = "\n".join(["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, digest])
    return hmac.digest(key, text.encode(), "sha256").hex() == given


def _about(content: bytes) -> dict[str, str]:
    return {"ETag": f'"{md5(content).hexdigest()}"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}


def _refused(status: int, code: str) -> bytes:
    return answer(status, f"<Error><Code>{code}</Code></Error>".encode())
