"""Jobs without Ray: the collector is the plain class it is, and tasks run in this process, so many can be tried."""

import gzip
import os
import random

from linkmatch_ray import Restrictions
from linkmatch_ray.io.inputs.file import inputs_digest, pack_files
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.sniff import cuttable
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.reuse import plan_reuse
from linkmatch_ray.runtime.jobs.collector import Collector
from linkmatch_ray.runtime.jobs.plan import PlanOptions, make_plan
from linkmatch_ray.runtime.jobs.worker import TaskSettings, match_unit

LIST = Restrictions.load(b'["a", "b", {"data": 1}]')
PLAN = PlanOptions(unit_bytes=300, part_bytes=100)
OUTPUTS = ("matched.jsonl", "unmatched.jsonl", "quarantine.jsonl", "restrictions.jsonl")
DETAILS = {
    "job_id": "job",
    "directory": "out",
    "keys": ["data"],
    "options": {},
    "left_out_by_name": 0,
    "resumed": False,
    "files_taken_over": 0,
    "seconds": 1.0,
    "matching_seconds": 1.0,
    "hints": [],
}
"""What the driver adds to a summary."""


def content(name, seed):
    """Lines, an array, gzip; small and large; some of it damaged."""
    rng = random.Random(f"{name} {seed}")
    rows = [
        b'{"data":%s,"n":%d}' % (rng.choice([b'"a"', b'"b"', b'"c"', b"1", b"2"]), n)
        for n in range(rng.choice([0, 1, 3, 40]))
    ]
    if rng.random() < 0.2:
        rows.insert(rng.randrange(len(rows) + 1), b"{bad")
    if name.endswith(".gz"):
        return gzip.compress(b"\n".join(rows), mtime=0)
    return b"[" + b",".join(rows) + b"]" if rng.random() < 0.4 else b"\n".join(rows)


NAMES = [f"{n:02}.json{'.gz' * (n % 7 == 3)}" for n in range(16)]


def write(top, files):
    """Make a folder hold exactly these files, name -> seed; one that stays the same is not touched."""
    top.mkdir(exist_ok=True)
    for name in os.listdir(top):
        if name not in files:
            (top / name).unlink()
    for name, seed in files.items():
        path = top / name
        if not path.exists() or path.stat().st_mtime_ns != seed:
            path.write_bytes(content(name, seed))
            os.utime(path, ns=(seed, seed))


def run(top, output, options, *, incremental=False, stop_after=None, die=None):
    """A job without Ray; `stop_after` so many parts it is left as a kill would leave it. Returns whether it ended."""
    files = list_inputs([top]).files
    settings = settings_of(files, options)
    reuse = None
    if incremental:
        ledger = results_at(output).ledger()
        reuse = plan_reuse(files, ledger)
        ledger.close()
    plan = make_plan(files, cuttable(files, options, PLAN.whole_bytes), PLAN, reuse)
    collector = Collector(str(output), pack_files(files), plan.ranges, settings, reuse)
    try:
        return finish(collector, files, plan, options, stop_after)
    except BaseException:
        (die or abandon)(collector)
        raise


def settings_of(files, options):
    """What the ledger says of such a job."""
    return {
        "fingerprint": inputs_digest(files),
        "restrictions": LIST.index.content_hash,
        "emit": options.emit,
        "provenance": "1" if options.provenance else "0",
        "job_id": "job",
    }


def offers(top, output, options):
    """All that a collector is given for a job: its arguments, and the parts in order."""
    files = list_inputs([top]).files
    results_at(output).prepare()
    plan = make_plan(files, cuttable(files, options, PLAN.whole_bytes), PLAN)
    task = TaskSettings(LIST.paths, options, PLAN, results_at(output).staging())
    bodies = [
        body
        for unit in plan.units()
        for body in list(match_unit(unit, pack_files(files[unit.first : unit.stop]), LIST.index, task))[::2]
    ]
    return (str(output), pack_files(files), plan.ranges, settings_of(files, options)), bodies


def finish(collector, files, plan, options, stop_after):
    receipt = collector.open()
    task = TaskSettings(LIST.paths, options, PLAN, collector._results.staging())
    if commit_all(collector, receipt, files, plan, task, stop_after) is None:
        abandon(collector)
        return False
    collector.finish(LIST.index, DETAILS)
    collector.close()
    return True


def commit_all(collector, receipt, files, plan, task, stop_after=None):
    """Matches what is not yet durable, and commits it; returns the last receipt, or None if it stopped after so many
    parts."""
    parts = 0
    for unit in plan.units():
        if unit.last < receipt.durable[:2]:
            continue
        rest = unit._replace(first=max(unit.first, receipt.durable.file))
        objects = match_unit(rest, pack_files(files[rest.first : rest.stop]), LIST.index, task)
        for body, _ in zip(objects, objects, strict=True):
            if parts == stop_after:
                collector.flush()
                return None
            parts += 1
            while receipt.more:
                receipt = collector.commit()
            receipt = collector.commit(body)
    while receipt.more:
        receipt = collector.commit()
    return receipt


def abandon(collector):
    """What the kernel does when the process is killed."""
    collector._held.close()
