"""The options of the commands, each declared once: its names, help and panel. The defaults are those of `JobOptions`.

Imports nothing that takes time, because `--help` must answer at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

from linkmatch_ray.core.options import KEY, TASK_SECONDS_MIN, WORKERS_MAX, JobOptions
from linkmatch_ray.core.options import Emit as EmitChoice
from linkmatch_ray.core.options import Format as FormatChoice
from linkmatch_ray.core.options import RestrictionsFormat as RestrictionsFormatChoice
from linkmatch_ray.words import is_text, shown

PANELS: Final = ("Input", "List", "Matching", "Output", "Where it runs", "Job", "Display")

DEFAULT: Final = JobOptions()
TLS_VERIFY: Final = str(DEFAULT.tls_verify).lower()


class Command(TyperCommand):
    """A command whose options are listed by panel."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the arguments, and below the name of each panel its options."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], **{name: [] for name in PANELS}}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                if parameter.param_type_name == "argument":
                    sections["Arguments"].append((parameter.metavar or record[0], record[1]))  # without Typer's type
                else:
                    sections[getattr(parameter, "rich_help_panel", None) or PANELS[-1]].append(record)
        for name, records in sections.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments of the command `submit`, as `linkmatch_ray.submit` takes them."""

    inputs: list[str]
    restrictions: str
    output: str
    key: list[str] | None
    options: JobOptions


def job_options(given: Mapping[str, Any]) -> JobOptions:
    """Returns the options of a job, from the parameters of a command, which have the same names."""
    return JobOptions(**{each.name: given[each.name] for each in fields(JobOptions) if each.name in given})


def _filled(value: list[str] | str | None) -> list[str] | str | None:
    """Refuses an empty value, which a shell makes of a variable that is not set."""
    if "" in ([value] if isinstance(value, str) else value or ()):
        raise typer.BadParameter("the value is empty. Give one, or leave the option out.")
    return value


def _text(value: list[str] | str | None) -> list[str] | str | None:
    """Refuses a value that is empty or is not UTF-8. For options whose value is text and not the name of a file."""
    _filled(value)
    for each in [value] if isinstance(value, str) else value or ():
        if not is_text(each):
            raise typer.BadParameter(f"{shown(each)}: not UTF-8. Give it in UTF-8.")
    return value


def _panel(name: str) -> Any:
    assert name in PANELS
    return partial(typer.Option, rich_help_panel=name)


_input, _list, _matching, _output, _where, _job, _display = map(_panel, PANELS)
_argument: Final = partial(typer.Argument, callback=_filled)

# Arguments

Inputs = Annotated[
    list[str] | None,
    _argument(
        help="Files, directories (searched recursively), zip and tar archives, globs, or URLs (s3, gs, az, http, https,"
        " file).",
        metavar="INPUTS",
        show_default=False,
    ),
]
DoctorInputs = Annotated[
    list[str] | None, _argument(help="Paths that every node must see.", metavar="INPUTS", show_default=False)
]
RecordFile = Annotated[
    str, _argument(help="File with the record; - for the record itself on standard input.", metavar="FILE")
]
RecordIndex = Annotated[
    int,
    typer.Argument(
        min=0,
        help="Number of the record in the file, from 0, as in --provenance and quarantine.jsonl.",
        metavar="INDEX",
    ),
]
JobOrDirectory = Annotated[
    str,
    _argument(help="Result directory or URL of results; with --address, also the id of a job.", metavar="DIR|URL|JOB"),
]
ResultDirectory = Annotated[str, _argument(help="Result directory or URL that submit printed.", metavar="DIR|URL")]
JobName = Annotated[str, _argument(help="Id of a job on the cluster, as submit and jobs print it.", metavar="JOB")]
JobOrUrl = Annotated[str, _argument(help="Id of a job on the cluster, or URL of results.", metavar="JOB|URL")]

# Input

FilesFrom = Annotated[
    str | None,
    _input(
        "--files-from",
        metavar="FILE",
        callback=_filled,
        help="File with the paths of further inputs, one per line; - for standard input.",
    ),
]
Null = Annotated[bool, _input("--null", help="NUL at the end of each path in --files-from, instead of a line end.")]
Format = Annotated[FormatChoice, _input("--format", help="Layout of the inputs. With auto it is found in the content.")]
RecordsAt = Annotated[
    str | None,
    _input(
        "--records-at",
        metavar="PATH",
        callback=_text,
        help="Place of the records in each value: JSON Pointer of an array, or JSONPath that ends in [*].",
    ),
]
MaxRecordBytes = Annotated[
    int,
    _input(
        "--max-record-bytes",
        metavar="N",
        min=1,
        help="Maximum length of a record, in bytes. A longer one is a quarantine entry.",
    ),
]
MaxInflation = Annotated[
    int,
    _input(
        "--max-inflation",
        metavar="N",
        min=1,
        help="Maximum size after decompression, as a multiple of the file's size. 1 GiB is always allowed.",
    ),
]

Salvage = Annotated[
    bool,
    _input(
        "--salvage", help="Records of corrupt compressed data up to its damage. Without it none of its file comes out."
    ),
]

# List

RestrictionsFile = Annotated[
    str,
    _list(
        "-r",
        "--restrictions",
        metavar="FILE",
        callback=_filled,
        help="List of restrictions, as a path or URL; - for standard input.",
    ),
]
RestrictionsAt = Annotated[
    str | None,
    _list(
        "--restrictions-at",
        metavar="PATH",
        callback=_text,
        help="Place of the entries inside the list's document, as --records-at of the inputs.",
    ),
]
RestrictionsFormat = Annotated[
    RestrictionsFormatChoice,
    _list(
        "--restrictions-format",
        help="Layout of the list. With auto it is found in the name (.txt .csv .tsv .parquet) and the content; text is"
        " one key per line.",
    ),
]
SkipKeyless = Annotated[
    bool,
    _list("--skip-keyless", help="A list whose entries without the key are left out and counted, not refused."),
]

# Matching

Keys = Annotated[
    list[str] | None,
    _matching(
        "-k",
        "--key",
        metavar="KEY",
        callback=_text,
        help="Member to compare: KEY, or RECORD_KEY=RESTRICTION_KEY. Each is a name, or a JSON Pointer that starts"
        f" with /. Repeat the option for a composite key. Default: {KEY}.",
        show_default=False,
    ),
]

# Output

Output = Annotated[
    str,
    _output(
        "-o",
        "--output",
        metavar="PLACE",
        callback=_filled,
        help="Result directory, or URL (s3, gs, az, file) of the results; - for standard output.",
    ),
]
FetchedTo = Annotated[
    str | None,
    _output("-o", "--output", metavar="DIR", callback=_filled, help="New local directory for the results."),
]
Emit = Annotated[EmitChoice, _output("--emit", help="Records to write.")]
Provenance = Annotated[
    bool, _output("--provenance", help="With each record, the place it came from and the restrictions it equals.")
]
Overwrite = Annotated[
    bool, _output("--overwrite", help="New results. Those of an earlier job in the same place are removed.")
]
Incremental = Annotated[
    bool,
    _output("--incremental", help="Update of earlier results. Only files that are new or have changed are matched."),
]
DropMissing = Annotated[
    bool, _output("--drop-missing", help="With --incremental: removal of the results of files that are gone.")
]

# Where it runs

Address = Annotated[
    str | None,
    _where(
        "--address",
        metavar="ADDRESS",
        envvar="RAY_ADDRESS",
        callback=_text,
        help="Ray cluster: http://HEAD:8265 to run there, HOST:6379 or auto to join it from here. Default: an embedded"
        " Ray on this machine.",
    ),
]
ControlAddress = Annotated[
    str | None,
    _where(
        "--address",
        metavar="ADDRESS",
        envvar=["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"],
        callback=_text,
        help="Ray cluster: http://HEAD:8265, or auto on one of its nodes.",
    ),
]
TlsVerify = Annotated[
    str,
    _where(
        "--tls-verify",
        metavar="BOOL|PATH",
        callback=_filled,
        help="For an https cluster: whether to check its certificate, or a file or folder of trusted certificates.",
    ),
]
Dashboard = Annotated[
    bool,
    _where("--dashboard", help="Ray's dashboard. Its address is printed; on a terminal it stays until Ctrl-C."),
]
Joinable = Annotated[
    bool,
    _where("--joinable", help="Variables with which other Ray programs can join and read progress and matches."),
]

# Job

JobId = Annotated[
    str | None,
    _job(
        "--job-id",
        metavar="ID",
        callback=_text,
        help="Name of the job. Default: a new one, or on a cluster one made from the result directory.",
    ),
]
MaxQuarantined = Annotated[
    int,
    _job("--max-quarantined", metavar="N", min=0, help="Maximum number of quarantine entries for exit code 0."),
]
FailFast = Annotated[
    bool, _job("--fail-fast", help="End of the job with exit code 1 at more than --max-quarantined entries.")
]
TaskTimeout = Annotated[
    float,
    _job(
        "--task-timeout",
        min=TASK_SECONDS_MIN,
        metavar="SECONDS",
        help=(
            "Time limit, in seconds, of a task that produces nothing and receives no byte from a server. It is then"
            " retried; after three times its file is a quarantine entry."
        ),
    ),
]
OneFilePerTask = Annotated[
    bool, _job("--one-file-per-task", help="One whole file per task: small files are not packed, large ones not cut.")
]
Workers = Annotated[
    int | None,
    _job("--workers", metavar="N", min=1, max=WORKERS_MAX, help="Concurrent tasks. Default: one per CPU."),
]
DryRun = Annotated[
    bool, _job("--dry-run", help="Plan and preview instead of the job: some inputs are read for 2 seconds.")
]
NoWait = Annotated[
    bool, _job("--no-wait", help="On a cluster: the job's id and the next commands, without waiting for the job's end.")
]
Follow = Annotated[bool, _job("-f", "--follow", help="Further output as the job prints it, until the job ends.")]

# Display

Json = Annotated[bool, _display("--json", help="JSON instead of text.")]
Quiet = Annotated[bool, _display("-q", "--quiet", help="No progress, and no summary unless --json is given.")]
Verbose = Annotated[bool, _display("-v", "--verbose", help="Ray's own messages, and tracebacks of errors.")]
