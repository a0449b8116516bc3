/* What one call of the kernel works on. Included once a level, as part of level.c. */

enum { SCRATCH_BYTES = 4096, SPARE_PLACES = BLOCK + 2 };

typedef struct {
    const lm_config *config;
    lm_state *state;
    lm_output *output;
    const uint8_t *bytes;
    uint64_t base, first_line, all_slots;
    uint32_t end;
    int is_last, is_lines, has_star;
    uint32_t first_row; /* where the rows of the open record begin */
    uint32_t rows_done, rows_probed;
    uint32_t *next, *stop; /* places that the walk has not come to */
    stage1 stage1;
    uint8_t scratch[SCRATCH_BYTES];
    uint32_t places[RUN_BYTES + SPARE_PLACES];
} reader;

/* A place in the window of an offset in the stream; what lies before the window is at 0. */
INLINE uint32_t local(const reader *r, uint64_t offset)
{
    return offset > r->base ? (uint32_t)(offset - r->base) : 0;
}

INLINE const lm_node *node_of(const reader *r, uint32_t node)
{
    return r->config->nodes + node;
}

/* The quote that closes the string before `next`, the next place: between them is only white space. */
INLINE uint32_t closing_quote(const reader *r, uint32_t next)
{
    do
        next--;
    while (r->bytes[next] != '"');
    return next;
}

INLINE int has_backslash(const reader *r, uint32_t from, uint32_t to)
{
    return r->stage1.last_backslash > from && find_byte(r->bytes, from, to, '\\') < to;
}
