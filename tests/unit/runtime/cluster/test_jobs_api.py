"""What is said of a job of a cluster that did not run."""

import pytest

from linkmatch_ray.runtime.cluster.jobs_api import cause_in


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("", "its driver did not start"),
        ("No CPU is free.\n", "No CPU is free"),
        (
            "setup failed: nothing.\nThe actor\n[Node 1] Traceback:\n  File x\nOSError: [Errno 28] No space left\n",
            "setup failed: nothing: OSError: [Errno 28] No space left",
        ),
        ("setup failed:\n" + "x\n" * 999 + "ValueError: y", "setup failed: ValueError: y"),
    ],
)
def test_the_cause_in_a_message(message, cause):
    """Is its last line, however long the traceback before is."""
    assert cause_in(message) == cause
