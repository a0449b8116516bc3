"""A newcomer follows the README: each walk-through in its order, in one home directory; the first of them twice."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO
from tests.support.readme import TEXT, commands_after

pytestmark = pytest.mark.slow

ALONE = ["unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
"""Ray's usual ports are free, and what is left at the end is killed."""

SECONDS_MAX = 240

WALK = """
set -eu
ip link set lo up
{demo} -o "$PWD/linkmatch-results"
{head} >head.log 2>&1 &
head=$!
until grep -q 'Ray runtime started' head.log || ! kill -0 $head; do sleep 0.1; done
{submit}
kill $head
wait $head || cat head.log
{demo} -o "$PWD/linkmatch-results"
"""


def is_installed():
    """As `scripts/install` finds out."""
    here = (REPO / name for name in ("pyproject.toml", "scripts/constraints.txt"))
    wanted = "\n".join([str(REPO), *(path.read_text() for path in here)]).split()
    installed = REPO / ".venv/installed-from"
    return installed.exists() and installed.read_text().split() == wanted


def test_in_the_order_of_the_readme(command_environment, tmp_path):
    """The demo leaves a token; so the cluster that is started next asks for one, and the job is let in."""
    if shutil.which("ip") is None or subprocess.run([*ALONE, "true"], capture_output=True).returncode:
        pytest.skip("needs ip (iproute2), and unshare with its own network and processes")
    if not is_installed():
        pytest.skip("needs what scripts/install makes, and there is no network where it would make it")
    assert TEXT.index("`scripts/demo`") < TEXT.index("$ ray start")
    head, submit = commands_after("in two terminals")
    assert head == "ray start --head --block"
    script = WALK.format(demo=shlex.quote(str(REPO / "scripts/demo")), head=head, submit=submit)
    (tmp_path / "tests").symlink_to(REPO / "tests")
    environment = command_environment | {
        "PATH": f"{Path(sys.executable).parent}:{command_environment['PATH']}",  # as in an activated environment
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [*ALONE, "bash", "-c", script],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert done.stdout.count("62 of 778 records matched") == 3, said
    assert (tmp_path / ".ray/auth_token").exists()
    assert done.stdout.count(f"Results: {tmp_path}/hits/") == 1
