/* One vector register of floats, named the same for every instruction set. Included only
 * by kernels, which are compiled once per instruction set:
 *
 *   LANES           floats in a register
 *   REGISTERS       how many registers there are
 *   vf              the register
 *   vf_load, vf_store, vf_set1, vf_zero, vf_add, vf_sub, vf_mul, vf_div, vf_min, vf_max
 *   vf_fma(a,b,c)   a * b + c, rounded once where the processor has it, twice in the portable one
 *   vf_exponent(a)  the lowest 9 bits of a as sign and exponent of a number with fraction 0
 *   vf_or           of the bits
 *   vf_nonzero      a bit for each lane that is not 0
 *   vf_transpose    LANES registers as a square matrix
 *   DOUBLES, vd     the same register as doubles: vd_load, vd_store, vd_set1, vd_zero, vd_fma
 *   vd_lower, vd_upper  the two halves of a register of floats as doubles
 *   KERNEL(name)    name with the instruction set as suffix
 *
 * min and max return the second operand when either is NaN, or when both are zeros, as x86 does. */
#pragma once

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define LANES 16
#define REGISTERS 32
#define KERNEL(name) name##_avx512
typedef __m512 vf;
#define vf_load(p) _mm512_loadu_ps(p)
#define vf_store(p, v) _mm512_storeu_ps(p, v)
#define vf_set1(x) _mm512_set1_ps(x)
#define vf_zero() _mm512_setzero_ps()
#define vf_add(a, b) _mm512_add_ps(a, b)
#define vf_sub(a, b) _mm512_sub_ps(a, b)
#define vf_mul(a, b) _mm512_mul_ps(a, b)
#define vf_div(a, b) _mm512_div_ps(a, b)
#define vf_min(a, b) _mm512_min_ps(a, b)
#define vf_max(a, b) _mm512_max_ps(a, b)
#define vf_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define vf_exponent(a) _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a), 23))
#define vf_or(a, b) _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(a), _mm512_castps_si512(b)))
/* Half a register: costs half as much where the processor works through 512 bits in two halves. */
#define HALF_LANES 8
typedef __m256 vh;
#define vh_load(p) _mm256_loadu_ps(p)
#define vh_zero() _mm256_setzero_ps()
#define vh_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define vf_lower(v) _mm512_castps512_ps256(v)
#define vf_of_lower(v) _mm512_zextps256_ps512(v)
typedef __m512d vd;
#define vd_load(p) _mm512_loadu_pd(p)
#define vd_store(p, v) _mm512_storeu_pd(p, v)
#define vd_set1(x) _mm512_set1_pd(x)
#define vd_zero() _mm512_setzero_pd()
#define vd_fma(a, b, c) _mm512_fmadd_pd(a, b, c)
#define vd_lower(v) _mm512_cvtps_pd(_mm512_castps512_ps256(v))
#define vd_upper(v) _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1))

#elif defined(__AVX2__)
#include <immintrin.h>
#define LANES 8
#define REGISTERS 16
#define KERNEL(name) name##_avx2
typedef __m256 vf;
#define vf_load(p) _mm256_loadu_ps(p)
#define vf_store(p, v) _mm256_storeu_ps(p, v)
#define vf_set1(x) _mm256_set1_ps(x)
#define vf_zero() _mm256_setzero_ps()
#define vf_add(a, b) _mm256_add_ps(a, b)
#define vf_sub(a, b) _mm256_sub_ps(a, b)
#define vf_mul(a, b) _mm256_mul_ps(a, b)
#define vf_div(a, b) _mm256_div_ps(a, b)
#define vf_min(a, b) _mm256_min_ps(a, b)
#define vf_max(a, b) _mm256_max_ps(a, b)
#define vf_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define vf_exponent(a) _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a), 23))
#define vf_or(a, b) _mm256_or_ps(a, b)
typedef __m256d vd;
#define vd_load(p) _mm256_loadu_pd(p)
#define vd_store(p, v) _mm256_storeu_pd(p, v)
#define vd_set1(x) _mm256_set1_pd(x)
#define vd_zero() _mm256_setzero_pd()
#define vd_fma(a, b, c) _mm256_fmadd_pd(a, b, c)
#define vd_lower(v) _mm256_cvtps_pd(_mm256_castps256_ps128(v))
#define vd_upper(v) _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1))

#elif defined(__ARM_NEON) && defined(__aarch64__) && defined(CL_NEON)
#include <arm_neon.h>
#define LANES 4
#define REGISTERS 32
#define KERNEL(name) name##_neon
typedef float32x4_t vf;
#define vf_load(p) vld1q_f32(p)
#define vf_store(p, v) vst1q_f32(p, v)
#define vf_set1(x) vdupq_n_f32(x)
#define vf_zero() vdupq_n_f32(0.0f)
#define vf_add(a, b) vaddq_f32(a, b)
#define vf_sub(a, b) vsubq_f32(a, b)
#define vf_mul(a, b) vmulq_f32(a, b)
#define vf_div(a, b) vdivq_f32(a, b)
#define vf_fma(a, b, c) vfmaq_f32(c, a, b)
#define vf_exponent(a) vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(a), 23))
#define vf_or(a, b) vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b)))
typedef float64x2_t vd;
#define vd_load(p) vld1q_f64(p)
#define vd_store(p, v) vst1q_f64(p, v)
#define vd_set1(x) vdupq_n_f64(x)
#define vd_zero() vdupq_n_f64(0.0)
#define vd_fma(a, b, c) vfmaq_f64(c, a, b)
#define vd_lower(v) vcvt_f64_f32(vget_low_f32(v))
#define vd_upper(v) vcvt_high_f64_f32(v)
/* vminq_f32 and vmaxq_f32 would give NaN when either operand is, and -0 for +0 and -0. */
static inline vf vf_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline vf vf_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }

#else /* portable: the compiler's generic vectors, on whatever registers there are */
#define LANES 4
#define REGISTERS 16
#define KERNEL(name) name##_scalar
typedef float vf __attribute__((vector_size(16)));
static inline vf vf_load(const float *p) {
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void vf_store(float *p, vf v) { memcpy(p, &v, sizeof v); }
static inline vf vf_set1(float x) { return (vf){x, x, x, x}; }
static inline vf vf_zero(void) { return (vf){0, 0, 0, 0}; }
static inline vf vf_add(vf a, vf b) { return a + b; }
static inline vf vf_sub(vf a, vf b) { return a - b; }
static inline vf vf_mul(vf a, vf b) { return a * b; }
static inline vf vf_div(vf a, vf b) { return a / b; }
static inline vf vf_min(vf a, vf b) {
    for (int i = 0; i < 4; i++) a[i] = a[i] < b[i] ? a[i] : b[i];
    return a;
}
static inline vf vf_max(vf a, vf b) {
    for (int i = 0; i < 4; i++) a[i] = a[i] > b[i] ? a[i] : b[i];
    return a;
}
static inline vf vf_fma(vf a, vf b, vf c) { return a * b + c; }
static inline vf vf_exponent(vf a) {
    unsigned __attribute__((vector_size(16))) bits;
    memcpy(&bits, &a, sizeof bits);
    bits <<= 23;
    memcpy(&a, &bits, sizeof a);
    return a;
}
static inline vf vf_or(vf a, vf b) {
    unsigned __attribute__((vector_size(16))) first, second;
    memcpy(&first, &a, sizeof a);
    memcpy(&second, &b, sizeof b);
    first |= second;
    memcpy(&a, &first, sizeof a);
    return a;
}
typedef double vd __attribute__((vector_size(16)));
static inline vd vd_load(const double *p) {
    vd v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void vd_store(double *p, vd v) { memcpy(p, &v, sizeof v); }
static inline vd vd_set1(double x) { return (vd){x, x}; }
static inline vd vd_zero(void) { return (vd){0, 0}; }
static inline vd vd_fma(vd a, vd b, vd c) { return a * b + c; }
static inline vd vd_lower(vf v) { return (vd){(double)v[0], (double)v[1]}; }
static inline vd vd_upper(vf v) { return (vd){(double)v[2], (double)v[3]}; }
#endif

/* Stands before a loop with a constant number of steps, 32 at most, so that the compiler can keep the array it indexes
 * in registers. */
#if defined(__clang__)
#define CL_UNROLL _Pragma("clang loop unroll(full)")
#else
#define CL_UNROLL _Pragma("GCC unroll 32")
#endif

#define CL_INLINE static inline __attribute__((always_inline))
/* A version of a kernel with constants of its own, all of which in one function take the compiler twice as long. */
#define CL_VERSION static __attribute__((noinline)) void

/* A bit for each lane of v that is not 0, of either sign; the first lane's is the lowest. */
CL_INLINE uint64_t vf_nonzero(vf v) {
#if defined(__AVX512F__)
    return _mm512_test_epi32_mask(_mm512_castps_si512(v), _mm512_set1_epi32(INT32_MAX));
#elif defined(__AVX2__)
    return (uint64_t)_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_NEQ_UQ));
#elif defined(__ARM_NEON) && defined(__aarch64__) && defined(CL_NEON)
    const uint32x4_t places = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vtstq_u32(vreinterpretq_u32_f32(v), vdupq_n_u32(INT32_MAX)), places));
#else
    uint32_t lanes[LANES];
    uint64_t bits = 0;
    memcpy(lanes, &v, sizeof lanes);
    for (int i = 0; i < LANES; i++) bits |= (uint64_t)(lanes[i] << 1 != 0) << i;
    return bits;
#endif
}

/* Lane j of two registers whose squares of s x s beside the diagonal change places: of the first, and of the second. */
#define CL_UPPER(j, s) ((j) & (s) ? LANES + (j) - (s) : (j))
#define CL_BELOW(j, s) ((j) & (s) ? LANES + (j) : (j) + (s))
#define CL_LANES_4(of, j, s) of(j, s), of((j) + 1, s), of((j) + 2, s), of((j) + 3, s)
#if LANES == 4
#define CL_LANES(of, s) CL_LANES_4(of, 0, s)
#elif LANES == 8
#define CL_LANES(of, s) CL_LANES_4(of, 0, s), CL_LANES_4(of, 4, s)
#else
#define CL_LANES(of, s) CL_LANES_4(of, 0, s), CL_LANES_4(of, 4, s), CL_LANES_4(of, 8, s), CL_LANES_4(of, 12, s)
#endif

/* gcc has clang's builtin from 12 on. */
#if defined(__clang__)
#define CL_SHUFFLE __builtin_shufflevector
#else
typedef int vf_lanes __attribute__((vector_size(4 * LANES)));
#define CL_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vf_lanes){__VA_ARGS__})
#endif

#define CL_TRANSPOSE(s)                                                                                                \
    CL_UNROLL                                                                                                          \
    for (int i = 0; i < LANES; i++) {                                                                                  \
        if (i & (s)) continue;                                                                                         \
        const vf upper = m[i], below = m[i + (s)];                                                                     \
        m[i] = CL_SHUFFLE(upper, below, CL_LANES(CL_UPPER, s));                                                        \
        m[i + (s)] = CL_SHUFFLE(upper, below, CL_LANES(CL_BELOW, s));                                                  \
    }

/* The rows of m become its columns. */
CL_INLINE void vf_transpose(vf m[LANES]) {
    CL_TRANSPOSE(1);
    CL_TRANSPOSE(2);
#if LANES >= 8
    CL_TRANSPOSE(4);
#endif
#if LANES >= 16
    CL_TRANSPOSE(8);
#endif
}

#define DOUBLES (LANES / 2)

/* min(max(x, low), high): ReLU, ReLU6 and clip are such clamps. */
#define vf_clamp(x, low, high) vf_min(vf_max(x, low), high)
