"""A task that waits for a slow server gives signs, so that it is not given up; with a silent one it gives none."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest

from linkmatch_ray import MatchOptions, submit
from linkmatch_ray.io.inputs.file import pack_files
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.storage.traffic import traffic
from linkmatch_ray.runtime.jobs import worker
from linkmatch_ray.runtime.jobs.heartbeat import with_heartbeat
from linkmatch_ray.runtime.jobs.plan import PlanOptions, Unit
from linkmatch_ray.runtime.jobs.worker import TaskSettings, match_unit
from tests.support.jobs import LIST
from tests.support.objects import serving

TASK_SECONDS = 5.0  # a worker on a busy machine may stand still for a second or two
LINES = b'{"data":"a"}\n' * 40_000
STEP_BYTES, STEP_SECONDS = 16_384, 0.35
assert len(LINES) / STEP_BYTES * STEP_SECONDS > 2 * TASK_SECONDS


def test_a_sign_is_given_while_bytes_come():
    """And the pairs are what they are without."""
    go = threading.Event()

    def pairs():
        yield "body"
        yield "header"
        traffic.add(1)
        assert go.wait(10)
        yield "last body"
        yield "last header"

    given = with_heartbeat(pairs(), 0.01)
    assert [next(given) for _ in range(4)] == ["body", "header", None, None]
    go.set()
    assert list(given) == ["last body", "last header"]


def test_no_sign_is_given_while_none_come():
    """However long it takes."""

    def pairs():
        threading.Event().wait(0.1)
        yield "body"
        yield "header"

    assert list(with_heartbeat(pairs(), 0.001)) == ["body", "header"]


def test_what_goes_wrong_is_raised_in_its_place():
    """Once, and after it nothing comes."""

    def pairs():
        yield "body"
        yield "header"
        raise OSError("gone")

    given = with_heartbeat(pairs(), 1)
    assert [next(given), next(given)] == ["body", "header"]
    with pytest.raises(OSError, match="gone"):
        next(given)
    assert list(given) == []


def test_local_files_are_read_on_the_thread_that_asks(tmp_path, monkeypatch):
    """No other is started, which would cost time."""
    monkeypatch.setattr(worker, "with_heartbeat", None)
    (tmp_path / "a.json").write_bytes(b'"a"')
    files = list_inputs([tmp_path]).files
    settings = TaskSettings(LIST.paths, MatchOptions(), PlanOptions())
    given = match_unit(Unit(0, 1, 3), pack_files(files), LIST.index, settings)
    assert len(list(given)) == 2


class Slow(BaseHTTPRequestHandler):
    """Gives `LINES` at a steady rate, in steps; of `/silent.jsonl` only half."""

    protocol_version = "HTTP/1.1"
    ended = threading.Event()

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(LINES)))
        self.send_header("ETag", '"a"')
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        began = time.monotonic()
        given = LINES if "silent" not in self.path else LINES[: len(LINES) // 2]
        for step in range(0, len(given), STEP_BYTES):
            self.wfile.write(given[step : step + STEP_BYTES])
            self.ended.wait(max(0, began + step / STEP_BYTES * STEP_SECONDS - time.monotonic()))
        if given is not LINES:
            self.ended.wait()

    def log_message(self, *_):
        pass


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_limits_count_time_without_a_byte(tmp_path):
    """An object that takes more than twice the time of a task is read; one that falls silent is given up."""
    with serving(Slow) as port:
        urls = [f"http://127.0.0.1:{port}/{name}.jsonl" for name in ("slow", "silent")]
        job = submit(urls, LIST, output=tmp_path / "out", task_timeout=TASK_SECONDS, workers=2, one_file_per_task=True)
        try:
            summary = job.result(150)
        finally:
            Slow.ended.set()
    assert summary["faults"] == {"timed_out": 1}
    assert (tmp_path / "out/matched.jsonl").read_bytes() == LINES
    entry = json.loads((tmp_path / "out/quarantine.jsonl").read_bytes())
    assert (entry["reason"], entry["file"]) == ("timed_out", urls[1])
