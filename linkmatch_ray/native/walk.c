/* The walk: from place to place, through the grammar, to records and their keys. Compiled once a level.
 *
 * One label for each token that is waited for; `goto` instead of a table of states, as the next token can then be
 * predicted from where the last one was. What a call cannot finish it leaves in the state (see api.h).
 */
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

INLINE int has_backslash(const reader *r, uint32_t from, uint32_t to)
{
    return r->stage1.last_backslash > from && find_byte(r->bytes, from, to, '\\') < to;
}

/* ---- keys */

/* The canonical bytes of a row's key, in the window or in the scratch; NULL where they are not known here. `escaped`
 * says which of its parts are strings with escapes. */
static const uint8_t *canonical_key(reader *r, const uint32_t *starts, const uint32_t *ends, uint64_t escaped,
                                    uint32_t *size)
{
    const uint32_t slots = r->config->slot_count;
    if (LIKELY(slots == 1 && !escaped)) {
        *size = ends[0] - starts[0];
        return r->bytes + starts[0];
    }
    uint32_t done = 0;
    if (slots > 1)
        r->scratch[done++] = '[';
    for (uint32_t slot = 0; slot < slots; slot++) {
        const uint32_t room = SCRATCH_BYTES - done - 1; /* one byte stays for what follows */
        uint32_t more = ends[slot] - starts[slot];
        if (escaped >> slot & 1)
            more = canonical_string(r->bytes, starts[slot], ends[slot], r->scratch + done, room);
        else if (more <= room)
            copy_bytes(r->scratch + done, r->bytes + starts[slot], more);
        if (!more || more > room)
            return NULL;
        done += more;
        if (slots > 1) {
            if (done + 2 > SCRATCH_BYTES)
                return NULL;
            r->scratch[done++] = slot + 1 < slots ? ',' : ']';
        }
    }
    *size = done;
    return r->scratch;
}

/* Writes the key as a row; 0 where it is not known here, or there is no room. */
static int write_row(reader *r)
{
    lm_state *state = r->state;
    lm_output *output = r->output;
    const uint32_t slots = r->config->slot_count, row = output->key_count;
    if (row == output->key_capacity)
        return 0;
    uint32_t *starts = output->key_starts + (uint64_t)row * slots, *ends = output->key_ends + (uint64_t)row * slots;
    for (uint32_t slot = 0; slot < slots; slot++) {
        const int is_there = state->present >> slot & 1;
        starts[slot] = is_there ? local(r, state->key_start[slot]) : 0;
        ends[slot] = is_there ? local(r, state->key_end[slot]) : 0;
    }
    uint32_t size;
    const uint8_t *key = NULL;
    output->hashes[row] = 0;
    if (state->present == r->all_slots && !state->doubted && !state->has_doubt && !state->has_bad)
        key = canonical_key(r, starts, ends, state->escaped, &size);
    if (key) {
        output->hashes[row] = hash_bytes(key, size);
        if (r->config->index)
            index_prefetch(r->config->index, output->hashes[row]);
    }
    if (output->key_records)
        output->key_records[row] = output->count;
    output->key_count++;
    return key != NULL;
}

/* Looks up the keys of records that are done. */
static void probe(reader *r)
{
    const lm_index *index = r->config->index;
    lm_output *output = r->output;
    const uint32_t slots = r->config->slot_count;
    for (uint32_t row = r->rows_probed; index && row < r->rows_done; row++) {
        if (LIKELY(!index_may_have(index, output->hashes[row])))
            continue;
        if (output->kinds[r->has_star ? output->key_records[row] : row] != LM_KEYED)
            continue;
        const uint32_t *starts = output->key_starts + (uint64_t)row * slots;
        const uint32_t *ends = output->key_ends + (uint64_t)row * slots;
        uint64_t escaped = 0;
        for (uint32_t slot = 0; slot < slots; slot++)
            if (r->bytes[starts[slot]] == '"' && find_byte(r->bytes, starts[slot], ends[slot], '\\') < ends[slot])
                escaped |= (uint64_t)1 << slot;
        uint32_t size = 0;
        const uint8_t *key = canonical_key(r, starts, ends, escaped, &size);
        const uint32_t place = key ? index_find(index, output->hashes[row], key, size) : LM_NONE;
        if (place != LM_NONE) {
            output->hit_rows[output->hit_count] = row;
            output->hit_places[output->hit_count++] = place;
        }
    }
    r->rows_probed = r->rows_done;
}

INLINE void forget_keys(lm_state *state, uint64_t slots)
{
    state->present &= ~slots;
    state->doubted &= ~slots;
    state->escaped &= ~slots;
}

/* With `[*]`: an element is read, which has a key of its own or none. */
NOINLINE static void end_binding(reader *r)
{
    lm_state *state = r->state;
    if (state->present == r->all_slots && !state->has_doubt && !write_row(r))
        state->has_doubt = 1;
}

/* Takes a value that is a part of the key, or the element that has one. */
static void take_key(reader *r, uint32_t child, uint32_t from, uint32_t to, int is_doubted, int is_escaped)
{
    const lm_node *node = node_of(r, child);
    lm_state *state = r->state;
    if (node->slot != LM_NONE) {
        const uint64_t bit = (uint64_t)1 << node->slot;
        state->key_start[node->slot] = r->base + from;
        state->key_end[node->slot] = r->base + to;
        state->present |= bit;
        state->doubted |= is_doubted ? bit : 0;
        state->escaped |= is_escaped ? bit : 0;
    }
    if (UNLIKELY(node->token & LM_BINDS))
        end_binding(r);
}

/* The node of the member whose name is bytes(from, to), or 0. The last of several members counts, so that what the
 * ones before gave is forgotten. */
NOINLINE static uint32_t named_child(reader *r, uint32_t parent, uint32_t depth, uint32_t from, uint32_t to)
{
    const uint8_t *text = r->bytes + from + 1;
    const uint32_t size = to - from - 1;
    lm_state *state = r->state;
    const int is_escaped = has_backslash(r, from + 1, to);
    for (uint32_t child = node_of(r, parent)->first; child; child = node_of(r, child)->next) {
        const lm_node *node = node_of(r, child);
        if (LIKELY(!is_escaped && size != node->size))
            continue;
        const uint8_t *name = r->config->names + node->name;
        if (!(node->token & LM_BY_NAME) || !(is_escaped ? stands_for(r->bytes, from + 1, to, name, node->size)
                                                        : same_bytes(text, name, size)))
            continue;
        forget_keys(state, node->slots);
        if (UNLIKELY(node->token & LM_ABOVE_STAR)) {
            state->has_doubt |= state->seen[depth];
            state->seen[depth] = 1;
        }
        return child;
    }
    return 0;
}

/* `named_child`, or 0 at once where no name is as long. */
INLINE uint32_t child_named(reader *r, uint32_t parent, uint32_t depth, uint32_t from, uint32_t to)
{
    if (LIKELY(r->stage1.last_backslash <= from)) {
        const lm_node *const nodes = r->config->nodes;
        uint32_t child = nodes[parent].first;
        while (child && nodes[child].size != to - from - 1)
            child = nodes[child].next;
        if (LIKELY(!child))
            return 0;
    }
    return named_child(r, parent, depth, from, to);
}

/* The node of the next element of the array that is open, or 0. */
static uint32_t element_child(reader *r, uint32_t parent, uint32_t depth)
{
    const uint32_t index = r->state->counters[depth]++;
    for (uint32_t child = node_of(r, parent)->first; child; child = node_of(r, child)->next) {
        const lm_node *node = node_of(r, child);
        if (node->token & LM_BINDS)
            forget_keys(r->state, r->all_slots);
        if ((node->token & LM_BY_STAR) || ((node->token & LM_BY_INDEX) && node->index == index))
            return child;
    }
    return 0;
}

/* Opens the container at `from` that is on a path. */
static void enter(reader *r, uint32_t node, uint32_t depth, uint32_t from)
{
    const lm_node *entered = node_of(r, node);
    lm_state *state = r->state;
    if (entered->slot != LM_NONE) {
        state->key_start[entered->slot] = r->base + from;
        if (r->config->flags & LM_DOUBT_CONTAINERS)
            state->doubted |= (uint64_t)1 << entered->slot;
    }
    state->counters[depth] = 0;
    state->seen[depth] = 0;
    if (r->bytes[from] == '{' && entered->first && (node_of(r, entered->first)->token & LM_BY_STAR))
        state->has_doubt = 1; /* RFC 9535 has `[*]` give all members; which of them are twice there is not known here */
}

/* Closes a container that is on a path, and whose last byte is before `to`. */
static void leave(reader *r, uint32_t node, uint32_t to)
{
    const lm_node *left = node_of(r, node);
    lm_state *state = r->state;
    if (left->slot != LM_NONE) {
        state->key_end[left->slot] = r->base + to;
        state->present |= (uint64_t)1 << left->slot;
    }
    if (UNLIKELY(left->token & LM_BINDS))
        end_binding(r);
}

/* ---- records */

/* Remembers that bytes of the open record before `to` are not UTF-8, before stage 1 forgets it. */
static void note_bad(reader *r, uint32_t to)
{
    lm_state *state = r->state;
    if (state->is_open && stage1_has_bad(&r->stage1, local(r, state->record), to))
        state->has_bad = 1;
}

static lm_state *begin_record(reader *r, uint32_t at)
{
    lm_state *state = r->state;
    state->record = r->base + at;
    state->present = state->doubted = state->escaped = 0;
    state->is_open = 1;
    state->has_doubt = state->has_bad = 0;
    r->first_row = r->output->key_count;
    return state;
}

/* Writes the open record, which ends before `end`; a line that is damaged has no key. */
static void write_record(reader *r, uint32_t end, int is_damaged)
{
    lm_state *state = r->state;
    lm_output *output = r->output;
    const uint32_t start = local(r, state->record), i = output->count;
    uint8_t kind = LM_KEYED;
    if (stage1_has_bad(&r->stage1, start, end))
        state->has_bad = 1;
    if (is_damaged || UNLIKELY(state->has_bad))
        kind = LM_DAMAGED;
    else if (r->bytes[start] != '{')
        kind = LM_NOT_OBJECT;
    else if (UNLIKELY(state->has_doubt))
        kind = LM_DOUBTED;
    else if (r->has_star)
        kind = output->key_count > r->first_row ? LM_KEYED : LM_MISSING;
    else if (state->present != r->all_slots)
        kind = LM_MISSING;
    if (r->has_star && kind != LM_KEYED)
        output->key_count = r->first_row;
    if (kind == LM_DAMAGED)
        state->present = 0;
    if (!r->has_star && r->all_slots && !write_row(r) && kind == LM_KEYED)
        kind = LM_DOUBTED;
    output->starts[i] = start;
    output->ends[i] = end;
    output->kinds[i] = kind;
    if (output->lines)
        output->lines[i] = (uint32_t)(state->line - r->first_line);
    output->count++;
    r->rows_done = output->key_count;
    state->is_open = 0;
}

/* Runs stage 1 until the walk has as many places as it asks for; 0 where the window ends before. */
NOINLINE static int refill(reader *r, uint32_t needed)
{
    uint32_t left = 0;
    while (r->next < r->stop)
        r->places[left++] = *r->next++;
    r->next = r->places;
    r->stop = r->places + left;
    while (r->stop - r->next < needed) {
        if (r->stage1.at >= r->end)
            return 0;
        note_bad(r, r->stage1.at);
        probe(r);
        r->stop = stage1_run(&r->stage1, r->bytes, r->end, r->is_lines, r->stop);
    }
    return 1;
}

/* Whether a comma behind a top-level value is the last thing on its line: 1, 0, or -1 where the window says not. */
static int comma_ends_line(const reader *r, uint32_t comma)
{
    uint32_t i = comma + 1;
    while (i < r->end && is_blank(r->bytes[i]))
        i++;
    if (i == r->end)
        return r->is_last ? 1 : -1;
    return r->bytes[i] == '\n';
}

/* Whether a number or word outside of containers may end at `end`: 1, 0, or -1 where the window says not. */
static int may_stand_alone(const reader *r, uint32_t end)
{
    if (r->is_lines || r->state->in_array || end == r->end)
        return 1;
    const uint8_t byte = r->bytes[end];
    if (byte == ',' && (r->config->flags & LM_COMMA_MAY_FOLLOW))
        return comma_ends_line(r, end);
    return is_blank(byte) || byte == '\n' || (byte == 0x1E && (r->config->flags & LM_RS_IS_WHITE));
}

/* ---- the grammar */

/* Waits for `count` places, with what to wait for again if the window ends before. */
#define WAIT(count, PLACE)                        \
    do {                                          \
        if (UNLIKELY(stop - p < (count))) {       \
            r.next = p;                           \
            const int has_more = refill(&r, count); \
            p = r.next;                           \
            stop = r.stop;                        \
            if (!has_more) {                      \
                place = PLACE;                    \
                goto window_end;                  \
            }                                     \
        }                                         \
    } while (0)

#define WRONG(AT, WHAT)   \
    do {                  \
        wrong_at = (AT);  \
        damage = (WHAT);  \
        goto wrong;       \
    } while (0)

/* Reads a value in a container; `child` is its node. */
#define VALUE(PLACE, NEXT)                                                           \
    WAIT(1, PLACE);                                                                  \
    switch (bytes[*p]) {                                                             \
    case '"':                                                                        \
        WAIT(2, PLACE);                                                              \
        if (UNLIKELY(bytes[p[1]] != '"'))                                            \
            WRONG(p[1], LM_GRAMMAR);                                                 \
        if (UNLIKELY(child))                                                         \
            take_key(&r, child, p[0], p[1] + 1, 0, has_backslash(&r, p[0], p[1]));   \
        p += 2;                                                                      \
        goto NEXT;                                                                   \
    case '{': case '[':                                                              \
        if (UNLIKELY(depth == LM_DEPTH_MAX))                                         \
            WRONG(*p, LM_TOO_DEEP);                                                  \
        stack[++depth] = bytes[*p];                                                  \
        if (UNLIKELY(child)) {                                                       \
            enter(&r, child, depth, *p);                                             \
            node = child;                                                            \
            watched = depth;                                                         \
        }                                                                            \
        if (bytes[*p++] == '{')                                                      \
            goto object_first;                                                       \
        goto array_first;                                                            \
    case '-': case '0': case '1': case '2': case '3': case '4':                      \
    case '5': case '6': case '7': case '8': case '9':                                \
        shape = read_number(bytes, *p, r.end, r.is_last, &scalar_end);               \
        break;                                                                       \
    case 't': case 'f': case 'n':                                                    \
        shape = read_word(bytes, *p, r.end, r.is_last, &scalar_end);                 \
        break;                                                                       \
    default:                                                                         \
        WRONG(*p, LM_GRAMMAR);                                                       \
    }                                                                                \
    if (UNLIKELY(shape == SCALAR_WRONG))                                             \
        WRONG(*p, LM_GRAMMAR);                                                       \
    if (UNLIKELY(shape == SCALAR_CUT)) {                                             \
        place = PLACE;                                                               \
        goto window_end;                                                             \
    }                                                                                \
    if (UNLIKELY(child))                                                             \
        take_key(&r, child, *p, scalar_end, shape == SCALAR_OTHER && doubts_numbers, 0); \
    p++;                                                                             \
    goto NEXT

uint32_t LM_SCAN(const lm_config *config, lm_state *state, const uint8_t *bytes, uint64_t base, uint64_t length,
                 uint32_t is_last, lm_output *output)
{
    reader r;
    r.config = config;
    r.state = state;
    r.output = output;
    r.bytes = bytes;
    r.base = base;
    r.first_line = state->line;
    r.all_slots = config->slot_count ? ~(uint64_t)0 >> (64 - config->slot_count) : 0;
    r.end = (uint32_t)length;
    r.is_last = is_last != 0;
    r.is_lines = config->mode == LM_LINES;
    r.has_star = 0;
    for (uint32_t i = 0; i < config->node_count; i++)
        r.has_star |= (config->nodes[i].token & LM_BINDS) != 0;
    if (r.all_slots && (r.has_star ? !output->key_records
                                   : output->key_count != output->count || output->key_capacity < output->capacity))
        return LM_MISUSE;
    r.first_row = r.rows_done = r.rows_probed = output->key_count;
    r.next = r.stop = r.places;
    stage1_begin(&r.stage1, (uint32_t)(state->at - base));

    const int doubts_numbers = (config->flags & LM_DOUBT_NUMBERS) != 0;
    const int comma_may_follow = (config->flags & LM_COMMA_MAY_FOLLOW) != 0;
    const int rs_is_white = (config->flags & LM_RS_IS_WHITE) != 0;
    uint8_t *const stack = state->stack;
    uint32_t *p = r.next, *stop = r.stop;
    uint32_t place = state->place, depth = state->depth, watched = state->watched;
    uint32_t node = state->node, child = state->child;
    uint32_t wrong_at = 0, damage = LM_NO_DAMAGE, scalar_end = 0, status = LM_MORE;
    scalar_shape shape;

    switch (place) {
    case LM_TOP: goto top;
    case LM_BEHIND: goto behind;
    case LM_LINE_END: goto line_end;
    case LM_COMMA_END: goto comma_end;
    case LM_SKIP: wrong_at = r.stage1.at; goto wrong;
    case LM_ELEMENT_FIRST: goto element_first;
    case LM_ELEMENT: goto element;
    case LM_ELEMENT_NEXT: goto element_next;
    case LM_ARRAY_FIRST: goto array_first;
    case LM_ARRAY_VALUE: goto array_value;
    case LM_ARRAY_NEXT: goto array_next;
    case LM_OBJECT_FIRST: goto object_first;
    case LM_NAME: goto name;
    case LM_COLON: goto colon;
    case LM_MEMBER: goto member;
    case LM_MEMBER_NEXT: goto member_next;
    default: return LM_DAMAGE;
    }

    /* -- outside of records */

behind:
    WAIT(1, LM_BEHIND);
    if (bytes[*p] == ',' && comma_may_follow) {
        for (uint32_t i = local(&r, state->value_end); i < *p; i++)
            if (!is_blank(bytes[i]))
                WRONG(*p, LM_GRAMMAR);
        const int is_end = comma_ends_line(&r, *p);
        if (is_end < 0) {
            place = LM_BEHIND;
            goto window_end;
        }
        if (!is_end)
            WRONG(*p, LM_GRAMMAR);
        p++;
    }

top:
    WAIT(1, LM_TOP);
    if (r.is_lines && bytes[*p] == '\n') {
        state->line++;
        p++;
        goto top;
    }
    if (bytes[*p] == 0x1E && rs_is_white) {
        p++;
        goto top;
    }
    if (bytes[*p] == '[' && !r.is_lines && !(config->flags & LM_ARRAYS_ARE_RECORDS)) {
        state->in_array = 1;
        p++;
        goto element_first;
    }
    goto record;

line_end:
    WAIT(1, LM_LINE_END);
    if (LIKELY(bytes[*p] == '\n')) {
        write_record(&r, local(&r, state->value_end), 0);
        state->line++;
        p++;
        goto top;
    }
    if (bytes[*p] == 0x1E && rs_is_white) {
        p++;
        goto line_end;
    }
    if (bytes[*p] != ',' || !comma_may_follow)
        WRONG(*p, LM_GRAMMAR);
    p++;

comma_end:
    WAIT(1, LM_COMMA_END);
    if (bytes[*p] != '\n')
        WRONG(*p, LM_GRAMMAR);
    write_record(&r, local(&r, state->value_end), 0);
    state->line++;
    p++;
    goto top;

element_first:
    WAIT(1, LM_ELEMENT_FIRST);
    if (bytes[*p] == ']')
        goto array_end;

element:
    WAIT(1, LM_ELEMENT);
    goto record;

element_next:
    WAIT(1, LM_ELEMENT_NEXT);
    if (state->is_open && (bytes[*p] == ',' || bytes[*p] == ']'))
        write_record(&r, local(&r, state->value_end), 0);
    if (LIKELY(bytes[*p] == ',')) {
        p++;
        goto element;
    }
    if (bytes[*p] != ']')
        WRONG(*p, LM_GRAMMAR);

array_end:
    state->in_array = 0;
    state->value_end = base + *p++ + 1;
    goto behind;

    /* -- a record */

record:
    if (UNLIKELY(output->count == output->capacity || (r.has_star && output->key_count == output->key_capacity))) {
        place = state->in_array ? LM_ELEMENT : LM_TOP;
        status = LM_FULL;
        goto suspend;
    }
    begin_record(&r, *p);
    depth = watched = node = child = 0;
    switch (bytes[*p]) {
    case '{': case '[':
        depth = 1;
        stack[1] = bytes[*p];
        if (bytes[*p++] == '[')
            goto array_first;
        if (r.all_slots) {
            watched = 1;
            enter(&r, 0, 1, p[-1]);
        }
        goto object_first;
    case '"':
        WAIT(2, state->in_array ? LM_ELEMENT : LM_TOP);
        if (bytes[p[1]] != '"')
            WRONG(p[1], LM_GRAMMAR);
        scalar_end = p[1] + 1;
        p += 2;
        goto record_end;
    case '-': case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9':
        shape = read_number(bytes, *p, r.end, r.is_last, &scalar_end);
        break;
    case 't': case 'f': case 'n':
        shape = read_word(bytes, *p, r.end, r.is_last, &scalar_end);
        break;
    default:
        if (!r.is_lines)
            state->is_open = 0; /* no record begins here */
        WRONG(*p, LM_GRAMMAR);
    }
    if (shape == SCALAR_WRONG)
        WRONG(*p, LM_GRAMMAR);
    const int stands = shape == SCALAR_CUT ? -1 : may_stand_alone(&r, scalar_end);
    if (!stands)
        WRONG(scalar_end, LM_GRAMMAR);
    if (stands < 0) {
        place = state->in_array ? LM_ELEMENT : LM_TOP;
        goto window_end;
    }
    p++;

record_end: /* at scalar_end */
    state->value_end = base + scalar_end;
    if (r.is_lines)
        goto line_end;
    if (state->in_array)
        goto element_next;
    write_record(&r, scalar_end, 0);
    goto behind;

    /* -- in a record */

object_first:
    WAIT(1, LM_OBJECT_FIRST);
    if (bytes[*p] == '}')
        goto close;

name:
    /* A member with a string is the commonest: it is read without asking before each place whether it is there. */
    if (LIKELY(stop - p >= 6 && bytes[p[0]] == '"' && bytes[p[1]] == '"' && bytes[p[2]] == ':')) {
        child = depth == watched ? child_named(&r, node, depth, p[0], p[1]) : 0;
        p += 3;
        if (bytes[p[0]] != '"' || bytes[p[1]] != '"')
            goto member;
        if (UNLIKELY(child))
            take_key(&r, child, p[0], p[1] + 1, 0, has_backslash(&r, p[0], p[1]));
        p += 2;
        if (LIKELY(bytes[*p] == ',')) {
            p++;
            goto name;
        }
        goto member_next;
    }
    WAIT(1, LM_NAME);
    if (UNLIKELY(bytes[*p] != '"'))
        WRONG(*p, LM_GRAMMAR);
    WAIT(2, LM_NAME);
    if (UNLIKELY(bytes[p[1]] != '"'))
        WRONG(p[1], LM_GRAMMAR);
    child = depth == watched ? child_named(&r, node, depth, p[0], p[1]) : 0;
    p += 2;

colon:
    WAIT(1, LM_COLON);
    if (UNLIKELY(bytes[*p] != ':'))
        WRONG(*p, LM_GRAMMAR);
    p++;

member:
    VALUE(LM_MEMBER, member_next);

member_next:
    WAIT(1, LM_MEMBER_NEXT);
    if (LIKELY(bytes[*p] == ',')) {
        p++;
        goto name;
    }
    if (LIKELY(bytes[*p] == '}'))
        goto close;
    WRONG(*p, LM_GRAMMAR);

array_first:
    WAIT(1, LM_ARRAY_FIRST);
    if (bytes[*p] == ']')
        goto close;

array_begin:
    child = depth == watched ? element_child(&r, node, depth) : 0;

array_value:
    VALUE(LM_ARRAY_VALUE, array_next);

array_next:
    WAIT(1, LM_ARRAY_NEXT);
    if (LIKELY(bytes[*p] == ',')) {
        p++;
        goto array_begin;
    }
    if (UNLIKELY(bytes[*p] != ']'))
        WRONG(*p, LM_GRAMMAR);

close:
    scalar_end = *p++ + 1;
    if (UNLIKELY(depth == watched)) {
        leave(&r, node, scalar_end);
        node = node_of(&r, node)->parent;
        watched--;
    }
    if (--depth == 0)
        goto record_end;
    if (stack[depth] == '{')
        goto member_next;
    goto array_next;

    /* -- what ends a call */

wrong: /* at wrong_at; in LINES the line is damaged, and reading goes on behind its newline */
    if (r.is_lines) {
        const uint32_t newline = find_byte(bytes, wrong_at, r.end, '\n');
        p = stop = r.next = r.stop = r.places;
        if (newline == r.end && !r.is_last) {
            r.stage1.at = r.end;
            place = LM_SKIP;
            goto suspend;
        }
        uint32_t line_end_at = newline;
        while (is_blank(bytes[line_end_at - 1])) /* ends at the record's first byte, which is not blank */
            line_end_at--;
        write_record(&r, line_end_at, 1);
        stage1_begin(&r.stage1, newline);
        if (newline < r.end) {
            state->line++;
            r.stage1.at++;
        }
        goto top;
    }
    state->damage = damage;
    state->damage_at = base + wrong_at;
    place = LM_STOPPED;
    status = LM_DAMAGE;
    goto suspend;

window_end:
    if (r.is_last) {
        const int is_record_whole = p == stop && (place == LM_LINE_END || place == LM_COMMA_END);
        if (is_record_whole) {
            write_record(&r, local(&r, state->value_end), 0);
            place = LM_TOP;
        }
        if (p < stop || (place != LM_TOP && place != LM_BEHIND))
            WRONG(r.end, LM_TRUNCATED);
        status = LM_DONE;
    } else if (place == LM_TOP || place == LM_ELEMENT || place == LM_ELEMENT_FIRST) {
        state->is_open = 0; /* its first token is deferred */
    } else if (place == LM_BEHIND && p == stop) {
        if (find_byte(bytes, local(&r, state->value_end), r.end, '\n') < r.end)
            place = LM_TOP; /* a comma would not stand on the value's line */
        state->value_end = base + r.end;
    }

suspend:
    state->at = base + (p < stop ? *p : r.stage1.at);
    if (place == LM_STOPPED)
        state->at = state->damage_at;
    if (r.has_star) /* rows are not written in halves */
        output->key_count = r.rows_done;
    if (r.has_star && state->is_open && place != LM_SKIP && place != LM_STOPPED) {
        state->at = state->record;
        state->is_open = 0;
        place = state->in_array ? LM_ELEMENT : LM_TOP;
    }
    note_bad(&r, (uint32_t)(state->at - base));
    state->keep = state->is_open ? state->record : state->at;
    state->place = place;
    state->depth = depth;
    state->watched = watched;
    state->node = node;
    state->child = child;
    probe(&r);
    return status;
}
