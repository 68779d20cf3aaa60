/* How a few numbers bound a cosine.
 *
 * Let x and y be rows of length 1, P a matrix of m directions at right angles (P P^T = I), a = P x and b = P y. Then
 * x = P^T a + x', where x' is at right angles to all directions and has length r = sqrt(1 - |a|^2); likewise y with
 * b and s. So
 *
 *     x y = a b + x' y' <= a b + r s                                              (Cauchy and Schwarz)
 *
 * The stand-in of x is (a, r): the product of two stand-ins bounds the cosine from above, at the price of m + 1 numbers
 * instead of all. It is close where most of the length lies in the directions, hence principal components: not those of
 * the centred rows alone but with the mean, which usually is the longest part of rows that are features.
 *
 * In floating point P P^T is I + D with |D| <= delta, which is measured, and a is known within e. With
 * G = (P P^T)^-1, |G - I| <= g = delta / (1 - delta), x y = a G b + x' y' and |x'|^2 = 1 - a G a, so
 *
 *     x y <= a b + r s + g (1 + delta),   r^2 = 1 - |a|^2 + g (1 + delta)
 *
 * and with the computed a~, |a~ - a| <= e, |a| <= sqrt(1 + delta) = n:
 *
 *     x y <= a~ b~ + r s + S,   r^2 = 1 - |a~|^2 + S,   S = g (1 + delta) + 2 e n + e^2
 *
 * S is `slack`. Each product of a direction and a row is summed by the `dot` of PCA in runs of at most 64 float32
 * terms a lane and float64 sums of runs: at most 70 roundings by u = 2^-24, 2 more for the rows' own rounding, at most
 * 72 u n in all; so e <= sqrt(m) 72 u n. The float32 sum of the product of two stand-ins adds at most
 * cl_product_error(m + 1) times their lengths, |(a~, r)|^2 <= 1 + S. */
#include "index/filter.h"

#include <math.h>

#include "pca/kernels/kernels.h"
#include "pca/pca.h"

/* Below so many rows all products take less time than finding directions. */
#define ROWS_MIN 3000
/* Rows from which directions are found, and rows whose pairs estimate what a number of directions leaves. */
#define SAMPLE 1024
#define SAMPLE_PAIRS 512
/* Time of a number of a float64 product of two rows, in units of one of a tiled float32 product: measured 12 to 20. */
#define EXACT_COST 16

static const int64_t counts[] = {8, 16, 32, 64, 128}; /* of directions, to choose from */
enum { COUNTS = sizeof counts / sizeof *counts };

void cl_filter_free(cl_filter *filter) {
    cl_free(filter->directions);
    *filter = (cl_filter){0};
}

/* `count` rows spread evenly, divided by their lengths. */
static void sample_rows(const cl_vectors *vectors, int64_t count, float *out) {
    for (int64_t i = 0; i < count; i++)
        cl_unit_rows(vectors, (int64_t)((double)i / (double)count * (double)vectors->rows), 1, out + i * vectors->cols);
}

/* The part of the mean that is at right angles to the components, of length 1, into `out`; false when there is none. */
static bool mean_direction(const coulis_pca *pca, int64_t components, float *out, double *scratch) {
    const int64_t cols = coulis_pca_columns(pca);
    memcpy(scratch, coulis_pca_mean(pca), (size_t)cols * sizeof *scratch);
    for (int64_t pass = 0; pass < 2; pass++) /* the second takes away what the first one's rounding left */
        for (int64_t j = 0; j < components; j++) {
            const float *component = coulis_pca_components(pca) + j * cols;
            double along = 0;
            for (int64_t c = 0; c < cols; c++) along += scratch[c] * (double)component[c];
            for (int64_t c = 0; c < cols; c++) scratch[c] -= along * (double)component[c];
        }
    double square = 0;
    for (int64_t c = 0; c < cols; c++) square += scratch[c] * scratch[c];
    if (!(square > 1e-12)) return false;
    for (int64_t c = 0; c < cols; c++) out[c] = (float)(scratch[c] / sqrt(square));
    return true;
}

/* Finds `count` directions, the mean's first. */
static coulis_status find_directions(const cl_vectors *vectors, int64_t count, cl_pool *pool, cl_filter *filter,
                                     coulis_error *error) {
    const int64_t cols = vectors->cols, rows = vectors->rows < SAMPLE ? vectors->rows : SAMPLE;
    float *sample = cl_alloc((size_t)rows, (size_t)cols * sizeof *sample);
    double *scratch = cl_alloc((size_t)cols, sizeof *scratch);
    filter->directions = cl_alloc((size_t)count, (size_t)cols * sizeof(float));
    coulis_pca *pca = NULL;
    coulis_pca_options options;
    coulis_pca_options_init(&options, sizeof options);
    options.components = (double)(count - 1);
    options.threads = cl_pool_threads(pool);
    coulis_status status = COULIS_OK;
    if (!sample || !scratch || !filter->directions)
        status = cl_fail_memory(error, "a sample of the vectors", (size_t)(rows + count) * (size_t)cols * 4);
    if (!status) {
        sample_rows(vectors, rows, sample);
        status = coulis_pca_fit(sample, rows, cols, &options, &pca, error);
    }
    if (!status) {
        const int64_t has = mean_direction(pca, count - 1, filter->directions, scratch);
        memcpy(filter->directions + has * cols, coulis_pca_components(pca),
               (size_t)((count - 1) * cols) * sizeof(float));
        filter->count = count - 1 + has;
    }
    coulis_pca_free(pca);
    cl_free(sample);
    cl_free(scratch);
    return status;
}

/* Keeps the first `count` directions and works out what their errors add. */
static void keep_directions(cl_filter *filter, int64_t count, int64_t cols) {
    double delta = 0;
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j <= i; j++) {
            const double product = cl_dot(filter->directions + i * cols, filter->directions + j * cols, cols);
            const double off = i == j ? product - 1 : product;
            delta += (i == j ? 1 : 2) * off * off;
        }
    delta = sqrt(delta) + 1e-12; /* the rounding of the float64 sums above */
    const double g = delta / (1 - delta), n = sqrt(1 + delta), e = sqrt((double)count) * 72 * 0x1p-24 * n;
    filter->count = count;
    filter->length = count + 1;
    filter->slack = (g * (1 + delta) + 2 * e * n + e * e) * 1.001;
    filter->error = filter->slack + cl_product_error(count + 1) * (1 + 2 * filter->slack);
}

/* Estimates the work for each number of directions from the pairs of a sample; gives the best, 0 for none. The bound of
 * m directions is that of the first m numbers of the stand-ins. */
static int64_t cheapest(const cl_filter *filter, int64_t cols, int64_t rows, const float *stand_ins, double threshold) {
    int64_t left[COUNTS] = {0}, chosen = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < i; j++) {
            const float *a = stand_ins + i * filter->length, *b = stand_ins + j * filter->length;
            double product = 0, a_square = 0, b_square = 0;
            int64_t m = 0;
            for (int n = 0; n < COUNTS && counts[n] <= filter->count; n++) {
                for (; m < counts[n]; m++) {
                    product += (double)a[m] * (double)b[m];
                    a_square += (double)a[m] * (double)a[m];
                    b_square += (double)b[m] * (double)b[m];
                }
                left[n] += product + sqrt(fmax(0, 1 - a_square) * fmax(0, 1 - b_square)) >= threshold;
            }
        }
    double least = (double)cols;
    for (int n = 0; n < COUNTS && counts[n] <= filter->count; n++) {
        const double share = (double)left[n] / ((double)rows * (double)(rows - 1) / 2);
        const double cost = (double)counts[n] + 1 + share * EXACT_COST * (double)cols;
        if (cost < least) {
            least = cost;
            chosen = counts[n];
        }
    }
    return chosen;
}

coulis_status cl_filter_choose(const cl_vectors *vectors, double threshold, cl_pool *pool, cl_filter *filter,
                               coulis_error *error) {
    const int64_t cols = vectors->cols;
    *filter = (cl_filter){.length = cols, .error = cl_product_error(cols)};
    int64_t most = 0;
    for (int n = 0; n < COUNTS; n++)
        if (counts[n] <= cols / 3) most = counts[n];
    if (vectors->rows < ROWS_MIN || most == 0) return COULIS_OK;
    coulis_status status = find_directions(vectors, most, pool, filter, error);
    float *rows = NULL, *scratch = NULL, *stand_ins = NULL;
    if (!status) {
        keep_directions(filter, filter->count, cols);
        rows = cl_alloc(SAMPLE_PAIRS, (size_t)cols * sizeof *rows);
        scratch = cl_alloc(SAMPLE_PAIRS, (size_t)(cols + 2 * filter->length) * sizeof *scratch);
        stand_ins = cl_alloc(SAMPLE_PAIRS, (size_t)filter->length * sizeof *stand_ins);
        if (!rows || !scratch || !stand_ins) status = cl_fail_memory(error, "a sample of the vectors", 0);
    }
    if (!status) {
        double squares[SAMPLE_PAIRS];
        sample_rows(vectors, SAMPLE_PAIRS, rows);
        for (int64_t i = 0; i < SAMPLE_PAIRS; i++) squares[i] = cl_dot(rows + i * cols, rows + i * cols, cols);
        const cl_vectors sample = {rows, SAMPLE_PAIRS, cols, squares};
        cl_filter_rows(filter, &sample, 0, SAMPLE_PAIRS, scratch, stand_ins);
        const int64_t count = cheapest(filter, cols, SAMPLE_PAIRS, stand_ins, threshold);
        if (count) {
            keep_directions(filter, count, cols);
        } else {
            cl_filter_free(filter);
            *filter = (cl_filter){.length = cols, .error = cl_product_error(cols)};
        }
    }
    cl_free(rows);
    cl_free(scratch);
    cl_free(stand_ins);
    if (status) cl_filter_free(filter);
    return status;
}

void cl_filter_rows(const cl_filter *filter, const cl_vectors *vectors, int64_t first, int64_t count, float *scratch,
                    float *out) {
    const int64_t cols = vectors->cols, m = filter->count;
    if (!filter->directions) {
        cl_unit_rows(vectors, first, count, out);
        return;
    }
    double *sums = (double *)(void *)scratch;
    float *units = scratch + 2 * count * filter->length;
    cl_unit_rows(vectors, first, count, units);
    memset(sums, 0, (size_t)(count * m) * sizeof *sums);
    cl_pca_kernels_get()->dot(count, m, cols, units, cols, filter->directions, cols, 1.0, sums, m);
    for (int64_t i = 0; i < count; i++) {
        float *to = out + i * filter->length;
        double square = 0;
        for (int64_t j = 0; j < m; j++) {
            to[j] = (float)sums[i * m + j];
            square += (double)to[j] * (double)to[j];
        }
        /* Rounded up. A row of zeros has length 1 here, which the bound allows. */
        to[m] = nextafterf((float)sqrt(fmax(0, 1 - square + filter->slack)), INFINITY);
    }
}
