"""`--dashboard`, as someone sees it who has a terminal, and a browser that has never been there."""

import os
import re
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.conftest import REPO
from tests.support import browser

pytestmark = pytest.mark.slow

SAMPLE = REPO / "tests/sample/cve"
SECONDS_MAX = 60

ARROW = "(//*[text()='Ray Core Overview']/following::*[local-name()='svg'])[2]"
"""Before the bar that stands for all tasks: it shows their groups. The first one is a box to tick."""


class Terminal:
    """A program on a terminal of its own; `said` is what it has written there so far."""

    def __init__(self, *command, **options):
        self._end, theirs = os.openpty()
        self.said = ""
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
        self.process = subprocess.Popen(["setsid", "--ctty", "--wait", *command], **streams, **options)
        os.close(theirs)

    def read_until(self, words):
        while words not in self.said:
            with suppress(OSError):  # the terminal is gone
                if data := os.read(self._end, 1 << 16):
                    self.said += data.decode()
                    continue
            raise AssertionError(self.said)

    def interrupt(self):
        """Ctrl-C; returns the exit code."""
        os.write(self._end, b"\x03")
        return self.process.wait(SECONDS_MAX)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self._end)


@pytest.mark.skipif(not browser.is_there(), reason="needs Chromium (Debian's chromium-driver)")
def test_a_browser_that_has_never_been_there(command_environment, tmp_path):
    """It gets in with the token that the printed command prints, and finds the job, its tasks and its collector."""
    environment = command_environment | {"HOME": str(tmp_path)}
    words = ["submit", SAMPLE / "links", "-r", SAMPLE / "restrictions.json", "-k", "cveID", "-o", "hits", "--dashboard"]
    terminal = Terminal(sys.executable, "-m", "linkmatch_ray", *words, env=environment, cwd=tmp_path)
    window = browser.Browser(tmp_path / "profile")
    try:
        terminal.read_until("The dashboard stays until Ctrl-C")
        assert "62 of 778 records matched" in terminal.said
        url, command = re.search(
            r"Dashboard: (\S+), which asks for the token that `(.*)` prints", terminal.said
        ).groups()
        job = re.search(r"To join job (\S+):", terminal.said)[1]
        print_token = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=True)

        window.go(url)
        window.wait_for_text("Authentication Token Required")
        window.screenshot(tmp_path / "1-token.png")
        window.type("//*[@role='dialog']//input", print_token.stdout.strip())
        window.click("//*[@role='dialog']//button[text()='Submit']")

        window.go(f"{url}/#/jobs")
        window.wait_for_text("linkmatch hits")
        window.screenshot(tmp_path / "2-jobs.png")
        window.go(f"{url}/#/jobs/01000000")
        window.click(ARROW)
        window.wait_for_text("\nmatch\n", f"\nlinkmatch:{job}\n")
        window.screenshot(tmp_path / "3-tasks.png")
        window.go(f"{url}/#/actors")
        window.wait_for_text(f"linkmatch:{job}")
        window.screenshot(tmp_path / "4-actors.png")

        assert terminal.interrupt() == 0
        assert not list(tmp_path.glob("**/lmr-*"))
    finally:
        window.close()
        terminal.close()
