"""What the driver makes of what Ray says, without a Ray."""

from types import SimpleNamespace

from linkmatch_ray.io.inputs.file import InputFile
from linkmatch_ray.runtime.jobs import driver
from linkmatch_ray.runtime.jobs.actions import Cancel, Start
from linkmatch_ray.runtime.jobs.plan import PlanOptions, make_plan
from linkmatch_ray.runtime.jobs.scheduler import Scheduler


class Stream:
    """The stream of a task, as Ray gives it."""

    def __init__(self):
        self._end = object()

    def completed(self):
        return self._end


def test_a_task_is_gone_when_its_process_is(monkeypatch):
    """Objects of a cancelled task that nobody took are not its end: if it cannot be killed, it keeps its CPU."""
    stream, released = Stream(), []
    ready = [stream]
    ray = SimpleNamespace(
        put=lambda value: value,
        remote=lambda _: SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda *_: stream)),
        is_initialized=lambda: False,
        cancel=lambda *_, **_how: None,
        wait=lambda refs, **_: ([ref for ref in refs if ref in ready], []),
    )
    monkeypatch.setattr(driver, "ray", ray)
    monkeypatch.setattr(Scheduler, "released", lambda _, task: released.append(task))
    files = [InputFile(b"0", b"/0", 10, 0, 0)]
    plan = make_plan(files, set(), PlanOptions())
    running = driver.Driver(
        plan, files, None, None, 1, None, None, resumes=False, task_seconds=10.0, max_quarantined=None
    )  # fmt: skip
    running._do([Start(7, next(plan.units())), Cancel(7)])
    running._look_at_stalled()
    assert released == []
    ready.append(stream.completed())
    running._look_at_stalled()
    assert released == [7]
