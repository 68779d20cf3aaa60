/* Principal component analysis: against known answers, and at its edges. The comparison with scikit-learn is in
 * tests/python/test_pca.py, the inner loops are in test_pca_kernels.c, files in test_pca_file.c. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "pca/basis.h"
#include "pca/pca.h"
#include "pca/source.h"
#include "pca.h"
#include "test.h"

/* Two columns with covariance [[2, 1], [1, 2]] have eigenvalues 3 and 1 along (1, 1) and (1, -1). */
static void known_answer(void) {
    double a = sqrt(3) / 2, b = 0.5;
    const float x[] = {(float)(10 + a * 1), (float)(20 + a * 1), (float)(10 - a * 1), (float)(20 - a * 1),
                       (float)(10 + b * 1), (float)(20 - b * 1), (float)(10 - b * 1), (float)(20 + b * 1)};
    coulis_pca *pca = NULL;
    coulis_error error = {0};
    CHECK(fit(x, 4, 2, 0, 1, &pca, &error) == COULIS_OK);
    if (!pca) return;
    /* Sums of squares: along (1, 1) 4 a^2 = 3, along (1, -1) 4 b^2 = 1; divided by 3. Tolerance: x near 20
     * is rounded by at most 1e-6. */
    CHECK(fabs(coulis_pca_explained_variance(pca)[0] - 1) < 1e-5);
    CHECK(fabs(coulis_pca_explained_variance(pca)[1] - 1.0 / 3) < 1e-5);
    CHECK(fabs(coulis_pca_explained_variance_ratio(pca)[0] - 0.75) < 1e-5);
    CHECK(fabs(coulis_pca_total_variance(pca) - 4.0 / 3) < 1e-5);
    CHECK(fabs(coulis_pca_mean(pca)[0] - 10) < 1e-6 && fabs(coulis_pca_mean(pca)[1] - 20) < 1e-6);
    CHECK(fabs((double)coulis_pca_components(pca)[0] - sqrt(0.5)) < 1e-5);
    CHECK(fabs((double)coulis_pca_components(pca)[1] - sqrt(0.5)) < 1e-5);
    CHECK(coulis_pca_components_count(pca) == 2 && coulis_pca_columns(pca) == 2 && coulis_pca_samples(pca) == 4);
    coulis_pca_free(pca);
}

static void threads_do_not_matter(void) {
    static const struct {
        int64_t rows, cols;
        double components;
    } shapes[] = {{5000, 70, 0}, {9, 5000, 0}, {300, 2100, 20}, {400, 300, 0.9}, {2, 3, 0}, {40, 1, 0}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int64_t rows = shapes[i].rows, cols = shapes[i].cols;
        float *x = make_data(rows, cols, 3);
        coulis_pca *first = NULL;
        coulis_error error = {0};
        CHECK(fit(x, rows, cols, shapes[i].components, 1, &first, &error) == COULIS_OK);
        if (!first) continue;
        int64_t count = coulis_pca_components_count(first);
        float *scores = cl_alloc((size_t)rows, (size_t)count * sizeof *scores);
        CHECK(coulis_pca_transform(first, x, rows, 1, scores, &error) == COULIS_OK);
        CHECK_MSG(deviation(first) < 1e-6, "%lld x %lld: %g", (long long)rows, (long long)cols, deviation(first));
        for (int32_t threads = 2; threads <= 3; threads++) {
            coulis_pca *other = NULL;
            CHECK(fit(x, rows, cols, shapes[i].components, threads, &other, &error) == COULIS_OK);
            if (!other) continue;
            CHECK(coulis_pca_components_count(other) == count);
            CHECK(!memcmp(coulis_pca_components(first), coulis_pca_components(other), (size_t)(count * cols) * 4));
            CHECK(
                !memcmp(coulis_pca_explained_variance(first), coulis_pca_explained_variance(other), (size_t)count * 8));
            CHECK(!memcmp(coulis_pca_mean(first), coulis_pca_mean(other), (size_t)cols * 8));
            float *again = cl_alloc((size_t)rows, (size_t)count * sizeof *again);
            CHECK(coulis_pca_transform(other, x, rows, threads, again, &error) == COULIS_OK);
            CHECK(!memcmp(scores, again, (size_t)(rows * count) * 4));
            /* A row's score does not depend on the rows beside it. */
            CHECK(coulis_pca_transform(other, x + (rows - 1) * cols, 1, threads, again, &error) == COULIS_OK);
            CHECK(!memcmp(scores + (rows - 1) * count, again, (size_t)count * 4));
            cl_free(again);
            coulis_pca_free(other);
        }
        cl_free(scores);
        coulis_pca_free(first);
        cl_free(x);
    }
}

/* With as many components as there are directions, the scores hold all of the data. */
static void there_and_back(void) {
    static const int64_t shapes[][2] = {{30, 2500}, {2500, 30}, {33, 33}};
    for (size_t i = 0; i < 3; i++) {
        int64_t rows = shapes[i][0], cols = shapes[i][1], count = rows < cols ? rows : cols;
        float *x = make_data(rows, cols, 5);
        float *scores = cl_alloc((size_t)rows, (size_t)count * sizeof *scores);
        float *back = cl_alloc((size_t)rows, (size_t)cols * sizeof *back);
        coulis_pca *pca = NULL;
        coulis_error error = {0};
        CHECK(fit(x, rows, cols, 0, 2, &pca, &error) == COULIS_OK);
        CHECK(coulis_pca_transform(pca, x, rows, 2, scores, &error) == COULIS_OK);
        CHECK(coulis_pca_inverse_transform(pca, scores, rows, back, &error) == COULIS_OK);
        float worst = 0;
        for (int64_t e = 0; e < rows * cols; e++) worst = fmaxf(worst, fabsf(back[e] - x[e]));
        CHECK_MSG(worst < 5e-6f, "%g", (double)worst); /* x is up to 8: a few roundings of 2^-24 each */
        coulis_pca_free(pca);
        cl_free(x);
        cl_free(scores);
        cl_free(back);
    }
}

static void equal_rows(void) {
    static const int64_t shapes[][2] = {{5, 8}, {8, 5}, {300, 400}};
    for (size_t i = 0; i < 3; i++) {
        int64_t rows = shapes[i][0], cols = shapes[i][1], side = rows < cols ? rows : cols;
        float *x = cl_alloc((size_t)rows, (size_t)cols * sizeof *x);
        for (int64_t e = 0; e < rows * cols; e++) x[e] = 0.1f + (float)(e % cols);
        for (int share = 0; share < 2; share++) {
            coulis_pca *pca = NULL;
            coulis_error error = {0};
            CHECK(fit(x, rows, cols, share ? 0.5 : 0, 2, &pca, &error) == COULIS_OK);
            if (!pca) continue;
            CHECK(coulis_pca_components_count(pca) == (share ? 1 : side));
            CHECK(coulis_pca_total_variance(pca) == 0);
            for (int64_t c = 0; c < coulis_pca_components_count(pca); c++)
                CHECK(coulis_pca_explained_variance(pca)[c] == 0 && coulis_pca_explained_variance_ratio(pca)[c] == 0);
            CHECK(deviation(pca) < 1e-6);
            coulis_pca_free(pca);
        }
        cl_free(x);
    }
}

/* 40 rows that are 5 rows repeated: 4 directions, whichever matrix is solved. */
static void few_directions(void) {
    static const int64_t widths[] = {30, 90, 2000};
    for (size_t i = 0; i < 3; i++) {
        int64_t cols = widths[i];
        float *few = make_data(5, cols, 1), *x = cl_alloc(40, (size_t)cols * sizeof *x);
        for (int64_t r = 0; r < 40; r++) memcpy(x + r * cols, few + r % 5 * cols, (size_t)cols * sizeof *x);
        coulis_pca *pca = NULL;
        coulis_error error = {0};
        CHECK(fit(x, 40, cols, 0, 2, &pca, &error) == COULIS_OK);
        if (pca) {
            for (int64_t c = 0; c < coulis_pca_components_count(pca); c++)
                CHECK((coulis_pca_explained_variance(pca)[c] > 0) == (c < 4));
            CHECK_MSG(deviation(pca) < 1e-6, "%g", deviation(pca));
        }
        coulis_pca_free(pca);
        cl_free(few);
        cl_free(x);
    }
}

/* The unit of the data changes nothing but the unit of the result: here powers of two, hence exactly. */
static void any_unit(void) {
    static const int64_t shapes[][2] = {{40, 300}, {300, 40}};
    for (size_t s = 0; s < 2; s++) {
        int64_t rows = shapes[s][0], cols = shapes[s][1];
        float *x = make_data(rows, cols, 0);
        coulis_pca *plain = NULL, *scaled = NULL;
        coulis_error error = {0};
        CHECK(fit(x, rows, cols, 5, 2, &plain, &error) == COULIS_OK);
        for (int exponent = -90; exponent <= 120; exponent += 210) {
            float *y = cl_alloc((size_t)rows, (size_t)cols * sizeof *y);
            for (int64_t e = 0; e < rows * cols; e++) y[e] = ldexpf(x[e], exponent);
            CHECK(fit(y, rows, cols, 5, 2, &scaled, &error) == COULIS_OK);
            if (plain && scaled) {
                CHECK(!memcmp(coulis_pca_explained_variance_ratio(plain), coulis_pca_explained_variance_ratio(scaled),
                              5 * 8));
                CHECK(!memcmp(coulis_pca_components(plain), coulis_pca_components(scaled), (size_t)(5 * cols) * 4));
            }
            coulis_pca_free(scaled);
            scaled = NULL;
            cl_free(y);
        }
        coulis_pca_free(plain);
        cl_free(x);
    }
}

static void refuses(void) {
    float x[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13};
    coulis_pca *pca = NULL;
    coulis_error error = {0};
    static const double components[] = {4, 1.5, -1, 1e300, 5};
    for (size_t i = 0; i < 5; i++) CHECK(fit(x, 4, 3, components[i], 1, &pca, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "5 components") && strstr(error.message, "at most 3"));
    CHECK(fit(x, 4, 3, NAN, 1, &pca, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(fit(x, 1, 3, 0, 1, &pca, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "at least two images") != NULL);
    CHECK(fit(x, 0, 3, 0, 1, &pca, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(fit(x, 4, 0, 0, 1, &pca, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(fit(x, -1, 3, 0, 1, &pca, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(fit(NULL, 4, 3, 0, 1, &pca, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(fit(x, INT64_MAX, INT64_MAX, 0, 1, &pca, &error) == COULIS_INVALID_ARGUMENT);
    x[7] = NAN;
    CHECK(fit(x, 4, 3, 0, 1, &pca, &error) == COULIS_NUMERIC);
    CHECK_MSG(strstr(error.message, "row 2, column 1") && strstr(error.message, "not a number"), "%s", error.message);
    x[7] = -INFINITY;
    CHECK(fit(x, 3, 4, 0, 1, &pca, &error) == COULIS_NUMERIC);
    CHECK_MSG(strstr(error.message, "row 1, column 3") && strstr(error.message, "infinite"), "%s", error.message);
    CHECK(pca == NULL);
    x[7] = 8;
    CHECK(fit(x, 4, 3, 2, 1, &pca, &error) == COULIS_OK);
    float scores[8];
    x[5] = INFINITY;
    CHECK(coulis_pca_transform(pca, x, 4, 1, scores, &error) == COULIS_NUMERIC);
    CHECK_MSG(strstr(error.message, "row 1, column 2") != NULL, "%s", error.message);
    CHECK(coulis_pca_transform(pca, NULL, 0, 1, NULL, &error) == COULIS_OK);
    CHECK(coulis_pca_transform(pca, NULL, 4, 1, scores, &error) == COULIS_INVALID_ARGUMENT);
    coulis_pca_free(pca);
}

/* ---- a source that is read in blocks ------------------------------------------------------ */

typedef struct counted {
    const float *x;
    int64_t cols, stop_after;
    int64_t reads, told;
} counted;

static coulis_status read_counted(void *context, int64_t first, int64_t count, float *out, coulis_error *error) {
    (void)error;
    counted *source = context;
    source->reads++;
    memcpy(out, source->x + first * source->cols, (size_t)(count * source->cols) * sizeof *out);
    return COULIS_OK;
}

static int32_t count_progress(void *context, int64_t done, int64_t total) {
    counted *source = context;
    CHECK(done >= 0 && done <= total);
    return ++source->told == source->stop_after;
}

/* Reading from somewhere gives the same bytes as rows in memory; the caller can stop it. */
static void streams(void) {
    static const int64_t shapes[][2] = {{20000, 40}, {150, 3000}};
    for (size_t i = 0; i < 2; i++) {
        int64_t rows = shapes[i][0], cols = shapes[i][1];
        float *x = make_data(rows, cols, 2);
        coulis_pca *memory = NULL, *streamed = NULL;
        coulis_pca_options seven;
        coulis_pca_options_init(&seven, sizeof seven);
        seven.components = 7;
        coulis_error error = {0};
        cl_pool *pool;
        CHECK(cl_pool_create(2, &pool, &error) == COULIS_OK);
        CHECK(fit(x, rows, cols, 7, 1, &memory, &error) == COULIS_OK);
        counted source = {.x = x, .cols = cols, .stop_after = -1};
        cl_rows input = {.context = &source,
                         .rows = rows,
                         .cols = cols,
                         .read = read_counted,
                         .progress = count_progress,
                         .progress_context = &source};
        CHECK(cl_pca_fit(&input, &seven, pool, &streamed, &error) == COULIS_OK);
        CHECK(source.reads >= 1 && source.told >= 1);
        if (memory && streamed) {
            CHECK(!memcmp(coulis_pca_components(memory), coulis_pca_components(streamed), (size_t)(7 * cols) * 4));
            CHECK(!memcmp(coulis_pca_mean(memory), coulis_pca_mean(streamed), (size_t)cols * 8));
        }
        int64_t told = source.told;
        for (int64_t stop = 1; stop <= told; stop++) {
            coulis_pca *none = NULL;
            source.told = 0;
            source.stop_after = stop;
            CHECK(cl_pca_fit(&input, &seven, pool, &none, &error) == COULIS_INTERRUPTED && none == NULL);
        }
        coulis_pca_free(memory);
        coulis_pca_free(streamed);
        cl_pool_free(pool);
        cl_free(x);
    }
}

static void survives_short_memory(void) {
    static const int64_t shapes[][2] = {{50, 20}, {20, 50}, {300, 310}};
    for (size_t i = 0; i < 3; i++) {
        float *x = make_data(shapes[i][0], shapes[i][1], 0);
        int failed = 0;
        for (int64_t n = 1; n < 40; n++) {
            coulis_pca *pca = NULL;
            coulis_error error = {0};
            cl_test_fail_allocation(n);
            coulis_status status = fit(x, shapes[i][0], shapes[i][1], 0.9, 1, &pca, &error);
            cl_test_fail_allocation(0);
            CHECK(status == COULIS_OK || status == COULIS_NO_MEMORY);
            CHECK((pca != NULL) == (status == COULIS_OK));
            failed += status == COULIS_NO_MEMORY;
            coulis_pca_free(pca);
        }
        CHECK_MSG(failed >= 15, "%d", failed);
        cl_free(x);
    }
}

/* ---- parts ------------------------------------------------------------------------------------ */

/* Rows at an angle become orthonormal, the first keeping its direction. */
static void orthonormalises(void) {
    enum { COUNT = 60, COLS = 1500 };
    float *rows = make_data(COUNT, COLS, 0);
    uint64_t state = 7;
    for (int64_t i = 0; i < COUNT * COLS; i++) rows[i] += (float)(3 * random_number(&state));
    float ratio = rows[1] / rows[0];
    coulis_error error = {0};
    cl_pool *pool;
    double squares[COUNT];
    CHECK(cl_pool_create(2, &pool, &error) == COULIS_OK);
    cl_normalise(pool, COUNT, COLS, rows, squares);
    CHECK(squares[0] > 1000 && squares[COUNT - 1] > 1000); /* of 1,500 numbers up to 3 and more */
    int64_t count = COUNT;
    CHECK(cl_orthonormalise(pool, &count, COLS, rows, &error) == COULIS_OK && count == COUNT);
    double worst = 0;
    for (int i = 0; i < COUNT; i++)
        for (int j = i; j < COUNT; j++) {
            double product = i == j ? -1 : 0;
            for (int c = 0; c < COLS; c++) product += (double)rows[i * COLS + c] * (double)rows[j * COLS + c];
            worst = fmax(worst, fabs(product));
        }
    CHECK_MSG(worst < 1e-6, "%g", worst);
    CHECK(fabsf(rows[1] / rows[0] - ratio) <= 1e-5f * fabsf(ratio));
    /* A row that is the sum of two before it ends the set. */
    for (int c = 0; c < COLS; c++) rows[40 * COLS + c] = (rows[3 * COLS + c] + rows[5 * COLS + c]) * 0.70710678f;
    CHECK(cl_orthonormalise(pool, &count, COLS, rows, &error) == COULIS_OK && count == 40);
    cl_pool_free(pool);
    cl_free(rows);
}

static void scale_of_centred_values(void) {
    static const float low[] = {-1, 3, 0}, high[] = {5, 3, 1}, huge[] = {FLT_MAX}, tiny[] = {-FLT_MAX};
    CHECK(cl_centred_scale(low, high, 3) == 0.125);
    CHECK(cl_centred_scale(low, low, 3) == 1);
    CHECK(cl_centred_scale(tiny, huge, 1) == ldexp(1, -129));
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    RUN(known_answer);
    RUN(threads_do_not_matter);
    RUN(there_and_back);
    RUN(equal_rows);
    RUN(few_directions);
    RUN(any_unit);
    RUN(refuses);
    RUN(streams);
    RUN(survives_short_memory);
    RUN(orthonormalises);
    RUN(scale_of_centred_values);
    return test_finish();
}
