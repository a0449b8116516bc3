/* What all levels with vectors share: the classes of 64 bytes, and the check of UTF-8. Each level defines:
 *
 *   V, M, VECTORS       a vector, what a comparison gives, and how many vectors 64 bytes are
 *   v_load v_splat v_table v_and v_or v_xor v_shr4 v_subs   v_table: 16 bytes in each lane
 *   v_lookup(t, v)      t[v & 15] for v < 128, else 0
 *   v_eq, v_at_most     comparisons, unsigned
 *   v_high              which bytes are not ASCII
 *   v_prev(v, before, n)  v moved up by n bytes, the last n of `before` in front
 *   bits(M[VECTORS])    the comparisons as 64 bits
 */
#include "utf8_exact.h"

typedef struct {
    uint64_t quote, backslash, op, white, control, newline, high;
} classes;

typedef struct {
    V last;          /* the vector before */
    uint32_t before; /* its last three bytes */
} utf8_state;

INLINE void utf8_begin(utf8_state *state)
{
    state->last = v_splat(0);
    state->before = 0;
}

INLINE void classify(const uint8_t *p, classes *c)
{
    static const uint8_t ops[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0, 0};
    enum { NO = 0x80 }; /* no byte below 0x80 is it */
    static const uint8_t whites[16] = {' ', NO, NO, NO, NO, NO, NO, NO, NO, '\t', '\n', NO, NO, '\r', NO, NO};
    M quote[VECTORS], backslash[VECTORS], op[VECTORS], white[VECTORS], control[VECTORS], newline[VECTORS];
    M high[VECTORS];
    const V op_table = v_table(ops), white_table = v_table(whites);
    for (int i = 0; i < VECTORS; i++) {
        V v = v_load(p + i * (BLOCK / VECTORS));
        quote[i] = v_eq(v, v_splat('"'));
        backslash[i] = v_eq(v, v_splat('\\'));
        /* `|0x20` makes braces of brackets; it makes operators of 0x0C and 0x1A too, which are no worse than others */
        op[i] = v_eq(v_lookup(op_table, v), v_or(v, v_splat(0x20)));
        white[i] = v_eq(v_lookup(white_table, v), v);
        control[i] = v_at_most(v, 0x1F);
        newline[i] = v_eq(v, v_splat('\n'));
        high[i] = v_high(v);
    }
    c->quote = bits(quote);
    c->backslash = bits(backslash);
    c->op = bits(op);
    c->white = bits(white);
    c->control = bits(control);
    c->newline = bits(newline);
    c->high = bits(high);
}

/* The bytes at which sequences turn out to be wrong: "Validating UTF-8 in less than one instruction per byte" (Keiser
 * and Lemire, 2021). Three tables say what may not follow what; a bit stands for a kind of error. */
INLINE uint64_t utf8_errors(utf8_state *state, const uint8_t *p, uint64_t high)
{
    enum {
        SHORT = 1, LONG = 2, OVERLONG_3 = 4, LARGE = 8, SURROGATE = 16, OVERLONG_2 = 32,
        LARGE_1000 = 64, OVERLONG_4 = 64, TWO_CONTINUE = 128, CARRY = SHORT | LONG | TWO_CONTINUE
    };
    static const uint8_t first_high[16] = {
        LONG, LONG, LONG, LONG, LONG, LONG, LONG, LONG,
        TWO_CONTINUE, TWO_CONTINUE, TWO_CONTINUE, TWO_CONTINUE,
        SHORT | OVERLONG_2, SHORT, SHORT | OVERLONG_3 | SURROGATE, SHORT | LARGE | LARGE_1000 | OVERLONG_4
    };
    static const uint8_t first_low[16] = {
        CARRY | OVERLONG_3 | OVERLONG_2 | OVERLONG_4, CARRY | OVERLONG_2, CARRY, CARRY,
        CARRY | LARGE, CARRY | LARGE | LARGE_1000, CARRY | LARGE | LARGE_1000, CARRY | LARGE | LARGE_1000,
        CARRY | LARGE | LARGE_1000, CARRY | LARGE | LARGE_1000, CARRY | LARGE | LARGE_1000, CARRY | LARGE | LARGE_1000,
        CARRY | LARGE | LARGE_1000, CARRY | LARGE | LARGE_1000 | SURROGATE, CARRY | LARGE | LARGE_1000,
        CARRY | LARGE | LARGE_1000
    };
    static const uint8_t second_high[16] = {
        SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT,
        LONG | OVERLONG_2 | TWO_CONTINUE | OVERLONG_3 | LARGE_1000 | OVERLONG_4,
        LONG | OVERLONG_2 | TWO_CONTINUE | OVERLONG_3 | LARGE,
        LONG | OVERLONG_2 | TWO_CONTINUE | SURROGATE | LARGE, LONG | OVERLONG_2 | TWO_CONTINUE | SURROGATE | LARGE,
        SHORT, SHORT, SHORT, SHORT
    };
    const uint32_t before = state->before;
    if (LIKELY(!high)) {
        if (LIKELY(!before))
            return 0;
        utf8_begin(state);
        return UNLIKELY(is_incomplete(before)) ? utf8_exact(before, p) : 0;
    }
    M right[VECTORS];
    V last = state->last;
    const V nibble = v_splat(0x0F);
    for (int i = 0; i < VECTORS; i++) {
        V v = v_load(p + i * (BLOCK / VECTORS));
        V one = v_prev(v, last, 1), two = v_prev(v, last, 2), three = v_prev(v, last, 3);
        V special = v_and(v_and(v_lookup(v_table(first_high), v_shr4(one)),
                                v_lookup(v_table(first_low), v_and(one, nibble))),
                          v_lookup(v_table(second_high), v_shr4(v)));
        V third = v_subs(two, v_splat(0xE0 - 0x80)), fourth = v_subs(three, v_splat(0xF0 - 0x80));
        V must_continue = v_and(v_or(third, fourth), v_splat(0x80));
        right[i] = v_eq(v_xor(must_continue, special), v_splat(0));
        last = v;
    }
    state->last = last;
    state->before = last_three(p);
    return LIKELY(!~bits(right)) ? 0 : utf8_exact(before, p);
}
