"""Hostile names through every command: a terminal gets text and line breaks, and JSON has the values it had."""

import base64
import json
import os
import shutil
import subprocess
import sys
import unicodedata
from types import SimpleNamespace

import pytest

from linkmatch_ray import commands
from linkmatch_ray.runtime.cluster.jobs_api import RemoteJob
from linkmatch_ray.runtime.cluster.nodes import Node, faults
from linkmatch_ray.words import is_text
from tests.support.program import program as run_program
from tests.support.tiers import kinds

FORGED = "linkmatch-ray: forged"

WORDS = {
    "escape": b"\x1b[2J\x1b]0;x\x07",
    "newline": b"a\n" + FORGED.encode(),
    "return": b"a\r" + FORGED.encode(),
    "c1": "\x9b31m\x85".encode(),
    "bidi": "\u202egnp\u2066".encode(),
    "line separators": "\u2028\u2029".encode(),
    "byte order mark": "\ufeff".encode(),
    "tag": "\U000e0001".encode(),
    "delete": b"a\x7f\x08",
    "bytes": b"\xff\xfe\x9b",
    "surrogate": b"\xed\xa0\x80",
    "long": b"x" * 180,
}

JOINED = {
    "lines": WORDS["newline"] + WORDS["return"],
    "characters": b"".join(WORDS[name] for name in ("escape", "c1", "bidi", "line separators", "tag", "delete")),
    "byte order mark": WORDS["byte order mark"],
    "no UTF-8": WORDS["bytes"] + WORDS["surrogate"],
    "long": WORDS["long"],
}
"""The same words, several in one name, for what takes long."""

UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp")


def assert_harmless(text):
    """Text and line breaks, and no line that a name has made."""
    unsafe = {char for char in text if char != "\n" and unicodedata.category(char) in UNSAFE}
    assert not unsafe, ascii(text)
    assert not any(line.startswith(FORGED) for line in text.split("\n")), text
    return text


@pytest.fixture
def program(monkeypatch, tmp_path):
    """Runs the command in this process, in a directory of its own; returns exit code and checked outputs."""
    monkeypatch.chdir(tmp_path)
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments, stdin=b""):
        code, *said = run_program(*arguments, stdin=stdin)
        return (code, *map(assert_harmless, said))

    return run


@pytest.fixture(params=kinds(WORDS.values()), ids=kinds(WORDS))
def word(request):
    """A part of a name."""
    return request.param


def bytes_in(row, name):
    """The bytes that a member of a JSON object stands for."""
    encoded = row.get(f"{name}_base64")
    return row[name].encode() if encoded is None else base64.b64decode(encoded)


def member_of(word):
    """The word as the text of a JSON string: bytes that are not UTF-8 as lone surrogates."""
    return json.dumps(os.fsdecode(word))


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("word", kinds(JOINED.values()), ids=kinds(JOINED))
def test_a_whole_job(program, word, tmp_path):
    """Directory, file, list, member, key, value and results have the word in their names; then what is said of it."""
    name, text = os.path.join(os.fsencode(tmp_path), b"in" + word), member_of(word)
    os.mkdir(name)
    file = os.path.join(name, word + b".json")
    with open(file, "w") as records:
        records.write(f'[{{{text}:{text},"data":{text}}},{{{text}:1}},{{{text}:1}},{{{text}:1}}')
    listed, output = word + b".list", b"out" + word
    with open(listed, "w") as restrictions:
        restrictions.write(f"[{member_of(word.upper() + b' ')}]")
    command = ("submit", name, "-r", listed, "-o", output)
    code, out, _ = program(*command)
    assert code == 4
    assert "of 3 records" in out
    assert "Hint: most records have no key" in out
    assert len(out) < 4000
    code, out, _ = program(*command, "--json")
    assert code == 4
    summary = json.loads(out)
    assert bytes_in(summary, "directory") == os.path.join(os.fsencode(tmp_path), output)
    assert bytes_in(summary, "restrictions") == listed
    with open(os.path.join(output, b"summary.json"), "rb") as written:
        assert json.loads(written.read()) == summary
    with open(os.path.join(output, b"quarantine.jsonl"), "rb") as quarantine:
        assert bytes_in(json.loads(quarantine.read()), "file") == file
    code, out, error = program(*command[:-1], "-")
    assert code == 4
    assert bytes_in(json.loads(error[: error.index("}\n") + 2]), "file") == file
    code, out, _ = program("status", output)
    assert (code, "complete" in out) == (0, True)
    code, out, _ = program("status", output, "--json")
    assert (code, json.loads(out)["state"]) == (0, "complete")
    code, out, _ = program("verify", output)
    assert (code, "everything agrees" in out) == (0, True)
    with open(os.path.join(output, b"quarantine.jsonl"), "ab") as quarantine:
        quarantine.write(b"\n")
    assert program("verify", output)[0] == 1
    assert program("cancel", output)[0] == 3
    assert program(*command, "--emit", "unmatched")[0] == 2
    os.rename(file, os.path.join(name, b"other" + word + b".json"))
    code, out, error = program(*command, "--incremental")
    assert code == 3
    assert "--drop-missing" in error
    shutil.rmtree(output)


def test_plans(program, word):
    """--dry-run, as text and as JSON; and what is said where there is no input."""
    names = [word + b".json", b"z" + word + b".json"]
    os.mkdir(word)
    with open("list", "w") as file:
        file.write('["a"]')
    for name in names:
        with open(os.path.join(word, name), "w") as file:
            file.write(f"{{{member_of(word)}:0}}")
    code, out, _ = program("submit", word, "-r", "list", "--dry-run")
    assert code == 0
    assert out.count("\n") == 7
    code, out, _ = program("submit", word, "-r", "list", "--dry-run", "--json")
    row = json.loads(out.splitlines()[0])
    found = [bytes_in(row, "first"), bytes_in(row, "last")]
    assert (code, found) == (0, sorted(os.path.join(word, name) for name in names))
    for name in names:
        os.unlink(os.path.join(word, name))
    code, _, error = program("submit", word, "-r", "list", "--dry-run")
    assert (code, "no input file" in error) == (3, True)


def test_explanations(program, word):
    """Record, member, key, list and file; as text and as JSON."""
    text = member_of(word)
    with open(word, "w") as file:
        file.write(f'{{{text}:1}}\n{{"data":{text}}}\n{{"data":')
    with open(b"list" + word, "w") as file:
        file.write(f"[{member_of(word + b' ')}]")
    base = ("explain", word, "-r", b"list" + word)
    for index, verdict in (("0", "missing_key"), ("1", "nearly")):
        code, out, _ = program(*base[:2], index, *base[2:])
        assert (code, verdict in out) == (0, True)
        code, out, _ = program(*base[:2], index, *base[2:], "--json")
        assert (code, json.loads(out)["verdict"]) == (0, "unmatched")
    key = json.loads(out)["key"]
    assert json.loads(key) == os.fsdecode(word)
    assert program(*base[:2], "2", *base[2:])[0] == 3
    assert program(*base[:2], "7", *base[2:])[0] == 3
    raw = b'{"data":"' + word + b'"}'
    assert program("explain", *base[2:], stdin=raw)[0] in (0, 3)


@pytest.mark.parametrize("verbose", [(), ("--verbose",)])
def test_errors(program, word, verbose):
    """What cannot be found, read, made or understood is named, also with a traceback."""
    with open("a.json", "w") as file:
        file.write("{}")
    plan = ("submit", "-r", "list", "--dry-run")
    with open("list", "w") as file:
        file.write("[{}]")
    for code, arguments in (
        (3, (*plan, word)),
        (3, (*plan, b"no*" + word)),
        (3, (*plan, b"file:///" + word)),
        (2, (*plan, b"file://" + word + b"/x")),
        (2, (*plan, b"ftp://" + word)),
        (2, (*plan, b"http://u:p@h/" + word)),
        (3, (*plan, "--files-from", word)),
        (2, (*plan, "a.json", "--address", b"ray://" + word)),
        (2, (*plan, "a.json", "--address", "http://h", "-o", word)),
        (2, (*plan, "a.json", b"--" + word)),
        (2, (*plan, "a.json", "--emit", word)),
        (2, (word,)),
        (3, ("explain", "a.json", "-r", word)),
        (2, ("explain", "a.json", "-r", "list", "-k", b"/~" + word)),
        (3, ("explain", word, "-r", "list")),
        (3, ("status", word)),
        (3, ("cancel", word)),
        (3, ("verify", word)),
        (2, ("results", b"ftp://" + word, "-o", "x")),
        (3, ("results", b"file:///" + word, "-o", b"x" + word)),
    ):
        ended, out, error = program(*arguments, *(verbose if arguments[0] != word else ()))
        assert (ended, out) == (code, ""), (arguments, error)
    code, _, error = program("explain", "a.json", "-r", "list", "-k", word, *verbose)
    assert code == (2 if b"\xff" in word or b"\xed\xa0" in word else 3)


@pytest.mark.parametrize("option", ["-k", "--records-at", "--restrictions-at", "--job-id", "--address"])
def test_options_that_are_text(program, option):
    """Bytes that are not UTF-8 are a usage error, which names them; there is no traceback."""
    code, out, error = program("submit", "in", "-r", "list", option, b"/\xff\x1b")
    assert (code, out) == (2, "")
    assert "/\\xff\\u001b: not UTF-8" in error
    assert "Traceback" not in error


def test_jobs_of_a_cluster(program, word, monkeypatch):
    """What others have submitted there, and what their jobs have printed."""
    name = json.loads(member_of(word))
    job = RemoteJob(name, 1, name, name, 1, name, None, 0.0, None, name, None)
    log = name.replace(FORGED, "said") + "\n"  # whose lines are its own
    cluster = SimpleNamespace(jobs=lambda: [job], driven=lambda: [name], logs=lambda _: log, find=lambda _: job)
    monkeypatch.setattr(commands, "_connect", lambda *_: cluster)
    for command in (("jobs",), ("status", "x"), ("results", name), ("logs", "x")):
        if command[-1] == name and not is_text(name):
            continue
        code, out, error = program(*command, "--address", "http://h")
        assert (code, error) == (0, ""), command
        assert out
    assert json.loads(program("jobs", "--json", "--address", "http://h")[1])[0]["job_id"] == name
    assert json.loads(program("status", "x", "--json", "--address", "http://h")[1])["directory"] == name
    lines = program("logs", "x", "--json", "--address", "http://h")[1].splitlines()
    assert "\n".join(json.loads(line)["line"] for line in lines) == log.removesuffix("\n")


def test_nodes_of_a_cluster(word):
    """What they say of themselves, as `doctor` and `submit` tell it."""
    name = json.loads(member_of(word))
    known = {"python": name, "missing": [name], "kernel": name, "unseen": [name] * 9, "disk_total": 1}
    node = Node(name, name, 1, 0, answered=True, **known)
    for said in (*faults([node]), *faults([Node(name, name, 1, 0)])):
        assert_harmless(said)
        assert "\n" not in said


def test_a_terminal_without_letters(command_environment, tmp_path):
    """An encoding that has few of them, and the C locale: nothing fails, and JSON has the values it had."""
    (tmp_path / "list.json").write_text('["é"]')
    record = '{"data":"日本 é\u202e"}'
    for extra in ({"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}):
        for more in ((), ("--json",)):
            done = subprocess.run(
                [sys.executable, "-m", "linkmatch_ray", "explain", "-r", "list.json", *more],
                cwd=tmp_path, env=command_environment | extra, input=record.encode(), capture_output=True,
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, b"")
            if more:
                assert json.loads(json.loads(done.stdout)["key"]) == json.loads(record)["data"]


def test_an_error_that_nobody_caught(command_environment):
    """Its traceback goes through the printer, too."""
    code = (
        "import sys, linkmatch_ray; from linkmatch_ray.cli import app\n"
        "def fail(*_, **__): raise ValueError('a\\x1b\\u202e')\n"
        "linkmatch_ray.status = fail\n"
        "sys.argv = ['linkmatch-ray', 'status', 'x']\n"
        "app.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], env=command_environment, capture_output=True)
    assert done.returncode == 1
    assert "ValueError: a\\u001b\\u202e" in assert_harmless(done.stderr.decode())
