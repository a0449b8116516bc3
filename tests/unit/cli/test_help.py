"""`linkmatch-ray help` prints the reference, at once."""

import json
import subprocess
import sys

import pytest

from linkmatch_ray.cli.help import TOPICS, about_topic, text_of

LOADED = """
import os
import sys
from linkmatch_ray.__main__ import main
end = os._exit
def look_and_end(code):
    print({name.partition(".")[0] for name in sys.modules} & {"ray", "numpy"}, file=sys.stderr, flush=True)
    end(code)
os._exit = look_and_end
main()
"""


def run(environment, *arguments):
    return subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], env=environment, capture_output=True, text=True, timeout=120
    )


def test_the_topics_are_listed(command_environment):
    """A line each, in order; as JSON by name."""
    done = run(command_environment, "help")
    assert done.returncode == 0
    assert [line.split("  ", 1)[0] for line in done.stdout.splitlines()] == list(TOPICS)
    as_json = run(command_environment, "help", "--json")
    assert json.loads(as_json.stdout) == {topic: about_topic(topic) for topic in TOPICS}


def test_a_topic_is_printed_without_ray(command_environment):
    """The Markdown as it stands in the package; neither Ray nor NumPy is loaded for it."""
    done = run(command_environment, "help", "quarantine")
    assert (done.returncode, done.stdout, done.stderr) == (0, text_of("quarantine"), "set()\n")
    as_json = run(command_environment, "help", "quarantine", "--json")
    assert json.loads(as_json.stdout) == {"topic": "quarantine", "text": text_of("quarantine")}


@pytest.mark.parametrize("topic", ["nothing", "../errors", ""])
def test_an_unknown_topic_is_refused(topic, command_environment):
    """With the topics that there are."""
    done = run(command_environment, "help", topic)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"no such topic. Give one of {', '.join(TOPICS)}." in done.stderr
