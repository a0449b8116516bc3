"""Fixtures for tests of inputs."""

import pytest

from linkmatch_ray.io.storage.stores import store_at
from tests.support.hostile import SILENCE
from tests.support.objects import CREDENTIALS


@pytest.fixture
def impatient(monkeypatch):
    """Limits of time, and waits before another try, that a test can wait for."""
    monkeypatch.setattr("linkmatch_ray.io.storage.transport.SILENCE_SECONDS", SILENCE)
    monkeypatch.setattr("linkmatch_ray.io.storage.transport.CONNECT_SECONDS", 2.0)
    monkeypatch.setattr("linkmatch_ray.io.storage.object_store.WAIT_SECONDS", 0.001)


@pytest.fixture
def s3_at(monkeypatch):
    """Makes a server the endpoint of S3."""

    def use(server):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{server.host}")
        store_at.cache_clear()

    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    yield use
    store_at.cache_clear()
