"""The options of the commands, each declared once. Imports nothing heavy: `--help` must answer at once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from linkmatch_ray.runtime.address import WORKERS_MAX
from linkmatch_ray.words import is_text, shown


class EmitChoice(StrEnum):
    """Which of the two lists is written."""

    matched = "matched"
    unmatched = "unmatched"
    both = "both"


class FormatChoice(StrEnum):
    """Layout of the input files."""

    auto = "auto"
    lines = "lines"
    array = "array"
    object = "object"


class RestrictionsFormatChoice(StrEnum):
    """Layout of the restrictions."""

    auto = "auto"
    lines = "lines"
    array = "array"
    object = "object"
    text = "text"


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


Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        callback=_filled,
        help="Files, directories (recursive), globs; URLs (s3, gs, az, http, https, file).",
        metavar="INPUTS...",
        show_default=False,
    ),
]
DoctorInputs = Annotated[
    list[str] | None,
    typer.Argument(callback=_filled, help="Paths that every node should see.", metavar="INPUTS...", show_default=False),
]
RestrictionsFile = Annotated[
    str,
    typer.Option("-r", "--restrictions", callback=_filled, help="The list to look up against; - for standard input."),
]
RecordFile = Annotated[
    str,
    typer.Argument(callback=_filled, help="The file that has the record; - for the record itself on standard input."),
]
RecordIndex = Annotated[
    int, typer.Argument(min=0, help="Which record of the file, from 0, as in --provenance and quarantine.jsonl.")
]
JobOrDirectory = Annotated[
    str,
    typer.Argument(
        callback=_filled,
        help="A result directory, or the URL of results; or with --address the id of a job.",
        metavar="DIR|URL|JOB",
    ),
]
ResultDirectory = Annotated[
    str,
    typer.Argument(callback=_filled, help="The result directory, or URL, that submit printed.", metavar="DIR|URL"),
]
Keys = Annotated[
    list[str] | None,
    typer.Option(
        "-k",
        "--key",
        callback=_text,
        help="Member to compare: KEY, or RECORD_KEY=RESTRICTION_KEY. A name, or a JSON Pointer if it starts with /."
        " Several make a composite key. Default: data.",
        show_default=False,
    ),
]
Output = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        callback=_filled,
        help="Result directory, or a URL (s3:// gs:// az:// file://); - for standard output.",
    ),
]
Emit = Annotated[EmitChoice, typer.Option("--emit", help="Which records are written.")]
Provenance = Annotated[bool, typer.Option("--provenance", help="Write where each record came from and what it equals.")]
RecordsAt = Annotated[
    str | None,
    typer.Option("--records-at", callback=_text, help="JSON Pointer of an array inside a single document."),
]
RestrictionsAt = Annotated[
    str | None,
    typer.Option("--restrictions-at", callback=_text, help="JSON Pointer of the array in the restrictions file."),
]
Format = Annotated[FormatChoice, typer.Option("--format", help="Layout of the inputs; found from the content.")]
RestrictionsFormat = Annotated[
    RestrictionsFormatChoice,
    typer.Option("--restrictions-format", help="Layout of the restrictions; text: a key a line."),
]
FilesFrom = Annotated[
    str | None,
    typer.Option(
        "--files-from", callback=_filled, help="Read input paths from a file, one a line; - for standard input."
    ),
]
Null = Annotated[bool, typer.Option("--null", help="Paths of --files-from end with NUL instead.")]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        envvar="RAY_ADDRESS",
        callback=_text,
        help="Ray cluster: http://HEAD:8265 to run there, HOST:6379 or auto to join; none: an embedded Ray of its own.",
    ),
]
ControlAddress = Annotated[
    str | None,
    typer.Option(
        "--address",
        envvar=["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"],
        callback=_text,
        help="The cluster, as http://HEAD:8265 or auto.",
    ),
]
Verify = Annotated[
    str,
    typer.Option(
        "--verify",
        metavar="BOOL|PATH",
        callback=_filled,
        help="Whether to check an https cluster's certificate, or a file or folder of trusted ones.",
    ),
]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="On a cluster: print the job's id and what to do next, and do not wait.")
]
JobName = Annotated[
    str, typer.Argument(callback=_filled, help="The id of a job on the cluster, as submit and jobs print it.")
]
JobOrUrl = Annotated[
    str,
    typer.Argument(callback=_filled, help="The id of a job on the cluster, or the URL of results.", metavar="JOB|URL"),
]
Follow = Annotated[bool, typer.Option("-f", "--follow", help="Go on until the job is over.")]
FetchedTo = Annotated[
    str | None,
    typer.Option("-o", "--output", callback=_filled, help="Bring the results into this new directory."),
]
JobId = Annotated[str | None, typer.Option("--job-id", callback=_text, help="Name of the job; made up if not given.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Throw away what an earlier job left in the result directory.")
]
Incremental = Annotated[
    bool,
    typer.Option("--incremental", help="Bring earlier results up to date: match only files that are new or changed."),
]
DropMissing = Annotated[
    bool, typer.Option("--drop-missing", help="With --incremental: remove the results of files that are gone.")
]
MaxQuarantined = Annotated[
    int, typer.Option("--max-quarantined", min=0, help="Exit with 0 up to so many quarantine entries.")
]
FailFast = Annotated[
    bool, typer.Option("--fail-fast", help="Stop (exit code 1) at more than --max-quarantined entries.")
]
MaxRecordBytes = Annotated[
    int, typer.Option("--max-record-bytes", min=1, help="A longer record is a quarantine entry.")
]
MaxInflation = Annotated[
    int,
    typer.Option(
        "--max-inflation", min=1, help="Compressed files may be so many times as long, and 1 GiB in any case."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, max=WORKERS_MAX, help="Tasks at a time; as many as there are CPUs."),
]
TaskSeconds = Annotated[
    float,
    typer.Option(
        "--task-timeout",
        min=1,
        metavar="SECONDS",
        help=(
            "A task that gives nothing, and gets no byte of a server, for so long is tried again; after three times its"
            " file is an entry."
        ),
    ),
]
OneFilePerTask = Annotated[
    bool, typer.Option("--one-file-per-task", help="Never pack small files together, never cut large ones.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the plan and what is in some inputs, read for 2 s; do nothing.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the summary (or the plan) as JSON.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress, and no summary unless --json.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Show Ray's own messages, and tracebacks.")]
Dashboard = Annotated[
    bool,
    typer.Option(
        "--dashboard", help="Start the Ray dashboard, and print its address. On a terminal it stays until Ctrl-C."
    ),
]
Joinable = Annotated[
    bool, typer.Option("--joinable", help="Print what other Ray programs need to read the job's progress and matches.")
]
