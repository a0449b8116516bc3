"""Tasks in one process, one after another and one within another."""

import pytest

from linkmatch_ray import MatchOptions
from linkmatch_ray.io.inputs.file import pack_files
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.runtime.jobs.plan import PlanOptions, Unit
from linkmatch_ray.runtime.jobs.worker import PartBody, TaskSettings, match_unit
from tests.support.jobs import LIST

SETTINGS = TaskSettings(LIST.paths, MatchOptions(), PlanOptions(part_bytes=1 << 16))


def matched(objects):
    """The bytes that match, of what a task gives."""
    return b"".join(bytes(chunk) for body in objects if isinstance(body, PartBody) for chunk in body.matched)


@pytest.mark.parametrize("files", [1, 3])
def test_a_task_that_was_left_keeps_its_buffers(tmp_path, files):
    """The next one has others: both give what they give alone."""
    contents = [b'{"data":"a","n":"%d %s"}\n' % (n, b"xy"[n % 2 : n % 2 + 1] * 900) for n in range(300)]
    for number in range(files):
        (tmp_path / f"{number}.jsonl").write_bytes(b"".join(contents[number:]))
    inputs = list_inputs([tmp_path]).files
    unit = Unit(0, files, sum(file.size for file in inputs))

    def task():
        return match_unit(unit, pack_files(inputs), LIST.index, SETTINGS)

    alone = matched(task())
    assert alone.count(b"\n") == sum(len(contents) - number for number in range(files))
    left = task()
    begun = [next(left), next(left)]
    assert matched(task()) == alone
    assert matched([*begun, *left]) == alone
