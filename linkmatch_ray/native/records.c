/* Records: begun, written, and the places that the walk comes to next. Compiled once a level, as part of level.c. */

/* Remembers that bytes of the open record before `to` are not UTF-8, before stage 1 forgets it. */
static void note_bad(reader *r, uint32_t to)
{
    lm_state *state = r->state;
    if (state->is_open && stage1_has_bad(&r->stage1, local(r, state->record), to))
        state->has_bad = 1;
}

static void begin_record(reader *r, uint32_t at)
{
    lm_state *state = r->state;
    state->record = r->base + at;
    state->present = state->doubted = state->escaped = 0;
    state->is_open = 1;
    state->has_doubt = state->has_bad = 0;
    r->first_row = r->output->key_count;
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
        output->lines[i] = r->is_lines ? (uint32_t)(state->line - r->first_line) : state->in_array;
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
