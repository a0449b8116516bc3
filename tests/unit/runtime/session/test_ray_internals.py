"""The names of Ray's own that we use are there, and do what we think; a Ray without them fails here first."""

import inspect
import os
import re
from datetime import datetime

import pytest
from ray import _raylet
from ray._private import grpc_utils, node, ray_constants, services, state, utils, worker
from ray._private.authentication import authentication_utils
from ray.dashboard import optional_deps
from ray.dashboard.subprocesses.module import SubprocessModule
from ray.dashboard.utils import get_all_modules
from ray.job_config import JobConfig

from linkmatch_ray.runtime.session import ray_directory, ray_internals


def test_the_names_are_there():
    """Where one is missing its function does nothing."""
    assert ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR == ray_internals.LOOPBACK_VARIABLE
    assert ray_constants.ENABLE_RAY_CLUSTER is True
    assert isinstance(worker._worker_logs_enabled, bool)
    assert worker._global_node is None or isinstance(worker._global_node.temp_dir, str)
    assert "self.temp_dir = " in inspect.getsource(node.Node._init_temp)
    assert "utils.get_entrypoint_name()" in inspect.getsource(worker.init)
    assert "main.__file__" in inspect.getsource(worker.connect)
    assert isinstance(utils.get_entrypoint_name(), str)
    assert JobConfig()._py_driver_sys_path == []
    assert callable(JobConfig._get_proto_job_config)
    assert services.canonicalize_bootstrap_address("192.0.2.1:6379") == "192.0.2.1:6379"
    assert callable(grpc_utils.init_grpc_channel)
    assert isinstance(authentication_utils.is_token_auth_enabled(), bool)
    assert callable(_raylet.Config.initialize)
    assert callable(_raylet.AuthenticationTokenLoader.instance().get_raw_token)
    assert JobConfig(metadata={"job_name": "name"}).metadata == ray_internals.job_config("name").metadata
    assert "ray._private.services.get_node(" in inspect.getsource(node.Node.__init__)
    assert callable(services._get_gcs_client_options)
    assert services.ray._private.utils.get_dashboard_dependency_error() is None
    imported = re.findall(r"^(?:import|from) (\w+)", inspect.getsource(optional_deps), re.MULTILINE)
    assert set(imported) == set(ray_internals._OF_DASHBOARD)
    assert callable(state.GlobalState._initialize_global_state)
    assert "env_updates" in inspect.signature(services.start_ray_process).parameters


@pytest.mark.parametrize("dashboard", [False, True])
@pytest.mark.parametrize("verbose", [False, True])
def test_only_what_is_used_is_started_meanwhile(dashboard, verbose):
    """The methods of Ray's node that start a process each are its own again afterwards."""
    starters = ("start_monitor", "start_api_server", "start_log_monitor")
    before = [getattr(node.Node, name) for name in starters]
    with ray_internals.quick_start(dashboard=dashboard, verbose=verbose):
        meanwhile = [getattr(node.Node, name) for name in starters]
        assert [mine is theirs for mine, theirs in zip(meanwhile, before, strict=True)] == [False, dashboard, verbose]
    assert [getattr(node.Node, name) for name in starters] == before
    assert "webui_url" in inspect.getsource(node.Node.start_api_server)


def test_rays_processes_are_marked_meanwhile(monkeypatch):
    """Each gets the variable beside its own, and this program does not have it."""
    given = []
    monkeypatch.setattr(services, "start_ray_process", lambda command, **more: given.append((command, more)))
    with ray_internals.marked("MARK", "1"):
        services.start_ray_process("gcs", env_updates={"A": "2"}, fate_share=True)
        services.start_ray_process("raylet")
        assert "MARK" not in os.environ
    services.start_ray_process("unmarked")
    both = {"A": "2", "MARK": "1"}
    assert given[0] == ("gcs", {"env_updates": both, "fate_share": True})
    assert given[1:] == [("raylet", {"env_updates": {"MARK": "1"}}), ("unmarked", {})]


def test_loopback_only_meanwhile():
    """Ray takes 127.0.0.1 for the node's address while an embedded Ray is started, and as before afterwards."""
    before = services.resolve_ip_for_localhost("127.0.0.1")
    with ray_internals.on_loopback():
        assert os.environ[ray_internals.LOOPBACK_VARIABLE] == "0"
        if worker._global_node is None:
            assert services.resolve_ip_for_localhost("127.0.0.1") == "127.0.0.1"
    assert ray_internals.LOOPBACK_VARIABLE not in os.environ
    assert services.resolve_ip_for_localhost("127.0.0.1") == before


def test_what_ray_is_told_is_utf8(monkeypatch):
    """The command line, the program's file and the workers' module path, and only those that have to be changed."""
    import __main__

    monkeypatch.setattr(utils, "get_entrypoint_name", lambda: "submit in\udcff ü")
    monkeypatch.setattr(__main__, "__file__", "s\udcff.py", raising=False)
    with ray_internals.in_utf8():
        assert utils.get_entrypoint_name() == "submit in\\xff ü"
        assert __main__.__file__ == "s\\xff.py"
    assert __main__.__file__ == "s\udcff.py"
    config = ray_internals.job_config("name")
    config._py_driver_sys_path.extend(["/a", "/b\udcff", "/ü"])
    assert list(config._get_proto_job_config().py_driver_sys_path) == ["/a", "/ü"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what Ray's dashboard imports
def test_no_socket_of_rays_has_a_longer_name():
    """What a directory's name may have in bytes is reckoned from these."""
    begins = inspect.getsource(node.Node.__init__)
    assert '"%Y-%m-%d_%H-%M-%S_%f"' in begins
    assert 'f"session_{date_str}_{os.getpid()}"' in begins
    session, _, socket = ray_directory.LONGEST_SOCKET_OF_DASHBOARD.split("/")
    date, pid = session.removeprefix("session_").rsplit("_", 1)
    datetime.strptime(date, "%Y-%m-%d_%H-%M-%S_%f")
    assert len(pid) == len("4194304")  # the kernel's highest
    of_dashboard = [f"dash_{module.__name__}" for module in get_all_modules(SubprocessModule)]
    assert len(of_dashboard) > 5
    assert max(map(len, of_dashboard)) == len(socket)
