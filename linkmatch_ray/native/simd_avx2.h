/* AVX2, BMI, POPCNT and PCLMUL: x86-64 processors since 2013. */
#include <immintrin.h>

#define VECTORS 2
typedef __m256i V;
typedef __m256i M;

INLINE V v_load(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE V v_splat(uint8_t b) { return _mm256_set1_epi8((char)b); }
INLINE V v_table(const uint8_t *t) { return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)t)); }
INLINE V v_and(V a, V b) { return _mm256_and_si256(a, b); }
INLINE V v_or(V a, V b) { return _mm256_or_si256(a, b); }
INLINE V v_xor(V a, V b) { return _mm256_xor_si256(a, b); }
INLINE V v_shr4(V v) { return v_and(_mm256_srli_epi16(v, 4), v_splat(0x0F)); }
INLINE V v_subs(V a, V b) { return _mm256_subs_epu8(a, b); }
INLINE V v_lookup(V t, V v) { return _mm256_shuffle_epi8(t, v); }
INLINE M v_eq(V a, V b) { return _mm256_cmpeq_epi8(a, b); }
INLINE M v_at_most(V v, uint8_t most) { return v_eq(_mm256_max_epu8(v, v_splat(most)), v_splat(most)); }
INLINE M v_high(V v) { return v; } /* a movemask takes the highest bits */
#define v_prev(v, before, n) _mm256_alignr_epi8(v, _mm256_permute2x128_si256(before, v, 0x21), 16 - (n))

INLINE uint64_t bits(const M m[VECTORS])
{
    return (uint32_t)_mm256_movemask_epi8(m[0]) | (uint64_t)(uint32_t)_mm256_movemask_epi8(m[1]) << 32;
}

#define HAS_PREFIX_XOR
INLINE uint64_t prefix_xor(uint64_t word) /* multiplication without carry by all ones */
{
    __m128i product = _mm_clmulepi64_si128(_mm_set_epi64x(0, (int64_t)word), _mm_set1_epi8(-1), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

#define HAS_LOWEST
INLINE uint32_t lowest(uint64_t word) { return (uint32_t)_tzcnt_u64(word); }

#include "simd_shared.h"
#include "bits_plain.h"
