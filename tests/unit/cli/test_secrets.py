"""URLs with a secret in them, wherever a path or URL is taken: refused, and the secret is said and written nowhere."""

import os

import pytest

from linkmatch_ray.cli.exits import resume_command
from linkmatch_ray.errors import LinkmatchError, UsageError
from linkmatch_ray.io.storage.urls import refuse_secrets
from linkmatch_ray.runtime.cluster.jobs_api import Cluster
from linkmatch_ray.words import command, shown, without_secrets
from tests.support.program import program
from tests.support.tiers import kinds

SECRET = "hunter2"

SCHEMES = ("s3", "S3", "gs", "az", "http", "HTTP", "https", "HttpS", "ftp", "ray", "s3a", "postgresql+x")

FORMS = {
    "user and password": "user:hunter2@host/x",
    "password": ":hunter2@host/x",
    "user": "hunter2@host/x",
    "an access key, with a slash": "AKIA0:ab/hunter2+cd@bucket/x",
    "with an at sign": "user:ab@hunter2@host/x",
    "with a slash and an at sign": "user:a/b@hunter2@host/x",
    "with a space": "user:ab hunter2@host/x",
    "with a quote": "user:ab'hunter2@host/x",
    "with a line break": "user:ab\nhunter2@host/x",
    "escaped": "user%3Ahunter2%40host/x",
    "escaped in part": "user:hunter2%40host/x",
    "nothing behind it": "user:hunter2@",
    "a signature": "host/x?X-Amz-Signature=hunter2",
    "a signature in small letters": "host/x?x-amz-signature=hunter2",
    "a signature behind others": "host/x?a=b&X-Amz-Date=1&X-Amz-Security-Token=hunter2",
    "Azure's": "account/c/x?sv=1&se=2&sig=hunter2",
    "Google's": "host/x?X-Goog-Signature=hunter2",
    "CloudFront's": "host/x?Expires=1&Signature=hunter2&Key-Pair-Id=x",
    "a token": "host/x?access_token=hunter2",
    "behind a fragment": "host/x#access_token=hunter2",
    "without a question mark": "host/x&api-key=hunter2",
}

FORMS_OF_ADDRESSES = [name for name, form in FORMS.items() if "@" in form and name != "nothing behind it"]

DASHBOARD = ("--address", "http://127.0.0.1:1")

PLACES = {
    "input": lambda url: ("submit", url, "-r", "list", "-o", "out"),
    "second input": lambda url: ("submit", "a.json", url, "-r", "list", "-o", "out", "--overwrite"),
    "plan": lambda url: ("submit", url, "-r", "list", "--dry-run", "--json"),
    "list": lambda url: ("submit", "a.json", "-r", url, "-o", "out"),
    "a line of --files-from": lambda url: ("submit", "--files-from", "names", "-r", "list", "-o", "out"),
    "--files-from": lambda url: ("submit", "--files-from", url, "-r", "list", "-o", "out"),
    "output": lambda url: ("submit", "a.json", "-r", "list", "-o", url),
    "output, overwritten": lambda url: ("submit", "a.json", "-r", "list", "-o", url, "--overwrite", "--verbose"),
    "explain": lambda url: ("explain", url, "-r", "list"),
    "explain -r": lambda url: ("explain", "a.json", "-r", url),
    "status": lambda url: ("status", url, "--json"),
    "verify": lambda url: ("verify", url),
    "cancel": lambda url: ("cancel", url),
    "results": lambda url: ("results", url, "-o", "new"),
    "results -o": lambda url: ("results", "file:///nowhere", "-o", url),
    "input on a cluster": lambda url: ("submit", url, "-r", "list", "-o", "/x", *DASHBOARD),
    "output on a cluster": lambda url: ("submit", "/a", "-r", "list", "-o", url, *DASHBOARD, "--no-wait"),
    "list on a cluster": lambda url: ("submit", "/a", "-r", url, "-o", "/x", *DASHBOARD),
    "doctor": lambda url: ("doctor", url, *DASHBOARD),
}

ADDRESSED = {
    "submit": ("submit", "/a", "-r", "list", "-o", "/x"),
    "jobs": ("jobs",),
    "status": ("status", "job"),
    "logs": ("logs", "job"),
    "cancel": ("cancel", "job"),
    "results": ("results", "job", "-o", "new"),
    "doctor": ("doctor",),
}


def urls():
    return [(f"{scheme} {name}", f"{scheme}://{form}") for scheme in SCHEMES for name, form in FORMS.items()]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where a job could be begun."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_text('{"data":"x"}')
    (tmp_path / "list").write_text('["x"]')
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def assert_nowhere(folder, *texts):
    for text in texts:
        assert SECRET not in text, text
    for path in folder.rglob("*"):
        assert SECRET not in str(path)
        assert path.name in ("names",) or not path.is_file() or SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("place", PLACES)
def test_in_every_place(folder, place):
    """Each form of a secret with one of the schemes, so that each pair of these three comes: the command ends before
    anything begins."""
    number = list(PLACES).index(place)
    for turn, (what, form) in kinds(enumerate(FORMS.items(), number)):
        url = f"{SCHEMES[turn % len(SCHEMES)]}://{form}"
        (folder / "names").write_bytes(url.encode() + b"\0")
        null = ("--null",) if place == "a line of --files-from" else ()
        code, out, error = program(*PLACES[place](url), *null)
        assert code == (3 if place == "--files-from" else 2), (what, error)
        assert_nowhere(folder, out, error)
        assert "Traceback" not in error or "--verbose" in PLACES[place](url), (what, error)
        assert sorted(os.listdir(folder)) == ["a.json", "list", "names"], what


@pytest.mark.parametrize("place", ADDRESSED)
def test_in_an_address(folder, place, monkeypatch):
    """Ray's own client takes a user and a password there, and sends them; nobody is told."""
    for scheme in ("http", "HTTPS"):
        for name in kinds(FORMS_OF_ADDRESSES):
            monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)  # as a command leaves it
            address = f"{scheme}://{FORMS[name].replace('host/x', '127.0.0.1:1')}"
            code, out, error = program(*ADDRESSED[place], "--address", address)
            assert code in (2, 5), (address, error)
            assert_nowhere(folder, out, error)


def test_in_what_can_be_typed_again(monkeypatch):
    """The command that resumes a job, and those that look after one on a cluster."""
    for what, url in urls():
        monkeypatch.setattr("sys.argv", ["linkmatch-ray", "submit", url, "--address", url, f"--address={url}"])
        cluster = Cluster.__new__(Cluster)
        cluster.address = url
        for said in (resume_command(), str(cluster), command(["status", "--address", str(cluster)])):
            assert SECRET not in said, (what, said)


def test_in_messages():
    """What forgot to look, and says a URL in an error or among other words."""
    for what, url in urls():
        assert SECRET not in shown(url), what
        if not any(mark in url for mark in " \n'"):
            for said in (shown(f"no answer from {url}"), str(LinkmatchError(f"{url}: no."))):
                assert SECRET not in said, (what, said)
        with pytest.raises(UsageError) as refused:
            refuse_secrets(url.encode())
        assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/a@b", "http://head:8265", "http://head:8265/x@y", "http://[::1]:8265/x@y", "https://host/a?b=c#d",
        "a@b: c", "user@host", "file:///a:b@c", "s3://bucket/x?versionId=1", "http://h:1: no answer, http://h:2/",
    ],
)  # fmt: skip
def test_what_has_no_secret(text):
    """Stays as it is."""
    assert without_secrets(text) == shown(text) == text
