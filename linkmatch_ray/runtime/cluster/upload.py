"""What a command sends to a cluster: the package, small files that only this machine has, and the arguments.

Paths of inputs and results stay unchanged: they are the cluster's.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any, Final

import xxhash

from linkmatch_ray.arguments import standard_input
from linkmatch_ray.errors import InputError, UsageError
from linkmatch_ray.io.inputs.names import refuse_no_input
from linkmatch_ray.io.results.directory import Directory
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.storage.paths import path_of
from linkmatch_ray.io.storage.urls import scheme_of
from linkmatch_ray.runtime.session.address import MARK_VARIABLE, PACKAGE
from linkmatch_ray.words import is_text, shown

UPLOAD_BYTES_MAX: Final = 100_000_000
"""Maximum size of what is sent. A longer list must be on the cluster: the dashboard takes 100 MiB a request."""

_JOB_ID: Final = re.compile(r"[\w.-]+", re.ASCII)


def runtime_env(uploads: Path) -> dict[str, Any]:
    """Returns the environment of the job: this package, and the content of the folder `uploads`, if any."""
    env: dict[str, Any] = {"py_modules": [str(PACKAGE)]}
    if any(uploads.iterdir()):
        env["working_dir"] = str(uploads)  # the job runs in a copy of it
    return env


def prepare_upload(source: str | os.PathLike[str] | bytes, option: str, uploads: Path) -> tuple[str, bytes | None]:
    """Prepares what an option gives for upload. Returns its name on the cluster, and its content if it is uploaded.

    Bytes, standard input (`-`) and a file of this machine are uploaded. Any other name is taken for a path on the
    cluster.

    Raises:
        InputError: It is too long, or cannot be read.
        UsageError: As `on_cluster`.
    """
    if isinstance(source, bytes):
        where, name, content = "the bytes", "bytes", source
    elif source == "-":
        where, name, content = "standard input", "stdin", standard_input().read(UPLOAD_BYTES_MAX + 1)
    elif os.path.isfile(source):
        where = shown(os.fspath(source))
        name = os.fsencode(Path(source).name).decode("utf-8", "replace")  # as on_cluster
        try:
            with open(source, "rb") as file:
                content = file.read(UPLOAD_BYTES_MAX + 1)
        except OSError as error:
            raise InputError(f"{where}: {error.strerror}. Name a readable file with {option}.") from None
    else:
        return on_cluster(os.fspath(source), option), None
    if len(content) > UPLOAD_BYTES_MAX:
        raise InputError(
            f"{where}: more than {UPLOAD_BYTES_MAX:,} bytes, which is the most that is sent to a cluster. Put it where"
            f" the nodes see it, and give its path there with {option}."
        )
    place = uploads / option.strip("-")
    place.mkdir()
    (place / name).write_bytes(content)
    return f"{place.name}/{name}", content


def on_cluster(name: str, option: str) -> str:
    """Returns a path or URL as the cluster sees it.

    Raises:
        UsageError: It is a relative path, is not UTF-8, or is a URL that is not sound or holds a secret.
    """
    if not is_text(name):  # a Ray job's command line is
        raise UsageError(
            f"{shown(name)}: not UTF-8 ({option}), as the command of a job on a cluster must be. Rename it. Inputs of"
            " any name can be listed in --files-from."
        )
    if option == "-o":
        results_at(name)
    else:
        refuse_no_input(path_of(name))
    if scheme_of(os.fsencode(name)) is None and not name.startswith("/"):
        raise UsageError(
            f"{shown(name)}: a relative path ({option}), but the job runs on the cluster. Give the whole path, as the"
            " cluster's nodes see it."
        )
    return name


def job_id_for(job_id: str | None, directory: str) -> str:
    """Returns the id of a job whose results go to a directory.

    It is the given one, that of the ledger there if this machine sees it, or made of the directory's name. So the same
    command again is the same job.

    Raises:
        UsageError: It cannot be part of a URL.
    """
    if job_id is None:
        known = None if scheme_of(os.fsencode(directory)) is not None else Directory(directory).settings().get("job_id")
        path = directory.rstrip("/")
        name = re.sub(r"[^\w.-]", "-", path.rpartition("/")[2], flags=re.ASCII)
        job_id = known or f"{name}-{xxhash.xxh3_64_hexdigest(path.encode())[:6]}"
    if not _JOB_ID.fullmatch(job_id):
        raise UsageError(f"--job-id {shown(job_id)}: expected letters, digits, '.', '_' and '-'. Choose another.")
    return job_id


def entrypoint(arguments: list[str], directory: str, job_id: str) -> str:
    """Returns the shell command of the job on the cluster."""
    where = ["--output", directory, "--address", "auto", "--job-id", job_id]
    return f"{MARK_VARIABLE}=1 " + shlex.join(["python", "-m", "linkmatch_ray", "submit", *arguments, *where])
