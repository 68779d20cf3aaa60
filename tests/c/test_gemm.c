/* The matrix product of every instruction set this machine has, against plain loops in float64. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "exact.h"
#include "kernels/kernels.h"
#include "random.h"
#include "test.h"

/* A matrix that lies transposed is packed into the same bytes. */
static void check_transposed(int64_t k, int64_t columns, const float *b, const float *packed) {
    const int64_t count = kernels->gemm_packed_count(k, columns);
    float *turned = cl_alloc((size_t)(columns * k), sizeof *turned), *found = cl_alloc((size_t)count, sizeof *found);
    for (int64_t x = 0; x < k; x++)
        for (int64_t j = 0; j < columns; j++) turned[j * k + x] = b[x * columns + j];
    kernels->gemm_pack(k, columns, turned, 1, k, found);
    CHECK_MSG(memcmp(found, packed, (size_t)count * sizeof *found) == 0, "%dx%d transposed, %s", (int)k, (int)columns,
              kernels->name);
    cl_free(turned), cl_free(found);
}

static void check_gemm(int64_t m, int64_t k, int64_t columns, int with_residual, float low, float high) {
    const int64_t n = padded(columns), a_stride = k + 3, c_stride = n + 16;
    float *a = random_numbers(m * a_stride), *b = random_numbers(k * columns), *bias = random_numbers(n);
    float *residual = random_numbers(m * n), *c = random_numbers(m * c_stride);
    float *packed = cl_alloc((size_t)kernels->gemm_packed_count(k, columns), sizeof *packed);
    for (int64_t j = columns; j < n; j++) bias[j] = 0;
    kernels->gemm_pack(k, columns, b, columns, 1, packed);
    check_transposed(k, columns, b, packed);
    cl_gemm gemm = {.m = m,
                    .k = k,
                    .columns = columns,
                    .a = a,
                    .a_stride = a_stride,
                    .b = packed,
                    .bias = bias,
                    .c = c,
                    .c_stride = c_stride,
                    .residual = with_residual ? residual : NULL,
                    .residual_stride = n,
                    .low = low,
                    .high = high};
    kernels->gemm(&gemm);
    int wrong = 0;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            exact e = {bias[j], 0};
            for (int64_t x = 0; j < columns && x < k; x++) add_product(&e, a[i * a_stride + x], b[x * columns + j]);
            if (with_residual) add_product(&e, residual[i * n + j], 1);
            wrong += differs(c[i * c_stride + j], &e, low, high);
        }
    }
    CHECK_MSG(wrong == 0, "%d of %dx%d wrong, k %d, %s", wrong, (int)m, (int)columns, (int)k, kernels->name);

    /* A row alone gives the bytes it gives among others. */
    float *alone = cl_alloc((size_t)n, sizeof *alone);
    int64_t row = m / 2;
    gemm.m = 1;
    gemm.a = a + row * a_stride;
    gemm.residual = with_residual ? residual + row * n : NULL;
    gemm.c = alone;
    kernels->gemm(&gemm);
    CHECK_MSG(memcmp(alone, c + row * c_stride, (size_t)n * sizeof *c) == 0, "m %d, %s", (int)m, kernels->name);
    cl_free(a), cl_free(b), cl_free(bias), cl_free(residual), cl_free(c), cl_free(packed), cl_free(alone);
}

static void gemm_agrees(void) {
    for (int64_t m = 1; m <= 17; m++) check_gemm(m, 5 + m, 3 * m, (int)(m % 2), -INFINITY, INFINITY);
    static const int64_t columns[] = {1, 4, 8, 15, 16, 17, 24, 31, 32, 33, 40, 47, 48, 49, 64, 80, 96, 112, 144};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) check_gemm(13, 27, columns[i], 1, 0, 6);
    for (int64_t m = 1; m <= 13; m++) check_gemm(m, 5 * m, 3 * kernels->lanes - 1, (int)(m % 2), 0, 6); /* wide tiles */
    check_gemm(1000, 64, 40, 0, 0, INFINITY);   /* more rows than one block */
    check_gemm(9, 2048, 40, 1, 0, INFINITY);    /* a block of few rows */
    check_gemm(3, 50000, 16, 0, -INFINITY, 90); /* a row longer than a block */
}

/* With zeros in A: the numbers of the product that multiplies by them, and the bytes of each row alone, though a row's
 * neighbours settle which zeros are left out. The first row is all zeros, and its sums begin with -0. */
static void check_sparse_gemm(int64_t m, int64_t k, int64_t columns, int with_residual) {
    const int64_t n = padded(columns), a_stride = k + 16;
    float *a = random_numbers(m * a_stride), *b = random_numbers(k * columns), *bias = random_numbers(n);
    float *residual = random_numbers(m * n), *c = random_numbers(m * n), *full = random_numbers(m * n);
    float *packed = cl_alloc((size_t)kernels->gemm_packed_count(k, columns), sizeof *packed);
    float *alone = cl_alloc((size_t)n, sizeof *alone);
    for (int64_t i = 0; i < m * a_stride; i++)
        if (i < k || fabsf(a[i]) < 0.5f) a[i] = copysignf(0, a[i]);
    if (m > 2) a[2 * a_stride] = INFINITY;
    for (int64_t j = 0; j < n; j += 2) bias[j] = -0.0f;
    for (int64_t j = 0; j < n; j += 3) residual[j] = -0.0f;
    for (int64_t j = columns; j < n; j++) bias[j] = 0;
    kernels->gemm_pack(k, columns, b, columns, 1, packed);
    cl_gemm gemm = {.m = m,
                    .k = k,
                    .columns = columns,
                    .a = a,
                    .a_stride = a_stride,
                    .b = packed,
                    .bias = bias,
                    .c = full,
                    .c_stride = n,
                    .residual = with_residual ? residual : NULL,
                    .residual_stride = n,
                    .low = -INFINITY,
                    .high = INFINITY};
    kernels->gemm(&gemm);
    gemm.zeros = true;
    gemm.c = c;
    kernels->gemm(&gemm);
    int wrong = 0, other = 0;
    for (int64_t i = 0; i < m * n; i++) wrong += !(c[i] == full[i] || (isnan(c[i]) && isnan(full[i])));
    gemm.m = 1;
    gemm.c = alone;
    for (int64_t row = 0; row < m; row++) {
        gemm.a = a + row * a_stride;
        gemm.residual = with_residual ? residual + row * n : NULL;
        kernels->gemm(&gemm);
        other += memcmp(alone, c + row * n, (size_t)n * sizeof *c) != 0;
    }
    CHECK_MSG(wrong == 0 && other == 0, "%d of %dx%d wrong, %d rows have other bytes alone, k %d, %s", wrong, (int)m,
              (int)columns, other, (int)k, kernels->name);
    cl_free(a), cl_free(b), cl_free(bias), cl_free(residual), cl_free(c), cl_free(full), cl_free(packed);
    cl_free(alone);
}

static void sparse_gemm_agrees(void) {
    for (int64_t m = 1; m <= 13; m++)
        for (int64_t columns = 1; columns <= 200; columns += 13) check_sparse_gemm(m, 64, columns, (int)(m % 2));
    for (int64_t columns = 8; columns <= 208; columns += 8) check_sparse_gemm(7, 32, columns, 1);
    check_sparse_gemm(5, 24, 96, 0);    /* not a whole number of registers of some */
    check_sparse_gemm(1300, 64, 80, 1); /* more rows than one block */
    for (int64_t columns = 24; columns <= 336; columns += 8) check_sparse_gemm(5, 272, columns, 1); /* several steps */
    check_sparse_gemm(70, 1152, 112, 1);
    check_sparse_gemm(259, 480, 80, 1);                                        /* several blocks and steps */
    for (int64_t k = 8192; k <= 16384; k *= 2) check_sparse_gemm(9, k, 64, 0); /* many steps */
    check_sparse_gemm(9, 16448, 64, 0);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    for (int level = CL_CPU_SCALAR; level <= CL_CPU_AVX512; level++) {
        kernels = cl_kernels_for((cl_cpu_level)level);
        if (!kernels) continue;
        printf("%s:\n", kernels->name);
        RUN(gemm_agrees);
        RUN(sparse_gemm_agrees);
    }
    return test_finish();
}
