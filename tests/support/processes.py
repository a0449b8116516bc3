"""The processes that descend from this one, of tests and scripts. What has ended does not count, waited for or not."""

import contextlib
import time

import psutil


def descendants(of=None):
    """Finds the living descendants of a process (a pid; this one if not given): process -> command line."""
    found = {}
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(of).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile, or is a zombie
                found[process] = " ".join(process.cmdline())
    return found


def alive(processes):
    """Returns those that have not ended."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def titled(beginning):
    """Finds the descendants whose command line begins so."""
    return [process for process, title in descendants().items() if title.startswith(beginning)]


def kill(processes):
    """Sends SIGKILL to all of them; returns whether there was one."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return bool(processes)


def insist(process, number):
    """Sends a signal again and again until the process has ended, as somebody impatient does."""
    while process.poll() is None:
        process.send_signal(number)
        time.sleep(0.002)
