#include <immintrin.h>

#define PRODUCT cl_reduced_bf16_avx512
#define BYTES 0
#define SUM __m512
#define dot(s, a, b) _mm512_dpbf16_ps(s, (__m512bh)(a), (__m512bh)(b))
#define sum_vf(s) (s)
#include "kernels/reduced/registers.h"
