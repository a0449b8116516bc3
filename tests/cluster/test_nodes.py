"""Several nodes, each a raylet of its own: the same bytes at any number of them, and while they come and go."""

import subprocess
import sys

import pytest

from linkmatch_ray.io.results.download import download
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.verification import Checked, verify

pytestmark = pytest.mark.slow

RECORDS = 60_000

PROGRAM = """
import json, sys
import ray
from ray.cluster_utils import Cluster
from linkmatch_ray import MatchOptions, Restrictions, submit
from tests.support.held import held

source, *outputs = sys.argv[1:]
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
members = [cluster.add_node(num_cpus=1, object_store_memory=100 << 20) for _ in range(4)]
staging = {"worker_process_setup_hook": "tests.support.staging.setup"}
ray.init(address=cluster.address, log_to_driver=False, logging_level="critical", runtime_env=staging)
for output in outputs:
    with held() as last:
        job = submit([source, last.url], Restrictions.load(json.dumps([{"data": n} for n in range(30)]).encode()),
                     output=output, options=MatchOptions(emit="both"), unit_bytes=100_000, part_bytes=50_000)
        if output != outputs[0]:
            while not job.progress().ends.get("matched"):
                assert not job.wait(0.01), "it was over before a node could go"
            cluster.remove_node(members.pop(), allow_graceful=False)
            members.append(cluster.add_node(num_cpus=2, object_store_memory=100 << 20))
        last.release()
        job.result(120)
    while len(members) > 1:
        cluster.remove_node(members.pop())
ray.shutdown()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A file of lines and one that cannot be cut; and what they must give."""
    top = tmp_path_factory.mktemp("nodes")
    lines = [b'{"data":%d,"n":%d,"text":"%s"}' % (n * 7919 % 100, n, b"x" * 60) for n in range(RECORDS)]
    half = RECORDS // 2
    (top / "a.jsonl").write_bytes(b"\n".join(lines[:half]))
    (top / "b.json").write_bytes(b"[" + b",".join(lines[half:]) + b"]")
    matched = [line for n, line in enumerate(lines) if n * 7919 % 100 < 30]
    unmatched = [line for n, line in enumerate(lines) if n * 7919 % 100 >= 30]
    return top, [b"\n".join([*some, b""]) for some in (matched, unmatched)]


def test_the_same_bytes(corpus, tmp_path, command_environment):
    """At 4 nodes; and where the only one is lost on the way, and another joins: twice, the second time at a URL."""
    top, expected = corpus
    outputs = [f"{tmp_path}/four", f"{tmp_path}/one", f"file://{tmp_path}/url"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, top, *outputs],
        env=command_environment,
        capture_output=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr.decode()
    for number, output in enumerate(outputs):
        results = results_at(output)
        assert list(verify(results, Checked())) == []
        download(results, here := tmp_path / f"here-{number}")
        assert [(here / name).read_bytes() for name in ("matched.jsonl", "unmatched.jsonl")] == expected
