"""A power cut after any system call, also of a recovery: the job goes on, and gives the bytes that it would have."""

import os
import pickle
import shutil
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from linkmatch_ray.io.ledger.ledger import Key
from linkmatch_ray.io.results.directory import adopt_next
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.verification import Checked, verify
from tests.conftest import REPO
from tests.support.power import Disk, can_trace, trace
from tests.support.power_job import COMPLETE, make_job, make_update, run
from tests.support.tiers import examples, some

pytestmark = pytest.mark.skipif(not can_trace(), reason="needs strace (apt-get install strace), and leave to use it")

SEED = int(os.environ.get("LINKMATCH_SEED", "0"))  # `scripts/fuzz` gives others
DRAWS = 2  # disks by chance after each call, beside the systematic ones
STATES = 100  # disks of one run, of which `some` are recovered, where not all of them are

OUTPUTS = ("matched.jsonl", "unmatched.jsonl", "quarantine.jsonl", "restrictions.jsonl", "summary.json")
NOTHING = Key(0, 0, 0)


class Cut(NamedTuple):
    """A disk that a power cut may leave, after which system call, and what must still be there."""

    state: dict[str, Any]
    after: int
    promised: Key


class Bench:
    """A job, what it gives undisturbed, and a place in memory to cut it in."""

    def __init__(self, directory, emit):
        self._disk, self._log, self._pickled = directory / "disk", directory / "log", directory / "job"
        (directory / "in").mkdir()
        self._job = make_job(directory / "in", emit)
        self._pickled.write_bytes(pickle.dumps(self._job))
        run(self._lay({}), self._job, lambda key: None)
        self.complete = self._read()
        self._expected = self._outputs()

    def disk(self, state, ignored=None):
        """A disk to follow what `trace` gives."""
        return Disk(str(self._disk), state, ignored)

    def _lay(self, state):
        """Make the directory this; returns where the results are."""
        shutil.rmtree(self._disk, ignore_errors=True)
        self._disk.mkdir()
        for path, content in state.items():
            if content is None:
                (self._disk / path).mkdir()
            else:
                (self._disk / path).write_bytes(content)
        return self._disk / "out"

    def _read(self):
        paths = sorted((self._disk / "out").rglob("*"))
        found = {str(path.relative_to(self._disk)): None if path.is_dir() else path.read_bytes() for path in paths}
        return {"out": None} | found

    def _outputs(self):
        return {name: content for name, content in self._read().items() if name.removeprefix("out/") in OUTPUTS}

    def trace(self, state, how="resume"):
        """The system calls of a process that runs the job from this disk on."""
        command = [sys.executable, "-m", "tests.support.power_job", self._lay(state), self._pickled, how]
        calls = trace(command, self._log, cwd=REPO, env={**os.environ, "PYTHONPATH": str(REPO)})
        disk = self.disk(state)
        for call in calls:
            disk.apply(call)
        assert disk.state() == self._read()  # nothing escaped the trace
        return calls

    def recover(self, cut):
        """Start the same command on the disk: it must go on from where it promised, and give the same bytes."""
        out, told = self._lay(cut.state), []

        def tell(key):
            if not told:
                assert list(verify(results_at(out), Checked())) == []
            told.append(key)

        if (out / "summary.json").exists():
            tell(COMPLETE)
        else:
            run(out, self._job, tell)
        assert self._outputs() == self._expected
        assert list(verify(results_at(out), Checked())) == []
        assert told[0] >= cut.promised, "what was reported as durable is lost"


class Update(Bench):
    """A complete job, and one that brings it up to date."""

    def __init__(self, directory):
        super().__init__(directory, "both")
        self.before, self._earlier = self.complete, self._outputs()
        self._job = make_update(directory / "in", self._lay(self.before))
        self._pickled.write_bytes(pickle.dumps(self._job))
        run(self._lay(self.before), self._job, lambda key: None)
        self._expected = self._outputs()
        assert self._expected != self._earlier

    def recover(self, cut):
        """As `submit --incremental` does: the exchange is made, or the earlier job is as it was."""
        out = self._lay(cut.state)
        if (out / "next" / "summary.json").exists():
            adopt_next(out)
        if results_at(out).settings()["fingerprint"] == "g":
            assert self._outputs() == self._expected
            adopt_next(out)  # an empty directory may be left
            assert not (out / "next").exists()
        else:
            assert cut.promised < COMPLETE
            assert self._outputs() == self._earlier
            run(out, self._job, lambda key: None)
        assert self._outputs() == self._expected
        assert list(verify(results_at(out), Checked())) == []
        assert sorted(self._read()) == sorted(self.before)


def cuts(disk, calls, promised, random, *, each=True):
    """All the different disks that power cuts leave while these calls are made, by their content."""
    found = {}
    for number, call in enumerate(calls):
        if disk.apply(call):
            promised = Key(*map(int, disk.told.split())) if disk.told else promised
            for state in disk.cuts(random, DRAWS, each=each):
                name = tuple(state.items())
                before = found.get(name, Cut(state, number, promised))
                found[name] = before._replace(promised=max(before.promised, promised))
    return found


def recover(bench, tried, calls):
    """All of them are survived."""
    for cut in tried:
        try:
            bench.recover(cut)
        except Exception as error:
            error.add_note(f"SEED = {SEED}; power cut after call {cut.after}, {str(calls[cut.after])[:200]}")
            raise


@pytest.fixture(scope="module")
def place():
    """Makes directories, in memory where there is such a place: recoveries sync a lot."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield lambda: Path(tempfile.mkdtemp(dir=directory))


@pytest.fixture(scope="module")
def bench(place):
    """The job with both outputs."""
    return Bench(place(), "both")


@pytest.fixture(scope="module")
def calls(bench):
    """The system calls of the job, undisturbed."""
    return bench.trace({})


@pytest.fixture(scope="module")
def found(bench, calls):
    """The disks that power cuts leave then."""
    return cuts(bench.disk({}), calls, NOTHING, Random(SEED))


@pytest.fixture
def random():
    """Each test draws the same, with or without the others."""
    return Random(SEED)


def test_power_cut(bench, calls, found):
    """After every call: commits, the roll-back of a file, the report, the summary."""
    recover(bench, some(found.values()), calls)


@pytest.mark.slow
def test_power_cut_with_one_output(place, random):
    """The output that is not asked for is removed at the end."""
    bench = Bench(place(), "matched")
    calls = bench.trace({})
    found = cuts(bench.disk({}), calls, NOTHING, random)
    recover(bench, some(list(found.values())[-STATES:]), calls)


@pytest.mark.slow
def test_power_cut_while_an_old_job_is_overwritten(bench, random):
    """Never a summary over what is not its job."""
    calls = bench.trace(bench.complete, "overwrite")
    found = cuts(bench.disk(bench.complete), calls, NOTHING, random)
    recover(bench, some(list(found.values())[:STATES]), calls)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_power_cut_while_recovering_from_one(number, bench, found, random):
    """What the first cut left, and what was reported before it, is still there after the second."""
    first = random.sample(list(found.values()), 3)[number]
    calls = bench.trace(first.state)
    again = list(cuts(bench.disk(first.state), calls, first.promised, random).values())
    recover(bench, random.sample(again, examples(min(STATES, len(again)))), calls)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_power_cut_while_recovering_from_a_kill(number, bench, calls, random):
    """What the killed process had not synced may still be lost: here the removal of a name, of a journal mostly."""
    kill = random.sample([place for place, call in enumerate(calls) if call.name.startswith("unlink")], 3)[number]
    disk = bench.disk({})
    for call in calls[: kill + 1]:
        disk.apply(call)
    calls = bench.trace(disk.state())
    again = list(cuts(disk, calls, NOTHING, random).values())
    recover(bench, random.sample(again, examples(min(STATES, len(again)))), calls)


@pytest.mark.slow
def test_power_cut_while_brought_up_to_date(place, random):
    """The earlier job whole, or the new one: nothing in between that the next start does not end."""
    bench = Update(place())
    calls = bench.trace(bench.before)
    found = list(cuts(bench.disk(bench.before), calls, NOTHING, random).values())
    recover(bench, some([*random.sample(found, min(STATES, len(found))), *found[-STATES:]]), calls)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["out", "out/next"])
def test_every_sync_of_the_exchange_is_needed(path, place, random):
    """Without it the tests above would fail."""
    bench = Update(place())
    calls = bench.trace(bench.before)
    found = list(cuts(bench.disk(bench.before, ignored=path), calls, NOTHING, random).values())
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is that fails
        recover(bench, found[::-1], calls)


SYNCED = ["", "out", *(f"out/{name}" for name in ("matched.jsonl", "unmatched.jsonl", "quarantine.jsonl"))]
SYNCED += [f"out/{name}" for name in ("restrictions.jsonl.new", "summary.json.new")]
SYNCED += [f"out/{name}" for name in ("ledger.sqlite", "ledger.sqlite-journal")]


@pytest.mark.slow
@pytest.mark.parametrize("path", SYNCED)
def test_every_sync_is_needed(path, bench, calls, found, random):
    """Were it not there, these tests would say so."""
    more = cuts(bench.disk({}, ignored=path), calls, NOTHING, random, each=False)
    more = [cut for name, cut in more.items() if name not in found or cut.promised > found[name].promised]
    random.shuffle(more)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is that fails
        recover(bench, more, calls)
