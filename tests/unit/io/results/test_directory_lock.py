"""The lock of a result directory, and requests to stop that come as it is taken."""

import fcntl
import os

import pytest

from linkmatch_ray.io.results import directory_lock
from linkmatch_ray.io.results.directory import Directory
from linkmatch_ray.io.results.directory_lock import CANCEL, Lock


@pytest.mark.parametrize("was_there", [False, True])
def test_a_request_as_the_lock_is_taken(was_there, tmp_path, monkeypatch):
    """It is for the job that takes it, also if there is one for an earlier job."""
    place, flock = Directory(tmp_path), fcntl.flock

    def take(fd, how):
        flock(fd, how)
        place.ask_to_stop()

    if was_there:
        (tmp_path / CANCEL).touch()
        os.utime(tmp_path / CANCEL, (1, 1))
    monkeypatch.setattr(directory_lock.fcntl, "flock", take)
    lock = Lock(tmp_path)
    assert place.is_asked_to_stop()
    lock.release()
    assert not place.is_asked_to_stop()


def test_a_request_for_an_earlier_job(tmp_path):
    """It is forgotten: that job was killed before it had seen it."""
    place = Directory(tmp_path)
    place.ask_to_stop()
    os.utime(tmp_path / CANCEL, (1, 1))
    lock = Lock(tmp_path)
    assert not place.is_asked_to_stop()
    lock.release()


@pytest.mark.parametrize(("is_asked", "left"), [(True, 0), (False, 2)])
def test_who_was_asked_to_stop(is_asked, left, tmp_path, monkeypatch):
    """Also one that had the place, but had not yet written who it is. Another that comes later is not waited for."""
    place, holders = Directory(tmp_path), iter(["holder unknown", "process 7", "process 7", None])
    monkeypatch.setattr(place, "holder", lambda: next(holders))
    monkeypatch.setattr(place, "is_asked_to_stop", lambda: is_asked)
    place.cancel()
    assert len(list(holders)) == left
