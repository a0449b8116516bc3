"""Where results at a URL may be: a store must make an object only where none is, or two jobs overwrite one another."""

import pytest

from linkmatch_ray.errors import JobError, UsageError
from linkmatch_ray.io.object_names import LOCK
from linkmatch_ray.io.results import results_at
from linkmatch_ray.io.store import store_of
from linkmatch_ray.io.stores import store_at
from linkmatch_ray.io.trouble import told
from tests.io.objects import CREDENTIALS, altering_creates, s3


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
    with told(results):
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
