"""The matched records of a job, page by page, as they become durable."""

from __future__ import annotations

from typing import Any, Protocol

from linkmatch_ray.io.results.matches import LINES_MAX
from linkmatch_ray.runtime.jobs.progress import Progress


class Followed(Protocol):
    """The methods of a job that `Pages` uses."""

    def wait(self, timeout: float | None = None) -> bool: ...
    def result(self) -> dict[str, Any]: ...
    def progress(self) -> Progress: ...
    def matches(self, start: int, limit: int) -> list[bytes]: ...


class Pages:
    """The matches of a job, page by page, from the first on.

    It asks the collector only if the driver knows that there is more, because the collector then searches its whole
    ledger.
    """

    def __init__(self, job: Followed) -> None:
        self._job, self._start, self._looked_at = job, 0, -1

    def next(self) -> list[bytes] | None:
        """Returns the next lines, perhaps none yet; None once the job is complete and there are no more.

        Raises:
            LinkmatchError: The job failed or was stopped.
        """
        is_complete = self._job.wait(0)  # asked first, so that the page read below has everything
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
