/* AVX-512 in plain C, by SIMDe and what SIMDe lacks, so that its level can be tried on any processor. */
#ifndef EMULATED_IMMINTRIN_H
#define EMULATED_IMMINTRIN_H

#define SIMDE_ENABLE_NATIVE_ALIASES
#define SIMDE_NO_NATIVE
#include <simde/x86/avx512.h>
#include <simde/x86/clmul.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t __mmask64;

static inline __m512i emulated_compress(uint64_t mask, __m512i vector)
{
    uint8_t from[64], to[64] = {0};
    memcpy(from, &vector, 64);
    for (int i = 0, count = 0; i < 64; i++)
        if (mask >> i & 1)
            to[count++] = from[i];
    memcpy(&vector, to, 64);
    return vector;
}

static inline __m512i emulated_widen(__m128i vector)
{
    uint8_t from[16];
    uint32_t to[16];
    __m512i result;
    memcpy(from, &vector, 16);
    for (int i = 0; i < 16; i++)
        to[i] = from[i];
    memcpy(&result, to, 64);
    return result;
}

static inline __m512i emulated_align(__m512i high, __m512i low, int count)
{
    uint8_t both[2][64], to[64];
    memcpy(both[0], &low, 64);
    memcpy(both[1], &high, 64);
    for (int i = 0; i < 64; i++) {
        const int place = i % 16 + count;
        to[i] = both[place / 16][i / 16 * 16 + place % 16];
    }
    memcpy(&low, to, 64);
    return low;
}

#undef _mm512_maskz_compress_epi8
#define _mm512_maskz_compress_epi8 emulated_compress
#undef _mm512_cvtepu8_epi32
#define _mm512_cvtepu8_epi32 emulated_widen
#undef _mm512_alignr_epi8
#define _mm512_alignr_epi8 emulated_align

#endif
