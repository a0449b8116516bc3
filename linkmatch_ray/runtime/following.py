"""The matched records of a job, page by page, as they become durable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linkmatch_ray.io.matches import LINES_MAX

if TYPE_CHECKING:
    from linkmatch_ray.runtime.job import Job


class Pages:
    """A way through the matches of a job, from the first on.

    The collector is asked only if the driver knows that there is more: it looks through all of its ledger.
    """

    def __init__(self, job: Job) -> None:
        self._job, self._start, self._looked_at = job, 0, -1

    def next(self) -> list[bytes] | None:
        """The lines that come next, perhaps none yet; None once the job is complete and there are no more.

        Raises:
            LinkmatchError: the job failed, or was stopped.
        """
        is_complete = self._job.wait(0)  # first: what is there then is all
        if is_complete:
            self._job.result()
        settled = self._job.progress().settled.get("matched", 0)
        if not is_complete and settled == self._looked_at:
            return []
        page = self._job.matches(self._start, LINES_MAX)
        if not page:
            self._looked_at = settled
        self._start += len(page)
        return page or (None if is_complete else [])
