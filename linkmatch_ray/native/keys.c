/* The key of a record: which values are its parts, what its canonical bytes are, and whether it is on the list.
 * Compiled once a level, as part of level.c. */

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

/* Takes the string at `from`, before the place `next`, as `take_key` does. */
NOINLINE static void take_string(reader *r, uint32_t child, uint32_t from, uint32_t next)
{
    const uint32_t to = closing_quote(r, next);
    take_key(r, child, from, to + 1, 0, has_backslash(r, from, to));
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

/* What the next names are compared with first: those of a node with one child begin as `head` says, in the bytes that
 * `mask` has. Nothing is equal below a node without children, and everything below one with several. */
typedef struct {
    uint64_t head, mask;
} beginning;

INLINE beginning names_below(const reader *r, uint32_t parent)
{
    const uint32_t child = node_of(r, parent)->first;
    if (!child)
        return (beginning){1, 0};
    if (node_of(r, child)->next)
        return (beginning){0, 0};
    return (beginning){node_of(r, child)->head, node_of(r, child)->mask};
}

/* `named_child` of the name at `from`, whose colon is at `colon`; 0 at once if it does not begin so. */
INLINE uint32_t child_named(reader *r, uint32_t parent, uint32_t depth, beginning names, uint32_t from, uint32_t colon)
{
    if (LIKELY(r->stage1.last_backslash <= from && r->end - from >= 8 &&
               (load64(r->bytes + from) & names.mask) != names.head))
        return 0;
    return named_child(r, parent, depth, from, closing_quote(r, colon));
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
