"""Limits of the machine that `test_room` lowers, in its own process or in Ray's workers when they start."""

import contextlib
import os
import resource


@contextlib.contextmanager
def limited(what, soft):
    """A lower limit for this process."""
    before = resource.getrlimit(what)
    resource.setrlimit(what, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(what, before)


@contextlib.contextmanager
def files_left(count):
    """So many files may yet be opened by this process."""
    used = max(map(int, os.listdir("/proc/self/fd")))
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(used)]  # none is free below the limit
    try:
        with limited(resource.RLIMIT_NOFILE, max(held) + 1 + count):
            yield
    finally:
        for fd in held:
            os.close(fd)


def no_files():
    """For `worker_process_setup_hook`: who opens an input has no file left."""
    from linkmatch_ray.io.inputs.opening import Opener

    rich_open = Opener.open

    def poor_open(self, file, stop=None):
        with files_left(0):
            return rich_open(self, file, stop)

    Opener.open = poor_open
