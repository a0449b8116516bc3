/* Small things that all parts use. */
#ifndef LM_COMMON_H
#define LM_COMMON_H

#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the kernel takes the first byte of a word for its lowest"
#endif

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define NOINLINE __attribute__((noinline))
#define INLINE static inline __attribute__((always_inline))

#define BLOCK 64

INLINE uint64_t load64(const uint8_t *p)
{
    uint64_t word;
    __builtin_memcpy(&word, p, 8);
    return word;
}

INLINE uint32_t load32(const uint8_t *p)
{
    uint32_t word;
    __builtin_memcpy(&word, p, 4);
    return word;
}

/* Keys and names are short, and libc is not there. */
INLINE int same_bytes(const uint8_t *a, const uint8_t *b, uint64_t size)
{
    uint64_t i = 0;
    for (; i + 8 <= size; i += 8)
        if (load64(a + i) != load64(b + i))
            return 0;
    for (; i < size; i++)
        if (a[i] != b[i])
            return 0;
    return 1;
}

INLINE void copy_bytes(uint8_t *to, const uint8_t *from, uint64_t size)
{
    uint64_t i = 0;
    for (; i + 8 <= size; i += 8)
        __builtin_memcpy(to + i, from + i, 8);
    for (; i < size; i++)
        to[i] = from[i];
}

/* The place of a byte in bytes[from, to), or `to`. Eight at a time: the exact test for a zero byte in a word. */
INLINE uint32_t find_byte(const uint8_t *bytes, uint32_t from, uint32_t to, uint8_t byte)
{
    const uint64_t low = 0x0101010101010101u, high = 0x8080808080808080u, pattern = low * byte;
    for (; to - from >= 8; from += 8) {
        uint64_t word = load64(bytes + from) ^ pattern;
        if ((word - low) & ~word & high)
            break;
    }
    while (from < to && bytes[from] != byte)
        from++;
    return from;
}

INLINE int is_blank(uint8_t byte) /* white space, but for the newline */
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

INLINE int is_digit(uint8_t byte)
{
    return (uint8_t)(byte - '0') < 10;
}

/* The value of a hexadecimal digit, or -1. */
INLINE int hex_digit(uint8_t byte)
{
    if (is_digit(byte))
        return byte - '0';
    uint8_t letter = (byte | 0x20) - 'a';
    return letter < 6 ? letter + 10 : -1;
}

#endif
