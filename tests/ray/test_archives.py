"""Archives on a real Ray: a zip is read by several tasks, and whatever is killed, the bytes are the same."""

import contextlib
import gzip
import json
import time

import psutil
import pytest

from linkmatch_ray import Restrictions, submit
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.verification import Checked, verify
from tests.support.archives import tar_of, zip_of
from tests.support.processes import titled

pytestmark = pytest.mark.usefixtures("ray_session")

MEMBERS = [(f"{n % 7}/{n}.json", b'[{"data":%d},{"data":"x%d"}]' % (n % 10, n)) for n in range(5_000)]
DEADLINE_SECONDS = 60


@pytest.mark.parametrize("kind", ["zip", "tgz"])
def test_a_job_over_an_archive(kind, tmp_path):
    """With a worker killed in the middle: all records once, in the archive's order."""
    (tmp_path / "all").write_bytes(zip_of(MEMBERS) if kind == "zip" else gzip.compress(tar_of(MEMBERS), 1))
    restrictions = Restrictions.load(json.dumps([{"data": n} for n in range(3)]).encode())
    how = {"emit": "both", "workers": 2, "unit_bytes": 20_000, "part_bytes": 5_000}
    job = submit(tmp_path / "all", restrictions, output=tmp_path / "out", **how)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not job.wait(0.005) and time.monotonic() < deadline:
        if job.progress().files_done and (running := titled("ray::match")):
            with contextlib.suppress(psutil.NoSuchProcess):
                running[0].kill()
            break
    summary = job.result(DEADLINE_SECONDS)
    assert summary["units"] == (1 if kind == "tgz" else pytest.approx(8, abs=2))
    assert (summary["totals"]["files"], summary["totals"]["records"]) == (5_000, 10_000)
    assert list(verify(results_at(tmp_path / "out"), Checked())) == []
    matched = [b'{"data":%d}' % (n % 10) for n in range(5_000) if n % 10 < 3]
    assert (tmp_path / "out" / "matched.jsonl").read_bytes().split() == matched
