"""SIGINT and SIGTERM end every command within two seconds, whatever it waits for, with a message and an exit code."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from linkmatch_ray.cli import signals
from tests.support.processes import insist
from tests.support.silent import LARGE, silent
from tests.support.waiting import START_SECONDS_MAX, comes

pytestmark = pytest.mark.slow

SECONDS_MAX = 2.0
"""Of a machine that has time for it. A busy one may take longer to start a thread, or to end a process of Ray."""

BUSY_SECONDS_MAX = 10.0
"""Without what ends it, none of these programs would ever end."""

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
BOTH = pytest.mark.parametrize("sent", list(CODES), ids=lambda number: number.name)


@pytest.fixture
def start(command_environment, tmp_path):
    """Starts a program in an empty directory; what still runs at the end is killed."""
    (tmp_path / "r.json").write_text('["a"]')
    (tmp_path / "a.jsonl").write_text('{"data":"a"}\n')
    started = []

    def start(*arguments, **options):
        environment = command_environment | options.pop("more", {})
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def assert_ends(process, sent, *, twice=False):
    """Within the time, with the code; returns what it printed as errors."""
    began = time.monotonic()
    process.send_signal(sent)
    if twice:
        process.send_signal(sent)
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - began < BUSY_SECONDS_MAX, said
    assert process.returncode == CODES[sent], said
    assert "Traceback" not in said
    return said


AT_A_STORE = {
    "the inputs are examined": ["submit", "{http}/a.jsonl", "-r", "r.json"],
    "the inputs are listed": ["submit", "s3://bucket/in/", "-r", "r.json"],
    "the plan is printed": ["submit", "s3://bucket/in/", "-r", "r.json", "--dry-run"],
    "the list is loaded": ["submit", "a.jsonl", "-r", "s3://bucket/r.json"],
    "the results are looked at": ["submit", "a.jsonl", "-r", "r.json", "-o", "s3://bucket/out"],
    "explain": ["explain", "a.jsonl", "-r", "s3://bucket/r.json"],
    "status": ["status", "s3://bucket/out"],
    "cancel": ["cancel", "s3://bucket/out"],
    "verify": ["verify", "s3://bucket/out"],
    "results": ["results", "s3://bucket/out", "-o", "here"],
    "jobs": ["jobs", "--address", "{http}"],
    "doctor": ["doctor", "--address", "{http}"],
}


@pytest.mark.parametrize("waiting", AT_A_STORE)
def test_while_a_server_does_not_answer(waiting, start):
    """The signal comes when a request was made, which a server took and never answers."""
    sent = list(CODES)[list(AT_A_STORE).index(waiting) % 2]
    with silent() as (port, asked):
        http = f"http://127.0.0.1:{port}"
        store = {"AWS_ENDPOINT_URL": http, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "c"}
        arguments = [argument.format(http=http) for argument in AT_A_STORE[waiting]]
        process = start("-m", "linkmatch_ray", *arguments, more=store)
        assert asked.wait(30), process.communicate(timeout=30)
        said = assert_ends(process, sent)
    assert said.startswith("linkmatch-ray: interrupted")
    does_something = arguments[0] == "submit" and "--dry-run" not in arguments
    assert ("To resume:\n  linkmatch-ray submit" in said) == does_something


def test_while_large_objects_are_looked_at(start):
    """As the plan is made, in a job that has begun: the thread of the job waits, and so do those that ask."""
    with silent(LARGE) as (port, asked):
        process = start("-m", "linkmatch_ray", "submit", f"http://127.0.0.1:{port}/a.jsonl", "-r", "r.json")
        assert asked.wait(60), process.communicate(timeout=30)
        assert "To resume:" in assert_ends(process, signal.SIGTERM)


BLOCKED = {
    "in a call that does not come back": """
        try:
            lock(mutex)
            print("ready", flush=True)
        finally:
            lock(mutex)""",
    "in what is done at the end of a call": """
        try:
            print("ready", flush=True)
            threading.Event().wait()
        finally:
            threading.Event().wait()""",
    "in an import that another thread holds": """
        lock(mutex)
        threading.Thread(target=__import__, args=("held",), daemon=True).start()
        holding.wait()
        try:
            print("ready", flush=True)
            threading.Event().wait()
        finally:
            import held""",
}

PROGRAM = """
    import ctypes, sys, threading
    from linkmatch_ray.cli import signals
    signals.install()
    sys.path.insert(0, ".")
    mutex, holding = ctypes.create_string_buffer(256), threading.Event()
    lock = ctypes.CDLL(None).pthread_mutex_lock  # which no signal interrupts
    sys.modules["main"] = sys.modules["__main__"]
    with signals.in_order("interrupted"):
        {}
"""


def test_it_takes_no_longer_than_is_promised():
    """What a program is given for an end in order, and for what is done last."""
    assert signals.STOP_SECONDS + signals.LAST_SECONDS < SECONDS_MAX


@BOTH
@pytest.mark.parametrize("blocked", BLOCKED)
def test_while_the_main_thread_hears_nothing(blocked, sent, start, tmp_path):
    """It does not come back to Python, or waits again once it has; a second signal changes nothing."""
    (tmp_path / "held.py").write_text("import main; main.holding.set(); main.lock(main.mutex)")
    program = textwrap.dedent(PROGRAM).format(BLOCKED[blocked].replace("\n    ", "\n").strip())
    process = start("-c", program)
    assert process.stdout.readline() == "ready\n"
    assert assert_ends(process, sent, twice=True).strip() == "interrupted"


@BOTH
def test_at_the_exit_of_the_interpreter(sent, start):
    """Which waits for threads of others; nothing is left to be ended in order."""
    program = """
        import threading
        from linkmatch_ray.cli import signals
        signals.install()
        def wait():
            threading.main_thread().join()
            print("ready", flush=True)
            threading.Event().wait()
        with signals.in_order("not this"):
            threading.Thread(target=wait).start()
    """
    process = start("-c", textwrap.dedent(program))
    assert process.stdout.readline() == "ready\n"
    assert assert_ends(process, sent) == "linkmatch-ray: interrupted.\n"


@BOTH
def test_a_thread_that_was_there_before(sent, start):
    """As of a debugger or a profiler: it does not block the signals, and gets them."""
    program = """
        import threading, time
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        from linkmatch_ray.cli import signals
        signals.install()
        with signals.in_order("interrupted"):
            print("ready", flush=True)
            try:
                while True: time.sleep(0.01)
            except KeyboardInterrupt:
                signals.say("in order")
        signals.end_if_signalled()
    """
    process = start("-c", textwrap.dedent(program))
    assert process.stdout.readline() == "ready\n"
    assert assert_ends(process, sent) == "in order\n"


def test_where_python_drops_an_exception(start):
    """In a finalizer, as one of the import system's: without a traceback, and without waiting for anything."""
    program = """
        import threading
        from linkmatch_ray.cli import signals
        signals.install()
        class Held:
            def __del__(self):
                print("ready", flush=True)
                threading.Event().wait()
        with signals.in_order("interrupted"):
            held = Held()
            del held
            threading.Event().wait()
    """
    process = start("-c", textwrap.dedent(program))
    assert process.stdout.readline() == "ready\n"
    assert assert_ends(process, signal.SIGINT) == "interrupted\n"


def test_what_is_last_is_done(start, tmp_path):
    """Also if the end is not in order; but it is not waited for."""
    program = """
        import os, threading
        from linkmatch_ray.cli import signals
        signals.install()
        signals.at_the_last(threading.Event().wait)
        signals.at_the_last(lambda: os.rmdir("here"))
        os.mkdir("here")
        with signals.in_order("interrupted"):
            try:
                print("ready", flush=True)
                threading.Event().wait()
            finally:
                threading.Event().wait()
    """
    process = start("-c", textwrap.dedent(program))
    assert process.stdout.readline() == "ready\n"
    assert_ends(process, signal.SIGINT)
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda number: number.name)
def test_no_results_stay_that_were_for_standard_output(sent, start, last, tmp_path):
    """However the program ends. They lie in a temporary directory, and may be somebody's data."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    more = {"TMPDIR": str(folder), "RAY_TMPDIR": "/tmp"}
    submit = ["submit", "a.jsonl", last.url, "-r", "r.json", "-o", "-", "--one-file-per-task"]
    process = start("-m", "linkmatch_ray", *submit, more=more)
    assert comes(lambda: any(path.stat().st_size for path in folder.glob("*/matched.jsonl")), START_SECONDS_MAX)
    process.send_signal(sent)
    process.wait()
    assert comes(lambda: not list(folder.iterdir()))


def test_what_is_ignored_stays_so(start):
    """A shell starts a program in the background with SIGINT ignored."""
    process = start(
        "-m", "linkmatch_ray", "explain", "-r", "r.json",
        stdin=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate('{"data":"a"}', timeout=30)
    assert process.returncode == 0
    assert "verdict  matched" in said


@pytest.mark.parametrize("moment", [0.7, 1.0, 1.3, 1.6])
def test_again_and_again_while_a_ray_starts(moment, start, last):
    """Ray puts its own action in the place of SIGTERM's: it would end the program at once, without a word."""
    process = start("-m", "linkmatch_ray", "submit", "a.jsonl", last.url, "-r", "r.json")
    time.sleep(moment)
    insist(process, signal.SIGTERM)
    said = assert_ends(process, signal.SIGTERM)
    assert said.startswith("linkmatch-ray: interrupted")


def test_a_ray_that_comes_and_goes(start):
    """In a program with a handler of its own: Ray's start and end do not change it."""
    program = """
        import os, signal
        from linkmatch_ray.runtime.session.session import Session
        signal.signal(signal.SIGTERM, lambda *_: print("told", flush=True))
        with Session(None) as session:
            session.ready()
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    """
    process = start("-c", textwrap.dedent(program))
    assert (process.wait(60), process.stdout.read()) == (0, "told\ntold\n")


RESOLVER = """
    import socket, subprocess, sys
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--bind", "resolv.conf", "/etc/resolv.conf"], check=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
        resolver.bind(("127.0.0.1", 53))
        print("ready", flush=True)
        process = subprocess.Popen([sys.executable, "-m", "linkmatch_ray", *sys.argv[1:]])
        resolver.settimeout(60)
        resolver.recv(512)
        print(process.pid, flush=True)
        sys.exit(process.wait())
"""


def test_while_a_resolver_does_not_answer(start, tmp_path):
    """In a namespace with one that takes questions. The C library waits for it, and comes back for no signal."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    unshared = ["unshare", "--map-root-user", "--net", "--mount", sys.executable, "-c", textwrap.dedent(RESOLVER)]
    submit = ["submit", "http://example.invalid/a.jsonl", "-r", "r.json"]
    launch = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
    process = start("-c", launch, *unshared, *submit)
    if process.stdout.readline() != "ready\n":
        pytest.skip(f"no namespace can be made here: {process.communicate(timeout=10)[1].strip()}")
    pid = int(process.stdout.readline())
    began = time.monotonic()
    os.kill(pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - began < BUSY_SECONDS_MAX
    assert process.returncode == CODES[signal.SIGINT], said
    assert said.startswith("linkmatch-ray: interrupted")
