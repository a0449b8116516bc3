"""What travels to a cluster is part of a command line, which the dashboard shows to whoever looks."""

import pytest

from linkmatch_ray.errors import LinkmatchError
from linkmatch_ray.runtime.cluster.upload import on_cluster

REFUSED = [
    "s3://AKIA:PASSWORD@bucket/x",
    "S3://AKIA:ab/PASSWORD@bucket/x",
    "s3://bucket/x?X-Amz-Signature=PASSWORD",
    "az://account/container/x?sig=PASSWORD",
    "https://PASSWORD@host/x",
    "https://host/x?access=PASSWORD",
    "ftp://user:PASSWORD@host/x",
    "file://user:PASSWORD@host/x",
    "http://[::1/x",
    "file://[::1/x",
    "relative/x",
]


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_travel(name):
    """Secrets wherever they stand, and what is no URL or path there; nothing of a secret is said."""
    with pytest.raises(LinkmatchError) as refused:
        on_cluster(name, "input")
    assert "PASSWORD" not in str(refused.value)


@pytest.mark.parametrize("name", ["/data/x", "s3://bucket/a?b*/x", "http://host:80/a@b/x", "file:///data/x"])
def test_what_travels(name):
    """Is as it was given."""
    assert on_cluster(name, "input") == name
