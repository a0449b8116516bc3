"""Archives as inputs: their members are files of the job, and give what they give in a directory."""

import bz2
import gzip
import lzma
import os
import random
import tarfile
import zipfile
from functools import partial

import pytest

from linkmatch_ray import MatchOptions
from linkmatch_ray.errors import InputError, UsageError
from linkmatch_ray.io.diagnosis.explanation import record_at
from linkmatch_ray.io.inputs.file import pack_files, unpack_files
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.opening import Opener
from linkmatch_ray.io.inputs.sniff import cuttable
from linkmatch_ray.io.names import MATCHED, QUARANTINE, UNMATCHED
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.verification import Checked, verify
from linkmatch_ray.runtime.jobs.plan import PlanOptions, make_plan
from linkmatch_ray.runtime.jobs.worker import TaskSettings, match_unit
from tests.support.archives import streamed_zip, tar_of, zip_of, zstd_data
from tests.support.jobs import LIST, content
from tests.support.whole import submit

BOTH = MatchOptions(emit="both")
OUTPUTS = (MATCHED, UNMATCHED, QUARANTINE)

NAMES = [f"{n // 5}/{n:02}.{kind}" for n, kind in enumerate(["json", "JSONL", "ndjson", "json.gz", "json.zst"] * 5)]


def one(name):
    """The content of a member: some are compressed by themselves, some damaged."""
    plain = content(name.removesuffix(".gz"), 7)
    return zstd_data(plain) if name.endswith(".zst") else gzip.compress(plain) if name.endswith(".gz") else plain


MEMBERS = [(name, one(name)) for name in NAMES]
LARGE = ("z/large.jsonl", b"".join(b'{"data":"%s","n":%d}\n' % (b"abcd"[n % 4 :][:1], n) for n in range(60_000)))
METHODS = {"stored": zipfile.ZIP_STORED, "bz2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}

ARCHIVES = {
    "deflate.zip": zip_of,
    **{f"{name}.zip": partial(zip_of, method=method) for name, method in METHODS.items()},
    "streamed.zip": streamed_zip,
    "prefixed.zip": partial(zip_of, prefix=b"MZ\x90 a program that extracts itself", comment=b"a comment " * 99),
    "pax.tar": tar_of,
    "gnu.tar": partial(tar_of, format=tarfile.GNU_FORMAT),
    "ustar.tar": partial(tar_of, format=tarfile.USTAR_FORMAT),
    "gz.TGZ": lambda members: gzip.compress(tar_of(members)),
    "bz2.tar.bz2": lambda members: bz2.compress(tar_of(members)),
    "xz.tar.xz": lambda members: lzma.compress(tar_of(members)),
    "zst.tar.zst": lambda members: zstd_data(tar_of(members)),
}


def job(top, output, options=BOTH, plan=None, **how):
    """The outputs and totals of a job without Ray."""
    summary = submit(top, output, options, plan or PlanOptions(), **how)
    if summary is None:
        return None
    assert list(verify(results_at(output), Checked())) == []
    return {name: (output / name).read_bytes() for name in OUTPUTS}, summary["totals"]


def write(folder, members):
    for name, data in members:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The same members in a directory: what each archive of them must give, and the totals."""
    top = tmp_path_factory.mktemp("folder")
    write(top / "in", [*MEMBERS, LARGE])
    return top / "in", job(top / "in", top / "out")


def same_as(folder, outputs, archive):
    """The outputs of a directory, if its files were the members of an archive."""
    top, (expected, totals) = folder
    renamed = {
        name: data.replace(b"%s/" % os.fsencode(top), b"%s!" % os.fsencode(archive)) for name, data in expected.items()
    }
    return (renamed, totals) == outputs


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.parametrize("plan", [PlanOptions(), PlanOptions(unit_bytes=3000, part_bytes=500)], ids=["one", "many"])
def test_members_are_files(name, plan, folder, tmp_path):
    """The same records, entries and totals, in the archive's order, however they are packed into units."""
    archive = tmp_path / name
    archive.write_bytes(ARCHIVES[name]([*MEMBERS, LARGE]))
    assert same_as(folder, job(archive, tmp_path / "out", plan=plan), archive)


@pytest.mark.parametrize("name", ["deflate.zip", "pax.tar", "gz.TGZ"])
def test_any_name_and_any_place_in_the_job(name, folder, tmp_path):
    """An archive is found from its content; in a directory it has to be called one."""
    archive = tmp_path / "in" / "all.json"
    archive.parent.mkdir()
    archive.write_bytes(ARCHIVES[name]([*MEMBERS, LARGE]))
    assert same_as(folder, job(archive, tmp_path / "out"), archive)
    renamed = archive.rename(archive.with_name(f"b{name[name.index('.') :]}"))
    write(renamed.parent, [("a.json", b'{"data":"b"}'), ("c.json", b'{"data":"a"}')])
    inside = [file.name for file in list_inputs([renamed]).files]
    assert [file.name for file in list_inputs([renamed.parent]).files] == [
        os.fsencode(renamed.with_name("a.json")),
        *inside,
        os.fsencode(renamed.with_name("c.json")),
    ]
    assert [file.name for file in list_inputs([renamed.parent / "b*"]).files] == inside


@pytest.mark.parametrize("name", ["deflate.zip", "pax.tar", "gz.TGZ"])
def test_a_resumed_job_gives_the_same(name, folder, tmp_path):
    """Wherever it was left."""
    archive, plan = tmp_path / name, PlanOptions(unit_bytes=3000, part_bytes=500)
    archive.write_bytes(ARCHIVES[name](MEMBERS))
    whole = job(archive, tmp_path / "whole", plan=plan)
    for parts in (1, 2, 3):
        assert job(archive, tmp_path / f"{parts}", plan=plan, stop_after=parts) is None
        assert job(archive, tmp_path / f"{parts}", plan=plan) == whole


def test_incremental_reads_an_archive_again_only_if_it_changed(tmp_path):
    """All its members then, since they share its fingerprint; those of one name are kept apart."""
    archive = tmp_path / "in" / "a.zip"
    archive.parent.mkdir()
    link = ("link.json", b"")
    archive.write_bytes(zip_of([("a.json", b'{"data":"a"}'), ("a.json", b'{"data":"b"}'), ("b.json", b'{"data":1}')]))
    write(archive.parent, [("b.json", b'{"data":"a"}')])
    submit(archive.parent, tmp_path / "out", BOTH, PlanOptions())
    write(archive.parent, [("b.json", b'{"data":"b"}')])
    summary = submit(archive.parent, tmp_path / "out", BOTH, PlanOptions(), incremental=True)
    assert (summary["files_taken_over"], summary["totals"]["matched"]) == (3, 4)
    archive.write_bytes(zip_of([("a.json", b'{"data":"a"}'), link, ("a.json", b'{"data":"a"}')]))
    summary = submit(archive.parent, tmp_path / "out", BOTH, PlanOptions(), incremental=True)
    assert (summary["files_taken_over"], summary["totals"]["matched"]) == (1, 3)
    assert list(verify(results_at(tmp_path / "out"), Checked())) == []


@pytest.mark.parametrize("name", ["deflate.zip", "pax.tar", "gz.TGZ"])
def test_a_changed_archive(name, tmp_path):
    """Each member is an entry `changed`, like a file."""
    archive = tmp_path / name
    archive.write_bytes(ARCHIVES[name](MEMBERS[:3]))
    files = list_inputs([archive]).files
    os.utime(archive, ns=(1, 1))
    (unit,) = make_plan(files, set(), PlanOptions()).units()
    bodies = list(match_unit(unit, pack_files(files), LIST.index, TaskSettings(LIST.paths, BOTH, PlanOptions())))[::2]
    found = [piece.fault.reason for body in bodies if body is not None for piece in body.pieces]
    assert found == ["changed"] * 3


def test_what_is_left_out_by_name(tmp_path):
    """As in a directory: hidden members, other names, archives; folders are not counted."""
    kept = ["a.json", "./b.jsonl", "../c.ndjson", "/etc/d.JSON", "x/../e.json"]
    left = [".h.json", ".h/a.json", "x/.y/a.json", "__MACOSX/._a.json", "__MACOSX/a.json", "README", "in.zip", "b.tgz"]
    members = [(name, b"1") for name in kept + left]
    folder = tarfile.TarInfo("folder.json")
    folder.type = tarfile.DIRTYPE
    for name, made in {
        "a.zip": zip_of([*members, ("folder.json/", b"")]),
        "a.tar": tar_of([*members, folder]),
    }.items():
        (tmp_path / name).write_bytes(made)
        listing = list_inputs([tmp_path / name])
        top = os.fsencode(tmp_path / name)
        assert [file.name for file in listing.files] == [b"%s!%s" % (top, each.encode()) for each in kept]
        assert listing.left_out == len(left)
    assert sorted(os.listdir(tmp_path)) == ["a.tar", "a.zip"]


def test_an_archive_without_inputs(tmp_path):
    """Is no input, and says how many members were left out."""
    (tmp_path / "a.zip").write_bytes(zip_of([("README.md", b"x"), ("b.txt", b"y")]))
    with pytest.raises(InputError, match=r"a\.zip: no input file \(2 files left out by name\)"):
        list_inputs([tmp_path / "a.zip"])


@pytest.mark.parametrize("made", [zip_of([]), tar_of([]), gzip.compress(tar_of([]))], ids=["zip", "tar", "tgz"])
def test_an_empty_archive(made, tmp_path):
    """Has no files, and is no file."""
    (tmp_path / "a.tar").write_bytes(made)
    with pytest.raises(InputError, match="no input file"):
        list_inputs([tmp_path / "a.tar"])


def test_large_members_of_a_plain_tar_are_cut(tmp_path):
    """Only those: what is compressed has to be read from its beginning, and a checksum is of the whole."""
    lines = ("a.jsonl", b'{"data":"a"}\n' * 1000)
    for name, cut in {"pax.tar": {0}, "stored.zip": set(), "deflate.zip": set(), "gz.TGZ": set()}.items():
        (tmp_path / name).write_bytes(ARCHIVES[name]([lines]))
        assert cuttable(list_inputs([tmp_path / name]).files, MatchOptions(), 1000) == cut


def test_units_of_members(tmp_path):
    """Members are packed like small files; those of a compressed tar stay together, whatever their number."""
    members = [(f"{n}.json", b'{"data":"a"}') for n in range(100)]
    for name, counts in {"pax.tar": [50, 50], "deflate.zip": [50, 50], "gz.TGZ": [100]}.items():
        (tmp_path / name).write_bytes(ARCHIVES[name](members))
        files = list_inputs([tmp_path / name]).files
        for how in (PlanOptions(unit_bytes=600), PlanOptions(unit_bytes=600, one_file_per_task=True)):
            units = list(make_plan(files, set(), how).units())
            found = [unit.stop - unit.first for unit in units]
            assert found == (counts if not how.one_file_per_task or len(counts) == 1 else [1] * 100)
        assert unpack_files(pack_files(files)) == files


def test_units_of_several_compressed_tars(tmp_path):
    """Each is whole in one unit, with others if they are small."""
    for n in range(4):
        (tmp_path / f"{n}.tgz").write_bytes(gzip.compress(tar_of([(f"{m}.json", b" " * 100) for m in range(4)])))
        (tmp_path / f"{n}.tgz.json").write_bytes(b" " * 150)
    files = list_inputs([tmp_path]).files
    units = list(make_plan(files, set(), PlanOptions(unit_bytes=700)).units())
    assert [(unit.first, unit.stop) for unit in units] == [(0, 5), (5, 10), (10, 15), (15, 20)]
    assert [unit.nbytes for unit in units] == [550] * 4


@pytest.mark.parametrize("name", ["deflate.zip", "gz.TGZ"])
def test_a_member_explained(name, tmp_path):
    """By its name, `ARCHIVE!MEMBER`; an archive is not one file."""
    archive = tmp_path / name
    archive.write_bytes(ARCHIVES[name]([("x!/a.json", b'[{"data":1},{"data":2}]'), ("b.json", b"[3]")]))
    assert record_at(f"{archive}!x!/a.json", 1, LIST, BOTH) == b'{"data":2}'
    assert record_at(f"file://{archive}!b.json", 0, LIST, BOTH) == b"3"
    with pytest.raises(UsageError, match=r"not one file. Name one of its members, such as .*!x!/a.json"):
        record_at(str(archive), 0, LIST, BOTH)
    with pytest.raises(UsageError, match="not one file"):
        record_at(f"{archive}!c.json", 0, LIST, BOTH)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstd_data])
def test_members_that_are_compressed_by_themselves(compress, tmp_path):
    """Are decompressed by content, whatever they are called."""
    (tmp_path / "a.zip").write_bytes(zip_of([("a.json", compress(b'{"data":"a"}'))], zipfile.ZIP_STORED))
    assert job(tmp_path / "a.zip", tmp_path / "out")[0][MATCHED] == b'{"data":"a"}\n'


def test_reading_anywhere(tmp_path):
    """A stream over a member gives the same bytes from any place in any steps."""
    data, rng = random.Random(1).randbytes(300_000), random.Random(2)
    for name in ("deflate.zip", "stored.zip", "bz2.zip", "lzma.zip", "pax.tar", "gz.TGZ"):
        (tmp_path / name).write_bytes(ARCHIVES[name]([("a.json", b"1"), ("b.json", data), ("c.json", b"2")]))
        opener = Opener()
        for number in rng.choices(range(3), k=9):
            file = list_inputs([tmp_path / name]).files[number]
            expected = (b"1", data, b"2")[number]
            with opener.open(file) as stream:
                assert stream.head(5) == expected[:5]
                place = rng.randrange(len(expected) + 1)
                stream.seek(place)
                pieces = []
                while piece := stream.read(rng.choice([1, 100, 70_000])):
                    pieces.append(piece)
                assert b"".join(pieces) == expected[place:]
        opener.close()
