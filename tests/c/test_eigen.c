/* The symmetric eigenproblem: against LAPACK's dsyev, and by what defines it. */
#include <float.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "pca/kernels/kernels.h"
#include "pca/solver.h"
#include "test.h"

static uint64_t random_state = 1;
static double next_random(void) {                                              /* -1 to 1 */
    random_state = random_state * 6364136223846793005u + 1442695040888963407u; /* Knuth, MMIX */
    return (double)(random_state >> 11) / 4503599627370496.0 - 1;
}

static double *copy_of(const double *numbers, int64_t count) {
    double *copy = cl_alloc((size_t)count, sizeof *copy);
    memcpy(copy, numbers, (size_t)count * sizeof *copy);
    return copy;
}

/* Solves a copy of the matrix; 1 when that worked. `all`: every eigenvalue. */
static int solve(const double *matrix, int64_t n, int64_t count, int32_t threads, double *all, double *values,
                 double *vectors) {
    cl_pool *pool;
    cl_eigen eigen;
    coulis_error error = {0};
    double *copy = copy_of(matrix, n * n);
    CHECK(cl_pool_create(threads, &pool, &error) == COULIS_OK);
    coulis_status status = cl_eigen_open(&eigen, copy, n, pool, &error);
    if (!status) {
        status = cl_eigen_values(&eigen, all, &error);
        if (!status) status = cl_eigen_vectors(&eigen, count, values, vectors, &error);
        cl_eigen_close(&eigen);
    }
    CHECK_MSG(status == COULIS_OK, "n %d: %s", (int)n, error.message);
    cl_pool_free(pool);
    cl_free(copy);
    return status == COULIS_OK;
}

/* Of the matrix, whose upper triangle alone is given to the solver, the `count` largest eigenvalues and their
 * vectors. The bounds are a few times those of a backward stable method, n^(1/2) roundings of the largest eigenvalue,
 * as the errors of as many reflections add up at random. The vectors' products are as far from 0 as LAPACK's dstemr
 * leaves them for close eigenvalues, which is some n roundings times a small number. */
static void check(const double *matrix, int64_t n, int64_t count, const char *what) {
    double *upper = copy_of(matrix, n * n), *full = copy_of(matrix, n * n);
    double *all = cl_alloc((size_t)n, 8), *expected = cl_alloc((size_t)n, 8), *values = cl_alloc((size_t)count, 8);
    double *vectors = cl_alloc((size_t)(count * n), 8), *again = cl_alloc((size_t)(count * n), 8);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) upper[i * n + j] = NAN;
    CHECK(LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'N', 'U', (lapack_int)n, full, (lapack_int)n, expected) == 0);
    double size = fmax(fabs(expected[0]), fabs(expected[n - 1])), allowed = 20 * sqrt((double)n) * DBL_EPSILON;
    if (solve(upper, n, count, 1, all, values, vectors)) {
        double worst = 0, residual = 0, product = 0;
        for (int64_t i = 0; i < n; i++) worst = fmax(worst, fabs(all[i] - expected[n - 1 - i]));
        for (int64_t i = 0; i < count; i++) worst = fmax(worst, fabs(values[i] - expected[n - 1 - i]));
        for (int64_t i = 0; i < count; i++) {
            const double *v = vectors + i * n;
            for (int64_t r = 0; r < n; r++) {
                double sum = -values[i] * v[r];
                for (int64_t c = 0; c < n; c++) sum += matrix[r * n + c] * v[c];
                residual = fmax(residual, fabs(sum));
            }
            for (int64_t j = 0; j <= i; j++) {
                double sum = i == j ? -1 : 0;
                for (int64_t r = 0; r < n; r++) sum += v[r] * vectors[j * n + r];
                product = fmax(product, fabs(sum));
            }
        }
        CHECK_MSG(worst <= allowed * size, "%s, n %d: eigenvalues differ by %g", what, (int)n, worst / size);
        CHECK_MSG(residual <= allowed * size, "%s, n %d: A v - lambda v is %g", what, (int)n, residual / size);
        CHECK_MSG(product <= 20 * (double)n * DBL_EPSILON, "%s, n %d: products differ by %g", what, (int)n, product);
    }
    static const int32_t threads[] = {2, 3, 5};
    for (size_t i = 0; i < 3; i++) {
        double *other = cl_alloc((size_t)n, 8);
        if (solve(upper, n, count, threads[i], other, expected, again)) {
            CHECK_MSG(!memcmp(all, other, (size_t)n * 8), "%s, n %d, %d threads", what, (int)n, threads[i]);
            CHECK_MSG(!memcmp(values, expected, (size_t)count * 8), "%s, n %d, %d threads", what, (int)n, threads[i]);
            CHECK_MSG(!memcmp(vectors, again, (size_t)(count * n) * 8), "%s, n %d, %d threads", what, (int)n,
                      threads[i]);
        }
        cl_free(other);
    }
    cl_free(upper), cl_free(full), cl_free(all), cl_free(expected), cl_free(values), cl_free(vectors), cl_free(again);
}

/* X^T X of random rows, the strength of whose columns falls: what PCA solves. */
static double *covariance(int64_t n, int64_t rows, double fall) {
    double *x = cl_alloc((size_t)(rows * n), 8), *matrix = cl_alloc_zero((size_t)(n * n), 8);
    for (int64_t i = 0; i < rows * n; i++) x[i] = next_random() * pow(fall, (double)(i % n));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++) matrix[i * n + j] += x[r * n + i] * x[r * n + j];
    cl_free(x);
    return matrix;
}

/* Sizes below, at and above a panel, a strip and a run. */
static void agrees_with_lapack(void) {
    static const int64_t sizes[] = {1,  2,  3,  5,  31, 32,  33,  34,  35,  63, 64,
                                    65, 66, 67, 95, 97, 128, 129, 161, 200, 259};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t n = sizes[i];
        double *matrix = covariance(n, n + 5, 0.97);
        check(matrix, n, n, "covariance");
        for (int64_t r = 0; r < n; r++)
            for (int64_t c = r; c < n; c++) matrix[r * n + c] = matrix[c * n + r] = next_random();
        check(matrix, n, (n + 2) / 3, "indefinite");
        cl_free(matrix);
    }
}

static void degenerate_matrices(void) {
    static const int64_t sizes[] = {1, 2, 40, 100, 150};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t n = sizes[i];
        double *matrix = cl_alloc_zero((size_t)(n * n), 8);
        check(matrix, n, n, "zero");
        for (int64_t r = 0; r < n; r++) matrix[r * n + r] = 3;
        check(matrix, n, n, "a multiple of the identity");
        for (int64_t r = 0; r < n; r++) matrix[r * n + r] = (double)(r % 7) - 2;
        check(matrix, n, n, "diagonal with repeated values");
        for (int64_t r = 0; r < n * n; r++) matrix[r] = 1;
        check(matrix, n, n, "all ones");
        for (int64_t r = 0; r < n; r++)
            for (int64_t c = 0; c < n; c++) matrix[r * n + c] = r + c == n - 1;
        check(matrix, n, n, "turned identity");
        cl_free(matrix);
        matrix = covariance(n, 3, 1);
        check(matrix, n, n, "rank 3");
        cl_free(matrix);
        /* Beside the strong columns the others are so weak that their squares vanish. */
        matrix = covariance(n, n + 2, 1e-4);
        check(matrix, n, n, "falling to nothing");
        cl_free(matrix);
    }
}

/* The unit changes nothing but the unit of the values. */
static void any_scale(void) {
    enum { N = 90 };
    double *matrix = covariance(N, N, 0.9), all[N], values[N], other_all[N], other_values[N];
    double *vectors = cl_alloc(N * N, 8), *other = cl_alloc(N * N, 8);
    solve(matrix, N, N, 2, all, values, vectors);
    static const int exponents[] = {-500, 500, -900, 1010};
    for (size_t e = 0; e < sizeof exponents / sizeof *exponents; e++) {
        double *scaled = copy_of(matrix, N * N);
        for (int i = 0; i < N * N; i++) scaled[i] = ldexp(scaled[i], exponents[e]);
        if (solve(scaled, N, N, 2, other_all, other_values, other)) {
            int wrong = 0;
            for (int i = 0; i < N; i++)
                wrong += other_all[i] != ldexp(all[i], exponents[e]) ||
                         other_values[i] != ldexp(values[i], exponents[e]);
            CHECK_MSG(wrong == 0, "2^%d: %d values", exponents[e], wrong);
            CHECK(!memcmp(vectors, other, N * N * 8));
        }
        cl_free(scaled);
    }
    cl_free(matrix), cl_free(vectors), cl_free(other);
}

/* However memory runs short, there is a status and nothing is lost. */
static void memory_runs_short(void) {
    enum { N = 70 };
    double *matrix = covariance(N, N, 0.9), values[N], *vectors = cl_alloc(N * N, 8);
    cl_pool *pool;
    coulis_error error = {0};
    CHECK(cl_pool_create(2, &pool, &error) == COULIS_OK);
    for (int64_t fail = 1;; fail++) {
        double *copy = copy_of(matrix, N * N);
        cl_eigen eigen;
        cl_test_fail_allocation(fail);
        coulis_status status = cl_eigen_open(&eigen, copy, N, pool, &error);
        if (!status) {
            status = cl_eigen_values(&eigen, values, &error);
            if (!status) status = cl_eigen_vectors(&eigen, 5, values, vectors, &error);
            cl_eigen_close(&eigen);
        }
        cl_test_fail_allocation(0);
        cl_free(copy);
        CHECK(status == COULIS_OK || status == COULIS_NO_MEMORY);
        if (status == COULIS_OK || fail > 100) {
            CHECK_MSG(fail > 10 && fail < 100, "%d allocations", (int)fail);
            break;
        }
    }
    cl_pool_free(pool);
    cl_free(matrix), cl_free(vectors);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    RUN(agrees_with_lapack);
    RUN(degenerate_matrices);
    RUN(any_scale);
    RUN(memory_runs_short);
    return test_finish();
}
