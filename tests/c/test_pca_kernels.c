/* The kernels of principal component analysis, of every instruction set this machine has, against plain
 * loops in float64. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "pca/kernels/kernels.h"
#include "random.h"
#include "test.h"

static const cl_pca_kernels *kernels; /* the table under test */

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

/* Sums of k rows of n numbers, m times. */
static void check_sums(int64_t m, int64_t n, int64_t k) {
    const int64_t a_stride = k + 1, b_stride = (n + 63) / 64 * 64, out_stride = n + 3;
    float *a = random_numbers(m * a_stride), *b = random_numbers(k * b_stride);
    double *out = cl_alloc((size_t)(m * out_stride), sizeof *out);
    for (int64_t i = 0; i < m * out_stride; i++) out[i] = (double)i;
    kernels->combine(m, n, k, a, a_stride, b, b_stride, out, out_stride);
    int wrong = 0;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < out_stride; j++) {
            double sum = 0, size = 0;
            for (int64_t x = 0; j < n && x < k; x++) {
                double product = (double)a[i * a_stride + x] * (double)b[x * b_stride + j];
                sum += product;
                size += fabs(product);
            }
            /* Runs of 64 float terms: as above, without the lanes. */
            double allowed = size * 64 * (FLT_EPSILON / 2) * 1.01;
            wrong += fabs(out[i * out_stride + j] - (double)(i * out_stride + j) - sum) > allowed;
        }
    CHECK_MSG(wrong == 0, "%d of %dx%d wrong, k %d", wrong, (int)m, (int)n, (int)k);
    double alone = (double)(m - 1) * (double)out_stride;
    kernels->combine(1, 1, k, a + (m - 1) * a_stride, a_stride, b, b_stride, &alone, 1);
    CHECK_MSG(alone == out[(m - 1) * out_stride], "%dx%d, k %d", (int)m, (int)n, (int)k);
    cl_free(a), cl_free(b), cl_free(out);
}

static void sums_agree(void) {
    for (int64_t m = 1; m <= 13; m++) check_sums(m, 1 + m * 7, 70 - m);
    static const int64_t widths[] = {1, 4, 7, 8, 16, 31, 32, 33, 63, 64, 65, 128, 129, 200};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) check_sums(7, widths[i], 129);
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

/* Columns of a block in slabs: centred, their squares measured, and multiplied with one another. */
static void check_slabs(int64_t rows, int64_t cols, int64_t begin) {
    const int64_t slabs = (cols + CL_SIDE_STEP) / CL_SIDE_STEP * CL_SIDE_STEP / CL_SLAB + begin / CL_SLAB;
    const int64_t stride = rows * CL_SLAB + CL_SLAB, side = slabs * CL_SLAB;
    float *x = random_numbers(rows * cols), *centred = cl_alloc_zero((size_t)(slabs * stride), sizeof *centred);
    double *mean = cl_alloc((size_t)cols, sizeof *mean), *out = cl_alloc_zero((size_t)(side * side), sizeof *out);
    for (int64_t c = 0; c < cols; c++) mean[c] = 0.01 * (double)c - 0.1;
    int wrong = 0;
    for (int64_t c = 0; c < cols; c += CL_SLAB) {
        float *slab = centred + c / CL_SLAB * stride;
        double square = 0, roughness;
        kernels->centre_slab(rows, cols - c, x + c, cols, mean + c, 0.7, slab);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < CL_SLAB; i++) {
                float got = slab[r * CL_SLAB + i];
                square += (double)got * (double)got;
                wrong += got != (c + i < cols ? (float)(((double)x[r * cols + c + i] - mean[c + i]) * 0.7) : 0);
            }
        double measured = kernels->slab_squares(rows, slab, &roughness);
        wrong += fabs(measured - square) > 1e-13 * square; /* some hundred roundings of double */
        wrong += !(roughness <= 64 * (FLT_EPSILON / 2) * square);
    }
    CHECK_MSG(wrong == 0, "%d numbers wrong, %dx%d", wrong, (int)rows, (int)cols);
    const float *right = centred + begin / CL_SLAB * stride;
    kernels->slab_products(cols, cols - begin, rows, centred, right, stride, 2.0, out, side);
    for (int64_t i = 0; i < cols; i++)
        for (int64_t j = begin ? 0 : i; j < cols - begin; j++) {
            double sum = 0, size = 0;
            for (int64_t r = 0; r < rows; r++) {
                double product = (double)centred[i / CL_SLAB * stride + r * CL_SLAB + i % CL_SLAB] *
                                 (double)right[j / CL_SLAB * stride + r * CL_SLAB + j % CL_SLAB];
                sum += product;
                size += fabs(product);
            }
            /* Runs of 64 float terms, as in check_sums. */
            wrong += fabs(out[i * side + j] - 2 * sum) > 2 * size * 64 * (FLT_EPSILON / 2) * 1.01;
        }
    CHECK_MSG(wrong == 0, "%d products wrong, %dx%d from %d on", wrong, (int)rows, (int)cols, (int)begin);
    cl_free(x), cl_free(centred), cl_free(mean), cl_free(out);
}

static void slabs_are_multiplied(void) {
    static const int64_t sides[] = {1, 15, 16, 17, 48, 50, 96, 101};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        check_slabs(1 + (int64_t)i * 29, sides[i], 0);
        check_slabs(130, sides[i], sides[i] / 2 / CL_SLAB * CL_SLAB);
    }
}

/* ---- the eigenproblem's, in double ---- */

enum { B = CL_PANEL };
/* Relative to the sizes of the terms: B of them, each rounded twice, in up to four products after one another. */
static const double ALLOWED = 4 * 2 * B * DBL_EPSILON;

static void panels_are_multiplied(void) {
    for (int64_t m = 1; m <= 20; m++)
        for (int turned = 0; turned < 2; turned++) {
            int64_t k = 3 * m, width = 1 + (m * 11) % B, stride = B + 5;
            double *a = cl_alloc((size_t)(m * k), 8), *b = cl_alloc((size_t)(k * B), 8);
            double *c = cl_alloc((size_t)(m * stride), 8);
            for (int64_t i = 0; i < m * k; i++) a[i] = (double)next_random();
            for (int64_t i = 0; i < k * B; i++) b[i] = (double)next_random();
            for (int64_t i = 0; i < m * stride; i++) c[i] = (double)i;
            kernels->multiply(m, width, k, a, turned ? 1 : k, turned ? m : 1, b, c, stride);
            int wrong = 0;
            for (int64_t i = 0; i < m; i++)
                for (int64_t j = 0; j < stride; j++) {
                    double sum = (double)(i * stride + j);
                    for (int64_t t = 0; j < width && t < k; t++)
                        sum += a[turned ? t * m + i : i * k + t] * b[t * B + j];
                    wrong += fabs(c[i * stride + j] - sum) > (double)(i * stride + j + k) * 2 * (double)k * DBL_EPSILON;
                }
            CHECK_MSG(wrong == 0, "%d of %dx%d wrong", wrong, (int)m, (int)width);
            cl_free(a), cl_free(b), cl_free(c);
        }
}

static void rows_are_combined(void) {
    double x[70], y[70], z[70];
    for (int n = 0; n <= 70; n++) {
        double sum = 0;
        int wrong = 0;
        for (int i = 0; i < 70; i++) x[i] = (double)next_random(), y[i] = z[i] = (double)next_random();
        for (int i = 0; i < n; i++) sum += x[i] * y[i];
        CHECK_MSG(fabs(kernels->row_dot(n, x, y) - sum) <= 140 * DBL_EPSILON * 70, "%d numbers", n);
        kernels->row_add(n, 0.3, x, y);
        for (int i = 0; i < 70; i++) wrong += fabs(y[i] - (i < n ? z[i] + 0.3 * x[i] : z[i])) > 2 * DBL_EPSILON;
        CHECK_MSG(wrong == 0, "%d of %d numbers", wrong, n);
    }
}

/* block := (I - tau v v^T) block, or block (I - tau v v^T) from the right; blocks are [column][row] here. */
static void plain_reflection(double block[B][B], const double *v, double tau, int right) {
    for (int j = 0; j < B; j++) {
        double sum = 0;
        for (int i = 0; i < B; i++) sum += v[i] * (right ? block[i][j] : block[j][i]);
        for (int i = 0; i < B; i++) *(right ? &block[i][j] : &block[j][i]) -= tau * sum * v[i];
    }
}

static void reflectors_clear(void) {
    double x[B], v[B], beta;
    for (int zero = 0; zero < 2; zero++) {
        for (int i = 0; i < B; i++) x[i] = v[i] = i > 0 && zero ? 0 : (double)next_random();
        double tau = kernels->reflector(v, &beta), along = 0;
        CHECK(v[0] == 1 && (zero ? tau == 0 && beta == x[0] : tau >= 1 && tau <= 2));
        for (int i = 0; i < B; i++) along += v[i] * x[i];
        for (int i = 0; i < B; i++)
            CHECK_MSG(fabs(x[i] - tau * along * v[i] - (i ? 0 : beta)) <= ALLOWED, "number %d", i);
    }
}

/* One step against the reflections applied one after the other. */
static void a_step_down_the_band(void) {
    enum { STRIDE = CL_BAND_STRIDE };
    static double band[STRIDE * (B + 1)];
    double d[B][B], b[B][B], v[B], g[B], beta;
    for (int c = 0; c < B; c++)
        for (int i = 0; i < B; i++) {
            b[c][i] = band[c * STRIDE + B + i] = (double)next_random();
            d[c][i] = i < c ? d[i][c] : (double)next_random();
            band[c * STRIDE + i] = d[c][i];
        }
    for (int i = 0; i + 1 < B; i++) band[(B - 1) * STRIDE + i] = 99; /* is to be copied from the last row */
    for (int i = 0; i < B; i++) v[i] = (double)next_random();
    double tau = kernels->reflector(v, &beta), next_tau = kernels->chase(band, v, tau, g);
    plain_reflection(d, v, tau, 0), plain_reflection(d, v, tau, 1);
    plain_reflection(b, v, tau, 1), plain_reflection(b, g, next_tau, 0);
    double worst = 0;
    for (int c = 0; c < B; c++)
        for (int i = 0; i < B; i++) {
            worst = fmax(worst, fabs(band[c * STRIDE + i] - d[c][i]));
            worst = fmax(worst, fabs(band[c * STRIDE + B + i] - b[c][i]));
            if (c == 0 && i > 0) CHECK(band[B + i] == 0);
        }
    CHECK_MSG(worst <= ALLOWED * 8, "%g", worst); /* the numbers of D grow to some 8 */
}

static void vectors_are_reflected(void) {
    static double z[B * B], plain[B][B];
    for (int rows = 1; rows <= B; rows++) {
        double v[B] = {0}, beta;
        for (int i = 0; i < B * B; i++) plain[i % B][i / B] = z[i] = (double)next_random();
        for (int i = 0; i < rows; i++) v[i] = (double)next_random();
        double tau = kernels->reflector(v, &beta), worst = 0;
        plain_reflection(plain, v, tau, 0);
        v[0] = tau;
        kernels->reflect(rows, v, z);
        for (int i = 0; i < B * B; i++) worst = fmax(worst, fabs(plain[i % B][i / B] - z[i]));
        CHECK_MSG(worst <= ALLOWED, "%d rows: %g", rows, worst);
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    static const char *const names[] = {"scalar", "neon", "avx2", "avx512"};
    for (int level = CL_CPU_SCALAR; level <= CL_CPU_AVX512; level++) {
        kernels = cl_pca_kernels_for((cl_cpu_level)level);
        if (!kernels) continue;
        printf("%s:\n", names[level]);
        RUN(products_agree);
        RUN(sums_agree);
        RUN(columns_are_measured);
        RUN(centring_agrees);
        RUN(slabs_are_multiplied);
        RUN(panels_are_multiplied);
        RUN(rows_are_combined);
        RUN(reflectors_clear);
        RUN(a_step_down_the_band);
        RUN(vectors_are_reflected);
    }
    return test_finish();
}
