/* AVX-512 with VBMI2, and PCLMUL: Ice Lake, Zen 4 and later. */
#include <immintrin.h>

#define VECTORS 1
typedef __m512i V;
typedef __mmask64 M;

INLINE V v_load(const uint8_t *p) { return _mm512_loadu_si512((const void *)p); }
INLINE V v_splat(uint8_t b) { return _mm512_set1_epi8((char)b); }
INLINE V v_table(const uint8_t *t) { return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)t)); }
INLINE V v_and(V a, V b) { return _mm512_and_si512(a, b); }
INLINE V v_or(V a, V b) { return _mm512_or_si512(a, b); }
INLINE V v_xor(V a, V b) { return _mm512_xor_si512(a, b); }
INLINE V v_shr4(V v) { return v_and(_mm512_srli_epi16(v, 4), v_splat(0x0F)); }
INLINE V v_subs(V a, V b) { return _mm512_subs_epu8(a, b); }
INLINE V v_lookup(V t, V v) { return _mm512_shuffle_epi8(t, v); }
INLINE M v_eq(V a, V b) { return _mm512_cmpeq_epi8_mask(a, b); }
INLINE M v_at_most(V v, uint8_t most) { return _mm512_cmple_epu8_mask(v, v_splat(most)); }
INLINE M v_high(V v) { return _mm512_movepi8_mask(v); }
INLINE V v_lanes_before(V v, V before) /* v moved up by 16 bytes */
{
    return _mm512_permutex2var_epi64(before, _mm512_set_epi64(13, 12, 11, 10, 9, 8, 7, 6), v);
}
#define v_prev(v, before, n) _mm512_alignr_epi8(v, v_lanes_before(v, before), 16 - (n))

INLINE uint64_t bits(const M m[VECTORS]) { return m[0]; }

#define HAS_PREFIX_XOR
INLINE uint64_t prefix_xor(uint64_t word) /* multiplication without carry by all ones */
{
    __m128i product = _mm_clmulepi64_si128(_mm_set_epi64x(0, (int64_t)word), _mm_set1_epi8(-1), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

#define HAS_FLATTEN
INLINE uint32_t *flatten(uint32_t *out, uint64_t word, uint32_t base) /* writes up to 64 places, whatever it returns */
{
    static const uint8_t numbers[64] = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
        44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    const __m512i places = _mm512_maskz_compress_epi8(word, _mm512_loadu_si512(numbers));
    const __m512i start = _mm512_set1_epi32((int)base);
    const int count = __builtin_popcountll(word);
    _mm512_storeu_si512(out, _mm512_add_epi32(start, _mm512_cvtepu8_epi32(_mm512_castsi512_si128(places))));
    if (count > 16)
        _mm512_storeu_si512(out + 16,
                            _mm512_add_epi32(start, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(places, 1))));
    if (UNLIKELY(count > 32)) {
        _mm512_storeu_si512(out + 32,
                            _mm512_add_epi32(start, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(places, 2))));
        _mm512_storeu_si512(out + 48,
                            _mm512_add_epi32(start, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(places, 3))));
    }
    return out + count;
}

#include "simd_shared.h"
#include "bits_plain.h"
