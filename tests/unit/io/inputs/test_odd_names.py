"""The bytes given or listed are the bytes asked for: every byte and every reserved character, there and back.

Each case has a content of its own, so that no two of them can be mixed up unseen.
"""

import glob
import json
import os
import re
import string
import subprocess
import sys
from base64 import b64decode

import pytest

from linkmatch_ray import MatchOptions, Restrictions, match_bytes
from linkmatch_ray.errors import InputError, LinkmatchError, UsageError
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.opening import open_input
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.verification import Checked, verify
from linkmatch_ray.io.storage.store import store_of
from linkmatch_ray.runtime.jobs.plan import PlanOptions
from tests.support import whole
from tests.support.hostile import answer, file, serving
from tests.support.hostile_s3 import Bucket
from tests.support.objects import CREDENTIALS
from tests.support.tiers import STRIDE, kinds, some

UNSAFE = b'"<>\\^`{|}'
"""What may not stand in a request line, beside controls, space and what is not ASCII."""

RESERVED = [bytes([byte]) for byte in string.punctuation.encode()]
BYTES = [bytes([byte]) for byte in range(0x01, 0x100)]
CHARACTERS = [chr(point).encode() for point in [*range(0x80, 0x100), 0x2028, 0xFEFF, 0xFFFD, 0x1F600]]
WORDS = [b"..", b"...", b"%41", b"%2F", b"%2f", b"%25", b"%2525", b"%zz", b"%", b"%FF", b"a+b", b"a b", b"~", b"//"]
PLACES = [b"/p/b.jsonl", b"p//b.jsonl", b"p/b.jsonl/", b"p/sub//c.jsonl", b"p/../b.jsonl", b"p/./b.jsonl", b"p/d//"]


def odd_keys():
    """Each word as a folder, as the whole of a name, and within one; and slashes in all places."""
    keys = {b"p/b.jsonl", *PLACES}
    for word in (*kinds((*RESERVED, *WORDS)), *some((*BYTES, *CHARACTERS))):
        keys |= {b"p/" + word + b"/b.jsonl", b"p/" + word + b".jsonl", b"p/a" + word + b"c.jsonl"}
    return sorted(keys)


KEYS = odd_keys()
OBJECTS = {key: b'{"data":"%d"}\n' % number for number, key in enumerate(KEYS)}


@pytest.fixture(params=["encoded", "as they are"])
def bucket(request, s3_at):
    """The bucket, which gives keys in its listings percent-encoded or not; then those only that XML can carry."""
    objects = dict(OBJECTS)
    if request.param == "as they are":
        objects = {key: content for key, content in OBJECTS.items() if is_xml(key)}
    with serving(Bucket(objects, encodes=request.param == "encoded", page_keys=100)) as server:
        s3_at(server)
        yield objects


def is_xml(key):
    try:
        return not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", key.decode())
    except UnicodeDecodeError:
        return False


def is_hidden(key):
    """Whether a segment begins with a dot; `.` and `..` are odd, not hidden."""
    return any(part.startswith(b".") and part not in (b".", b"..") for part in key.split(b"/"))


def is_listed(key):
    return key.rstrip(b"/").endswith(b".jsonl") and not is_hidden(key)


def read(file):
    assert file.fault is None, file
    with open_input(file) as opened:
        return opened.read(file.size)


def contents(*urls):
    """What is read, by the names that results would call it."""
    return {file.name: read(file) for file in list_inputs(urls).files}


def test_keys_are_listed_and_read(bucket):
    """Below prefixes and of the whole bucket: each key that is to be read, with its own content."""
    wanted = {b"s3://lake/" + key: content for key, content in bucket.items() if is_listed(key)}
    assert len(wanted) > (1100 if len(bucket) == len(KEYS) else 500) // STRIDE
    assert contents(b"s3://lake") == wanted
    below = {name: content for name, content in wanted.items() if name.startswith(b"s3://lake/p/")}
    assert contents(b"s3://lake/p") == contents(b"s3://lake/p/") == below
    assert contents(b"s3://lake//p") == {b"s3://lake//p/b.jsonl": OBJECTS[b"/p/b.jsonl"]}


def test_a_job_over_odd_keys(bucket, tmp_path):
    """Each record comes out once, with the name of the key that has it."""
    whole.submit("s3://lake/p", tmp_path / "out", MatchOptions(emit="unmatched", provenance=True), PlanOptions())
    found = {}
    for line in (tmp_path / "out" / "unmatched.jsonl").read_bytes().splitlines():
        row = json.loads(line)
        name = b64decode(row["file_base64"]) if "file_base64" in row else row["file"].encode()
        found[name.removeprefix(b"s3://lake/")] = b'{"data":"%s"}\n' % row["record"]["data"].encode()
    assert found == {key: content for key, content in bucket.items() if is_listed(key) and key.startswith(b"p/")}
    assert (tmp_path / "out" / "quarantine.jsonl").read_bytes() == b""


def test_keys_are_named_and_read(bucket):
    """One by one, each of them that key."""
    for key, content in bucket.items():
        found = contents(b"s3://lake/" + key)
        assert found == {b"s3://lake/" + key: content}


def test_keys_are_found_by_globs(bucket):
    """A glob has the keys that fit it, letter by letter."""
    found = contents(b"s3://lake/p/a?*c.jsonl")
    wanted = [key for key in bucket if re.fullmatch(rb"p/a[^/]+c\.jsonl", key)]
    assert found == {b"s3://lake/" + key: bucket[key] for key in wanted}
    assert len(wanted) > 200 // STRIDE
    found = contents(b"s3://lake/p/[!.]*/b.jsonl")
    wanted = [key for key in bucket if re.fullmatch(rb"p/[^/.][^/]*/b\.jsonl", key)]
    assert found == {b"s3://lake/" + key: bucket[key] for key in wanted}


GLOBS = r"""
* ** **/* a/* a/** a/**/* **/x* a**/x */x .* a/.* ? ?x a/?x é? *.* [.]x a/[.x]* [!a] [^a] [a-]* []a]* [z-a]* [\d]*
[[:x]* [! a[!b a?x a[!b]x a[/]x *[*]*
"""
NAMES = r"""
a/x a/.x a/b/x a/.b/x a/b/.x .x .a/x x b ^ - ] d [ [! a[!b a*x \ aax éa é z.json a/b/c/x.y a/yx
"""


def test_globs_are_those_of_files(tmp_path, s3_at):
    """What a glob finds among keys is what it finds among files of the same names."""
    names = NAMES.split()
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    with serving(Bucket({name.encode(): b"1" for name in names})) as server:
        s3_at(server)
        for pattern in GLOBS.split():
            found = glob.glob(pattern, root_dir=tmp_path, recursive=True)
            wanted = {name for name in found if (tmp_path / name).is_file()}
            wanted = {pattern} if pattern in names else wanted  # as of files: what is there by this name is named
            try:
                listed = list_inputs([f"s3://lake/{pattern}"]).files
            except InputError:
                listed = []
            assert {file.name.decode().removeprefix("s3://lake/") for file in listed} == wanted, pattern


def test_folders_are_empty_keys_that_end_in_a_slash(s3_at):
    """With bytes such a key is an input like any other."""
    objects = {b"p/b.jsonl": b"1", b"/p/b.jsonl": b"2", b"p//b.jsonl": b"3", b"p/b.jsonl/": b"4", b"p/c.jsonl/": b""}
    with serving(Bucket(objects)) as server:
        s3_at(server)
        assert sorted(contents(b"s3://lake").values()) == [b"1", b"2", b"3", b"4"]


def test_a_key_with_a_nul(s3_at):
    """It cannot be typed, but listed and read."""
    with serving(Bucket({b"p/a\0b.jsonl": b"1", b"p/\0.jsonl": b"2"})) as server:
        s3_at(server)
        assert contents(b"s3://lake/p") == {b"s3://lake/p/a\0b.jsonl": b"1", b"s3://lake/p/\0.jsonl": b"2"}


def test_lists_from_keys(bucket):
    """`-r` reads the very key."""
    for key, content in bucket.items():
        restrictions = Restrictions.load(os.fsdecode(b"s3://lake/" + key), restrictions_format="lines")
        assert match_bytes(content, restrictions).matched == content, key


ODD_PREFIXES = [
    *(b"out/a" + word + b"b" for word in (*kinds((*RESERVED, *WORDS)), *some((*BYTES, *CHARACTERS)))),
    *(b"out/" + word + b"/c" for word in WORDS),
    *(b"/out", b"out//c", b"out/c//", b"/"),
]


def test_results_at_odd_prefixes(s3_at):
    """Whatever is done with results below a prefix is done with the key that begins with it, byte for byte."""
    bucket = Bucket({})
    with serving(bucket) as server:
        s3_at(server)
        for prefix in ODD_PREFIXES:
            bucket.objects = {b"other": b"", prefix[:-1] + b"-/x": b""}
            before = dict(bucket.objects)
            store = store_of(os.fsdecode(b"s3://lake/" + prefix))
            folder = prefix if prefix.endswith(b"/") else prefix + b"/"
            assert store.is_empty(), prefix
            store.create("ledger/1", b"1")
            store.put("a", b"2")
            store.copy("a", "b c")
            assert bucket.objects == before | {
                folder + b"ledger/1": b"1",
                folder + b"a": b"2",
                folder + b"b c": b"2",
            }, prefix
            assert store.list("") == {"ledger/1": 1, "a": 1, "b c": 1}, prefix
            assert store.list("ledger") == {"ledger/1": 1}, prefix
            assert store.get("b c") == b"2", prefix
            store.delete(["ledger/1", "a", "b c"])
            assert bucket.objects == before, prefix
    assert len(ODD_PREFIXES) > 400 // STRIDE


@pytest.mark.parametrize(
    "prefix", [b"out//c", b"/out", b"a%2Fb", b"a+b c/..", b"a?b#c", b"a\nb", "é".encode(), b"a\xffb"]
)
def test_a_job_at_an_odd_prefix(prefix, tmp_path, s3_at):
    """All that it writes is there, and it is read again as what it is."""
    (tmp_path / "in.jsonl").write_bytes(b'{"data":"a"}\n{"data":"z"}\n')
    bucket = Bucket({})
    with serving(bucket) as server:
        s3_at(server)
        url = os.fsdecode(b"s3://lake/" + prefix)
        summary = whole.submit(tmp_path / "in.jsonl", url, MatchOptions(), PlanOptions())
        assert [key for key in bucket.objects if not key.startswith(prefix + b"/")] == []
        assert prefix + b"/summary.json" in bucket.objects
        assert list(verify(results_at(url), Checked())) == []
        assert whole.submit(tmp_path / "in.jsonl", url, MatchOptions(), PlanOptions()) == summary


@pytest.mark.slow
def test_the_command(s3_at, command_environment):
    """Inputs, list and results with odd names, as they are typed."""
    bucket = Bucket({b"p//\xff%41 b.jsonl": b'{"data":"a"}\n', b"/list#1?.json": b'["a","b"]'})
    with serving(bucket) as server, serving(file(b'{"data":"b"}\n')) as web:
        s3_at(server)
        inputs = [b"s3://lake/p//\xff%41 b.jsonl", f"http://{web.host}/100%2525/../x".encode()]
        command = [sys.executable, "-m", "linkmatch_ray", "submit", *inputs, "-r", "s3://lake//list#1?.json"]
        environment = command_environment | CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://{server.host}"}
        done = subprocess.run(
            [*command, "-o", "s3://lake/out//a+b%2F"], env=environment, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 of 2 records matched")
    assert set(web.targets) == {b"/100%2525/../x"}
    written = {key: content for key, content in bucket.objects.items() if key.startswith(b"out//a+b%2F/matched/")}
    assert b"".join(content for _, content in sorted(written.items())) == b'{"data":"a"}\n{"data":"b"}\n'


def targets():
    """Paths of URLs as they are given, and the request targets that they are."""
    given = [b"/", b"//x", b"/x/", b"/a/../b", b"/a/./b", b"/..", b"/a//b", b"/:80", b"/@", b"/a;b=c,d&e=f!$'()*+~[]"]
    given += [b"/%41", b"/100%25.jsonl", b"/100%2525.jsonl", b"/a%23b", b"/a%2Fb", b"/a%2fb", b"/a%FFb", b"/a%3Fb"]
    given += [b"/%zz", b"/%", b"/%2", b"/a%0Ab", b"/a%00b", b"/%23b", b"/%7Ea"]
    words = [word for word in (*kinds(RESERVED), *some((*BYTES, *CHARACTERS))) if word not in (b"?", b"#")]
    given += [path for word in words for path in (b"/" + word, b"/a" + word + b"c", b"/" + word + b"/c")]
    return {path: re.sub(rb"[^!$-;=?-\[\]_a-z~]", lambda char: b"%%%02X" % ord(char[0]), path) for path in given}


def test_urls_are_read_as_given(tmp_path):
    """The request target is the path as it was given; only what cannot stand in a request line is percent-encoded."""
    paths = targets()

    def script(request):
        yield answer(200, b"" if request.method == "HEAD" else content, about)

    about = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    with serving(script) as server:
        for number, (path, target) in enumerate(paths.items()):
            content = b'{"data":"%d"}\n' % number
            about["ETag"], about["Content-Length"] = f'"{number}"', str(len(content))
            server.requests.clear()
            url = b"http://" + server.host.encode() + path
            assert contents(url) == {url: content}, path
            restrictions = Restrictions.load(os.fsdecode(url), restrictions_format="lines")
            assert match_bytes(content, restrictions).matched == content, path
            assert set(server.targets) == {target}, path
            assert {request.headers["host"] for request in server.requests} == {server.host}
    assert len(paths) > 1000 // STRIDE


@pytest.mark.parametrize("path", [b"/a", b"/%2525", b"/a/../b/", b"/\xff"])
def test_messages_have_the_url_as_given(path):
    """With its port."""
    with serving(lambda request: [answer(404)]) as server:
        url = b"http://" + server.host.encode() + path
        with pytest.raises(LinkmatchError) as refused:
            list_inputs([url])
    assert str(refused.value).startswith(url.decode("utf-8", "backslashreplace") + ": ")


@pytest.mark.parametrize(("end", "advice"), [("/a#b", "%23"), ("/a?b", "query"), ("/#", "%23")])
def test_what_is_no_path(end, advice):
    """A fragment is not sent by anybody, so a `#` is likely one of the name; a query may be a secret."""
    with serving(lambda request: [answer(200)]) as server:
        with pytest.raises(UsageError, match=advice):
            list_inputs([f"http://{server.host}{end}"])
        assert not server.requests
