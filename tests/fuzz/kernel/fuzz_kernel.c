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
#include "reference.h"

#ifndef MORE_LEVELS
#define MORE_LEVELS 0 /* of those that this processor has not, and that are compiled to do without */
#endif

enum { OPTION_BYTES = 8, KEYS = 7 };

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

static const uint8_t names[] = "dataab";

#define NAME(AT, SIZE, FIRST, NEXT, PARENT, SLOT, SLOTS, MORE)                                                     \
    {.slots = SLOTS, .token = LM_BY_NAME | (MORE), .name = AT, .size = SIZE, .first = FIRST, .next = NEXT,         \
     .parent = PARENT, .slot = SLOT}
#define ROOT(SLOTS) {.slots = SLOTS, .first = 1, .slot = LM_NONE}
#define STAR(FIRST, PARENT, SLOT, MORE)                                                                            \
    {.slots = 1, .token = LM_BY_STAR | LM_ABOVE_STAR | (MORE), .first = FIRST, .parent = PARENT, .slot = SLOT}

static const lm_node by_name[] = {ROOT(1), NAME(0, 4, 0, 0, 0, 0, 1, 0)};
static const lm_node by_pointer[] = {ROOT(1), NAME(4, 1, 2, 0, 0, LM_NONE, 1, 0), NAME(5, 1, 0, 0, 1, 0, 1, 0)};
static const lm_node composite[] = {ROOT(3), NAME(4, 1, 3, 2, 0, LM_NONE, 1, 0), NAME(5, 1, 0, 0, 0, 1, 2, 0),
                                    {.slots = 1, .token = LM_BY_INDEX, .index = 1, .parent = 1, .slot = 0}};
static const lm_node any_of[] = {ROOT(1), NAME(4, 1, 2, 0, 0, LM_NONE, 1, LM_ABOVE_STAR), STAR(0, 1, 0, LM_BINDS)};
static const lm_node two_stars[] = {ROOT(1), NAME(4, 1, 2, 0, 0, LM_NONE, 1, LM_ABOVE_STAR), STAR(3, 1, LM_NONE, 0),
                                    STAR(4, 2, LM_NONE, LM_BINDS), NAME(5, 1, 0, 0, 3, 0, 1, 0)};

static const struct {
    const lm_node *nodes;
    uint32_t node_count, slot_count;
} all_paths[] = {{by_name, 2, 1}, {by_pointer, 3, 1}, {composite, 4, 2}, {any_of, 3, 1}, {two_stars, 5, 1}, {by_name, 1, 0}};
enum { PATHS = sizeof all_paths / sizeof *all_paths };

static const char *const keys[KEYS] = {"\"a\"", "1", "true", "null", "\"\xC3\xA9\"", "[\"a\",1]", "[1,null]"};
static uint64_t key_hashes[KEYS];
static int64_t key_starts[KEYS], key_ends[KEYS];
static uint8_t key_blob[64], key_filter[8];
static uint32_t key_directory[3];
static lm_index list;

/* A filter that lets everything through, so that all is looked up. */
static void make_list(void)
{
    int64_t at = 0;
    uint64_t low = 0;
    for (int i = 0; i < KEYS; i++) {
        uint64_t best = ~(uint64_t)0;
        const char *key = NULL;
        for (int j = 0; j < KEYS; j++) {
            const uint64_t hash = lm_hash((text)keys[j], strlen(keys[j]));
            if (hash <= best && (i == 0 || hash > low)) {
                best = hash;
                key = keys[j];
            }
        }
        low = key_hashes[i] = best;
        key_starts[i] = at;
        memcpy(key_blob + at, key, strlen(key));
        key_ends[i] = at += (int64_t)strlen(key);
        key_directory[1] += !(best >> 63);
    }
    key_directory[2] = KEYS;
    memset(key_filter, 0xFF, sizeof key_filter);
    list = (lm_index){.filter = key_filter, .hashes = key_hashes, .directory = key_directory, .starts = key_starts,
                      .ends = key_ends, .blob = key_blob, .filter_shift = 58, .directory_shift = 63, .count = KEYS};
}

/* ---- a reading */

typedef struct {
    uint64_t start, end, line;
    uint64_t rows, key_start; /* a digest of the rows, and where the first key begins */
    uint8_t kind;
} record;

typedef struct {
    record *records;
    size_t count;
    uint32_t status, damage;
    uint64_t damage_at, failed_at;
} result;

typedef struct {
    uint32_t mode, flags, paths, capacity, key_capacity, windows;
    uint64_t cuts;
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

static void collect(result *r, const lm_output *out, uint64_t base, uint64_t line, uint32_t slots, int has_star)
{
    r->records = realloc(r->records, (r->count + out->count + 1) * sizeof(record));
    record *first = r->records + r->count;
    for (uint32_t i = 0; i < out->count; i++)
        first[i] = (record){.start = base + out->starts[i], .end = base + out->ends[i], .line = line + out->lines[i],
                            .kind = out->kinds[i]};
    for (uint32_t row = 0; row < out->key_count; row++) {
        const uint32_t owner = has_star ? out->key_records[row] : row;
        check(owner < out->count, "a row without a record");
        if (first[owner].kind != LM_KEYED)
            continue;
        if (slots && !first[owner].rows)
            first[owner].key_start = base + out->key_starts[row * slots];
        uint64_t digest = first[owner].rows * 31 + out->hashes[row];
        for (uint32_t slot = row * slots; slot < (row + 1) * slots; slot++) {
            check(out->key_starts[slot] < out->key_ends[slot], "an empty key");
            digest = digest * 31 + base + out->key_starts[slot];
            digest = digest * 31 + base + out->key_ends[slot];
        }
        first[owner].rows = digest;
    }
    for (uint32_t hit = 0; hit < out->hit_count; hit++) {
        const uint32_t row = out->hit_rows[hit], owner = has_star ? out->key_records[row] : row;
        check(first[owner].kind == LM_KEYED, "a hit of a record without a key");
        check(out->hashes[row] == key_hashes[out->hit_places[hit]], "a hit of another hash");
        first[owner].rows = first[owner].rows * 31 + out->hit_places[hit] + 1;
    }
    r->count += out->count;
}

static result read_all(const options *o, uint32_t level, text data, size_t size, int in_windows)
{
    const uint32_t slots = all_paths[o->paths].slot_count;
    const int has_star = o->paths == 3 || o->paths == 4;
    const lm_config config = {.nodes = all_paths[o->paths].nodes, .names = names, .index = &list,
                              .node_count = all_paths[o->paths].node_count, .slot_count = slots,
                              .mode = o->mode, .flags = o->flags, .level = level};
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
    lm_begin(state, 0, LM_TOP);
    uint64_t random = o->cuts, stop = 0, line = 0;
    int full = 0;
    do {
        if (!full) {
            const uint64_t step = next_random(&random) % (o->windows + 1);
            stop = in_windows && step < size - stop ? stop + step : size;
        }
        const uint64_t base = state->keep;
        uint8_t *window = exactly(data + base, stop - base);
        out.count = out.key_count = out.hit_count = 0;
        r.status = lm_scan(&config, state, window, base, stop - base, stop == size, &out);
        check(r.status != LM_MISUSE, "misuse");
        check(state->keep >= base && state->at >= state->keep && state->at <= stop, "the state is out of bounds");
        collect(&r, &out, base, line, slots, has_star);
        line = state->line;
        full = r.status == LM_FULL;
        check(!full || out.count, "full of nothing");
        free(window);
    } while (full || r.status == LM_MORE);
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
    for (size_t i = 0; i < a->count; i++) {
        const record *x = a->records + i, *y = b->records + i;
        check(x->start == y->start && x->end == y->end && x->line == y->line, "another span");
        if (may_doubt && (x->kind == LM_DOUBTED || y->kind == LM_DOUBTED))
            continue;
        check(x->kind == y->kind && x->rows == y->rows, "another kind or key");
    }
}

/* ---- what must be found */

/* Where the key must be found, for paths of names. */
static void check_key(const options *o, const record *found, text data, text start, text end)
{
    int is_unsure = 0;
    text key = member(start, end, o->paths ? "a" : "data", &is_unsure);
    if (o->paths)
        key = member(key, end, "b", &is_unsure);
    if (is_unsure)
        return;
    check((found->kind == LM_MISSING) == !key, "a key was not found, or one that is none");
    check(found->kind != LM_KEYED || data + found->key_start == key, "another key was found");
}

static void check_record(const options *o, const record *found, text data, text start, text end, int is_whole)
{
    if (!is_whole || !is_utf8(start, end))
        check(found->kind == LM_DAMAGED, "damage was not seen");
    else if (*start != '{')
        check(found->kind == LM_NOT_OBJECT, "no object was taken for one");
    else
        check(found->kind != LM_DAMAGED && found->kind != LM_NOT_OBJECT, "an object was not taken for one");
    if (is_whole && *start == '{' && o->paths < 2 && found->kind != LM_DAMAGED)
        check_key(o, found, data, start, end);
}

static void check_lines(const options *o, const result *r, text data, size_t size)
{
    size_t i = 0;
    uint64_t line = 0;
    const int has_rs = (o->flags & LM_RS_IS_WHITE) != 0;
    for (text p = data, stop = data + size; p < stop; line++) {
        text end = memchr(p, '\n', (size_t)(stop - p));
        end = end ? end : stop;
        text start = over(p, end, has_rs ? " \t\r\x1e" : " \t\r"), last = end;
        p = end + 1;
        while (last > start && is_one_of(last[-1], " \t\r"))
            last--;
        if (start == last)
            continue;
        text value = value_end(start, last, LM_DEPTH_MAX);
        text behind = value ? over(value, last, has_rs ? " \t\r\x1e" : " \t\r") : NULL;
        if (behind && behind < last && *behind == ',' && (o->flags & LM_COMMA_MAY_FOLLOW))
            behind++;
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
    text end = data + size, p = data, failed = NULL;
    size_t i = 0;
    while (!failed && (p = over(p, end, white)) < end) {
        text start = p;
        int is_array = *p == '[' && !(o->flags & LM_ARRAYS_ARE_RECORDS);
        if (is_array) {
            p = over(p + 1, end, " \t\r\n");
            if (p < end && *p == ']')
                is_array = 0, p++;
        } else {
            p = value_end(start, end, LM_DEPTH_MAX);
            text comma = p ? comma_behind(p, end, o->flags) : NULL;
            if (!p || (is_one_of(*start, "-0123456789tfn") && p < end && !is_one_of(*p, white) &&
                       !(comma && *p == ','))) {
                failed = start;
                break;
            }
            check(i < r->count && data + r->records[i].start == start && data + r->records[i].end == p,
                  "a value was not seen");
            check_record(o, r->records + i++, data, start, p, 1);
        }
        while (is_array) {
            start = p;
            text last = value_end(start, end, LM_DEPTH_MAX);
            p = last ? over(last, end, " \t\r\n") : end;
            if (!last || p == end || !is_one_of(*p, ",]")) {
                failed = start;
                break;
            }
            check(i < r->count && data + r->records[i].start == start && data + r->records[i].end == last,
                  "an element was not seen");
            check_record(o, r->records + i++, data, start, last, 1);
            is_array = *p++ == ',';
            if (is_array)
                p = over(p, end, " \t\r\n");
        }
        if (!failed) {
            text comma = comma_behind(p, end, o->flags);
            p = comma ? comma : p;
        }
    }
    check(i == r->count, "too many values");
    check((r->status == LM_DAMAGE) == (failed != NULL), "damage was not seen, or is none");
    if (failed)
        check(data + r->failed_at == failed, "damage begins elsewhere");
}

static int one_input(text bytes, size_t size)
{
    if (!list.count)
        make_list();
    if (size < OPTION_BYTES)
        return 0;
    const options o = {.mode = bytes[0] & 1, .flags = bytes[1] & 31, .paths = bytes[2] % PATHS,
                       .capacity = bytes[3] % 16 + 1, .key_capacity = bytes[4] % 64 + 1,
                       .windows = bytes[5] % 4 ? bytes[5] : bytes[5] * 64u + 1, .cuts = bytes[6] | (uint64_t)bytes[7] << 8};
    const size_t left = size - OPTION_BYTES;
    text data = exactly(bytes + OPTION_BYTES, left);
    const int has_star = o.paths == 3 || o.paths == 4;
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
    make_list();
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
