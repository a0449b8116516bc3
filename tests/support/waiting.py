"""Waiting for what another process does."""

import time

SECONDS_MAX = 20


def comes(condition):
    """Waits until it holds, and returns whether it does."""
    deadline = time.monotonic() + SECONDS_MAX
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()
