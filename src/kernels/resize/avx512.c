#include <immintrin.h>

#include "kernels/resize/resize.h"

#define LANES 16
#define VECTOR __m512i
#define WIDEN(p) _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define SPREAD(k) _mm512_set1_epi32(k)
#define MULTIPLY_ADD(s, a, b) _mm512_add_epi32(s, _mm512_mullo_epi32(a, b))
#define LOAD(p) _mm512_loadu_si512(p)
#define STORE(p, v) _mm512_storeu_si512(p, v)
#define NARROW(p, v)                                                                                                   \
    _mm_storeu_si128((__m128i *)(void *)(p),                                                                           \
                     _mm512_cvtusepi32_epi8(                                                                           \
                         _mm512_max_epi32(_mm512_srai_epi32(v, CL_RESIZE_BITS), _mm512_setzero_si512())))
#define KERNEL cl_resize_sum_avx512

#include "kernels/resize/kernel.h"
