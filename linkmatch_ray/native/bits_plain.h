/* What is done with 64 bits where a level has nothing better. */
#ifndef HAS_PREFIX_XOR
/* Bit i of the result: whether an odd number of bits are set up to and with bit i. */
INLINE uint64_t prefix_xor(uint64_t word)
{
    word ^= word << 1;
    word ^= word << 2;
    word ^= word << 4;
    word ^= word << 8;
    word ^= word << 16;
    word ^= word << 32;
    return word;
}
#endif

#ifndef HAS_FLATTEN
#ifndef HAS_LOWEST
INLINE uint32_t lowest(uint64_t word) /* anything, if no bit is set */
{
    return (uint32_t)__builtin_ctzll(word | (uint64_t)1 << 63);
}
#endif

INLINE int ones(uint64_t word)
{
#if defined(__POPCNT__) || defined(__aarch64__)
    return __builtin_popcountll(word);
#else /* else it would be a call of the compiler's library */
    word -= word >> 1 & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
    word = (word + (word >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    return (int)(word * 0x0101010101010101u >> 56);
#endif
}

/* The places of the set bits, as numbers from `base` on. Writes up to 64 places, whatever it returns: eight at a time
 * without a look at each is faster, as most blocks have about that many. */
INLINE uint32_t *flatten(uint32_t *out, uint64_t word, uint32_t base)
{
    const int count = ones(word);
    for (int first = 0; first < count; first += 8)
        for (int i = first; i < first + 8; i++) {
            out[i] = base + lowest(word);
            word &= word - 1;
        }
    return out + count;
}
#endif
