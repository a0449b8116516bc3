"""`linkmatch-ray help`: prints the reference, which is Markdown in the package's `docs/`. Loads no Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from linkmatch_ray.cli import options as o
from linkmatch_ray.cli.exits import reporting
from linkmatch_ray.cli.printer import Printer
from linkmatch_ray.errors import UsageError
from linkmatch_ray.words import shown

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"

TOPICS: Final = (
    "inputs",
    "lists",
    "results",
    "quarantine",
    "guarantees",
    "clusters",
    "python",
    "benchmarks",
    "limits",
)
"""The topics, in reading order. Each is a file of `DOCS` whose first line is `# Name: what it is about`."""


def help_(
    topic: Annotated[
        str | None,
        typer.Argument(help="Topic to print. Without it, the topics are listed.", metavar="TOPIC", show_default=False),
    ] = None,
    as_json: o.Json = False,
) -> None:
    """Print the reference, or list its topics.

    \b
    Examples:
      linkmatch-ray help
      linkmatch-ray help quarantine | less
    """
    out = Printer(as_json)
    with reporting(verbose=False):
        if topic is None:
            about = {name: about_topic(name) for name in TOPICS}
            width = max(map(len, TOPICS))
            out.show(about, (f"{name:<{width}}  {it}" for name, it in about.items()))
            return
        if topic not in TOPICS:
            raise UsageError(f"help {shown(topic)}: no such topic. Give one of {', '.join(TOPICS)}.")
        text = text_of(topic)
        out.show({"topic": topic, "text": text}, text.splitlines())


def text_of(topic: str) -> str:
    """Returns the Markdown of a topic."""
    return DOCS.joinpath(f"{topic}.md").read_text("utf-8")


def about_topic(topic: str) -> str:
    """Returns the description of a topic, which is in its first line."""
    return text_of(topic).partition("\n")[0].partition(": ")[2]
