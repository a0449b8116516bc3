"""The options of the commands, each declared once: its names, its help and its panel. The defaults are `JobOptions`'.

Imports nothing heavy: `--help` must answer at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

from linkmatch_ray.core.options import WORKERS_MAX, JobOptions
from linkmatch_ray.core.options import Emit as EmitChoice
from linkmatch_ray.core.options import Format as FormatChoice
from linkmatch_ray.core.options import RestrictionsFormat as RestrictionsFormatChoice
from linkmatch_ray.words import is_text, shown

PANELS: Final = ("Input", "List", "Matching", "Output", "Where it runs", "Job", "Display")

DEFAULT: Final = JobOptions()


class Command(TyperCommand):
    """A command whose options are listed by panel."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, and the options of each panel below its name."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], **{name: [] for name in PANELS}}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                is_argument = parameter.param_type_name == "argument"
                panel = "Arguments" if is_argument else getattr(parameter, "rich_help_panel", None) or PANELS[-1]
                sections[panel].append(record)
        for name, records in sections.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


@dataclass(frozen=True, slots=True)
class Asked:
    """What `submit` was asked for, as `linkmatch_ray.submit` takes it."""

    inputs: list[str]
    restrictions: str
    output: str
    key: list[str] | None
    options: JobOptions


def job_options(given: Mapping[str, Any]) -> JobOptions:
    """The options of a job among what was given to a command, whose parameters have the same names."""
    return JobOptions(**{each.name: given[each.name] for each in fields(JobOptions) if each.name in given})


def _filled(value: list[str] | str | None) -> list[str] | str | None:
    """Refuse an empty value, as a shell makes of a variable that is not set."""
    if "" in ([value] if isinstance(value, str) else value or ()):
        raise typer.BadParameter("empty. Give it a value, or leave it out.")
    return value


def _text(value: list[str] | str | None) -> list[str] | str | None:
    """Refuse what is empty, or not UTF-8 where no name of a file is wanted, but text."""
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
        help="Files, directories (recursive), globs; URLs (s3, gs, az, http, https, file).",
        metavar="INPUTS...",
        show_default=False,
    ),
]
DoctorInputs = Annotated[
    list[str] | None, _argument(help="Paths that every node should see.", metavar="INPUTS...", show_default=False)
]
RecordFile = Annotated[str, _argument(help="The file that has the record; - for the record itself on standard input.")]
RecordIndex = Annotated[
    int, typer.Argument(min=0, help="Which record of the file, from 0, as in --provenance and quarantine.jsonl.")
]
JobOrDirectory = Annotated[
    str,
    _argument(
        help="A result directory, or the URL of results; or with --address the id of a job.", metavar="DIR|URL|JOB"
    ),
]
ResultDirectory = Annotated[
    str, _argument(help="The result directory, or URL, that submit printed.", metavar="DIR|URL")
]
JobName = Annotated[str, _argument(help="The id of a job on the cluster, as submit and jobs print it.")]
JobOrUrl = Annotated[str, _argument(help="The id of a job on the cluster, or the URL of results.", metavar="JOB|URL")]

# Input

FilesFrom = Annotated[
    str | None,
    _input("--files-from", callback=_filled, help="File of more inputs, one path a line; - for standard input."),
]
Null = Annotated[bool, _input("--null", help="NUL instead of a line break after each path of --files-from.")]
Format = Annotated[FormatChoice, _input("--format", help="Layout of the inputs; auto: by the content.")]
RecordsAt = Annotated[
    str | None, _input("--records-at", callback=_text, help="JSON Pointer of an array inside a single document.")
]
MaxRecordBytes = Annotated[
    int, _input("--max-record-bytes", min=1, help="Longest record, in bytes; a longer one is a quarantine entry.")
]
MaxInflation = Annotated[
    int,
    _input(
        "--max-inflation",
        min=1,
        help="Maximum size after decompression, as a multiple of the file's size. 1 GiB is always allowed.",
    ),
]

# List

RestrictionsFile = Annotated[
    str, _list("-r", "--restrictions", callback=_filled, help="The list to look up against; - for standard input.")
]
RestrictionsAt = Annotated[
    str | None, _list("--restrictions-at", callback=_text, help="JSON Pointer of the array in the list's document.")
]
RestrictionsFormat = Annotated[
    RestrictionsFormatChoice,
    _list("--restrictions-format", help="Layout of the list; auto: by the content, text: a key a line."),
]

# Matching

Keys = Annotated[
    list[str] | None,
    _matching(
        "-k",
        "--key",
        callback=_text,
        help="Member to compare: KEY, or RECORD_KEY=RESTRICTION_KEY. A name, or a JSON Pointer if it starts with /."
        " Several make a composite key. Default: data.",
        show_default=False,
    ),
]

# Output

Output = Annotated[
    str,
    _output(
        "-o",
        "--output",
        callback=_filled,
        help="Result directory, or a URL (s3:// gs:// az:// file://); - for standard output.",
    ),
]
FetchedTo = Annotated[
    str | None, _output("-o", "--output", callback=_filled, help="New directory to bring the results into.")
]
Emit = Annotated[EmitChoice, _output("--emit", help="Records that are written.")]
Provenance = Annotated[bool, _output("--provenance", help="Source and restrictions of each record, beside it.")]
Overwrite = Annotated[bool, _output("--overwrite", help="Removal of what an earlier job left in the result directory.")]
Incremental = Annotated[
    bool,
    _output("--incremental", help="Update of earlier results, by the files that are new or changed."),
]
DropMissing = Annotated[
    bool, _output("--drop-missing", help="With --incremental: removal of the results of files that are gone.")
]

# Where it runs

Address = Annotated[
    str | None,
    _where(
        "--address",
        envvar="RAY_ADDRESS",
        callback=_text,
        help="Ray cluster: http://HEAD:8265 to run there, HOST:6379 or auto to join; none: an embedded Ray of its own.",
    ),
]
ControlAddress = Annotated[
    str | None,
    _where(
        "--address",
        envvar=["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"],
        callback=_text,
        help="The cluster, as http://HEAD:8265 or auto.",
    ),
]
TlsVerify = Annotated[
    str,
    _where(
        "--tls-verify",
        metavar="BOOL|PATH",
        callback=_filled,
        help="Check of an https cluster's certificate, or a file or folder of trusted ones.",
    ),
]
Dashboard = Annotated[
    bool,
    _where("--dashboard", help="Ray's dashboard, whose address is printed. On a terminal it stays until Ctrl-C."),
]
Joinable = Annotated[
    bool, _where("--joinable", help="Display of what other Ray programs need to read the job's progress and matches.")
]

# Job

JobId = Annotated[str | None, _job("--job-id", callback=_text, help="Name of the job; made up if not given.")]
MaxQuarantined = Annotated[int, _job("--max-quarantined", min=0, help="Most quarantine entries for exit code 0.")]
FailFast = Annotated[bool, _job("--fail-fast", help="End of the job (exit code 1) above --max-quarantined entries.")]
TaskTimeout = Annotated[
    float,
    _job(
        "--task-timeout",
        min=1,
        metavar="SECONDS",
        help=(
            "Longest time without output or a server's byte of a task, in seconds. It is then tried again; after three"
            " times its file is an entry."
        ),
    ),
]
OneFilePerTask = Annotated[
    bool, _job("--one-file-per-task", help="Small files never packed together, large ones never cut.")
]
Workers = Annotated[
    int | None, _job("--workers", min=1, max=WORKERS_MAX, help="Concurrent tasks. Default: one per CPU.")
]
DryRun = Annotated[
    bool, _job("--dry-run", help="The plan and what is in some inputs, read for 2 seconds, instead of the job.")
]
NoWait = Annotated[
    bool, _job("--no-wait", help="On a cluster: the job's id and what to do next, instead of waiting for its end.")
]
Follow = Annotated[bool, _job("-f", "--follow", help="What the job prints, until it is over.")]

# Display

Json = Annotated[bool, _display("--json", help="JSON instead of text.")]
Quiet = Annotated[bool, _display("-q", "--quiet", help="No progress, and no summary unless --json.")]
Verbose = Annotated[bool, _display("-v", "--verbose", help="Ray's own messages, and tracebacks.")]
