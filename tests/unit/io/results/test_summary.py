"""What a summary says of its own place is where it is: results may be copied, moved, and brought from elsewhere."""

import json
import os
import shutil

import pytest

from linkmatch_ray import MatchOptions
from linkmatch_ray.io.results.download import download
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.runtime.jobs.plan import PlanOptions
from tests.support.program import program
from tests.support.whole import submit

LIST = b'["a", "b", {"data": 1}]'  # as in `whole`


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The results of a job in a directory and at a URL, whose inputs are called `in`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/x.jsonl").write_bytes(b'{"data":"a"}\n{"data":"c"}\n')
    (tmp_path / "list.json").write_bytes(LIST)
    for output in (tmp_path / "made", f"file://{tmp_path}/at-url"):
        submit("in", output, MatchOptions(), PlanOptions())
    return tmp_path


def move(top, name):
    os.rename(top / "made", os.path.join(os.fsencode(top), name))


def copy(top, name):
    shutil.copytree(top / "made", top / os.fsdecode(name))


def bring_here(top, name):
    download(results_at(f"file://{top}/at-url"), top / os.fsdecode(name))


@pytest.mark.parametrize("come", [move, copy, bring_here])
@pytest.mark.parametrize("name", [b"here", b"h\xff"])
def test_the_place_it_is_at(come, name, made):
    """The line of the summary, and JSON; the same command prints it of results that came from elsewhere."""
    come(made, name)
    command = ["submit", "in", "-r", "list.json", "-o", name]
    code, out, error = program(*command)
    place = os.path.join(os.fsencode(made), name)
    assert (code, error) == (0, "")
    assert out.splitlines()[-1] == f"Results: {os.fsdecode(place)}/".replace("\udcff", "\\xff")
    code, out, error = program(*command, "--json")
    assert json.loads(out) == results_at(place).summary()
    with open(os.path.join(place, b"summary.json"), "rb") as file:
        written = json.loads(file.read())
    assert written["directory"] in (f"{made}/made", f"file://{made}/at-url")  # the file itself stays as it was


def test_at_another_url(made):
    """A URL is a place as well."""
    os.rename(made / "at-url", made / "moved")
    assert results_at(f"file://{made}/moved").summary()["directory"] == f"file://{made}/moved"


def test_back_from_a_name_that_is_not_utf8(made):
    """Nothing of the other name is left."""
    there = os.path.join(os.fsencode(made), b"\xff")
    submit("in", os.fsdecode(there), MatchOptions(), PlanOptions())
    assert "directory_base64" in results_at(there).summary()
    os.rename(there, made / "back")
    summary = results_at(made / "back").summary()
    assert summary["directory"] == str(made / "back")
    assert "directory_base64" not in summary
