"""README and reference are true: what they show runs, and they name what there is, neither more nor less."""

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from typing import get_args

import pytest
import typer

import linkmatch_ray
from linkmatch_ray.cli.app import app
from linkmatch_ray.cli.help import DOCS, TOPICS, about_topic
from linkmatch_ray.core.damage import FAULTS, DamageReason
from linkmatch_ray.core.options import KEY
from tests.conftest import REPO
from tests.support.readme import PAGES, blocks, first_columns, rows, shown_code, without_blocks

README_BYTES_MAX = 8_192
SENTENCE_WORDS_MAX = 25
SECONDS_MAX = 300

REASONS = (*get_args(DamageReason), *FAULTS)

COMMANDS = typer.main.get_command(app).commands
OPTIONS = {
    name: {"--help", *(option for parameter in command.params for option in parameter.opts if option[0] == "-")}
    for name, command in COMMANDS.items()
}
OF_ANY = {"--version"}.union(*OPTIONS.values())

DEVELOPERS = REPO.joinpath("CONTRIBUTING.md").read_text("utf-8")
ALL = PAGES | {"CONTRIBUTING": DEVELOPERS}


def pages_with(info):
    """The pages with such blocks; those that start a Ray are slow."""
    found = []
    for name, text in PAGES.items():
        lines = [line for code in blocks(text, info) for line in code.splitlines()]
        slow = any(re.search(r"^\$ .*\bsubmit |= submit\(", line) and "--dry-run" not in line for line in lines)
        if lines:
            found.append(pytest.param(name, marks=[pytest.mark.slow] * slow))
    return found


def options_in(code):
    return re.findall(r"(?<![^\s(])--?[a-z][a-z-]*", code)


def test_the_readme_is_short():
    assert len(PAGES["README"].encode()) <= README_BYTES_MAX


# What is shown runs


@pytest.mark.parametrize("page", pages_with("python"))
def test_the_python_examples_run(page, tmp_path, command_environment):
    """All Python blocks of a page in one program, as a reader would paste them."""
    (tmp_path / "tests").symlink_to(REPO / "tests")
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks(PAGES[page], "python"))],
        cwd=tmp_path, env=command_environment, capture_output=True, timeout=SECONDS_MAX,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("page", pages_with("console"))
def test_the_sessions_print_what_they_show(page, tmp_path, command_environment):
    """All sessions of a page in one directory: the same text, but for times and the place."""
    (tmp_path / "tests").symlink_to(REPO / "tests")
    command = tmp_path / "bin/linkmatch-ray"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m linkmatch_ray "$@"\n')
    command.chmod(0o755)
    environment = command_environment | {
        "PATH": f"{command.parent}{os.pathsep}{command_environment['PATH']}",
        "HOME": str(tmp_path),
    }
    for session in blocks(PAGES[page], "console"):
        for step in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
            typed, shown = step.split("\n", 1)
            done = subprocess.run(
                ["bash", "-c", typed],
                cwd=tmp_path, env=environment, timeout=SECONDS_MAX,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            printed = done.stdout.replace(str(tmp_path), "/home/you/linkmatch-ray")
            assert without_times(printed) == without_times(shown)


def without_times(text):
    text = re.sub(r"about \d+ seconds? on \d+ cores?", "about N seconds on N cores", text)
    return re.sub(r"\d+\.\d s\b", "N s", text)


def test_the_numbers_shown_are_those_of_the_sample():
    """The summary in the README says what the independent matcher found."""
    expected = json.loads((REPO / "tests/sample/cve/expected.json").read_bytes())
    assert f"{expected['matched_records']} of {expected['records']} records matched" in PAGES["README"]
    assert f"{expected['restrictions']:,} restrictions" in PAGES["README"]


# Commands and options


@pytest.mark.parametrize(("page", "code"), [(page, code) for page, text in ALL.items() for code in shown_code(text)])
def test_commands_and_options_shown_exist(page, code):
    """A whole command of ours is understood; a part of one has its options. Other programs' commands are theirs."""
    ours = re.search(r"(?<![\w/.-])linkmatch-ray [^|>#]*", code)
    words = shlex.split(ours[0])[1:] if ours else code.split() or [code]
    if ours and words[0] in COMMANDS and words[1:]:
        with suppress(typer.Exit):  # as --help ends
            COMMANDS[words[0]].make_context(words[0], words[1:])
    elif ours or words[0] in COMMANDS or code.startswith("-"):
        assert set(options_in(code)) <= OPTIONS.get(words[0], OF_ANY)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_is_documented(command):
    """In the reference, not only in the README."""
    codes = [code for topic in TOPICS for code in shown_code(PAGES[topic])]
    assert any(re.search(rf"linkmatch-ray {command}\b", code) for code in codes)
    assert OPTIONS[command] - {option for code in codes for option in options_in(code)} == set()


@pytest.mark.parametrize("page", [page for page in TOPICS if "| option |" in PAGES[page]])
def test_the_tables_of_options_have_their_defaults(page):
    """Each row has one option, in all its forms, with the default that it has in a command."""
    for first, _, default in rows(PAGES[page], "option"):
        forms = [form.split()[0] for form in re.findall("`([^`]+)`", first)]
        known = [each for command in COMMANDS.values() for each in command.params if set(forms) <= set(each.opts)]
        assert known, first
        given = [each.default for each in known if each.default is not None and each.default is not False]
        defaults = {as_written(each) for each in ([KEY] if "--key" in forms else given)}
        assert (default.split()[0] in defaults) if defaults else not re.match(r"`|\d", default), first


def as_written(default):
    value = getattr(default, "value", default)
    return f"`{value}`" if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


# Python


def test_the_tables_for_python_have_all_names():
    """Exported names, arguments and the members of a job: each is there, and no other."""
    text = PAGES["python"]
    assert sorted(first_columns(text, "name")) == list(linkmatch_ray.__all__)
    for heading, callable_ in (
        ("argument of `submit`", linkmatch_ray.submit),
        ("option by name", linkmatch_ray.JobOptions),
        ("argument of `Restrictions.load`", linkmatch_ray.Restrictions.load),
    ):
        assert first_columns(text, heading) == [
            name for name, each in inspect.signature(callable_).parameters.items() if each.kind is not each.VAR_KEYWORD
        ]
    members = {span.partition("(")[0] for span in first_columns(text, "of a `Job`")}
    assert members == {"id", "directory", *(name for name in vars(linkmatch_ray.Job) if name[0] != "_")}


# Reasons


def test_the_table_of_reasons_is_the_codes():
    """Each once."""
    assert sorted(first_columns(PAGES["quarantine"], "reason")) == sorted(REASONS)


def test_every_reason_is_given_by_some_module():
    """The table in code has none that is no longer used; that Damage has no other one, its type says."""
    modules = [path for path in (REPO / "linkmatch_ray").rglob("*.py") if path.name != "damage.py"]
    source = "".join(path.read_text("utf-8") for path in modules)
    assert [reason for reason in REASONS if f'"{reason}"' not in source] == []


# Topics, links, language


def test_every_topic_is_there_and_in_the_readme():
    """Files, the command's list and the README's table are the same, in the same order."""
    assert sorted(path.name for path in DOCS.iterdir()) == sorted(f"{topic}.md" for topic in TOPICS)
    assert all(about_topic(topic) for topic in TOPICS)
    linked = re.findall(r"^\| \[(\w+)\]\(linkmatch_ray/docs/(\w+)\.md\) \|", PAGES["README"], re.MULTILINE)
    assert linked == [(topic, topic) for topic in TOPICS]


@pytest.mark.parametrize("page", ALL)
def test_what_is_linked_or_named_is_there(page):
    """Links within the repository, its files and the programs of `scripts`."""
    folder = DOCS if page in TOPICS else REPO
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", ALL[page]):
        assert (folder / target).exists(), target
    for name in re.findall(r"\b(?:scripts|tests|linkmatch_ray)/[\w./-]*\w", ALL[page]):
        assert (REPO / name).exists(), name


@pytest.mark.parametrize("page", ALL)
def test_sentences_are_short(page):
    """Cells of tables are sentences, too; a span of code is one word."""
    prose = re.sub(r"`[^`\n]+`", "code", without_blocks(ALL[page]))
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    pieces = [piece for line in prose.splitlines() for piece in re.split(r"(?<!\\)\||(?<=[.!?])(?:\*\*)?\s", line)]
    long = [piece for piece in pieces if len(re.findall(r"\w[\w'.,-]*", piece)) > SENTENCE_WORDS_MAX]
    assert long == []
