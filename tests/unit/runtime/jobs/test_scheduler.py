"""The scheduler's rules, one by one: what it is told, and what it has done. No Ray, no files, no clock."""

import ast
import inspect
import subprocess
import sys

import pytest

from linkmatch_ray.core.damage import NeedsMemory
from linkmatch_ray.core.outcome import FAULT_PART, Counts
from linkmatch_ray.io.inputs.archives.member import PACKED_TAR
from linkmatch_ray.io.inputs.file import MEMBER, InputFile
from linkmatch_ray.io.ledger.ledger import Key
from linkmatch_ray.runtime.jobs import scheduler
from linkmatch_ray.runtime.jobs.actions import Cancel, Cause, Fail, Flush, Offer, Open, Start
from linkmatch_ray.runtime.jobs.plan import Unit
from linkmatch_ray.runtime.jobs.receipt import Ends, Receipt
from linkmatch_ray.runtime.jobs.scheduler import (
    QUEUED_UNITS,
    SETBACKS_MAX,
    STALLED_SECONDS,
    STRIKES_MAX,
    UNITS_BEHIND_MAX,
    Scheduler,
)
from linkmatch_ray.runtime.jobs.unit_states import MOVES, AdmittedUnit, Move, State
from linkmatch_ray.runtime.jobs.worker import PartHeader, Started

TASK_SECONDS = 10.0
SOON = 1.0
LATE = 100.0
HERE = Started(7, "here", "node-1")


class Plan:
    """As much of a plan as the scheduler asks for."""

    def __init__(self, units):
        self._units = units

    def units(self, start=(0, 0)):
        return (unit for unit in self._units if unit.last >= start)


def one_each(count):
    """Files that are a unit each."""
    return [Unit(number, number + 1, 10) for number in range(count)]


class Job:
    """A scheduler, and what it has had done."""

    def __init__(self, units=None, *, workers=2, resumes=False, max_quarantined=None):
        units = one_each(30) if units is None else units
        files = [InputFile(b"%d" % n, b"/%d" % n, 10, 0, n) for n in range(units[-1].stop)]
        self.scheduler = Scheduler(
            Plan(units),
            files,
            workers=workers,
            resumes=resumes,
            task_seconds=TASK_SECONDS,
            max_quarantined=max_quarantined,
        )

    def turn(self, now=0.0):
        return self.scheduler.turn(now)

    def opened(self, durable=(0, 0, 0), now=0.0):
        """Its first turn, and a collector that has that much."""
        before = self.turn(now)
        return before, self.answer(durable, now=now)

    def answer(self, durable, taken=None, *, more=False, entries=0, now=0.0):
        ends = Ends(0, 0, 0)
        receipt = Receipt(Key(*durable), Key(*(taken or durable)), ends, ends, Counts(entries=entries), 0, more)
        return self.scheduler.answered(receipt, now)

    def give(self, task, *key, whole=True, nbytes=1, now=0.0):
        """A part of one piece comes; it is its own body."""
        self.scheduler.received(task, PartHeader(Key(*key), Key(*key), whole, nbytes), key, now)

    def done(self, task, file, now=0.0):
        """All of a file comes."""
        self.scheduler.began(task, HERE, now)
        self.give(task, file, 0, 0, now=now)
        self.scheduler.ended(task, now)


def started(actions):
    """The units that are submitted: first file and range."""
    return [(action.unit.first, action.unit.range) for action in actions if isinstance(action, Start)]


def offered(actions):
    """What is offered; None if nothing is asked of the collector."""
    return next((action.bodies for action in actions if isinstance(action, Offer)), None)


def kinds(actions):
    return [type(action) for action in actions]


# The states


def test_the_table_of_moves_is_complete():
    """Every state can be reached, from every one but the last there is a way out, and a unit obeys it."""
    assert set(MOVES.values()) == set(State)
    assert {state for state, _ in MOVES} == set(State) - {State.RETIRED}
    unit = AdmittedUnit(Unit(0, 1, 1))
    for move, state in ((Move.START, State.RUNNING), (Move.END, State.ENDED), (Move.RETIRE, State.RETIRED)):
        unit.move(move)
        assert unit.state is state
    with pytest.raises(KeyError):
        unit.move(Move.START)


def test_it_needs_no_ray():
    """Neither it nor what it imports loads Ray."""
    code = "import sys, linkmatch_ray.runtime.jobs.scheduler; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_has_no_clock_and_opens_nothing():
    """It imports only what has values, and calls nothing that opens: time is an argument."""
    nodes = list(ast.walk(ast.parse(inspect.getsource(scheduler))))
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    ours = {name for name in modules if name.startswith("linkmatch_ray.")}
    assert not [node for node in nodes if isinstance(node, ast.Import)]
    assert modules - ours <= {"__future__", "collections", "collections.abc", "functools", "itertools", "typing"}
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    assert not names & {"open", "open_input", "results_at", "print", "random"}


# Admission


def test_a_new_job_begins_before_its_collector_is_open():
    """As many units as there are workers and a few more; and the collector is opened."""
    actions = Job(workers=3).turn()
    assert started(actions) == [(n, 0) for n in range(3 + QUEUED_UNITS)]
    assert actions[-1] == Open(again=False)


def test_a_resumed_job_begins_where_the_collector_stands():
    """Nothing is started before it has said where; then the rest of the unit in which that is."""
    job = Job([Unit(0, 4, 40), Unit(4, 5, 10)], resumes=True)
    assert job.opened((2, 0, 0))[0] == [Open(again=False)]
    assert [action.unit for action in job.turn() if isinstance(action, Start)] == [Unit(2, 4, 40), Unit(4, 5, 10)]


def test_units_run_ahead_of_the_frontier_only_so_far():
    """Those behind it end, and others follow, until so many wait for it."""
    job = Job(one_each(100), workers=2)
    tasks = {action.task: action.unit.first for action in job.opened()[0] if isinstance(action, Start)}
    frontier = next(iter(tasks))
    for _ in range(100):
        running = [task for task in tasks if task != frontier]
        for task in running:
            job.done(task, tasks.pop(task))
        tasks |= {action.task: action.unit.first for action in job.turn() if isinstance(action, Start)}
    assert len(job.scheduler._window) == UNITS_BEHIND_MAX * 2
    assert job.scheduler.listened() == [frontier]


def test_the_frontier_is_admitted_and_heard_whatever_is_held(monkeypatch):
    """Beyond the limit of bytes no other is."""
    monkeypatch.setattr(scheduler, "RESULT_BYTES_MAX", 5)
    job = Job(workers=2)
    job.opened()
    job.give(2, 1, 0, 0, whole=False, nbytes=5)
    assert started(job.turn()) == []
    assert job.scheduler.listened() == [1]
    job.scheduler.failed(1, Cause.LOST, "", 0.0)
    assert started(job.turn()) == [(0, 0)]


def test_who_is_tried_again_comes_first():
    """A unit whose worker died is started before new ones, and not on the node where that was."""
    job = Job(workers=1)
    job.opened()
    job.scheduler.began(1, HERE, 0.0)
    assert job.scheduler.failed(1, Cause.DIED, "", 0.0) == []
    (again,) = (action for action in job.turn() if isinstance(action, Start))
    assert (again.unit.first, again.avoid, again.cpus) == (0, "node-1", 1)


# Offers, receipts


def test_parts_are_offered_in_the_plans_order():
    """What comes later in the plan waits, however early it comes; one call at a time."""
    job = Job(workers=2)
    job.opened()
    job.done(2, 1)
    assert offered(job.turn()) is None
    job.give(1, 0, 0, 0, whole=False)
    assert offered(job.turn()) == [(0, 0, 0)]
    job.give(1, 0, 0, 1)
    job.scheduler.ended(1, 0.0)
    assert offered(job.turn()) is None
    job.answer((0, 0, 0), (0, 0, 1))
    assert offered(job.turn()) == [(0, 0, 1), (1, 0, 0)]


def test_an_offer_has_so_many_bytes(monkeypatch):
    """About: the part that exceeds them is the last of it."""
    monkeypatch.setattr(scheduler, "OFFER_BYTES", 5)
    job = Job(workers=1)
    job.opened()
    for part in range(4):
        job.give(1, 0, 0, part, whole=False, nbytes=3)
    assert offered(job.turn()) == [(0, 0, 0), (0, 0, 1)]


def test_parts_are_held_until_they_are_durable():
    """Taken is not enough; what is durable is let go of, and the job ends with all of it."""
    job = Job(one_each(2))
    job.opened()
    job.done(1, 0)
    job.done(2, 1)
    job.turn()
    job.answer((0, 0, 0), (2, 0, 0))
    assert job.scheduler._held_bytes == 2
    job.answer((1, 0, 0), (2, 0, 0))
    job.turn()
    assert job.scheduler._held_bytes == 1
    assert not job.scheduler.is_done
    job.answer((2, 0, 0))
    assert job.scheduler.is_done


def test_what_was_not_taken_is_offered_again():
    """After any answer."""
    job = Job(workers=1)
    job.opened()
    job.done(1, 0)
    job.done(2, 1)
    assert offered(job.turn()) == [(0, 0, 0), (1, 0, 0)]
    job.answer((0, 0, 0), (1, 0, 0))
    assert offered(job.turn()) == [(1, 0, 0)]


def test_what_was_taken_is_made_durable_if_nothing_comes():
    """At the end of the plan at once; before a silent input after a moment."""
    job = Job(one_each(1))
    job.opened()
    job.done(1, 0)
    job.turn()
    job.answer((0, 0, 0), (1, 0, 0))
    assert job.turn() == [Flush()]
    job = Job(one_each(2))
    job.opened()
    job.done(1, 0)
    job.turn()
    job.answer((0, 0, 0), (1, 0, 0), now=SOON)
    assert job.turn(SOON + STALLED_SECONDS) == []
    assert job.turn(SOON + STALLED_SECONDS + 0.1) == [Flush()]


def test_pieces_of_an_earlier_job_are_asked_for_first():
    """The collector has them itself: it is offered nothing meanwhile."""
    job = Job(one_each(2))
    job.opened()
    job.done(1, 0)
    job.answer((0, 0, 0), more=True)
    assert offered(job.turn()) == []
    job.answer((0, 0, 0))
    assert offered(job.turn()) == [(0, 0, 0)]


def test_too_many_entries_end_the_job():
    """With so many it goes on, with one more it fails."""
    job = Job(max_quarantined=3)
    job.opened()
    assert job.answer((1, 0, 0), entries=3) == []
    (fail,) = job.answer((1, 0, 0), entries=4)
    assert "has more than 3 entries, so --fail-fast stopped the job" in fail.message
    assert not fail.is_setback


# What comes late, or twice


def test_a_part_that_came_before_is_passed_over():
    """A unit that is tried again gives the same once more."""
    job = Job(workers=1)
    job.opened()
    job.give(1, 0, 0, 0, whole=False)
    job.scheduler.failed(1, Cause.LOST, "", 0.0)
    (again,) = (action for action in job.turn() if isinstance(action, Start))
    for part in range(2):
        job.give(again.task, 0, 0, part, whole=False)
    job.answer((0, 0, 0), (0, 0, 1))
    assert offered(job.turn()) == [(0, 0, 1)]


def test_a_task_that_was_replaced_is_not_heard():
    """Whatever it still says."""
    job = Job(workers=1)
    job.opened()
    job.scheduler.failed(1, Cause.LOST, "", 0.0)
    job.turn()
    job.give(1, 0, 0, 0)
    job.scheduler.began(1, HERE, 0.0)
    job.scheduler.ended(1, 0.0)
    assert job.scheduler.failed(1, Cause.DIED, "", 0.0) == []
    assert offered(job.turn()) is None
    assert not job.scheduler.has_begun(1)


# Strikes


@pytest.mark.parametrize(
    ("cause", "said"), [(Cause.DIED, "the worker that read it was killed or crashed"), (Cause.FAILED, "it failed (E)")]
)
def test_a_file_is_given_up_after_its_last_strike(cause, said):
    """It becomes one entry; what had come of it goes, and the next unit is not held up."""
    job = Job(one_each(2), workers=1)
    job.opened()
    job.done(2, 1)
    task = 1
    for strike in range(STRIKES_MAX):
        job.give(task, 0, 0, strike, whole=False)
        job.scheduler.failed(task, cause, "E", 0.0)
        actions = job.turn()
        if strike < STRIKES_MAX - 1:
            (task,) = (action.task for action in actions if isinstance(action, Start))
            job.answer((0, 0, 0))
    job.answer((0, 0, 0))
    body, following = offered(job.turn())
    (piece,) = body.pieces
    assert (piece.file, piece.range, piece.part) == (0, 0, FAULT_PART)
    assert (piece.fault.reason, piece.fault.message) == ("worker_died", f"given up after 3 tries: {said}")
    assert following == (1, 0, 0)


@pytest.mark.parametrize("cause", [Cause.LOST, Cause.NO_ROOM])
def test_who_is_not_to_blame_is_never_given_up(cause):
    """However often its node goes, or Ray has no room behind the frontier."""
    job = Job(one_each(2), workers=1)
    job.opened()
    task = 2
    for _ in range(10 * STRIKES_MAX):
        assert job.scheduler.failed(task, cause, "", 0.0) == []
        (task,) = (action.task for action in job.turn() if isinstance(action, Start))


def test_a_file_that_needs_memory_is_read_by_a_task_that_asks_for_it():
    """It alone, and that is no strike. It keeps what came before, and others are retried as they are."""
    job = Job([Unit(0, 3, 30)])
    job.opened()
    job.scheduler.began(1, HERE, 0.0)
    job.give(1, 0, 0, 0)
    job.scheduler.asked_for_memory(1, NeedsMemory(1000, 1), 5000, SOON)
    assert job.scheduler.progress.needs_memory == 1000
    again = [action for action in job.turn(SOON) if isinstance(action, Start)]
    assert [(start.unit.first, start.unit.stop, start.unit.memory) for start in again][:2] == [(1, 2, 1000), (2, 3, 0)]
    for _ in range(2 * STRIKES_MAX):  # a frame behind needs more
        task = again[0].task
        job.scheduler.asked_for_memory(task, NeedsMemory(again[0].unit.memory + 1, 1), 5000, SOON)
        again = [action for action in job.turn(SOON) if isinstance(action, Start)]
        assert [start.unit.first for start in again] == [1]
    assert again[0].unit.memory == 1000 + 2 * STRIKES_MAX


def test_no_node_has_the_memory_that_a_file_needs():
    """One entry stands for it; it is not tried again."""
    job = Job([Unit(0, 3, 30)])
    job.opened()
    job.scheduler.asked_for_memory(1, NeedsMemory(6000, 1), 5000, SOON)
    actions = job.turn(SOON)
    assert started(actions) == [(0, 0), (2, 0)]
    for start in [action for action in actions if isinstance(action, Start)]:
        job.done(start.task, start.unit.first, SOON)
    (body,) = [body for body in offered(job.turn(SOON)) if not isinstance(body, tuple)]
    (piece,) = body.pieces
    assert (piece.file, piece.fault.reason) == (1, "zstd_window")
    assert "6,000 bytes" in piece.fault.message
    job.scheduler.asked_for_memory(99, NeedsMemory(1), 5000, SOON)  # of a task that was replaced


def test_the_files_of_a_struck_unit_are_done_alone():
    """Those of which not all has come; what came stays."""
    job = Job([Unit(0, 4, 40), Unit(4, 5, 10)], workers=2)
    job.opened()
    job.give(1, 0, 0, 0)
    job.give(1, 1, 0, 0, whole=False)
    job.scheduler.failed(1, Cause.DIED, "", 0.0)
    actions = job.turn()
    assert [action.unit[:2] for action in actions if isinstance(action, Start)] == [(1, 2), (2, 3)]
    assert offered(actions) == [(0, 0, 0), (1, 0, 0)]
    job.give(3, 1, 0, 0, whole=False)  # it came before
    job.give(3, 1, 0, 1)
    job.answer((0, 0, 0), (1, 0, 1))
    assert offered(job.turn()) == [(1, 0, 1)]


def test_the_members_of_a_packed_tar_are_halved():
    """Each unit of them reads the archive from its beginning. A file of which a part has come stays alone."""
    job = Job([Unit(0, 9, 90)], workers=9)
    place = MEMBER + PACKED_TAR.encode() + b" 0" + MEMBER
    job.scheduler._files[:8] = [file._replace(path=place + b"/a.tgz") for file in job.scheduler._files[:8]]
    job.opened()
    job.scheduler.failed(1, Cause.DIED, "", 0.0)
    found = [action for action in job.turn() if isinstance(action, Start)]
    assert [start.unit[:3] for start in found] == [(0, 8, 80), (8, 9, 10)]
    job.give(found[0].task, 0, 0, 0)
    job.give(found[0].task, 1, 0, 0, whole=False)
    job.scheduler.failed(found[0].task, Cause.DIED, "", 0.0)
    found = [action for action in job.turn() if isinstance(action, Start)]
    assert [start.unit[:2] for start in found] == [(1, 2), (2, 8)]
    job.scheduler.failed(found[1].task, Cause.DIED, "", 0.0)
    assert [start.unit[:2] for start in job.turn() if isinstance(start, Start)] == [(2, 5), (5, 8)]


def test_ranges_of_a_file_that_was_given_up_are_let_go():
    """One entry stands for all of it, so its other tasks are cancelled."""
    job = Job([Unit(0, 1, 10, 0, 0, 10), Unit(0, 1, 10, 1, 10, None), Unit(1, 2, 10)], workers=3)
    job.opened()
    actions = job.answer((1, 0, 0)) + job.turn()
    assert [action.task for action in actions if isinstance(action, Cancel)] == [1, 2]
    assert job.scheduler.listened() == [3]


# Silence


def test_a_task_that_gives_nothing_is_given_up():
    """After its seconds it is cancelled and done again; a sign of life is enough."""
    job = Job(workers=1)
    job.opened()
    job.scheduler.began(1, HERE, 0.0)
    job.scheduler.received(1, None, None, SOON)
    assert job.scheduler.give_up_stalled(TASK_SECONDS, cpu_is_free=False) == []
    assert job.scheduler.give_up_stalled(SOON + TASK_SECONDS + 0.1, cpu_is_free=False)[0] == Cancel(1)
    assert job.scheduler._window[0].strikes == 1


def test_time_counts_only_for_who_is_heard(monkeypatch):
    """One that is not listened to has no chance to give anything."""
    job = Job(one_each(3), workers=1)
    job.opened()
    for task in (1, 2):
        job.scheduler.began(task, HERE, 0.0)
    job.scheduler.received(1, None, None, LATE)
    monkeypatch.setattr(scheduler, "RESULT_BYTES_MAX", 0)
    assert job.scheduler.give_up_stalled(LATE, cpu_is_free=True) == []
    assert job.scheduler._window[1].heard == LATE


def test_who_waits_for_a_cpu_is_not_silent():
    """It is cancelled, without a strike, only if there is a CPU that it could have had, or one is lost for good."""
    job = Job(workers=1)
    job.opened()
    assert job.scheduler.asks_for_cpus(LATE)
    assert job.scheduler.give_up_stalled(LATE, cpu_is_free=False) == []
    assert not job.scheduler.asks_for_cpus(LATE + SOON)
    cancelled = job.scheduler.give_up_stalled(2 * LATE, cpu_is_free=True)
    assert cancelled[0] == Cancel(1)
    assert job.scheduler._window[0].strikes == 0


def test_a_process_may_need_long_to_start():
    """Each time it has twice as long, so that one day it has begun."""
    job = Job(one_each(1))
    job.opened()
    for tries, task in enumerate(range(1, 6)):
        seconds = TASK_SECONDS * 2**tries
        assert job.scheduler.give_up_stalled(seconds, cpu_is_free=True) == []
        assert job.scheduler.give_up_stalled(seconds + 0.1, cpu_is_free=True) == [Cancel(task)]
        job.scheduler.released(task)
        job.turn()


def test_a_process_that_cannot_be_killed_has_a_cpu():
    """Until it is gone others are counted without one."""
    job = Job(one_each(1))
    job.opened()
    job.scheduler.began(1, HERE, 0.0)
    job.scheduler.give_up_stalled(LATE, cpu_is_free=False)
    (again,) = (action for action in job.turn(LATE) if isinstance(action, Start))
    assert again.cpus == 0
    job.scheduler.released(1)
    job.scheduler.failed(again.task, Cause.LOST, "", LATE)
    (again,) = (action for action in job.turn(LATE) if isinstance(action, Start))
    assert again.cpus == 1


def test_a_process_that_was_cancelled_may_take_a_moment_to_go():
    """Only then does it count as one that cannot be killed."""
    job = Job(one_each(9), workers=1)
    job.opened((0, 0, 0))
    job.answer((1, 0, 0))  # the first is over, and its task still there
    actions = job.turn()
    assert actions[0] == Cancel(1)
    assert {action.cpus for action in actions if isinstance(action, Start)} == {1}
    job.scheduler.failed(2, Cause.LOST, "", LATE)
    assert {action.cpus for action in job.turn(LATE) if isinstance(action, Start)} == {0}


def test_who_is_blocked_makes_way(monkeypatch):
    """While the frontier waits for a worker, the youngest that runs is put back each time; it waits for room then."""
    monkeypatch.setattr(scheduler, "RESULT_BYTES_MAX", 5)
    job = Job(one_each(9), workers=2)
    job.opened()
    job.give(2, 1, 0, 0, nbytes=5)
    assert job.scheduler.make_way(STALLED_SECONDS) == []
    now = STALLED_SECONDS + 0.1
    assert job.scheduler.make_way(now) == [Cancel(4)]
    assert started(job.turn(now)) == []
    assert job.scheduler.make_way(now + SOON) == []
    assert job.scheduler.make_way(2 * now + SOON) == [Cancel(3)]
    job.scheduler.began(1, HERE, 2 * now + SOON)
    assert job.scheduler.make_way(LATE) == []


def test_nobody_makes_way_for_a_frontier_that_is_silent(monkeypatch):
    """It has a worker, so its seconds count, and it is given up."""
    monkeypatch.setattr(scheduler, "RESULT_BYTES_MAX", 5)
    job = Job(one_each(9), workers=2)
    job.opened()
    job.scheduler.began(1, HERE, 0.0)
    job.give(2, 1, 0, 0, nbytes=5)
    for now in range(int(TASK_SECONDS)):
        assert job.scheduler.make_way(float(now)) == []
    assert job.scheduler.give_up_stalled(TASK_SECONDS + 0.1, cpu_is_free=False) == [Cancel(1)]


# Setbacks


def test_a_collector_that_died_is_followed_by_another():
    """Which is offered what it does not have."""
    job = Job(one_each(2))
    job.opened()
    job.done(1, 0)
    job.turn()
    assert job.scheduler.collector_died() == []
    assert job.turn() == [Open(again=True)]
    job.answer((0, 0, 0))
    assert offered(job.turn()) == [(0, 0, 0)]


def test_a_collector_that_stands_further_back():
    """It died after a file was rolled back and before its entry: all is done again from there."""
    job = Job([Unit(0, 1, 10, 0, 0, 10), Unit(0, 1, 10, 1, 10, None), Unit(1, 2, 10)], workers=1)
    job.opened()
    job.done(1, 0)
    job.turn()
    job.answer((0, 1, 0))
    job.turn()
    job.answer((0, 0, 0), (1, 0, 0))
    job.scheduler.collector_died()
    job.turn()
    assert kinds(job.answer((0, 0, 0))) == [Cancel, Cancel]
    assert started(job.turn()) == [(0, 0), (0, 1), (1, 0)]


def test_a_part_that_was_lost_is_made_again():
    """All that is not durable is done anew."""
    job = Job(one_each(3), workers=1)
    job.opened()
    job.done(1, 0)
    job.turn()
    job.answer((1, 0, 0))
    job.done(2, 1)
    job.turn()
    assert kinds(job.scheduler.part_lost("E", 0.0)) == [Cancel]
    assert started(job.turn()) == [(1, 0), (2, 0)]


def test_a_file_that_was_taken_in_part_is_read_alone():
    """Its unit was split. Packed with others, it may be one piece, of which the collector could take no part."""
    job = Job([Unit(0, 4, 40), Unit(4, 5, 10)], workers=9, resumes=True)
    job.opened((1, 0, 2))
    files = [action.unit[:2] for action in job.turn() if isinstance(action, Start)]
    assert files == [(1, 2), (2, 4), (4, 5)]


def test_so_is_one_that_is_not_durable():
    """A collector that lives on goes on from what it has taken."""
    job = Job([Unit(0, 4, 40), Unit(4, 5, 10)], workers=9)
    job.opened()
    job.answer((1, 0, 0), (2, 0, 1))
    job.turn()
    job.scheduler.part_lost("E", 0.0)
    files = [action.unit[:2] for action in job.turn() if isinstance(action, Start)]
    assert files == [(1, 2), (2, 3), (3, 4), (4, 5)]


@pytest.mark.parametrize("setback", ["collector_died", "part_lost", "no room"])
def test_setbacks_without_progress_end_the_job(setback):
    """So many are borne; one more is not. Progress in between makes up for them."""
    job = Job(workers=1)
    job.opened()

    def set_back(times):
        for _ in range(times):
            if setback == "collector_died":
                actions = job.scheduler.collector_died()
            elif setback == "part_lost":
                actions = job.scheduler.part_lost("E", 0.0)
            else:
                actions = job.scheduler.failed(job.scheduler.listened()[0], Cause.NO_ROOM, "E", 0.0)
            job.turn()
            failed = [action for action in actions if isinstance(action, Fail)]
        return failed

    assert set_back(SETBACKS_MAX) == []
    job.answer((1, 0, 0))
    job.turn()
    assert set_back(SETBACKS_MAX) == []
    (fail,) = set_back(1)
    assert "set back 6 times without committing anything" in fail.message
    assert fail.is_setback


def test_a_collector_that_takes_nothing():
    """It would be offered the same for ever. It may take nothing while it has more to do, or after it was opened."""
    job = Job(workers=1)
    job.opened()
    job.done(1, 0)
    assert offered(job.turn()) == [(0, 0, 0)]
    for _ in range(SETBACKS_MAX + 1):
        assert job.answer((0, 0, 0), more=True) == []
        job.turn()
    assert job.answer((0, 0, 0)) == []
    for _ in range(SETBACKS_MAX):
        assert offered(job.turn()) == [(0, 0, 0)]
        assert job.answer((0, 0, 0)) == []
    assert offered(job.turn()) == [(0, 0, 0)]
    (fail,) = job.answer((0, 0, 0))
    assert fail.message.startswith("the job was set back 6 times")
    assert "took nothing of what it was offered" in fail.message
