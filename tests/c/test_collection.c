/* What the verbs on a result are made of: groups of pairs, counts of labels, k-means, Base64. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "collection/groups.h"
#include "collection/kmeans.h"
#include "collection/labels.h"
#include "collection/report.h"
#include "random.h"
#include "test.h"

/* Roots are the lowest rows of their components, in whatever order the pairs come. */
static void groups_have_the_lowest_row(void) {
    enum { ROWS = 40 };
    static const int64_t pairs[][2] = {{3, 9}, {20, 21}, {9, 30}, {39, 38}, {30, 31}, {21, 3}, {38, 37}, {5, 5}};
    enum { PAIRS = sizeof pairs / sizeof *pairs };
    for (int turn = 0; turn < PAIRS; turn++) {
        int64_t parent[ROWS];
        for (int64_t i = 0; i < ROWS; i++) parent[i] = i;
        for (int i = 0; i < PAIRS; i++) {
            const int64_t *pair = pairs[(turn + 3 * i) % PAIRS];
            cl_join(parent, pair[turn % 2], pair[1 - turn % 2]);
        }
        for (int64_t i = 0; i < ROWS; i++) {
            const int first = i == 3 || i == 9 || i == 20 || i == 21 || i == 30 || i == 31, second = i >= 37;
            CHECK(cl_root(parent, i) == (first ? 3 : second ? 37 : i));
        }
    }
}

static int64_t number_in(const cJSON *object, const char *name) {
    return (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static void labels_are_counted(void) {
    static const char *const groups[][4] = {{"pear", "pear", NULL},
                                            {"plum", "pear", "pear", NULL},
                                            {"fig", "fig", NULL}};
    cl_label_counts counts = {0};
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
        cl_labels_begin(&counts);
        for (int i = 0; groups[g][i]; i++) CHECK(cl_labels_add(&counts, groups[g][i], i > 0));
        CHECK(cl_labels_end(&counts));
    }
    cJSON *root = cJSON_CreateObject();
    CHECK(cl_labels_json(&counts, root));
    CHECK(number_in(root, "groups_across_labels") == 1);
    const cJSON *across = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, "across_labels"), 0), *entry;
    CHECK(number_in(across, "groups") == 1);
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(across, "labels");
    CHECK(strcmp(cJSON_GetStringValue(cJSON_GetArrayItem(names, 0)), "pear") == 0);
    CHECK(strcmp(cJSON_GetStringValue(cJSON_GetArrayItem(names, 1)), "plum") == 0);
    int64_t duplicates = 0;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(root, "labels"))
        duplicates += number_in(entry, "duplicates");
    CHECK(duplicates == 4);
    cJSON_Delete(root);
    cl_labels_free(&counts);
}

/* ---- k-means ------------------------------------------------------------------------ */

enum { ROWS = 3000, COLS = 7, BLOBS = 5 };

/* Rows about places far from each other, different numbers of them. */
static float *make_blobs(void) {
    float *x = random_numbers(ROWS * COLS);
    for (int64_t r = 0; r < ROWS; r++)
        for (int64_t c = 0; c < COLS; c++) x[r * COLS + c] += c == r * r % 11 % BLOBS ? 40.0f : 0.0f;
    return x;
}

static coulis_status fit(const float *x, int64_t rows, int64_t k, int32_t threads, cl_kmeans *result) {
    coulis_error error;
    double *squares = cl_alloc((size_t)rows, sizeof *squares);
    cl_pool *pool = NULL;
    coulis_status status = squares ? cl_pool_create(threads, &pool, &error) : COULIS_NO_MEMORY;
    if (!status) status = cl_squares(x, rows, COLS, 0, pool, squares, &error);
    const cl_vectors vectors = {x, rows, COLS, squares};
    if (!status) status = cl_kmeans_fit(&vectors, k, 1, pool, result, &error);
    cl_pool_free(pool);
    cl_free(squares);
    return status;
}

static double distance(const float *a, const float *b) {
    double sum = 0;
    for (int64_t c = 0; c < COLS; c++) sum += ((double)a[c] - (double)b[c]) * ((double)a[c] - (double)b[c]);
    return sqrt(sum);
}

/* Where it has converged no row is nearer to another centre, each centre is the mean of its rows, and sizes descend. */
static void clusters_are_those_of_lloyd(void) {
    float *x = make_blobs();
    for (int64_t k = 1; k <= 9; k += 4) {
        cl_kmeans result = {0};
        CHECK(fit(x, ROWS, k, 2, &result) == COULIS_OK);
        CHECK(result.converged && result.k == k);
        double *mean = cl_alloc_zero((size_t)(k * COLS), sizeof *mean);
        int64_t sizes[9] = {0};
        for (int64_t r = 0; r < ROWS; r++) {
            const float *row = x + r * COLS;
            const double own = distance(row, result.centres + result.cluster[r] * COLS);
            CHECK(fabs(own - (double)result.distance[r]) <= 1e-5 * own + 1e-6);
            for (int64_t j = 0; j < k; j++) CHECK(distance(row, result.centres + j * COLS) >= own - 1e-4);
            sizes[result.cluster[r]]++;
            for (int64_t c = 0; c < COLS; c++) mean[result.cluster[r] * COLS + c] += (double)row[c];
        }
        for (int64_t j = 0; j < k; j++) {
            CHECK(sizes[j] == result.sizes[j] && (j == 0 || sizes[j] <= sizes[j - 1]));
            for (int64_t c = 0; c < COLS; c++)
                CHECK(fabs(mean[j * COLS + c] / (double)sizes[j] - (double)result.centres[j * COLS + c]) < 1e-4);
        }
        cl_free(mean);
        cl_kmeans_free(&result);
    }
    cl_free(x);
}

static void clusters_depend_on_no_thread(void) {
    float *x = make_blobs();
    cl_kmeans one = {0};
    CHECK(fit(x, ROWS, 6, 1, &one) == COULIS_OK);
    for (int32_t threads = 2; threads <= 4; threads++) {
        cl_kmeans other = {0};
        CHECK(fit(x, ROWS, 6, threads, &other) == COULIS_OK);
        CHECK(memcmp(one.centres, other.centres, 6 * COLS * sizeof *one.centres) == 0);
        CHECK(memcmp(one.cluster, other.cluster, ROWS * sizeof *one.cluster) == 0);
        CHECK(memcmp(one.distance, other.distance, ROWS * sizeof *one.distance) == 0);
        cl_kmeans_free(&other);
    }
    cl_kmeans_free(&one);
    cl_free(x);
}

static void more_clusters_than_rows_are_refused(void) {
    float *x = make_blobs();
    cl_kmeans result = {0};
    CHECK(fit(x, 3, 4, 1, &result) == COULIS_INVALID_ARGUMENT);
    CHECK(fit(x, 3, 3, 1, &result) == COULIS_OK);
    cl_kmeans_free(&result);
    cl_free(x);
}

/* Each allocation fails once; the fit ends with a status, and nothing is lost (the sanitizers say so). */
static void little_memory_is_told(void) {
    float *x = make_blobs();
    int64_t failed = 0;
    for (int64_t n = 1; n < 200; n++) {
        cl_kmeans result = {0};
        cl_test_fail_allocation(n);
        const coulis_status status = fit(x, 300, 4, 2, &result);
        cl_test_fail_allocation(0);
        cl_kmeans_free(&result);
        if (status == COULIS_OK) break;
        CHECK(status == COULIS_NO_MEMORY);
        failed++;
    }
    CHECK(failed > 3 && failed < 199);
    cl_free(x);
}

/* The examples of RFC 4648, section 10. */
static void base64_is_that_of_the_rfc(void) {
    static const char *const known[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char *text = cl_base64(known[i][0], strlen(known[i][0]));
        CHECK(text && strcmp(text, known[i][1]) == 0);
        cl_free(text);
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    RUN(groups_have_the_lowest_row);
    RUN(labels_are_counted);
    RUN(clusters_are_those_of_lloyd);
    RUN(clusters_depend_on_no_thread);
    RUN(more_clusters_than_rows_are_refused);
    RUN(little_memory_is_told);
    RUN(base64_is_that_of_the_rfc);
    return test_finish();
}
