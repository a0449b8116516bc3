"""Whole jobs over files that are hard on buffers, cut in any way: the same bytes each time."""

import random

import pytest

from linkmatch_ray import MatchOptions, Restrictions, submit
from linkmatch_ray.runtime.jobs.plan import PlanOptions
from tests.fuzz import run
from tests.fuzz.jobs import OUTPUTS, Job
from tests.fuzz.jobs import run as run_job
from tests.support.tiers import examples

BLANK = (b"", b"\n", b"  \r\n", b"\xef\xbb\xbf")


@pytest.fixture(scope="module")
def blanks_among_arrays(tmp_path_factory):
    """60 blank files among as many whose first bytes a blank one must not be taken to have."""
    top = tmp_path_factory.mktemp("in")
    for number in range(120):
        text = (
            BLANK[number // 2 % len(BLANK)] if number % 2 else (b"[[1]]", b'{"data":1}', b"\\", b'"')[number // 2 % 4]
        )
        (top / f"{number:03}.json").write_bytes(text)
    return top


@pytest.mark.parametrize("format_", ["auto", "array", "object"])
@pytest.mark.parametrize("one_file_per_task", [False, True])
def test_blank_files_in_any_order(blanks_among_arrays, one_file_per_task, format_, tmp_path):
    """Tasks that use one process's buffers again, four times in four orders."""
    job = Job(str(blanks_among_arrays), b'["a"]', MatchOptions(format=format_))
    plan = PlanOptions(one_file_per_task=one_file_per_task)
    first, *others = (run_job(job, tmp_path / f"out-{seed}", plan, random.Random(seed)) for seed in range(4))
    assert all(other == first for other in others)
    if format_ == "auto":
        assert (first[1]["totals"]["records"], first[1]["totals"]["entries"]) == (30, 30)


@pytest.mark.slow
def test_blank_files_on_ray(blanks_among_arrays, ray_session, tmp_path):
    """With one worker and two, packed and one file a task."""
    seen = []
    for number in range(4):
        output = tmp_path / f"out-{number}"
        how = {"workers": 1 + number % 2, "one_file_per_task": number >= 2}
        submit([blanks_among_arrays], Restrictions.load(b'["a"]'), output=output, **how).result(120)
        seen.append([(output / name).read_bytes() for name in OUTPUTS if (output / name).exists()])
    assert all(each == seen[0] for each in seen)


def test_random_jobs():
    """The same search as `scripts/fuzz jobs`, from one seed."""
    for seed in range(examples(60)):
        run.jobs(seed)


def test_random_inputs_through_any_borders():
    """The same search as `scripts/fuzz windows`, from one seed."""
    for seed in range(examples(1500)):
        run.windows(seed)
