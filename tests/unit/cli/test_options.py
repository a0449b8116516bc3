"""One option, one place: the command line, Python and a job on a cluster have the same options and defaults."""

import ast
import inspect
from dataclasses import MISSING, fields
from pathlib import Path
from typing import get_type_hints

import pytest
import typer

import linkmatch_ray
from linkmatch_ray import JobOptions, MatchOptions
from linkmatch_ray.cli import app
from linkmatch_ray.cli.options import PANELS, job_options
from linkmatch_ray.core.options import JobKeywords, MatchKeywords
from linkmatch_ray.runtime.cluster.cluster_job import _as_typed
from linkmatch_ray.runtime.session.address import OVERRIDE, certificates
from tests.support.program import program

COMMANDS = typer.main.get_command(app.app).commands

TEXT_ONLY = {"help"}
"""Commands that print a text as it stands, and ask nothing."""

FOR_PYTHON = {"name", "unit_bytes", "part_bytes"}
"""Options that the command does not have."""

FOR_THE_COMMAND = {
    "context", "inputs", "restrictions", "key", "output", "joinable", "dry_run", "no_wait", "as_json", "quiet",
}  # fmt: skip
"""What Python has as an argument or a function of its own, and how the command shows what it does."""

OTHERS = {
    "tls_verify": "ca.pem", "workers": 3, "task_timeout": 7.5, "max_record_bytes": 9, "max_inflation": 8,
    "max_quarantined": 7, "emit": "both", "format": "lines", "restrictions_format": "text",
    "records_at": "/a b", "restrictions_at": "/x", "address": "auto", "job_id": "j", "files_from": "f",
    "drop_missing": True,
}  # fmt: skip
"""For each option a value that is not its default."""


@pytest.mark.parametrize(("options", "keywords"), [(MatchOptions, MatchKeywords), (JobOptions, JobKeywords)])
def test_keywords_are_the_options(options, keywords):
    """Names and types, so that a type checker knows what `submit` takes."""
    assert get_type_hints(keywords) == {each.name: get_type_hints(options)[each.name] for each in fields(options)}


def test_the_command_has_the_options_of_python():
    """All of them, with the same names and defaults."""
    parameters = inspect.signature(app.submit).parameters
    assert parameters.keys() - FOR_THE_COMMAND == {each.name for each in fields(JobOptions)} - FOR_PYTHON
    for each in fields(JobOptions):
        if each.name not in FOR_PYTHON and each.default is not MISSING:
            assert str(parameters[each.name].default).lower() == str(each.default).lower(), each.name


@pytest.mark.parametrize("name", [*(each.name for each in fields(JobOptions) if each.name not in FOR_PYTHON)])
def test_an_option_travels(name):
    """What a job on a cluster is started with means there what was meant here; some options are for this side."""
    value = OTHERS.get(name, True)
    more = {"drop_missing": {"incremental": True}, "null": {"files_from": "f"}}.get(name, {})
    options = JobOptions(**{name: value}, **more)
    assert options != JobOptions()
    words = list(_as_typed(options))
    if name in ("address", "tls_verify", "job_id", "files_from"):
        assert words == []
        return
    for needed in {"files_from"} & more.keys():  # sent as a file
        words += ["--files-from", more[needed]]
    context = COMMANDS["submit"].make_context("submit", ["in", "-r", "list", *words])
    there = job_options(context.params)
    assert [getattr(there, each.name) for each in fields(there) if each.name not in ("tls_verify", "address")] == [
        getattr(options, each.name) for each in fields(options) if each.name not in ("tls_verify", "address")
    ]


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - TEXT_ONLY))
def test_a_command_is_a_function(name):
    """Public, documented, with its options by the same names; and every command takes --json."""
    function = getattr(linkmatch_ray, name)
    assert name in linkmatch_ray.__all__
    assert inspect.getdoc(function)
    known = inspect.signature(function).parameters.keys() | JobKeywords.__annotations__.keys()
    shown = {"context", "as_json", "quiet", "verbose", "joinable", "no_wait", "dry_run", "file", "directory"}
    assert inspect.signature(COMMANDS[name].callback).parameters.keys() - shown - known == set()
    assert "--json" in {option for parameter in COMMANDS[name].params for option in parameter.opts}


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - TEXT_ONLY))
def test_help_has_panels(name):
    """Each option is in one of them, is called as its parameter, and says what it is."""
    command = COMMANDS[name]
    text = command.get_help(command.make_context(name, [], resilient_parsing=True))
    for parameter in command.params:
        assert parameter.help, parameter.name
        if parameter.param_type_name == "option":
            assert parameter.rich_help_panel in PANELS, parameter.name
            assert f"\n{parameter.rich_help_panel}:\n" in text
            assert f"--{(parameter.name or '').removeprefix('as_').replace('_', '-')}" in parameter.opts


SURFACE = {
    "linkmatch_ray": set(linkmatch_ray.__all__) | {"__version__"},
    "linkmatch_ray.arguments": {"standard_input"},
    "linkmatch_ray.errors": None,
    "linkmatch_ray.exit_codes": None,
    "linkmatch_ray.words": None,  # words from outside, made fit to be shown
    "linkmatch_ray.core.options": None,
    "linkmatch_ray.runtime.session.address": None,  # what an address means; loads no Ray
    "linkmatch_ray.runtime.session.reaper": None,  # removes a directory even after SIGKILL; loads no Ray
}
"""What the command line may use of the package: modules, and of the package itself its public names."""


@pytest.mark.parametrize("path", sorted(Path(app.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_the_command_line_is_a_user_of_the_package(path):
    """It imports only what is public, wherever in a module it does so; and names nothing else of the package."""
    tree, public = ast.parse(path.read_text("utf-8")), SURFACE["linkmatch_ray"]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("linkmatch_ray"):
            if node.module.startswith("linkmatch_ray.cli"):
                continue
            assert node.module in SURFACE, f"{path.name}:{node.lineno}"
            names = {alias.name for alias in node.names}
            assert node.module != "linkmatch_ray" or names <= public | {"cli"}, f"{path.name}:{node.lineno}"
        if isinstance(node, ast.Import):
            modules = [each.name for each in node.names if each.name.startswith("linkmatch_ray")]
            assert modules in ([], ["linkmatch_ray"]), f"{path.name}:{node.lineno}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "linkmatch_ray":
            assert node.attr in public, f"{path.name}:{node.lineno}"


@pytest.mark.parametrize(
    "command",
    [
        ["submit", "a.json", "-r", "r.txt"],
        ["submit", "a.json", "-r", "r.txt", "--dry-run"],
        ["submit", "a.json", "-r", "r.txt", "--address", "head:6379"],
        ["submit", "/a.json", "-r", "r.txt", "--address", "http://head:8265"],
        ["jobs", "--address", "http://head:8265"],
        ["logs", "job", "--address", "head:6379"],
        ["status", "."],
        ["cancel", "job", "--address", "auto"],
        ["results", "s3://bucket/results", "-o", "out"],
        ["doctor"],
        ["doctor", "--address", "http://head:8265"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("verify", ["false", "ca.pem"])
def test_certificates_are_those_of_https(command, verify, tmp_path, monkeypatch):
    """What would trust another is refused where there is no certificate, before anything begins."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv(OVERRIDE, raising=False)
    for name in ("a.json", "r.txt"):
        (tmp_path / name).write_text('"a"')
    said = "linkmatch-ray: --tls-verify: only an https cluster has a certificate. Name one with --address https://"
    code, stdout, stderr = program(*command, "--tls-verify", verify)
    assert (code, stdout) == (2, "")
    assert stderr.startswith(said)
    assert not (tmp_path / "linkmatch-results").exists()


def test_a_cluster_that_is_overridden_has_its_certificate(monkeypatch):
    """RAY_API_SERVER_ADDRESS says which cluster is asked; and what is the default anyway may be said."""
    monkeypatch.delenv(OVERRIDE, raising=False)
    assert certificates("http://head:8265", "true") is True
    assert certificates("https://head:8265", "0") is False
    monkeypatch.setenv(OVERRIDE, "https://head:8265")
    assert certificates("http://other:8265", "ca.pem") == "ca.pem"
