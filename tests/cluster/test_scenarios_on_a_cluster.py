"""The expected results of the real data again: read from S3 and written to S3, through the Jobs API, on a cluster of a
head that matches nothing and more nodes; where the shared data is, one of them is killed on the way."""

import json
import logging
import subprocess
import sys

import pytest

from linkmatch_ray.io.storage.store import store_of
from linkmatch_ray.io.storage.stores import store_at
from tests.ray.test_scenarios import (
    LISTING,
    SCENARIOS,
    SHARED,
    assert_counts,
    canonical,
    digest,
    expected_of,
    links_of,
    sliced,
)
from tests.support.cluster import TOKEN, Cluster
from tests.support.objects import CREDENTIALS, s3
from tests.support.waiting import comes

pytestmark = pytest.mark.slow

SECONDS_MAX = 300
BUCKET = "s3://lake"


@pytest.fixture(scope="module")
def environment(command_environment):
    """That of the nodes and of the user: the endpoint, its credentials, the token."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the endpoint logs every request
    with pytest.MonkeyPatch.context() as patched, s3("lake") as port:
        known = CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        for name, value in known.items():
            patched.setenv(name, value)
        store_at.cache_clear()
        yield command_environment | known | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    store_at.cache_clear()


# The sample is a part of the shared data: one job more for the same takes half a minute.
SHARED_ONES = [one for one in SCENARIOS if one["root"].parent == SHARED] or SCENARIOS[:1]
NODES = 4 if LISTING.exists() else 2  # enough for the sample, which is over before a node could be killed


@pytest.fixture(scope="module")
def cluster(environment):
    cluster = Cluster(environment, cpus=0)
    for _ in range(NODES):
        cluster.add_node()
    yield cluster
    cluster.stop()


@pytest.mark.parametrize("scenario", SHARED_ONES, ids=lambda scenario: scenario["name"])
def test_from_s3_to_s3(scenario, cluster, environment, tmp_path):
    """Counts, digests, and every byte in its place; though a node is lost, where the job is long enough for that."""
    expected, links, name = expected_of(scenario), links_of(scenario), scenario["name"]
    store = store_of(f"{BUCKET}/{name}")
    for path in sorted(links.rglob("*")):
        if path.is_file():
            store.put(f"links/{path.relative_to(links)}", path.read_bytes())
    command = [sys.executable, "-m", "linkmatch_ray", "submit", f"{BUCKET}/{name}/links", "--emit", "both", "--json"]
    command += ["-r", str(scenario["root"] / scenario["restrictions"]), "-k", scenario["key"]]
    command += ["-o", f"{BUCKET}/{name}/out", "--one-file-per-task", "--address", cluster.url]
    running = subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if name == "trending":
        assert comes(lambda: store.list("out/matched"), SECONDS_MAX)
        cluster.kill_node(1)
        assert "out/summary.json" not in store.list("out"), "it was over before the node was killed"
    stdout, stderr = running.communicate(timeout=SECONDS_MAX)
    if name == "trending":
        cluster.add_node()
    assert running.returncode == 0, stderr
    assert_counts(json.loads(stdout), expected)
    total = sliced(name)[1]
    for folder, lines in (("matched", total.matched), ("unmatched", total.unmatched)):
        stored = b"".join(store.get(part) for part in sorted(store.list(f"out/{folder}")))
        assert digest(canonical(stored)) == expected[f"{folder}_records_sha256"]
        assert stored == lines
