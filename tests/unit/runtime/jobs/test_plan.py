"""The plan as units that are made when they are needed: the same as a list of all of them, at any size."""

import tracemalloc
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkmatch_ray import MatchOptions
from linkmatch_ray.core.options import JobOptions
from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.sniff import cuttable
from linkmatch_ray.io.ledger.ledger import Key
from linkmatch_ray.io.results.reuse import NOWHERE, ReusePlan
from linkmatch_ray.runtime.jobs import plan as plans
from linkmatch_ray.runtime.jobs.plan import UNIT_BYTES, Plan, PlanOptions, Unit, make_plan

PETABYTE = 1 << 50
MEMORY_BYTES_MAX = 20 << 20
FILES_MAX = 3


def listed(files, cut, how, reuse):
    """All units in a list, and how many ranges each file has; as plans were made when they were lists."""
    units, ranges = [], []
    first = nbytes = 0

    def flush(stop):
        nonlocal first, nbytes
        if first < stop:
            units.append(Unit(first, stop, nbytes))
        first, nbytes = stop, 0

    for number, file in enumerate(files):
        size, count = max(file.size, 0), 1
        done = 0 if reuse is None else reuse.ranges_done(number)
        if done is None:
            flush(number)
            ranges.append(reuse.ranges[number])
            first = number + 1
            continue
        if how.one_file_per_task:
            flush(number)
        elif number in cut:
            flush(number)
            count = -(-size // how.unit_bytes)
            for range_ in range(done, count):
                start, end = range_ * how.unit_bytes, (range_ + 1) * how.unit_bytes
                last = range_ == count - 1
                units.append(Unit(number, number + 1, min(end, size) - start, range_, start, None if last else end))
            first = number + 1
        elif nbytes + size > how.unit_bytes or number - first >= FILES_MAX:
            flush(number)
        if count == 1:
            nbytes += size
        ranges.append(count)
    flush(len(files))
    return units, ranges


@st.composite
def jobs(draw):
    """Files of which some are cut, and some are taken over; one of them in part."""
    sizes = draw(st.lists(st.integers(-1, 60) | st.sampled_from([0, 16, 32, 48, 200]), max_size=12))
    files = [InputFile(b"%d" % number, b"/%d" % number, size, 0, number) for number, size in enumerate(sizes)]
    how = PlanOptions(unit_bytes=16, one_file_per_task=draw(st.booleans()))
    large = [number for number, size in enumerate(sizes) if size > how.unit_bytes]
    cut = set(draw(st.lists(st.sampled_from(large), unique=True))) if large and not how.one_file_per_task else set()
    if not draw(st.booleans()):
        return files, cut, how, None
    places = np.array([number if draw(st.booleans()) else NOWHERE for number in range(len(files))], np.int64)
    ranges = {number: -(-sizes[number] // 16) if number in cut else 1 for number in range(len(files))}
    file = draw(st.integers(0, len(files)))
    frontier = Key(file, draw(st.integers(0, ranges.get(file, 1) - 1)), 0)
    return files, cut, how, ReusePlan("", frontier, places, ranges, 0, 0, [], 0, 0)


@given(jobs())
def test_it_is_the_list(job):
    """Units, their order and number, ranges and bytes; from the beginning, and from every place a job may be at."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(plans, "UNIT_FILES_MAX", FILES_MAX)
        files, *_ = job
        (units, ranges), plan = listed(*job), Plan(*job)
        assert list(plan.units()) == units
        assert (plan.ranges, len(plan), plan.nbytes) == (ranges, len(units), sum(unit.nbytes for unit in units))
        for file in range(len(files) + 1):
            for range_ in range(5):
                assert list(plan.units((file, range_))) == [unit for unit in units if unit.last >= (file, range_)]
        assert [row["bytes"] for row in plan.describe()] == [unit.nbytes for unit in units]


@pytest.mark.parametrize(
    ("nbytes", "workers", "unit_bytes"),
    [
        (0, None, 64 << 20),
        (256 << 30, None, 64 << 20),
        (1 << 40, None, 256 << 20),
        (512 << 20, 2, 64 << 20),
        (6 << 30, 2, 384 << 20),
        (1 << 40, 2, 1 << 30),
        (1 << 40, 2048, 64 << 20),
        (4 << 40, 1024, 512 << 20),
        (PETABYTE, None, 1 << 30),
        (PETABYTE, 10_000, 1 << 30),
    ],
)
def test_units_grow_with_the_job(nbytes, workers, unit_bytes):
    """One driver feeds many workers, and a small job has enough units for all of its workers."""
    files = [InputFile(b"a", b"a", nbytes, 0, 0), InputFile(b"b", b"b", -1, 0, 0)]
    assert PlanOptions.of(JobOptions(), files, workers).unit_bytes == unit_bytes
    assert PlanOptions.of(JobOptions(unit_bytes=99), files, workers).unit_bytes == 99


def test_units_of_compressed_files_are_smaller():
    """Because they take longer, all workers have some of a job that has few bytes of them."""
    files = [InputFile(b"a.json.gz", b"a.json.gz", 300 << 20, 0, 0), InputFile(b"b.json", b"b.json", 99 << 20, 0, 0)]
    assert PlanOptions.of(JobOptions(), files, 2).unit_bytes == (399 << 20) // 16
    assert PlanOptions.of(JobOptions(), files, 64).unit_bytes == 16 << 20
    assert PlanOptions.of(JobOptions(workers=64), files, 2).unit_bytes == 16 << 20
    assert PlanOptions.of(JobOptions(), files[1:] * 4 + files[:1], 64).unit_bytes == 64 << 20


def test_a_petabyte(sparse_file):
    """Takes some megabytes to be planned, counted, and gone on with anywhere."""
    files = list_inputs([sparse_file(PETABYTE, b'{"data":"a"}\n')]).files
    tracemalloc.start()
    try:
        plan = make_plan(files, cuttable(files, MatchOptions(), UNIT_BYTES), PlanOptions())
        count = PETABYTE // UNIT_BYTES
        assert (len(plan), plan.nbytes, plan.ranges) == (count, PETABYTE, [count])
        assert [unit.range for unit in islice(plan.units(), 3)] == [0, 1, 2]
        assert next(islice(plan.describe(), 1, None))["from"] == UNIT_BYTES
        (last,) = plan.units((0, count - 1))
        assert (last.start, last.end, last.nbytes) == (PETABYTE - UNIT_BYTES, None, UNIT_BYTES)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES_MAX
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("alone", "files"),
    [(set(), [(2, 6)]), ({9}, [(2, 6)]), ({2}, [(2, 3), (3, 6)]), ({3, 4, 5}, [(2, 3), (3, 4), (4, 5), (5, 6)])],
)
def test_some_files_of_a_unit_are_units_of_their_own(alone, files):
    """The others stay together, in order; a range is left as it is."""
    assert [unit[:2] for unit in Unit(2, 6, 40).apart(alone)] == files
    range_ = Unit(3, 4, 10, 1, 10, 20)
    assert list(range_.apart(alone)) == [range_]
