"""The jobs of the histories: small, of every kind, made once; and what each must give, from a plain loop."""

import contextlib
import gzip
import os
import pickle
import random
import shutil
import sqlite3
from dataclasses import asdict, dataclass, field
from functools import cached_property

import zstandard

from linkmatch_ray import JobOptions, MatchOptions, Restrictions
from linkmatch_ray.core.outcome import FAULT_PART, Counts, Piece
from linkmatch_ray.io.inputs.file import pack_files
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.reader import changed_entry, fault_entry
from linkmatch_ray.io.inputs.sniff import cuttable
from linkmatch_ray.io.ledger.ledger import Key
from linkmatch_ray.io.results.directory import Directory
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.verification import Checked, verify
from linkmatch_ray.runtime.jobs.collector import Collector
from linkmatch_ray.runtime.jobs.plan import PlanOptions, Unit, make_plan
from linkmatch_ray.runtime.jobs.request import Request
from linkmatch_ray.runtime.jobs.worker import PartBody, PartHeader, TaskSettings, match_unit
from tests.support.jobs import DETAILS

LIST = Restrictions.load(b'["a", "b", {"data": 1}]')
OUTPUTS = ("matched.jsonl", "unmatched.jsonl", "quarantine.jsonl", "restrictions.jsonl")
PLANS = (PlanOptions(300, 100), PlanOptions(600, 60), PlanOptions(2000, 150), PlanOptions(400, 100, True))
TASK_SECONDS = 5.0
GIVEN_UP = {
    "worker_died": "given up after 3 tries: the worker that read it was killed or crashed",
    "timed_out": "given up after 3 tries: process 1 on host produced no output for 5 s and was killed",
}


def content(rng):
    """Lines, an array, compressed; small and large; some of it damaged."""
    rows = [
        b'{"data":%s,"n":%d}' % (rng.choice((b'"a"', b'"b"', b'"c"', b"1", b"2")), n)
        for n in range(rng.choice((0, 1, 2, 3, 5, 40, 90)))
    ]
    if rng.random() < 0.3:
        rows.insert(rng.randrange(len(rows) + 1), b"{bad")
    data = b"[" + b",".join(rows) + b"]" if rng.random() < 0.3 else b"\n".join(rows)
    return rng.choice((bytes, bytes, bytes, lambda data: gzip.compress(data, mtime=0), zstandard.compress))(data)


class Job:
    """A job over a folder as it is now.

    Args:
        poison: None, or a file and the reason (`worker_died` or `timed_out`) that it is given up for.
        changed: None, or a file, a range of it, and after how many parts of that it is found to have changed.
        earlier: None, or the results of an earlier job that are to be brought up to date.
    """

    def __init__(self, top, options, plan, *, poison=None, changed=None, earlier=None):
        self.top, self.options, self.plan, self.earlier = top, options, plan, earlier
        self.poison, self.reason = poison or (None, None)
        self._changed = changed
        self._listing = list_inputs([top / "in"])
        self.files = self._listing.files
        self.task = TaskSettings(LIST.paths, options, plan)
        self.objects = {}
        self.details = DETAILS | {"options": {name: value for name, value in asdict(options).items() if name != "name"}}

    def requested(self, output):
        """What is asked for, with what is there already."""
        update = self.earlier is not None
        how = {"job_id": "job", "incremental": update, "drop_missing": update, **asdict(self.plan)}
        return Request(self._listing, LIST, results_at(output), JobOptions.of(self.options, **how))

    def planned(self, request):
        """Its plan."""
        return make_plan(request.files, self._cut, request.plan, request.reuse)

    @cached_property
    def _cut(self):
        return cuttable(self.files, self.options, self.plan.whole_bytes)

    def prepare(self, output):
        """Make what is there before it begins."""
        shutil.rmtree(output, ignore_errors=True)
        if self.earlier is not None:
            shutil.copytree(self.earlier, output)

    def objects_of(self, unit, packed, index, *_):
        """What a task gives: functions that give body, header, body, header, …, each time as from another process."""
        if unit not in self.objects:
            assert packed == self._packed(unit)
            objects = list(match_unit(unit, packed, index, self.task))
            if self._changed is not None and unit.last == self._changed[:2]:
                entry = changed_entry(self.files[unit.first])
                objects[2 * self._changed[2] :] = fault(Key(*unit.last, FAULT_PART), entry)
            self.objects[unit] = [Unpickled(each) for each in objects]
        return self.objects[unit]

    def _packed(self, unit):
        return pack_files(self.files[unit.first : unit.stop])

    def _units(self, plan):
        """Its units, but those that are done one file at a time, as one of their files is given up."""
        for unit in plan.units():
            if self.poison is not None and unit.first <= self.poison < unit.stop and unit.stop - unit.first > 1:
                yield from (Unit(n, n + 1, max(self.files[n].size, 0)) for n in range(unit.first, unit.stop))
            else:
                yield unit

    def _bodies(self, plan):
        """All parts, in order."""
        for unit in self._units(plan):
            if unit.first == self.poison:
                entry = fault_entry(self.files[unit.first], self.reason, GIVEN_UP[self.reason])
                yield fault(Key(*unit.last, FAULT_PART), entry)[0]
            else:
                yield from (give() for give in self.objects_of(unit, self._packed(unit), LIST.index)[::2])

    def run(self, output):
        """The undisturbed run: a plain loop over the plan. Returns the summary."""
        self.prepare(output)
        request = self.requested(output)
        plan = self.planned(request)
        collector = Collector(str(output), pack_files(request.files), plan.ranges, request.settings, request.reuse)
        receipt = collector.open()
        for body in self._bodies(plan):
            while receipt.more:
                receipt = collector.commit()
            receipt = collector.commit(body)
        while receipt.more:
            receipt = collector.commit()
        summary = collector.finish(LIST.index, self.details)
        collector.close()
        wrong = list(verify(Directory(output), Checked()))
        assert not wrong, wrong
        return summary

    @cached_property
    def wanted(self):
        """What every history must end with."""
        output = self.top / "undisturbed"
        return told(output, self.run(output))


def drawn(number, top):
    """The job of this number; its inputs are written below `top`."""
    rng = random.Random(f"job {number}")
    options = MatchOptions(emit=rng.choice(("matched", "unmatched", "both", "both")), provenance=rng.random() < 0.3)
    plan, count, earlier = rng.choice(PLANS), rng.randint(2, 12), None
    (top / "in").mkdir(parents=True)
    write(rng, top / "in", count)
    if rng.random() < 0.25:
        earlier = top / "earlier"
        Job(top, options, plan).run(earlier)
        for path in rng.sample(sorted((top / "in").iterdir()), count // 2):
            path.unlink()
        write(rng, top / "in", count)
    poison = rng.choice((None, None, *((rng.randrange(count), reason) for reason in GIVEN_UP)))
    files = list_inputs([top / "in"]).files
    large = [n for n, file in enumerate(files) if file.size > plan.unit_bytes and (poison is None or n != poison[0])]
    changed = (rng.choice(large), rng.randrange(2), rng.randrange(3)) if large and rng.random() < 0.4 else None
    return Job(top, options, plan, poison=poison, changed=changed, earlier=earlier)


def write(rng, top, count):
    """So many files, but those that are there."""
    for number in range(count):
        path = top / f"{number:02}.json"
        if not path.exists():
            path.write_bytes(content(rng))


@dataclass(frozen=True)
class Unpickled:
    """Gives a new copy each time."""

    value: object
    pickled: bytes = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "pickled", pickle.dumps(self.value))

    def __call__(self):
        return pickle.loads(self.pickled)


def fault(key, entry):
    """The part that stands for a whole file."""
    body = PartBody([Piece(*key, fault=entry, counts=Counts(entries=1))], [], [])
    return body, PartHeader(key, key, True, 0)


def told(output, summary):
    """All that results say: bytes, ledger, totals."""
    with contextlib.closing(sqlite3.connect(output / "ledger.sqlite")) as ledger:
        rows = ledger.execute("SELECT * FROM file_ledger").fetchall()
        faults = ledger.execute("SELECT file, fault, ranges FROM files").fetchall()
    found = {name: (output / name).read_bytes() for name in OUTPUTS if (output / name).exists()}
    said = {name: summary[name] for name in ("totals", "faults", "reasons")}
    return {**found, "ledger": rows, "files": faults, **said, "there": sorted(os.listdir(output))}
