"""The hash of keys: the same for one and many, from everywhere; bits change as they should; and no collisions."""

import itertools

import numpy as np

from linkmatch_ray import Restrictions
from linkmatch_ray.native.kernel import Kernel, directory_of, hash_key, hash_keys
from tests.support.kernel import levels, make_index, make_kernel, read

levels()  # builds the library


def of_rows(rows):
    """The hashes of the rows of a matrix of bytes."""
    count, width = rows.shape
    blob = np.ascontiguousarray(rows).reshape(-1)
    return hash_keys(blob, np.arange(width, (count + 1) * width, width, dtype=np.int64))


KNOWN = {
    0: 10602188539874428322,
    1: 10770989621195086837,
    4: 11548112402414047928,
    17: 13520672144170521395,
    49: 17279755665832205775,
    100: 10099874647033991609,
}


def test_known_values():
    """A change of the hash is a change of every index; see hash.h."""
    assert {size: hash_key(b"a" * size) for size in KNOWN} == KNOWN


def test_one_and_many_agree():
    """At all sizes, which take other ways through the hash."""
    texts = [bytes(range(size)) for size in range(200)]
    many = hash_keys(np.frombuffer(b"".join(texts), np.uint8), np.cumsum([len(text) for text in texts], dtype=np.int64))
    assert many.tolist() == [hash_key(text) for text in texts]
    assert len(set(many.tolist())) == len(texts)


def test_records_have_the_hash_of_the_list():
    """Of their canonical key: strings with their quotes, unescaped; composite keys as arrays."""
    for paths, record, key in [
        (["a"], b'{"a":"xyz"}', b'"xyz"'),
        (["a"], b'{"a":"x\\u0079z"}', b'"xyz"'),
        (["a"], b'{"a": -12 }', b"-12"),
        (["a", "b"], b'{"b":null, "a":"\\/"}', b'["/",null]'),
        (["a", "b"], b'{"b":"%s", "a":1}' % (b"x" * 4000), b'[1,"%s"]' % (b"x" * 4000)),
    ]:
        for level in levels():
            [found] = read(make_kernel(paths, frozenset([key]), level=level), record)[0]
            assert found.hits == {key}


def test_avalanche():
    """Each bit of a key changes each bit of its hash in half of all cases, at sizes on either side of each border."""
    random = np.random.default_rng(1)
    for size in (1, 3, 4, 8, 9, 16, 17, 31, 48, 49, 97):
        keys = random.integers(0, 256, (1000, size), dtype=np.uint8)
        before = of_rows(keys)
        changed = np.zeros((8 * size, 64))
        for bit in range(8 * size):
            keys[:, bit // 8] ^= 1 << bit % 8
            flips = before ^ of_rows(keys)
            keys[:, bit // 8] ^= 1 << bit % 8
            changed[bit] = [np.count_nonzero(flips >> np.uint64(i) & np.uint64(1)) for i in range(64)]
        rates = changed / len(keys)
        chance = 3 / np.sqrt(min(len(keys), 256**size / 2))  # six standard deviations
        assert np.abs(rates - 0.5).max() < chance, (size, rates.min(), rates.max())


def counters(form, count):
    """`count` texts of one width with a decimal counter in them."""
    width = len(str(count - 1))
    digits = np.arange(count)[:, None] // 10 ** np.arange(width - 1, -1, -1) % 10 + ord("0")
    rows = np.tile(np.frombuffer(form.replace(b"#", b"#" * width), np.uint8), (count, 1))
    rows[:, np.flatnonzero(rows[0] == ord("#"))] = digits
    return rows


def test_no_collisions():
    """Of keys that differ by a counter, in one byte, or in two bits; nor more than chance gives in half the hash."""
    random = np.random.default_rng(2)
    base = random.integers(0, 256, 40, dtype=np.uint8)
    two_bits = np.tile(base, (51040, 1))
    first, second = np.triu_indices(320, 1)
    for bits in (first, second):
        two_bits[np.arange(len(bits)), bits // 8] ^= (1 << bits % 8).astype(np.uint8)
    families = [counters(b'"https://example.com/page/#"', 200_000), counters(b"#", 200_000), two_bits]
    families += [counters(b'"#@example.com"', 100_000), counters(b'"' + b"x" * 60 + b'#"', 200_000)]
    families += [counters(b'"a#b' + b"y" * 50 + b'"', 200_000)]
    hashes = np.concatenate([of_rows(rows) for rows in families])
    assert len(np.unique(hashes)) == len(hashes)
    for half in (hashes >> np.uint64(32), hashes & np.uint64(0xFFFFFFFF)):
        chance = len(hashes) ** 2 / 2**33
        assert len(hashes) - len(np.unique(half)) < 1.5 * chance
    filter_slots = np.bincount((hashes >> np.uint64(44)).astype(np.int64), minlength=1 << 20)
    assert filter_slots.max() < 12, "keys crowd in a slot of the filter"


def test_a_list_of_many():
    """Every key is found by its record and no other is; some share a bucket, and some records their top bits."""
    keys = [b'"key-%d"' % number for number in range(3000)]
    kernel = make_kernel(["a"], frozenset(keys[::2]))
    found, _ = read(kernel, b"\n".join(b'{"a":%s}' % key for key in keys), capacity=4000)
    assert [one.hits for one in found] == [frozenset([key] if place % 2 == 0 else []) for place, key in enumerate(keys)]


def test_an_empty_list():
    """It has nothing, and a record is looked up in it all the same."""
    assert len(make_index([]).hashes) == 0
    assert read(make_kernel(["a"]), b'{"a":1}')[0][0].hits == frozenset()


def test_keys_of_one_hash_are_told_apart():
    """Equality is decided by bytes: with all hashes made the same, the right one of them is found."""
    keys = [b'"a"', b'"b"', b'"c"']
    kernel = make_kernel(["a"], frozenset(keys))
    index = kernel._index
    index.starts.sort()  # keys of one hash are in the order of their bytes
    index.ends.sort()
    for key in keys:
        index.hashes[:] = hash_key(key)
        index.filter[:] = 0xFFFFFFFFFFFFFFFF
        index.directory[:], kernel._packed.directory_shift = directory_of(index.hashes)
        [found] = read(kernel, b'{"a":%s}' % key)[0]
        assert found.hits == {key}


SECRETS = (0x2D358DCCAA6C78A5, 0x8BB84B93962EACC9)


def folded(a, b):
    """`folded_product` of hash.h."""
    return (a * b ^ a * b >> 64) & (1 << 64) - 1


def collided(count):
    """Strings that are made to have one hash.

    Their third eight bytes are multiplied by zero, because the fourth are what the state is before them. The first
    sixteen are those for which that is text.
    """
    for number in itertools.count():
        first = b'"%015d' % number
        one, two = (int.from_bytes(first[at : at + 8], "little") for at in (0, 8))
        state = folded(one ^ SECRETS[1], two ^ folded(SECRETS[0] ^ 48, SECRETS[1])).to_bytes(8, "little")
        if state.isascii() and state.decode().isprintable() and not set(state) & set(b'"\\'):
            break
    return [first + b"%08d" % place + state + b'abcdefghijklmno"' for place in range(count)]


def test_keys_that_were_made_to_collide():
    """They give no wrong match, neither in the kernel nor in the exact path, and are searched as fast as others."""
    keys = collided(20_000)
    assert {len(key) for key in keys} == {48}
    assert len(set(map(hash_key, keys))) == 1
    index = Restrictions.load(b"[%s]" % b",".join([*keys[::-2], keys[1], b'"x"'])).index
    assert [index.find(key) >= 0 for key in keys[:500]] == [place % 2 == 1 for place in range(500)]
    for level in levels():
        kernel = Kernel([("a",)], index, level=level)
        found, _ = read(kernel, b"\n".join(b'{"a":%s}' % key for key in keys), capacity=20_000)
        assert [one.hits for one in found] == [frozenset([key] if place % 2 else []) for place, key in enumerate(keys)]
