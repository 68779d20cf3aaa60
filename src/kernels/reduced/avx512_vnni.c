#include <immintrin.h>

#define PRODUCT cl_reduced_int8_avx512
#define BYTES 1
#define SUM __m512i
#define dot(s, a, b) _mm512_dpbusd_epi32(s, a, b)
#define sum_vf(s) _mm512_cvtepi32_ps(s)
#include "kernels/reduced/registers.h"
