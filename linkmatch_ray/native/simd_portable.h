/* No vectors: words of eight bytes, in any C. */
#include "utf8_exact.h"

typedef struct {
    uint64_t quote, backslash, op, white, control, newline, high;
} classes;

#define ONES 0x0101010101010101u
#define HIGHS 0x8080808080808080u
#define LOWS 0x7F7F7F7F7F7F7F7Fu

/* The high bit of each byte that is zero. Exact: no carry leaves a byte. */
INLINE uint64_t zeros(uint64_t word)
{
    return ~(((word & LOWS) + LOWS) | word | LOWS);
}

/* High bits of bytes to eight bits, the first byte's lowest. */
INLINE uint64_t gathered(uint64_t highs)
{
    return (highs >> 7) * 0x0102040810204080u >> 56;
}

INLINE void classify(const uint8_t *p, classes *c)
{
    *c = (classes){0};
    for (int i = 0; i < 8; i++) {
        const uint64_t word = load64(p + 8 * i);
        const uint64_t folded = word | ONES * 0x20; /* as in simd_shared.h */
        const uint64_t newline = zeros(word ^ ONES * '\n');
        c->quote |= gathered(zeros(word ^ ONES * '"')) << 8 * i;
        c->backslash |= gathered(zeros(word ^ ONES * '\\')) << 8 * i;
        c->op |= gathered(zeros(folded ^ ONES * '{') | zeros(folded ^ ONES * '}') | zeros(folded ^ ONES * ',') |
                          zeros(folded ^ ONES * ':'))
                 << 8 * i;
        c->white |= gathered(zeros(word ^ ONES * ' ') | zeros(word ^ ONES * '\t') | zeros(word ^ ONES * '\r') | newline)
                    << 8 * i;
        c->control |= gathered(zeros(word & ONES * 0xE0)) << 8 * i;
        c->newline |= gathered(newline) << 8 * i;
        c->high |= gathered(word & HIGHS) << 8 * i;
    }
}

typedef struct {
    uint32_t before; /* the last three bytes of the block before */
} utf8_state;

INLINE void utf8_begin(utf8_state *state)
{
    state->before = 0;
}

/* The bytes at which sequences turn out to be wrong. */
INLINE uint64_t utf8_errors(utf8_state *state, const uint8_t *p, uint64_t high)
{
    const uint32_t before = state->before;
    state->before = last_three(p);
    return LIKELY(!high && !is_incomplete(before)) ? 0 : utf8_exact(before, p);
}

#include "bits_plain.h"
