"""What the package needs where it runs, and what it says where that is missing."""

import subprocess
import sys
import tomllib

import pytest

from linkmatch_ray.runtime.cluster.requirements import REQUIRED, missing
from tests.conftest import REPO

pytestmark = pytest.mark.slow


def test_the_list_is_that_of_the_project():
    """Each dependency, and no other."""
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    assert list(REQUIRED) == project["dependencies"]
    assert missing() == []


def test_an_interpreter_that_lacks_them():
    """It says which, and the command that installs them: exit code 5."""
    done = subprocess.run([sys.executable, "-S", "-m", "linkmatch_ray"], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 5
    assert "lacks packages. Run: pip install 'botocore>=1.36' 'certifi>=2024.7.4' 'google-auth>=2.40'" in done.stderr
