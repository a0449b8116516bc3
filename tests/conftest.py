"""Test-wide set-up: Hypothesis prints what replays a failure, and Ray starts once per session."""

import os
import tempfile
from itertools import chain, zip_longest
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from linkmatch_ray.runtime.session.auth_token import keep_token
from linkmatch_ray.runtime.session.ray_internals import quick_start
from tests.support.held import held
from tests.support.tiers import examples

REPO = Path(__file__).resolve().parent.parent
NICENESS = "RAY_worker_niceness"
os.environ[NICENESS] = "0"  # Ray's own is 15: its workers would stand still while other tests compute
ENVIRONMENT = dict(os.environ)  # as it was before Ray set its own variables in this process

settings.register_profile(
    "linkmatch",
    max_examples=examples(100),
    derandomize=True,  # the same examples every time: a run says something of the code; `scripts/fuzz` searches
    print_blob=True,
    deadline=None,  # two shared cores: time says nothing about one example
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("search", settings.get_profile("linkmatch"), derandomize=False)
settings.load_profile(os.environ.get("LINKMATCH_HYPOTHESIS", "linkmatch"))


UNMEASURED = {"properties", "simulation", "durability"}
"""Tiers that try the same lines with much input. Coverage makes a test take up to twice as long, so lines are counted
for the first case of each other test only."""


def pytest_collection_modifyitems(items):
    """Slow files begin first, so that no worker waits for another at the end, in turn with others: those that wait for
    Ray run beside those that compute."""
    measured = set()
    for item in items:
        test = item.path, item.originalname
        if item.path.relative_to(REPO / "tests").parts[0] in UNMEASURED or test in measured:
            item.add_marker("no_cover")
        measured.add(test)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    others = [path for path in dict.fromkeys(item.path for item in items) if path not in slow]
    in_turn = chain.from_iterable(zip_longest(sorted(slow), others))
    place = {path: number for number, path in enumerate(in_turn)}
    items.sort(key=lambda item: place[item.path])


@pytest.fixture(scope="session", autouse=True)
def token():
    """This user's token for Ray. Ray itself would make one that others can read, and each command would warn of it."""
    keep_token()


@pytest.fixture(scope="session")
def ray_session():
    """One local Ray for the whole session, shut down at its end; `submit` uses the Ray that runs."""
    import ray

    with quick_start(dashboard=False, verbose=False):
        ray.init(
            address="local",
            num_cpus=4,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
            object_store_memory=256 << 20,
        )
    yield ray
    ray.shutdown()


@pytest.fixture(scope="session")
def command_environment():
    """The environment for command-line subprocesses: this one's, without what Ray put there."""
    kept = {name: value for name, value in ENVIRONMENT.items() if name != "RAY_ADDRESS"}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, (str(REPO), kept.get("PYTHONPATH"))))}


@pytest.fixture
def last():
    """The last input of a job that is to be under way until it is cancelled, or this is released."""
    with held() as last:
        yield last


@pytest.fixture
def sparse_file():
    """Makes a file that begins with some bytes and has a size; on tmpfs, as few file systems take a petabyte."""
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no /dev/shm, which takes large sparse files")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:

        def make(size, head=b""):
            path = Path(folder, f"{size}.jsonl")
            path.write_bytes(head)
            os.truncate(path, size)
            return path

        yield make
