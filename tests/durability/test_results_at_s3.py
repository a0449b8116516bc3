"""Results in a bucket: the real command, a real S3 endpoint over HTTP, a line that loses answers, and real kills."""

import json
import logging
import os
import random
import signal
import subprocess
import sys

import pytest

from linkmatch_ray.io.storage.store import store_of
from linkmatch_ray.io.storage.stores import store_at
from tests.support.objects import CREDENTIALS, s3, unreliable
from tests.support.program import program
from tests.support.waiting import START_SECONDS_MAX, comes

pytestmark = pytest.mark.slow

FOLDERS = ("matched", "unmatched", "quarantine")
RECORDS = 60_000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Lines, an array, small files; one in three matches."""
    top = tmp_path_factory.mktemp("s3")
    (top / "in").mkdir()
    rng = random.Random(1)
    lines = [
        b'{"data":%d,"n":%d,"x":"%s"}' % (rng.randrange(1000), n, b"y" * rng.randrange(300)) for n in range(RECORDS)
    ]
    third = RECORDS // 3
    (top / "in" / "a.jsonl").write_bytes(b"\n".join(lines[:third]) + b"\n{bad}\n")
    (top / "in" / "b.json").write_bytes(b"[" + b",\n".join(lines[third : 2 * third]) + b"]")
    (top / "in" / "c.jsonl").write_bytes(b"\n".join(lines[2 * third :]))
    for n in range(300):
        (top / "in" / f"d{n:03}.json").write_bytes(lines[n])
    (top / "list.json").write_text(json.dumps([{"data": n} for n in range(0, 1000, 3)]))
    return top


@pytest.fixture
def command(command_environment, monkeypatch):
    """Runs the command, with an endpoint at a port."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)

    def start(port, *arguments):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        store_at.cache_clear()
        environment = command_environment | CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        return subprocess.Popen(
            [sys.executable, "-m", "linkmatch_ray", *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    yield start
    store_at.cache_clear()


@pytest.fixture(autouse=True)
def quiet():
    """The endpoint logs every request, and pytest would show them all with a failure."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)


def ended(process, timeout=300):
    stdout, stderr = process.communicate(timeout=timeout)
    return process.returncode, stdout, stderr


def job(corpus, output):
    return ("submit", f"{corpus}/in", "-r", f"{corpus}/list.json", "--emit", "both", "-o", str(output))


def concatenated(url):
    store = store_of(url)
    names = sorted(store.list(""))
    return {folder: b"".join(store.get(name) for name in names if name.startswith(f"{folder}/")) for folder in FOLDERS}


@pytest.mark.usefixtures("ray_session")
def test_killed_and_resumed_from_elsewhere(corpus, command, tmp_path):
    """The whole tree of processes is killed in the middle; another, from another directory, brings it to its end."""
    code, stdout, stderr = program(*job(corpus, tmp_path / "plain"), "--json")
    assert code == 4, stderr
    totals = json.loads(stdout)["totals"]
    url = "s3://lake/res"
    with s3("lake") as port, unreliable(port, 7, ["503", "reset", "short", "lost"], rate=0.1) as line:
        first = command(line, *job(corpus, url), "--quiet")
        ledger = store_of(url)
        assert comes(lambda: "ledger/0000000001" in ledger.list("ledger"), START_SECONDS_MAX)
        os.kill(first.pid, signal.SIGKILL)  # Ray and all workers end with it
        first.communicate()
        second = command(line, *job(corpus, url), "--json")
        code, stdout, stderr = ended(second)
        assert code == 4, stderr
        summary = json.loads(stdout)
        assert (summary["totals"], summary["resumed"]) == (totals, True)
        for folder, content in concatenated(url).items():
            assert content == (tmp_path / "plain" / f"{folder}.jsonl").read_bytes(), folder
        code, stdout, stderr = program("verify", url)
        assert (code, stderr) == (0, ""), stdout
        code, stdout, stderr = program("status", url)
        assert stdout.startswith("s3://lake/res: complete"), stderr
        code, stdout, stderr = program(*job(corpus, url), "--json")
        assert json.loads(stdout)["totals"] == totals, stderr
        code, _, stderr = program("results", url, "-o", f"{tmp_path}/copy")
        assert code == 0, stderr
        for name in ("matched.jsonl", "unmatched.jsonl", "quarantine.jsonl", "restrictions.jsonl"):
            assert (tmp_path / "copy" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
        for name in ledger.list(""):
            assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"].encode() not in ledger.get(name), name
        (corpus / "in" / "later.json").write_bytes(b"{}")
        code, _, stderr = program(*job(corpus, url))
        (corpus / "in" / "later.json").unlink()
        assert code == 2
        advice = "Name another directory with -o, or start from the beginning with --overwrite"
        assert f"other inputs (1 new). {advice}" in stderr


def test_cancelled_by_its_url(corpus, command, last):
    """It stops within seconds, from anywhere, and can be resumed."""
    url = "s3://lake/stopped"
    submit = ("submit", corpus / "in", last.url, "-r", corpus / "list.json", "-o", url, "--quiet")
    with s3("lake") as port:
        running = command(port, *submit)
        store = store_of(url)
        assert comes(lambda: store.list("ledger"), START_SECONDS_MAX)
        code, stdout, stderr = program("cancel", url)
        assert (code, stdout) == (
            0,
            f"{url}: stopped; what was committed is safe. To resume it, run the same submit command again.\n",
        ), stderr
        code, _, stderr = ended(running)
        assert code == 130, stderr
        last.release()
        code, _, stderr = ended(command(port, *submit))
        assert code == 4, stderr  # one record of the inputs is not JSON
        assert store.get("summary.json").find(b'"resumed": true') > 0


def test_a_store_that_refuses(corpus, command):
    """Said in our words, with exit code 2, as for a directory that cannot be; nothing was begun."""
    with s3("lake") as port:
        code, _, stderr = ended(command(port, *job(corpus, "s3://nobucket/res"), "--quiet"))
    assert code == 2
    assert stderr.startswith("linkmatch-ray: s3://nobucket/res: ")
