/* Strings, whose escapes stage 1 has found to be sound. Compiled once a level, as part of level.c. */

/* Behind the quote that closes the string at `from`; 0 if it is not before `to`. */
static uint32_t string_end(const uint8_t *bytes, uint32_t from, uint32_t to)
{
    uint32_t i = from + 1;
    while (i < to && bytes[i] != '"')
        i += bytes[i] == '\\' ? 2 : 1;
    return i < to ? i + 1 : 0;
}

/* The code unit of four hexadecimal digits. */
INLINE uint32_t code_unit(const uint8_t *p)
{
    return (uint32_t)(hex_digit(p[0]) << 12 | hex_digit(p[1]) << 8 | hex_digit(p[2]) << 4 | hex_digit(p[3]));
}

INLINE uint32_t utf8_encoded(uint32_t code, uint8_t out[4])
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xC0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xE0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (code & 0x3F));
    return 4;
}

/* What the escape at bytes[*at] stands for, in UTF-8; moves behind it. Returns its size, 0 for a lone surrogate. */
static uint32_t unescaped(const uint8_t *bytes, uint32_t *at, uint32_t end, uint8_t out[4])
{
    const uint8_t letter = bytes[*at + 1];
    *at += 2;
    switch (letter) {
    case 'b': out[0] = '\b'; return 1;
    case 'f': out[0] = '\f'; return 1;
    case 'n': out[0] = '\n'; return 1;
    case 'r': out[0] = '\r'; return 1;
    case 't': out[0] = '\t'; return 1;
    case 'u': break;
    default: out[0] = letter; return 1;
    }
    uint32_t code = code_unit(bytes + *at);
    *at += 4;
    if (code >= 0xDC00 && code < 0xE000)
        return 0;
    if (code >= 0xD800 && code < 0xDC00) {
        if (end - *at < 6 || bytes[*at] != '\\' || bytes[*at + 1] != 'u')
            return 0;
        const uint32_t low = code_unit(bytes + *at + 2);
        if (low < 0xDC00 || low >= 0xE000)
            return 0;
        *at += 6;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    return utf8_encoded(code, out);
}

/* Whether a string's inside, bytes[from, end), stands for a text. A lone surrogate stands for no text. */
NOINLINE static int stands_for(const uint8_t *bytes, uint32_t from, uint32_t end, const uint8_t *text, uint32_t size)
{
    uint32_t done = 0;
    while (from < end) {
        uint8_t out[4];
        uint32_t more = 1;
        if (bytes[from] == '\\') {
            more = unescaped(bytes, &from, end, out);
            if (!more)
                return 0;
        } else {
            out[0] = bytes[from++];
        }
        if (more > size - done)
            return 0;
        for (uint32_t i = 0; i < more; i++)
            if (out[i] != text[done++])
                return 0;
    }
    return done == size;
}

/* Writes a string without its escapes, between quotes; returns its size, or 0 where that is not its canonical text (it
 * needs escapes) or longer than there is room. */
NOINLINE static uint32_t canonical_string(const uint8_t *bytes, uint32_t from, uint32_t end, uint8_t *to, uint32_t room)
{
    uint32_t size = 0;
    to[size++] = '"';
    from++;
    end--;
    while (from < end) {
        uint8_t out[4];
        uint32_t more = 1;
        if (bytes[from] == '\\') {
            more = unescaped(bytes, &from, end, out);
            if (!more || out[0] < 0x20 || out[0] == '"' || out[0] == '\\')
                return 0;
        } else {
            out[0] = bytes[from++];
        }
        if (size + more + 1 > room)
            return 0;
        for (uint32_t i = 0; i < more; i++)
            to[size++] = out[i];
    }
    to[size++] = '"';
    return size;
}
