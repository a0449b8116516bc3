"""cluster.yaml and the Kubernetes manifest hold what their comments promise."""

import re
import shlex
import subprocess
import sys
import tomllib

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

import linkmatch_ray
from tests.conftest import REPO

pytestmark = pytest.mark.slow

TEXT = (REPO / "cluster.yaml").read_text("utf-8")
MANIFEST = (REPO / "scripts" / "kuberay-rayjob.yaml").read_text("utf-8")
RAY = re.search(r"^ray==(.+)$", (REPO / "scripts" / "constraints.txt").read_text("utf-8"), re.MULTILINE)[1]


@pytest.fixture
def config():
    return yaml.safe_load(TEXT)


@pytest.fixture
def job():
    return yaml.safe_load(MANIFEST)


def options(command):
    """The options of the `ray start` in a command."""
    words = shlex.split(command.partition("ray start ")[2])
    return dict(word.removeprefix("--").partition("=")[::2] for word in words)


def test_ray_up_takes_it(config):
    """Prepared and validated as `ray up` does; it wants as many workers as there are addresses."""
    prepared = prepare_config(config)
    validate_config(prepared)
    node = prepared["available_node_types"][prepared["head_node_type"]]
    assert node["min_workers"] == node["max_workers"] == len(config["provider"]["worker_ips"])


def test_a_reader_changes_three_lines(config):
    """Addresses and user, each marked."""
    marked = [line.split(":")[0].strip() for line in TEXT.splitlines() if "# CHANGE" in line]
    assert marked == ["head_ip", "worker_ips", "ssh_user"]
    assert config["provider"]["type"] == "local"


def test_it_brings_the_package_and_the_pinned_ray(config):
    """What scripts/install reads is brought along; the version that is named is the one that it installs."""
    assert re.findall(r"Ray (\d+\.\d+\.\d+)", TEXT) == [RAY]
    mounts = {there: here for there, here in config["file_mounts"].items() if there.startswith("~/linkmatch-ray/")}
    assert all(there == f"~/linkmatch-ray/{here}" and (REPO / here).exists() for there, here in mounts.items())
    needed = {"pyproject.toml", "scripts/install", "scripts/constraints.txt", "linkmatch_ray"}
    settings = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))
    project, hook = settings["project"], settings["tool"]["hatch"]["build"]["hooks"]["custom"]["path"]
    assert set(mounts.values()) == needed | {hook, project["readme"], *project["license-files"]}
    assert config["setup_commands"][0] == "~/linkmatch-ray/scripts/install"


def test_nobody_enters_without_the_token(config):
    """It is on every node, and every Ray there is started with it."""
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert "export RAY_AUTH_MODE=token" in config["setup_commands"][-1]


def test_the_head_matches_nothing(config):
    """No CPUs; all nodes have file descriptors, and the address under which they are known."""
    head, worker = (config[f"{kind}_start_ray_commands"][-1] for kind in ("head", "worker"))
    assert options(head)["num-cpus"] == "0"
    assert "num-cpus" not in options(worker)
    assert options(worker)["address"] == f"$RAY_HEAD_IP:{options(head)['port']}"
    for command in (head, worker):
        assert "ulimit -n 65536" in command
        assert options(command)["node-ip-address"] == "$3"


def test_the_manifest_is_a_rayjob_of_these_versions(job):
    """Fields of ray.io/v1, Ray as pinned, the package as it is here, and on a Python that it runs on."""
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    fields = {"entrypoint", "runtimeEnvYAML", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished"}
    assert job["spec"].keys() == fields | {"rayClusterSpec"}
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster.keys() == {"rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"}
    assert cluster["rayVersion"] == RAY
    assert yaml.safe_load(job["spec"]["runtimeEnvYAML"]) == {"pip": [f"linkmatch-ray=={linkmatch_ray.__version__}"]}
    assert set(re.findall(r"rayproject/ray:\S+", MANIFEST)) == {f"rayproject/ray:{RAY}-py312"}


def test_the_manifest_has_token_volume_and_a_head_that_matches_nothing(job):
    """The same promises as cluster.yaml's."""
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    (workers,) = cluster["workerGroupSpecs"]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    paths = re.findall(r"\S*/data/\S*", job["spec"]["entrypoint"])
    assert len(paths) == 3
    for group in (cluster["headGroupSpec"], workers):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert container["volumeMounts"] == [{"name": "data", "mountPath": "/data"}]
        assert [volume["name"] for volume in pod["volumes"]] == ["data"]
        assert container["resources"]["requests"] == container["resources"]["limits"]


def test_the_manifest_gives_options_that_exist(job, command_environment):
    """Its command is understood: it fails for its missing files (3), not for its options (2)."""
    command = [sys.executable, "-m", "linkmatch_ray", *shlex.split(job["spec"]["entrypoint"])[1:], "--dry-run"]
    done = subprocess.run(command, env=command_environment, capture_output=True, timeout=60)
    assert done.returncode == 3, done.stderr.decode()
