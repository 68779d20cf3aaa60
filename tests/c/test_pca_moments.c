/* Moments: whatever the pieces and their order, the same bytes as a fit of all rows at once. */
#include <float.h>

#include "pca.h"
#include "test.h"

#define COLS 70
#define LEAF 1024
#define ROWS (5 * LEAF + 300)

static coulis_status create(int64_t cols, int64_t first_row, int32_t threads, coulis_moments **m, coulis_error *error) {
    coulis_moments_options options;
    coulis_moments_options_init(&options, sizeof options);
    options.first_row = first_row;
    options.threads = threads;
    return coulis_moments_create(cols, &options, m, error);
}

static coulis_status load(const void *bytes, size_t size, int32_t threads, coulis_moments **m, coulis_error *error) {
    coulis_moments_options options;
    coulis_moments_options_init(&options, sizeof options);
    options.threads = threads;
    return coulis_moments_load(bytes, size, &options, m, error);
}

static coulis_moments *make(const float *x, int64_t first, int64_t rows, int64_t step, int32_t threads) {
    coulis_moments *m = NULL;
    coulis_error error = {0};
    CHECK_MSG(create(COLS, first, threads, &m, &error) == COULIS_OK, "%s", error.message);
    for (int64_t r = 0; r < rows; r += step)
        CHECK_MSG(coulis_moments_update(m, x + (first + r) * COLS, rows - r < step ? rows - r : step, &error) ==
                      COULIS_OK,
                  "%s", error.message);
    CHECK(coulis_moments_rows(m) == rows && coulis_moments_columns(m) == COLS);
    return m;
}

static coulis_pca *finish(const coulis_moments *m, double components) {
    coulis_pca *pca = NULL;
    coulis_error error = {0};
    coulis_pca_options options;
    coulis_pca_options_init(&options, sizeof options);
    options.components = components;
    CHECK_MSG(coulis_moments_finish(m, &options, &pca, &error) == COULIS_OK, "%s", error.message);
    return pca;
}

static int equal_bytes(const coulis_moments *a, const coulis_moments *b) {
    void *left = NULL, *right = NULL;
    size_t left_size = 0, right_size = 1;
    CHECK(coulis_moments_save(a, &left, &left_size, NULL) == COULIS_OK);
    CHECK(coulis_moments_save(b, &right, &right_size, NULL) == COULIS_OK);
    int equal = left_size == right_size && !memcmp(left, right, left_size);
    coulis_bytes_free(left);
    coulis_bytes_free(right);
    return equal;
}

static void any_split_gives_the_same_bytes(void) {
    float *x = make_data(ROWS, COLS, 3);
    static const int64_t steps[] = {1, 7, 1000, 1024, 1025, 3000, ROWS};
    coulis_pca *whole = NULL;
    coulis_error error = {0};
    CHECK(fit(x, ROWS, COLS, 0.9, 2, &whole, &error) == COULIS_OK);
    CHECK(coulis_pca_solver(whole) == COULIS_SOLVER_COVARIANCE && coulis_pca_error_bound(whole) == 0);
    coulis_moments *first = make(x, 0, ROWS, ROWS, 1);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int32_t threads = 1 + (int32_t)i % 3;
        coulis_moments *m = make(x, 0, ROWS, steps[i], threads);
        coulis_pca *pca = finish(m, 0.9);
        CHECK_MSG(same(whole, pca), "rows by %d, %d threads", (int)steps[i], threads);
        CHECK(equal_bytes(first, m));
        coulis_pca_free(pca);
        coulis_moments_free(m);
    }
    /* A finish in between changes nothing. */
    coulis_moments *m = make(x, 0, 2000, 500, 2);
    coulis_pca *early = finish(m, 3), *other = NULL;
    CHECK(fit(x, 2000, COLS, 3, 1, &other, &error) == COULIS_OK && same(early, other));
    CHECK(coulis_moments_update(m, x + 2000 * COLS, ROWS - 2000, &error) == COULIS_OK);
    CHECK(equal_bytes(first, m));
    coulis_pca_free(early);
    coulis_pca_free(other);
    coulis_pca_free(whole);
    coulis_moments_free(m);
    coulis_moments_free(first);
    cl_free(x);
}

/* Five parts of 1, 2, 1, 1 leaves and a rest, in all 120 orders. */
static void any_order_gives_the_same_bytes(void) {
    static const int64_t begins[] = {0, LEAF, 3 * LEAF, 4 * LEAF, 5 * LEAF, ROWS};
    float *x = make_data(ROWS, COLS, -2);
    coulis_moments *whole = make(x, 0, ROWS, ROWS, 2), *parts[5];
    coulis_error error = {0};
    for (int i = 0; i < 5; i++) parts[i] = make(x, begins[i], begins[i + 1] - begins[i], 333, 1);
    int orders = 0;
    for (int code = 0; code < 5 * 5 * 5 * 5 * 5; code++) {
        int order[5], seen = 0;
        for (int i = 0, rest = code; i < 5; i++, rest /= 5) seen |= 1 << (order[i] = rest % 5);
        if (seen != 31) continue;
        orders++;
        coulis_moments *m = NULL;
        CHECK(create(COLS, 0, 1 + code % 3, &m, &error) == COULIS_OK);
        for (int i = 0; i < 5; i++)
            CHECK_MSG(coulis_moments_merge(m, parts[order[i]], &error) == COULIS_OK, "%s", error.message);
        CHECK(coulis_moments_rows(m) == ROWS && equal_bytes(whole, m));
        coulis_moments_free(m);
    }
    CHECK(orders == 120);
    /* Two halves that were merged before, and rows that follow after a merge. */
    CHECK(coulis_moments_merge(parts[0], parts[1], &error) == COULIS_OK);
    CHECK(coulis_moments_merge(parts[3], parts[2], &error) == COULIS_OK);
    CHECK(coulis_moments_merge(parts[3], parts[0], &error) == COULIS_OK);
    CHECK(coulis_moments_update(parts[3], x + 5 * LEAF * COLS, 300, &error) == COULIS_OK);
    CHECK(equal_bytes(whole, parts[3]));
    for (int i = 0; i < 5; i++) coulis_moments_free(parts[i]);
    coulis_moments_free(whole);
    cl_free(x);
}

static void gaps_and_overlaps_are_refused(void) {
    float *x = make_data(ROWS, COLS, 0);
    coulis_moments *a = make(x, 0, LEAF, LEAF, 1), *c = make(x, 2 * LEAF, LEAF, LEAF, 1), *m = NULL;
    coulis_moments *b = make(x, LEAF, LEAF + 5, LEAF, 1), *end = make(x, 3 * LEAF, 10, 10, 1), *copy;
    coulis_pca *pca = NULL;
    coulis_error error = {0};
    CHECK(coulis_moments_merge(a, c, &error) == COULIS_OK);
    CHECK(coulis_moments_finish(a, NULL, &pca, &error) == COULIS_INVALID_ARGUMENT && !pca);
    CHECK_MSG(strstr(error.message, "rows 1024 to 2047 are missing") != NULL, "%s", error.message);
    copy = make(x, 0, LEAF, LEAF, 1);
    CHECK(coulis_moments_merge(copy, c, &error) == COULIS_OK);
    CHECK(coulis_moments_merge(a, c, &error) == COULIS_INVALID_ARGUMENT);
    CHECK_MSG(strstr(error.message, "rows 2048 to 3071 are in both") != NULL, "%s", error.message);
    CHECK(coulis_moments_merge(a, b, &error) == COULIS_INVALID_ARGUMENT);
    CHECK_MSG(strstr(error.message, "rows 2048 to 2052 are in both") != NULL, "%s", error.message);
    CHECK(coulis_moments_merge(a, a, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(coulis_moments_merge(b, end, &error) == COULIS_INVALID_ARGUMENT);
    CHECK_MSG(strstr(error.message, "row 2053 would be missing") != NULL, "%s", error.message);
    CHECK(coulis_moments_merge(end, b, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(equal_bytes(a, copy)); /* what was refused left no trace */
    CHECK(coulis_moments_finish(c, NULL, &pca, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "rows 0 to 2047 are missing") != NULL);
    CHECK(coulis_moments_finish(end, NULL, &pca, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "rows 0 to 3071 are missing") != NULL);
    CHECK(create(COLS, 1000, 1, &m, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "multiple of 1024") != NULL);
    CHECK(create(COLS, -1024, 1, &m, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(create(0, 0, 1, &m, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(create(16385, 0, 1, &m, &error) == COULIS_INVALID_ARGUMENT && !m);
    CHECK(create(COLS + 1, 0, 1, &m, &error) == COULIS_OK);
    CHECK(coulis_moments_merge(a, m, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(coulis_moments_finish(m, NULL, &pca, &error) == COULIS_INVALID_ARGUMENT);
    CHECK_MSG(strstr(error.message, "at least two") != NULL, "%s", error.message);
    CHECK(coulis_moments_merge(a, NULL, &error) == COULIS_INVALID_ARGUMENT);
    x[(2 * LEAF + 40) * COLS + 3] = NAN;
    CHECK(coulis_moments_update(end, x + 2 * LEAF * COLS, LEAF, &error) == COULIS_NUMERIC);
    CHECK_MSG(strstr(error.message, "row 3122, column 3") != NULL, "%s", error.message); /* 3 * 1024 + 10 + 40 */
    CHECK(coulis_moments_rows(end) == 10);
    coulis_moments_free(a);
    coulis_moments_free(b);
    coulis_moments_free(c);
    coulis_moments_free(copy);
    coulis_moments_free(end);
    coulis_moments_free(m);
    cl_free(x);
}

static void leaves(void) {
    CHECK(coulis_moments_leaf_rows(0) == 0 && coulis_moments_leaf_rows(16385) == 0);
    CHECK(coulis_moments_leaf_rows(1) == 1024 && coulis_moments_leaf_rows(2048) == 1024);
    CHECK(coulis_moments_leaf_rows(2050) == 2048 && coulis_moments_leaf_rows(16384) == 8192);
}

/* A leaf of several blocks. The eigenproblem would take minutes under a sanitizer, so the sums are compared. */
static void wide_leaves(void) {
    enum { WIDE = 2100, COUNT = 2500 };
    float *x = make_data(COUNT, WIDE, 1);
    coulis_moments *whole = NULL, *head = NULL, *tail = NULL;
    coulis_error error = {0};
    CHECK(create(WIDE, 0, 2, &whole, &error) == COULIS_OK);
    CHECK(create(WIDE, 0, 2, &head, &error) == COULIS_OK);
    CHECK(create(WIDE, 2048, 1, &tail, &error) == COULIS_OK);
    CHECK(coulis_moments_update(whole, x, COUNT, &error) == COULIS_OK);
    CHECK(coulis_moments_update(head, x, 2000, &error) == COULIS_OK);
    CHECK(coulis_moments_update(head, x + 2000 * WIDE, 48, &error) == COULIS_OK);
    CHECK(coulis_moments_update(tail, x + 2048 * WIDE, COUNT - 2048, &error) == COULIS_OK);
    CHECK(coulis_moments_merge(tail, head, &error) == COULIS_OK);
    CHECK(equal_bytes(whole, tail));
    coulis_moments_free(whole);
    coulis_moments_free(head);
    coulis_moments_free(tail);
    cl_free(x);
}

/* Fewer rows than columns: the same answer as from the Gram matrix. */
static void few_rows(void) {
    float *x = make_data(50, COLS, 1);
    coulis_moments *m = make(x, 0, 50, 9, 2);
    coulis_pca *pca = finish(m, 4), *gram = NULL;
    coulis_error error = {0};
    CHECK(fit(x, 50, COLS, 4, 2, &gram, &error) == COULIS_OK && coulis_pca_solver(gram) == COULIS_SOLVER_GRAM);
    for (int i = 0; i < 4 && pca && gram; i++) /* 10 times the rounding of a float */
        CHECK(fabs(coulis_pca_explained_variance_ratio(pca)[i] - coulis_pca_explained_variance_ratio(gram)[i]) < 1e-6);
    coulis_pca_free(pca);
    coulis_pca_free(gram);
    coulis_moments_free(m);
    cl_free(x);
}

/* ---- bytes --------------------------------------------------------------------------------------- */

static void bytes_come_back(void) {
    float *x = make_data(ROWS, COLS, 1e4);
    static const int64_t counts[] = {0, 1, LEAF, 3 * LEAF, ROWS};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        coulis_moments *m = make(x, i == 3 ? 2 * LEAF : 0, counts[i], 1000, 1), *back = NULL;
        void *bytes = NULL;
        size_t size = 0;
        coulis_error error = {0};
        CHECK(coulis_moments_save(m, &bytes, &size, &error) == COULIS_OK);
        CHECK_MSG(load(bytes, size, 2, &back, &error) == COULIS_OK, "%s", error.message);
        if (back) {
            CHECK(equal_bytes(m, back) && coulis_moments_rows(back) == counts[i]);
            CHECK(coulis_moments_update(m, x, 500, &error) == COULIS_OK);
            CHECK(coulis_moments_update(back, x, 500, &error) == COULIS_OK);
            CHECK(equal_bytes(m, back));
        }
        coulis_bytes_free(bytes);
        coulis_moments_free(m);
        coulis_moments_free(back);
    }
    cl_free(x);
}

/* Every change of a size or place is refused, and so is what no finite rows can sum up to. */
static void hostile_bytes_are_refused(void) {
    float *x = make_data(3 * LEAF + 5, COLS, 0);
    coulis_moments *m = make(x, 0, 3 * LEAF + 5, 1000, 1), *back = NULL;
    void *bytes = NULL;
    size_t size = 0;
    coulis_error error = {0};
    CHECK(coulis_moments_save(m, &bytes, &size, &error) == COULIS_OK);
    const size_t node = 16 + 8 * (COLS + COLS * (COLS + 1) / 2);
    static const int64_t values[] = {-1, 0, 1, 2, 5, 7, 1024, 16385, 1LL << 40, 1LL << 53, INT64_MAX, INT64_MIN};
    const size_t places[] = {0, 8, 16, 24, 32, 40, 48, 56, 64, 56 + node, 64 + node};
    uint8_t *copy = cl_alloc(size, 1);
    for (size_t p = 0; p < sizeof places / sizeof *places; p++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            memcpy(copy, bytes, size);
            if (!memcmp(copy + places[p], &values[v], 8)) continue; /* what is there anyway */
            if (places[p] == 56 && values[v] == 0) continue;        /* leaf 0 instead of 0 and 1: moments with a gap */
            memcpy(copy + places[p], &values[v], 8);
            error.message[0] = 0;
            CHECK_MSG(load(copy, size, 1, &back, &error) == COULIS_BAD_DATA && !back && error.message[0], "%lld at %d",
                      (long long)values[v], (int)places[p]);
        }
    static const double numbers[] = {INFINITY, NAN, -1e300, 1e300};
    for (size_t v = 0; v < 4; v++)
        for (size_t place = 72; place < 72 + 8 * (COLS + 1); place += 8 * COLS) { /* a mean, a sum of squares */
            memcpy(copy, bytes, size);
            memcpy(copy + place, &numbers[v], 8);
            CHECK(load(copy, size, 1, &back, &error) == COULIS_BAD_DATA && !back);
        }
    memcpy(copy, bytes, size);
    memcpy(copy + size - 4, &(float){INFINITY}, 4);
    CHECK(load(copy, size, 1, &back, &error) == COULIS_BAD_DATA && !back);
    for (size_t cut = 0; cut < size; cut += cut < 80 ? 1 : 997)
        CHECK(load(bytes, cut, 1, &back, &error) == COULIS_BAD_DATA && !back);
    CHECK(load(NULL, 0, 1, &back, &error) == COULIS_INVALID_ARGUMENT);
    cl_free(copy);
    coulis_bytes_free(bytes);
    coulis_moments_free(m);
    cl_free(x);
}

static void survives_short_memory(void) {
    float *x = make_data(3 * LEAF, COLS, 0);
    coulis_moments *part = make(x, 2 * LEAF, LEAF - 4, LEAF, 1), *before = make(x, 0, LEAF, LEAF, 1);
    int failed = 0;
    for (int64_t n = 1; n < 60; n++) {
        coulis_moments *m = NULL, *back = NULL;
        void *bytes = NULL;
        size_t size = 0;
        cl_test_fail_allocation(n);
        coulis_status status = create(COLS, 0, 1, &m, NULL);
        if (!status) status = coulis_moments_update(m, x, LEAF, NULL);
        if (!status) {
            status = coulis_moments_merge(m, part, NULL);
            if (status) { /* a failure leaves it as it was */
                cl_test_fail_allocation(0);
                CHECK(equal_bytes(m, before));
            }
        }
        if (!status) status = coulis_moments_save(m, &bytes, &size, NULL);
        if (!status) status = load(bytes, size, 1, &back, NULL);
        if (!status) status = coulis_moments_update(back, x, 3, NULL);
        cl_test_fail_allocation(0);
        if (!status) CHECK(coulis_moments_rows(back) == 2 * LEAF - 1);
        CHECK(status == COULIS_OK || status == COULIS_NO_MEMORY);
        failed += status == COULIS_NO_MEMORY;
        coulis_bytes_free(bytes);
        coulis_moments_free(m);
        coulis_moments_free(back);
    }
    CHECK_MSG(failed >= 20, "%d", failed);
    coulis_moments_free(part);
    coulis_moments_free(before);
    cl_free(x);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    RUN(any_split_gives_the_same_bytes);
    RUN(any_order_gives_the_same_bytes);
    RUN(gaps_and_overlaps_are_refused);
    RUN(leaves);
    RUN(wide_leaves);
    RUN(few_rows);
    RUN(bytes_come_back);
    RUN(hostile_bytes_are_refused);
    RUN(survives_short_memory);
    return test_finish();
}
