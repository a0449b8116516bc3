"""What a store gives and takes of results."""

import io
from collections import Counter

import pytest

from linkmatch_ray.io.storage.store import store_of
from tests.support.hostile import CLOSE, answer, serving
from tests.support.hostile_s3 import Bucket


class Whole(Bucket):
    """Gives objects only as a whole, as a server may."""

    def get(self, key, request):
        headers = {name: value for name, value in request.headers.items() if name != "range"}
        return super().get(key, request._replace(headers=headers))


@pytest.mark.parametrize("kind", [Bucket, Whole])
def test_parts(kind, s3_at):
    """Are the bytes that were asked for, also of a store that knows no ranges."""
    with serving(kind({b"r/x": b"0123456789"})) as server:
        s3_at(server)
        store = store_of("s3://lake/r")
        assert [store.get("x", *span) for span in ((0, 10), (2, 5), (3, 3), (0, None))] == [
            b"0123456789",
            b"234",
            b"",
            b"0123456789",
        ]


@pytest.mark.parametrize("span", [(0, 20), (10, 20), (20, 30)])
def test_parts_that_are_not_there(span, s3_at):
    """As another has put something shorter there."""
    with serving(Bucket({b"r/x": b"0123456789"})) as server:
        s3_at(server)
        with pytest.raises(OSError, match="r/x is shorter than was listed"):
            store_of("s3://lake/r").get("x", *span)


class InParts(Bucket):
    """Takes objects in parts too; `fault` is given which step it is, and how often it came, and may give an answer."""

    def __init__(self, fault):
        super().__init__({})
        self.fault, self.steps, self.uploads = fault, Counter(), {}

    def __call__(self, request):
        _, _, query = request.target.partition(b"?")
        if request.method == "POST" and query == b"uploads=":
            upload = b"u%d" % self.steps["begin"]
            self.uploads[upload] = {}
            done = b"<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>" % upload
            return self.told("begin", answer(200, done))
        if b"uploadId=" not in query:
            return super().__call__(request)
        part, _, upload = query.partition(b"uploadId=")
        if upload not in self.uploads:
            return self.told("lost", answer(404, b"<Error><Code>NoSuchUpload</Code></Error>"))
        if request.method == "PUT":
            self.uploads[upload][part] = request.body
            return self.told("part", answer(200, b"", {"ETag": '"p"'}))
        parts = self.uploads.pop(upload)
        if request.method == "DELETE":
            return self.told("abort", answer(204, b"", {"Content-Length": None}))
        self.objects[b"r/x"] = b"".join(parts[part] for part in sorted(parts))
        return self.told("complete", answer(200, b"<CompleteMultipartUploadResult/>"))

    def told(self, step, good):
        self.steps[step] += 1
        return self.fault(step, self.steps[step]) or [good]


@pytest.fixture
def parts(monkeypatch):
    monkeypatch.setattr("linkmatch_ray.io.storage.s3.UPLOAD_BYTES", 1000)
    monkeypatch.setattr("linkmatch_ray.io.storage.object_store.WAIT_SECONDS", 0.001)


@pytest.mark.parametrize("step", ["begin", "part", "complete"])
@pytest.mark.usefixtures("parts")
def test_a_lost_answer(step, s3_at):
    """Of an upload in parts: the object is there in the end, and nothing of it twice."""
    bucket = InParts(lambda now, times: [CLOSE] if (now, times) == (step, 1) else None)
    with serving(bucket) as server:
        s3_at(server)
        content = bytes(range(250)) * 10
        store_of("s3://lake/r").put("x", io.BytesIO(content))
    assert bucket.objects == {b"r/x": content}


@pytest.mark.usefixtures("parts")
def test_an_upload_that_is_refused(s3_at):
    """It is said why, though it cannot be ended either; and nothing is sent again."""
    bucket = InParts(lambda now, times: {"part": [answer(403)], "abort": [CLOSE], "lost": [CLOSE]}.get(now))
    with serving(bucket) as server:
        s3_at(server)
        with pytest.raises(PermissionError):
            store_of("s3://lake/r").put("x", io.BytesIO(bytes(2500)))
    assert bucket.steps["part"] == 1
