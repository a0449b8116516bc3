"""Whole jobs in Azure Blob Storage and Google Cloud Storage, as their emulators serve them: all of it at URLs."""

import json
import os
import subprocess
import sys

import pytest

from linkmatch_ray import MatchOptions
from linkmatch_ray.io.results import bucket, segments
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.verification import Checked, verify
from linkmatch_ray.io.storage.stores import store_at
from linkmatch_ray.runtime.jobs import worker
from tests.support.clouds import ACCOUNTS, azurite, fake_gcs, make_container
from tests.support.jobs import NAMES, OUTPUTS, PLAN, write
from tests.support.whole import submit

pytestmark = pytest.mark.slow

BOTH = MatchOptions(emit="both")
LIST = b'["a", "b", {"data": 1}]'


@pytest.fixture(scope="module", params=["az", "gs"])
def cloud(request):
    """The URL of a place for all, and the environment that leads there."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("AZURE_", "GOOGLE_", "STORAGE_EMULATOR_")):
                patch.delenv(name)
        store_at.cache_clear()
        if request.param == "az":
            with azurite() as url:
                text = f"AccountName=lakes;AccountKey={ACCOUNTS['lakes']};BlobEndpoint={url}/lakes"
                patch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
                make_container("lakes", "con")
                yield "az://lakes/con", {"AZURE_STORAGE_CONNECTION_STRING": text}
        else:
            with fake_gcs("lake") as url:
                patch.setenv("STORAGE_EMULATOR_HOST", url)
                yield "gs://lake", {"STORAGE_EMULATOR_HOST": url}
    store_at.cache_clear()


@pytest.fixture
def corpus(cloud, tmp_path):
    """Files in a folder, and as many objects of the same content below `in/`."""
    write(tmp_path / "in", {f"é %25 {name}": 10 + number for number, name in enumerate(NAMES)})
    store = store_at(cloud[0])
    for path in (tmp_path / "in").iterdir():
        store.put(f"in/{path.name}".encode(), path.read_bytes())
    store.put(b"list.json", LIST)
    return tmp_path / "in"


def test_a_job(cloud, corpus, command_environment, tmp_path):
    """Inputs, list and results at URLs; verified, brought here, and the bytes are those of a job in a directory."""
    url, environment = cloud
    expected = submit(corpus, tmp_path / "plain", BOTH, PLAN)["totals"]

    def command(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "linkmatch_ray", *map(str, arguments)],
            env=command_environment | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return done.returncode, done.stdout, done.stderr

    job = (
        "submit",
        f"{url}/in",
        "-r",
        f"{url}/list.json",
        "-k",
        "data",
        "--emit",
        "both",
        "-o",
        f"{url}/out",
        "--json",
    )
    code, stdout, stderr = command(*job)
    assert code == 4, stderr
    assert json.loads(stdout)["totals"] == expected
    assert command("verify", f"{url}/out")[0] == 0
    assert command("results", f"{url}/out", "-o", tmp_path / "copy")[0] == 0
    for name in set(OUTPUTS) - {"quarantine.jsonl"}:  # which names the files
        assert (tmp_path / "copy" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes(), name


def test_a_job_that_is_resumed(cloud, corpus, tmp_path, monkeypatch):
    """Left in the middle, with parts that tasks wrote, parts that the collector wrote, and copies; then completed."""
    monkeypatch.setattr(bucket.Bucket, "commit_seconds", 0.0)
    monkeypatch.setattr(worker, "STAGED_BYTES_MIN", 60)
    monkeypatch.setattr(segments, "OBJECT_BYTES", 150)
    url = f"{cloud[0]}/left"
    assert submit(f"{cloud[0]}/in", url, BOTH, PLAN, stop_after=7) is None
    summary = submit(f"{cloud[0]}/in", url, BOTH, PLAN)
    plain = submit(corpus, tmp_path / "plain", BOTH, PLAN)
    assert (summary["totals"], summary["resumed"]) == (plain["totals"], True)
    assert list(verify(results_at(url), Checked())) == []
    for name in set(OUTPUTS) - {"quarantine.jsonl"}:
        with results_at(url).open(name) as file:
            assert file.read() == (tmp_path / "plain" / name).read_bytes(), name
    assert not [meta.key for meta in store_at(cloud[0]).list_page(b"left/staging/").objects]
