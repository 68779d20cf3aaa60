#include "kernels/reduced/reduced.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#if defined(__x86_64__)
void cl_reduced_bf16_avx512(const cl_gemm *gemm, float *scratch);
void cl_reduced_int8_avx512(const cl_gemm *gemm, float *scratch);

static const cl_reduced all[] = {
    {"avx512_bf16", COULIS_PRECISION_BF16, CL_CPU_AVX512_BF16, cl_reduced_bf16_avx512},
    {"avx512_vnni", COULIS_PRECISION_INT8, CL_CPU_AVX512_VNNI, cl_reduced_int8_avx512},
};
#endif

const cl_reduced *cl_reduced_all(int32_t *count) {
#if defined(__x86_64__)
    *count = sizeof all / sizeof *all;
    return all;
#else
    *count = 0;
    return NULL;
#endif
}

const cl_reduced *cl_reduced_for(cl_cpu_level level, int32_t precision) {
    int32_t count;
    const cl_reduced *one = cl_reduced_all(&count);
    if (level < CL_CPU_AVX512) return NULL;
    for (; count > 0; count--, one++)
        if ((int32_t)one->precision == precision && cl_cpu_has(one->needs)) return one;
    return NULL;
}

static int64_t numbers_of(const cl_reduced *reduced) { return reduced->precision == COULIS_PRECISION_INT8 ? 4 : 2; }

int64_t cl_reduced_packed_count(const cl_reduced *reduced, int64_t k, int64_t columns) {
    const int64_t units = cl_reduced_units(k, numbers_of(reduced));
    /* With bytes go the scale and the sum of each column. */
    return cl_reduced_padded(columns) * (units + (reduced->precision == COULIS_PRECISION_INT8 ? 2 : 0));
}

int64_t cl_reduced_scratch_count(const cl_reduced *reduced, int64_t k) {
    const int64_t units = cl_reduced_units(k, numbers_of(reduced));
    /* With bytes go the scale and the least number of each row. */
    return cl_reduced_rows(units) * (cl_reduced_row_units(units) + 2);
}

static void pack_bf16(int64_t k, int64_t columns, int64_t units, const float *b, uint16_t *packed) {
    for (int64_t column = 0; column < columns; column++) {
        uint16_t *panel = packed + column / CL_REDUCED_COLUMNS * CL_REDUCED_COLUMNS * units * 2;
        for (int64_t t = 0; t < k; t++)
            panel[(t / 2 * CL_REDUCED_COLUMNS + column % CL_REDUCED_COLUMNS) * 2 + t % 2] = cl_bf16_of(
                b[t * columns + column]);
    }
}

static void pack_int8(int64_t k, int64_t columns, int64_t units, const float *b, float *scale, float *sum,
                      int8_t *packed) {
    for (int64_t column = 0; column < columns; column++) {
        int8_t *panel = packed + column / CL_REDUCED_COLUMNS * CL_REDUCED_COLUMNS * units * 4;
        float largest = 0;
        for (int64_t t = 0; t < k; t++) /* gcc 12 for 64-bit ARM fails on fmax here */
            largest = fabsf(b[t * columns + column]) > largest ? fabsf(b[t * columns + column]) : largest;
        int64_t total = 0;
        for (int64_t t = 0; t < k; t++) {
            const int8_t q = largest > 0 ? (int8_t)lrint(b[t * columns + column] * 127.0 / (double)largest) : 0;
            panel[(t / 4 * CL_REDUCED_COLUMNS + column % CL_REDUCED_COLUMNS) * 4 + t % 4] = q;
            total += q;
        }
        scale[column] = (float)((double)largest / 127);
        sum[column] = (float)total;
    }
}

void cl_reduced_pack(const cl_reduced *reduced, int64_t k, int64_t columns, const float *b, float *packed) {
    const int64_t units = cl_reduced_units(k, numbers_of(reduced));
    const int64_t padded = cl_reduced_padded(columns);
    memset(packed, 0, (size_t)cl_reduced_packed_count(reduced, k, columns) * sizeof *packed);
    if (reduced->precision == COULIS_PRECISION_INT8)
        pack_int8(k, columns, units, b, packed, packed + padded, (int8_t *)(packed + 2 * padded));
    else pack_bf16(k, columns, units, b, (uint16_t *)packed);
}
