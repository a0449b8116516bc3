/* Numbers and words: what stands between two tokens outside of strings. Compiled once a level, as part of level.c. */

enum { PLAIN_DIGITS_MAX = 18 }; /* core/keys.py spells integers out up to 20 digits */

/* What a scalar is; `end` is behind it. */
typedef enum { SCALAR_WRONG, SCALAR_CUT, SCALAR_PLAIN, SCALAR_OTHER } scalar_shape;

/* Whether a byte may stand behind a number or word: white space, a control character, `"` or an operator. (Which of
 * them may stand there, the walk sees when it comes to it.) */
static const uint8_t may_follow_scalar[256] = {
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, [' '] = 1,
    ['"'] = 1, [','] = 1, [':'] = 1, ['['] = 1, [']'] = 1, ['{'] = 1, ['}'] = 1};

/* Reads a number at `from`; PLAIN where its text is its canonical text. CUT where it goes on at the window's end. */
static scalar_shape read_number(const uint8_t *bytes, uint32_t from, uint32_t end, int is_last, uint32_t *stop)
{
    uint32_t i = from + (bytes[from] == '-');
    const uint32_t first = i;
    scalar_shape shape = SCALAR_PLAIN;
    while (i < end && is_digit(bytes[i]))
        i++;
    if (i == first || (bytes[first] == '0' && i > first + 1))
        return i == end && !is_last ? SCALAR_CUT : SCALAR_WRONG;
    if (i - first > PLAIN_DIGITS_MAX || (first > from && bytes[first] == '0'))
        shape = SCALAR_OTHER;
    if (i < end && bytes[i] == '.') {
        const uint32_t fraction = ++i;
        while (i < end && is_digit(bytes[i]))
            i++;
        if (i == fraction)
            return i == end && !is_last ? SCALAR_CUT : SCALAR_WRONG;
        shape = SCALAR_OTHER;
    }
    if (i < end && (bytes[i] | 0x20) == 'e') {
        i++;
        if (i < end && (bytes[i] == '+' || bytes[i] == '-'))
            i++;
        const uint32_t exponent = i;
        while (i < end && is_digit(bytes[i]))
            i++;
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
