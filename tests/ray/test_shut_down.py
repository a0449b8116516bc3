"""A program that shuts its Ray down before its job has ended: the job says so, and starts or joins no other."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys, ray
from linkmatch_ray import Restrictions, submit
from linkmatch_ray.errors import JobError
from linkmatch_ray.runtime.session.ray_internals import quick_start
from tests.support.held import held

with quick_start(dashboard=False, verbose=False):
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="critical")
with held() as last:
    job = submit([sys.argv[1], last.url], Restrictions.load(b'["a"]'), output=sys.argv[2], one_file_per_task=True)
    while not job.progress().ends.get("matched"):
        assert not job.wait(0.05)
    ray.shutdown()
    try:
        job.result(90)
    except JobError as error:
        print(error)
    assert not ray.is_initialized()
job = submit([sys.argv[1]], Restrictions.load(b'["a"]'), output=sys.argv[2], overwrite=True)
print(job.result(60)["totals"]["matched"])
"""


@pytest.mark.slow
def test_ray_is_shut_down_in_mid_job(command_environment, tmp_path):
    """What was committed is safe, and the program may go on, with a Ray of another job's."""
    (tmp_path / "in.json").write_text('{"data":"a"}')
    line = [sys.executable, "-c", PROGRAM, str(tmp_path / "in.json"), str(tmp_path / "out")]
    done = subprocess.run(line, env=command_environment, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr
    said, matched = done.stdout.splitlines()
    assert said == "Ray was shut down before the job had ended. Keep it until the job's end, and submit the job again."
    assert matched == "1"
