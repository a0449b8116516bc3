"""`verify` names every damage, and `status` says how far a job is."""

import json
import shutil
import subprocess
import sys
from itertools import product

import pytest

from linkmatch_ray import MatchOptions, Restrictions, submit
from tests.support.tiers import kinds

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A complete job: small files, and one of many parts."""
    top = tmp_path_factory.mktemp("verify")
    (top / "in").mkdir()
    for number in range(30):
        (top / "in" / f"{number:02}.json").write_text(
            "".join(json.dumps({"data": n % 7, "n": n}) + "\n" for n in range(number * 10, number * 10 + 10))
        )
    (top / "in" / "large.jsonl").write_text(
        "".join(json.dumps({"data": n % 5, "n": n}) + "\n" for n in range(5000)) + "{bad"
    )
    restrictions = Restrictions.load(b'[{"data":1},{"data":2},{"data":1},{"data":9}]')
    submit([top / "in"], restrictions, output=top / "out", options=MatchOptions(emit="both"), part_bytes=20_000).result(
        60
    )
    return top / "out"


@pytest.fixture
def run(finished, tmp_path, command_environment):
    """Runs a command over a copy of the results, after `damage` was done to it."""

    def run(command, damage=lambda out: None, *options):
        out = tmp_path / "out"
        shutil.copytree(finished, out)
        damage(out)
        done = subprocess.run(
            [sys.executable, "-m", "linkmatch_ray", command, str(out), *options],
            env=command_environment,
            capture_output=True,
            check=False,
        )
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return run


def edit(name, change):
    def damage(out):
        path = out / name
        path.write_bytes(change(path.read_bytes()))

    return damage


def flip(content):
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def lose_a_line(content):
    lines = content.splitlines(keepends=True)
    del lines[len(lines) // 2]
    return b"".join(lines)


def double_a_line(content):
    lines = content.splitlines(keepends=True)
    lines.insert(len(lines) // 2, lines[len(lines) // 2])
    return b"".join(lines)


def swap_lines(content):
    lines = content.splitlines(keepends=True)
    lines[3], lines[4] = lines[4], lines[3]
    return b"".join(lines)


def test_all_agrees(run):
    """Where nothing was done to it."""
    code, out, error = run("verify")
    assert (code, error) == (0, "")
    assert "everything agrees" in out


OUTPUTS = ("matched.jsonl", "unmatched.jsonl", "quarantine.jsonl", "restrictions.jsonl")


@pytest.mark.parametrize(("change", "name"), kinds(product((flip, lose_a_line, double_a_line), OUTPUTS)))
def test_damage_is_named(run, name, change):
    """A flipped byte, a lost line, a doubled line: with the file it is in."""
    code, out, _ = run("verify", edit(name, change))
    assert code == 1
    assert name in out
    assert "Do not rely on these results" in out


@pytest.mark.parametrize(
    ("damage", "named"),
    kinds(
        [
            (edit("matched.jsonl", swap_lines), "matched.jsonl"),
            (edit("matched.jsonl", lambda content: content + b"{}\n"), "matched.jsonl has"),
            (edit("summary.json", lambda content: content.replace(b'"entries": 1', b'"entries": 2')), "2 entries"),
            (lambda out: (out / "restrictions.jsonl").unlink(), "restrictions.jsonl is missing"),
            (lambda out: (out / "unmatched.jsonl").unlink(), "unmatched.jsonl has 0 bytes"),
            (lambda out: (out / "quarantine.jsonl").unlink(), "quarantine.jsonl has 0 bytes"),
        ]
    ),
)
def test_other_damage_is_named(run, damage, named):
    """Order, more than there should be, a wrong total, files that are gone."""
    code, out, _ = run("verify", damage)
    assert code == 1
    assert named in out


def test_status(run, finished):
    """Of a complete job, and of one that was interrupted."""
    code, out, _ = run("status", lambda out: None, "--json")
    assert code == 0
    told, summary = json.loads(out), json.loads((finished / "summary.json").read_bytes())
    assert (told["state"], told["files_done"], told["bytes_left"]) == ("complete", 31, 0)
    assert {name: told[name] for name in ("records", "matched", "entries")} == {
        name: summary["totals"][name] for name in ("records", "matched", "entries")
    }


def test_status_of_an_interrupted_job(run):
    """It says how to go on."""
    code, out, _ = run("status", lambda out: (out / "summary.json").unlink())
    assert code == 0
    assert "interrupted" in out
    assert "same submit command" in out


def test_no_result_directory(tmp_path, command_environment):
    """Is bad input."""
    for command in ("status", "verify"):
        done = subprocess.run(
            [sys.executable, "-m", "linkmatch_ray", command, str(tmp_path)],
            env=command_environment,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 3
        assert b"no result directory" in done.stderr
