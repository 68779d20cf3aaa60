#include "pca/product.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "pca/kernels/kernels.h"
#include "pca/model.h"
#include "pca/pca.h"
#include "pca/source.h"

/* Rows of a block: as many as a run of float sums takes, as long as they are at most 64 MiB. */
#define BLOCK_ROWS 1024
#define BLOCK_BYTES (64LL << 20)
#define SKEW 16
/* Columns that are transposed at a time. */
#define STRIPE 64
/* How many passes over the rows fill half of the progress bar; nobody knows beforehand how many there will be. */
#define HALF 8

struct cl_product {
    const cl_rows *rows;
    cl_pool *pool;
    const cl_pca_kernels *kernels;
    int64_t block_rows, passes;
    float *buffer;   /* NULL when the rows are in memory */
    double *mean, *squares; /* cols; squares: sums of squares of the centred columns */
    double scale, trace;
};

static coulis_status tell(const cl_product *p, int64_t row, coulis_error *error) {
    double passes = (double)p->passes + (double)row / (double)p->rows->rows;
    return cl_rows_progress(p->rows, (int64_t)((double)p->rows->rows * passes / (passes + HALF)), p->rows->rows, error);
}

static coulis_status get_block(const cl_product *p, int64_t first, int64_t *count, const float **x,
                               coulis_error *error) {
    *count = p->rows->rows - first < p->block_rows ? p->rows->rows - first : p->block_rows;
    return cl_rows_block(p->rows, first, *count, p->buffer, x, error);
}

static coulis_status find_mean(cl_product *p, coulis_error *error) {
    int64_t cols = p->rows->cols;
    double *sum = cl_alloc((size_t)cols, sizeof *sum);
    float *limits = cl_alloc((size_t)cols, 4 * sizeof *limits);
    coulis_status status = COULIS_OK;
    if (!sum || !limits) status = cl_fail_memory(error, "the mean", (size_t)cols * 24);
    float *low = limits, *high = limits + cols, *lowest = limits + 2 * cols, *highest = limits + 3 * cols;
    for (int64_t first = 0, count; first < p->rows->rows && !status; first += count) {
        const float *x;
        status = get_block(p, first, &count, &x, error);
        if (!status) status = cl_column_stats(p->pool, x, first, count, cols, sum, low, high, error);
        for (int64_t c = 0; c < cols && !status; c++) {
            p->mean[c] += sum[c];
            if (first == 0 || low[c] < lowest[c]) lowest[c] = low[c];
            if (first == 0 || high[c] > highest[c]) highest[c] = high[c];
        }
        if (!status) status = tell(p, first, error);
    }
    for (int64_t c = 0; c < cols && !status; c++) p->mean[c] /= (double)p->rows->rows;
    if (!status) p->scale = cl_centred_scale(lowest, highest, cols);
    p->passes = 1;
    cl_free(sum);
    cl_free(limits);
    return status;
}

coulis_status cl_product_open(const cl_rows *rows, cl_pool *pool, cl_product **product, coulis_error *error) {
    size_t cols = (size_t)rows->cols;
    cl_product *p = cl_alloc_zero(1, sizeof *p);
    if (!p) return cl_fail_memory(error, "the mean", sizeof *p);
    *p = (cl_product){.rows = rows, .pool = pool, .kernels = cl_pca_kernels_get(), .trace = -1};
    p->block_rows = BLOCK_BYTES / (rows->cols * 4);
    if (p->block_rows < 1) p->block_rows = 1;
    if (p->block_rows > BLOCK_ROWS) p->block_rows = BLOCK_ROWS;
    if (!cl_rows_in_memory(rows)) p->buffer = cl_alloc((size_t)p->block_rows, cols * sizeof *p->buffer);
    p->mean = cl_alloc_zero(cols, sizeof *p->mean);
    p->squares = cl_alloc_zero(cols, sizeof *p->squares);
    coulis_status status = COULIS_OK;
    if ((!p->buffer && !cl_rows_in_memory(rows)) || !p->mean || !p->squares)
        status = cl_fail_memory(error, "a block of rows", (size_t)p->block_rows * cols * sizeof *p->buffer);
    if (!status) status = find_mean(p, error);
    if (status) cl_product_close(p);
    else *product = p;
    return status;
}

void cl_product_close(cl_product *p) {
    if (!p) return;
    cl_free(p->buffer);
    cl_free(p->mean);
    cl_free(p->squares);
    cl_free(p);
}

const double *cl_product_mean(const cl_product *p) { return p->mean; }
double cl_product_trace(const cl_product *p) { return p->trace; }

/* ---- a pass ----------------------------------------------------------------------------------- */

/* The way back of one block: scores times centred rows. */
typedef struct back {
    const cl_product *p;
    const float *x;
    int64_t rows, count;
    const float *scores; /* count x rows, scaled */
    double *out;         /* count x cols */
    float *transposed;   /* per worker: STRIPE x (BLOCK_ROWS + SKEW) */
    double *sums;        /* per worker: STRIPE x count */
    bool measure;        /* the squares too */
} back;

static void back_stripe(void *context, int64_t piece, int32_t worker) {
    const back *b = context;
    const cl_product *p = b->p;
    int64_t cols = p->rows->cols, column = piece * STRIPE, width = cols - column < STRIPE ? cols - column : STRIPE;
    float *transposed = b->transposed + (int64_t)worker * STRIPE * (BLOCK_ROWS + SKEW);
    double *sums = b->sums + (int64_t)worker * STRIPE * b->count;
    memset(sums, 0, (size_t)(STRIPE * b->count) * sizeof *sums);
    p->kernels->centre_transposed(b->rows, width, b->x + column, cols, p->mean + column, p->scale, transposed,
                                  BLOCK_ROWS + SKEW);
    p->kernels->dot(width, b->count, b->rows, transposed, BLOCK_ROWS + SKEW, b->scores, b->rows,
                    1 / (p->scale * p->scale), sums, b->count);
    for (int64_t j = 0; j < b->count; j++)
        for (int64_t c = 0; c < width; c++) b->out[j * cols + column + c] += sums[c * b->count + j];
    for (int64_t r = 0; r < b->rows && b->measure; r++)
        for (int64_t c = column; c < column + width; c++) {
            double centred = (double)b->x[r * cols + c] - p->mean[c];
            p->squares[c] += centred * centred;
        }
}

coulis_status cl_product_apply(cl_product *p, int64_t count, const float *vectors, double *out, coulis_error *error) {
    int64_t cols = p->rows->cols;
    size_t threads = (size_t)cl_pool_threads(p->pool), elements = (size_t)(p->block_rows * count);
    float *forth = cl_alloc(elements, sizeof *forth), *scores = cl_alloc(elements, sizeof *scores);
    /* Scores are those of a model whose components are the vectors; it is only read. */
    coulis_pca model = {.count = count, .cols = cols, .mean = p->mean, .components = (float *)(uintptr_t)vectors};
    back b = {.p = p, .count = count, .scores = scores, .out = out, .measure = p->trace < 0,
              .transposed = cl_alloc(threads, STRIPE * (BLOCK_ROWS + SKEW) * sizeof *b.transposed),
              .sums = cl_alloc(threads, STRIPE * (size_t)count * sizeof *b.sums)};
    coulis_status status = COULIS_OK;
    if (!forth || !scores || !b.transposed || !b.sums)
        status = cl_fail_memory(error, "scores", elements * 8 + threads * STRIPE * (size_t)(BLOCK_ROWS + count) * 8);
    memset(out, 0, (size_t)(count * cols) * sizeof *out);
    for (int64_t first = 0; first < p->rows->rows && !status; first += b.rows) {
        status = get_block(p, first, &b.rows, &b.x, error);
        if (!status) status = cl_pca_transform(&model, b.x, b.rows, p->pool, forth, error);
        for (int64_t r = 0; r < b.rows && !status; r++)
            for (int64_t j = 0; j < count; j++)
                scores[j * b.rows + r] = (float)((double)forth[r * count + j] * p->scale);
        if (!status) cl_pool_run(p->pool, (cols + STRIPE - 1) / STRIPE, back_stripe, &b);
        if (!status) status = tell(p, first + b.rows, error);
    }
    p->passes++;
    if (!status && b.measure) {
        p->trace = 0;
        for (int64_t c = 0; c < cols; c++) p->trace += p->squares[c];
    }
    cl_free(forth);
    cl_free(scores);
    cl_free(b.transposed);
    cl_free(b.sums);
    return status;
}
