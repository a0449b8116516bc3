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


def test_what_explain_shows_is_what_it_prints(command_environment):
    """The example is run as it stands."""
    command, shown = re.search(
        r"^\$ (echo .* \| linkmatch-ray explain .*)\n((?:.+\n)+?)```", README, re.MULTILINE
    ).groups()
    record, _, words = command.removeprefix("echo ").partition(" | linkmatch-ray ")
    done = subprocess.run(
        [sys.executable, "-m", "linkmatch_ray", *shlex.split(words)],
        cwd=REPO,
        env=command_environment,
        input=shlex.split(record)[0].encode() + b"\n",
        capture_output=True,
        timeout=60,
    )
    assert done.stdout.decode() == shown


def test_every_reason_is_in_the_table():
    """What an entry may say as its reason is explained."""
    source = "".join(path.read_text("utf-8") for path in (REPO / "linkmatch_ray").rglob("*.py"))
    found = set(re.findall(r"Damage\(\s*\"(\w+)\"", source)) | {"worker_died", "changed", "unreadable"}
    found |= {f"{kind}_{codec}" for kind in ("truncated", "corrupt") for codec in ("gzip", "zstd")}
    assert len(found) > 10
    missing = {reason for reason in found if f"`{reason}`" not in README}
    assert not missing
