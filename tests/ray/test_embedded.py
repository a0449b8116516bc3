"""What an embedded Ray lets others do: nothing from another machine, nothing as another user, all to who is let in."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from linkmatch_ray.runtime.session.ray_directory import LONGEST_SOCKET_OF_DASHBOARD, SOCKET_BYTES_MAX
from linkmatch_ray.runtime.session.ray_internals import LOOPBACK_VARIABLE
from tests.conftest import NICENESS, REPO
from tests.support.processes import descendants

pytestmark = pytest.mark.slow

PROGRAM = REPO / "tests/support/embedded.py"
SECONDS_MAX = 90
LISTENERS_MIN = 10
"""Of Ray's processes; there are 13 or more."""

ADDRESS = "198.51.100.7"
NOBODY = 65534
TOKEN = re.compile(r"[0-9a-f]{64}")


@pytest.fixture(scope="module")
def two_interfaces():
    """A network namespace with loopback and another interface, by which other machines could come in."""
    name = f"lm{os.getpid()}"
    commands = [
        f"netns add {name}",
        f"-n {name} link set lo up",
        f"-n {name} link add one type veth peer name other",
        f"-n {name} addr add {ADDRESS}/24 dev one",
        f"-n {name} addr add fd00:aa::7/64 dev one nodad",
        f"-n {name} link set one up",
        f"-n {name} link set other up",
        f"-n {name} route add default via 198.51.100.1",
    ]
    if shutil.which("ip") is None or shutil.which("ss") is None:
        pytest.skip("needs ip and ss (iproute2)")
    try:
        for command in commands:
            done = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"cannot make a network namespace (not root?): {done.stderr.strip()}")
        yield ["ip", "netns", "exec", name]
    finally:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


class Held:
    """The program, while it waits to be told how to end; `said` is what it has said of itself."""

    def __init__(self, environment, *arguments, before=(), program=PROGRAM, name=b"held", cwd=None):
        self.top = Path(tempfile.mkdtemp(prefix="lm", dir="/tmp"))
        self.top.chmod(0o755)  # as homes are on many machines
        (self.top / "in.jsonl").write_bytes(b'{"data":"a"}\n{"data":"b"}\n' * 100)
        self.home = self.top / "home"
        self.home.mkdir(0o755)
        known = {key: value for key, value in environment.items() if not key.startswith("RAY_") or key == NICENESS}
        self.environment = known | {"HOME": str(self.home), "RAY_TMPDIR": str(self.top)}
        self.before = list(before)
        self.arguments = arguments
        self._command, self._cwd = [program, *arguments, name], cwd or self.top

    def start(self):
        self.process = subprocess.Popen(
            [*self.before, sys.executable, *self._command],
            cwd=self._cwd,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate()[1])
        self.said = json.loads(line)
        self.directory = Path(self.said["directory"])
        return self

    def end(self, how):
        """Tell it how to end; what it then says, and its errors."""
        return self.process.communicate(f"{how}\n", timeout=SECONDS_MAX)

    def run(self, code, *arguments, **more):
        """What another program on the same machine prints."""
        return subprocess.run(
            [*self.before, sys.executable, "-c", code, *arguments],
            cwd=REPO,
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )

    def clean(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        shutil.rmtree(self.top, ignore_errors=True)


@contextmanager
def holding(*arguments, **options):
    held = Held(*arguments, **options)
    try:
        yield held.start()
    finally:
        held.clean()


@pytest.fixture(scope="module", params=["no dashboard", "dashboard"])
def held(request, command_environment, two_interfaces):
    """A program with an embedded Ray, after a job; and one with a dashboard, Ray imported before, the longest path."""
    arguments = ["job", *(["dashboard", "ray-before"] if request.param == "dashboard" else [])]
    found = Held(command_environment, *arguments, before=two_interfaces)
    if request.param == "dashboard":
        bytes_max = SOCKET_BYTES_MAX - len(f"//lmr-12345678/r/{LONGEST_SOCKET_OF_DASHBOARD}")
        found.environment["RAY_TMPDIR"] = f"{found.top}/".ljust(bytes_max, "y")
    try:
        yield found.start()
    finally:
        found.clean()


def listeners(held):
    """(address, process) of all sockets in the namespace that take connections or datagrams."""
    found = []
    for kind in ("-Hltnp", "-Hlunp"):
        done = subprocess.run([*held.before, "ss", kind], capture_output=True, text=True, check=True)
        found += [(line.split()[3], line.split()[-1]) for line in done.stdout.splitlines()]
    return found


def test_it_listens_on_loopback_alone(held):
    """Every socket of every process of it, in a namespace where another machine could come in."""
    found = listeners(held)
    ours = {str(process.pid) for process in (held.process, *descendants(held.process.pid))}
    assert len([one for one in found if ours & set(re.findall(r"pid=(\d+)", one[1]))]) >= LISTENERS_MIN
    beyond = [one for one in found if not re.match(r"127\.0\.0\.1:|\[::1\]:|\[::ffff:127\.0\.0\.1\]:", one[0])]
    assert beyond == []
    assert held.said["matched"] == 100


def test_it_starts_only_what_is_used(held):
    """Not Ray's autoscaler, which also ends late, nor its reader of logs, nor a server without a dashboard."""
    lines = descendants(held.process.pid).values()
    started = {
        name for name in ("monitor.py", "log_monitor.py", "dashboard.py") for line in lines if f"/{name}" in line
    }
    assert started == {"dashboard.py"} & {f"{argument}.py" for argument in held.arguments}
    assert any("/raylet " in line for line in lines)


STRANGER = """
import json, os, sys
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
top, pids = sys.argv[2], sys.argv[3:]
read, written = [], []
def look(path):
    try:
        with open(path, "rb") as file: read.append((path, file.read().decode("latin-1")))
    except OSError: pass
for folder, folders, files in os.walk(top):
    for name in files: look(os.path.join(folder, name))
    for name in (".", *folders):
        if os.access(os.path.join(folder, name), os.W_OK): written.append(os.path.join(folder, name))
for pid in pids:
    for name in ("environ", "cmdline", "maps"): look(f"/proc/{pid}/{name}")
    try: fds = os.listdir(f"/proc/{pid}/fd")
    except OSError: fds = []
    for fd in fds: look(f"/proc/{pid}/fd/{fd}")
print(json.dumps([read, written]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_finds_no_token(held):
    """Not in files that lead to it, nor in Ray's, nor in what the kernel tells of its processes; and writes nothing."""
    token = (held.home / ".ray/auth_token").read_text()
    assert TOKEN.fullmatch(token)
    pids = [str(process.pid) for process in (held.process, *descendants(held.process.pid))]
    done = held.run(STRANGER, str(NOBODY), str(held.top), *pids)
    assert done.returncode == 0, done.stderr
    read, written = json.loads(done.stdout)
    paths = [path for path, _ in read]
    assert str(held.top / "in.jsonl") in paths  # it looks at all it can
    assert len([path for path in paths if path.endswith("/cmdline")]) == len(pids)
    assert [path for path, text in read if token in text] == []
    assert [path for path in (*paths, *written) if "/lmr-" in path or "/.ray/" in path] == []
    assert not [path for path in paths if path.startswith("/dev/shm") or "/fd/" in path]


ASK = """
import http.client, json, sys, urllib.error, urllib.request
import grpc
said = {}
for port in sys.argv[1:]:
    said[port] = found = []
    for path in ("", "api/version", "api/jobs/", "logs/"):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=20) as answer:
                found.append(answer.read().decode()[:20])
        except urllib.error.HTTPError as error: found.append(error.code)
        except (OSError, http.client.HTTPException): pass  # it speaks gRPC
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for method in ("InternalKVGcsService/InternalKVKeys", "NodeManagerService/GetNodeStats",
                       "ObjectManagerService/Push", "CoreWorkerService/PushTask", "ReporterService/GetTraceback"):
            try:
                channel.unary_unary(f"/ray.rpc.{method}")(b"", timeout=20)
                found.append(method)
            except grpc.RpcError as error: found.append(error.code().name)
print(json.dumps(said))
"""


def test_its_ports_ask_for_the_token(held):
    """What answers without it has measurements, or is the dashboard's page, which has nothing in it."""
    ports = [where.rpartition(":")[2] for where, _ in listeners(held)]
    done = held.run(ASK, *ports)
    assert done.returncode == 0, done.stderr
    open_ = []
    for port, found in json.loads(done.stdout).items():
        refused = {401, "UNAUTHENTICATED"} & set(found)
        answered = set(found) - {401, 404, 405, "UNAUTHENTICATED", "UNIMPLEMENTED", "UNAVAILABLE", "INTERNAL"}
        assert {str(one)[:6] for one in answered} <= {"# HELP", "<!doct"}, (port, found)
        assert refused or answered, (port, found)
        open_ += [port for _ in answered if not refused]
    assert len(open_) <= 12, open_
    assert len(open_) < len(ports)


JOIN = """
import ray, sys
ray.init(address=sys.argv[1], namespace="linkmatch", log_to_driver=False)
print(ray.get(ray.get_actor("linkmatch:held").progress.remote())["state"])
"""


def test_a_program_that_joins(held):
    """With the token and the variable, as the README says."""
    done = held.run(JOIN, held.said["address"], RAY_AUTH_MODE="token", **{LOOPBACK_VARIABLE: "0"})
    assert done.stdout.split() == ["running"], done.stderr


def test_a_session_that_cannot_join(held):
    """Without the variable it is told which it lacks, where Ray would wait for ever."""
    code = "import sys; from linkmatch_ray.runtime.session.session import Session; Session(sys.argv[1]).ready()"
    done = held.run(code, held.said["address"], RAY_AUTH_MODE="token")
    assert f"set {LOOPBACK_VARIABLE}=0" in done.stderr


def test_all_is_gone_at_the_end(held):
    """Its files, and what it set in the environment, so that the same program can join a real cluster."""
    assert held.directory.is_dir()
    said, _ = held.end("close")
    assert not held.directory.exists()
    assert not {"RAY_AUTH_MODE", LOOPBACK_VARIABLE} & set(json.loads(said))


def test_a_program_that_is_killed(command_environment):
    """The next start removes what it left; with --verbose its own files stay, and it says where."""
    with holding(command_environment) as held:
        held.process.kill()
        held.process.communicate()
        assert held.directory.is_dir()
        (held.top / "list.json").write_text('["a"]')
        command = [sys.executable, "-m", "linkmatch_ray", "submit", "in.jsonl", "-r", "list.json", "--verbose"]
        done = subprocess.run(
            command, cwd=held.top, env=held.environment, capture_output=True, text=True, timeout=SECONDS_MAX
        )
        assert done.returncode == 0, done.stderr
        assert not held.directory.exists()
        (kept,) = held.top.glob("lm[rk]-*")
        assert f"{kept}: Ray's logs are kept there." in done.stderr
        assert list(kept.glob("r/session_*/logs/raylet.out"))


def test_names_that_are_not_utf8(command_environment):
    """Of the program, of its folder, on its command line, of its results and in its errors: Ray carries them all. Ray's
    files go, though the program ends with an error and does not close it."""
    with tempfile.TemporaryDirectory(prefix=b"lm", dir=b"/tmp") as top:
        folder, program = os.path.join(top, b"cwd\xff"), os.path.join(top, b"program\xff.py")
        os.mkdir(folder)
        shutil.copy(os.fsencode(PROGRAM), program)
        with holding(command_environment, program=program, name=b"out\xff", cwd=folder) as held:
            assert held.said["failed"] == "out\\xff: failed"
            assert os.path.exists(os.path.join(folder, b"out\xff", b"ledger.sqlite"))
            held.end("raise")
            assert held.process.returncode == 1
            assert not held.directory.exists()


TWO_JOBS = """
import logging, os, sys, time, ray
from ray._private import ray_constants, worker
from linkmatch_ray import Restrictions, submit
from linkmatch_ray.runtime.session import session
shut_down = session._shut_down
def slowly(*args):
    time.sleep(1)  # so that a job which does not wait for it is ahead of it
    shut_down(*args)
session._shut_down = slowly
def state():
    names = ("RAY_AUTH_MODE", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")
    found = [os.environ.get(name) for name in names]
    return [*found, ray_constants.ENABLE_RAY_CLUSTER, worker._worker_logs_enabled, logging.getLogger("ray").level]
before, restrictions = state(), Restrictions.load(b'["a"]')
jobs = [submit([sys.argv[1]], restrictions, output=f"{sys.argv[1]}-{n}") for n in range(2)]
assert [job.result(120)["totals"]["matched"] for job in jobs] == [1, 1]
assert state() == before, (state(), before)
first, second = session.Session(workers=1), session.Session(workers=1)
assert first.ready() is second.ready() is ray
first.close()
assert ray.is_initialized()
second.close()
assert state() == before, (state(), before)
assert not ray.is_initialized()
"""


def test_two_jobs_of_one_program(command_environment, tmp_path):
    """They share a Ray until both have ended, whichever began it. Then the program is as it was, and begins another."""
    (tmp_path / "in.json").write_text('{"data":"a"}')
    command = [sys.executable, "-c", TWO_JOBS, str(tmp_path / "in.json")]
    done = subprocess.run(command, env=command_environment, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "Exception" not in done.stderr
