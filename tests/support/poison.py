"""What the workers of `test_poison` run when they start: reading a file of a certain name does not end well."""

import os
import signal
import time
from pathlib import Path


def setup():
    """For `worker_process_setup_hook`: there is no such switch in the product."""
    from linkmatch_ray.io.inputs.opening import Opener

    open_input, read_small = Opener.open, Opener.read_small

    def suffer(file):
        path = Path(os.fsdecode(file.path))
        if path.name.endswith("poison.json"):
            os.kill(os.getpid(), signal.SIGKILL)
        if path.name.endswith("stalls.json"):
            time.sleep(3600)
        if path.name.endswith("stops.json"):  # as good as a read that cannot be interrupted: not one thread goes on
            os.kill(os.getpid(), signal.SIGSTOP)
        if path.name.endswith("once.json") and not (been := path.with_suffix(".been")).exists():
            been.touch()
            time.sleep(3600)

    def poisoned_open(self, file, stop=None):
        suffer(file)
        return open_input(self, file, stop)

    def poisoned_read_small(self, file, view):
        suffer(file)
        read_small(self, file, view)

    Opener.open, Opener.read_small = poisoned_open, poisoned_read_small
