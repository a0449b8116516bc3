"""The command as a user types it: outputs, exit codes, Ctrl-C, and what it does not print."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import REPO
from tests.support.processes import alive, descendants, insist
from tests.support.program import program
from tests.support.waiting import START_SECONDS_MAX, comes

SAMPLE = REPO / "tests/sample"
STOP_SECONDS_MAX = 10.0  # 3 on a machine that does nothing else


@pytest.fixture
def run(ray_session, tmp_path, monkeypatch):
    """Runs the command in this process and an empty directory, on the Ray of all tests."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return subprocess.CompletedProcess(arguments, *program(*map(str, arguments)))

    return run


@pytest.fixture
def run_process(command_environment, tmp_path):
    """Runs the command as a process in an empty directory, with a Ray of its own."""

    def run(*arguments, stdin=None):
        command = [sys.executable, "-m", "linkmatch_ray", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, env=command_environment, capture_output=True, text=True, timeout=120, input=stdin
        )

    return run


@pytest.fixture
def small(tmp_path):
    """Three lines, one of them damaged, and a list of two."""
    (tmp_path / "d.jsonl").write_text('{"id":1,"data":"a"}\n{"id":2,"data":\n{"id":3,"data":"b"}\n')
    (tmp_path / "r.txt").write_text("a\nc\n")
    return tmp_path


@pytest.mark.parametrize("arguments", [["--help"], ["submit", "--help"], ["submit", "nothing"], ["--version"]])
def test_help_and_usage_errors_load_neither_ray_nor_numpy(arguments, command_environment):
    """They answer at once because of what they do not import."""
    code = (
        "import sys; from linkmatch_ray.cli.app import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(sorted({'ray', 'numpy', 'msgspec'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=command_environment, capture_output=True)
    assert done.stdout.splitlines()[-1] == b"[]", done.stdout + done.stderr


@pytest.mark.slow
def test_the_summary_and_nothing_else(run_process):
    """The sample's numbers, where the results are, and not a word of Ray's."""
    done = run_process("submit", SAMPLE / "cve/links", "-r", SAMPLE / "cve/restrictions.json", "-k", "cveID")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "62 of 778 records matched (7.97%), by 62 of 1,404 restrictions"
    assert lines[-1].startswith("Results: ")
    assert len(lines) == 3
    assert done.stderr == ""


def test_again_complete_then_changed(run, small):
    """A complete job is told again; with other options it is refused, unless overwritten."""
    first = run("submit", "d.jsonl", "-r", "r.txt", "-o", "out", "--json")
    assert first.returncode == 4, first.stderr
    again = run("submit", "d.jsonl", "-r", "r.txt", "-o", "out", "--json")
    assert (again.returncode, again.stdout) == (4, first.stdout)
    changed = run("submit", "d.jsonl", "-r", "r.txt", "-o", "out", "--emit", "both")
    assert changed.returncode == 2
    assert "other options" in changed.stderr
    assert "--overwrite" in changed.stderr
    overwritten = run("submit", "d.jsonl", "-r", "r.txt", "-o", "out", "--emit", "both", "--overwrite")
    assert overwritten.returncode == 4
    assert (small / "out/unmatched.jsonl").read_text() == '{"id":3,"data":"b"}\n'


def test_a_damaged_line_is_an_entry(run, small):
    """Exit code 4, its neighbours come out, and up to --max-quarantined it is 0."""
    done = run("submit", "d.jsonl", "-r", "r.txt", "-o", "out", "--max-quarantined", "1")
    assert done.returncode == 0, done.stderr
    assert (small / "out/matched.jsonl").read_text() == '{"id":1,"data":"a"}\n'
    (entry,) = map(json.loads, (small / "out/quarantine.jsonl").read_text().splitlines())
    assert (entry["file"], entry["index"], entry["line"], entry["byte_offset"]) == ("d.jsonl", 1, 2, 20)
    assert entry["reason"] == "truncated"


@pytest.mark.slow
def test_standard_output(run, run_process, small):
    """-o - gives the records alone on standard output, the rest on standard error."""
    done = run("submit", "-r", "r.txt", "-o", "-", "--files-from", "list")
    assert done.returncode == 3
    (small / "list").write_text("d.jsonl\n")
    done = run_process("submit", "-r", "-", "-o", "-", "--files-from", "list", "--json", stdin='["a", "c"]')
    assert done.returncode == 4, done.stderr
    assert done.stdout == '{"id":1,"data":"a"}\n'
    assert '"reason":"truncated"' in done.stderr
    assert '"directory": "-"' in done.stderr  # the one it was in is gone
    (small / "bad.jsonl").write_text("{bad\n")  # however short the job is: it must not be complete
    done = run("submit", "bad.jsonl", "-r", "r.txt", "-o", "-", "--fail-fast")
    assert done.returncode == 1
    assert "more than 0 entries, so --fail-fast stopped the job" in done.stderr
    assert "resume" not in done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"data":1},{"date":2}]', 'entry 1 has no key "data"'),
        ('{"data":1}\n{"data":\n', "entry 1 (line 2)"),
        ('[{"data":1},', "entry 1"),
        ("[1, {}]", 'entry 1 has no key "data"'),
    ],
)
def test_a_bad_list_stops_the_job_before_it_starts(run, small, content, message):
    """Exit code 3, the entry named, nothing written."""
    (small / "bad.json").write_text(content)
    done = run("submit", "d.jsonl", "-r", "bad.json", "-o", "out")
    assert done.returncode == 3
    assert message in done.stderr
    assert not (small / "out/matched.jsonl").exists()


def test_a_table_with_empty_cells(run, small):
    """They are left out and counted; the same command again prints it once more, and without the option it stops."""
    (small / "t.csv").write_bytes(b'\xef\xbb\xbfid,"the key"\r\n1,a\r\n2,\r\n3,z\r\n')
    command = ("submit", "d.jsonl", "-r", "t.csv", "-k", "data=the key", "-o", "out")
    for _ in range(2):
        done = run(*command, "--skip-keyless")
        assert done.returncode == 4, done.stderr  # a line of the input is damaged
        assert "by 1 of 2 restrictions" in done.stdout
        assert "1 entry of the list without the key left out" in done.stdout
    rows = [json.loads(line) for line in (small / "out/restrictions.jsonl").read_text().splitlines()]
    assert [(row["index"], row["key"], row["hits"] > 0) for row in rows] == [(0, "a", True), (2, "z", False)]
    done = run("verify", "out")
    assert done.returncode == 0, done.stdout
    done = run(*command)
    assert done.returncode == 3
    assert 't.csv: entry 1 (line 3) has an empty cell in column "the key". Fill it in, or leave such' in done.stderr
    done = run(*command, "--skip-keyless", "--dry-run")
    assert "2 restrictions in t.csv\n1 entry of the list without the key left out\n" in done.stderr


def test_a_wrong_key_is_hinted_at(run, small):
    """Members that the records have, and types that differ."""
    done = run("submit", "d.jsonl", "-r", "r.txt", "-k", "date=data", "-o", "out")
    assert "members are: id (2), data (2)" in done.stdout
    (small / "n.json").write_text('[{"data":1}]')
    done = run("submit", "d.jsonl", "-r", "n.json", "-o", "out2")
    assert "the records' keys are strings, the restrictions' are numbers" in done.stdout


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("d.jsonl", "is a file, or below one. Name a directory"),
        ("d.jsonl/below", "is a file, or below one. Name a directory"),
        ("to-nothing", "is a link to nothing"),
        ("others", "has files in it and is no result directory"),
        ("file://{top}/others", "has objects in it and is no place of results"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--overwrite",)])
def test_a_place_for_no_results_is_refused(name, message, more, small, monkeypatch):
    """Exit code 2, and no session is begun."""
    (small / "to-nothing").symlink_to("nowhere")
    (small / "others").mkdir()
    (small / "others/mine.txt").touch()
    monkeypatch.chdir(small)
    monkeypatch.setattr("linkmatch_ray.runtime.session.session.Session.__enter__", lambda self: pytest.fail("begun"))
    code, _, said = program("submit", "d.jsonl", "-r", "r.txt", "-o", name.format(top=small), *more)
    assert code == 2, said
    assert message in said.splitlines()[-1]


def test_what_is_refused_imports_no_ray(small, command_environment):
    """Ray takes longer to import than all the rest."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "linkmatch_ray", "submit", "d.jsonl", "-r", "r.txt", "-o", "r.txt"],
        cwd=small, env=command_environment, capture_output=True, text=True,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert done.returncode == 2, done.stderr
    assert "linkmatch_ray" in imported
    assert "ray" not in imported


@pytest.mark.parametrize("arguments", [
    ("", "-r", "r.txt"), ("d.jsonl", "-r", ""), ("d.jsonl", "-r", "r.txt", "-o", ""),
    *(("d.jsonl", "-r", "r.txt", option, "") for option in (
        "-k", "--job-id", "--files-from", "--records-at", "--restrictions-at", "--address", "--tls-verify")),
])  # fmt: skip
def test_an_empty_value_is_a_usage_error(arguments, run, small):
    """As a shell makes of a variable that is not set."""
    done = run("submit", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the value is empty. Give one, or leave the option out." in done.stderr


@pytest.mark.parametrize("workers", ["0", "10001", "9" * 30])
def test_a_number_of_workers_that_nobody_has(workers, run, small):
    """A usage error, and nothing about resuming."""
    done = run("submit", "d.jsonl", "-r", "r.txt", "--workers", workers)
    assert done.returncode == 2
    assert "Invalid value for '--workers'" in done.stderr
    assert "resume" not in done.stderr


def test_more_workers_than_files_may_be_open(run, small, command_environment):
    """Too many for this machine: a usage error as well."""
    command = f"ulimit -n 600; exec {sys.executable} -m linkmatch_ray submit d.jsonl -r r.txt --workers 1000"
    done = subprocess.run(
        ["sh", "-c", command], cwd=small, env=command_environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "use fewer --workers" in done.stderr
    assert "resume" not in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["submit", "--help"], ["--version"], ["status", "out"]])
def test_a_full_disk_behind_standard_output(arguments, run, small, command_environment):
    """Whatever is printed: a line that says so, exit code 1, no traceback."""
    if arguments[:1] == ["status"]:
        assert run("submit", "d.jsonl", "-r", "r.txt", "-o", "out").returncode == 4
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "linkmatch_ray", *arguments],
            cwd=small, env=command_environment | {"PYTHONUNBUFFERED": ""},
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        1,
        "linkmatch-ray: standard output: No space left on device. Correct that, and run the same command again.\n",
    )


CLOSED_PIPE = {
    "help": (["submit", "--help"], 0),
    "topic": (["help", "inputs"], 0),
    "plan": (["submit", "d.jsonl", "-r", "r.txt", "--dry-run"], 0),
    "complete": (["submit", "d.jsonl", "-r", "r.txt", "-o", "out"], 4),
    "verified": (["verify", "out"], 1),
    "refused": (["submit", "nothing", "-r", "r.txt"], 3),
}


@pytest.mark.parametrize("case", CLOSED_PIPE)
def test_nobody_reads_what_is_printed(case, run, small, command_environment):
    """The command ends quietly, and its exit code says what it found: no failure of a job that is complete."""
    arguments, code = CLOSED_PIPE[case]
    if "out" in arguments:
        assert run("submit", "d.jsonl", "-r", "r.txt", "-o", "out").returncode == 4
    if case == "verified":
        (small / "out/matched.jsonl").write_text("changed")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "linkmatch_ray", *arguments],
        cwd=small, env=command_environment, check=False, text=True,
        stdout=writing, stderr=writing if case == "refused" else subprocess.PIPE,
    )  # fmt: skip
    os.close(writing)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in (done.stderr or "")


def test_cancel_where_nothing_runs(run, small):
    """It says so: exit code 3."""
    run("submit", "d.jsonl", "-r", "r.txt", "-o", "out")
    done = run("cancel", "out")
    assert (done.returncode, done.stderr) == (
        3,
        f"linkmatch-ray: {small}/out: no job runs here. See `status` for one that ran.\n",
    )
    done = run("cancel", "nowhere")
    assert done.returncode == 3
    assert "nowhere: no such directory" in done.stderr


def test_dry_run_prints_the_plan(run, small):
    """Nothing is made, and Ray is not started."""
    done = run("submit", "d.jsonl", "-r", "r.txt", "-o", "out", "--dry-run", "--json")
    unit, look = map(json.loads, done.stdout.splitlines())
    assert unit == {"unit": 0, "bytes": 56, "files": 1, "first": "d.jsonl"}
    assert (look["preview"]["records"], look["preview"]["matched"]) == (2, 1)
    assert look["preview"]["reasons"] == {"truncated": 1}
    assert not (small / "out").exists()
    assert done.stderr == f"{len((small / 'r.txt').read_text().splitlines())} restrictions in r.txt\n"


@pytest.mark.parametrize(
    ("content", "named"),
    [(None, "No such file"), ("[1", "entry 0"), ('[{"other": 1}]', 'entry 0 has no key "data"')],
    ids=["missing", "damaged", "without a key"],
)
def test_dry_run_looks_at_the_list(run, small, content, named):
    """What is wrong with it is said before there is a job."""
    if content is not None:
        (small / "l.json").write_text(content)
    done = run("submit", "d.jsonl", "-r", "l.json", "-o", "out", "--dry-run")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("linkmatch-ray: l.json: ")
    assert named in done.stderr


def test_dry_run_of_an_update(run, tmp_path):
    """What would be matched, what is taken over, and that nothing would be; nothing is done."""
    (tmp_path / "in").mkdir()
    for name in "abc":
        (tmp_path / "in" / f"{name}.json").write_text('{"data":"x"}')
    (tmp_path / "list.json").write_text('["x"]')
    command = ("submit", "in", "-r", "list.json", "-o", "out")
    assert run(*command).returncode == 0
    done = run(*command, "--incremental", "--dry-run")
    assert done.stdout == "nothing to do: the results are up to date\n", done.stderr
    (tmp_path / "in" / "d.json").write_text('{"data":2}')
    (tmp_path / "in" / "a.json").unlink()
    done = run(*command, "--incremental", "--dry-run")
    assert done.returncode == 3
    assert "--drop-missing" in done.stderr
    done = run(*command, "--incremental", "--drop-missing", "--dry-run")
    said = done.stdout.splitlines()
    assert said[:3] == [
        "unit 0: 1 file, 10 B: in/d.json",
        "1 file, 10 B, in 1 task",
        "2 files unchanged, with the earlier results; 1 missing file, whose results are removed",
    ], done.stderr
    assert said[3].startswith("Looked at 1 of 1 file, 10 B of 10 B, for ")
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.name == "next") == []


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), ("cancel", 130)])
def test_stops_within_seconds_and_resumes(sent, code, run, last, command_environment, tmp_path):
    """Interrupted or cancelled while it runs: no process is left, and the same command completes with all records."""
    data = b"".join(b'{"data":%d,"text":"%s"}\n' % (n % 100, b"x" * 200) for n in range(80_000))
    for number in range(2):
        (tmp_path / f"{number}.jsonl").write_bytes(data)
    (tmp_path / "r.json").write_text('[{"data":5}]')
    arguments = ["submit", "0.jsonl", "1.jsonl", last.url, "-r", "r.json", "-o", "out", "--one-file-per-task"]
    arguments += ["--emit", "both"]
    command = [sys.executable, "-m", "linkmatch_ray", *arguments]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=command_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    started = tmp_path / "out/unmatched.jsonl"
    assert comes(lambda: started.exists() and started.stat().st_size, START_SECONDS_MAX)
    children = descendants(process.pid)
    began = time.monotonic()
    if sent == "cancel":
        assert run("cancel", "out").stdout.startswith("out: stopped")
    else:
        insist(process, sent)
    _, stderr = process.communicate(timeout=30)
    took = time.monotonic() - began
    assert process.returncode == code, stderr
    assert stderr.startswith(b"linkmatch-ray: "), stderr
    assert b"To resume" in stderr
    assert took < STOP_SECONDS_MAX
    assert comes(lambda: not alive(children), 2), [children[process] for process in alive(children)]
    last.release()
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    totals = json.loads(done.stdout)["totals"]
    assert totals["records"] == 2 * 80_000
    assert totals["matched"] == 2 * 800
    assert (tmp_path / "out/unmatched.jsonl").stat().st_size == 2 * (
        len(data) - sum(len(line) + 1 for line in data.split(b"\n") if line.startswith(b'{"data":5,'))
    )
