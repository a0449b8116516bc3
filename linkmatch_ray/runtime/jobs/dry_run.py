"""A dry run: the plan of a job, and a preview from the beginnings of some inputs. Without Ray."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

from linkmatch_ray.core.options import JobOptions
from linkmatch_ray.core.outcome import as_text
from linkmatch_ray.io.inputs.file import Listing
from linkmatch_ray.io.inputs.sniff import cuttable_within
from linkmatch_ray.io.restrictions.restrictions import Restrictions
from linkmatch_ray.runtime.jobs.plan import Plan, PlanOptions, make_plan
from linkmatch_ray.runtime.jobs.preview import Preview, preview
from linkmatch_ray.runtime.jobs.request import Request

LOOK_SECONDS: Final = 2.0
"""Time limit for reading the beginnings of large files, which show whether a file can be cut."""


class DryRun:
    """The result of `dry_run`.

    Attributes:
        restrictions: The list.
        keys: The members of a record that are compared.
        is_done: Whether the results are up to date, so that the job would do nothing.
        files, nbytes: Number of files that would be read, and their bytes as stored.
        files_kept, files_dropped: For an incremental job: files whose earlier results stay, or are removed.
        left_out: Number of files that are left out by name.
        cores: Number of CPUs on which the job would run; None if a cluster decides that.
    """

    def __init__(
        self,
        listing: Listing,
        restrictions: Restrictions,
        options: JobOptions,
        request: Request | None,
        cores: int | None,
    ) -> None:
        self._files, self._options = listing.files, options.matching
        self._plan_options = request.plan if request else PlanOptions.of(options, self._files, cores)
        self._reuse = request.reuse if request else None
        self.restrictions, self.keys = restrictions, [str(path.text) for path in restrictions.paths]
        self.is_done = request is not None and request.finished is not None and self._reuse is None
        self.files_kept = 0 if self._reuse is None else self._reuse.files
        self.files_dropped = 0 if self._reuse is None else len(self._reuse.gone)
        self.files, self.left_out = len(self._files) - self.files_kept, listing.left_out
        self.cores = None if cores is None else min(options.workers or cores, cores)

    def __len__(self) -> int:
        """Returns the number of tasks."""
        return len(self._plan)

    @property
    def nbytes(self) -> int:
        return self._plan.nbytes

    @property
    def is_incremental(self) -> bool:
        """Whether the job would update earlier results."""
        return self._reuse is not None

    @property
    def files_not_looked_at(self) -> int:
        """Number of large files whose beginning did not come in `LOOK_SECONDS`. The plan has one task for each."""
        return self._looked[1]

    @cached_property
    def _looked(self) -> tuple[set[int], int]:
        return cuttable_within(LOOK_SECONDS, self._files, self._options, self._plan_options.whole_bytes)

    @cached_property
    def _plan(self) -> Plan:
        return make_plan(self._files, self._looked[0], self._plan_options, self._reuse)

    def units(self) -> Iterator[dict[str, Any]]:
        """Yields what each task would do, for JSON: `unit bytes files first`, and `last` or `from to` if they apply."""
        for row in self._plan.describe():
            for name in ("first", "last"):
                row |= as_text(name, row[name]) if name in row else {}
            yield row

    def preview(self) -> Preview:
        """Reads the beginnings of some inputs for two seconds, as a job would."""
        units = list(self._plan.units())
        numbers = dict.fromkeys(number for unit in units for number in range(unit.first, unit.stop))
        found = preview([self._files[number] for number in numbers], self.restrictions, self._options)
        found.expect(self.nbytes, max((unit.nbytes for unit in units), default=0), self.cores or 1)
        return found
