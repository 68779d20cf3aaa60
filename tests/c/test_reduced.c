/* Products of bfloat16 and of bytes, against sums in float64 of the same rounded numbers. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/reduced/reduced.h"
#include "random.h"
#include "test.h"

static const cl_reduced *reduced; /* the kernel under test */

static double bf16(float x) {
    int exponent;
    const double fraction = frexp((double)x, &exponent); /* 8 bits of it */
    return ldexp(rint(ldexp(fraction, 8)), exponent - 8);
}

/* What a row of A, or a column of B, is rounded to. */
typedef struct rounded {
    double *x;         /* the numbers, or with bytes the bytes */
    double scale, low; /* bytes: x stands for low + scale * byte */
} rounded;

static rounded round_numbers(const float *x, int64_t k, int64_t step, int of_weights) {
    rounded r = {.x = cl_alloc((size_t)k, sizeof *r.x), .scale = 1};
    float low = x[0], high = x[0];
    float largest = 0;
    for (int64_t t = 0; t < k; t++) {
        low = x[t * step] < low ? x[t * step] : low;
        high = x[t * step] > high ? x[t * step] : high;
        largest = fabsf(x[t * step]) > largest ? fabsf(x[t * step]) : largest;
    }
    for (int64_t t = 0; t < k; t++) {
        if (reduced->precision == COULIS_PRECISION_BF16) {
            r.x[t] = bf16(x[t * step]);
        } else if (of_weights) {
            r.scale = (double)largest / 127;
            r.x[t] = largest > 0 ? rint(x[t * step] * 127.0 / (double)largest) : 0;
        } else {
            r.low = low;
            r.scale = (high - low) / 255.0f;
            r.x[t] = high > low ? (double)rintf((x[t * step] - low) * (255.0f / (high - low))) : 0;
        }
        /* The number itself is within half a step, and four roundings of a number of up to 255 steps. */
        const double error = fabs(r.low + r.scale * r.x[t] - (double)x[t * step]);
        CHECK(error <= (reduced->precision == COULIS_PRECISION_BF16 ? fabs((double)x[t * step]) / 256
                                                                    : r.scale * (0.5 + 4 * 255 * 0x1p-24)) +
                           1e-30);
    }
    return r;
}

static void check(int64_t m, int64_t k, int64_t columns, int with_residual, float low, float high) {
    const int bytes = reduced->precision == COULIS_PRECISION_INT8;
    const int64_t n = cl_reduced_padded(columns), a_stride = k + 3, c_stride = n + 16;
    float *a = random_numbers(m * a_stride), *b = random_numbers(k * columns), *bias = random_numbers(n);
    float *residual = random_numbers(m * n), *c = random_numbers(m * c_stride);
    float *packed = cl_alloc((size_t)cl_reduced_packed_count(reduced, k, columns), sizeof *packed);
    const size_t scratch_bytes = (size_t)cl_reduced_scratch_count(reduced, k) * sizeof(float);
    float *scratch = cl_alloc(scratch_bytes, 1);
    memset(scratch, 0xff, scratch_bytes); /* NaN */
    for (int64_t j = columns; j < n; j++) bias[j] = 0;
    for (int64_t i = 0; i < m; i++)
        for (int64_t x = k; x < a_stride; x++) a[i * a_stride + x] = NAN; /* never read */
    for (int64_t t = 0; m > 1 && t < k; t++) a[a_stride + t] = 0.375f;    /* a row of equal numbers */
    for (int64_t t = 0; columns > 1 && t < k; t++) b[t * columns + 1] = 0;
    cl_reduced_pack(reduced, k, columns, b, packed);
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
    reduced->product(&gemm, scratch);
    rounded *column = cl_alloc((size_t)columns, sizeof *column);
    for (int64_t j = 0; j < columns; j++) column[j] = round_numbers(b + j, k, columns, 1);
    int wrong = 0;
    for (int64_t i = 0; i < m; i++) {
        const rounded row = round_numbers(a + i * a_stride, k, 1, 0);
        for (int64_t j = 0; j < n; j++) {
            const double added = (double)bias[j] + (with_residual ? (double)residual[i * n + j] : 0.0);
            double sum = 0, size = 0, weights = 0;
            for (int64_t t = 0; j < columns && t < k; t++) {
                sum += row.x[t] * column[j].x[t];
                size += fabs(row.x[t] * column[j].x[t]);
                weights += column[j].x[t];
            }
            if (bytes && j < columns) {
                size = (fabs(row.scale * sum) + fabs(row.low * weights)) * column[j].scale;
                sum = (row.scale * sum + row.low * weights) * column[j].scale;
            }
            /* bfloat16: each of k sums is rounded; bytes: the sum as float32, three products and a sum, and both
             * scales. Then bias and residual are added. */
            const double steps = bytes ? 8 : (double)k + 3;
            const double allowed = steps * (FLT_EPSILON / 2) * 1.01 * (size + fabs((double)bias[j]) + 1);
            const double expected = fmin(fmax(sum + added, (double)low), (double)high);
            wrong += !(fabs((double)c[i * c_stride + j] - expected) <= allowed);
        }
        cl_free(row.x);
    }
    CHECK_MSG(wrong == 0, "%d of %dx%d wrong, k %d, %s", wrong, (int)m, (int)columns, (int)k, reduced->name);

    /* A row alone gives the bytes it gives among others. */
    float *alone = cl_alloc((size_t)n, sizeof *alone);
    const int64_t row = m / 2;
    gemm.m = 1;
    gemm.a = a + row * a_stride;
    gemm.residual = with_residual ? residual + row * n : NULL;
    gemm.c = alone;
    reduced->product(&gemm, scratch);
    CHECK_MSG(memcmp(alone, c + row * c_stride, (size_t)n * sizeof *c) == 0, "m %d, %s", (int)m, reduced->name);
    for (int64_t j = 0; j < columns; j++) cl_free(column[j].x);
    cl_free(a), cl_free(b), cl_free(bias), cl_free(residual), cl_free(c), cl_free(packed), cl_free(scratch);
    cl_free(column), cl_free(alone);
}

static void product_agrees(void) {
    for (int64_t m = 1; m <= 40; m++) check(m, 16 + m % 5, 1 + m * 3, m % 2 == 1, -0.5f, 1);
    for (int64_t k = 1; k <= 140; k++) check(1 + k % 19, k, 17 + k % 80, k % 3 == 0, -INFINITY, INFINITY);
    for (int64_t columns = 1; columns <= 130; columns++) check(9, 24, columns, 1, 0, 6);
    check(cl_reduced_rows(cl_reduced_units(600, 2)) * 2 + 5, 600, 40, 1, 0, INFINITY); /* more rows than a block */
    check(3, 40000, 16, 0, -INFINITY, INFINITY); /* a row longer than one; and sums near 31 bits */
}

/* The product of a block in plain C, by the library's own rounding of rows and what it makes of a sum: for processors
 * without the instructions, and to compare theirs with. */
#include "kernels/reduced/common.h"

static float half_of(uint32_t unit, int upper) { /* one bfloat16 */
    const uint32_t bits = upper ? unit & 0xffff0000u : unit << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void plain_multiply(const block *s, int bytes) {
    for (int64_t row = 0; row < s->rows; row++)
        for (int64_t column = 0; column < cl_reduced_padded(s->g->columns); column += LANES) {
            float sums[LANES];
            for (int64_t j = 0; j < LANES; j++) {
                const int64_t panel = (column + j) / CL_REDUCED_COLUMNS, lane = (column + j) % CL_REDUCED_COLUMNS;
                int32_t whole = 0;
                float sum = 0;
                for (int64_t u = 0; u < s->units; u++) {
                    const uint32_t a = s->a[row * s->stride + u];
                    const uint32_t b = s->b[(panel * s->units + u) * CL_REDUCED_COLUMNS + lane];
                    for (int shift = 0; bytes && shift < 32; shift += 8)
                        whole += (uint8_t)(a >> shift) * (int8_t)(uint8_t)(b >> shift);
                    for (int half = 0; !bytes && half < 2; half++) sum += half_of(a, half) * half_of(b, half);
                }
                sums[j] = bytes ? (float)whole : sum;
            }
            finish(s, row, column, vf_load(sums), bytes);
        }
}

static void plain_multiply_bf16(const block *s) { plain_multiply(s, 0); }
static void plain_multiply_int8(const block *s) { plain_multiply(s, 1); }
static void plain_bf16(const cl_gemm *g, float *scratch) { each_block(g, scratch, 0, plain_multiply_bf16); }
static void plain_int8(const cl_gemm *g, float *scratch) { each_block(g, scratch, 1, plain_multiply_int8); }

static const cl_reduced plain[] = {
    {"bf16 in plain C", COULIS_PRECISION_BF16, CL_CPU_AVX512_BF16, plain_bf16},
    {"int8 in plain C", COULIS_PRECISION_INT8, CL_CPU_AVX512_VNNI, plain_int8},
};

/* One product of bytes of those numbers, by `one`; released with cl_free. */
static float *multiplied(const cl_reduced *one, int64_t m, int64_t k, int64_t columns, const float *a, const float *b,
                         const float *bias) {
    const int64_t n = cl_reduced_padded(columns);
    float *c = cl_alloc((size_t)(m * n), sizeof *c);
    float *packed = cl_alloc((size_t)cl_reduced_packed_count(one, k, columns), sizeof *packed);
    float *scratch = cl_alloc((size_t)cl_reduced_scratch_count(one, k), sizeof *scratch);
    cl_reduced_pack(one, k, columns, b, packed);
    const cl_gemm gemm = {.m = m,
                          .k = k,
                          .columns = columns,
                          .a = a,
                          .a_stride = k,
                          .b = packed,
                          .bias = bias,
                          .c = c,
                          .c_stride = n,
                          .low = -INFINITY,
                          .high = INFINITY};
    one->product(&gemm, scratch);
    cl_free(packed), cl_free(scratch);
    return c;
}

/* Sums of bytes are exact, and what follows is the same: so are the results, bit by bit, on any processor. */
static void bytes_are_the_same_everywhere(void) {
    int32_t count;
    const cl_reduced *one = cl_reduced_all(&count);
    int compared = 0;
    for (; count > 0; count--, one++) {
        if (one->precision != COULIS_PRECISION_INT8 || !cl_cpu_has(one->needs)) continue;
        for (int64_t k = 1; k <= 200; k++, compared++) {
            const int64_t m = 1 + k % 37, columns = 1 + k * 7 % 90, n = cl_reduced_padded(columns);
            float *a = random_numbers(m * k), *b = random_numbers(k * columns), *bias = random_numbers(n);
            float *here = multiplied(one, m, k, columns, a, b, bias);
            float *there = multiplied(&plain[1], m, k, columns, a, b, bias);
            CHECK_MSG(memcmp(here, there, (size_t)(m * n) * sizeof *here) == 0, "k %d, %s", (int)k, one->name);
            cl_free(a), cl_free(b), cl_free(bias), cl_free(here), cl_free(there);
        }
    }
    if (!compared) SKIP("this processor has no products of bytes to compare with");
}

static void run_for(const cl_reduced *kernel) {
    reduced = kernel;
    printf("-- %s\n", kernel->name);
    RUN(product_agrees);
}

static void the_level_decides(void) {
    for (int level = CL_CPU_SCALAR; level < CL_CPU_AVX512; level++)
        for (int32_t p = COULIS_PRECISION_FLOAT32; p <= COULIS_PRECISION_INT8; p++)
            CHECK(cl_reduced_for((cl_cpu_level)level, p) == NULL);
    CHECK(cl_reduced_for(CL_CPU_AVX512, COULIS_PRECISION_FLOAT32) == NULL);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    RUN(the_level_decides);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) run_for(&plain[i]);
    int32_t count;
    const cl_reduced *one = cl_reduced_all(&count);
    for (; count > 0; count--, one++)
        if (cl_cpu_has(one->needs)) run_for(one);
        else printf("-- %s: this processor does not have it\n", one->name);
    RUN(bytes_are_the_same_everywhere);
    return test_finish();
}
