/* The hash of keys: one for the index, for records, and part of what tells one list from another.
 *
 * The construction is that of wyhash and rapidhash (both public): 16 bytes a step, folded by one multiplication to 128
 * bits whose halves are xored. It takes 2 to 4 ns a key, reads each byte of short keys once, and passes the tests of
 * its models; tests/unit/native/test_hash.py and scripts/hash-quality look at what matters here: avalanche, and
 * collisions of keys that differ systematically. A collision costs a comparison of bytes, never a wrong match. Keys that
 * were made to collide (a state is multiplied by zero where the input equals it) cost a search among them.
 *
 * Changing it changes what a resumed job is compared by, and every index: raise INDEX_VERSION with it.
 */
#ifndef LM_HASH_H
#define LM_HASH_H

#include "common.h"

static const uint64_t HASH_SECRETS[4] = {
    0x2D358DCCAA6C78A5u, 0x8BB84B93962EACC9u, 0x4B33A62ED433D4A3u, 0x4D5A2DA51DE1AA47u};

INLINE uint64_t folded_product(uint64_t a, uint64_t b)
{
    const unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_bytes(const uint8_t *p, uint64_t size)
{
    uint64_t seed = folded_product(HASH_SECRETS[0] ^ size, HASH_SECRETS[1]), a, b;
    if (size <= 16) {
        if (size >= 4) { /* four overlapping words of four bytes cover all of them */
            const uint64_t middle = size >> 3 << 2;
            a = (uint64_t)load32(p) << 32 | load32(p + middle);
            b = (uint64_t)load32(p + size - 4) << 32 | load32(p + size - 4 - middle);
        } else {
            a = size ? (uint64_t)p[0] << 16 | (uint64_t)p[size >> 1] << 8 | p[size - 1] : 0;
            b = 0;
        }
    } else {
        uint64_t left = size;
        if (left > 48) {
            uint64_t second = seed, third = seed;
            do {
                seed = folded_product(load64(p) ^ HASH_SECRETS[1], load64(p + 8) ^ seed);
                second = folded_product(load64(p + 16) ^ HASH_SECRETS[2], load64(p + 24) ^ second);
                third = folded_product(load64(p + 32) ^ HASH_SECRETS[3], load64(p + 40) ^ third);
                p += 48;
                left -= 48;
            } while (left > 48);
            seed ^= second ^ third;
        }
        for (; left > 16; p += 16, left -= 16)
            seed = folded_product(load64(p) ^ HASH_SECRETS[1], load64(p + 8) ^ seed);
        a = load64(p + left - 16); /* overlaps what was read before */
        b = load64(p + left - 8);
    }
    a ^= HASH_SECRETS[1];
    b ^= seed;
    const unsigned __int128 product = (unsigned __int128)a * b;
    return folded_product((uint64_t)product ^ HASH_SECRETS[0] ^ size, (uint64_t)(product >> 64) ^ HASH_SECRETS[1]);
}

#endif
