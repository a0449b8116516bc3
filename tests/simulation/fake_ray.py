"""As much of Ray as the driver uses, in one thread: nodes with CPUs, tasks that stream objects, references."""

from collections import deque
from types import SimpleNamespace

from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    ObjectStoreFullError,
    OutOfDiskError,
    RayTaskError,
    TaskCancelledError,
    WorkerCrashedError,
)

from linkmatch_ray.runtime.jobs.driver import STREAM_BACKPRESSURE_OBJECTS
from linkmatch_ray.runtime.jobs.scheduler import STRIKES_MAX
from linkmatch_ray.runtime.jobs.worker import Started
from tests.simulation.faults import DriverKilled, NotAsItShould

WAITS_MAX = 10_000
NODE_SECONDS = 5.0
"""Until another node comes for one that was lost."""

FULL_SECONDS = 2.0
PAUSE_SECONDS = 0.0005
"""That each call of the driver takes, so that time passes whatever it does."""


class Ref:
    """A reference; `value` is a function that gives or raises what it stands for, once it is ready."""

    def __init__(self, value=None, node=None):
        self.value, self.node = value, node

    @property
    def is_ready(self):
        return self.value is not None

    def give(self, value):
        self.value = lambda: value

    def throw(self, error):
        def throw():
            raise error

        self.value = throw


class Node:
    """A machine; the objects that its tasks made are there."""

    def __init__(self, name, cpus):
        self.name, self.cpus, self.free, self.tasks, self.is_lost = name, cpus, cpus, {}, False


class Task:
    """A task, and the stream of its objects."""

    def __init__(self, ray, unit, objects, options):
        self._ray, self.unit, self._objects = ray, unit, objects
        self.cpus, selector = options["num_cpus"], options.get("label_selector", {})
        self.avoided = selector.get("ray.io/node-id", "!").removeprefix("!")
        self.node, self.given, self._is_over, self._is_paused = None, deque(), False, False
        self._end = Ref()
        self._place = 0  # of the next object: 0 is the first word, then come bodies (odd) and headers (even)
        self._fate = ray.fate(unit, len(objects))

    def run_on(self, node):
        self.node = node
        node.free -= self.cpus
        node.tasks[self] = None
        self._ray.soon(self._go_on)

    def _go_on(self):
        """Give the next object, or come to its end."""
        if self._is_over:
            return
        is_body = self._place % 2 == 1 and self._place <= len(self._objects)
        if self._is_at_its_fate():
            if isinstance(self._fate[1], Exception):
                self.end(self._fate[1])
        elif self._place > len(self._objects):
            self.end(None)
        elif len(self.given) >= STREAM_BACKPRESSURE_OBJECTS:
            self._is_paused = True
        elif is_body and self._ray.is_full:
            self._ray.setbacks += 1
            self.end(self._ray.rng.choice((ObjectStoreFullError, OutOfDiskError))("full"))
        else:
            if self._place == 0:
                self.given.append(Ref(lambda: Started(1, "host", self.node.name)))
            else:
                self.given.append(Ref(self._objects[self._place - 1], self.node if is_body else None))
            self._place += 1
            if is_body:  # its header comes right after it
                self._ray.clock.after(0, self._go_on)
            else:
                self._ray.soon(self._go_on)

    def _is_at_its_fate(self):
        return self._fate is not None and self._fate[0] == self._place

    def end(self, error):
        """It has given all, or ends with an error, which is its last object."""
        if self._is_over:
            return
        self._is_over = True
        self._end.give(None)
        if error is not None:
            ref = Ref()
            ref.throw(error)
            self.given.append(ref)
        if self.node is not None:
            del self.node.tasks[self]
            self.node.free += self.cpus
        self._ray.place()

    def cancel(self):
        """By force: it is gone a moment later, unless it cannot be killed."""
        if self in self._ray.queue:
            self._ray.queue.remove(self)
        if self._is_at_its_fate() and self._fate[1] == "stubborn":
            return
        self._ray.soon(lambda: self.end(TaskCancelledError()))

    # What the driver sees

    @property
    def is_ready(self):
        return bool(self.given) or self._is_over

    def completed(self):
        return self._end

    def __next__(self):
        if not self.is_ready:
            self._ray.until(lambda: self.is_ready)
        if not self.given:
            raise StopIteration
        ref = self.given.popleft()
        if self._is_paused:
            self._is_paused = False
            self._ray.soon(self._go_on)
        return ref


class FakeRay:
    """Stands for the module `ray`.

    Args:
        objects_of: What a task gives, by its arguments: functions that give body, header, body, header, …
        cpus: Of each node. The first one is never lost.
    """

    def __init__(self, clock, rng, rates, cpus, objects_of):
        self.clock, self.rng, self._rates, self._objects_of = clock, rng, rates, objects_of
        self.nodes = [Node(f"node-{n}", count) for n, count in enumerate(cpus)]
        self.queue, self.is_full, self.setbacks = deque(), False, 0
        self._struck, self._waits, self._mute, self._named = {}, 0, 0, len(cpus)
        self.deadline = self.shut_down = None  # when the driver is killed, or Ray is shut down under it
        self._is_down = False
        if len(cpus) > 1:
            for _ in range(rates.nodes_lost):
                clock.after(rng.uniform(0.1, 8.0), self._lose_a_node)

    # What goes wrong

    def fate(self, unit, count):
        """How a task ends that does not end well: at which of its objects, and what then. One that would be the last
        straw for a file ends well, so that no history gives up what another does not."""
        rng, rates = self.rng, self._rates
        if rng.random() < rates.no_room:
            self.is_full = True
            self.clock.after(rng.uniform(0, FULL_SECONDS), self._empty)
        drawn = rng.random() - rates.worker_dies
        if drawn < 0:
            what = WorkerCrashedError()
        elif drawn < rates.worker_fails:
            what = RayTaskError("match", "trace\nValueError: no", ValueError("no"))
        elif drawn < rates.worker_fails + rates.stalls:
            what = "stubborn" if rng.random() < rates.stubborn else "stalled"
        else:
            return None
        if unit.stop - unit.first == 1:
            if self._struck.get(unit.last, 0) == STRIKES_MAX - 1:
                return None
            self._struck[unit.last] = self._struck.get(unit.last, 0) + 1
        if isinstance(what, Exception):
            return rng.randint(0, count + 1), what
        if self._mute < self.nodes[0].cpus - 1 and rng.random() < 0.2:  # else Ray has no CPU for another
            self._mute += 1
            return 0, what
        return 2 * rng.randint(0, count // 2) + 1, what  # before a body, or before its end

    def _empty(self):
        self.is_full = False

    def _lose_a_node(self):
        if len(self.nodes) < 2:
            return
        node = self.nodes.pop(self.rng.randrange(1, len(self.nodes)))
        node.is_lost = True
        for task in list(node.tasks):
            task.end(NodeDiedError("the node died"))
        self._named += 1
        another = Node(f"node-{self._named}", node.cpus)
        self.clock.after(self.rng.uniform(0, NODE_SECONDS), lambda: (self.nodes.append(another), self.place()))

    # How it runs

    def soon(self, do):
        """In a moment, of any length."""
        self.clock.after(self.rng.choice((0.001, 0.01, 0.05, 0.3)) * self.rng.random(), do)

    def place(self):
        """Start what waits, in order, where a CPU is free."""
        for task in list(self.queue):
            free = [node for node in self.nodes if node.free >= task.cpus]
            if not free:
                continue
            self.queue.remove(task)
            task.run_on(next((node for node in free if node.name != task.avoided), free[0]))

    def until(self, is_so, end=float("inf")):
        """Let time pass until something is so, or to an end."""
        while not is_so() and self.clock.step(end):
            pass
        if not is_so():
            self.clock.pass_to(end)

    def _pass(self):
        if self._is_down:
            raise NotAsItShould("Ray was shut down, and is asked for something")
        self._waits += 1
        self.clock.sleep(PAUSE_SECONDS)
        if self._waits > WAITS_MAX:
            raise NotAsItShould(f"it has come to a halt, with {self._waits:,} waits in {self.clock.now:g} s")
        if self.deadline is not None and self.clock.now > self.deadline:
            self.deadline = None
            raise DriverKilled

    # What the driver calls

    def is_initialized(self):
        self._is_down = self.shut_down is not None and self.clock.now >= self.shut_down
        return not self._is_down

    def get_runtime_context(self):
        return SimpleNamespace(get_worker_id=lambda: "the driver's")

    def put(self, value):
        return Ref(lambda: value)

    def remote(self, function):
        def submit(options, unit, *args):
            self._pass()
            task = Task(self, unit, self._objects_of(unit, *args), options)
            self.queue.append(task)
            self.soon(self.place)
            return task

        def options(**options):
            return SimpleNamespace(remote=lambda *args: submit(options, *args))

        return SimpleNamespace(options=options)

    def wait(self, refs, *, num_returns=1, timeout=None, fetch_local=True):
        assert len(set(refs)) == len(refs) > 0
        self._pass()
        end = self.clock.now + (float("inf") if timeout is None else timeout)
        self.until(lambda: sum(ref.is_ready for ref in refs) >= num_returns, end)
        if timeout and not self.is_initialized() and self.rng.random() < 0.5:  # it was shut down meanwhile
            raise SystemExit
        ready = [ref for ref in refs if ref.is_ready][:num_returns]
        return ready, [ref for ref in refs if ref not in ready]

    def get(self, ref):
        if not ref.is_ready:
            self.until(lambda: ref.is_ready)
        if ref.node is not None and ref.node.is_lost:
            raise ObjectLostError("00", None, "")
        return ref.value()

    def cancel(self, task, *, force):
        assert force
        task.cancel()

    def cluster_resources(self):
        return {"CPU": float(sum(node.cpus for node in self.nodes))}

    def available_resources(self):
        return {"CPU": float(sum(node.free for node in self.nodes))}
