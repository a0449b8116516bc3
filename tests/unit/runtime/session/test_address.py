"""Which Ray an address stands for, before there is one."""

import os
import sys
from types import SimpleNamespace

import pytest

from linkmatch_ray.runtime.session.address import embedded_cpus


@pytest.mark.parametrize("address", [None, "", "local"])
def test_the_cpus_of_an_embedded_ray(address, monkeypatch):
    """Are those of this process, unless it uses another Ray already."""
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    assert embedded_cpus(address) == len(os.sched_getaffinity(0))
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())  # it is being imported
    assert embedded_cpus(address) == len(os.sched_getaffinity(0))
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: True))
    assert embedded_cpus(address) is None


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:6379"])
def test_the_cpus_of_a_cluster(address):
    """Are not known."""
    assert embedded_cpus(address) is None
