"""A process that removes what an embedded Ray leaves behind, however the program ends, even by SIGKILL.

The kernel kills raylet and control when the thread that started them ends, but not what they have started. Ray's agents
check their parent every two seconds, and write into its directory until they have missed it five times. An agent that
is still starting waits for a minute.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Final

MARK: Final = "LINKMATCH_RAY_DIRECTORY"
"""The environment variable that marks the processes of an embedded Ray: its directory."""

_PROGRAM: Final = """{
    cd /
    read -r _ <&3
    for pause in 0.1 0.2 0.3 0; do
        for process in $(grep -lsxzF "$1" /proc/[0-9]*/environ; find /proc/[0-9]*/fd -lname "$2/*"); do
            process=${process#/proc/}
            case $process in
                */fd/*) grep -qs ^ray:: "/proc/${process%%/*}/cmdline" || continue ;;
            esac
            kill -KILL "${process%%/*}"
        done
        sleep $pause
    done
    [ -z "$3" ] || rm -rf -- "$3"
} &"""
"""A shell's program. Descriptor 3 is a pipe that ends when this process has exited.

Ray's agents overwrite their environment with their names (`ray::DashboardAgent`), and have their logs open. Other
programs may have Ray's logs open as well. What is being started has no environment yet, so processes are looked for
again."""

_IN_PATTERN: Final = re.compile(r"([*?\[\\])")


class Reaper:
    """A process that waits until this one exits or calls `reap`. It then kills all processes of an embedded Ray, and
    removes its directory. Without `/bin/sh` it does nothing; Ray's own processes then end within about a minute.

    Args:
        directory: Ray's directory.
        to_remove: The directory to remove; None if it is kept.
    """

    def __init__(self, directory: str, to_remove: str | None) -> None:
        reading, self._writing = os.pipe()  # this end is open until this process exits
        pattern = _IN_PATTERN.sub(r"\\\1", directory)
        nothing = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]
        with suppress(OSError):
            shell = os.posix_spawn(
                "/bin/sh",
                ["sh", "-c", _PROGRAM, "sh", f"{MARK}={directory}", pattern, to_remove or ""],
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, reading, 3), *nothing],
                setpgroup=0,  # a terminal's Ctrl-C is not meant for it
                setsigmask=(),
            )
            os.waitpid(shell, 0)  # it goes on in the background, and is nobody's child
        os.close(reading)

    def reap(self) -> None:
        """Starts this now."""
        os.close(self._writing)
