"""What a store gives of results."""

import pytest

from linkmatch_ray.io.store import store_of
from tests.io.hostile import serving
from tests.io.hostile_s3 import Bucket


class Whole(Bucket):
    """Gives objects only as a whole, as a server may."""

    def get(self, key, request):
        headers = {name: value for name, value in request.headers.items() if name != "range"}
        return super().get(key, request._replace(headers=headers))


@pytest.mark.parametrize("kind", [Bucket, Whole])
def test_parts(kind, s3_at):
    """Are the bytes that were asked for, also of a store that knows no ranges."""
    with serving(kind({b"r/x": b"0123456789"})) as server:
        s3_at(server)
        store = store_of("s3://lake/r")
        assert [store.get("x", *span) for span in ((0, 10), (2, 5), (3, 3), (0, None))] == [
            b"0123456789",
            b"234",
            b"",
            b"0123456789",
        ]


@pytest.mark.parametrize("span", [(0, 20), (10, 20), (20, 30)])
def test_parts_that_are_not_there(span, s3_at):
    """As another has put something shorter there."""
    with serving(Bucket({b"r/x": b"0123456789"})) as server:
        s3_at(server)
        with pytest.raises(OSError, match="r/x is shorter than was listed"):
            store_of("s3://lake/r").get("x", *span)
