/* Looks for inputs that the kernel reads wrongly.
 *
 * The first eight bytes of an input say how the rest is read: mode, flags, paths, room, cuts. It is read at each level,
 * whole and in windows, in memory of exactly their size, so that AddressSanitizer sees every byte too many; all must
 * agree with one another and with reference.h. With libFuzzer (-DLIBFUZZER) the inputs are its own; else:
 *
 *   fuzz_kernel FILE...                reads files as inputs, as libFuzzer would
 *   fuzz_kernel -p FILE...             prints what is found in files, read with the first options
 *   fuzz_kernel -n COUNT [-s SEED] FILE...  makes inputs: tokens in any order, and files of text, mangled
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../../linkmatch_ray/native/api.h"
#include "keys.h"
#include "reference.h"

#ifndef MORE_LEVELS
#define MORE_LEVELS 0 /* of those that this processor has not, and that are compiled to do without */
#endif

enum { OPTION_BYTES = 9 };

static void fail(const char *what)
{
    fprintf(stderr, "fuzz_kernel: %s\n", what);
    abort();
}

static void check(int is_so, const char *what)
{
    if (!is_so)
        fail(what);
}

/* ---- what is looked for */

/* Paths are separated by blanks and steps by points: `*`, `[1]` (an index only), `1` (a name or an index), a name. */
static const char *const all_paths[] = {
    "data", "a.b", "a.[1] b", "a.*", "a.*.*.b", "", "a.1", "a a.b \xC3\xA9", "a.*.a a.*.b", "b.0.*.1 b.0.*",
    "a.a.a.a.b.1.b.b.b"};
enum { PATHS = sizeof all_paths / sizeof *all_paths, NODES_MAX = 12 };

typedef struct {
    lm_node nodes[NODES_MAX];
    uint8_t names[64];
    uint32_t node_count, slot_count, name_bytes;
    int has_star;
} tree;

/* The child of a node for a step, which is made if it is not there. */
static uint32_t child_for(tree *t, uint32_t parent, const char *step, size_t size)
{
    lm_node made = {.parent = parent, .slot = LM_NONE, .head = 1};
    if (*step == '*')
        made.token = LM_BY_STAR;
    else if (*step == '[' || (*step >= '0' && *step <= '9'))
        made.token = LM_BY_INDEX, made.index = (uint32_t)atoi(step + (*step == '['));
    if (!made.token || (made.token == LM_BY_INDEX && *step != '['))
        made.token |= LM_BY_NAME, made.name = t->name_bytes, made.size = (uint32_t)size;
    uint32_t *link = &t->nodes[parent].first;
    for (; *link; link = &t->nodes[*link].next) {
        const lm_node *known = t->nodes + *link;
        if ((known->token & 7) == made.token && known->index == made.index && known->size == made.size &&
            !memcmp(t->names + known->name, step, made.size))
            return *link;
    }
    memcpy(t->names + t->name_bytes, step, made.size);
    if (made.token & LM_BY_NAME) {
        uint8_t quoted[2 + 64] = "\"";
        memcpy(quoted + 1, step, made.size);
        quoted[1 + made.size] = '"';
        made.mask = made.size < 6 ? ((uint64_t)1 << 8 * (made.size + 2)) - 1 : ~(uint64_t)0;
        memcpy(&made.head, quoted, 8);
        made.head &= made.mask;
    }
    t->name_bytes += made.size;
    t->nodes[t->node_count] = made;
    return *link = t->node_count++;
}

static tree make_tree(const char *paths)
{
    tree t = {.node_count = 1, .nodes = {{.slot = LM_NONE}}};
    uint32_t last_star = 0;
    while (*paths) {
        const uint64_t bit = (uint64_t)1 << t.slot_count;
        uint32_t at = 0;
        t.nodes[0].slots |= bit;
        for (int has_more = 1; has_more; has_more = *paths == '.', paths += *paths != 0) {
            const size_t size = strcspn(paths, ". ");
            at = child_for(&t, at, paths, size);
            t.nodes[at].slots |= bit;
            last_star = *paths == '*' ? at : last_star;
            paths += size;
        }
        t.nodes[at].slot = t.slot_count++;
    }
    t.has_star = last_star != 0;
    t.nodes[last_star].token |= last_star ? LM_BINDS : 0;
    for (; last_star; last_star = t.nodes[last_star].parent)
        t.nodes[last_star].token |= LM_ABOVE_STAR;
    return t;
}

enum { KEYS_MAX = 32, BLOB_BYTES = 512 };

typedef struct {
    uint64_t hashes[KEYS_MAX];
    int64_t starts[KEYS_MAX], ends[KEYS_MAX];
    uint8_t blob[BLOB_BYTES];
    uint64_t filter[2];
    uint32_t directory[3];
    lm_index index;
} list;

/* Canonical keys: those without numbers and containers, those with numbers, those with containers. */
static const char *const keys[3][12] = {
    {"\"a\"", "true", "null", "\"\xC3\xA9\"", "\"\\\"\"", "\"\\n\"", "[\"a\",null]", "[\"a\",\"b\"]", "[null,true]"},
    {"1", "0", "15e-1", "-1", "1e400", "123456789012345678", "12345678901234567890", "[\"a\",1]", "[1,null]", "[1,1]"},
    {"[]", "{}", "[[],1]", "[\"a\",{}]"}};
static tree trees[PATHS];
static list lists[4]; /* by what must be doubted for their sake: 1 numbers, 2 containers */

static list make_list(int with)
{
    list l = {0};
    uint32_t count = 0;
    int64_t at = 0;
    for (int kind = 0; kind < 3; kind++)
        for (const char *const *key = keys[kind]; *key && (!kind || with >> (kind - 1) & 1); key++) {
            const size_t size = strlen(*key);
            const uint64_t hash = lm_hash((text)*key, size);
            uint32_t place = count++;
            for (; place && l.hashes[place - 1] > hash; place--) {
                l.hashes[place] = l.hashes[place - 1];
                l.starts[place] = l.starts[place - 1];
                l.ends[place] = l.ends[place - 1];
            }
            l.hashes[place] = hash;
            l.starts[place] = at;
            memcpy(l.blob + at, *key, size);
            l.ends[place] = at += (int64_t)size;
            l.directory[1] += !(hash >> 63);
            l.filter[hash >> 63] |= (uint64_t)1 << (hash & 63) | (uint64_t)1 << (hash >> 6 & 63);
        }
    l.directory[2] = count;
    return l;
}

static void make_all(void)
{
    for (int paths = 0; paths < PATHS; paths++)
        trees[paths] = make_tree(all_paths[paths]);
    for (int with = 0; with < 4; with++) {
        list *l = lists + with;
        *l = make_list(with);
        l->index = (lm_index){.filter = l->filter, .hashes = l->hashes, .directory = l->directory, .starts = l->starts,
                              .ends = l->ends, .blob = l->blob, .filter_shift = 63, .directory_shift = 63,
                              .count = l->directory[2]};
    }
}

/* ---- a reading */

typedef struct {
    uint64_t start, end, line;
    uint64_t spans, hashes; /* digests of the rows */
    uint32_t hits;          /* a bit for each key of the list */
    uint8_t kind;
} record;

typedef struct {
    record *records;
    size_t count;
    uint32_t status, damage;
    uint64_t damage_at, failed_at, at;
} result;

typedef struct {
    uint32_t mode, flags, paths, capacity, key_capacity, windows, place;
    int keeps_all; /* windows begin where the input does, as those of core/scan.py */
    uint64_t cuts, start;
} options;

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void *exactly(const void *from, size_t size)
{
    void *copy = malloc(size ? size : 1);
    if (size && from)
        memcpy(copy, from, size);
    return copy;
}

static uint64_t digest(uint64_t of, uint64_t more)
{
    return (of ^ more) * 0x100000001B3u + 1;
}

static void collect(result *r, const lm_output *out, uint64_t base, uint64_t line, const lm_config *config, int has_star)
{
    const uint32_t slots = config->slot_count;
    r->records = realloc(r->records, (r->count + out->count + 1) * sizeof(record));
    record *first = r->records + r->count;
    for (uint32_t i = 0; i < out->count; i++)
        first[i] = (record){.start = base + out->starts[i], .end = base + out->ends[i], .line = line + out->lines[i],
                            .kind = out->kinds[i]};
    for (uint32_t row = 0; row < out->key_count; row++) {
        const uint32_t owner = has_star ? out->key_records[row] : row;
        check(owner < out->count, "a row without a record");
        record *of = first + owner;
        if (of->kind != LM_KEYED)
            continue;
        of->hashes = digest(of->hashes, out->hashes[row]);
        for (uint32_t slot = row * slots; slot < (row + 1) * slots; slot++)
            of->spans = digest(digest(of->spans, base + out->key_starts[slot]), base + out->key_ends[slot]);
    }
    for (uint32_t hit = 0, row = 0; hit < out->hit_count; hit++) {
        check(hit == 0 || out->hit_rows[hit] > row, "hits out of order");
        row = out->hit_rows[hit];
        record *of = first + (has_star ? out->key_records[row] : row);
        check(of->kind == LM_KEYED, "a hit of a record without a key");
        check(out->hashes[row] == config->index->hashes[out->hit_places[hit]], "a hit of another hash");
        of->hits |= 1u << out->hit_places[hit];
    }
    r->count += out->count;
}

/* What is looked for. */
static lm_config config_of(const options *o, const tree *t, uint32_t level)
{
    return (lm_config){.nodes = t->nodes, .names = t->names, .index = &lists[o->flags >> 3 & 3].index,
                       .node_count = t->node_count, .slot_count = t->slot_count, .mode = o->mode, .flags = o->flags,
                       .level = level};
}

static result read_all(const options *o, uint32_t level, text data, size_t size, int in_windows)
{
    const tree *t = trees + o->paths;
    const uint32_t slots = t->slot_count;
    const int has_star = t->has_star;
    const lm_config config = config_of(o, t, level);
    const uint32_t capacity = in_windows ? o->capacity : (uint32_t)size + 1;
    /* with [*] the room decides which records are doubted, so it is the same */
    const uint32_t rows = has_star ? o->key_capacity : capacity;
    lm_output out = {.capacity = capacity, .key_capacity = rows};
    out.starts = malloc(capacity * 4);
    out.ends = malloc(capacity * 4);
    out.lines = malloc(capacity * 4);
    out.kinds = malloc(capacity);
    out.key_records = malloc(rows * 4);
    out.key_starts = malloc((size_t)rows * (slots + 1) * 4);
    out.key_ends = malloc((size_t)rows * (slots + 1) * 4);
    out.hashes = malloc(rows * 8);
    out.hit_rows = malloc(rows * 4);
    out.hit_places = malloc(rows * 4);
    lm_state *state = malloc(sizeof *state);
    result r = {0};
    lm_begin(state, o->start, o->place);
    uint64_t random = o->cuts, stop = o->start, line = 0;
    int full = 0;
    do {
        if (!full) {
            const uint64_t step = next_random(&random) % (o->windows + 1);
            stop = in_windows && step < size - stop ? stop + step : size;
        }
        const uint64_t base = o->keeps_all ? 0 : state->keep;
        uint8_t *window = exactly(data + base, stop - base);
        out.count = out.key_count = out.hit_count = 0;
        r.status = lm_scan(&config, state, window, base, stop - base, stop == size, &out);
        check(r.status != LM_MISUSE, "misuse");
        check(state->keep >= base && state->at >= state->keep && state->at <= stop, "the state is out of bounds");
        collect(&r, &out, base, line, &config, has_star);
        line = state->line;
        full = r.status == LM_FULL;
        check(!full || out.count, "full of nothing");
        free(window);
    } while (full || r.status == LM_MORE);
    r.at = state->at;
    if (r.status == LM_DAMAGE) {
        r.damage = state->damage;
        r.damage_at = state->damage_at;
        r.failed_at = state->is_open ? state->record : state->damage_at;
    }
    void *const all[] = {out.starts, out.ends, out.lines, out.kinds, out.key_records, out.key_starts, out.key_ends,
                         out.hashes, out.hit_rows, out.hit_places, state};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    return r;
}

static void check_same(const result *a, const result *b, int may_doubt)
{
    check(a->count == b->count && a->status == b->status, "other records, or another end");
    check(a->damage == b->damage && a->damage_at == b->damage_at && a->failed_at == b->failed_at, "other damage");
    check(a->at == b->at, "the reading ended elsewhere");
    for (size_t i = 0; i < a->count; i++) {
        const record *x = a->records + i, *y = b->records + i;
        check(x->start == y->start && x->end == y->end && x->line == y->line, "another span");
        if (may_doubt && (x->kind == LM_DOUBTED || y->kind == LM_DOUBTED))
            continue;
        check(x->kind == y->kind && x->spans == y->spans && x->hashes == y->hashes && x->hits == y->hits,
              "another kind or key");
    }
}

/* ---- what must be found */

typedef struct {
    const options *o;
    const lm_config *config;
    text data, end;
    uint64_t spans;
    uint32_t hits, rows;
    int may_doubt, must_doubt;
} expected;

/* Adds a key: where its parts are, what of the list it equals, whether it may or must be in doubt. */
static void take_row(void *context, const text *parts)
{
    expected *e = context;
    const uint32_t slots = e->config->slot_count;
    static uint8_t bytes[1 << 18];
    canonical_text key = {.bytes = bytes, .is_known = 1};
    size_t raw = 0;
    if (slots > 1)
        put(&key, "[", 1);
    for (uint32_t slot = 0; slot < slots; slot++) {
        text value = parts[slot], end = value_end(value, e->end, LM_DEPTH_MAX);
        e->spans = digest(digest(e->spans, (uint64_t)(value - e->data)), (uint64_t)(end - e->data));
        raw += (size_t)(end - value);
        canonical_text part = {.bytes = bytes + key.size, .is_known = 1};
        put_value(&part, value, end);
        key.size += part.size;
        const int is_looked_for = (!part.is_number || e->o->flags & LM_DOUBT_NUMBERS) &&
                                  (!part.is_container || e->o->flags & LM_DOUBT_CONTAINERS);
        e->may_doubt |= is_looked_for && (part.may_doubt || part.is_container);
        e->must_doubt |= part.is_container && is_looked_for;
        key.is_known &= part.is_known;
        if (slots > 1)
            put(&key, slot + 1 < slots ? "," : "]", 1);
    }
    e->may_doubt |= slots > 1 && raw > 4000;
    e->rows++;
    const lm_index *index = e->config->index;
    for (uint32_t i = 0; i < index->count && key.is_known; i++)
        if (index->ends[i] - index->starts[i] == (int64_t)key.size &&
            !memcmp(index->blob + index->starts[i], key.bytes, key.size))
            e->hits |= 1u << i;
}

/* Holds kind, places of the key and hits of an object to what it must be. */
static void check_key(const options *o, const record *found, text data, text start, text end)
{
    const tree *t = trees + o->paths;
    const lm_config config = config_of(o, t, 0);
    expected e = {.o = o, .config = &config, .data = data, .end = end};
    if (!t->slot_count)
        return check(found->kind == LM_KEYED, "no path, but something is missing");
    if (t->has_star) {
        e.must_doubt |= !rows_below(&config, 0, start, end, take_row, &e);
        e.may_doubt = 1; /* there may be no room, or a name may be there twice */
    } else {
        row_of(&config, 0, start, end, take_row, &e);
    }
    if (found->kind == LM_DOUBTED)
        return check(e.may_doubt || e.must_doubt, "a doubt without need");
    check(!e.must_doubt, "what is not known was not doubted");
    check((found->kind == LM_MISSING) == !e.rows, "a key was not found, or one that is none");
    check(found->spans == e.spans, "another key was found");
    check(found->hits == e.hits, "a wrong verdict");
}

static void check_record(const options *o, const record *found, text data, text start, text end, int is_whole)
{
    if (!is_whole || !is_utf8(start, end))
        check(found->kind == LM_DAMAGED, "damage was not seen");
    else if (*start != '{')
        check(found->kind == LM_NOT_OBJECT, "no object was taken for one");
    else
        check(found->kind != LM_DAMAGED && found->kind != LM_NOT_OBJECT, "an object was not taken for one");
    if (is_whole && *start == '{' && found->kind != LM_DAMAGED)
        check_key(o, found, data, start, end);
}

static void check_lines(const options *o, const result *r, text data, size_t size)
{
    size_t i = 0;
    uint64_t line = 0;
    const int has_rs = (o->flags & LM_RS_IS_WHITE) != 0;
    for (text p = data + o->start, stop = data + size; p < stop; line++) {
        text end = memchr(p, '\n', (size_t)(stop - p));
        end = end ? end : stop;
        text start = over(p, end, has_rs ? " \t\r\x1e" : " \t\r"), last = end;
        p = end + 1;
        while (last > start && is_one_of(last[-1], " \t\r"))
            last--;
        if (start == last)
            continue;
        text value = value_end(start, last, LM_DEPTH_MAX);
        text behind = value ? over(value, last, " \t\r") : NULL;
        const int has_comma = behind && behind < last && *behind == ',' && (o->flags & LM_COMMA_MAY_FOLLOW);
        if (has_comma || (behind && behind < last && *behind == 0x1E && has_rs))
            behind = over(behind + 1, last, " \t\r");
        const int is_whole = behind == last;
        const record *found = r->records + i++;
        check(i <= r->count, "a line was not seen");
        check(found->line == line && data + found->start == start, "a line begins elsewhere");
        check(data + found->end == (is_whole ? value : last), "a line ends elsewhere");
        check_record(o, found, data, start, value, is_whole);
    }
    check(i == r->count && r->status == LM_DONE, "too many lines, or an end that is none");
}

/* Behind the comma that is the last thing on the line on which a value ends, or NULL. */
static text comma_behind(text p, text end, uint32_t flags)
{
    p = over(p, end, " \t\r");
    if (p == end || *p != ',' || !(flags & LM_COMMA_MAY_FOLLOW))
        return NULL;
    text behind = over(p + 1, end, " \t\r");
    return behind == end || *behind == '\n' ? p + 1 : NULL;
}

static void check_values(const options *o, const result *r, text data, size_t size)
{
    const char *white = o->flags & LM_RS_IS_WHITE ? " \t\r\n\x1e" : " \t\r\n";
    text end = data + size, p = data + o->start, failed = NULL;
    size_t i = 0;
    uint32_t place = o->place;
    int is_done = 0;
    while (!failed && !is_done) {
        p = over(p, end, place == LM_TOP ? white : " \t\r\n");
        if (p == end) {
            failed = place == LM_TOP ? NULL : p;
            break;
        }
        text start = p;
        if (place == LM_TOP && *p == '[' && !(o->flags & LM_ARRAYS_ARE_RECORDS)) {
            p++;
            place = LM_ELEMENT_FIRST;
        } else if (*p == ']' && (place == LM_ELEMENT_FIRST || place == LM_ELEMENT_NEXT)) {
            text comma = comma_behind(++p, end, o->flags);
            is_done = (o->flags & LM_ONE_ARRAY) != 0;
            p = comma && !is_done ? comma : p;
            place = LM_TOP;
        } else if (place == LM_ELEMENT_NEXT) {
            failed = *p++ == ',' ? NULL : start;
            place = LM_ELEMENT;
        } else {
            text last = value_end(start, end, LM_DEPTH_MAX), comma = last ? comma_behind(last, end, o->flags) : NULL;
            p = last ? over(last, end, " \t\r\n") : end;
            int is_followed = p < end && is_one_of(*p, ",]");
            if (place == LM_TOP && last)
                is_followed = !is_one_of(*start, "-0123456789tfn") || last == end || is_one_of(*last, white) ||
                              (comma && *last == ',');
            if (!last || !is_followed) {
                failed = start;
                break;
            }
            check(i < r->count && data + r->records[i].start == start && data + r->records[i].end == last,
                  "a value was not seen");
            check_record(o, r->records + i++, data, start, last, 1);
            if (place == LM_TOP)
                p = comma ? comma : last;
            else
                place = LM_ELEMENT_NEXT;
        }
    }
    check(i == r->count, "too many values");
    check((r->status == LM_DAMAGE) == (failed != NULL), "damage was not seen, or is none");
    check(failed ? data + r->failed_at == failed : data + r->at == (is_done ? p : end), "damage or end is elsewhere");
}

static int one_input(text bytes, size_t size)
{
    static const uint32_t places[] = {LM_TOP, LM_ELEMENT_FIRST, LM_ELEMENT, LM_ELEMENT_NEXT};
    if (!trees->node_count)
        make_all();
    if (size < OPTION_BYTES)
        return 0;
    const size_t left = size - OPTION_BYTES, start = bytes[8] & 1 ? bytes[8] >> 1 : 0;
    const options o = {.mode = bytes[0] & 1, .place = bytes[0] & 1 ? places[bytes[0] >> 1 & 3] : LM_TOP,
                       .keeps_all = bytes[0] >> 3 & 1, .start = start < left ? start : left, .flags = bytes[1] & 63, .paths = bytes[2] % PATHS,
                       .capacity = bytes[3] % 16 + 1, .key_capacity = bytes[4] % 64 + 1,
                       .windows = bytes[5] % 4 ? bytes[5] : bytes[5] * 64u + 1, .cuts = bytes[6] | (uint64_t)bytes[7] << 8};
    text data = exactly(bytes + OPTION_BYTES, left);
    const int has_star = trees[o.paths].has_star;
    result first = read_all(&o, LM_PORTABLE, data, left, 0);
    (o.mode == LM_LINES ? check_lines : check_values)(&o, &first, data, left);
    const uint32_t levels = lm_levels() | MORE_LEVELS;
    for (uint32_t level = 0; level < LM_LEVELS; level++)
        for (int in_windows = 0; in_windows < 2 && levels >> level & 1; in_windows++) {
            result other = read_all(&o, level, data, left, in_windows);
            check_same(&first, &other, has_star && in_windows);
            free(other.records);
        }
    free(first.records);
    free((void *)data);
    return 0;
}

#ifdef LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    return one_input(bytes, size);
}
#else

static uint8_t *file_bytes(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    check(file != NULL, path);
    uint8_t *bytes = malloc(1 << 24);
    *size = fread(bytes, 1, 1 << 24, file);
    fclose(file);
    return bytes;
}

static void print_file(text data, size_t size)
{
    static const char *const kinds[] = {"keyed", "?", "missing", "not-object", "damaged", "doubted"};
    static const char *const statuses[] = {"more", "full", "done", "damage", "misuse"};
    for (uint32_t mode = LM_LINES; mode <= LM_VALUES; mode++) {
        const options o = {.mode = mode, .capacity = 1, .key_capacity = 1, .windows = 1};
        const result r = read_all(&o, LM_PORTABLE, data, size, 0);
        for (size_t i = 0; i < r.count; i++)
            printf("%s %llu %llu %s\n", mode ? "value" : "line", (unsigned long long)r.records[i].start,
                   (unsigned long long)r.records[i].end, kinds[r.records[i].kind]);
        printf("%s %llu\n", statuses[r.status], (unsigned long long)r.damage_at);
        free(r.records);
    }
}

/* A string of any length, most of it sound. */
static size_t make_string(uint64_t *random, uint8_t *to, size_t room)
{
    static const char *const parts[] = {"\\\\", "\\\"", "\\/", "\\u0061", "\\u00e9", "\\ud83d\\ude00", "\\ud83d", "\xC3\xA9",
                                        "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "a", "{\"", "\\n"};
    static const char *const wrong[] = {"\xC3", "\xE2\x82", "\xF0\x9F\x98", "\xFF", "\x80", "\\x", "\\u12", "\n", "\x01"};
    size_t size = 0;
    to[size++] = '"';
    for (uint64_t more = next_random(random) % 12; more && size + 200 < room; more--) {
        for (uint64_t letters = next_random(random) % 3 ? 0 : next_random(random) % 80; letters; letters--)
            to[size++] = 'x';
        const char *part = parts[next_random(random) % (sizeof parts / sizeof *parts)];
        if (next_random(random) % 100 == 0)
            part = wrong[next_random(random) % (sizeof wrong / sizeof *wrong)];
        for (; *part; part++)
            to[size++] = (uint8_t)*part;
    }
    to[size++] = '"';
    return size;
}

/* A value, most of it sound, with the names that the paths have. */
static size_t make_value(uint64_t *random, uint8_t *to, size_t room, int levels)
{
    static const char *const scalars[] = {"1", "-0", "1.5e3", "true", "null", "\"a\"", "[]", "{}", "01", "nul"};
    static const char *const members[] = {"\"a\":", "\"b\":", "\"data\":", "\"a\" : ", "\"\\u0061\":", "\"c\":", "\"b\"\n:"};
    const uint64_t kind = next_random(random) % 8;
    size_t size = 0;
    if (kind < 2 && room > 400)
        return make_string(random, to, room);
    if (kind < 4 || !levels || room < 400) {
        const char *scalar = scalars[next_random(random) % (next_random(random) % 40 ? 8 : 10)];
        memcpy(to, scalar, strlen(scalar));
        return strlen(scalar);
    }
    to[size++] = kind < 6 ? '[' : '{';
    for (uint64_t more = next_random(random) % 5; more && size + 400 < room; more--) {
        if (kind >= 6) {
            const char *name = members[next_random(random) % (sizeof members / sizeof *members)];
            memcpy(to + size, name, strlen(name));
            size += strlen(name);
        }
        size += make_value(random, to + size, room - size - 100, levels - 1);
        if (more > 1 || next_random(random) % 100 == 0)
            to[size++] = ',';
    }
    to[size++] = next_random(random) % 200 ? (kind < 6 ? ']' : '}') : ' ';
    return size;
}

/* An input made of values, of tokens, or of a part of a file with some of its bytes changed. */
static size_t make_input(uint64_t *random, uint8_t *to, size_t room, int files, uint8_t **texts, const size_t *sizes)
{
    static const char *const tokens[] = {
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\n", "\r\n", " ", "\x1e", "\"a\"", "\"a\":", "\"b\":", "\"data\":",
        "\"d\\u0061ta\":", "1", "-0", "1.5", "1e5", "123456789012345678", "true", "false", "null", "nul", "\"\xC3\xA9\"",
        "\"\xC3\"", "\"\\u00e9\"", "\"\\ud83d\\ude00\"", "\"\\ud800\"", "{\"data\":\"a\"}\n", "{\"a\":[{\"b\":1},", "[[",
        "},{", "\xF0\x9F\x98\x80", "\xFF", "\x7F", "\x01", "{\"a\":{\"b\":\"a\"},\"b\":1}\n", "\"a\":[1,2]", "[{}],", "\\\\",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\"\\n\"", "{\"data\":1}", "{\"data\":"};
    const size_t count = sizeof tokens / sizeof *tokens;
    size_t size = 0;
    for (; size < OPTION_BYTES; size++)
        to[size] = (uint8_t)next_random(random);
    if (files && next_random(random) % 2) {
        const size_t file = next_random(random) % (size_t)files;
        const size_t part = sizes[file] < room / 2 ? sizes[file] : room / 2;
        memcpy(to + size, texts[file] + (sizes[file] > part ? next_random(random) % (sizes[file] - part) : 0), part);
        size += part;
        for (uint64_t changes = next_random(random) % 4; changes && size > OPTION_BYTES; changes--)
            to[OPTION_BYTES + next_random(random) % (size - OPTION_BYTES)] = (uint8_t)next_random(random);
    }
    const int has_values = next_random(random) % 4 != 0;
    for (uint64_t more = has_values * next_random(random) % 20; more && size + 2000 < room; more--) {
        size += make_value(random, to + size, room - size - 100, 6);
        to[size++] = next_random(random) % 20 ? '\n' : ' ';
    }
    for (uint64_t more = next_random(random) % (has_values ? 4 : 60); more && size + 100 < room; more--) {
        const char *token = tokens[next_random(random) % count];
        const uint64_t times = next_random(random) % 50 ? 1 : next_random(random) % 600;
        for (uint64_t i = 0; i < times && size + 100 < room; i++) {
            memcpy(to + size, token, strlen(token));
            size += strlen(token);
        }
    }
    return size;
}

int main(int argc, char **argv)
{
    int i = 1;
    make_all();
    if (i < argc && !strcmp(argv[i], "-n")) {
        static uint8_t bytes[1 << 16];
        const long count = atol(argv[i + 1]);
        uint64_t random = 0;
        i += 2;
        if (i + 1 < argc && !strcmp(argv[i], "-s")) {
            random = strtoull(argv[i + 1], NULL, 10);
            i += 2;
        }
        const int files = argc - i;
        uint8_t **texts = calloc((size_t)files + 1, sizeof *texts);
        size_t *sizes = calloc((size_t)files + 1, sizeof *sizes);
        for (int file = 0; file < files; file++)
            texts[file] = file_bytes(argv[i + file], sizes + file);
        for (long round = 0; round < count; round++) {
            uint64_t seed = random + (uint64_t)round;
            const size_t size = make_input(&seed, bytes, round % 64 ? 5000 : sizeof bytes, files, texts, sizes);
            FILE *file = getenv("FUZZ_LAST") ? fopen(getenv("FUZZ_LAST"), "wb") : NULL; /* what fails is left there */
            if (file) {
                fwrite(bytes, 1, size, file);
                fclose(file);
            }
            one_input(bytes, size);
        }
        for (int file = 0; file < files; file++)
            free(texts[file]);
        free(texts);
        free(sizes);
        printf("%ld inputs\n", count);
        return 0;
    }
    const int prints = i < argc && !strcmp(argv[i], "-p");
    for (i += prints; i < argc; i++) {
        size_t size;
        uint8_t *bytes = file_bytes(argv[i], &size);
        if (prints)
            print_file(bytes, size);
        else
            one_input(bytes, size);
        free(bytes);
    }
    return 0;
}
#endif
