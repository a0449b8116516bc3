"""Two jobs at once: in one directory the second is told who has it, in two directories neither notices the other."""

import contextlib
import json
import re
import sqlite3
import subprocess
import sys
import time

import pytest

from linkmatch_ray import MatchOptions, Restrictions, submit
from linkmatch_ray.io.results.directory_lock import LOCK_WAIT_SECONDS
from tests.support.processes import titled
from tests.support.program import program

pytestmark = pytest.mark.slow

RECORDS = 40_000
SECONDS_MAX = 120


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Two corpora as (file, list, expected matches), of which nothing is alike."""
    top = tmp_path_factory.mktemp("two")
    return [corpus(top, 7, 1), corpus(top, 11, 3)]


def corpus(top, modulus, wanted):
    lines = [b'{"data":%d,"n":%d,"text":"%s"}\n' % (n % modulus, n, b"x" * 60) for n in range(RECORDS)]
    path, restrictions = top / f"{modulus}.jsonl", top / f"{modulus}.json"
    path.write_bytes(b"".join(lines))
    restrictions.write_text(json.dumps([{"data": wanted}]))
    return path, restrictions, b"".join(lines[wanted::modulus])


def begin(corpus, output, last):
    path, restrictions, _ = corpus
    how = {"output": output, "options": MatchOptions(), "workers": 2, "unit_bytes": 100_000, "part_bytes": 20_000}
    return submit([path, last.url], Restrictions.load(restrictions), **how)


def assert_expected(job, corpus):
    assert job.result(SECONDS_MAX)["totals"]["records"] == RECORDS
    assert (job.directory / "matched.jsonl").read_bytes() == corpus[2]


def halted_collector(job):
    """Stop the collector of a job that is under way, but not while it has the ledger locked; its process."""
    while not job.progress().ends.get("matched"):
        assert not job.wait(0.005), "the job was over before anything could be halted"
    (collector,) = titled("ray::Collector")
    while True:
        collector.suspend()
        try:
            with contextlib.closing(sqlite3.connect(job.directory / "ledger.sqlite", timeout=0)) as ledger:
                ledger.execute("SELECT * FROM frontier").fetchone()
            return collector
        except sqlite3.OperationalError:
            collector.resume()
            time.sleep(0.01)


@pytest.mark.usefixtures("ray_session")
def test_in_one_directory(corpora, last, tmp_path):
    """The second waits as long as an orphan may live, then names the first, which ends as if alone."""
    first = begin(corpora[0], tmp_path / "out", last)
    collector = halted_collector(first)
    try:
        began = time.monotonic()
        code, _, told = program(*command(corpora[0], tmp_path / "out", last.url)[3:])
        assert time.monotonic() - began >= LOCK_WAIT_SECONDS
        assert code == 1, told
        since = rf"{tmp_path / 'out'}: another job writes here \(process {collector.pid} on \S+, since 2"
        assert re.search(since, told), told
        assert len(told.splitlines()) == 2, told
    finally:
        collector.resume()
    last.release()
    assert_expected(first, corpora[0])


def command(corpus, output, *options):
    path, restrictions, _ = corpus
    start = [sys.executable, "-m", "linkmatch_ray", "submit", str(path), "-r", str(restrictions), "-o", str(output)]
    return [*start, *options]


@pytest.mark.usefixtures("ray_session")
def test_on_one_ray(corpora, last, tmp_path):
    """Two jobs of one program, and one collector killed: the bytes of both are those of each alone."""
    jobs = [begin(each, tmp_path / str(number), last) for number, each in enumerate(corpora)]
    while not all(job.progress().ends.get("matched") for job in jobs):
        assert not jobs[0].wait(0.005), "the first job was over before the second was under way"
    titled("ray::Collector")[0].kill()
    last.release()
    for job, each in zip(jobs, corpora, strict=True):
        assert_expected(job, each)


CLUSTER = """
import subprocess, sys
from ray.cluster_utils import Cluster

head = {"num_cpus": 2, "object_store_memory": 256 << 20, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args=head)
jobs = [subprocess.Popen([*each.split("\\t"), "--address", cluster.address]) for each in sys.argv[1:]]
print("codes", *(job.wait() for job in jobs))
cluster.shutdown()
"""


def test_two_programs_on_one_cluster(corpora, tmp_path, command_environment):
    """The same of two commands that join a cluster."""
    commands = ["\t".join(command(each, tmp_path / str(number))) for number, each in enumerate(corpora)]
    done = subprocess.run(
        [sys.executable, "-c", CLUSTER, *commands],
        env=command_environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert "codes 0 0" in done.stdout, done.stdout + done.stderr
    for number, each in enumerate(corpora):
        assert (tmp_path / str(number) / "matched.jsonl").read_bytes() == each[2]
