"""A file whose reading kills its worker every time, or never ends, becomes an entry, and the rest completes."""

import gzip
import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

GOOD = b'{"data":"a","n":%d}\n'

SUBMIT = """
import sys
import ray
from linkmatch_ray import Restrictions, submit
from linkmatch_ray.runtime.session.ray_internals import quick_start

with quick_start(dashboard=False, verbose=False):
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        object_store_memory=256 << 20,
        runtime_env={"worker_process_setup_hook": "tests.support.poison.setup"},
    )
more = {
    "poison": {"part_bytes": 1_000},
    "stalls": {"part_bytes": 1 << 20},
    "stops": {"part_bytes": 1_000, "one_file_per_task": True},
}
for name in more:  # one after another: the last of them keeps the CPUs
    job = submit(
        [f"{sys.argv[1]}/{name}/in"],
        Restrictions.load(b'["a"]'),
        output=f"{sys.argv[1]}/{name}/out",
        workers=2,
        task_timeout=3,
        **more[name],
    )
    job.result(240)
ray.shutdown()
"""


def good_files(top):
    """Small files, and one of many parts; returns the lines that they must give."""
    top.mkdir(parents=True)
    expected = []
    for number in range(20):
        lines = [GOOD % (1000 * number + place) for place in range(3 if number != 5 else 800)]
        expected += lines
        content = b"".join(lines)
        name = f"{number:02}.json"
        (top / name).write_bytes(gzip.compress(content) if number == 5 else content)
    return expected


@pytest.fixture(scope="module")
def jobs(tmp_path_factory, command_environment):
    """Three jobs on one Ray, each with other bad files; gives their place, and the lines of the good ones."""
    top = tmp_path_factory.mktemp("poison")
    for name in ("poison", "stalls", "stops"):
        expected = good_files(top / name / "in")
    (top / "poison/in/11-poison.json").write_bytes(GOOD % 0)
    (top / "stalls/in/11-stalls.json").write_bytes(GOOD % 0)
    (top / "stalls/in/99-once.json").write_bytes(GOOD % 1)
    for number in range(3):
        (top / f"stops/in/00-{number}-stops.json").write_bytes(GOOD % 0)
    command = [sys.executable, "-c", SUBMIT, top]
    done = subprocess.run(command, env=command_environment, capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return top, expected


def results(out):
    """Summary, matched output and quarantine entries."""
    entries = [json.loads(line) for line in (out / "quarantine.jsonl").read_bytes().splitlines()]
    return json.loads((out / "summary.json").read_bytes()), (out / "matched.jsonl").read_bytes(), entries


def test_a_poison_file(jobs):
    """Among small files, and after one of many parts in the same unit: nothing else is lost or doubled."""
    top, expected = jobs
    summary, matched, (entry,) = results(top / "poison/out")
    assert summary["faults"] == {"worker_died": 1}
    assert summary["totals"]["records"] == len(expected)
    assert matched == b"".join(expected)
    assert (entry["reason"], entry["file"]) == ("worker_died", f"{top}/poison/in/11-poison.json")


def test_a_read_that_never_ends(jobs):
    """Tried again, each time by another process; one that ends at the second try is read whole."""
    top, expected = jobs
    summary, matched, (entry,) = results(top / "stalls/out")
    assert summary["faults"] == {"timed_out": 1}
    assert matched == b"".join([*expected, GOOD % 1])
    assert (entry["reason"], entry["file"]) == ("timed_out", f"{top}/stalls/in/11-stalls.json")
    assert "produced no output for 3 s" in entry["message"]


def test_processes_that_cannot_be_ended(jobs):
    """More of them than there are CPUs, which they keep: the rest of the files are read all the same."""
    top, expected = jobs
    summary, matched, entries = results(top / "stops/out")
    assert summary["faults"] == {"timed_out": 3}
    assert matched == b"".join(expected)
    assert all("process " in entry["message"] for entry in entries)
