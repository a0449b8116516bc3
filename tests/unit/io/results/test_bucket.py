"""Where results at a URL may be: a store must make an object only where none is, or two jobs overwrite one another.
And how often the ledger there is read."""

import logging
import re
from collections import Counter
from dataclasses import asdict

import pytest

from linkmatch_ray import JobOptions, MatchOptions
from linkmatch_ray.errors import JobError, UsageError
from linkmatch_ray.io.inputs.file import pack_files
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.sniff import cuttable
from linkmatch_ray.io.object_names import LOCK, record_name
from linkmatch_ray.io.results import bucket
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.storage.store import store_of
from linkmatch_ray.io.storage.stores import store_at
from linkmatch_ray.io.storage.system_errors import reported_as_job_errors
from linkmatch_ray.runtime.jobs.collector import Collector
from linkmatch_ray.runtime.jobs.plan import make_plan
from linkmatch_ray.runtime.jobs.request import Request
from tests.support.jobs import LIST, NAMES, PLAN, write
from tests.support.objects import CREDENTIALS, altering_creates, s3
from tests.support.whole import submit


def ignoring(headers, _):
    """As a store that does not know the header."""
    for name in [name for name in headers if name.lower() == "if-none-match"]:
        del headers[name]


def refusing(_, before):
    """As a store that knows that it cannot, but only looks if the object is there."""
    return 501 if before else None


@pytest.fixture
def url(tmp_path):
    """A place for this test alone: endpoints of one process have the same objects."""
    return f"s3://lake/{tmp_path.name}"


@pytest.fixture
def line(monkeypatch):
    """A real S3 endpoint behind a proxy; gives what makes the store speak to a port, and the endpoint's."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)

    def use(port):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        store_at.cache_clear()

    with s3("lake") as port:
        use(port)
        yield use, port
    store_at.cache_clear()


def prepare(url):
    results = results_at(url)
    with reported_as_job_errors(results):
        results.prepare()


def test_a_store_that_knows_conditions(line, url):
    """A place is begun, and found again."""
    for _ in range(2):
        prepare(url)
    assert store_of(url).list("") == {LOCK: len(store_of(url).get(LOCK))}


def test_a_store_that_ignores_them(line, url):
    """Refused, and nothing is left there."""
    use, port = line
    with altering_creates(port, ignoring) as proxy:
        use(proxy)
        with pytest.raises(UsageError, match=rf"{url}: this store makes an object though one is there \(it ig"):
            prepare(url)
        assert store_of(url).is_empty()


def test_a_place_that_moved_to_such_a_store(line, url):
    """Refused as well, though the place was begun where conditions were kept; the lock says what it said."""
    use, port = line
    prepare(url)
    held = store_of(url).get(LOCK)
    with altering_creates(port, ignoring) as proxy:
        use(proxy)
        with pytest.raises(UsageError, match="ignores If-None-Match"):
            prepare(url)
    assert store_of(url).get(LOCK) == held


def test_a_store_that_answers_otherwise(line, url):
    """Neither made nor there: the job does not begin, and what the store says is said, at once."""
    use, port = line
    with altering_creates(port, refusing) as proxy:
        use(proxy)
        with pytest.raises(JobError, match=rf"{url}: .*501.*\. "):
            prepare(url)


def test_a_folder_that_several_share(tmp_path):
    """The same at `file://`."""
    for _ in range(2):
        results_at(f"file://{tmp_path}/hits").prepare()
    assert list(store_of(f"file://{tmp_path}/hits").list("")) == [LOCK]


@pytest.mark.usefixtures("line")
def test_a_start_reads_the_journal_once(url, tmp_path, caplog, monkeypatch):
    """The collector reads each record; whoever asks for the settings before, two of them, however many there are."""
    monkeypatch.setattr(bucket.Bucket, "commit_seconds", 0.0)
    monkeypatch.setattr(bucket, "SILENCE_SECONDS", 0.0)
    options = MatchOptions(emit="both")
    write(tmp_path / "in", dict.fromkeys(NAMES, 1))
    assert submit(tmp_path / "in", url, options, PLAN, stop_after=6) is None
    records = store_of(url).list("ledger")
    assert len(records) > 6
    caplog.set_level(logging.INFO, logger="werkzeug")  # the endpoint notes each request
    caplog.clear()
    how = JobOptions.of(options, **asdict(PLAN))
    request = Request(list_inputs([tmp_path / "in"]), LIST, results_at(url), how)
    assert request.resumes
    asked_first = reads(caplog)
    assert asked_first == Counter([record_name(1), max(records)])
    plan = make_plan(request.files, cuttable(request.files, options, request.plan.whole_bytes), request.plan)
    collector = Collector(url, pack_files(request.files), plan.ranges, request.settings)
    collector.open()
    collector._held.close()
    assert reads(caplog) - asked_first == Counter(records.keys())


def reads(caplog):
    """How often which record was read."""
    return Counter(re.findall(r"GET /lake/[^/ ]+/(ledger/[0-9]{10}) ", caplog.text))
