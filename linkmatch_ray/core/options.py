"""Every option of a job and its default, in one place. The command line, `submit` and the parts of a job use it.

This module loads no NumPy, so that the command line can use it for `--help`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, Literal, Self, TypedDict, get_args

from linkmatch_ray.arguments import refuse_other_than, refuse_unless_one_of, refuse_unless_within, wrong_type
from linkmatch_ray.core.records_path import RecordsPath
from linkmatch_ray.errors import UsageError
from linkmatch_ray.words import is_text, shown

Emit = Literal["matched", "unmatched", "both"]
Format = Literal["auto", "lines", "values", "array", "object"]
RestrictionsFormat = Literal["auto", "lines", "values", "array", "object", "text", "csv", "tsv", "parquet"]

KEY: Final = "data"
"""The member that is compared by default."""

OUTPUT: Final = "linkmatch-results"
"""The default result directory."""

LIMIT_MAX: Final = 1 << 53
"""Maximum of a limit. Limits are kept as JSON, and not every reader of JSON takes larger numbers exactly."""

WORKERS_MAX: Final = 10_000
"""One driver keeps some 150 cores busy (`scripts/scale.md`)."""

UNIT_BYTES_MIN: Final = 16
"""A smaller unit would be read only together with its neighbours."""

PART_BYTES_MAX: Final = 64 << 20
"""A part ends with the first window that brings its input to this many bytes."""

TASK_SECONDS_MIN: Final = 1.0
"""In less, a task that is well may have given nothing yet."""


@dataclass(frozen=True, slots=True)
class MatchOptions:
    """The options of how records are read and what is written of them. They are part of what makes a job the same job.

    Attributes:
        emit: The lists to write: `matched`, `unmatched` or `both`.
        provenance: Write each record with its origin and the restrictions that it equals.
        records_at: Where the records are inside each value, or None; see `RecordsPath`.
        format: The layout of the input; `auto` finds it from the content.
        max_record_bytes: Maximum size of a record, in bytes. A longer one is a quarantine entry.
        max_inflation: Maximum size after decompression, as a multiple of the input's size. 1 GiB is always allowed.
            JSON is seldom compressed to less than a fiftieth; gzip can do a thousandth, and zstd far less.
        salvage: Read corrupt compressed data up to its damage, though nothing of it is certain.
        name: The name of `match_bytes`'s input in provenance lines; files have their own.

    Raises:
        UsageError: A value is out of range, or is not a known one.
        TypeError: It is of another type.
    """

    emit: Emit = "matched"
    provenance: bool = False
    records_at: str | None = None
    format: Format = "auto"
    max_record_bytes: int = 64 << 20
    max_inflation: int = 200
    salvage: bool = False
    name: str = "<bytes>"

    def __post_init__(self) -> None:
        if self.records_at is not None:
            RecordsPath.parse(self.records_at)  # refuses what is not one, before anything begins
        for name in ("max_record_bytes", "max_inflation"):
            refuse_unless_within(name, getattr(self, name), 1, LIMIT_MAX)
        for name, known in (("emit", Emit), ("format", Format)):
            refuse_unless_one_of(name, getattr(self, name), get_args(known))
        for name in ("provenance", "salvage"):
            refuse_other_than(name, getattr(self, name), bool, "Give True or False.")
        refuse_other_than("name", self.name, str, "Give a str.")
        try:
            self.name.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise UsageError(f"name={shown(self.name)}: not UTF-8. Give a name that is.") from None

    @classmethod
    def of(cls, options: MatchOptions | None = None, **more: Any) -> Self:
        """Returns options of this class: those of `options`, replaced by those of `more`.

        Raises:
            TypeError: `options` is something else, or `more` names an unknown option.
            UsageError: As the class.
        """
        if options is None:
            return cls(**more)
        refuse_other_than("options", options, MatchOptions, "Give MatchOptions(…), or leave it out.")
        given = {each.name: getattr(options, each.name) for each in fields(cls) if hasattr(options, each.name)}
        return cls(**(given | more))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions(MatchOptions):
    """Every option of a job except its inputs, its list, its key and its output.

    Attributes:
        files_from: A file that names more inputs, one a line; `-` for standard input.
        null: Names in `files_from` end with NUL instead.
        restrictions_at: Where the entries are inside the list's document, as `records_at` of the inputs; or None.
        restrictions_format: The layout of the list; `auto` finds it from the name and the content.
        skip_keyless: Leave out entries of the list that have no key, and count them.
        overwrite: Remove what an earlier job left in the output.
        incremental: If the output holds a job with other inputs, bring it to what a job on these would give. Only files
            that are new or changed, or could not be read, are matched. What the earlier job wrote stays until this is
            complete.
        drop_missing: With `incremental`: remove the results of files that are gone.
        job_id: The job's name; None for a generated one.
        max_quarantined: Maximum number of quarantine entries of a job that is well. A command with more ends with exit
            code 4.
        fail_fast: Stop the job at more than `max_quarantined` entries, before it is complete.
        task_timeout: Seconds, at least 1, that a task may give nothing and get no byte from a server. It is then
            retried elsewhere; after three attempts its file is given up.
        one_file_per_task: Never pack small files together, never cut large ones.
        workers: Concurrent tasks; None for one per CPU that Ray has.
        unit_bytes, part_bytes: Input of one task, and of one part of its result, in bytes, roughly; None for units that
            grow with the job.
        address: A Ray to join (`HOST:6379`, `auto`); None for the one of this program, or else an embedded one. For the
            Jobs API of a cluster (`http://HEAD:8265`) see `submit_remote`.
        tls_verify: Whether to check an https cluster's certificate, or a file or folder of trusted ones.
        dashboard: Start the embedded Ray's dashboard.
        verbose: Let Ray's own messages through.

    Raises:
        UsageError: A value is out of range, is not a known one, or does not fit another.
        TypeError: It is of another type.
    """

    files_from: str | None = None
    null: bool = False
    restrictions_at: str | None = None
    restrictions_format: RestrictionsFormat = "auto"
    skip_keyless: bool = False
    overwrite: bool = False
    incremental: bool = False
    drop_missing: bool = False
    job_id: str | None = None
    max_quarantined: int = 0
    fail_fast: bool = False
    task_timeout: float = 300.0
    one_file_per_task: bool = False
    workers: int | None = None
    unit_bytes: int | None = None
    part_bytes: int = PART_BYTES_MAX
    address: str | None = None
    tls_verify: bool | str = True
    dashboard: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        MatchOptions.__post_init__(self)
        if self.restrictions_at is not None:
            RecordsPath.parse(self.restrictions_at, "restrictions_at")
        refuse_unless_one_of("restrictions_format", self.restrictions_format, get_args(RestrictionsFormat))
        if self.workers is not None:
            refuse_unless_within("workers", self.workers, 1, WORKERS_MAX)
        if self.unit_bytes is not None:
            refuse_unless_within("unit_bytes", self.unit_bytes, UNIT_BYTES_MIN, LIMIT_MAX)
        refuse_unless_within("part_bytes", self.part_bytes, 1, LIMIT_MAX)
        refuse_unless_within("max_quarantined", self.max_quarantined, 0, LIMIT_MAX)
        if isinstance(self.task_timeout, bool) or not isinstance(self.task_timeout, (int, float)):
            raise wrong_type("task_timeout", self.task_timeout, "Give a number of seconds.")
        if not self.task_timeout >= TASK_SECONDS_MIN:
            raise UsageError(
                f"task_timeout={self.task_timeout}: out of range. Give a number of at least {TASK_SECONDS_MIN:g}."
            )
        for name in _FLAGS:
            refuse_other_than(name, getattr(self, name), bool, "Give True or False.")
        for name in ("job_id", "files_from", "address"):
            if getattr(self, name) is not None:
                refuse_other_than(name, getattr(self, name), str, "Give a str, or leave it out.")
        if self.job_id is not None and not (self.job_id and is_text(self.job_id)):
            raise UsageError(f"--job-id {shown(self.job_id)}: empty, or not UTF-8. Choose another.")
        if self.null and self.files_from is None:
            raise UsageError("--null: says how the paths in --files-from end, which was not given. Give both.")
        if self.incremental and self.overwrite:
            raise UsageError("--incremental and --overwrite: one keeps what is there, the other does not. Give one.")
        if self.drop_missing and not self.incremental:
            raise UsageError("--drop-missing: removes results that --incremental would keep. Give both.")

    @property
    def matching(self) -> MatchOptions:
        """The options of matching alone."""
        return MatchOptions.of(self)


_FLAGS: Final = [each.name for each in fields(JobOptions) if each.type == "bool"]


class MatchKeywords(TypedDict, total=False):
    """`MatchOptions` as keyword arguments."""

    emit: Emit
    provenance: bool
    records_at: str | None
    format: Format
    max_record_bytes: int
    max_inflation: int
    salvage: bool
    name: str


class JobKeywords(MatchKeywords, total=False):
    """`JobOptions` as keyword arguments."""

    files_from: str | None
    null: bool
    restrictions_at: str | None
    restrictions_format: RestrictionsFormat
    skip_keyless: bool
    overwrite: bool
    incremental: bool
    drop_missing: bool
    job_id: str | None
    max_quarantined: int
    fail_fast: bool
    task_timeout: float
    one_file_per_task: bool
    workers: int | None
    unit_bytes: int | None
    part_bytes: int
    address: str | None
    tls_verify: bool | str
    dashboard: bool
    verbose: bool
