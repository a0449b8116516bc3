"""The plain collector as an actor of the fake Ray: calls come in order, and some are the last of their process."""

import errno
import os
import pickle
from collections import deque
from contextlib import contextmanager, suppress
from functools import wraps

from ray.exceptions import ActorDiedError, ObjectLostError, RayTaskError

from linkmatch_ray.errors import LinkmatchError
from linkmatch_ray.io.ledger import ledger
from linkmatch_ray.io.results import directory, file_output
from linkmatch_ray.runtime.jobs.collector import Collector
from tests.simulation.fake_ray import Ref
from tests.simulation.faults import Killed, NotAsItShould

WRITES_MAX = 40
"""About as many as a call takes."""

FINISH_SECONDS_MAX = 3.0
LATE_MAX = 3
"""Earlier calls that may come again."""

WRITES = (
    *((file_output.FileOutput, name) for name in ("write", "sync", "truncate")),
    *((ledger.Ledger, name) for name in ("begin_job", "commit", "roll_back_file")),
    *((directory, name) for name in ("write_atomically", "sync_directory", "clear", "adopt_next")),
    (directory.os, "replace"),
)
"""Where the collector can be killed, or its disk be full: before each of these and after it."""


@contextmanager
def burning(fuse):
    """Each write of a collector burns the fuse, before it is made and after."""

    def burn(write):
        @wraps(write)
        def burnt(*args, **how):
            fuse.burn()
            result = write(*args, **how)
            fuse.burn()
            return result

        return burnt

    before = [(owner, name, getattr(owner, name)) for owner, name in WRITES]
    try:
        for owner, name, write in before:
            setattr(owner, name, burn(write))
        yield
    finally:
        for owner, name, write in before:
            setattr(owner, name, write)


class FakeCollector:
    """Stands for a `CollectorHandle` and its actor.

    Args:
        job: The collector's arguments.
    """

    def __init__(self, ray, rates, fuse, *job):
        self._ray, self._rates, self._fuse = ray, rates, fuse
        self._collector = Collector(*job)
        self._calls, self._is_busy, self.is_dead, self._earlier = deque(), False, False, deque(maxlen=LATE_MAX)

    def open(self, *, overwrite):
        return self._call("open")

    def commit(self, *bodies):
        return self._call("commit", *bodies)

    def flush(self):
        return self._call("flush")

    def finish(self, index, details):
        return self._call("finish", index, details)

    def close(self):
        """At the end of the driver, if it ends well: what was asked before is done first."""
        self._run_all()
        if not self.is_dead:
            with suppress(LinkmatchError, Killed):
                self._collector.close()
            self.die()

    def abandon(self):
        """At the end of a driver that is killed: its actor lives on for a moment."""
        if self._ray.rng.random() < 0.5:
            self._run_all()
        self.die()

    def die(self):
        """What the kernel does when the process is killed."""
        if not self.is_dead:
            self.is_dead = True
            self._fuse.light(0, None)
            self._collector._held.close()
        for ref, *_ in self._calls:
            ref.throw(ActorDiedError())
        self._calls.clear()

    def _call(self, method, *args):
        ref = Ref()
        if self.is_dead:
            ref.throw(ActorDiedError())
        else:
            self._calls.append((ref, method, args))
            self._run_next()
        return ref

    def _run_next(self):
        if not self._is_busy and self._calls:
            self._is_busy = True
            is_last = self._calls[0][1] == "finish"
            self._ray.clock.after(self._ray.rng.uniform(0, FINISH_SECONDS_MAX), self._run_one) if is_last else (
                self._ray.soon(self._run_one)
            )

    def _run_all(self):
        while self._calls:
            self._run_one()

    def _run_one(self):
        self._is_busy = False
        if not self._calls:
            return
        ref, method, args = self._calls.popleft()
        rng, rates = self._ray.rng, self._rates
        if rng.random() < rates.collector_dies:
            self._fuse.light(rng.choice((0, 1, 2, 3, rng.randrange(WRITES_MAX))), Killed())
        elif rng.random() < rates.store_fails:
            self._fuse.light(rng.randrange(WRITES_MAX), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        try:
            args = [self._ray.get(arg) if isinstance(arg, Ref) else arg for arg in args]
            if method == "commit" and self._earlier and rng.random() < rates.late:
                self._collector.commit(*pickle.loads(rng.choice(self._earlier)))
            if method in ("commit", "flush") and rng.random() < rates.twice:
                getattr(self._collector, method)(*pickle.loads(pickle.dumps(args)))
            if method == "commit" and rates.late:
                self._earlier.append(pickle.dumps(args))  # before the collector changes them
            answer = getattr(self._collector, method)(*args)
            if method == "commit" and args and not answer.more:
                last = args[-1].pieces[-1]
                if answer.taken < (last.file, last.range, last.part):
                    raise NotAsItShould(f"{last.file, last.range, last.part} was offered, and {answer.taken} is next")
            ref.give(answer)
            if rng.random() < rates.collector_dies / 2:
                raise Killed
        except Killed:
            self._ray.setbacks += 1
            ref.throw(ActorDiedError())
            self.die()
        except ObjectLostError as error:
            self._ray.setbacks += 1
            ref.throw(rng.choice((error, RayTaskError("commit", "trace", error))))
        except LinkmatchError as error:
            ref.throw(RayTaskError("commit", "trace", error))
        finally:
            self._fuse.light(0, None)
        self._run_next()
