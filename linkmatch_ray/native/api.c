/* The library's entry: which level this processor has, and what is common to all. */
#include "api.h"
#include "hash.h"

#ifndef LM_SOURCES
#define LM_SOURCES "unknown"
#endif

typedef uint32_t scan_function(const lm_config *, lm_state *, const uint8_t *, uint64_t, uint64_t, uint32_t,
                               lm_output *);

scan_function lm_scan_portable;
#if defined(__x86_64__)
scan_function lm_scan_sse, lm_scan_avx2, lm_scan_avx512;
#elif defined(__aarch64__)
scan_function lm_scan_neon;
#endif

LM_EXPORT const char *lm_sources(void)
{
    return LM_SOURCES;
}

#if defined(__x86_64__)
static void cpuid(uint32_t leaf, uint32_t registers[4])
{
    __asm__("cpuid"
            : "=a"(registers[0]), "=b"(registers[1]), "=c"(registers[2]), "=d"(registers[3])
            : "a"(leaf), "c"(0));
}

/* The vector registers that the system saves. */
static uint32_t saved_registers(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

LM_EXPORT uint32_t lm_levels(void)
{
    const uint32_t ssse3 = 1u << 9, popcnt = 1u << 23, pclmul = 1u << 1, osxsave = 1u << 27, avx = 1u << 28;
    const uint32_t bmi1 = 1u << 3, avx2 = 1u << 5, bmi2 = 1u << 8;
    const uint32_t avx512 = 1u << 16 | 1u << 30 | 1u << 31 /* F, BW, VL */, vbmi = 1u << 1, vbmi2 = 1u << 6;
    uint32_t one[4], seven[4] = {0}, levels = 1u << LM_PORTABLE;
    cpuid(0, one);
    const uint32_t leaf_max = one[0];
    cpuid(1, one);
    if (leaf_max >= 7)
        cpuid(7, seven);
    if ((one[2] & (ssse3 | popcnt)) == (ssse3 | popcnt))
        levels |= 1u << LM_SSE;
    const uint32_t saved = (one[2] & (osxsave | avx)) == (osxsave | avx) ? saved_registers() : 0;
    const int has_avx2 = (levels >> LM_SSE & 1) && (saved & 0x6) == 0x6 && (one[2] & pclmul) &&
                         (seven[1] & (bmi1 | avx2 | bmi2)) == (bmi1 | avx2 | bmi2);
    if (has_avx2)
        levels |= 1u << LM_AVX2;
    const int has_avx512 = has_avx2 && (saved & 0xE6) == 0xE6 && (seven[1] & avx512) == avx512;
    if (has_avx512 && (seven[2] & (vbmi | vbmi2)) == (vbmi | vbmi2))
        levels |= 1u << LM_AVX512;
    return levels;
}
#elif defined(__aarch64__)
LM_EXPORT uint32_t lm_levels(void)
{
    return 1u << LM_PORTABLE | 1u << LM_NEON;
}
#else
LM_EXPORT uint32_t lm_levels(void)
{
    return 1u << LM_PORTABLE;
}
#endif

LM_EXPORT void lm_sizes(uint32_t sizes[5])
{
    sizes[0] = sizeof(lm_node);
    sizes[1] = sizeof(lm_index);
    sizes[2] = sizeof(lm_config);
    sizes[3] = sizeof(lm_state);
    sizes[4] = sizeof(lm_output);
}

LM_EXPORT void lm_begin(lm_state *state, uint64_t at, uint32_t place)
{
    *state = (lm_state){0};
    state->at = state->keep = state->value_end = at;
    state->place = place;
    state->in_array = place == LM_ELEMENT_FIRST || place == LM_ELEMENT || place == LM_ELEMENT_NEXT;
}

LM_EXPORT uint32_t lm_scan(const lm_config *config, lm_state *state, const uint8_t *bytes, uint64_t base,
                           uint64_t length, uint32_t is_last, lm_output *output)
{
    const uint64_t window_max = 0xFFFFFFFFu - 2 * BLOCK; /* places have 32 bits */
    if (length > window_max || state->keep < base || state->at < state->keep || state->at > base + length)
        return LM_MISUSE;
    if (config->slot_count > LM_SLOTS_MAX || !config->node_count || config->mode > LM_VALUES)
        return LM_MISUSE;
    if (output->count >= output->capacity || (config->slot_count && output->key_count >= output->key_capacity))
        return output->capacity && (!config->slot_count || output->key_capacity) ? LM_FULL : LM_MISUSE;
    switch (config->level) {
    case LM_PORTABLE:
        return lm_scan_portable(config, state, bytes, base, length, is_last, output);
#if defined(__x86_64__)
    case LM_SSE:
        return lm_scan_sse(config, state, bytes, base, length, is_last, output);
    case LM_AVX2:
        return lm_scan_avx2(config, state, bytes, base, length, is_last, output);
    case LM_AVX512:
        return lm_scan_avx512(config, state, bytes, base, length, is_last, output);
#elif defined(__aarch64__)
    case LM_NEON:
        return lm_scan_neon(config, state, bytes, base, length, is_last, output);
#endif
    default:
        return LM_MISUSE;
    }
}

LM_EXPORT uint64_t lm_hash(const uint8_t *bytes, uint64_t length)
{
    return hash_bytes(bytes, length);
}

LM_EXPORT void lm_hash_many(const uint8_t *blob, const int64_t *ends, uint64_t count, uint64_t *hashes)
{
    int64_t start = 0;
    for (uint64_t i = 0; i < count; i++) {
        hashes[i] = hash_bytes(blob + start, (uint64_t)(ends[i] - start));
        start = ends[i];
    }
}

LM_EXPORT void lm_copy_many(const uint8_t *bytes, const int64_t *starts, const int64_t *ends, uint64_t count,
                            uint8_t *to)
{
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t size = (uint64_t)(ends[i] - starts[i]);
        copy_bytes(to, bytes + starts[i], size);
        to += size;
    }
}
