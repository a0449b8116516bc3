"""Stores are made once a process, and know who asks."""

from collections import Counter
from threading import Lock

import pytest

from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.object_reader import SmallObjects
from linkmatch_ray.io.storage import s3
from linkmatch_ray.io.storage.stores import store_at
from tests.support.hostile import answer, serving
from tests.support.hostile_s3 import Bucket
from tests.support.objects import CREDENTIALS

ROLE = (
    b'{"Code":"Success","AccessKeyId":"an-id","SecretAccessKey":"a-secret","Token":"a-token",'
    b'"Expiration":"2100-01-01T00:00:00Z"}'
)
OBJECTS = {b"p/%d.jsonl" % number: b"%09d\n" % number for number in range(64)}


@pytest.fixture
def machine(monkeypatch, s3_at, tmp_path):
    """One of Amazon's, whose role is the only credentials; how to make its service of them refuse so many requests."""
    for name in [*CREDENTIALS, "AWS_PROFILE", "AWS_SESSION_TOKEN"]:
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setattr("linkmatch_ray.io.storage.object_store.WAIT_SECONDS", 0.001)
    left = [0]

    def script(request):
        left[0] -= 1
        if left[0] >= 0:
            return [answer(503)]
        kind = request.target.rpartition(b"/")[2]
        return [answer(200, {b"token": b"a-word", b"": b"role"}.get(kind, ROLE))]

    with serving(script) as service, serving(Bucket(OBJECTS)) as server:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://{service.host}/")
        s3_at(server)
        yield left


def read_all(files):
    small, found = SmallObjects(files), bytearray(10)
    for file in files:
        small.read(file, memoryview(found))
        yield bytes(found)


def test_many_threads_at_once(machine, monkeypatch):
    """As a worker begins: credentials are looked for once, for who gives them may refuse more."""
    made, lock, make = Counter(), Lock(), s3.S3.__init__

    def counted(self, url):
        with lock:
            made[url.root] += 1
        make(self, url)

    monkeypatch.setattr(s3.S3, "__init__", counted)
    files = list_inputs(["s3://lake/p/"]).files
    store_at.cache_clear()
    made.clear()
    assert sorted(read_all(files)) == sorted(OBJECTS.values())
    assert made == {"s3://lake": 1}


def test_credentials_that_do_not_come_at_once(machine):
    """Are waited for: without them each object would be one that the store refuses."""
    files = list_inputs(["s3://lake/p/"]).files
    store_at.cache_clear()
    machine[0] = 3
    assert sorted(read_all(files[:3])) == sorted(OBJECTS[file.path.partition(b"lake/")[2]] for file in files[:3])


def test_no_credentials(machine):
    """Are said to be none, and how to do without."""
    machine[0] = 1000
    with pytest.raises(Exception, match=r"no credentials were found \(AWS_SKIP_SIGNATURE=true"):
        list_inputs(["s3://lake/p/"])
