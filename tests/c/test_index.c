/* Search by cosine against all pairs in float64; ties, threads, and running out of memory. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "coulis.h"
#include "random.h"
#include "test.h"

/* Rows with a common part, so that cosines are spread, some equal, one of zeros and two of extreme size. */
#define THREADS(n) {.size = sizeof(coulis_index_options), .threads = n}
static const coulis_index_options threads[] = {THREADS(0), THREADS(1), THREADS(2), THREADS(3)};

static float *make_rows(int64_t rows, int64_t cols) {
    float *x = random_numbers(rows * cols);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) x[r * cols + c] += 2.0f * (float)(c % 3) + (float)(r % 5) * (float)(c % 2);
    for (int64_t r = 4; r < rows; r += 9) memcpy(x + r * cols, x + (r / 2) * cols, (size_t)cols * sizeof *x);
    if (rows > 3) {
        memset(x + cols, 0, (size_t)cols * sizeof *x);
        for (int64_t c = 0; c < cols; c++) x[2 * cols + c] *= 1e36f, x[3 * cols + c] *= 1e-38f;
    }
    return x;
}

/* The plain cosine of two rows, summed in one order in long double. */
static double cosine(const float *a, const float *b, int64_t cols) {
    long double product = 0, x = 0, y = 0;
    for (int64_t c = 0; c < cols; c++) {
        product += (long double)a[c] * b[c];
        x += (long double)a[c] * a[c];
        y += (long double)b[c] * b[c];
    }
    return x > 0 && y > 0 ? (double)(product / sqrtl(x * y)) : 0;
}

/* Whether `row` lists the k nearest of x: every row that is not among them is no nearer than the last one. Cosines in
 * float64 are off by at most `cols` roundings; what is nearer than that to each other may stand in either order. */
static int nearest_agree(const float *x, int64_t rows, int64_t cols, const float *query, int64_t k,
                         const float *similarity, const int64_t *row) {
    const double off = (double)cols * 0x1p-52;
    int wrong = 0;
    char *taken = cl_alloc_zero((size_t)rows, 1);
    for (int64_t i = 0; i < k; i++) {
        const double exact = cosine(query, x + row[i] * cols, cols);
        wrong += fabs(exact - (double)similarity[i]) > 0x1p-24 + off; /* rounded to float32 */
        wrong += taken[row[i]]++;
        if (i > 0) wrong += exact > cosine(query, x + row[i - 1] * cols, cols) + off;
    }
    const double last = cosine(query, x + row[k - 1] * cols, cols);
    for (int64_t r = 0; r < rows; r++) wrong += !taken[r] && cosine(query, x + r * cols, cols) > last + off;
    cl_free(taken);
    return wrong;
}

static void check_search(int64_t rows, int64_t cols, int64_t count, int64_t k) {
    float *x = make_rows(rows, cols), *queries = make_rows(count, cols);
    if (count > 5) memcpy(queries + 5 * cols, x + rows / 2 * cols, (size_t)cols * sizeof *x);
    float *similarity[2];
    int64_t *row[2];
    for (int t = 0; t < 2; t++) {
        coulis_index *index;
        coulis_error error;
        similarity[t] = cl_alloc((size_t)(count * k), sizeof(float));
        row[t] = cl_alloc((size_t)(count * k), sizeof(int64_t));
        CHECK_MSG(!coulis_index_create(x, rows, cols, &threads[t ? 3 : 1], &index, &error), "%s", error.message);
        CHECK(!coulis_index_search(index, queries, count, k, similarity[t], row[t], &error));
        coulis_index_free(index);
    }
    int wrong = 0;
    for (int64_t q = 0; q < count; q++)
        wrong += nearest_agree(x, rows, cols, queries + q * cols, k, similarity[0] + q * k, row[0] + q * k);
    CHECK_MSG(wrong == 0, "%d wrong of %d x %d, %d queries, k %d", wrong, (int)rows, (int)cols, (int)count, (int)k);
    CHECK(!memcmp(similarity[0], similarity[1], (size_t)(count * k) * sizeof(float)));
    CHECK(!memcmp(row[0], row[1], (size_t)(count * k) * sizeof(int64_t)));
    for (int t = 0; t < 2; t++) cl_free(similarity[t]), cl_free(row[t]);
    cl_free(x), cl_free(queries);
}

static void nearest_rows_are_found(void) {
    check_search(1, 1, 1, 1);
    check_search(10, 3, 2, 10);
    check_search(97, 17, 31, 5);
    check_search(800, 33, 258, 7); /* more than one block of queries and of tiles */
    check_search(300, 4100, 9, 3); /* long rows */
}

static void equal_rows_come_in_order(void) {
    enum { ROWS = 1000, COLS = 5, K = 600 };
    float x[ROWS * COLS], similarity[K];
    int64_t row[K];
    for (int i = 0; i < ROWS * COLS; i++) x[i] = (float)(i % COLS);
    coulis_index *index;
    CHECK(!coulis_index_create(x, ROWS, COLS, &threads[2], &index, NULL));
    CHECK(!coulis_index_search(index, x, 1, K, similarity, row, NULL));
    int wrong = 0;
    for (int i = 0; i < K; i++) wrong += row[i] != i || similarity[i] != 1.0f;
    CHECK_MSG(wrong == 0, "%d", wrong);
    coulis_pairs *pairs;
    CHECK(!coulis_index_pairs(index, NULL, 1.0, &pairs, NULL));
    CHECK(coulis_pairs_count(pairs) == (int64_t)ROWS * (ROWS - 1) / 2);
    coulis_pairs_free(pairs);
    coulis_index_free(index);
}

/* Pairs against all cosines in long double; none is so close to the threshold that rounding could decide. */
static void check_pairs(int64_t rows, int64_t cols, double threshold) {
    float *x = make_rows(rows, cols);
    coulis_index *index;
    coulis_pairs *pairs[2];
    for (int t = 0; t < 2; t++) {
        CHECK(!coulis_index_create(x, rows, cols, &threads[t ? 3 : 1], &index, NULL));
        CHECK(!coulis_index_pairs(index, NULL, threshold, &pairs[t], NULL));
        coulis_index_free(index);
    }
    const int64_t count = coulis_pairs_count(pairs[0]);
    CHECK(count == coulis_pairs_count(pairs[1]));
    int64_t next = 0;
    int wrong = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = i + 1; j < rows; j++) {
            if (cosine(x + i * cols, x + j * cols, cols) < threshold) continue;
            wrong += next >= count || coulis_pairs_first(pairs[0])[next] != i ||
                     coulis_pairs_second(pairs[0])[next] != j;
            next++;
        }
    CHECK_MSG(wrong == 0 && next == count, "%d wrong, %d of %d at %g", wrong, (int)count, (int)next, threshold);
    for (int64_t i = 0; i < count && count == coulis_pairs_count(pairs[1]); i++)
        wrong += coulis_pairs_second(pairs[0])[i] != coulis_pairs_second(pairs[1])[i] ||
                 coulis_pairs_similarity(pairs[0])[i] != coulis_pairs_similarity(pairs[1])[i];
    CHECK(wrong == 0);
    coulis_pairs_free(pairs[0]), coulis_pairs_free(pairs[1]);
    cl_free(x);
}

static void pairs_are_found(void) {
    check_pairs(2, 1, 0.5);
    check_pairs(600, 7, 0.97);
    check_pairs(300, 40, -1);
    check_pairs(3100, 27, 0.97); /* bounded by directions */
}

static void wrong_arguments_are_refused(void) {
    float x[4] = {1, 2, 3, NAN}, similarity[4];
    int64_t row[4];
    coulis_index *index;
    coulis_pairs *pairs;
    coulis_error error;
    CHECK(coulis_index_create(x, 2, 2, &threads[1], &index, &error) == COULIS_NUMERIC);
    CHECK_MSG(strstr(error.message, "row 1 "), "%s", error.message);
    CHECK(coulis_index_create(NULL, 2, 2, &threads[1], &index, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(coulis_index_create(x, 0, 2, &threads[1], &index, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(coulis_index_create(x, 2, (int64_t)1 << 40, &threads[1], &index, &error) == COULIS_INVALID_ARGUMENT);
    x[3] = 4;
    CHECK(!coulis_index_create(x, 2, 2, &threads[1], &index, &error));
    CHECK(coulis_index_search(index, x, 1, 0, similarity, row, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(coulis_index_search(index, x, 1, 3, similarity, row, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(coulis_index_pairs(index, NULL, NAN, &pairs, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(coulis_index_pairs(index, NULL, 1.5, &pairs, &error) == COULIS_INVALID_ARGUMENT);
    coulis_index_free(index);
    coulis_index_free(NULL);
    coulis_pairs_free(NULL);
}

/* Fails every allocation in turn until all of it goes well. */
static void want_of_memory_is_reported(void) {
    float *x = make_rows(3050, 24), similarity[6];
    int64_t row[6];
    coulis_index *index = NULL;
    coulis_pairs *pairs = NULL;
    coulis_status status = COULIS_NO_MEMORY;
    int n = 0;
    while (status && n < 1000) {
        coulis_error error;
        cl_test_fail_allocation(++n);
        status = coulis_index_create(x, 3050, 24, &threads[2], &index, &error);
        if (!status) status = coulis_index_search(index, x, 2, 3, similarity, row, &error);
        if (!status) status = coulis_index_pairs(index, NULL, 0.99, &pairs, &error);
        CHECK_MSG(!status || (status == COULIS_NO_MEMORY && error.message[0]), "%d: %s", n, error.message);
        cl_test_fail_allocation(0);
        coulis_index_free(index);
        index = NULL;
    }
    CHECK(n > 30 && !status);
    coulis_pairs_free(pairs);
    cl_free(x);
}

int main(void) {
    RUN(nearest_rows_are_found);
    RUN(equal_rows_come_in_order);
    RUN(pairs_are_found);
    RUN(wrong_arguments_are_refused);
    RUN(want_of_memory_is_reported);
    return test_finish();
}
