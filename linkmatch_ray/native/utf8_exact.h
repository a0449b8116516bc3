/* UTF-8, byte by byte: what the portable level does with each block that is not ASCII, and all others with one that has
 * an error, since vectors also flag bytes that follow it, and these may be the next record's. */

/* The bytes of a block at which a sequence turns out to be wrong, by table 3-7 of the Unicode standard; of a byte that
 * begins none it is the one behind. `before` has the three bytes before the block. */
NOINLINE static uint64_t utf8_exact(uint32_t before, const uint8_t *p)
{
    uint64_t errors = 0;
    uint32_t needed = 0; /* bytes that must follow; the next one must be from `low` to `high` */
    uint8_t low = 0x80, high = 0xBF;
    for (int i = -3; i < BLOCK; i++) {
        const uint8_t byte = i < 0 ? (uint8_t)(before >> (8 * (3 + i))) : p[i];
        if (needed) {
            const int fits = byte >= low && byte <= high;
            low = 0x80;
            high = 0xBF;
            if (fits) {
                needed--;
                continue;
            }
            needed = 0;
            errors |= i < 0 ? 0 : (uint64_t)1 << i;
        }
        if (byte < 0x80)
            continue;
        if (byte < 0xC0) {
            errors |= i < 0 ? 0 : (uint64_t)1 << i;
            continue;
        }
        needed = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
        low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
        high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
        if (byte < 0xC2 || byte > 0xF4)
            high = 0; /* nothing may follow it */
    }
    return errors;
}

/* The last three bytes of a block, and whether the next one must begin with what continues them. */
INLINE uint32_t last_three(const uint8_t *p)
{
    return load32(p + BLOCK - 4) >> 8;
}

INLINE int is_incomplete(uint32_t last)
{
    return (last >> 16) >= 0xC0 || (last >> 8 & 0xFF) >= 0xE0 || (last & 0xFF) >= 0xF0;
}
