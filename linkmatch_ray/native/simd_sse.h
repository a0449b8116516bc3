/* SSSE3 and POPCNT: every x86-64 processor since 2008. */
#include <tmmintrin.h>

#define VECTORS 4
typedef __m128i V;
typedef __m128i M;

INLINE V v_load(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)p); }
INLINE V v_splat(uint8_t b) { return _mm_set1_epi8((char)b); }
INLINE V v_table(const uint8_t *t) { return v_load(t); }
INLINE V v_and(V a, V b) { return _mm_and_si128(a, b); }
INLINE V v_or(V a, V b) { return _mm_or_si128(a, b); }
INLINE V v_xor(V a, V b) { return _mm_xor_si128(a, b); }
INLINE V v_shr4(V v) { return v_and(_mm_srli_epi16(v, 4), v_splat(0x0F)); }
INLINE V v_subs(V a, V b) { return _mm_subs_epu8(a, b); }
INLINE V v_lookup(V t, V v) { return _mm_shuffle_epi8(t, v); }
INLINE M v_eq(V a, V b) { return _mm_cmpeq_epi8(a, b); }
INLINE M v_at_most(V v, uint8_t most) { return _mm_cmpeq_epi8(_mm_max_epu8(v, v_splat(most)), v_splat(most)); }
INLINE M v_high(V v) { return v; } /* a movemask takes the highest bits */
#define v_prev(v, before, n) _mm_alignr_epi8(v, before, 16 - (n))

INLINE uint64_t bits(const M m[VECTORS])
{
    uint64_t a = (uint32_t)_mm_movemask_epi8(m[0]), b = (uint32_t)_mm_movemask_epi8(m[1]);
    uint64_t c = (uint32_t)_mm_movemask_epi8(m[2]), d = (uint32_t)_mm_movemask_epi8(m[3]);
    return a | b << 16 | c << 32 | d << 48;
}

#include "simd_shared.h"
#include "bits_plain.h"
