"""The output of a Ray job is followed to its end, however its stream behaves."""

import asyncio
from types import SimpleNamespace

from linkmatch_ray.runtime.cluster import jobs_api

TEXT = "one\ntwo\nthree\n"


class Streams:
    """Ray's client: the first stream gives nothing more after a while, the second ends, the third is whole."""

    def __init__(self):
        self.opened = 0

    async def tail_job_logs(self, submission_id):
        self.opened += 1
        for character in TEXT[: (5, 9, len(TEXT))[self.opened - 1]]:
            yield character
        if self.opened == 1:
            await asyncio.Event().wait()


def test_a_stream_that_gives_nothing_more_is_opened_again(monkeypatch):
    """And one that ends while the job runs; each character is given once."""
    monkeypatch.setattr(jobs_api, "SILENT_SECONDS", 0.05)
    monkeypatch.setattr(jobs_api, "RECONNECT_SECONDS", 0.0)
    cluster = jobs_api.Cluster.__new__(jobs_api.Cluster)
    cluster._client = streams = Streams()
    cluster.look = lambda _: SimpleNamespace(is_over=streams.opened == 3)
    cluster.logs = lambda _: TEXT
    assert "".join(cluster.follow("job-1")) == TEXT
    assert streams.opened == 3
