/* The scan kernel: bytes in; record spans, key spans, key hashes, hits and doubts out.
 *
 * It is a plain shared library for ctypes: no Python.h, no allocation, no libc, no recursion, no global that changes.
 *
 *   bytes --stage1--> positions of tokens --walk--> records and keys --hash--> rows --hash_index--> hits
 *
 * Interface. The caller owns everything: a `lm_config` (what is a record, which members are its key), a `lm_index`
 * (the list), a `lm_state` (where the reading stands), a window of bytes and a `lm_output`. `lm_begin` sets the state,
 * `lm_scan` goes on from it as far as the window or the output reaches, and says why it stopped (`lm_status`).
 * Between calls the window may be moved and refilled at will. The state has offsets in the *stream*, the call says
 * which of them the window begins at, and the output has places in the window. Bytes before `keep` are done with.
 *
 * States. `place` is the token that is waited for, one label of walk.c each:
 *
 *   TOP        a value, or the end          ELEMENT_FIRST  a record or `]`         OBJECT_FIRST  a name or `}`
 *   BEHIND     in VALUES also one comma     ELEMENT        a record                NAME          a name
 *   LINE_END   the newline behind a value   ELEMENT_NEXT   `,` or `]`              MEMBER         a value
 *   COMMA_END  the newline behind a comma   ARRAY_FIRST, ARRAY_VALUE, ARRAY_NEXT   MEMBER_NEXT   `,` or `}`
 *   SKIP       the newline behind a line that is damaged;  STOPPED  nothing, until `lm_begin`
 *
 * Invariants.
 *   - `at` is never inside a string and never behind a byte of a number or word. So stage 1 begins each call afresh,
 *     and the same bytes give the same output at any cut of windows. A token that touches the window's end is
 *     deferred: it is read again with what follows. Who refills must double a window that did not move, as always.
 *   - No byte outside of [0, length) is read: the last bytes are copied to a block that is padded with blanks.
 *   - A record is begun only where the output has room for it, so that it can always be written.
 *   - Depth counts from the record; the 501st bracket is damage.
 *   - A hit was compared byte by byte with the index: a hash decides nothing.
 *
 * Kinds. KEYED, MISSING and NOT_OBJECT are sure. The exact path decides all else:
 *   - DOUBTED: valid, but the key may equal another spelling: a number with a fraction, an exponent, over 18 digits or
 *     `-0`; an array or object (each only where the list has such: DOUBT_NUMBERS, DOUBT_CONTAINERS); a string with
 *     escapes that stand for a lone surrogate, `"`, `\` or a control character, or that is long; a composite key that
 *     is long; with `[*]` also a name of the path that occurs twice, a `[*]` that meets an object, more values than
 *     the output has room for. (Twice-named members without `[*]` are no doubt: the last one wins.)
 *   - DAMAGED: a line that is not one value (with at most one RS behind it), or a record whose strings are not UTF-8.
 * In VALUES damage of grammar or depth, and an end within a value, stops the reading (DAMAGE): `damage_at` and
 * `damage` say where and what, `record` where the record begins, and the exact path decides where to begin again.
 */
#ifndef LM_API_H
#define LM_API_H

#include <stdint.h>

#define LM_DEPTH_MAX 500 /* as in core/exact.py */
#define LM_SLOTS_MAX 64  /* parts of a composite key: one bit each */
#define LM_NONE 0xFFFFFFFFu

enum lm_level { LM_PORTABLE, LM_SSE, LM_AVX2, LM_AVX512, LM_NEON, LM_LEVELS };

enum lm_mode {
    LM_LINES, /* one value a line; an array is a record */
    LM_VALUES /* values one after another; a top-level array stands for its elements */
};

enum lm_flag {
    LM_ARRAYS_ARE_RECORDS = 1, /* VALUES: a top-level array is one record */
    LM_COMMA_MAY_FOLLOW = 2,   /* a top-level value may have a comma behind it, as the last thing on a line */
    LM_RS_IS_WHITE = 4,        /* 0x1E between top-level values is white space */
    LM_DOUBT_NUMBERS = 8,
    LM_DOUBT_CONTAINERS = 16,
    LM_ONE_ARRAY = 32 /* VALUES: the reading is DONE behind the first `]` of a top-level array; `at` is there */
};

enum lm_kind { LM_KEYED = 0, LM_MISSING = 2, LM_NOT_OBJECT = 3, LM_DAMAGED = 4, LM_DOUBTED = 5 }; /* 1: core's MATCHED */

enum lm_status {
    LM_MORE,   /* the window is read; give what follows, from `keep` on */
    LM_FULL,   /* the output is full; take it, and call again with the same window */
    LM_DONE,   /* the last window, or the array of ONE_ARRAY, is read, and all is sound */
    LM_DAMAGE, /* VALUES: see `damage_at`; call lm_begin to go on */
    LM_MISUSE  /* the arguments do not fit one another; nothing was done */
};

enum lm_damage { LM_NO_DAMAGE, LM_GRAMMAR, LM_TOO_DEEP, LM_TRUNCATED, LM_SCALAR /* a number or word is wrong */ };

enum lm_place {
    LM_TOP, LM_BEHIND, LM_LINE_END, LM_COMMA_END, LM_SKIP, LM_ELEMENT_FIRST, LM_ELEMENT, LM_ELEMENT_NEXT,
    LM_ARRAY_FIRST, LM_ARRAY_VALUE, LM_ARRAY_NEXT, LM_OBJECT_FIRST, LM_NAME, LM_MEMBER, LM_MEMBER_NEXT,
    LM_STOPPED
};

enum lm_token { /* what a node of the tree of paths takes */
    LM_BY_NAME = 1,  /* the member with its name */
    LM_BY_INDEX = 2, /* the element with its index; a token of a JSON Pointer may be both */
    LM_BY_STAR = 4,  /* all elements */
    LM_BINDS = 8,    /* the last `[*]` of the paths: each of its elements has a key of its own */
    LM_ABOVE_STAR = 16
};

/* The key's paths as a tree: node 0 is the record, so that one node at most is open at a depth, however many paths. */
typedef struct {
    uint64_t slots;      /* parts of the key at or below this node, a bit each */
    uint64_t head, mask; /* the first bytes of its name in quotes, and which of eight they are; of no name, 1 and 0 */
    uint32_t token;      /* lm_token */
    uint32_t name, size; /* its name in `names`, in UTF-8 without escapes */
    uint32_t index;
    uint32_t first, next, parent; /* nodes; 0 is none */
    uint32_t slot;                /* part of the key that its value is, or LM_NONE */
} lm_node;

/* The list. `hashes` are sorted, and keys of one hash by their bytes; the hashes whose top bits are b are at directory[b]
 * up to before directory[b + 1]. */
typedef struct {
    const uint64_t *filter; /* by the top bits of a hash; of each, the bits that its lowest six and the next six name */
    const uint64_t *hashes;
    const uint32_t *directory;
    const int64_t *starts, *ends; /* canonical bytes of each distinct key in `blob` */
    const uint8_t *blob;
    uint32_t filter_shift, directory_shift;
    uint32_t count, unused;
} lm_index;

typedef struct {
    const lm_node *nodes;
    const uint8_t *names;
    const lm_index *index; /* NULL: no hits */
    uint32_t node_count, slot_count;
    uint32_t mode, flags, level, unused;
} lm_config;

typedef struct {
    uint64_t at;        /* the next byte to read */
    uint64_t keep;      /* bytes from here on must stay in the window */
    uint64_t line;      /* LINES: newlines passed */
    uint64_t record;    /* where the record begins that is open */
    uint64_t value_end; /* where the last top-level value ends */
    uint64_t damage_at;
    uint64_t present, doubted, escaped; /* parts of the key, a bit each */
    uint64_t key_start[LM_SLOTS_MAX], key_end[LM_SLOTS_MAX];
    uint32_t place, depth;
    uint32_t node, child; /* the node that is open, and the one whose value comes */
    uint32_t watched;     /* the depth whose names are compared: that of the open node; 0 is none */
    uint32_t damage;
    uint8_t is_open, in_array, has_doubt, has_bad; /* of the record: a doubt, bytes that are not UTF-8 */
    uint8_t unused[4];
    uint32_t counters[LM_DEPTH_MAX + 2]; /* elements passed in the arrays on the path */
    uint8_t seen[LM_DEPTH_MAX + 2];      /* a name above `[*]` was met */
    uint8_t stack[LM_DEPTH_MAX + 2];     /* the bracket that opened each depth */
} lm_state;

/* Columns, of which the caller says the capacity. Row i of the key columns is that of record i; with `[*]` a record has
 * any number of rows, and `key_records` says whose they are. A row has `slot_count` spans. There is room for as many
 * hits as for rows. */
typedef struct {
    uint32_t *starts, *ends, *lines; /* lines: newlines since the call began, or in VALUES whether it is an element */
    uint8_t *kinds;
    uint32_t *key_records, *key_starts, *key_ends; /* starts and ends with the quotes */
    uint64_t *hashes;
    uint32_t *hit_rows, *hit_places;
    uint32_t capacity, count, key_capacity, key_count, hit_count, unused;
} lm_output;

#if defined(_WIN32)
#define LM_EXPORT __declspec(dllexport)
#else
#define LM_EXPORT __attribute__((visibility("default")))
#endif

/* The sources that this library was built from, as build.py names them. */
LM_EXPORT const char *lm_sources(void);

/* A bit for each level that is compiled in and that this processor has. */
LM_EXPORT uint32_t lm_levels(void);

/* Sizes of the five structs, for a check of the declarations in Python. */
LM_EXPORT void lm_sizes(uint32_t sizes[5]);

/* Sets a state to `place` (TOP, BEHIND, ELEMENT_FIRST, ELEMENT or ELEMENT_NEXT) at an offset of the stream. */
LM_EXPORT void lm_begin(lm_state *state, uint64_t at, uint32_t place);

/* Reads on. `bytes` are those from the stream's offset `base` on; `is_last` says that nothing follows them. */
LM_EXPORT uint32_t lm_scan(const lm_config *config, lm_state *state, const uint8_t *bytes, uint64_t base,
                           uint64_t length, uint32_t is_last, lm_output *output);

/* The hash of canonical bytes, for one key and for many in a row; key i ends at ends[i], where the next begins. */
LM_EXPORT uint64_t lm_hash(const uint8_t *bytes, uint64_t length);
LM_EXPORT void lm_hash_many(const uint8_t *blob, const int64_t *ends, uint64_t count, uint64_t *hashes);

/* Copies bytes[starts[i], ends[i]) for each i, one behind the other. */
LM_EXPORT void lm_copy_many(const uint8_t *bytes, const int64_t *starts, const int64_t *ends, uint64_t count,
                            uint8_t *to);

#endif
