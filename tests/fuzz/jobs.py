"""Whole jobs without Ray: random files under random names, read by tasks in any order and cut in any way."""

import os
from dataclasses import dataclass
from functools import cached_property

import orjson

from linkmatch_ray import MatchOptions, Restrictions
from linkmatch_ray.io.diagnosis.hints import beginnings_of, hints
from linkmatch_ray.io.inputs.file import inputs_digest, pack_files
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.sniff import cuttable
from linkmatch_ray.io.results.directory import Directory
from linkmatch_ray.io.results.verification import Checked, verify
from linkmatch_ray.runtime.jobs.collector import Collector
from linkmatch_ray.runtime.jobs.plan import PlanOptions, make_plan
from linkmatch_ray.runtime.jobs.worker import TaskSettings, match_unit
from tests.fuzz import bytes_
from tests.support.jobs import DETAILS

OUTPUTS = ("matched.jsonl", "unmatched.jsonl", "quarantine.jsonl", "restrictions.jsonl")
NAMES = (b"a", b"b c", b'q"\\', b"new\nline", b"\xff\xfe", b"\xe2\x80\xae", b"e\xcc\x81", b"\x1b[31m", b"100%25", b"#")
LISTS = (
    b'["x", "d\\u00e4ta", {"data":12}]',
    b'[{"data":12},{"data":"x"},{"data":null},{"data":[1,{"a":1.50}]}]',
    b'["a"]',
    b"[]",
)


@dataclass
class Job:
    """What is asked for."""

    top: str
    source: bytes
    options: MatchOptions

    @cached_property
    def restrictions(self):
        """The list, loaded."""
        return Restrictions.load(self.source)


def write(rng, top):
    """Some files; most of them small, several of one kind side by side, and a few that are the same."""
    os.makedirs(top)
    made = [bytes_.drawn(rng) for _ in range(rng.randint(1, 4))]
    for number in range(rng.randint(1, 25)):
        data = rng.choice(made) if rng.random() < 0.5 else bytes_.drawn(rng)
        name = b"%03d%s.%s" % (number, rng.choice(NAMES), rng.choice((b"json", b"jsonl", b"ndjson.gz", b"json.zst")))
        with open(os.path.join(os.fsencode(top), name), "wb") as file:
            file.write(data * rng.choice((1, 1, 1, 3)))


def drawn(rng, top):
    """A job, whose files are written below `top`."""
    write(rng, top)
    options = MatchOptions(
        emit=rng.choice(("matched", "unmatched", "both", "both")),
        provenance=rng.random() < 0.3,
        format=rng.choice(("auto",) * 5 + ("lines", "array", "object")),
        records_at=rng.choice((None,) * 6 + ("/n", "/a/0")),
        max_record_bytes=rng.choice((5, 60, 250, 64 << 20, 64 << 20, 64 << 20)),
    )
    return Job(str(top), rng.choice(LISTS), options)


def cuts(rng):
    """How the job is cut into units and parts, of any size."""
    if rng.random() < 0.2:
        return PlanOptions(one_file_per_task=True)
    return PlanOptions(rng.choice((16, 50, 333, 4000, 64 << 20)), rng.choice((1, 20, 300, 64 << 20)))


def run(job, output, plan_options, rng):
    """Run it; returns the bytes of its outputs and the summary. Its results agree with themselves."""
    files = list_inputs([job.top]).files
    plan = make_plan(files, cuttable(files, job.options, plan_options.whole_bytes), plan_options)
    settings = {
        "fingerprint": inputs_digest(files),
        "restrictions": job.restrictions.index.content_hash,
        "options": "{}",
        "inputs": inputs_digest(files),
        "emit": job.options.emit,
        "provenance": "1" if job.options.provenance else "0",
        "job_id": "job",
        "plan": "{}",
    }
    task = TaskSettings(job.restrictions.paths, job.options, plan_options)
    bodies = {}
    for unit in rng.sample(list(plan.units()), len(plan)):  # all in one process, which uses its buffers again
        objects = list(match_unit(unit, pack_files(files[unit.first : unit.stop]), job.restrictions.index, task))
        bodies[unit] = objects[::2]
    collector = Collector(str(output), pack_files(files), plan.ranges, settings)
    collector.open()
    for unit in plan.units():
        for body in bodies[unit]:
            collector.commit(body)
    counts = collector.flush().counts
    said = hints(beginnings_of(files), job.restrictions, counts.records, counts.matched, counts.missing_key)
    summary = collector.finish(job.restrictions.index, DETAILS | {"hints": said})
    collector.close()
    assert list(verify(Directory(output), Checked())) == []
    assert orjson.dumps(summary)
    contents = {name: (output / name).read_bytes() for name in OUTPUTS if (output / name).exists()}
    return contents, summary


def files_of(job):
    """Name and content of each, in order."""
    for file in list_inputs([job.top]).files:
        with open(file.path, "rb") as opened:
            yield file.name, opened.read()
