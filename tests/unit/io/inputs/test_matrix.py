"""Every layout in every compression and encoding, as a file, as a member of an archive and behind a URL.

Each gives what the oracle gives of its text.
"""

import codecs
from itertools import product

import pytest

from linkmatch_ray import MatchOptions
from linkmatch_ray.io.names import MATCHED, UNMATCHED
from linkmatch_ray.runtime.jobs.plan import PlanOptions
from tests.support import hostile, oracle
from tests.support.archives import tar_of, zip_of
from tests.support.compressed import KINDS, compressed
from tests.support.whole import submit

DOCUMENT = b'["a", "b", {"data": 1}]'
"""That of `tests.support.jobs.LIST`."""

RECORDS = ['{"data":"a","n":"é\\u20ac"}', '{"data":1.0}', '{"data":"c"}', '{"n":[1,{"data":"a"}]}', "null"]

LAYOUTS = {
    "lines": "\n".join(RECORDS),
    "crlf": "\r\n\r\n".join([*RECORDS, ""]),
    "commas": ",\n".join(RECORDS),
    "firehose": "".join(RECORDS),
    "array": f"[{','.join(RECORDS)}]",
    "arrays": "".join(f"[{record}]\n" for record in RECORDS),
    "pretty": "".join(f"{record}\n".replace("{", "{\n  ").replace("}", "\n}") for record in RECORDS),
    "sequence": "".join(f"\x1e{record}\n" for record in RECORDS),
    "damaged": "\n".join([RECORDS[0], '{"data":', *RECORDS[1:]]),
}
INSIDE = {name: f'{{"x":[{{}}],"items":[\n{",".join(RECORDS[:count])}]}}' for name, count in (("few", 2), ("all", 5))}

ENCODINGS = {
    "utf-8": b"",
    "utf-8-sig": b"",
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


def files(layouts):
    """Names and contents, and the text of each."""
    for (name, text), (encoding, mark), kind in product(layouts.items(), ENCODINGS.items(), ("plain", *KINDS)):
        content = mark + text.encode(encoding)
        whole = content if kind == "plain" else compressed(kind, content[:40], content[40:])
        yield f"{name}-{encoding}-{kind}.json", whole, text.encode()


@pytest.fixture(params=[(LAYOUTS, None), (INSIDE, "/items"), (INSIDE, "$.items[*]")], ids=["values", "pointer", "path"])
def made(request):
    """Files, how they are read, and both outputs for all of them in the order of their names."""
    layouts, path = request.param
    all_ = sorted(files(layouts))
    results = [oracle.match(text, DOCUMENT, emit="both", records_at=path) for _, _, text in all_]
    outputs = b"".join(one.matched for one in results), b"".join(one.unmatched for one in results)
    entries = sum(len(one.entries) for one in results)
    return {name: whole for name, whole, _ in all_}, MatchOptions(emit="both", records_at=path), outputs, entries


def check(made, inputs, output, plan=None):
    _, options, outputs, entries = made
    summary = submit(inputs, output, options, plan or PlanOptions())
    assert ((output / MATCHED).read_bytes(), (output / UNMATCHED).read_bytes()) == outputs
    assert summary["totals"]["entries"] == entries


@pytest.mark.parametrize("plan", [PlanOptions(), PlanOptions(unit_bytes=50, part_bytes=20)], ids=["one", "many"])
def test_files(made, plan, tmp_path):
    """In one unit or in many."""
    (tmp_path / "in").mkdir()
    for name, whole in made[0].items():
        (tmp_path / "in" / name).write_bytes(whole)
    check(made, tmp_path / "in", tmp_path / "out", plan)


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_members(made, pack, tmp_path):
    """Of an archive."""
    (tmp_path / "all").write_bytes(pack(list(made[0].items())))
    check(made, tmp_path / "all", tmp_path / "out")


def test_urls(made, tmp_path):
    """Of a web server."""
    scripts = {f"/{name}".encode(): hostile.file(whole) for name, whole in made[0].items()}
    with hostile.serving(lambda request: scripts[request.target](request)) as server:
        check(made, [f"http://{server.host}/{name}" for name in made[0]], tmp_path / "out")
