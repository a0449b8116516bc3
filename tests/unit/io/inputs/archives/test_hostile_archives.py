"""Archives that are damaged, cut short, or made to deceive: entries that say so, and the other members come out."""

import bz2
import gzip
import io
import json
import os
import random
import tarfile
import zipfile
import zlib
from struct import pack

import pytest

from linkmatch_ray import MatchOptions
from linkmatch_ray.core.codecs import decompressed
from linkmatch_ray.io.inputs.archives import content as archive_content
from linkmatch_ray.io.inputs.archives.expansion import expand
from linkmatch_ray.io.inputs.archives.methods import METHODS
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.names import MATCHED, QUARANTINE
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.results.verification import Checked, verify
from linkmatch_ray.runtime.jobs.plan import PlanOptions
from tests.support.archives import padded, raw_zip, tar_header, tar_of, zip_of, zstd_data
from tests.support.whole import submit

A, B, X = b'{"data":"a"}', b'{"data":"b"}', b'{"data":"x"}'
GIB = 1 << 30
HOW = MatchOptions()


def outcome(made, folder, *, name="t", **options):
    """The matched lines, and the entries as (member or None for the archive, reason, message)."""
    path = folder / name
    path.write_bytes(made)
    try:
        submit(path, folder / "out", MatchOptions(**options), PlanOptions(part_bytes=1000))
        assert list(verify(results_at(folder / "out"), Checked())) == []
        rows = [json.loads(line) for line in (folder / "out" / QUARANTINE).read_text().splitlines()]
        matched = (folder / "out" / MATCHED).read_bytes().split()
    finally:
        assert set(os.listdir(folder)) <= {name, "out"}  # nothing is unpacked
    names = [row["file"].removeprefix(str(path)).removeprefix("!") or None for row in rows]
    return matched, list(zip(names, [(row["reason"], row["message"]) for row in rows], strict=True))


def reasons(entries):
    return [(name, reason) for name, (reason, _) in entries]


# ---- zip


def test_members_of_a_zip_that_cannot_be_read(tmp_path):
    """Each is an entry that says why; folders and other names are passed over."""
    rows = [
        {"name": b"a.json", "content": A},
        {"name": b"link.json", "content": b"a.json", "mode": 0o120777},
        {"name": b"device.json", "mode": 0o20666},
        {"name": b"secret.json", "content": X, "flags": 1},
        {"name": b"secret.txt", "content": X, "flags": 1},
        {"name": b"aes.json", "content": X, "method": 99},
        {"name": b"deflate64.json", "content": X, "method": 9},
        {"name": b"new.json", "content": X, "method": 77},
        {"name": b"folder.json/"},
        {"name": b"b.json", "content": B},
    ]
    matched, entries = outcome(raw_zip(rows), tmp_path)
    assert matched == [A, B]
    assert reasons(entries) == [
        ("link.json", "not_a_file"),
        ("device.json", "not_a_file"),
        ("secret.json", "encrypted"),
        ("aes.json", "encrypted"),
        ("deflate64.json", "unsupported_member"),
        ("new.json", "unsupported_member"),
    ]
    assert [message for _, (_, message) in entries[-2:]] == [
        "compressed with method 9 (Deflate64)",
        "compressed with method 77",
    ]


LINES = b"".join(b'{"data":"a","n":%d}\n' % n for n in range(100_000))
"""More than one window, and more than one part."""


@pytest.mark.parametrize("content", [A, LINES], ids=["small", "large"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"crc": 1}, "its checksum is wrong"),
        ({"size": -1}, "it has more than the"),
        ({"size": +1}, "bytes; the archive says"),
        ({"data": b"no deflate"}, "its compressed data is damaged"),
        ({"cut": 1}, "bytes; the archive says"),
        ({"at": 7}, "no member begins where the archive says"),
    ],
    ids=["crc", "short", "long", "data", "cut", "place"],
)
def test_a_directory_that_lies(wrong, message, content, tmp_path):
    """Of a member that is not what the directory says no record comes out, however much of it was matched before."""
    deflated = zlib.compress(content, 9, -15)
    row = {"name": b"bad.json", "content": content, "method": 8, "data": deflated, **wrong}
    if "size" in wrong:
        row["size"] = len(content) + wrong["size"]
    if "cut" in wrong:
        row["data"] = deflated[: len(deflated) // 2]
    before = {"name": b"a.json", "content": A} if "at" not in wrong else {"name": b"a.txt", "content": b"x" * 100}
    rows = [before, row, {"name": b"b.json", "content": B}]
    matched, ((name, (reason, said)),) = outcome(raw_zip(rows), tmp_path)
    assert matched == ([A, B] if "at" not in wrong else [B])
    assert (name, reason) == ("bad.json", "overlapping" if "at" in wrong else "corrupt_zip")
    assert "at" in wrong or message in said


@pytest.mark.parametrize("method", sorted(set(METHODS) - {0}))
def test_any_byte_flipped(method, tmp_path):
    """A member whose data was changed gives its own records or none; no error escapes, and its neighbours come out."""
    content = b"".join(b'{"data":"a","n":%d}\n' % n for n in range(50))
    made = {
        8: lambda data: zlib.compress(data, 9, -15),
        12: bz2.compress,
        14: _zip_lzma,
        93: zstd_data,
        95: _xz,
    }[method](content)
    rng = random.Random(method)
    for n in range(12):
        damaged = bytearray(made)
        damaged[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
        folder = tmp_path / str(n)
        folder.mkdir()
        rows = [{"name": b"x.json", "content": content, "method": method, "data": bytes(damaged)}]
        matched, entries = outcome(raw_zip([*rows, {"name": b"b.json", "content": B}]), folder)
        assert (matched, reasons(entries)) in (
            ([B], [("x.json", "corrupt_zip")]),
            ([*content.replace(b"\n", b" ").split(), B], []),
        )


def _zip_lzma(content):
    archive = zipfile.ZipFile(io.BytesIO(zip_of([("a", content)], zipfile.ZIP_LZMA)))
    info = archive.infolist()[0]
    return archive.fp.getvalue()[31 : 31 + info.compress_size]


def _xz(content):
    import lzma

    return lzma.compress(content)


def test_a_zip_cut_anywhere(tmp_path):
    """Without its end there is no directory: one entry for the archive. No place of the cut gives a member."""
    made = zip_of([("a.json", A), ("inner.zip", zip_of([("x.json", X)])), ("b.json", B)], zipfile.ZIP_STORED)
    for size in range(40, len(made) - 1):
        (tmp_path / "a.zip").write_bytes(made[:size])
        (file,) = list_inputs([tmp_path / "a.zip"]).files
        assert (file.is_member, file.reason) == (False, "truncated_zip")
    message = "a zip without its end, where the directory is: it was cut short"
    assert outcome(made[:-10], tmp_path, name="a.zip") == ([], [(None, ("truncated_zip", message))])


def test_overlapping_members(tmp_path):
    """As in bombs that give the same bytes many times: all that overlap are entries, before anything is read."""
    kernel = zlib.compress(bytes(10_000), 9, -15)
    how = {"content": bytes(10_000), "data": kernel, "method": 8, "at": 0}
    shared = [{"name": b"%d.json" % n, **how} for n in range(9)]
    for row in shared[1:]:
        row["local"] = None
    sound = {"name": b"a.json", "content": A}
    matched, entries = outcome(raw_zip([*shared, sound]), tmp_path)
    assert (matched, reasons(entries)) == ([A], [(f"{n}.json", "overlapping") for n in range(9)])


def test_quoted_headers(tmp_path):
    """A member that reaches over the headers of those behind it, each of which does the same."""
    inner = pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, 9, 9, 6, 0) + b"1.json" + b"123456789"
    rows = [
        {"name": b"0.json", "content": inner},
        {"name": b"1.json", "content": b"123456789", "local": None, "at": 36},
        {"name": b"a.json", "content": A},
    ]
    matched, entries = outcome(raw_zip(rows), tmp_path)
    assert (matched, reasons(entries)) == ([A], [("0.json", "overlapping"), ("1.json", "overlapping")])


def test_a_local_header_that_reaches_too_far(tmp_path):
    """It overlaps, which is seen when it is read only."""
    made = bytearray(raw_zip([{"name": b"x.json", "content": X}, {"name": b"b.json", "content": B}]))
    made[28:30] = pack("<H", 1)  # an extra field, where there is none
    matched, entries = outcome(bytes(made), tmp_path)
    assert (matched, reasons(entries)) == ([B], [("x.json", "corrupt_zip")])


def test_a_bomb(tmp_path):
    """Sizes are known before anything is read: what is beyond the limit of a member, or of all, is an entry."""
    big = {"content": b"", "size": 5 << 30, "stored": 9, "data": bytes(9)}
    some = {"content": b"", "size": GIB // 2, "stored": 9, "data": bytes(9), "method": 8}
    rows = [
        {"name": b"a.json", "content": A},
        {"name": b"big.json", **big, "extra": pack("<HHQ", 1, 8, 5 << 30)},
        *({"name": b"%d.json" % n, **some} for n in range(3)),
        {"name": b"b.json", "content": B},
    ]
    matched, entries = outcome(raw_zip(rows), tmp_path)
    assert matched == [A, B]
    assert reasons(entries) == [
        ("big.json", "inflates_too_far"),
        ("0.json", "corrupt_zip"),
        ("1.json", "inflates_too_far"),
        ("2.json", "inflates_too_far"),
    ]
    path = tmp_path / "t"
    assert [file.reason for file in list_inputs([path], options=MatchOptions(max_inflation=1 << 40)).files] == [
        None
    ] * 6


@pytest.mark.parametrize("size", [1 << 51, (1 << 63) - 1, (1 << 64) - 1])
def test_sizes_that_no_file_has(size, tmp_path):
    """Entries, even if everything may inflate."""
    row = {"name": b"x.json", "size": size, "extra": pack("<HHQ", 1, 8, size)}
    matched, entries = outcome(raw_zip([row, {"name": b"a.json", "content": A}]), tmp_path, max_inflation=1 << 50)
    assert (matched, reasons(entries)) == ([A], [("x.json", "inflates_too_far")])


def test_a_directory_that_claims_more_than_there_is(tmp_path):
    """What there is comes out; the archive is an entry too."""
    made = raw_zip([{"name": b"a.json", "content": A}], end={"members": 65_000})
    assert outcome(made, tmp_path) == (
        [A],
        [(None, ("corrupt_zip", "its directory has 1 members, its end says 65000"))],
    )


@pytest.mark.parametrize("end", [{"size": 1 << 31}, {"size": 20}, {"offset": 1 << 31}])
def test_an_end_that_lies(end, tmp_path):
    """One entry for the archive."""
    matched, entries = outcome(raw_zip([{"name": b"a.json", "content": A}], end=end), tmp_path)
    assert (matched, reasons(entries)) == ([], [(None, "corrupt_zip")])


def test_a_damaged_directory(tmp_path):
    """The members before the damage come out."""
    made = bytearray(raw_zip([{"name": b"a.json", "content": A}, {"name": b"b.json", "content": B}]))
    made[made.rindex(b"PK\1\2")] = 0
    matched, entries = outcome(bytes(made), tmp_path)
    assert (matched, reasons(entries)) == ([A], [(None, "corrupt_zip")])


ENDED = b"PK\5\6" + bytes(18)
COMMENTS = [b"PK\5\6", ENDED + b"x", b"a comment PK\5\6" + b"x" * 40, ENDED, ENDED * 3, zip_of([("x.json", X)])]


@pytest.mark.parametrize("tail", COMMENTS)
def test_comments(tail, tmp_path):
    """May hold anything, also another zip."""
    assert outcome(raw_zip([{"name": b"a.json", "content": A}], tail=tail), tmp_path) == ([A], [])


def test_zip64(tmp_path):
    """Sizes and places of 64 bits, as zipfile writes them for members whose size is not known."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in (("a.json", A), ("b.json", B)):
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
    assert outcome(made.getvalue(), tmp_path) == ([A, B], [])


@pytest.mark.parametrize("prefix", [b"", b"MZ program"])
def test_a_zip64_end(prefix, tmp_path):
    """With more members than 16 bits count, also behind a program."""
    rows = [{"name": b"a.json", "content": A}, *({"name": b"x", "local": None, "at": 0} for _ in range(5))]
    made = raw_zip(rows, end={"members": 0xFFFF, "size": 0xFFFFFFFF, "offset": 0xFFFFFFFF})
    head, end = made[:-22], made[-22:]
    start = head.index(b"PK\1\2")
    end_64 = pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 6, 6, len(head) - start, start)
    locator = pack("<4sLQL", b"PK\6\7", 0, len(head), 1)
    assert outcome(prefix + head + end_64 + locator + end, tmp_path) == ([], [("a.json", ("overlapping", _OVERLAPS))])
    whole = raw_zip(rows[:1])
    start = whole.index(b"PK\1\2")
    end_64 = pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(whole) - 22 - start, start)
    locator = pack("<4sLQL", b"PK\6\7", 0, len(whole) - 22, 1)
    again = tmp_path / "again"
    again.mkdir()
    assert outcome(prefix + whole[:-22] + end_64 + locator + end, again) == ([A], [])


_OVERLAPS = "it lies where another member of the archive does"


NAMES = {
    "utf-8": ({"name": "é.json".encode(), "flags": 1 << 11}, "é.json"),
    "utf-8 without the flag": ({"name": "é.json".encode()}, "é.json"),
    "code page 437": ({"name": b"\x82.json"}, "é.json"),
    "not utf-8, with the flag": ({"name": b"\x82.json", "flags": 1 << 11}, "\ufffd.json"),
    "in an extra field": (
        {"name": b"?\x82.json", "extra": pack("<HHBL", 0x7075, 12, 1, zlib.crc32(b"?\x82.json")) + "ж.json".encode()},
        "ж.json",
    ),
    "in an extra field for another name": (
        {"name": b"\x82.json", "extra": pack("<HHBL", 0x7075, 12, 1, 5) + "ж.json".encode()},
        "é.json",
    ),
    "with a line end and an escape": ({"name": b"a\n\x1b[31m!.json"}, "a\n\x1b[31m!.json"),
    "with a NUL": ({"name": b"a\0b.json"}, "a\0b.json"),
}


@pytest.mark.parametrize(("row", "shown"), NAMES.values(), ids=NAMES)
def test_names_in_a_zip(row, shown, tmp_path):
    """Are shown as the archive has them."""
    _, ((name, _),) = outcome(raw_zip([{**row, "content": b"{bad"}]), tmp_path)
    assert name == shown


def test_directories_of_random_bytes(tmp_path):
    """Whatever a zip's headers are, the listing ends with entries and members, and reading them does too."""
    rng, sound = random.Random(5), zip_of([("a.json", A), ("b.json", B), ("c.json", A * 99)])
    start = sound.index(b"PK\1\2")
    for n in range(60):
        made = bytearray(sound)
        for _ in range(rng.choice([1, 1, 2, 9])):
            place = rng.randrange(rng.choice([0, start]), len(made))
            made[place] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
        (tmp_path / "a.zip").write_bytes(made)
        submit(tmp_path / "a.zip", tmp_path / str(n), MatchOptions(), PlanOptions())
        assert list(verify(results_at(tmp_path / str(n)), Checked())) == []


# ---- tar


def info(name, kind, **fields):
    made = tarfile.TarInfo(name)
    made.type = kind
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def test_members_of_a_tar_that_cannot_be_read(tmp_path):
    """Each is an entry that says why."""
    made = tar_of(
        [
            ("a.json", A),
            info("hard.json", tarfile.LNKTYPE, linkname="a.json"),
            info("soft.json", tarfile.SYMTYPE, linkname="/etc/passwd"),
            info("pipe.json", tarfile.FIFOTYPE),
            info("device.json", tarfile.CHRTYPE),
            info("device", tarfile.BLKTYPE),
            info("folder.json", tarfile.DIRTYPE),
            ("b.json", B),
        ]
    )
    matched, entries = outcome(made, tmp_path)
    assert matched == [A, B]
    assert reasons(entries) == [(f"{name}.json", "not_a_file") for name in ("hard", "soft", "pipe", "device")]


END = bytes(1024)


def test_sparse_members(tmp_path):
    """GNU's old and new ones, and a part of a file from another archive: entries; what is behind them is found."""
    old = bytearray(tar_header(b"old.json", 512, b"S", magic=b"ustar  \0"))
    old[482] = 1
    old[148:156] = b" " * 8
    old[148:156] = b"%06o\0 " % sum(old)
    records = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n28 GNU.sparse.name=new.json\n"
    made = (
        bytes(old) + bytes(504) + b"\1" + bytes(7) + bytes(512) + padded(X)
        + tar_header(b"p", len(records), b"x") + padded(records) + tar_header(b"GNUSparse/new", 3) + padded(b"0\n\n")
        + tar_header(b"rest.json", 3, b"M") + padded(b"abc")
        + tar_header(b"a.json", len(A)) + padded(A) + END
    )  # fmt: skip
    matched, entries = outcome(made, tmp_path)
    assert matched == [A]
    assert reasons(entries) == [(f"{name}.json", "unsupported_member") for name in ("old", "new", "rest")]


@pytest.mark.parametrize("wrap", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_tar_cut_short(wrap, tmp_path):
    """Whole members come out, what is whole of the cut one too; without its end, the archive is an entry."""
    lines = b"\n".join([A, B, A])
    made = tar_of([("a.json", A), ("x.jsonl", lines), ("b.json", B)], tarfile.USTAR_FORMAT)
    for n, (size, expected, entry) in enumerate(
        [
            (512 + 512 + 512 + 20, [A, A], ("x.jsonl", "truncated_tar")),
            (512 + 512 + 512, [A], ("x.jsonl", "truncated_tar")),
            (512 + 512 + 100, [A], (None, "truncated_tar")),
            (512 + 512, [A], (None, "truncated_tar")),
            (6 * 512, [A, A, B, A, B], (None, "truncated_tar")),
        ]
    ):
        (tmp_path / f"{n}").mkdir()
        matched, entries = outcome(wrap(made[:size]), tmp_path / f"{n}")
        assert (matched, reasons(entries)) == (expected, [entry])


def test_a_cut_member_of_another_name(tmp_path):
    """Is not left out silently: the archive is an entry."""
    made = tar_of([("a.json", A), ("x.txt", b"x" * 2000)])
    matched, entries = outcome(made[:2000], tmp_path)
    assert (matched, reasons(entries)) == ([A], [(None, "truncated_tar")])


def test_compressed_data_cut_short(tmp_path):
    """Is like a tar that is cut short."""
    content = b"\n".join(b'{"data":"a","n":"%d"}' % n for n in random.Random(1).choices(range(1 << 60), k=2000))
    made = gzip.compress(tar_of([("a.json", A), ("x.jsonl", content), ("b.json", B)]))
    matched, entries = outcome(made[: len(made) // 2], tmp_path)
    assert matched[0] == A
    assert 500 < len(matched) < 1500
    assert reasons(entries) == [("x.jsonl", "truncated_tar")]


def test_corrupt_compressed_data(tmp_path):
    """Nothing of it is sure: one entry for the archive."""
    made = bytearray(gzip.compress(tar_of([("a.json", A), ("b.json", B)])))
    made[-8] ^= 1  # of the checksum
    matched, entries = outcome(bytes(made), tmp_path)
    assert (matched, reasons(entries)) == ([], [(None, "corrupt_gzip")])


@pytest.mark.parametrize("large", [False, True])
def test_salvage(large, tmp_path):
    """Brings out what comes before the damage, and an entry for it."""
    content = LINES if large else A + b"\n" + B + b"\n"
    row = {"name": b"x.jsonl", "content": content, "method": 8, "data": zlib.compress(content, 9, -15)}
    for number, wrong in enumerate([{"crc": 1}, {"data": row["data"][: len(row["data"]) // 2] + bytes(9)}]):
        (tmp_path / f"{number}").mkdir()
        matched, entries = outcome(raw_zip([{**row, **wrong}]), tmp_path / f"{number}", salvage=True)
        sure = 2 * (not number) if not large else 40_000 if number else 100_000
        assert matched[:sure] == content.split()[:sure]
        assert reasons(entries)[-1] == ("x.jsonl", "corrupt_zip")
    rest = random.Random(1).randbytes(100_000)
    made = bytearray(gzip.compress(tar_of([("a.json", A), ("x.jsonl", LINES), ("x", rest)])))
    made[-8] ^= 1
    (tmp_path / "tar").mkdir()
    matched, entries = outcome(bytes(made), tmp_path / "tar", salvage=True)
    assert matched == [A, *LINES.split()]
    assert reasons(entries) == [(None, "corrupt_gzip")]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, zstd_data])
def test_a_cut_member_that_is_compressed_by_itself(compress, tmp_path):
    """Gives what its compressed data gives that is cut short."""
    made = tar_of([("a.json", A), ("x.jsonl", compress(A + b"\n") * 2 + compress(random.Random(1).randbytes(9999)))])
    matched, entries = outcome(made[:4000], tmp_path)
    assert matched[:3] == [A, A, A]
    assert entries[-1][0] == "x.jsonl"
    assert entries[-1][1][0].startswith("truncated_")


def test_bytes_behind_compressed_data(tmp_path):
    """Are an entry for the archive; its members are whole."""
    matched, entries = outcome(gzip.compress(tar_of([("a.json", A), ("b.json", B)])) + b"xyz", tmp_path)
    assert (matched, reasons(entries)) == ([A, B], [(None, "trailing_data")])


HEADERS = {
    "no checksum": {"checksum": b"0000000\0"},
    "a negative size": {"size_field": b"\xff" * 12},
    "no size": {"size_field": b"99999999999\0"},
}


@pytest.mark.parametrize("fields", HEADERS.values(), ids=HEADERS)
def test_a_damaged_header(fields, tmp_path):
    """Nothing behind it can be found: what came before comes out, and the archive is an entry."""
    bad = tar_header(b"x.json", len(X), **fields)
    made = tar_header(b"a.json", len(A)) + padded(A) + bad + padded(X) + tar_header(b"b.json", len(B)) + padded(B) + END
    matched, entries = outcome(made, tmp_path)
    assert (matched, reasons(entries)) == ([A], [(None, "corrupt_tar")])


@pytest.mark.parametrize("size", [1 << 33, 1 << 62, 1 << 80])
def test_sizes_beyond_the_archive(size, tmp_path):
    """In GNU's binary form: a member that is cut short."""
    field = (1 << 95 | size).to_bytes(12, "big")
    made = (
        tar_header(b"a.json", len(A)) + padded(A) + tar_header(b"x.jsonl", 0, size_field=field) + padded(B + b"\n" + X)
    )
    matched, entries = outcome(made, tmp_path)
    assert (matched, reasons(entries)) == ([A, B], [("x.jsonl", "truncated_tar")])


def test_a_size_in_binary(tmp_path):
    """Is a size like any other."""
    field = (1 << 95 | len(A)).to_bytes(12, "big")
    assert outcome(tar_header(b"a.json", 0, size_field=field) + padded(A) + END, tmp_path) == ([A], [])


@pytest.mark.parametrize(
    "records", [b"30 path=a.json\n", b"path=a.json\n", b"9999999999999999999 a=b\n", b"12 size=abc\n", b"0 a=b\n"]
)
def test_damaged_attributes(records, tmp_path):
    """The archive is an entry, and what came before comes out."""
    made = tar_header(b"a.json", len(A)) + padded(A) + tar_header(b"p", len(records), b"x") + padded(records)
    made += tar_header(b"b.json", len(B)) + padded(B) + END
    matched, entries = outcome(made, tmp_path)
    assert (matched, reasons(entries)) == ([A], [(None, "corrupt_tar")])


def test_a_name_of_gigabytes(tmp_path):
    """Is not read."""
    made = tar_header(b"a.json", len(A)) + padded(A) + tar_header(b"././@LongLink", 4 << 30, b"L") + bytes(2000)
    assert reasons(outcome(made, tmp_path)[1]) == [(None, "corrupt_tar")]


LONG = "d" * 90 + "/" + "n" * 90 + "/" + "x" * 200 + ".json"


@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
@pytest.mark.parametrize("name", [LONG, "é.json", "x/ж" * 99 + ".json", "a\udcff\n.json"])
def test_names_in_a_tar(format_, name, tmp_path):
    """Of any length and any bytes."""
    made = tar_of([(name, A)], format_)
    (tmp_path / "a.tar").write_bytes(made)
    (file,) = list_inputs([tmp_path / "a.tar"]).files
    assert file.name == os.fsencode(tmp_path / "a.tar") + b"!" + name.encode("utf-8", "surrogateescape")


def test_names_in_two_fields(tmp_path):
    """As ustar has long ones."""
    name = "d" * 90 + "/" + "n" * 90 + ".json"
    (tmp_path / "a.tar").write_bytes(tar_of([(name, A)], tarfile.USTAR_FORMAT))
    (file,) = list_inputs([tmp_path / "a.tar"]).files
    assert file.name.endswith(b"!" + name.encode())


def test_tars_of_before_there_was_a_mark(tmp_path):
    """Are found by the checksum of the first header, which some programs took of signed bytes."""
    old = tar_header(b"a.json", len(A), b"\0", magic=b"")
    assert outcome(old + padded(A) + END, tmp_path) == ([A], [])
    signed = bytearray(tar_header("é.json".encode(), len(A), magic=b""))
    signed[148:156] = b" " * 8
    signed[148:156] = b"%06o\0 " % (sum(signed) - 2 * 256)
    again = tmp_path / "again"
    again.mkdir()
    assert outcome(bytes(signed) + padded(A) + END, again) == ([A], [])


def test_a_tar_that_ends_within_its_first_header(tmp_path):
    """Is a tar that is cut short, if its mark is there."""
    made = tar_of([("a.json", A)])
    for size in (263, 511):
        (tmp_path / str(size)).mkdir()
        assert reasons(outcome(made[:size], tmp_path / str(size))[1]) == [(None, "truncated_tar")]


def test_what_only_looks_like_a_tar(tmp_path):
    """Text with the mark of one at its place is text."""
    text = b'{"data":"a","x":"' + b" " * 240 + b'ustar 00"}' + b"\n" * 600
    assert text.index(b"ustar") == 257
    assert b"".join(outcome(text, tmp_path)[0]) == b"".join(text.split())


def test_several_tars_one_after_another(tmp_path):
    """Zeros are passed over, also many; something else behind them is an entry."""
    made = tar_of([("a.json", A)]) + bytes(3 << 20) + tar_of([("b.json", B)])
    assert outcome(made, tmp_path) == ([A, B], [])
    again = tmp_path / "again"
    again.mkdir()
    matched, entries = outcome(made + b"x" * 512, again)
    assert (matched, reasons(entries)) == ([A, B], [(None, "corrupt_tar")])


@pytest.mark.parametrize("gap", [512, 1024, 1 << 20])
def test_compressed_data_is_read_once_to_list_it(gap, tmp_path, monkeypatch):
    """However many tars there are one after another: each step back would begin at the beginning."""
    begun = []
    monkeypatch.setattr(
        archive_content, "decompressed", lambda *how, **more: begun.append(1) or decompressed(*how, **more)
    )
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress((tar_header(b"a.json", len(A)) + padded(A) + bytes(gap)) * 20 + bytes(512)))
    assert len(list_inputs([path]).files) == 20
    assert len(begun) == 1


def test_a_compressed_bomb(tmp_path, monkeypatch):
    """Is read as far as --max-inflation allows: the members up to there, and an entry."""
    monkeypatch.setattr("linkmatch_ray.core.codecs.INFLATED_BYTES_MIN", 5000)
    made = gzip.compress(tar_of([("a.json", A), ("x.json", b" " * 1_000_000), ("b.json", B)]))
    matched, entries = outcome(made, tmp_path, max_inflation=1)
    assert (matched, reasons(entries)) == ([A], [(None, "inflates_too_far")])


def test_headers_of_random_bytes(tmp_path):
    """Whatever a tar's headers are, the listing ends with entries and members, and reading them does too."""
    rng, sound = random.Random(6), tar_of([("a.json", A), ("é" * 80 + ".json", B), ("c.json", A * 99)])
    for n in range(60):
        made = bytearray(sound)
        for _ in range(rng.choice([1, 1, 2, 9])):
            made[rng.randrange(len(made))] = rng.choice([0, 1, 48, 127, 128, 255, rng.randrange(256)])
        path = tmp_path / "a.tar"
        path.write_bytes(made if n % 2 else gzip.compress(made))
        submit(path, tmp_path / str(n), MatchOptions(), PlanOptions())
        assert list(verify(results_at(tmp_path / str(n)), Checked())) == []


def test_an_archive_that_cannot_be_read(tmp_path):
    """Or that changes while it is looked into: it stays a file, of which the task finds out the same."""
    (tmp_path / "a.zip").write_bytes(zip_of([("a.json", A)]))
    (file,) = list_inputs([tmp_path / "a.zip"]).files
    archive = file._replace(name=b"a", path=file.stored_at, size=os.stat(tmp_path / "a.zip").st_size)
    assert len(expand(archive, HOW).files) == 1
    assert expand(archive._replace(mtime_ns=1), HOW).files == [archive._replace(mtime_ns=1)]
    os.unlink(tmp_path / "a.zip")
    assert expand(archive, HOW).files == [archive._replace(fault="No such file or directory")]
