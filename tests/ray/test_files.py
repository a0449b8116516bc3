"""Every kind of file: nothing blocks, nothing takes others with it, and a file is one version of itself."""

import json
import os
import socket

import pytest

from linkmatch_ray import MatchOptions, Restrictions, submit
from linkmatch_ray.core.outcome import FAULT_PART
from linkmatch_ray.io.inputs.file import pack_files
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.sniff import cuttable
from linkmatch_ray.runtime.jobs.collector import Collector
from linkmatch_ray.runtime.jobs.plan import PlanOptions, Unit, make_plan
from linkmatch_ray.runtime.jobs.worker import PartHeader, TaskSettings, match_unit

GOOD = b'{"data":"a"}\n'
RESTRICTIONS = Restrictions.load(b'["a"]')
NAMES = [b"with space.json", b"new\nline.json", b"-dash.json", b"\xff\xfe.json", b"quote\"'.json", "日本.json".encode()]


@pytest.mark.usefixtures("ray_session")
def test_every_kind_of_file(tmp_path):
    """FIFOs, sockets, devices, links that lead nowhere or in circles: an entry each; any name works."""
    top = os.fsencode(tmp_path / "in")
    for folder in (b"", b"a", b"b"):
        os.makedirs(os.path.join(top, folder), exist_ok=True)
        for name in NAMES:
            with open(os.path.join(top, folder, name), "wb") as file:
                file.write(GOOD)
    strange = [b"fifo.json", b"socket.json", b"dangling.json", b"self.json", b"device.json"]
    os.mkfifo(os.path.join(top, b"fifo.json"))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.join(top, b"socket.json"))
    os.symlink(b"nowhere.json", os.path.join(top, b"dangling.json"))
    os.symlink(b"self.json", os.path.join(top, b"self.json"))
    os.symlink(b"/dev/zero", os.path.join(top, b"device.json"))
    os.symlink(top, os.path.join(top, b"a", b"loop"))
    os.mkdir(os.path.join(top, b"folder.json"))
    if os.geteuid():
        strange.append(b"forbidden.json")
        with open(os.path.join(top, b"forbidden.json"), "wb") as file:
            file.write(GOOD)
        os.chmod(os.path.join(top, b"forbidden.json"), 0)
    named = [os.path.join(top, b"a", name) for name in strange]
    for name, path in zip(strange, named, strict=True):
        os.symlink(os.path.join(b"..", name), path)  # the same ones again, by another name
    summary = submit([top], RESTRICTIONS, output=tmp_path / "out").result(60)
    assert summary["totals"]["matched"] == 3 * len(NAMES)
    assert summary["faults"] == {"unreadable": len(strange)}
    entries = [json.loads(line) for line in (tmp_path / "out" / "quarantine.jsonl").read_bytes().splitlines()]
    assert len(entries) == len(strange)
    assert {entry["reason"] for entry in entries} == {"unreadable"}
    assert all(entry["message"] for entry in entries)


def test_names_that_are_not_utf8_are_told_exactly(tmp_path):
    """In quarantine and provenance, as base64 beside the readable form."""
    path = os.path.join(os.fsencode(tmp_path), b"\xff.json")
    with open(path, "wb") as file:
        file.write(GOOD + b"{bad}\n")
    parts = matched_parts([path], MatchOptions(provenance=True))
    (line,) = [bytes(chunk) for body in parts for chunk in body.matched]
    assert json.loads(line)["file_base64"]
    (entry,) = [entry for body in parts for piece in body.pieces for entry in piece.entries]
    assert json.loads(entry.as_line(path))["file_base64"] == json.loads(line)["file_base64"]


def matched_parts(paths, options=None, between=None, plan=None):
    """The parts of all units of a plan that was made before `between` ran; it runs again after each part."""
    options, plan = options or MatchOptions(), plan or PlanOptions()
    files = list_inputs(paths).files
    settings = TaskSettings(RESTRICTIONS.paths, options, plan)
    bodies = []
    if between is not None:
        between(0)
    for unit in make_plan(files, cuttable(files, options, plan.whole_bytes), plan).units():
        packed = pack_files(files[unit.first : unit.stop])
        for each in match_unit(unit, packed, RESTRICTIONS.index, settings):
            if isinstance(each, PartHeader):
                continue
            bodies.append(each)
            if between is not None:
                between(len(bodies))
    return bodies


def grow(path):
    with open(path, "ab") as file:
        file.write(GOOD)


def shrink(path):
    os.truncate(path, os.path.getsize(path) - len(GOOD))


def replace(path):
    size, times = os.path.getsize(path), os.stat(path)
    path.with_suffix(".new").write_bytes(b" " * size)
    os.utime(path.with_suffix(".new"), ns=(times.st_atime_ns, times.st_mtime_ns))
    os.replace(path.with_suffix(".new"), path)


def rewrite(path):
    with open(path, "r+b") as file:
        file.write(b'{"data":"b"}\n')


def rewrite_and_restore(path):
    """The size and mtime are as before; of a clock that ticks slowly the ctime moves with its next tick."""
    before = os.stat(path)
    while os.stat(path).st_ctime_ns == before.st_ctime_ns:
        rewrite(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def vanish(path):
    path.unlink()


def become_fifo(path):
    path.unlink()
    os.mkfifo(path)


CHANGES = [grow, shrink, replace, rewrite, rewrite_and_restore, vanish, become_fifo]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("neighbours", [0, 2])
def test_changed_between_plan_and_read(change, neighbours, tmp_path):
    """One entry, and the neighbours come out, by itself or among small files."""
    paths = [tmp_path / f"{number}.json" for number in range(neighbours + 1)]
    for path in paths:
        path.write_bytes(GOOD * 10)
    bodies = matched_parts(paths, between=lambda count: None if count else change(paths[neighbours // 2]))
    faults = [piece.fault for body in bodies for piece in body.pieces if piece.fault is not None]
    assert [fault.reason for fault in faults] == ["unreadable" if change is vanish else "changed"]
    assert sum(piece.counts.matched for body in bodies for piece in body.pieces) == 10 * neighbours


@pytest.mark.parametrize("change", [change for change in CHANGES if change not in (replace, vanish, become_fifo)])
@pytest.mark.parametrize("layout", ["lines", "array"])
def test_changed_while_it_is_read(change, layout, tmp_path):
    """Never a mix: after parts of the old version comes the entry, and the collector rolls them back."""
    first, path = tmp_path / "first.json", tmp_path / "large.json"
    first.write_bytes(GOOD)
    path.write_bytes(GOOD * 1000 if layout == "lines" else b"[" + b",".join([GOOD] * 1000) + b"]\n")
    inputs, plan = [first, path], PlanOptions(part_bytes=1000, one_file_per_task=True)
    bodies = matched_parts(inputs, plan=plan, between=lambda count: change(path) if count == 3 else None)
    last = bodies[-1].pieces[-1]
    assert (last.part, last.fault.reason) == (FAULT_PART, "changed")
    assert len(bodies) > 3
    files = list_inputs([first, path]).files
    collector = Collector(
        str(tmp_path / "out"), pack_files(files), [1, 1], {"fingerprint": "", "provenance": "0", "emit": "matched"}
    )
    collector.open()
    collector.commit(*bodies[:3])
    collector.flush()
    collector.commit(*bodies[3:])
    summary = collector.finish(RESTRICTIONS.index, {})
    collector.close()
    assert (tmp_path / "out" / "matched.jsonl").read_bytes() == GOOD
    assert (summary["totals"]["records"], summary["totals"]["entries"]) == (1, 1)
    assert summary["faults"] == {"changed": 1}


def test_rewritten_between_two_ranges(tmp_path):
    """Though size and mtime are restored, no range of the new version follows one of the old."""
    path = tmp_path / "large.json"
    path.write_bytes(GOOD * 300)
    bodies = matched_parts(
        [path],
        plan=PlanOptions(unit_bytes=1300),
        between=lambda count: rewrite_and_restore(path) if count == 1 else None,
    )
    faults = [piece.fault and piece.fault.reason for body in bodies for piece in body.pieces]
    assert faults == [None, "changed", "changed"]


def test_replaced_while_it_is_read_is_read_to_its_end(tmp_path):
    """Who has the old file open reads all of the old version: a file is one version of itself."""
    path = tmp_path / "large.json"
    path.write_bytes(GOOD * 1000)
    bodies = matched_parts(
        [path], plan=PlanOptions(part_bytes=1000), between=lambda count: vanish(path) if count == 3 else None
    )
    assert sum(piece.counts.matched for body in bodies for piece in body.pieces) == 1000


def test_a_range_of_a_changed_file_stands_for_all_of_it(tmp_path):
    """Ranges that were read before and after a change never meet."""
    path = tmp_path / "large.json"
    path.write_bytes(GOOD * 1000)
    (file,) = list_inputs([path]).files
    settings = TaskSettings(RESTRICTIONS.paths, MatchOptions(), PlanOptions(unit_bytes=1300))
    grow(path)
    unit = Unit(0, 1, 1300, 3, 3900, 5200)
    body, header = match_unit(unit, pack_files([file]), RESTRICTIONS.index, settings)
    assert body.pieces[0].fault.reason == "changed"
    assert header.last.range == 3
