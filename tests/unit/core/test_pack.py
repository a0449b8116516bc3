"""Small files that are joined, made so that a joint would hide or make up a record: each gives what the oracle reads in
it alone."""

from functools import cache
from itertools import pairwise, product

import numpy as np
import pytest

from linkmatch_ray import MatchOptions, Restrictions, match_bytes
from linkmatch_ray.core import emit
from linkmatch_ray.core.matcher import Matcher
from linkmatch_ray.core.pack import Pack
from tests.support import oracle
from tests.support.tiers import some

LIST = b'[{"data":1},{"data":"a"},{"data":"a\\nb"},{"data":[2,3]}]'
RESTRICTIONS = Restrictions.load(LIST)
COUNTS = ("records", "matched", "unmatched", "missing_key", "not_object", "entries")

ARRAYS = (
    b'[{"data":1},{"data":"b"}]',
    b' [\n{"data":"a"} ]\r\n ',
    b'[\n {\n  "data": 1\n }\n]',
    b"[]",
    b"[ ]",
    b"[1,]",
    b"[,1]",
    b"[,]",
    b"[[2]",
    b"[3]]",
    b"[3],4]",
    b"[3],[4]",
    b'["a]',
    b'[b"]',
    b'["a\\]',
    b'[{"data":[2]',
    b"[3]}]",
    b'[{"data":1}}]',
    b'[{"data":"a"},{"x":"\xc3]',
    b'[\xa9"}]',
    b"[1 2]",
    b"[nul]",
    b"[\x00]",
    b"[1]x]",
    b"\xef\xbb\xbf[1]",
    b'[{"data":1}],{"data":1}]',
)
LINES = (
    b'{"data":1}\n{"data":"b"}',
    b'{"data":"a"}\r\n\r\n {"data":1} \n',
    b'{"data":\n1}',
    b'{"b":{}\n,"data":1}',
    b'{"data":"a\n{"data":1}',
    b'b"}\n{"data":1}',
    b'{"data":"a}',
    b'{"data":"a"}}',
    b'{"data":"a"}{"data":"a"}',
    b'{"data":"\xc3}',
    b'{"data":"\xa9"}',
    b'{"data":"\\}',
    b'{"data":1},\n{"data":1}',
    b'{"data":1}\n[1]\n{}',
    b'\xef\xbb\xbf{"data":1}\n{}',
    b'{"data":1}\n\xef\xbb\xbf{}',
    b"{\x00}",
    b"{}",
    b"",
    b" \n",
    b"1",
)
DOCUMENTS = (
    b'{"i":[{"data":1},{"data":"b"}],"n":2}',
    b'{"i":[{"data":"a"}]}\n{"i":[]}\r\n',
    b'{"i":[]}',
    b'{"n":1}',
    b'{"i":{}}',
    b'[{"i":[1]}]',
    b'[{"i":[1]},\n{"i":[2]}]',
    b'{"i":[{"data":1}]},\n{"i":[{"data":1}]}',
    b'{"i":[\n{"data":1},\n{"data":"a"}\n]}',
    b'{"i":[{"data":\n"a"}]}',
    b'{"i":[1]',
    b'{"i":[1}',
    b'"i":[1]}',
    b'{"i":[{"data":1}],"i":[{"data":"a"}]}',
    b'{"i":["\\ud800"]}',
    b'{"i":["\xff"]}',
    b"{}",
    b"",
    b"1",
    b'\xef\xbb\xbf{"i":[{"data":1}]}',
    b'{"i":[{"data":1}]}{"i":[{"data":1}]}',
)


@cache
def alone(data):
    """What the oracle reads in a file."""
    return oracle.match(data, LIST, emit="both")


def packed(files, options=None):
    """The parts of files in one buffer."""
    buffer, starts = bytearray(16), []
    for data in files:
        starts.append(len(buffer))
        buffer += data + b"\n"
    pack = Pack(0, np.array(starts), np.array(starts) + [len(data) for data in files])
    machine = Matcher(RESTRICTIONS.paths, RESTRICTIONS.index, options or MatchOptions(emit="both"))
    return list(machine.pack(buffer + bytes(16), pack, [b"%d" % number for number in range(len(files))]))


def check(files):
    """Holds a pack to the oracle."""
    wanted = [alone(data) for data in files]
    parts = packed(files)
    for stream in ("matched", "unmatched"):
        assert b"".join(b"".join(getattr(part, stream)) for part in parts) == b"".join(
            getattr(one, stream) for one in wanted
        ), files
    for name in COUNTS:
        total = sum(getattr(piece.counts, name) for part in parts for piece in part.pieces)
        assert total == sum(one.counts[name] for one in wanted), (files, name)


@pytest.mark.parametrize("files", [ARRAYS, LINES], ids=["arrays", "lines"])
def test_every_two_neighbours(files):
    """Whichever follows which."""
    for pair in product(files, repeat=2):
        check(pair)


@pytest.mark.parametrize("files", [ARRAYS, LINES], ids=["arrays", "lines"])
def test_among_sound_ones(files):
    """A bad file among many good ones is alone in what it costs."""
    good = files[0]
    for bad, worse in pairwise(files):
        check([good] * 3 + [bad] + [good] * 2 + [worse] + [good])


@pytest.mark.parametrize("number", range(len(DOCUMENTS)))
def test_documents(number):
    """With records inside: any two neighbours among others give what each gives alone."""
    options = MatchOptions(emit="both", records_at="/i")
    for other in some(DOCUMENTS[number:] + DOCUMENTS[:number]):
        files = [DOCUMENTS[0], DOCUMENTS[number], other, DOCUMENTS[1]]
        wanted, parts = [match_bytes(data, RESTRICTIONS, options) for data in files], packed(files, options)
        for stream in ("matched", "unmatched"):
            found = b"".join(b"".join(getattr(part, stream)) for part in parts)
            assert found == b"".join(getattr(one, stream) for one in wanted), files
        for name in COUNTS:
            total = sum(getattr(piece.counts, name) for part in parts for piece in part.pieces)
            assert total == sum(getattr(one.counts, name) for one in wanted), (files, name)


def test_good_files_are_joined():
    """And that is what the tests here are about."""
    documents = MatchOptions(emit="both", records_at="/i")
    for files, options in ((ARRAYS[:2] * 3, None), (LINES[:2] * 3, None), (DOCUMENTS[:3] * 2, documents)):
        [part] = packed(files, options)
        assert [piece.files for piece in part.pieces] == [6]


@pytest.mark.parametrize("data", [b'[{"data":"a"},{"data":1}]', b'{"data":"a"}\n{"data":1}'])
def test_a_record_at_the_limit_of_length(data):
    """It comes out; with one byte less it is an entry, and the others still come out."""
    for limit, matched in [(12, 6), (11, 3), (10, 3), (9, 0)]:
        parts = packed([data] * 3, MatchOptions(max_record_bytes=limit))
        pieces = [piece for part in parts for piece in part.pieces]
        assert sum(piece.counts.matched for piece in pieces) == matched
        assert [entry.bytes for piece in pieces for entry in piece.entries] == {6: [], 3: [12] * 3, 0: [12, 10] * 3}[
            matched
        ]
        assert (len(pieces) == 1) == (matched == 6)


def test_records_that_span_lines_are_written_once(monkeypatch):
    """However often the files are joined in vain."""
    written, one_line = [], emit.one_line
    monkeypatch.setattr(emit, "one_line", lambda record: (written.append(record), one_line(record))[1])
    for file in (b'[\n {\n  "data": 1\n }\n]', b'{"data":\r1}\n'):
        written.clear()
        check([file] * 64)
        assert len(written) == 64
