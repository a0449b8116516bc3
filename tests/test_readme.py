"""The README is true: its Python runs, its commands parse, its numbers are the sample's."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
README = (REPO / "README.md").read_text("utf-8")


def test_the_python_examples_run(tmp_path, command_environment):
    """Every Python block not marked otherwise, in one program, as a reader would paste it."""
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    (tmp_path / "tests").symlink_to(REPO / "tests")
    program = "\n".join(blocks)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=command_environment, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("line", re.findall(r"^linkmatch-ray submit [^\n`]*", README, re.MULTILINE))
def test_the_commands_have_options_that_exist(line, command_environment):
    """Every command shown is understood: it fails for its missing files (3), not for its options (2)."""
    words = shlex.split(line.partition(" #")[0].partition(" | ")[0])
    command = [sys.executable, "-m", "linkmatch_ray", *words[1:], "--dry-run"]
    done = subprocess.run(command, env=command_environment, capture_output=True, timeout=60)
    assert done.returncode == 3, done.stderr.decode()


def test_the_numbers_shown_are_those_of_the_sample():
    """The summary in the README says what the independent matcher found."""
    expected = json.loads((REPO / "tests/sample/cve/expected.json").read_bytes())
    shown = f"{expected['matched_records']} of {expected['records']} records matched"
    assert shown in README
    assert f"{expected['restrictions']:,} restrictions" in README
