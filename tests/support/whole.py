"""What `submit` does, without Ray: the request, the collector, the tasks in this process. Returns the summary."""

import time
from dataclasses import asdict

from linkmatch_ray import JobOptions
from linkmatch_ray.io.inputs.file import pack_files
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.sniff import cuttable
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.runtime.jobs.collector import Collector
from linkmatch_ray.runtime.jobs.plan import make_plan
from linkmatch_ray.runtime.jobs.request import Request
from linkmatch_ray.runtime.jobs.worker import TaskSettings
from tests.support.jobs import LIST, commit_all


def submit(top, output, options, plan, *, incremental=False, overwrite=False, stop_after=None):
    """Match what is in `top`, or several places. `stop_after` so many parts it is left as by a kill, and gives None."""
    started, began = time.localtime(), time.monotonic()
    how = {"overwrite": overwrite, "incremental": incremental, "drop_missing": incremental, **asdict(plan)}
    inputs = top if isinstance(top, list) else [top]
    request = Request(list_inputs(inputs, options=options), LIST, results_at(output), JobOptions.of(options, **how))
    if request.finished is not None:
        return request.finished
    plan = make_plan(
        request.files, cuttable(request.files, options, request.plan.whole_bytes), request.plan, request.reuse
    )
    arguments = (str(output), pack_files(request.files), plan.ranges, request.settings, request.reuse)
    collector = Collector(*arguments)
    try:
        receipt = collector.open(overwrite=overwrite)
        task = TaskSettings(LIST.paths, options, request.plan, request.results.staging())
        receipt = commit_all(collector, receipt, request.files, plan, task, stop_after)
        if receipt is None:
            return None
        details = request.details(receipt.counts, started, began, began, 1, len(plan))
        return collector.finish(LIST.index, details)
    finally:
        collector._held.close()
