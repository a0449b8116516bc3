"""What is shown while one waits: by time, also while nothing was found and nothing was done."""

import time

import pytest

from linkmatch_ray.cli import progress
from linkmatch_ray.io.inputs import file
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.runtime.jobs.progress import Progress


@pytest.fixture
def log(monkeypatch, capsys):
    """Lines as a Ray job prints them, without a wait; gives what waits for one that has a text."""
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    for name in ("FIRST_SECONDS", "PROGRESS_SECONDS"):
        monkeypatch.setattr(progress, name, 0.01)
    said = ""

    def wait_for(text):
        nonlocal said
        deadline = time.monotonic() + 10
        while text not in said:
            assert time.monotonic() < deadline, said
            said += capsys.readouterr().err
            time.sleep(0.001)

    return wait_for


def test_a_listing_that_finds_nothing_yet(log):
    """A server may think for long before it gives the first object."""
    with progress.listing_display(True) as on_progress:
        log("listing the inputs: 0 files found so far\n")
        on_progress(1234)
        log("listing the inputs: 1,234 files found so far\n")


def test_what_a_job_does_before_its_first_record(log):
    """Ray starts, and large inputs are looked at."""
    with progress.progress_display(True) as show:
        for doing in ("starting Ray", "looking at the inputs"):
            time.sleep(progress.FIRST_SECONDS)
            show(Progress(files=2, doing=doing))
            log(f"{doing}\n")
        show(Progress(files=2, files_done=1))
        log("1/2 files")


def test_a_listing_tells_by_time(tmp_path, monkeypatch):
    """Not by numbers; and of files that are named as of those that are listed."""
    (tmp_path / "in").mkdir()
    for name in ("in/a.json", "in/b.json", "c.json", "d.json"):
        (tmp_path / name).write_text("1")
    named = [tmp_path / "in", tmp_path / "c.json", tmp_path / "d.json"]
    told = []
    monkeypatch.setattr(file, "PROGRESS_SECONDS", 0.0)
    list_inputs(named, told.append)
    assert told == [1, 2, 3, 4]
    told.clear()
    monkeypatch.setattr(file, "PROGRESS_SECONDS", 100.0)
    list_inputs(named, told.append)
    assert told == [1]
