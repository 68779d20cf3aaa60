#include <immintrin.h>

#include "kernels/resize/resize.h"

#define LANES 8
#define VECTOR __m256i
#define WIDEN(p) _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p)))
#define SPREAD(k) _mm256_set1_epi32(k)
#define MULTIPLY_ADD(s, a, b) _mm256_add_epi32(s, _mm256_mullo_epi32(a, b))
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STORE(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define NARROW(p, v) narrow(p, _mm256_srai_epi32(v, CL_RESIZE_BITS))
#define KERNEL cl_resize_sum_avx2

static inline __attribute__((always_inline)) void narrow(unsigned char *out, __m256i v) {
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64((__m128i *)(void *)out, _mm_packus_epi16(words, words));
}

#include "kernels/resize/kernel.h"
