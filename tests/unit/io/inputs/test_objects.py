"""Inputs and lists on object storage: a real S3 endpoint over HTTP, with faults on the line."""

import gzip
import io
import json
import os
import random
import subprocess
import sys
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkmatch_ray import MatchOptions, Restrictions, match_bytes
from linkmatch_ray.core.codecs import open_source
from linkmatch_ray.core.matcher import Matcher
from linkmatch_ray.errors import InputError, RestrictionsError, UsageError
from linkmatch_ray.io.inputs import object_reader
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.object_reader import ObjectReader, SmallObjects
from linkmatch_ray.io.inputs.opening import Opener
from linkmatch_ray.io.inputs.sniff import cuttable
from linkmatch_ray.io.storage import object_store
from linkmatch_ray.io.storage import s3 as s3_dialect
from linkmatch_ray.io.storage.errors import Changed
from linkmatch_ray.io.storage.stores import store_at
from linkmatch_ray.runtime.jobs.plan import PlanOptions, make_plan
from tests.support.archives import tar_of, zip_of
from tests.support.objects import CREDENTIALS, s3, serving, unreliable
from tests.support.program import program
from tests.support.tiers import kinds

BUCKET = "lake"
LINES = b"".join(b'{"data":"k%d","n":%d}\n' % (n % 50, n) for n in range(40_000))
OBJECTS = {
    "in/a.jsonl": LINES,
    "in/b c/é.json": b'[{"data":"k1"},{"data":"x"}]',
    "in/b c/d.JSON.gz": gzip.compress(b'{"data":"k2"}'),
    "in/deep/er/z.ndjson": b'{"data":"k3"}\n{bad\n',
    "in/.hidden/x.json": b'{"data":"k1"}',
    "in/.x.json": b'{"data":"k1"}',
    "in/readme.txt": b"no",
    "in/old/linkmatch.lock": b"",
    "in/old/matched.jsonl": b'{"data":"k1"}',
    "list.json": b'["k1","k2","k3"]',
    **{f"many/{n:03}.json": b'{"data":"k%d"}' % (n % 7) for n in range(150)},
}


@pytest.fixture(scope="module")
def moto():
    """The port of an S3 endpoint that has the objects."""
    with s3(BUCKET) as port, pytest.MonkeyPatch.context() as patched:
        for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}).items():
            patched.setenv(name, value)
        store_at.cache_clear()
        store = store_at(f"s3://{BUCKET}")
        for name, content in OBJECTS.items():
            store.put(name.encode(), content)
        yield port
    store_at.cache_clear()


@pytest.fixture
def endpoint(moto, monkeypatch):
    """Makes the store speak to a port."""

    def use(port):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        store_at.cache_clear()

    use(moto)
    yield use
    store_at.cache_clear()


def names(*inputs):
    return [os.fsdecode(file.name).removeprefix(f"s3://{BUCKET}/") for file in list_inputs(inputs).files]


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz", "any"])
@pytest.mark.parametrize("faults", ["", "503 break short"])
def test_archives(name, faults, endpoint, moto):
    """Their members are read in place by ranges, also over a line that breaks off."""
    members = [(f"{n}.jsonl", b'{"data":"k%d"}\n' % n * (1 + n % 3 * 5000)) for n in range(40)]
    made = {"a.tar": tar_of(members), "a.tgz": gzip.compress(tar_of(members))}.get(name) or zip_of(members)
    store_at(f"s3://{BUCKET}").put(name.encode(), made)
    with unreliable(moto, 3, faults.split()) if faults else nullcontext(moto) as port:
        endpoint(port)
        files = list_inputs([f"s3://{BUCKET}/{name}"]).files
        assert [file.name for file in files] == [f"s3://{BUCKET}/{name}!{member}".encode() for member, _ in members]
        opener = Opener()
        for file, (_, content) in zip(files, members, strict=True):
            view = memoryview(bytearray(file.size))
            opener.read_small(file, view)
            assert view == content
        opener.close()
    store_at(f"s3://{BUCKET}").delete(name.encode())


def test_listing(endpoint):
    """One object, a prefix as a directory, a glob: in the order of their bytes, without what is hidden or ours."""
    below = ["in/a.jsonl", "in/b c/d.JSON.gz", "in/b c/é.json", "in/deep/er/z.ndjson"]
    assert names("s3://lake/in/") == names("s3://lake/in") == below
    assert names("s3://lake/in/readme.txt") == ["in/readme.txt"]
    assert names("s3://lake/in/*.json*") == ["in/a.jsonl"]
    assert names("s3://lake/in/**/*.[jn]*") == [
        "in/a.jsonl",
        "in/b c/é.json",
        "in/deep/er/z.ndjson",
        "in/old/matched.jsonl",
    ]
    assert names("s3://lake/in/a.jsonl", "s3://lake/in") == below
    assert list_inputs(["s3://lake/in"]).left_out == 3
    for url in ("s3://lake/nowhere", "s3://nowhere/x", "s3://lake/in/*.parquet"):
        with pytest.raises(InputError, match=url.replace("*", r"\*")):
            names(url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://me:pw@example.org/x.json", "https://example.org/x.json: has credentials"),
        (
            "https://example.org/x.json?X-Amz-Signature=abc",
            "https://example.org/x.json: has credentials or a signature",
        ),
        ("https://example.org/x.json?page=2", "https://example.org/x.json: has a query"),
        ("s3://", "no bucket"),
        ("az://account", "ACCOUNT/BUCKET"),
        ("ftp://example.org/x.json", "not supported"),
    ],
)
def test_urls_that_are_refused(url, message):
    """With what to do, and without the secret."""
    with pytest.raises(UsageError, match=message) as refused:
        list_inputs([url])
    assert "pw" not in str(refused.value)
    assert "abc" not in str(refused.value)


def test_reading_in_pieces(endpoint, monkeypatch):
    """From anywhere, ahead no further than it is told, and every byte in its place."""
    monkeypatch.setattr(object_reader, "REQUEST_BYTES", 10_000)
    (file,) = list_inputs(["s3://lake/in/a.jsonl"]).files
    for start, stop in ((0, None), (0, 5), (12_345, 70_000), (len(LINES) - 3, None)):
        with ObjectReader(file, stop) as reader:
            reader.seek(start)
            assert b"".join(iter(lambda: reader.read(7_001), b"")) == LINES[start:]


def test_damaged_compression(endpoint, monkeypatch):
    """What is saved of it is read a second time, and is what comes of the same bytes elsewhere."""
    monkeypatch.setattr(object_reader, "REQUEST_BYTES", 1000)
    rng = random.Random(1)
    lines = b"".join(b'{"data":"k%d","n":%d}\n' % (rng.randrange(50), rng.randrange(1 << 60)) for _ in range(4000))
    store, restrictions = store_at(f"s3://{BUCKET}"), Restrictions.load(b'["k1"]')
    for share in (0.4, 0.7):
        data = bytearray(gzip.compress(lines))
        place = int(len(data) * share)
        data[place : place + 500] = b"\xff" * 500  # a decoder fails there, and what it gave before is saved
        store.put(b"damaged", bytes(data))
        (file,) = list_inputs(["s3://lake/damaged"]).files
        options = MatchOptions(salvage=True)
        wanted = match_bytes(bytes(data), restrictions, options)
        with ObjectReader(file) as reader:
            matcher = Matcher(restrictions.paths, restrictions.index, options)
            parts = list(matcher.stream(open_source(reader, file.size, salvage=True), b""))
        assert b"".join(line for part in parts for line in part.matched) == wanted.matched
        assert [entry for part in parts for piece in part.pieces for entry in piece.entries] == list(wanted.entries)
        assert wanted.matched
        assert wanted.entries


@pytest.mark.parametrize("seed", kinds(range(3)))
def test_faults_on_the_line(endpoint, moto, monkeypatch, seed):
    """503, connections that break off, short and slow answers: read whole all the same."""
    monkeypatch.setattr(object_reader, "REQUEST_BYTES", 100_000)
    monkeypatch.setattr(object_store, "WAIT_SECONDS", 0.01)
    with unreliable(moto, seed, ["503", "reset", "short", "slow"]) as port:
        endpoint(port)
        (file,) = list_inputs(["s3://lake/in/a.jsonl"]).files
        with ObjectReader(file) as reader:
            assert reader.read() == LINES
        files = list_inputs(["s3://lake/many"]).files
        small = SmallObjects(files)
        for number, each in enumerate(files):
            view = bytearray(each.size)
            small.read(each, memoryview(view))
            assert view == OBJECTS[f"many/{number:03}.json"]
        small.close()


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_server_without_ranges(tmp_path):
    """As a simple one over HTTP: read as a whole, by one task, from anywhere; again where it breaks off."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "a.jsonl").write_bytes(LINES * 70)

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=tmp_path / "www")

        def log_message(self, *args):
            pass

        def copyfile(self, source, outputfile):
            if breaks:
                outputfile.write(source.read(breaks.pop()))
                self.close_connection = True
            else:
                super().copyfile(source, outputfile)

    breaks = []
    with serving(Handler) as port:
        url = f"http://127.0.0.1:{port}/a.jsonl"
        (file,) = list_inputs([url]).files
        with ObjectReader(file) as reader:
            assert reader.head(10) == LINES[:10]
            breaks += [6_000_000, 0, 5_000_000, 100]
            assert reader.read() == LINES * 70
            assert not breaks
        with ObjectReader(file) as reader:
            reader.seek(file.size - 5)
            assert reader.read() == LINES[-5:]
        plan = make_plan([file], cuttable([file], MatchOptions(), 1 << 20), PlanOptions(unit_bytes=1 << 20))
        assert [unit.end for unit in plan.units()] == [None]
        (tmp_path / "list.json").write_bytes(OBJECTS["list.json"])
        code, stdout, stderr = program("submit", url, "-r", f"{tmp_path}/list.json", "--json", "-o", f"{tmp_path}/out")
    assert code == 0, stderr
    assert json.loads(stdout)["totals"]["matched"] == 70 * 3 * 800


def test_a_version_that_only_bytes_come_with():
    """A server may give its ETag to GET alone: by that another version is seen all the same."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()

        def do_GET(self):
            self._begin(tags[-1])
            self.wfile.write(tags[-1] * 6)

        def _begin(self, tag):
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.send_header("ETag", f'"{tag.decode()}"')
            self.end_headers()

        def log_message(self, *args):
            pass

    tags = [b"a"]
    with serving(Handler) as port:
        (file,) = list_inputs([f"http://127.0.0.1:{port}/x.json"]).files
        assert file.etag == '"a"'
        with ObjectReader(file) as reader:
            assert reader.read() == b"aaaaaa"
        tags.append(b"b")
        with ObjectReader(file) as reader, pytest.raises(Changed):
            reader.read()


def test_a_store_that_stays_down(endpoint, moto, monkeypatch):
    """An error that says so, in our words."""
    monkeypatch.setattr(object_store, "WAIT_SECONDS", 0.01)
    (file,) = list_inputs(["s3://lake/in/a.jsonl"]).files
    with unreliable(moto, 1, ["503"], rate=1) as port:
        endpoint(port)
        with ObjectReader(file) as reader, pytest.raises(OSError, match="the store says HTTP status 503, 6 times"):
            reader.read()


def test_an_object_that_is_replaced(endpoint):
    """Before it is read, or in between: never a mix."""
    (file,) = list_inputs(["s3://lake/in/a.jsonl"]).files
    with ObjectReader(file, 1) as reader:
        reader.read(1)
        store_at(f"s3://{BUCKET}").put(b"in/a.jsonl", LINES[::-1])
        with pytest.raises(Changed):
            ObjectReader(file).read(1)
    store_at(f"s3://{BUCKET}").put(b"in/a.jsonl", LINES)


def test_a_list_in_a_store(endpoint):
    """Restrictions from a URL; one that is not there is an error that names it."""
    assert Restrictions.load("s3://lake/list.json").index.restrictions == 3
    with pytest.raises(RestrictionsError, match=r"s3://lake/none.json: no such object"):
        Restrictions.load("s3://lake/none.json")


def test_lists_in_other_formats_in_a_store(endpoint, monkeypatch):
    """As its name says. Of a Parquet file only the footer and the columns that are compared are requested."""
    store = store_at(f"s3://{BUCKET}")
    store.put(b"list.csv", b"data,n\r\na,1\r\n")
    assert Restrictions.load("s3://lake/list.csv").index.key(0) == b'"a"'
    count = 20_000
    columns = {"data": pa.array(map(str, range(count))), "large": pa.array([bytes(500)] * count, pa.binary())}
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, row_group_size=5_000, use_dictionary=False, compression="none")
    store.put(b"list.parquet", file.getvalue())
    asked = []
    monkeypatch.setattr(object_reader, "REQUEST_BYTES", 1 << 16)
    real = object_reader._ask
    monkeypatch.setattr(object_reader, "_ask", lambda *how: asked.append(how[1:]) or real(*how))
    index = Restrictions.load("s3://lake/list.parquet").index
    assert index.restrictions == count
    assert index.restrictions_of(index.find(b'"19999"')).tolist() == [19_999]
    assert sum(end - start for start, end in asked) < file.tell() // 5


def test_writing(endpoint, monkeypatch):
    """In one piece or in parts; copied, removed; made only where none is."""
    monkeypatch.setattr(s3_dialect, "UPLOAD_BYTES", 5 << 20)  # a store takes no smaller part
    store = store_at(f"s3://{BUCKET}")
    content = bytes(range(256)) * (13 << 12)
    store.put(b"made/#1 %41", io.BytesIO(content))
    store.copy(b"made/#1 %41", b"made/copy")
    with store.get(b"made/copy") as whole, store.get(b"made/copy", 10, 20) as part:
        assert (whole.read(), part.read()) == (content, content[10:20])
    with pytest.raises(FileExistsError):
        store.put(b"made/copy", b"", create=True)
    for key in (b"made/copy", b"made/copy", b"made/#1 %41"):
        store.delete(key)
    with pytest.raises(FileNotFoundError):
        store.head(b"made/copy")
    store.put(b"made/copy", b"new", create=True)
    assert store.head(b"made/copy").size == 3
    store.delete(b"made/copy")


def test_a_profile(endpoint, monkeypatch, tmp_path, moto):
    """Without keys in the environment those of the profile are used, its endpoint and region as well."""
    for name in (*CREDENTIALS, "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = a\naws_secret_access_key = b\n")
    (tmp_path / "config").write_text(f"[profile work]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:{moto}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "work")
    store_at.cache_clear()
    assert names("s3://lake/in/a.jsonl") == ["in/a.jsonl"]


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_job_as_on_files(endpoint, moto, tmp_path, command_environment):
    """Through an unreliable line: the bytes that files give; again it is complete; secrets are nowhere."""
    for name, content in OBJECTS.items():
        (path := tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    arguments = ["submit", "s3://lake/in", "s3://lake/many/", "-r", "s3://lake/list.json", "--emit", "both", "--json"]
    arguments += ["-o", f"{tmp_path}/out"]
    with unreliable(moto, 5, ["503", "reset", "short"]) as port:
        endpoint(port)
        environment = command_environment | CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        command = [sys.executable, "-m", "linkmatch_ray", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 4, done.stderr
        told = json.loads(done.stdout)
        code, stdout, _ = program(*arguments)
        assert (code, json.loads(stdout)) == (4, told)
    arguments = ["submit", f"{tmp_path}/in", f"{tmp_path}/many", "-r", f"{tmp_path}/list.json", "--emit", "both"]
    code, stdout, _ = program(*arguments, "--json", "-o", f"{tmp_path}/files")
    assert json.loads(stdout)["totals"] == told["totals"]
    for name in ("matched.jsonl", "unmatched.jsonl", "restrictions.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "files" / name).read_bytes()
    (entry,) = map(json.loads, (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines())
    assert entry["file"] == "s3://lake/in/deep/er/z.ndjson"
    for path in Path(tmp_path / "out").iterdir():
        assert b"a-secret" not in path.read_bytes()
