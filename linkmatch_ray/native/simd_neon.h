/* NEON, which every 64-bit ARM has. */
#include <arm_neon.h>

#define VECTORS 4
typedef uint8x16_t V;
typedef uint8x16_t M;

INLINE V v_load(const uint8_t *p) { return vld1q_u8(p); }
INLINE V v_splat(uint8_t b) { return vdupq_n_u8(b); }
INLINE V v_table(const uint8_t *t) { return vld1q_u8(t); }
INLINE V v_and(V a, V b) { return vandq_u8(a, b); }
INLINE V v_or(V a, V b) { return vorrq_u8(a, b); }
INLINE V v_xor(V a, V b) { return veorq_u8(a, b); }
INLINE V v_shr4(V v) { return vshrq_n_u8(v, 4); }
INLINE V v_subs(V a, V b) { return vqsubq_u8(a, b); }
INLINE V v_lookup(V t, V v) { return vqtbl1q_u8(t, vandq_u8(v, vdupq_n_u8(0x8F))); }
INLINE M v_eq(V a, V b) { return vceqq_u8(a, b); }
INLINE M v_at_most(V v, uint8_t most) { return vcleq_u8(v, vdupq_n_u8(most)); }
INLINE M v_high(V v) { return vcgeq_u8(v, vdupq_n_u8(0x80)); }
#define v_prev(v, before, n) vextq_u8(before, v, 16 - (n))

INLINE uint64_t bits(const M m[VECTORS])
{
    static const uint8_t weights[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t weight = vld1q_u8(weights);
    uint8x16_t a = vpaddq_u8(vandq_u8(m[0], weight), vandq_u8(m[1], weight));
    uint8x16_t b = vpaddq_u8(vandq_u8(m[2], weight), vandq_u8(m[3], weight));
    a = vpaddq_u8(a, b);
    a = vpaddq_u8(a, a);
    return vgetq_lane_u64(vreinterpretq_u64_u8(a), 0);
}

#include "simd_shared.h"
#include "bits_plain.h"
