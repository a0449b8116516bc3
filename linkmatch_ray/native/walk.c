/* The walk: from place to place, through the grammar, to records and their keys. Compiled once a level.
 *
 * One label for each token that is waited for; `goto` instead of a table of states, as the next token can then be
 * predicted from where the last one was. What a call cannot finish it leaves in the state (see api.h).
 */

/* Waits for `count` places, with what to wait for again if the window ends before. */
#define WAIT(count, PLACE)                                             \
    do {                                                               \
        if (UNLIKELY((count) == 1 ? p == stop : stop - p < (count))) { \
            r.next = p;                                                \
            const int has_more = refill(&r, count);                    \
            p = r.next;                                                \
            stop = r.stop;                                             \
            if (!has_more) {                                           \
                place = PLACE;                                         \
                goto window_end;                                       \
            }                                                          \
        }                                                              \
    } while (0)

#define WRONG(AT, WHAT)   \
    do {                  \
        wrong_at = (AT);  \
        damage = (WHAT);  \
        goto wrong;       \
    } while (0)

/* Reads a value in a container, which CLOSE closes; `child` is its node. A string is whole if what may follow it does:
 * what is wrong in it would be the next place. */
#define VALUE(PLACE, NEXT, CLOSE)                                                    \
    WAIT(1, PLACE);                                                                  \
    switch (bytes[*p]) {                                                             \
    case '"':                                                                        \
        WAIT(2, PLACE);                                                              \
        if (UNLIKELY(bytes[p[1]] != ',' && bytes[p[1]] != CLOSE))                    \
            WRONG(p[1], LM_GRAMMAR);                                                 \
        if (UNLIKELY(child))                                                         \
            take_string(&r, child, p[0], p[1]);                                      \
        p++;                                                                         \
        goto NEXT;                                                                   \
    case '{': case '[':                                                              \
        if (UNLIKELY(depth == LM_DEPTH_MAX))                                         \
            WRONG(*p, LM_TOO_DEEP);                                                  \
        stack[++depth] = bytes[*p];                                                  \
        if (UNLIKELY(child)) {                                                       \
            enter(&r, child, depth, *p);                                             \
            node = child;                                                            \
            names = names_below(&r, node);                                           \
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
        WRONG(*p, LM_SCALAR);                                                        \
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
    beginning names = names_below(&r, node);

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
        goto comma_end; /* a comma would not stand behind the value */
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
    if (config->flags & LM_ONE_ARRAY) {
        place = LM_STOPPED;
        status = LM_DONE;
        goto suspend;
    }
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
            names = names_below(&r, 0);
            enter(&r, 0, 1, p[-1]);
        }
        goto object_first;
    case '"':
        if (stop - p < 2) {
            r.next = p;
            refill(&r, 2);
            p = r.next;
            stop = r.stop;
        }
        if (stop - p < 2 && (!r.is_last || r.stage1.in_string)) {
            place = state->in_array ? LM_ELEMENT : LM_TOP;
            goto window_end;
        }
        wrong_at = stop - p < 2 ? r.end : p[1];
        scalar_end = string_end(bytes, *p, wrong_at);
        if (!scalar_end)
            WRONG(wrong_at, LM_GRAMMAR);
        p++;
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
        WRONG(*p, LM_SCALAR);
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
    if (LIKELY(stop - p >= 4 && bytes[p[0]] == '"' && bytes[p[1]] == ':')) {
        child = depth == watched ? child_named(&r, node, depth, names, p[0], p[1]) : 0;
        p += 2;
        if (bytes[p[0]] != '"' || bytes[p[1]] != ',')
            goto member;
        if (UNLIKELY(child))
            take_string(&r, child, p[0], p[1]);
        p += 2;
        goto name;
    }
    WAIT(1, LM_NAME);
    if (UNLIKELY(bytes[*p] != '"'))
        WRONG(*p, LM_GRAMMAR);
    WAIT(2, LM_NAME);
    if (UNLIKELY(bytes[p[1]] != ':'))
        WRONG(p[1], LM_GRAMMAR);
    child = depth == watched ? child_named(&r, node, depth, names, p[0], p[1]) : 0;
    p += 2;

member:
    VALUE(LM_MEMBER, member_next, '}');

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
    VALUE(LM_ARRAY_VALUE, array_next, ']');

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
        names = names_below(&r, node);
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
        state->at = status == LM_DONE ? state->value_end : state->damage_at;
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
