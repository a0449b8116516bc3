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

ray.init(
    address="local",
    num_cpus=2,
    include_dashboard=False,
    log_to_driver=False,
    logging_level="error",
    object_store_memory=256 << 20,
    runtime_env={"worker_process_setup_hook": "tests.support.poison.setup"},
)
job = submit(
    [sys.argv[1]],
    Restrictions.load(b'["a"]'),
    output=sys.argv[2],
    workers=2,
    part_bytes=int(sys.argv[3]),
    task_timeout=3,
    one_file_per_task=len(sys.argv) > 4,
)
job.result(240)
ray.shutdown()
"""


def good_files(top):
    """Small files, and one of many parts; returns the lines that they must give."""
    top.mkdir()
    expected = []
    for number in range(20):
        lines = [GOOD % (1000 * number + place) for place in range(3 if number != 5 else 800)]
        expected += lines
        content = b"".join(lines)
        name = f"{number:02}.json"
        (top / name).write_bytes(gzip.compress(content) if number == 5 else content)
    return expected


def run(tmp_path, environment, part_bytes, *more):
    """The job in a program of its own; returns summary, matched output and quarantine entries."""
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", SUBMIT, str(tmp_path / "in"), str(out), str(part_bytes), *more],
        env=environment,
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode()
    summary = json.loads((out / "summary.json").read_bytes())
    entries = [json.loads(line) for line in (out / "quarantine.jsonl").read_bytes().splitlines()]
    return summary, (out / "matched.jsonl").read_bytes(), entries


def test_a_poison_file(tmp_path, command_environment):
    """Among small files, and after one of many parts in the same unit: nothing else is lost or doubled."""
    expected = good_files(tmp_path / "in")
    (tmp_path / "in" / "11-poison.json").write_bytes(GOOD % 0)
    summary, matched, (entry,) = run(tmp_path, command_environment, 1_000)
    assert summary["faults"] == {"worker_died": 1}
    assert summary["totals"]["records"] == len(expected)
    assert matched == b"".join(expected)
    assert (entry["reason"], entry["file"]) == ("worker_died", str(tmp_path / "in" / "11-poison.json"))


def test_a_read_that_never_ends(tmp_path, command_environment):
    """Tried again, each time by another process; one that ends at the second try is read whole."""
    expected = good_files(tmp_path / "in")
    (tmp_path / "in" / "11-stalls.json").write_bytes(GOOD % 0)
    (tmp_path / "in" / "99-once.json").write_bytes(GOOD % 1)
    summary, matched, (entry,) = run(tmp_path, command_environment, 1 << 20)
    assert summary["faults"] == {"timed_out": 1}
    assert matched == b"".join([*expected, GOOD % 1])
    assert (entry["reason"], entry["file"]) == ("timed_out", str(tmp_path / "in" / "11-stalls.json"))
    assert "produced no output for 3 s" in entry["message"]


def test_processes_that_cannot_be_ended(tmp_path, command_environment):
    """More of them than there are CPUs, which they keep: the rest of the files are read all the same."""
    expected = good_files(tmp_path / "in")
    for number in range(3):
        (tmp_path / "in" / f"00-{number}-stops.json").write_bytes(GOOD % 0)
    summary, matched, entries = run(tmp_path, command_environment, 1_000, "one file a task")
    assert summary["faults"] == {"timed_out": 3}
    assert matched == b"".join(expected)
    assert all("process " in entry["message"] for entry in entries)
