/* Numbers and words: what stands between two tokens outside of strings. Compiled once a level, as part of level.c. */

enum { PLAIN_DIGITS_MAX = 18 }; /* core/keys.py spells integers out up to 20 digits */

/* What a scalar is; `end` is behind it. */
typedef enum { SCALAR_WRONG, SCALAR_CUT, SCALAR_PLAIN, SCALAR_OTHER } scalar_shape;

/* Whether a byte may stand behind a number or word: white space, a control character, `"` or an operator. (Which of
 * them may stand there, the walk sees when it comes to it.) */
static const uint8_t may_follow_scalar[256] = {
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, [' '] = 1,
    ['"'] = 1, [','] = 1, [':'] = 1, ['['] = 1, [']'] = 1, ['{'] = 1, ['}'] = 1};

/* Behind the digits at `from`. Eight at a time, because a loop whose length changes from number to number is guessed
 * wrong each time. A byte is no digit if its high bit is set here: those above '9' carry into it, or have it. */
INLINE uint32_t digits_end(const uint8_t *bytes, uint32_t from, uint32_t end)
{
    for (; end - from >= 8; from += 8) {
        const uint64_t word = load64(bytes + from);
        const uint64_t others = (((word ^ 0x3030303030303030u) + 0x7676767676767676u) | word) & 0x8080808080808080u;
        if (LIKELY(others))
            return from + ((uint32_t)__builtin_ctzll(others) >> 3);
    }
    while (from < end && is_digit(bytes[from]))
        from++;
    return from;
}

/* Reads a number at `from`; PLAIN where its text is its canonical text. CUT where it goes on at the window's end. */
static scalar_shape read_number(const uint8_t *bytes, uint32_t from, uint32_t end, int is_last, uint32_t *stop)
{
    const uint32_t first = from + (bytes[from] == '-');
    uint32_t i = digits_end(bytes, first, end);
    scalar_shape shape = SCALAR_PLAIN;
    if (i == first || (bytes[first] == '0' && i > first + 1))
        return i == end && !is_last ? SCALAR_CUT : SCALAR_WRONG;
    if (i - first > PLAIN_DIGITS_MAX || (first > from && bytes[first] == '0'))
        shape = SCALAR_OTHER;
    if (i < end && bytes[i] == '.') {
        const uint32_t fraction = ++i;
        i = digits_end(bytes, fraction, end);
        if (i == fraction)
            return i == end && !is_last ? SCALAR_CUT : SCALAR_WRONG;
        shape = SCALAR_OTHER;
    }
    if (i < end && (bytes[i] | 0x20) == 'e') {
        i++;
        if (i < end && (bytes[i] == '+' || bytes[i] == '-'))
            i++;
        const uint32_t exponent = i;
        i = digits_end(bytes, exponent, end);
        if (i == exponent)
            return i == end && !is_last ? SCALAR_CUT : SCALAR_WRONG;
        shape = SCALAR_OTHER;
    }
    *stop = i;
    if (i == end)
        return is_last ? shape : SCALAR_CUT;
    return may_follow_scalar[bytes[i]] ? shape : SCALAR_WRONG;
}

/* Reads true, false or null at `from`. */
static scalar_shape read_word(const uint8_t *bytes, uint32_t from, uint32_t end, int is_last, uint32_t *stop)
{
    const char *word = bytes[from] == 't' ? "true" : bytes[from] == 'f' ? "false" : "null";
    uint32_t i = from;
    for (; *word && i < end; i++, word++)
        if (bytes[i] != (uint8_t)*word)
            return SCALAR_WRONG;
    *stop = i;
    if (i == end)
        return !is_last ? SCALAR_CUT : *word ? SCALAR_WRONG : SCALAR_PLAIN;
    return may_follow_scalar[bytes[i]] ? SCALAR_PLAIN : SCALAR_WRONG;
}
