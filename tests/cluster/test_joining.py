"""Other programs beside a running job of the command: those of the README as they stand there, and ones that meddle."""

import json
import re
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.support.held import held
from tests.support.readme import block

pytestmark = pytest.mark.slow

SECONDS_MAX = 90
FILES = 3

WITHOUT_THE_PACKAGE = "import sys; sys.modules['linkmatch_ray'] = None"
"""As a `sitecustomize`, it makes the package one that is not installed."""

MEDDLE = """
import sys, ray
ray.init("auto", log_to_driver=False)
collector = ray.get_actor(f"linkmatch:{sys.argv[1]}", namespace="linkmatch")
for method in ("open", "commit", "flush", "finish", "close"):
    for key in ({}, {"key": b"a guess" * 4}):
        try:
            ray.get(getattr(collector, method).remote(**key))
        except PermissionError as refused:
            print(method, "only the job's driver may write" in str(refused))
ray.get(collector.cancel.remote())
"""


@contextmanager
def running(environment, tmp_path):
    """A job under way, with a Ray of its own; gives the process, its id, and what others need to join."""
    data = b"".join(b'{"data":%d,"text":"%s"}\n' % (n % 100, b"x" * 200) for n in range(80_000))
    for number in range(FILES - 1):
        (tmp_path / f"{number}.jsonl").write_bytes(data)
    (tmp_path / "r.json").write_text('[{"data":5}]')
    command = [sys.executable, "-m", "linkmatch_ray", "submit", "0.jsonl", "1.jsonl", "-r", "r.json"]
    command += ["--joinable", "--one-file-per-task"]
    options = {"cwd": tmp_path, "env": environment, "stderr": subprocess.PIPE, "text": True}
    with held() as last, subprocess.Popen([*command, last.url], **options) as process:
        try:
            said = process.stderr.readline() + process.stderr.readline()
            job, variables, place = re.fullmatch(r"To join job (\S+): (.*)\nThe token is in (.*)\n", said).groups()
            assert place == f"{tmp_path}/.ray/auth_token"
            yield process, job, dict(pair.split("=") for pair in variables.split())
        finally:
            process.kill()


@pytest.fixture
def environment(command_environment, tmp_path):
    return command_environment | {"HOME": str(tmp_path)}


def test_a_job_with_a_ray_of_its_own(environment, tmp_path):
    """Its progress and its matches, with the package and without; what meddles is refused, and can only cancel."""
    (tmp_path / "watch.py").write_text(block("python watch.py"))
    (tmp_path / "meddle.py").write_text(MEDDLE)
    (tmp_path / "without").mkdir()
    (tmp_path / "without/sitecustomize.py").write_text(WITHOUT_THE_PACKAGE)
    with running(environment, tmp_path) as (process, job, variables):
        known = environment | variables
        lacking = known | {"PYTHONPATH": str(tmp_path / "without")}

        def run(program, environment):
            command = [sys.executable, program, job]
            return subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX
            )

        while not (watched := run("watch.py", known)).stdout.count("\n") > 1:  # until a file is complete
            assert process.poll() is None, watched.stderr
        for done in (watched, run("watch.py", lacking)):
            progress, *matches = done.stdout.splitlines()
            assert f"'state': 'running', 'directory': '{tmp_path}/linkmatch-results', 'files': {FILES}," in progress
            assert [json.loads(line)["data"] for line in matches] == [5] * 10
        expected = [f"{method} True" for method in ("open", "commit", "flush", "finish", "close") for _ in range(2)]
        meddled = run("meddle.py", lacking)
        assert meddled.stdout.splitlines() == expected, meddled.stderr
        assert process.wait(SECONDS_MAX) == 130
    check = [sys.executable, "-m", "linkmatch_ray", "verify", "linkmatch-results"]
    done = subprocess.run(check, cwd=tmp_path, env=known, capture_output=True, text=True, timeout=SECONDS_MAX)
    assert "everything agrees" in done.stdout, done.stdout
