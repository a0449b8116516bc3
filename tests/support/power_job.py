"""The job of `test_power_loss`: its parts are made once, and then offered to a collector as often as it takes."""

import os
import pickle
import sys
from pathlib import Path
from typing import NamedTuple

from linkmatch_ray.core.index import RestrictionIndex
from linkmatch_ray.core.options import MatchOptions
from linkmatch_ray.io.inputs.file import pack_files
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.sniff import cuttable
from linkmatch_ray.io.ledger.ledger import Key, Ledger
from linkmatch_ray.io.restrictions.restrictions import Restrictions
from linkmatch_ray.io.results.directory import Directory
from linkmatch_ray.io.results.reuse import ReusePlan, plan_reuse
from linkmatch_ray.runtime.jobs import collector
from linkmatch_ray.runtime.jobs.plan import PlanOptions, make_plan
from linkmatch_ray.runtime.jobs.worker import PartBody, TaskSettings, match_unit
from tests.support.jobs import DETAILS

COMPLETE = Key(1 << 62, 0, 0)
"""The frontier of a job whose summary was given back."""


class Job(NamedTuple):
    """What a collector is made with, and what it is offered."""

    files: bytes
    ranges: list[int]
    settings: dict[str, str]
    index: RestrictionIndex
    parts: list[PartBody]
    reuse: ReusePlan | None = None


def make_job(folder, emit):
    """Parts of the real matcher: small files in one piece, ranges, damage, and a file that changes after some parts."""
    lines = [b'{"data":"%s","number":%d}\n' % (b"yes" if n % 3 else b"no", n) for n in range(150)]
    lines[40] = lines[110] = b"{damaged}\n"
    short, long = (b"[" + b",".join(lines[:40] * times) + b"]" for times in (2, 4))
    contents = [b"".join(lines[:9]), lines[0], lines[1], b"".join(lines), short, long, b"".join(lines[30:70])]
    for number, content in enumerate(contents):
        (folder / f"{number}.json").write_bytes(content)
    files = list_inputs([folder]).files
    restrictions = Restrictions.load(b'["yes", "never"]', "data")
    options, plan = MatchOptions(emit=emit, provenance=True), PlanOptions(unit_bytes=2000, part_bytes=700)
    made, parts = make_plan(files, cuttable(files, options, plan.whole_bytes), plan), []
    for unit in make_plan(files, cuttable(files, options, plan.whole_bytes), plan).units():
        packed = pack_files(files[unit.first : unit.stop])
        for each in match_unit(unit, packed, restrictions.index, TaskSettings(restrictions.paths, options, plan)):
            if isinstance(each, PartBody):
                parts.append(each)
                if [(piece.file, piece.part) for piece in each.pieces] == [(4, 0)]:
                    (folder / "4.json").write_bytes(short + b"\n")
    settings = {"fingerprint": "f", "emit": emit, "provenance": "1", "restrictions": restrictions.index.content_hash}
    return Job(pack_files(files), made.ranges, settings, restrictions.index, parts)


def make_update(folder, earlier):
    """An incremental job: of the files of `make_job` one is gone, one new, one longer; the rest is taken over."""
    (folder / "1.json").unlink()
    (folder / "22.json").write_bytes(b'{"data":"yes"}\n' * 60)
    (folder / "5.json").write_bytes(b'[{"data":"yes"},{"data":"no"}]')
    files = list_inputs([folder]).files
    ledger = Ledger(earlier / "ledger.sqlite")
    reuse = plan_reuse(files, ledger)
    settings = {**ledger.settings(), "fingerprint": "g"}
    del settings["schema"]  # which the ledger adds
    ledger.close()
    restrictions = Restrictions.load(b'["yes", "never"]', "data")
    options, plan = MatchOptions(emit=settings["emit"], provenance=True), PlanOptions(unit_bytes=2000, part_bytes=700)
    made, parts = make_plan(files, cuttable(files, options, plan.whole_bytes), plan, reuse), []
    for unit in made.units():
        packed = pack_files(files[unit.first : unit.stop])
        parts += match_unit(unit, packed, restrictions.index, TaskSettings(restrictions.paths, options, plan))
    bodies = [each for each in parts if isinstance(each, PartBody)]
    return Job(pack_files(files), made.ranges, settings, restrictions.index, bodies, reuse)


def run(directory, job, tell, *, overwrite=False):
    """Offer the parts from the durable frontier on, and finish; `tell` what must survive from now on."""
    writer = collector.Collector(str(directory), job.files, job.ranges, job.settings, job.reuse)

    def take_earlier(receipt):
        while receipt.more:
            receipt = writer.commit()
            tell(receipt.durable)
        return receipt.durable

    try:
        receipt = writer.open(overwrite=overwrite)
        tell(receipt.durable)
        durable = take_earlier(receipt)
        for part in job.parts:
            last = part.pieces[-1]
            if (last.file + last.files - 1, last.range, last.part) < durable:
                continue
            # A fault takes back what its file had given, so from now on the file's start is all that is promised.
            tell(min([durable, *(Key(piece.file, 0, 0) for piece in part.pieces if piece.fault)]))
            receipt = writer.commit(part)
            tell(receipt.durable)
            durable = take_earlier(receipt)
        writer.finish(job.index, DETAILS)
        tell(COMPLETE)
    finally:
        writer.close()


def main(directory, job, how):
    """Run a job with small transactions, and tell on standard output."""
    collector.COMMIT_BYTES, Directory.commit_seconds = 10000, 3600
    told = pickle.loads(Path(job).read_bytes())
    run(directory, told, lambda key: os.write(1, b"%d %d %d\n" % key), overwrite=how == "overwrite")


if __name__ == "__main__":
    main(*sys.argv[1:])
