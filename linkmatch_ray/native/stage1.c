/* Stage 1: 64 bytes at a time to the places where the walk must look. Compiled once a level, as part of level.c.
 *
 * A place is the quote that opens a string, a bracket, colon or comma outside of strings, the first byte of a number or
 * word; in LINES a newline. (Not the quote that closes a string: it is found back from the next place.) Whatever is
 * wrong is a place too: a control character, the backslash of an escape that does not exist. The walk meets it where it
 * expects something else, so that errors cost it nothing to look for. Only bytes that are not UTF-8 are said apart: they
 * damage a record and not its grammar.
 */
enum { RUN_BYTES = 8192, RUN_BYTES_AFRESH = 256, AHEAD_BYTES = 1024 };

typedef struct {
    uint64_t in_string;    /* all ones inside a string */
    uint64_t escaped;      /* 1: the next byte is escaped */
    uint64_t after_scalar; /* 1: the byte before is one of a number, a word or a string's inside */
    utf8_state utf8;
    uint32_t at;            /* the next byte */
    uint32_t run;           /* bytes to take at once: few where it begins afresh, since that may be soon again */
    uint32_t bad_at;        /* the block that has bytes which are not UTF-8, and which; a run ends with it */
    uint64_t bad;
    uint32_t last_backslash; /* behind the last one met; 0 is none */
} stage1;

INLINE void stage1_begin(stage1 *s, uint32_t at)
{
    s->in_string = s->escaped = s->after_scalar = 0;
    utf8_begin(&s->utf8);
    s->at = at;
    s->run = RUN_BYTES_AFRESH;
    s->bad = 0;
    s->bad_at = 0;
    s->last_backslash = 0;
}

/* Those of the escaped bytes of a block that make no escape. Digits behind the window's end are not looked for: a
 * string that has them does not end in it. */
NOINLINE static uint64_t wrong_escapes(const uint8_t *bytes, uint32_t at, uint32_t end, uint64_t escaped)
{
    uint64_t wrong = 0;
    for (; escaped; escaped &= escaped - 1) {
        const uint32_t place = at + (uint32_t)__builtin_ctzll(escaped);
        if (place >= end)
            break;
        int is_right;
        switch (bytes[place]) {
        case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
            is_right = 1;
            break;
        case 'u':
            is_right = 1;
            for (uint32_t i = place + 1; i < end && i < place + 5; i++)
                is_right &= hex_digit(bytes[i]) >= 0;
            break;
        default:
            is_right = 0;
        }
        if (!is_right)
            wrong |= escaped & -escaped;
    }
    return wrong;
}

/* Which bytes a backslash escapes: those behind a run of backslashes of odd length (simdjson's arithmetic). */
INLINE uint64_t escaped_bytes(stage1 *s, uint64_t backslash)
{
    const uint64_t odd_bits = 0xAAAAAAAAAAAAAAAAu, before = s->escaped;
    if (LIKELY(!backslash)) {
        s->escaped = 0;
        return before;
    }
    const uint64_t may_escape = backslash & ~before;
    const uint64_t codes = (((may_escape << 1) | odd_bits) - may_escape) ^ odd_bits;
    s->escaped = (codes & backslash) >> 63;
    return codes ^ (backslash | before);
}

/* Takes a run of blocks of bytes[s->at, end) and appends the places; returns behind the last. Writes at most
 * RUN_BYTES + BLOCK + 1 of them. */
static uint32_t *stage1_run(stage1 *state, const uint8_t *bytes, uint32_t end, int is_lines, uint32_t *places)
{
    stage1 now = *state, *s = &now; /* a copy, which no write of a place can change */
    uint8_t padded[BLOCK];
    const uint32_t left = end - s->at, stop = s->at + (left < s->run ? left : s->run);
    s->bad = 0;
    s->run = s->run < RUN_BYTES ? 2 * s->run : RUN_BYTES;
    while (s->at < stop) {
        const uint8_t *p = bytes + s->at;
        uint32_t size = BLOCK;
        if (UNLIKELY(end - s->at < BLOCK)) {
            size = end - s->at;
            for (uint32_t i = 0; i < BLOCK; i++)
                padded[i] = i < size ? p[i] : ' ';
            p = padded;
        }
        __builtin_prefetch((const void *)((uintptr_t)bytes + s->at + AHEAD_BYTES));
        classes c;
        classify(p, &c);
        const uint64_t escaped = escaped_bytes(s, c.backslash);
        const uint64_t quote = c.quote & ~escaped;
        const uint64_t inside = prefix_xor(quote) ^ s->in_string; /* with the opening quote, without the closing one */
        s->in_string = (uint64_t)((int64_t)inside >> 63);
        const uint64_t scalar = ~(c.op | c.white | c.control | c.quote);
        const uint64_t begins = scalar & ~(scalar << 1 | s->after_scalar);
        s->after_scalar = scalar >> 63;
        uint64_t found = (~inside & (c.op | (c.control & ~c.white) | begins)) | (inside & (quote | c.control));
        if (is_lines)
            found |= c.newline;
        if (UNLIKELY(c.backslash))
            s->last_backslash = s->at + BLOCK - (uint32_t)__builtin_clzll(c.backslash);
        if (UNLIKELY(escaped & inside)) {
            const uint64_t wrong = wrong_escapes(bytes, s->at, end, escaped & inside);
            found |= wrong >> 1;
            if (UNLIKELY(wrong & 1)) /* its backslash is in the block before */
                *places++ = s->at - 1;
        }
        const uint64_t bad = utf8_errors(&s->utf8, p, c.high);
        places = flatten(places, found, s->at);
        if (UNLIKELY(bad)) {
            s->bad = bad;
            s->bad_at = s->at;
            s->at += size;
            break;
        }
        s->at += size;
    }
    *state = now;
    return places;
}

/* Whether some of bytes[from, to) are not UTF-8, as far as the last run knows. */
INLINE int stage1_has_bad(const stage1 *s, uint64_t from, uint64_t to)
{
    if (LIKELY(!s->bad))
        return 0;
    uint64_t some = s->bad;
    if (from > s->bad_at)
        some = from - s->bad_at < BLOCK ? some & ~(uint64_t)0 << (from - s->bad_at) : 0;
    if (to < (uint64_t)s->bad_at + BLOCK)
        some = to > s->bad_at ? some & (((uint64_t)1 << (to - s->bad_at)) - 1) : 0;
    return some != 0;
}
