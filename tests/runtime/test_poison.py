"""A file whose reading kills its worker every time becomes an entry, and the rest completes."""

import gzip
import json
import subprocess
import sys

import pytest

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
    runtime_env={"worker_process_setup_hook": "tests.runtime.poison.setup"},
)
job = submit([sys.argv[1]], Restrictions.load(b'["a"]'), output=sys.argv[2], workers=2, part_bytes=int(sys.argv[3]))
job.result(120)
ray.shutdown()
"""


@pytest.mark.parametrize("part_bytes", [1_000, 1 << 20])
def test_a_poison_file(part_bytes, tmp_path, command_environment):
    """Among small files, and after one of many parts in the same unit: nothing else is lost or doubled."""
    top = tmp_path / "in"
    top.mkdir()
    expected = []
    for number in range(20):
        lines = [GOOD % (1000 * number + place) for place in range(3 if number != 5 else 800)]
        expected += lines
        content = b"".join(lines)
        name = f"{number:02}.json"
        (top / name).write_bytes(gzip.compress(content) if number == 5 else content)
    (top / "11-poison.json").write_bytes(GOOD % 0)
    done = subprocess.run(
        [sys.executable, "-c", SUBMIT, str(top), str(tmp_path / "out"), str(part_bytes)],
        env=command_environment,
        capture_output=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr.decode()
    summary = json.loads((tmp_path / "out" / "summary.json").read_bytes())
    assert summary["faults"] == {"worker_died": 1}
    assert summary["totals"]["records"] == len(expected)
    assert (tmp_path / "out" / "matched.jsonl").read_bytes() == b"".join(expected)
    (entry,) = (json.loads(line) for line in (tmp_path / "out" / "quarantine.jsonl").read_bytes().splitlines())
    assert (entry["reason"], entry["file"]) == ("worker_died", str(top / "11-poison.json"))
