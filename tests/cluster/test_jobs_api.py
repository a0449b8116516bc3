"""Jobs on a cluster, as a user types them: a real one, over HTTP, that asks for a token."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import warnings
from unittest import mock

import pytest
from ray import _raylet

from linkmatch_ray.native.build import LIBRARY, library_of
from linkmatch_ray.runtime.cluster import jobs_api, upload
from linkmatch_ray.runtime.session.address import PACKAGE
from tests.conftest import REPO
from tests.ray.test_scenarios import sliced
from tests.support.cluster import TOKEN, Cluster, Proxy
from tests.support.program import program
from tests.support.readme import block
from tests.support.waiting import comes

pytestmark = pytest.mark.slow

SAMPLE = REPO / "tests/sample/cve"
WAIT_SECONDS_MAX = 60
FILES = 4


@pytest.fixture(scope="module")
def cluster(command_environment):
    cluster = Cluster(command_environment)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def environment(command_environment):
    """That of a user who has the token."""
    return command_environment | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}


@pytest.fixture
def run(environment, tmp_path, monkeypatch):
    """Runs the command in an empty directory; returns what became of it.

    Over HTTP as this user it runs in this process, as its import of Ray would take most of the time; else in its own.
    """
    monkeypatch.chdir(tmp_path)

    def run(*arguments, address=None, stdin="", **more):
        if address is not None and not more and address.startswith("http"):
            return run_here(environment, arguments, {"RAY_AUTH_TOKEN": TOKEN, "RAY_ADDRESS": address}, stdin)
        command = [sys.executable, "-m", "linkmatch_ray", *map(str, arguments)]
        known = environment | ({"RAY_ADDRESS": address} if address else {}) | more
        known = {name: value for name, value in known.items() if value is not None}
        return subprocess.run(command, env=known, capture_output=True, text=True, timeout=120, input=stdin)

    return run


def run_here(environment, arguments, more, stdin=""):
    """Runs the command in this process."""
    known = {name: value for name, value in environment.items() if not name.startswith("RAY_")} | more
    try:
        with mock.patch.dict(os.environ, known, clear=True), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of Ray's client, which users do not see either
            return subprocess.CompletedProcess(arguments, *program(*map(str, arguments), stdin=stdin.encode()))
    finally:  # this process may start a Ray later, which has another token
        _raylet.AuthenticationTokenLoader.instance().reset_cache()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Files too large to share a task, with 100 keys in turn."""
    folder = tmp_path_factory.mktemp("large")
    data = b"".join(b'{"data":%d,"text":"%s"}\n' % (n % 100, b"x" * 200) for n in range(80_000))
    for number in range(FILES):
        (folder / f"{number}.jsonl").write_bytes(data)
    return folder


def test_the_same_as_on_one_machine(cluster, run, tmp_path):
    """The oracle's bytes, which test_scenarios has there; exit code 0, and the summary that was written."""
    command = ["submit", SAMPLE / "links", "-r", SAMPLE / "restrictions.json", "-k", "cveID"]
    there = run(*command, "-o", tmp_path / "there", "--json", "--joinable", address=cluster.url)
    assert "\nTo join job there-" in there.stderr
    assert there.returncode == 0, there.stderr
    assert json.loads(there.stdout) == json.loads((tmp_path / "there/summary.json").read_text())
    total = sliced("sample-cve")[1]
    assert (tmp_path / "there/matched.jsonl").read_bytes() == total.matched
    assert (tmp_path / "there/quarantine.jsonl").read_bytes() == b""
    report = [json.loads(line) for line in (tmp_path / "there/restrictions.jsonl").read_bytes().splitlines()]
    assert {line["index"]: line["hits"] for line in report if line["hits"]} == dict(total.hits)


def test_the_exit_code_is_the_jobs_own(cluster, run, tmp_path):
    """4 where a line is damaged, with the list from standard input; 3 where the cluster does not see the input."""
    (tmp_path / "d.jsonl").write_text('{"id":1,"data":"a"}\n{"id":2,"data":\n{"id":3,"data":"b"}\n')
    done = run("submit", tmp_path / "d.jsonl", "-r", "-", "-o", tmp_path / "out", address=cluster.url, stdin='["a"]')
    assert done.returncode == 4, done.stderr
    assert done.stdout.startswith("1 of 2 records matched (50.00%), by 1 of 1 restriction\n")
    assert done.stdout.endswith(f"Results: {tmp_path}/out/\n")
    assert (tmp_path / "out/matched.jsonl").read_text() == '{"id":1,"data":"a"}\n'
    (tmp_path / "names").write_text("/nowhere/d.jsonl\n")
    arguments = ["submit", "--files-from", "names", "-r", tmp_path / "names", "-o", tmp_path / "out2"]
    done = run(*arguments, "--restrictions-format", "text", address=cluster.url)
    assert done.returncode == 3
    assert "/nowhere/d.jsonl: no such file or directory" in done.stderr


SUBMITTED_FROM_PYTHON = """
import sys
import linkmatch_ray
inputs, output, address = sys.argv[1:]
job = linkmatch_ray.submit_remote(inputs, "r.txt", output=output, key="data", address=address, emit="both")
summary = job.result()
print(summary["totals"]["matched"], job.summary() == summary, job.exit_code(), summary["options"]["emit"])
print(linkmatch_ray.status(job.id, address=address)["summary"] == summary)
try:
    linkmatch_ray.submit_remote(inputs, "[{", output=output + "2", address=address)
except linkmatch_ray.errors.UsageError as error:
    print(error)
try:
    linkmatch_ray.submit_remote(inputs, inputs, output=output + "2", address=address, key="other")
except linkmatch_ray.errors.RestrictionsError as error:
    print(error)
job = linkmatch_ray.submit_remote("/nowhere", b'["a"]', output=output + "2", address=address)
try:
    job.result()
except linkmatch_ray.errors.InputError as error:
    print(error.exit_code)
"""


def test_a_job_from_python(cluster, environment, tmp_path):
    """The same as the command, as values and errors."""
    (tmp_path / "d.jsonl").write_text('{"id":1,"data":"a"}\n{"id":3,"data":"b"}\n')
    (tmp_path / "r.txt").write_text("a\n")
    command = [sys.executable, "-c", SUBMITTED_FROM_PYTHON, tmp_path / "d.jsonl", tmp_path / "out", cluster.url]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    first, status, refused, damaged, failed = done.stdout.splitlines()
    assert (first, status, failed) == ("1 True 0 both", "True", "3")
    assert "a relative path (--restrictions)" in refused
    assert damaged.startswith(f"{tmp_path / 'd.jsonl'}: entry 0")  # found before it was sent


IMPATIENT = """
import sys
from linkmatch_ray.runtime.cluster import jobs_api
from linkmatch_ray.cli.app import main
jobs_api.AGENT_SECONDS_MAX = 0
main()
"""


def test_a_cluster_without_its_agent(command_environment, environment, tmp_path):
    """Another program has its port; Ray goes on without one."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        cluster = Cluster(command_environment, agent_port=other.getsockname()[1])
        command = [sys.executable, "-c", IMPATIENT, "doctor", "--address", cluster.url]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        cluster.stop()
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith(f"linkmatch-ray: {cluster.url}: cannot start jobs")
    assert "dashboard_agent.log" in done.stderr


def test_watched_cancelled_resumed_fetched(cluster, run, large, last, environment, tmp_path):
    """A job that nobody waits for: seen from elsewhere, its results so far fetched, stopped, and completed by the same
    command as a second attempt."""
    command = ["submit", large, last.url, "-r", "-", "-o", tmp_path / "out", "--job-id", "watched"]
    begun = run(*command, "--workers", "1", "--no-wait", address=cluster.url, stdin='[{"data":5}]')
    assert (begun.returncode, begun.stdout) == (0, "watched\n")
    assert f"linkmatch-ray results watched -o DIR --address {cluster.url}" in begun.stderr
    twice = run(*command, address=cluster.url, stdin='[{"data":5}]')
    assert twice.returncode == 1
    assert "watched: is already running on" in twice.stderr

    def status():
        return run("status", "watched", address=cluster.url).stdout

    assert comes(lambda: "matched" in status(), WAIT_SECONDS_MAX), status()
    assert status().startswith("watched: running, attempt 1")
    (tmp_path / "watch.py").write_text(block("python watch.py"))
    known = environment | {"RAY_ADDRESS": cluster.gcs}  # as the README says
    beside = subprocess.run(
        [sys.executable, "watch.py", "watched"], cwd=tmp_path, env=known, capture_output=True, text=True, timeout=60
    )
    assert beside.returncode == 0, beside.stderr
    assert "'state': 'running'" in beside.stdout
    stopped = run("cancel", "watched", address=cluster.url)
    assert (stopped.returncode, stopped.stderr) == (0, "")
    (listed,) = [
        job for job in json.loads(run("jobs", "--json", address=cluster.url).stdout) if job["job_id"] == "watched"
    ]
    assert (listed["state"], listed["submission_id"]) == ("stopped", "watched-1")
    fetched = run("results", "watched", "-o", "partly", address=cluster.url)
    assert fetched.returncode == 0, fetched.stderr
    assert "so far; the job is not complete" in fetched.stdout
    partly = (tmp_path / "partly/matched.jsonl").read_bytes()
    assert partly
    last.release()
    done = run(*command, "--json", address=cluster.url, stdin='[{"data":5}]')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["totals"]["matched"] == FILES * 800
    assert "(attempt 2)" in done.stderr
    fetched = run("results", "watched", "-o", "whole", address=cluster.url)
    assert fetched.returncode == 0, fetched.stderr
    assert (tmp_path / "out/matched.jsonl").read_bytes().startswith(partly)
    for name in ("matched.jsonl", "restrictions.jsonl", "summary.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    log = run("logs", "watched", address=cluster.url).stdout
    assert "python -m linkmatch_ray submit" in log
    assert TOKEN not in log
    over = run("cancel", "watched", address=cluster.url)
    assert over.returncode == 3
    assert "has already ended (complete)" in over.stderr


def test_a_dropped_connection_and_ctrl_c(cluster, environment, run, large, last, tmp_path):
    """The stream is taken up again and no line comes twice; Ctrl-C leaves the job to itself, and says how to go on."""
    proxy = Proxy(int(cluster.url.rpartition(":")[2]))
    address = f"http://127.0.0.1:{proxy.port}"
    arguments = ["submit", str(large), last.url, "-r", "-", "-o", str(tmp_path / "out"), "--job-id", "dropped"]
    command = [sys.executable, "-m", "linkmatch_ray", *arguments, "--address", address]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        process.stdin.write('[{"data":5}]')
        process.stdin.close()
        assert process.stderr.readline() == f"Job dropped on {address}\n"
        line = next(line for line in process.stderr if "matched" in line)  # before, it may say what it waits for
        proxy.cut()
        time.sleep(2.5)  # until it has connected anew
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(10) == 130
    proxy.close()
    assert line not in rest
    assert f"job dropped is still running on {address}" in rest
    assert f"linkmatch-ray cancel dropped --address {address}" in rest
    run("cancel", "dropped", address=cluster.url)
    assert run("logs", "dropped", "-f", address=cluster.url).stdout.count(line) == 1


def test_a_job_that_a_process_drives(cluster, environment, run, large, last, tmp_path):
    """One that joined the cluster: its job is listed, asked and stopped through its collector."""
    (tmp_path / "r.json").write_text('[{"data":5}]')
    command = ["submit", str(large), last.url, "-r", "r.json", "--job-id", "driven", "--address", cluster.gcs]
    with subprocess.Popen(
        [sys.executable, "-m", "linkmatch_ray", *command], env=environment, cwd=tmp_path, stderr=subprocess.PIPE
    ) as process:
        line = re.compile(r"^driven +running +driven by a process that joined the cluster$", re.MULTILINE)
        assert comes(lambda: line.search(run("jobs", address=cluster.url).stdout), WAIT_SECONDS_MAX)
        asked = run("status", "driven", address=cluster.url)
        assert asked.returncode == 3
        assert "cannot be reached over HTTP" in asked.stderr
        asked = run("status", "driven", "--json", address=cluster.gcs)
        assert json.loads(asked.stdout)["directory"] == str(tmp_path / "linkmatch-results")
        stopped = run("cancel", "driven", address=cluster.gcs)
        assert (stopped.returncode, process.wait(WAIT_SECONDS_MAX)) == (0, 130)


EMBEDDED_THEN_JOINED = """
import sys
from linkmatch_ray.runtime.session.session import Session
for address in (None, sys.argv[1]):
    with Session(address) as session:
        print(session.ready().get_runtime_context().gcs_address)
"""


def test_joined_by_a_program_that_had_a_ray_of_its_own(cluster, environment):
    """That one was on loopback alone, and the cluster is not looked for there; whatever is on the command line."""
    command = [sys.executable, "-c", EMBEDDED_THEN_JOINED, cluster.gcs, b"\xff"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=WAIT_SECONDS_MAX)
    assert done.returncode == 0, done.stderr
    embedded, joined = done.stdout.split()
    assert embedded.startswith("127.0.0.1:")
    assert joined.rpartition(":")[2] == cluster.gcs.rpartition(":")[2] != embedded.rpartition(":")[2]


def test_the_token(cluster, run):
    """Missing or wrong: exit code 5, and where it is looked for."""
    missing = run("jobs", address=cluster.url, RAY_AUTH_MODE="disabled")
    assert missing.returncode == 5
    assert "asks for a token, and got none. Unset RAY_AUTH_MODE" in missing.stderr
    wrong = run("doctor", address=cluster.url, RAY_AUTH_TOKEN="another-0123456789abcdef")
    assert wrong.returncode == 5
    assert "refuses this user's token. Put the cluster's token" in wrong.stderr
    joining = run("doctor", address=cluster.gcs, RAY_AUTH_TOKEN="another-0123456789abcdef")
    assert joining.returncode == 5
    assert "refuses access, because the token is missing or wrong. Put the cluster's token" in joining.stderr


@pytest.mark.parametrize("place", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token"])
def test_a_token_that_the_user_has(place, cluster, run, tmp_path):
    """It is used, wherever Ray looks for it, though nobody has said that Ray is to send one."""
    (tmp_path / ".ray").mkdir()
    path = tmp_path / (".ray/auth_token" if place.startswith("~") else "mine")
    path.write_text(TOKEN)
    values = {"RAY_AUTH_TOKEN": TOKEN, "RAY_AUTH_TOKEN_PATH": str(path)}
    known = {"RAY_AUTH_MODE": None, "RAY_AUTH_TOKEN": None, "HOME": str(tmp_path), place: values.get(place)}
    for address in (cluster.gcs, cluster.url) if place == "RAY_AUTH_TOKEN" else (cluster.url,):
        done = run("jobs", address=address, **known)
        assert done.returncode == 0, done.stderr


JOINED_FOR_A_WHILE = """
import os, sys
from linkmatch_ray.runtime.session import ray_internals
from linkmatch_ray.runtime.session.session import Session
with Session(sys.argv[1]) as session:
    ray = session.ready()
    assert "RAY_AUTH_MODE" not in os.environ
    print(ray.get(ray.remote(lambda n: -n).remote(-1)))
assert "RAY_AUTH_MODE" not in os.environ
assert not ray_internals.sends_the_token()
"""


def test_who_joined_with_a_token_is_as_before(cluster, environment):
    """Once Ray is connected the program's environment is as it was; once it is not, Ray sends no token any more."""
    known = {name: value for name, value in environment.items() if name != "RAY_AUTH_MODE"}
    command = [sys.executable, "-c", JOINED_FOR_A_WHILE, cluster.gcs]
    done = subprocess.run(command, env=known, capture_output=True, text=True, timeout=WAIT_SECONDS_MAX)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_certificates(cluster, run, tmp_path):
    """One that nobody vouches for is refused, unless it is named or all are trusted."""
    pair = ["-keyout", tmp_path / "key", "-out", tmp_path / "certificate", "-subj", "/CN=127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *pair, "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(make, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    proxy = Proxy(int(cluster.url.rpartition(":")[2]), context)
    address = f"https://127.0.0.1:{proxy.port}"
    refused = run("jobs", address=address)
    assert refused.returncode == 5
    assert "certificate is not trusted. Name the certificate of its authority with --tls-verify FILE" in refused.stderr
    for verify in ("certificate", "false"):
        done = run("jobs", "--tls-verify", verify, address=address)
        assert done.returncode == 0, done.stderr
    proxy.close()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["submit", "/a", "-r", "/b", "--address", "ray://head:10001"], 2, "Ray Client loses a job"),
        (["jobs", "--address", "ray://head:10001"], 2, "Give --address http://HEAD:8265"),
        (["jobs", "--address", "http://127.0.0.1:9"], 5, "no Ray dashboard answers"),
        (["jobs", "--address", "127.0.0.1:9"], 5, "no Ray cluster answers"),
        (["doctor", "--address", "127.0.0.1:9"], 5, "no Ray cluster answers"),
        (["jobs"], 2, "no cluster was named"),
        (["submit", "a", "-r", "/b", "-o", "/c", "--address", "http://h:1"], 2, "a: a relative path (input)"),
        (["submit", "/a", "-r", "/b", "--address", "http://h:1"], 2, "linkmatch-results: a relative path (-o)"),
        (["submit", "/a", "-r", "/b", "-o", "-", "--address", "http://h:1"], 2, "-o - with a cluster"),
        (["submit", "https://a:b@c/d", "-r", "/b", "-o", "/c", "--address", "http://h:1"], 2, "has credentials"),
        (["submit", "/a", "-r", "/b", "-o", "/c", "--job-id", "a/b", "--address", "http://h:1"], 2, "a/b: expected"),
        (["submit", "/a", "-r", "/b", "--no-wait"], 2, "--no-wait"),
        (["status", "a-job"], 3, "add --address"),
    ],
)
def test_refused_at_once(environment, arguments, code, message, tmp_path, monkeypatch):
    """What cannot be is said before anything is sent or waited for."""
    monkeypatch.chdir(tmp_path)
    done = run_here(environment, arguments, {"RAY_AUTH_TOKEN": TOKEN})
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr


def test_an_address_that_is_overridden(cluster, run):
    """RAY_API_SERVER_ADDRESS goes before --address, as for Ray's own tools, and that is said."""
    done = run("jobs", "--address", "http://127.0.0.1:9", RAY_API_SERVER_ADDRESS=cluster.url)
    assert done.returncode == 0
    assert f"RAY_API_SERVER_ADDRESS: overrides http://127.0.0.1:9, so {cluster.url} is used." in done.stderr
    unknown = run("status", "no-such", address=cluster.url)
    assert unknown.returncode == 3
    assert "no-such: no such job" in unknown.stderr


def test_other_versions(cluster, environment, run):
    """Who joins a cluster of another Python is told both. The cluster's own record of its versions is altered."""
    code = (
        "import json, sys\n"
        "from ray._raylet import GcsClient\n"
        "gcs = GcsClient(address=sys.argv[1])\n"
        "known = gcs.internal_kv_get(b'CLUSTER_METADATA', b'cluster', 10)\n"
        "new = json.dumps(json.loads(known) | {'python_version': sys.argv[2]}).encode()\n"
        "gcs.internal_kv_put(b'CLUSTER_METADATA', new, True, b'cluster', 10)\n"
    )

    def set_version(version):
        subprocess.run([sys.executable, "-c", code, cluster.gcs, version], env=environment, check=True)

    here = ".".join(map(str, sys.version_info[:3]))
    set_version("3.9.1")
    try:
        done = run("doctor", address=cluster.gcs)
    finally:
        set_version(here)
    assert done.returncode == 5
    assert f"and Python 3.9.1, but this machine has Ray 2.60.0 and Python {here}. Install" in done.stderr, done.stderr


def test_a_package_whose_kernel_is_for_other_machines(cluster, run, tmp_path, monkeypatch):
    """The nodes cannot use it: doctor and submit say so, and which wheel can be sent to all."""
    package = tmp_path / "linkmatch_ray"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "native" / LIBRARY.name).rename(library_of("darwin-arm64", package / "native"))
    for module in (jobs_api, upload):
        monkeypatch.setattr(module, "PACKAGE", package)
    job = ["submit", SAMPLE / "links", "-r", SAMPLE / "restrictions.json", "-k", "cveID", "-o", tmp_path / "out"]
    for command in (["doctor"], job):
        done = run(*command, address=cluster.url)
        assert done.returncode == 5, done.stdout + done.stderr
        where = "BAD  node .*" if command == ["doctor"] else "linkmatch-ray"
        said = (
            rf"^{where}: /.*/{LIBRARY.name}: not there\. .* install the wheel of `scripts/build-wheel` where you submit"
        )
        assert re.search(said, done.stdout + done.stderr, re.MULTILINE), done.stdout + done.stderr


def test_a_node_that_does_not_see_the_inputs(cluster, run, tmp_path):
    """The doctor says that all is well, until there is such a node: it is named, and so it is by submit."""
    (tmp_path / "links").mkdir()
    (tmp_path / "links/d.jsonl").write_text('{"data":"a"}\n')
    (tmp_path / "r.txt").write_text("a\n")
    well = run("doctor", tmp_path / "links", address=cluster.url)
    assert well.returncode == 0, well.stdout
    assert re.search(r"^ok   node .*: Python 3\..*, 2 CPUs, .* sees 1 of 1 paths$", well.stdout, re.MULTILINE)
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("needs unshare, to give a node file systems of its own")
    cluster.add_node(without=tmp_path / "links")

    def ill():
        done = run("doctor", tmp_path / "links/d.jsonl", address=cluster.gcs)
        return done if done.returncode else None

    ill = comes(ill, WAIT_SECONDS_MAX)
    assert ill.returncode == 5
    (named,) = re.findall(r"^BAD  node (.*): does not see .*/links/d.jsonl. All nodes must", ill.stdout, re.MULTILINE)
    done = run("submit", tmp_path / "links", "-r", "r.txt", "-o", tmp_path / "out", address=cluster.url)
    assert done.returncode == 5
    assert f"node {named}: does not see {tmp_path}/links/d.jsonl" in done.stderr
