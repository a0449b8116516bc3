"""Tasks in one process, one after another and one within another."""

import random

import pytest
import zstandard

from linkmatch_ray import MatchOptions
from linkmatch_ray.core import inflating
from linkmatch_ray.core.damage import NeedsMemory
from linkmatch_ray.io.inputs.file import pack_files
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.runtime.jobs.plan import PlanOptions, Unit
from linkmatch_ray.runtime.jobs.worker import PartBody, TaskSettings, match_unit
from tests.support.jobs import LIST

SETTINGS = TaskSettings(LIST.paths, MatchOptions(), PlanOptions(part_bytes=1 << 16))


def matched(objects):
    """The bytes that match, of what a task gives."""
    return b"".join(bytes(chunk) for body in objects if isinstance(body, PartBody) for chunk in body.matched)


@pytest.mark.parametrize("files", [1, 3])
def test_a_task_that_was_left_keeps_its_buffers(tmp_path, files):
    """The next one has others: both give what they give alone."""
    contents = [b'{"data":"a","n":"%d %s"}\n' % (n, b"xy"[n % 2 : n % 2 + 1] * 900) for n in range(300)]
    for number in range(files):
        (tmp_path / f"{number}.jsonl").write_bytes(b"".join(contents[number:]))
    inputs = list_inputs([tmp_path]).files
    unit = Unit(0, files, sum(file.size for file in inputs))

    def task():
        return match_unit(unit, pack_files(inputs), LIST.index, SETTINGS)

    alone = matched(task())
    assert alone.count(b"\n") == sum(len(contents) - number for number in range(files))
    left = task()
    begun = [next(left), next(left)]
    assert matched(task()) == alone
    assert matched([*begun, *left]) == alone


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("nbytes", [4_000_000, 400_000])
def test_a_file_that_needs_memory_says_so(tmp_path, monkeypatch, alone, nbytes):
    """With its number, packed with others or not; with the memory it is read."""
    monkeypatch.setattr(inflating, "MEMORY_BYTES_FREE", 10_000)
    how = zstandard.ZstdCompressionParameters.from_level(1, window_log=30)
    compressor = zstandard.ZstdCompressor(compression_params=how).compressobj()
    rng = random.Random(1)
    text = b"".join(b'{"data":"a","n":"%s"}\n' % rng.randbytes(nbytes // 2000).hex().encode() for _ in range(1000))
    (tmp_path / "1.zst").write_bytes(compressor.compress(text) + compressor.flush())
    for name in ("0.json", "2.json"):
        (tmp_path / name).write_bytes(b'{"data":"a"}')
    files = list_inputs([tmp_path]).files
    unit = Unit(1, 2, files[1].size) if alone else Unit(0, 3, sum(file.size for file in files))
    packed = pack_files(files[unit.first : unit.stop])
    with pytest.raises(NeedsMemory) as caught:
        list(match_unit(unit, packed, LIST.index, SETTINGS))
    assert (caught.value.file, caught.value.nbytes) == (1, 1 << 30)
    given = match_unit(unit._replace(memory=1 << 30), packed, LIST.index, SETTINGS)
    assert matched(given).count(b"\n") == 1000 + 2 * (not alone)


def test_a_corrupt_file_is_one_entry_of_its_task(tmp_path):
    """Its neighbours come out; nothing of it does, though its beginning was given already."""
    data = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(b'{"data":"a"}\n' * 100_000))
    data[-1] ^= 1
    (tmp_path / "1.zst").write_bytes(data)
    for name in ("0.json", "2.json"):
        (tmp_path / name).write_bytes(b'{"data":"a"}')
    files = list_inputs([tmp_path]).files
    bodies = [
        each
        for each in match_unit(Unit(0, 3, 9), pack_files(files), LIST.index, SETTINGS)
        if isinstance(each, PartBody)
    ]
    faults = [piece for body in bodies for piece in body.pieces if piece.fault is not None]
    assert [(piece.file, piece.fault.reason, piece.fault.bytes) for piece in faults] == [(1, "corrupt_zstd", len(data))]
    assert {piece.file for body in bodies for piece in body.pieces} == {0, 1, 2}
