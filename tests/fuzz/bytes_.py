"""Any bytes: files of every kind, cut, glued, mangled, compressed and cut again."""

import gzip
from functools import partial

from tests.fuzz import straddle
from tests.support.compressed import KINDS
from tests.support.compressed import compressed as compressed_by

SNIPPETS = (
    *(bytes([byte]) for byte in b'{}[],:"\\/ \n\r\t0123456789-+.eEtfnNuIaxX\0\x1f\x7f\x80\xbf\xc3\xe9\xff'),
    *(b"},{", b"}\n{", b'"data":', b'"data"', b"null", b"NaN", b"00inf", b"-", b"1e5", rb"\u00", rb"\ud800", rb"\""),
    *(b"\xef\xbb\xbf", b"]]", b"[[", b"//", b"{}", b"\xed\xa0\x80", b" " * 100, b"\n" * 50, b"\r\n", b"[" * 501),
    *(b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xff\xfe", b"\0\0\0"),
)
BLANK = (b"", b" ", b"\n", b" \r\n\t\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n", b" " * 70, b"\n" * 70, b"[]", b"[ \n ]")


def text(rng):
    """A file before it is damaged and compressed."""
    kind = rng.random()
    if kind < 0.1:
        return rng.choice(BLANK)
    if kind < 0.2:
        return b"".join(rng.choices(SNIPPETS, k=rng.randint(1, 30)))
    if kind < 0.3:
        value = rng.choice([*straddle.TOKENS.values()])
        return b'{\n "n": [%s, {"data": "x"}],\n "a": [[{"data":12}]]}\n' % value
    made = straddle.drawn(rng)
    if kind < 0.35:
        return made.data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-16-le", "utf-32-be")))
    return made.data


def mangled(rng, data):
    """The same with a few bytes put in, taken out, overwritten, repeated, or cut off."""
    data = bytearray(data)
    for _ in range(rng.randint(0, 3)):
        place = rng.randint(0, len(data))
        end = min(len(data), place + rng.randint(0, 6))
        kind = rng.choice(("insert", "overwrite", "delete", "repeat", "cut"))
        if kind == "insert":
            data[place:place] = rng.choice(SNIPPETS)
        elif kind == "overwrite":
            data[place:end] = rng.choice(SNIPPETS)
        elif kind == "delete":
            del data[place:end]
        elif kind == "repeat":
            data[place:place] = data[max(0, place - 40) : end]
        else:
            del data[place:]
    return bytes(data)


def compressed(rng, data):
    """In members, with padding between some, perhaps cut short, damaged, or followed by something else."""
    kind = rng.choice(KINDS)
    one = partial(compressed_by, kind)
    if kind == "gzip":
        one = partial(gzip.compress, compresslevel=rng.choice((0, 1, 9)), mtime=0)
    cuts = sorted(rng.choices(range(len(data) + 1), k=rng.randint(0, 3)))
    pieces = [one(data[a:b]) for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    if kind in ("zstd", "lz4") and rng.random() < 0.3:
        skipped = rng.randint(0, 20)
        pieces.insert(rng.randint(0, len(pieces)), b"\x52\x2a\x4d\x18" + skipped.to_bytes(4, "little") + b"k" * skipped)
    whole = b"".join(pieces) + rng.choice((b"", b"", b"\0" * 30, b"junk"))
    return mangled(rng, whole) if rng.random() < 0.3 else whole


def drawn(rng):
    """A file as it may lie on a disk."""
    data = text(rng)
    if rng.random() < 0.5:
        data = mangled(rng, data)
    return compressed(rng, data) if rng.random() < 0.25 else data
