"""`submit` and `dry_run`: they check what was asked for, and start Ray in the meantime if that takes long.

    options -> names -> place -> list -> inputs -> comparison with what the place holds -> Job

The first three checks cost nothing, and NumPy is loaded after them. A Ray starts during the others, unless they end at
once. If one of them fails, nothing waits for that Ray.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias, Unpack

from linkmatch_ray.arguments import refuse_other_than, wrong_type
from linkmatch_ray.core.options import OUTPUT, JobKeywords, JobOptions, MatchOptions
from linkmatch_ray.errors import InputError, UsageError
from linkmatch_ray.io.inputs.file import Listing
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.names import names_in, read_names, refuse_missing, refuse_no_input
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.storage.paths import Name, path_of
from linkmatch_ray.io.storage.system_errors import reported_as_job_errors
from linkmatch_ray.runtime.session.address import certificates, embedded_cpus, is_embedded, is_jobs_api, job_name
from linkmatch_ray.runtime.session.session import Session
from linkmatch_ray.words import shown

if TYPE_CHECKING:
    from linkmatch_ray.io.restrictions.restrictions import Restrictions
    from linkmatch_ray.runtime.jobs.dry_run import DryRun
    from linkmatch_ray.runtime.jobs.job import Job
    from linkmatch_ray.runtime.jobs.request import Request

HEAD_START_SECONDS: Final = 0.75
"""Time for the checks before a Ray is started. Most mistakes are found by then, also in a list of 100,000 entries. An
earlier start gains nothing: Ray's import and the list would share one interpreter."""

NAMES_LOOKED_AT: Final = 1000
"""Maximum number of named inputs whose existence is checked before a Ray starts. The others are checked later."""

Source: TypeAlias = "Restrictions | str | os.PathLike[str] | bytes"


def submit(
    inputs: Name | Iterable[Name],
    restrictions: Source,
    *,
    output: Name = OUTPUT,
    key: str | Sequence[str] | None = None,
    options: MatchOptions | None = None,
    session: Session | None = None,
    on_listing: Callable[[int], None] | None = None,
    **more: Unpack[JobKeywords],
) -> Job:
    """Matches many files on Ray, and returns at once.

    The same call again resumes an interrupted job. If the job is complete, its result is the earlier summary.

    Args:
        inputs: A path, directory, glob or URL, or several of them.
        restrictions: The loaded list, or the source of one: a path or URL, or the list itself as bytes.
        output: The result directory, or a URL (`s3:// gs:// az:// file://`).
        key: `KEY` or `RECORD_KEY=RESTRICTION_KEY`; several make a composite key. `data` if not given. A loaded list
            has its own.
        options, more: The options of the command, as `JobOptions` or `MatchOptions`, or by name: see `JobOptions`.
        session: A Ray that the caller closes. None for the Ray of this program, or else one of the job's own.
        on_listing: Called from time to time, while the inputs are listed, with the number found so far.

    Raises:
        InputError: There is no input file, or files are missing whose earlier results are to be updated.
        JobChanged: `output` holds a job with other inputs, restrictions or options.
        UsageError: `output` cannot be used, or an option is out of range or does not fit another.
        RestrictionsError: The list cannot be loaded.
        TypeError: An argument is of the wrong type, or there is no such option.
    """
    if session is not None:
        refuse_other_than("session", session, Session, "Give a Session, or leave it out.")
    if on_listing is not None and not callable(on_listing):
        raise wrong_type("on_listing", on_listing, "Give a function of a number, or leave it out.")
    wanted = JobOptions.of(options, **more)
    if session is not None:
        _refuse_others(session, wanted)
    asked = _Asked(inputs, restrictions, output, key, wanted)
    ray = session or Session(
        wanted.address,
        wanted.workers,
        dashboard=wanted.dashboard,
        verbose=wanted.verbose,
        name=job_name(str(asked.results)),
    )
    try:
        if not asked.is_complete():
            ray.begin(HEAD_START_SECONDS)
        request = asked.request(*asked.load(on_listing), ray.cpus)
        if request.finished is None:
            ray.begin()
        elif session is None:
            ray.leave()
    except BaseException:
        if session is None:
            ray.leave()
        raise
    from linkmatch_ray.runtime.jobs.job import Job  # loads Ray

    return Job(request, wanted, ray, owns_session=session is None)


def _refuse_others(session: Session, wanted: JobOptions) -> None:
    """Refuses options of a Ray that are not those of the session.

    Raises:
        UsageError: They would be ignored.
    """
    for name in ("address", "dashboard", "verbose"):
        asks = getattr(wanted, name)
        if asks and asks != getattr(session, name) and not (name == "address" and is_embedded(asks)):
            raise UsageError(f"{name}: the session has its own. Give {name} to Session, or leave it out.")


def dry_run(
    inputs: Name | Iterable[Name],
    restrictions: Source,
    *,
    output: Name = OUTPUT,
    key: str | Sequence[str] | None = None,
    options: MatchOptions | None = None,
    on_listing: Callable[[int], None] | None = None,
    **more: Unpack[JobKeywords],
) -> DryRun:
    """Returns what `submit` would do with the same arguments. Starts no Ray and writes nothing.

    It loads the list and lists the inputs, so their errors are raised.

    Raises:
        LinkmatchError, TypeError: As `submit`.
    """
    asked = _Asked(inputs, restrictions, output, key, JobOptions.of(options, **more))
    with reported_as_job_errors(asked.results):
        asked.results.refuse_foreign()
    listing, loaded = asked.load(on_listing)
    cores = embedded_cpus(asked.options.address)
    request = asked.request(listing, loaded, cores, is_dry=True) if asked.options.incremental else None
    from linkmatch_ray.runtime.jobs.dry_run import DryRun

    return DryRun(listing, loaded, asked.options, request, cores)


class _Asked:
    """The arguments of `submit`, checked as far as possible without reading a file.

    Raises:
        InputError, RestrictionsError: A path does not exist, or nothing is named.
        UsageError: A URL or an address is not valid, or results at `output` cannot be updated.
        TypeError: An argument is of the wrong type.
    """

    def __init__(
        self,
        inputs: Name | Iterable[Name],
        restrictions: Source,
        output: Name,
        key: str | Sequence[str] | None,
        options: JobOptions,
    ) -> None:
        self.options = options
        if is_jobs_api(options.address):
            raise UsageError(
                "address: is that of a cluster's Jobs API. Call submit_remote, or give HOST:6379 to join the cluster."
            )
        certificates(options.address, options.tls_verify)  # a job that is driven here has no use for it
        self._restrictions, self._key = restrictions, key
        self._names = names_in(inputs)
        if options.files_from is not None:
            if options.files_from == restrictions == "-":
                raise UsageError("-r - and --files-from -: both read standard input. Give one of them a file.")
            self._names += map(path_of, read_names(options.files_from, null=options.null))
        if not self._names:
            raise InputError("no input was given. Name files or directories, or --files-from.")
        for name in islice(self._names, NAMES_LOOKED_AT):
            refuse_missing(name)
        if isinstance(restrictions, (str, os.PathLike)):
            refuse_no_input(path_of(restrictions))
        self.results = results_at(output)
        if options.incremental and not self.results.can_be_updated:
            raise UsageError(f"{shown(self.results)}: --incremental needs a directory. Name one with -o.")

    def is_complete(self) -> bool:
        """Returns whether the place holds a complete job. It may be this one, which then needs no Ray.

        Raises:
            UsageError: The place cannot be used for results.
        """
        with reported_as_job_errors(self.results):
            self.results.refuse_foreign()
            return not self.options.overwrite and self.results.summary() is not None

    def load(self, on_listing: Callable[[int], None] | None) -> tuple[Listing, Restrictions]:
        """Loads the list, then lists the inputs."""
        from linkmatch_ray.io.restrictions.restrictions import loaded

        how = self.options.restrictions_at, self.options.restrictions_format, self.options.skip_keyless
        restrictions = loaded(self._restrictions, self._key, *how)
        return list_inputs(self._names, on_listing, self.options.matching), restrictions

    def request(
        self, listing: Listing, restrictions: Restrictions, cpus: int | None, *, is_dry: bool = False
    ) -> Request:
        """Compares the job with what the place holds."""
        from linkmatch_ray.runtime.jobs.request import Request

        return Request(listing, restrictions, self.results, self.options, cpus=cpus, is_dry=is_dry)
