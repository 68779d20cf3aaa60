/* The kernels of principal component analysis, of every instruction set this machine has, against plain
 * loops in float64. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "pca/kernels/kernels.h"
#include "test.h"

static const cl_pca_kernels *kernels; /* the table under test */

static uint32_t random_state = 1;
static float next_random(void) { /* -1 to 1 */
    random_state = random_state * 1664525u + 1013904223u;
    return (float)(int32_t)random_state * 0x1p-31f;
}
static float *random_numbers(int64_t count) {
    float *numbers = cl_alloc((size_t)count, sizeof *numbers);
    for (int64_t i = 0; i < count; i++) numbers[i] = next_random();
    return numbers;
}

/* m x n products of rows of k numbers, with every kind of remainder. */
static void check_products(int64_t m, int64_t n, int64_t k) {
    const int64_t a_stride = k + 1, b_stride = k + 2, out_stride = n + 3;
    float *a = random_numbers(m * a_stride), *b = random_numbers(n * b_stride);
    double *out = cl_alloc((size_t)(m * out_stride), sizeof *out);
    for (int64_t i = 0; i < m * out_stride; i++) out[i] = (double)i;
    kernels->dot(m, n, k, a, a_stride, b, b_stride, 2.0, out, out_stride);
    int wrong = 0;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < out_stride; j++) {
            double sum = 0, size = 0;
            for (int64_t x = 0; j < n && x < k; x++) {
                double product = (double)a[i * a_stride + x] * (double)b[j * b_stride + x];
                sum += product;
                size += fabs(product);
            }
            /* Runs of 64 float terms in each of up to 16 lanes: each product is rounded at most 68 times by half a
             * unit in the last place (a product, 63 additions, 4 to add up the lanes); the double additions are lost
             * in the hundredth more. */
            double allowed = 2 * size * 68 * (FLT_EPSILON / 2) * 1.01;
            wrong += fabs(out[i * out_stride + j] - (double)(i * out_stride + j) - 2 * sum) > allowed;
        }
    }
    CHECK_MSG(wrong == 0, "%d of %dx%d wrong, k %d", wrong, (int)m, (int)n, (int)k);

    /* One product alone is the same number as among others. */
    double alone = (double)((m - 1) * out_stride + n - 1);
    kernels->dot(1, 1, k, a + (m - 1) * a_stride, a_stride, b + (n - 1) * b_stride, b_stride, 2.0, &alone, 1);
    CHECK_MSG(alone == out[(m - 1) * out_stride + n - 1], "%dx%d, k %d", (int)m, (int)n, (int)k);
    cl_free(a), cl_free(b), cl_free(out);
}

static void products_agree(void) {
    for (int64_t m = 1; m <= 9; m++)
        for (int64_t n = 1; n <= 13; n++) check_products(m, n, 1 + (m * 13 + n) % 40);
    static const int64_t lengths[] = {1, 3, 4, 5, 8, 16, 17, 255, 256, 257, 511, 512, 513, 1024, 1025, 1500};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) check_products(5, 7, lengths[i]);
}

static void columns_are_measured(void) {
    enum { ROWS = 11, COLS = 37, STRIDE = 40 };
    float *x = random_numbers(ROWS * STRIDE);
    double sum[COLS];
    float low[COLS], high[COLS];
    for (int c = 0; c < COLS; c++) sum[c] = c, low[c] = 0.25f, high[c] = -0.25f;
    x[3 * STRIDE + 5] = NAN;
    kernels->column_stats(ROWS, COLS, x, STRIDE, sum, low, high);
    int wrong = 0;
    for (int c = 0; c < COLS; c++) {
        double expected = c;
        float least = 0.25f, most = -0.25f;
        for (int r = 0; r < ROWS; r++) {
            float value = x[r * STRIDE + c];
            expected += (double)value;
            if (value < least) least = value;
            if (value > most) most = value;
        }
        if (c == 5) wrong += !isnan(sum[c]);
        else wrong += sum[c] != expected || low[c] != least || high[c] != most;
    }
    CHECK_MSG(wrong == 0, "%d columns", wrong);
    cl_free(x);
}

static void centring_agrees(void) {
    enum { ROWS = 37, COLS = 50, STRIDE = 53, TURNED = 40 };
    float *x = random_numbers(ROWS * STRIDE);
    float plain[ROWS * COLS], turned[COLS * TURNED];
    double mean[COLS];
    for (int c = 0; c < COLS; c++) mean[c] = 0.1 * c;
    kernels->centre(ROWS, COLS, x, STRIDE, mean, 0.7, plain, COLS);
    kernels->centre_transposed(ROWS, COLS, x, STRIDE, mean, 0.7, turned, TURNED);
    int wrong = 0;
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++) {
            float expected = (float)(((double)x[r * STRIDE + c] - mean[c]) * 0.7);
            wrong += plain[r * COLS + c] != expected || turned[c * TURNED + r] != expected;
        }
    CHECK_MSG(wrong == 0, "%d numbers", wrong);
    cl_free(x);
}

int main(void) {
    static const char *const names[] = {"scalar", "neon", "avx2", "avx512"};
    for (int level = CL_CPU_SCALAR; level <= CL_CPU_AVX512; level++) {
        kernels = cl_pca_kernels_for((cl_cpu_level)level);
        if (!kernels) continue;
        printf("%s:\n", names[level]);
        RUN(products_agree);
        RUN(columns_are_measured);
        RUN(centring_agrees);
    }
    return test_finish();
}
