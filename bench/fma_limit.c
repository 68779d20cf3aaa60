/* How many float32 operations a second one core of this machine can do at most: a loop of nothing but
 * multiply-adds on registers. */
#include "fma_limit.h"

#include "cpu/cpu.h"
#include "fastest.h"

#define CHAINS 12 /* more than latency (4 cycles) times units (2), fewer than the 16 registers of AVX2 */

/* CHAINS independent multiply-adds a turn; the sums are used so that the loop is not removed. */
#define LOOP(name, attribute, type, set1, fma)                                                                         \
    attribute static float name(long turns) {                                                                          \
        type sum[CHAINS], a = set1(0.999f), b = set1(1e-3f);                                                           \
        for (int i = 0; i < CHAINS; i++) sum[i] = set1((float)i);                                                      \
        for (long t = 0; t < turns; t++) {                                                                             \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) sum[i] = fma(sum[i], a, b);                      \
        }                                                                                                              \
        float total = 0;                                                                                               \
        for (int i = 0; i < CHAINS; i++) total += ((float *)&sum[i])[0];                                               \
        return total;                                                                                                  \
    }

typedef float portable __attribute__((vector_size(16)));
static inline portable portable_set1(float x) { return (portable){x, x, x, x}; }
#define PORTABLE_FMA(a, b, c) ((a) * (b) + (c))
LOOP(portable_loop, , portable, portable_set1, PORTABLE_FMA)

#if defined(__x86_64__)
#include <immintrin.h>
LOOP(avx2_loop, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps, _mm256_fmadd_ps)
LOOP(avx512_loop, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps, _mm512_fmadd_ps)
#endif

typedef struct turns {
    float (*loop)(long turns);
    volatile float keep;
} turns;

#define TURNS 100000

static void take_turns(void *context) {
    turns *t = context;
    t->keep = t->loop(TURNS);
}

double fma_limit(void) {
    turns t = {portable_loop, 0};
    double lanes = 4;
#if defined(__x86_64__)
    if (cl_cpu() == CL_CPU_AVX2) t.loop = avx2_loop, lanes = 8;
    if (cl_cpu() == CL_CPU_AVX512) t.loop = avx512_loop, lanes = 16;
#endif
    return 2 * lanes * CHAINS * TURNS / fastest(take_turns, &t);
}
