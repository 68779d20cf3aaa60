#include "pca/subspace.h"

#include <math.h>

#include "pca/kernels/kernels.h"

#define TILE 48
#define RUN 1024
#define STRIPE 128
/* Rows that are made orthogonal together: products with the set are shared out over threads, those within are not. */
#define GROUP 32
/* A row is given up when less than this share of the longest one is left of it: the products of floats are not
 * surer. */
#define NOTHING 3.814697265625e-6 /* 2^-18 */
/* And when the second round, which should find nothing to take away, leaves less than this of its length. */
#define UNSURE 0.5

/* ---- products --------------------------------------------------------------------------------- */

typedef struct products {
    const cl_pca_kernels *kernels;
    int64_t cols, a_count, b_count;
    const float *a, *b;
    double *out;
} products;

static void product_tile(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    const products *s = context;
    int64_t across = (s->b_count + TILE - 1) / TILE, i = piece / across * TILE, j = piece % across * TILE;
    for (int64_t c = 0; c < s->cols; c += RUN)
        s->kernels->dot(s->a_count - i < TILE ? s->a_count - i : TILE, s->b_count - j < TILE ? s->b_count - j : TILE,
                        s->cols - c < RUN ? s->cols - c : RUN, s->a + i * s->cols + c, s->cols, s->b + j * s->cols + c,
                        s->cols, 1.0, s->out + i * s->b_count + j, s->b_count);
}

void cl_subspace_products(const cl_subspace *space, int64_t first, int64_t n, int64_t count, const float *rows,
                          double *out) {
    products s = {cl_pca_kernels_get(), space->cols, count, n, rows, space->rows + first * space->cols, out};
    memset(out, 0, (size_t)(count * n) * sizeof *out);
    cl_pool_run(space->pool, (count + TILE - 1) / TILE * ((n + TILE - 1) / TILE), product_tile, &s);
}

/* ---- sums ---------------------------------------------------------------------------------------- */

typedef struct combination {
    const cl_pca_kernels *kernels;
    const cl_subspace *space;
    int64_t n, count;
    const float *weights; /* count x n */
    float *rows;          /* count x cols */
    bool subtract;        /* from what is in `rows` */
    float *transposed;    /* per worker: STRIPE x n */
    double *sums;         /* per worker: STRIPE x count */
} combination;

static void combine_stripe(void *context, int64_t piece, int32_t worker) {
    const combination *s = context;
    int64_t cols = s->space->cols, column = piece * STRIPE, width = cols - column < STRIPE ? cols - column : STRIPE;
    float *transposed = s->transposed + (int64_t)worker * STRIPE * s->n;
    double *sums = s->sums + (int64_t)worker * STRIPE * s->count;
    for (int64_t j = 0; j < s->n; j++)
        for (int64_t c = 0; c < width; c++) transposed[c * s->n + j] = s->space->rows[j * cols + column + c];
    memset(sums, 0, (size_t)(STRIPE * s->count) * sizeof *sums);
    s->kernels->dot(width, s->count, s->n, transposed, s->n, s->weights, s->n, 1.0, sums, s->count);
    for (int64_t j = 0; j < s->count; j++)
        for (int64_t c = 0; c < width; c++) {
            float *x = &s->rows[j * cols + column + c];
            *x = (float)(s->subtract ? (double)*x - sums[c * s->count + j] : sums[c * s->count + j]);
        }
}

static coulis_status combine(const cl_subspace *space, int64_t n, int64_t count, const float *weights, bool subtract,
                             float *rows, coulis_error *error) {
    size_t threads = (size_t)cl_pool_threads(space->pool);
    combination s = {.kernels = cl_pca_kernels_get(),
                     .space = space,
                     .n = n,
                     .count = count,
                     .weights = weights,
                     .rows = rows,
                     .subtract = subtract,
                     .transposed = cl_alloc(threads, STRIPE * (size_t)n * sizeof *s.transposed),
                     .sums = cl_alloc(threads, STRIPE * (size_t)count * sizeof *s.sums)};
    coulis_status status = COULIS_OK;
    if (s.transposed && s.sums) cl_pool_run(space->pool, (space->cols + STRIPE - 1) / STRIPE, combine_stripe, &s);
    else status = cl_fail_memory(error, "vectors", threads * STRIPE * (size_t)(4 * n + 8 * count));
    cl_free(s.transposed);
    cl_free(s.sums);
    return status;
}

coulis_status cl_subspace_combine(const cl_subspace *space, int64_t n, int64_t count, const float *weights, float *rows,
                                  coulis_error *error) {
    return combine(space, n, count, weights, false, rows, error);
}

/* ---- growing --------------------------------------------------------------------------------------- */

static double product(const float *a, const float *b, int64_t cols) {
    double sums[8] = {0}; /* several, so that they can be added side by side */
    int64_t c = 0;
    for (; c + 8 <= cols; c += 8)
        for (int i = 0; i < 8; i++) sums[i] += (double)a[c + i] * (double)b[c + i];
    for (; c < cols; c++) sums[0] += (double)a[c] * (double)b[c];
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

/* Makes the rows of a group orthonormal among themselves, dropping those of a length of at most `least`. Returns their
 * number. */
static int64_t settle_group(float *group, int64_t count, int64_t cols, double least) {
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        float *row = group + kept * cols;
        if (i != kept) memcpy(row, group + i * cols, (size_t)cols * sizeof *row);
        for (int64_t j = 0; j < kept; j++) {
            const float *other = group + j * cols;
            double share = product(row, other, cols);
            for (int64_t c = 0; c < cols; c++) row[c] = (float)((double)row[c] - share * (double)other[c]);
        }
        double length = sqrt(product(row, row, cols));
        if (!(length > least)) continue;
        for (int64_t c = 0; c < cols; c++) row[c] = (float)((double)row[c] / length);
        kept++;
    }
    return kept;
}

static coulis_status take_up_group(cl_subspace *space, int64_t count, double *wide, float *narrow,
                                   coulis_error *error) {
    float *group = space->rows + space->count * space->cols;
    coulis_status status = COULIS_OK;
    for (int round = 0; round < 2 && count > 0 && !status; round++) {
        if (space->count > 0) {
            cl_subspace_products(space, 0, space->count, count, group, wide);
            for (int64_t i = 0; i < count * space->count; i++) narrow[i] = (float)wide[i];
            status = combine(space, space->count, count, narrow, true, group, error);
        }
        if (!status) count = settle_group(group, count, space->cols, round ? UNSURE : NOTHING * space->largest);
    }
    if (!status) space->count += count;
    return status;
}

coulis_status cl_subspace_extend(cl_subspace *space, int64_t count, const float *rows, coulis_error *error) {
    int64_t cols = space->cols, room = space->count + count;
    size_t bytes;
    float *grown = cl_mul_size((size_t)cols, sizeof *grown, &bytes) ? cl_grow(space->rows, (size_t)room, bytes) : NULL;
    if (!grown) return cl_fail_memory(error, "vectors", (size_t)room * (size_t)cols * sizeof *grown);
    space->rows = grown;
    double *wide = cl_alloc((size_t)room, GROUP * sizeof *wide);
    float *narrow = cl_alloc((size_t)room, GROUP * sizeof *narrow);
    coulis_status status = COULIS_OK;
    if (!wide || !narrow) status = cl_fail_memory(error, "vectors", (size_t)room * GROUP * 12);
    for (int64_t i = 0; i < count; i++)
        space->largest = fmax(space->largest, sqrt(product(rows + i * cols, rows + i * cols, cols)));
    for (int64_t i = 0; i < count && !status; i += GROUP) {
        int64_t taken = count - i < GROUP ? count - i : GROUP;
        memcpy(space->rows + space->count * cols, rows + i * cols, (size_t)(taken * cols) * sizeof *rows);
        status = take_up_group(space, taken, wide, narrow, error);
    }
    cl_free(wide);
    cl_free(narrow);
    return status;
}

void cl_subspace_free(cl_subspace *space) { cl_free(space->rows); }
