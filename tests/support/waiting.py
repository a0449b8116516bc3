"""Waiting for what another process does."""

import time

SECONDS_MAX = 20
START_SECONDS_MAX = 90
"""Until a process has imported and started Ray, and done something, while others keep the cores busy."""


def comes(condition, seconds=SECONDS_MAX):
    """Waits until it holds, and returns what it came to."""
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if (came := condition()) or asked > deadline:
            return came
        time.sleep(max(0.01, 3 * (time.monotonic() - asked)))  # to ask must not keep a core from what is waited for
