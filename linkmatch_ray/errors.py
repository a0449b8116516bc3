"""All errors that the package raises on purpose, each with its exit code on the command line.

    LinkmatchError
    ├── UsageError            2   options that do not fit together
    │   └── JobChanged        2   the results are those of a job with other inputs, list or options
    ├── InputError            3   no input file, or a named one cannot be found
    │   └── RestrictionsError 3   the restrictions list cannot be read or has an invalid entry
    ├── ClusterError          5   Ray cannot be started or joined
    │   └── Unreachable       5   nothing answers now; it may later
    ├── KernelError           5   the kernel in C cannot be used
    └── JobError              1   the job stopped; what was committed is safe
        ├── DirectoryInUse    1   another job writes into the result directory
        ├── ResultsDamaged    1   a ledger or summary cannot be relied on, nor resumed
        ├── ResultsGone       1   results were deleted, moved or replaced while the job ran
        └── Interrupted     130   Ctrl-C or a signal

Every message reads `where: problem. Action.` and can be printed: words from outside go through `words.shown` first.
"""

from __future__ import annotations

from linkmatch_ray.exit_codes import EXIT_CLUSTER, EXIT_FAILED, EXIT_INPUT, EXIT_INTERRUPTED, EXIT_USAGE
from linkmatch_ray.words import printable, without_secrets


class LinkmatchError(Exception):
    """Base of all errors of this package; `exit_code` is that of the command line."""

    exit_code: int = EXIT_FAILED

    def __init__(self, message: str) -> None:
        super().__init__(printable(without_secrets(message)))  # a worker exits if Ray cannot encode what it raises


class UsageError(LinkmatchError):
    """Options that do not fit together, or a value that an option cannot take."""

    exit_code = EXIT_USAGE


class JobChanged(UsageError):  # noqa: N818 - the name is what happened
    """The result directory holds a job with other inputs, restrictions or options."""


class InputError(LinkmatchError):
    """There is no input file, or a named one cannot be found."""

    exit_code = EXIT_INPUT


class RestrictionsError(InputError):
    """The list cannot be read, or has an entry that is invalid or has no key."""


class ClusterError(LinkmatchError):
    """Ray could not be started or joined."""

    exit_code = EXIT_CLUSTER


class Unreachable(ClusterError):  # noqa: N818 - the name is what happened
    """Nothing answers at the address now. It may answer later."""


class KernelError(LinkmatchError, ImportError):
    """The kernel is missing, was built from other sources or for another system, or lacks the level that is wanted."""

    exit_code = EXIT_CLUSTER


class JobError(LinkmatchError):
    """The job stopped before its end. What was committed is safe, and the job can be resumed."""

    is_resumable: bool = True


class DirectoryInUse(JobError):  # noqa: N818 - the name is what happened
    """Another running job holds the lock of the results."""


class ResultsDamaged(JobError):  # noqa: N818 - the name is what happened
    """A ledger or summary cannot be relied on."""

    is_resumable = False


class ResultsGone(JobError):  # noqa: N818 - the name is what happened
    """The results, or a part of them that the job needs, were deleted, moved or replaced while it ran."""

    is_resumable = False


class Interrupted(JobError):  # noqa: N818 - the name is what happened
    """The job was interrupted (Ctrl-C, SIGTERM, `Job.cancel`)."""

    exit_code = EXIT_INTERRUPTED
