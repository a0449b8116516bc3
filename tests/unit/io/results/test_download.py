"""What comes from a cluster is written into the new directory, and nowhere else."""

import shutil
from contextlib import contextmanager
from types import SimpleNamespace

from linkmatch_ray import MatchOptions
from linkmatch_ray.runtime.cluster.download import download_job
from tests.support.jobs import PLAN, write
from tests.support.whole import submit


class Elsewhere:
    """Stands for a cluster that offers more than there is in a result directory."""

    def __init__(self, results):
        self._results = results
        self._sizes = {path.name: path.stat().st_size for path in results.iterdir() if path.name != "linkmatch.lock"}

    @contextmanager
    def helper(self, *_, **__):
        """What the helper there prints, and where it is."""
        yield {"folder": "f", "sizes": self._sizes | {"../evil": 4, "more.json": 4}}, "node"

    def download(self, node, path, file, size):
        """Any file of that folder."""
        name = path.removeprefix("f/")
        if (self._results / name).exists():
            with open(self._results / name, "rb") as source:
                shutil.copyfileobj(source, file)
        else:
            file.write(b"evil")


def test_names_of_others_are_not_fetched(tmp_path):
    """A cluster may say what it likes."""
    write(tmp_path / "in", {"00.json": 1, "01.json": 1})
    submit(tmp_path / "in", tmp_path / "out", MatchOptions(), PLAN)
    before = {path.name for path in tmp_path.iterdir()}
    job = SimpleNamespace(id="job", directory="/there", node="node")
    assert download_job(Elsewhere(tmp_path / "out"), job, tmp_path / "copy").complete
    assert {path.name for path in tmp_path.iterdir()} == before | {"copy"}
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {path.name for path in (tmp_path / "out").iterdir()}
